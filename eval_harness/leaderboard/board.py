"""From bundles to a leaderboard: what may stand on it, in which order, beside which floor and ceiling."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fashionedit.card import LAST_ROUND, LEADERBOARD_PROTOCOLS, task_id
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.scores.intervals import INTERVALS
from fashionedit.eval_harness.scores.result_models import Kind, Results, Row

from .board_models import Board, BoardRow, Evidence, HubState, Refused, Unsupported, Value
from .bundle import Benchmark, Bundle
from .classes import class_scores, value_of
from .collecting import SubmittedBundle
from .contents import Contents
from .entries import last_rows
from .hub_entries import HubEntry
from .submission import evidence_place
from .verification import check_bundle

_SAME = 0.02
"""How far two encodings of the same images may be apart, in a metric's unit (twice what `verify` allows)."""

_ROUNDED = 0.0051
"""How far a number may be from the one that was sent with two decimals."""


@dataclass(frozen=True)
class _Standing:
    """A bundle that contradicts itself nowhere."""

    place: str
    contents: Contents
    verified: bool

    @property
    def bundle(self) -> Bundle:
        return self.contents.bundle

    @property
    def results(self) -> Results:
        return self.contents.results


def build_board(
    bundles: Iterable[SubmittedBundle],
    results_repository: str,
    *,
    benchmark: Benchmark | None = None,
    hub: Sequence[HubEntry] | None = None,
) -> Board:
    """Returns the leaderboard of these bundles.

    Every bundle is looked through as `verify` does without images; one with a problem stands on no board.

    Args:
        results_repository: Where they are, for the board to say.
        benchmark: The dataset as it is published; by default the one that most bundles are about.
        hub: What the Hub's own leaderboard has; None where it has none or was not asked.

    Raises:
        InvalidDataError: There is no bundle that holds, so that nothing is known of floor and ceiling.
    """
    refused: list[Refused] = []
    standing: list[_Standing] = []
    for one in bundles:
        try:
            verdict, contents = check_bundle(one.folder)
        except InvalidDataError as error:
            refused.append(Refused(place=one.place, reasons=(f"{error}.",)))
            continue
        reasons = list(verdict.problems)
        if not reasons and evidence_place(verdict.bundle) != one.place:
            reasons.append(f"It belongs to {evidence_place(verdict.bundle)}.")
        if reasons or contents is None:
            refused.append(Refused(place=one.place, reasons=tuple(reasons)))
        else:
            standing.append(_Standing(one.place, contents, one.verified == verdict.bundle.checksum))
    if not standing:
        raise InvalidDataError(
            f"{results_repository} holds no bundle that could stand on a board ({len(refused):,} were refused); send "
            "one with: fashionedit submit RUN"
        )
    about = benchmark or _most_common(standing)
    kept = list(_of_one_benchmark(standing, about, refused))
    kept = list(_beside_one_floor(kept, refused))
    if not kept:
        raise InvalidDataError(
            f"no bundle in {results_repository} is about {about.repository} at revision {about.revision[:12]}; name "
            "another one with --dataset-repo ORG/NAME@REVISION"
        )
    numbers = {(entry.model, entry.task): entry for entry in hub or ()}
    submitted = [row for one in kept for row in _rows(one, numbers)]
    first = next((one for one in kept if one.bundle.official), kept[0])
    return Board(
        benchmark=about,
        results_repository=results_repository,
        garments=first.results.dataset.garments,
        interval=INTERVALS,
        rows=(
            *_shared(kept, "floor"),
            *_ranked(submitted),
            *_shared(kept, "trivial"),
            *_shared(kept, "baseline"),
            *_shared(kept, "ceiling"),
        ),
        refused=tuple(sorted(refused, key=lambda one: one.place)),
        unsupported=None if hub is None else tuple(_unsupported(hub, submitted)),
    )


def _most_common(standing: Sequence[_Standing]) -> Benchmark:
    counts = Counter(one.bundle.benchmark for one in standing)
    return max(counts, key=lambda benchmark: (counts[benchmark], benchmark.revision))


def _of_one_benchmark(standing: Iterable[_Standing], about: Benchmark, refused: list[Refused]) -> Iterator[_Standing]:
    for one in standing:
        theirs = one.bundle.benchmark
        if (theirs.repository, theirs.manifest) == (about.repository, about.manifest):
            yield one
        else:
            reason = (
                f"It is about {theirs.repository} at revision {theirs.revision[:12]}, other samples than those of "
                f"{about.repository} at revision {about.revision[:12]}."
            )
            refused.append(Refused(place=one.place, reasons=(reason,)))


def _beside_one_floor(standing: Sequence[_Standing], refused: list[Refused]) -> Iterator[_Standing]:
    """Yields the bundles whose floor is the others' too: that of the verified ones, or else of most."""
    for official in (True, False):
        group = [one for one in standing if one.bundle.official is official]
        for encoder in dict.fromkeys(map(_encoder, group)):
            same = [one for one in group if _encoder(one) == encoder]
            known = [one for one in same if one.verified] or same
            right = max(known, key=lambda one: sum(_same_floor(one, other) for other in known))
            for one in same:
                if _same_floor(one, right):
                    yield one
                else:
                    refused.append(Refused(place=one.place, reasons=("Its draft row is not that of the others.",)))


def _encoder(one: _Standing) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(one.results.metrics[0].fingerprint.items()))


def _same_floor(one: _Standing, other: _Standing) -> bool:
    mine, theirs = (next(row for row in each.results.rows if row.kind == "floor") for each in (one, other))
    return all(
        abs(score.mean - theirs.scores[metric].mean)
        <= (_SAME if not metric.endswith("_star") else 100 / mine.requested)
        for metric, score in mine.scores.items()
    )


def _rows(one: _Standing, numbers: Mapping[tuple[str, str], HubEntry]) -> Iterator[BoardRow]:
    bundle, editor = one.bundle, one.bundle.run.editor
    rows = list(last_rows(one.results))
    classes = class_scores(one.results, rows)
    evidence: Evidence = "verified" if one.verified else "community"
    for number, row in enumerate(rows):
        shows = "reference" in PROTOCOLS[row.protocol].roles
        gain = row.scores[_star(row)].gain
        yield BoardRow(
            rank=None,
            kind="editor",
            name=bundle.name,
            model=bundle.model,
            protocol=row.protocol,
            reference=bundle.run.reference if shows else "–",
            state=editor.state,
            stitched=editor.stitched and shows,
            supplied=editor.supplied,
            official=bundle.official,
            encoder=one.results.metrics[0].encoder or "",
            evidence=evidence,
            hub=_hub_state(bundle, row, numbers),
            place=one.place,
            n=row.requested,
            failed=row.failed,
            scores={metric: value_of(score) for metric, score in row.scores.items()},
            two_pictures=bool(row.doubtful),
            gain=None if gain is None else Value(mean=gain.mean, low=gain.low, high=gain.high),
            classes=classes[number],
        )


def _star(row: Row) -> str:
    return next(metric for metric in row.scores if metric.endswith("_star"))


def _hub_state(bundle: Bundle, row: Row, numbers: Mapping[tuple[str, str], HubEntry]) -> HubState | None:
    """Returns how the Hub has the row's CLIP*."""
    star = _star(row)
    found = numbers.get((bundle.model or "", task_id(row.protocol, star))) if bundle.official else None
    if found is None:
        return None
    return found.state if abs(found.value - row.scores[star].mean) <= _ROUNDED else "differs"


def _ranked(rows: Sequence[BoardRow]) -> list[BoardRow]:
    """Returns the rows in their order, those of the leaderboard's own encoder with their ranks; equals share one."""
    groups: dict[tuple[object, ...], list[BoardRow]] = {}
    for row in sorted(rows, key=lambda row: (not row.official, LEADERBOARD_PROTOCOLS.index(row.protocol))):
        track = (row.official, row.protocol, row.reference, row.state, row.stitched)
        groups.setdefault(track, []).append(row)
    ranked: list[BoardRow] = []
    for members in groups.values():
        ordered = sorted(members, key=lambda row: (*(-score.mean for score in _by_weight(row)), row.name))
        best = [_by_weight(row)[0].mean for row in ordered]
        ranked += [
            row.model_copy(update={"rank": best.index(mean) + 1 if row.official else None})
            for row, mean in zip(ordered, best, strict=True)
        ]
    return ranked


def _by_weight(row: BoardRow) -> list[Value]:
    """Returns the starred metric first, then the similarity, then PSNR; these two where the row is ranked by them."""
    ordered = sorted(row.scores, key=lambda id: (not id.endswith("_star"), id == "psnr"))
    return [row.scores[metric] if row.is_ranked(metric) else Value(mean=-math.inf) for metric in ordered]


def _shared(kept: Sequence[_Standing], kind: Kind) -> Iterator[BoardRow]:
    """Yields the rows that every table has, by the leaderboard's own encoder: leaks once for each kind of reference."""
    seen = set()
    for one in kept:
        for row in one.results.rows if one.bundle.official else ():
            if row.kind != kind or (kind == "baseline" and row.round != LAST_ROUND):
                continue
            reference = one.bundle.run.reference if kind == "baseline" else "–"
            if (row.editor, reference) in seen:
                continue
            seen.add((row.editor, reference))
            yield BoardRow(
                rank=None,
                kind=kind,
                name=row.method,
                protocol=row.protocol if kind == "baseline" else "–",
                reference=reference,
                privileged=row.privileged,
                encoder=one.results.metrics[0].encoder or "",
                n=row.requested,
                failed=row.failed,
                scores={metric: value_of(score) for metric, score in row.scores.items()},
                classes=class_scores(one.results, [row])[0],
            )


def _unsupported(hub: Sequence[HubEntry], rows: Sequence[BoardRow]) -> Iterator[Unsupported]:
    known = {(row.model, task_id(row.protocol, metric)) for row in rows if row.official for metric in row.scores}
    for entry in sorted(hub, key=lambda entry: (entry.model, entry.task)):
        if (entry.model, entry.task) not in known:
            yield Unsupported(model=entry.model, task=entry.task, value=entry.value, state=entry.state)
