"""The leaderboard: which bundles stand on it, in which order, beside which floor and ceiling."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fashionedit.card import LAST_ROUND, LEADERBOARD_PROTOCOLS, task_id
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.scores.intervals import INTERVALS
from fashionedit.eval_harness.scores.primary_scores import breakdowns
from fashionedit.eval_harness.scores.result_models import MOST_FAILED, Kind, MeasureValue, Results, Row, Score
from fashionedit.eval_harness.scores.table import short_label
from fashionedit.metrics.paper_metrics import Similarity

from .benchmark import Benchmark, benchmark_name, find_benchmark, results_repository
from .bundle import Bundle
from .hub import HubEntry, HubState, SubmittedBundle, fetch_bundles, find_bundles, hub_entries
from .submission import last_rows
from .verification import check_bundle

Evidence = Literal["verified", "community"]
"""`verified`: the results repository's owners computed every score again; `community`: it is consistent, no more."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Value(_Stored):
    """A score, in its metric's unit, with the ends of its 95 % interval; None where that can't be given."""

    mean: float
    low: float | None = None
    high: float | None = None


class Column(_Stored):
    """A metric of the board, its label without the encoder; the rows are ranked by the first that is a share."""

    id: str
    label: str
    unit: str
    digits: int
    is_share: bool
    official: bool

    def is_ranked(self, row: BoardRow) -> bool:
        """Returns whether the row may be ranked by this metric: see `Row.is_ranked`."""
        return self.is_share or row.failed <= MOST_FAILED * row.n


class ClassScore(_Stored):
    """The scores over the samples of one value of `category`, `gender` or `view`, by the metric's id."""

    by: str
    value: str
    n: int
    garments: int
    scores: dict[str, Value]


class BoardRow(_Stored):
    """One model in one protocol after the last round, or one of the rows that every table has.

    Args:
        rank: By the first share, among those of the same protocol, reference and state protocol; None for the others.
        name: The model's repository, or what it is called.
        protocol: `–` for floor and ceiling.
        reference: The kind of reference that the protocol shows; `–` where it shows none.
        stitched, supplied, state: As in the editor's identity; a protocol without reference stitches nothing.
        official: Whether the leaderboard's own encoder made the scores.
        evidence: None for the rows that every table has.
        hub: None where the Hub has no such number.
        place: The bundle's folder in the results repository.
        gain: Of the first share over the draft, paired.
        two_pictures: Whether a score is doubtful: see `Row.doubtful`.
    """

    rank: int | None
    kind: Kind
    name: str
    model: str | None = None
    protocol: str
    reference: str = "–"
    state: str = "images"
    privileged: bool = False
    stitched: bool = False
    supplied: bool = False
    official: bool = True
    encoder: str = ""
    evidence: Evidence | None = None
    hub: HubState | None = None
    place: str | None = None
    n: int
    failed: int
    scores: dict[str, Value]
    gain: Value | None = None
    two_pictures: bool = False
    classes: tuple[ClassScore, ...] = ()


class Refused(_Stored):
    """A bundle that stands on no board, and why."""

    place: str
    reasons: tuple[str, ...]


class Unsupported(_Stored):
    """A number on the Hub for which there is no evidence."""

    model: str
    task: str
    value: float
    state: HubState


class Board(_Stored):
    """A leaderboard.

    Args:
        prompts: What each protocol of the leaderboard shows, in words; those with a reference first.
        columns: Shares first; those of the leaderboard's own encoder, and those of others, apart.
        rows: In the order of the table: floor, ranked, beside the ranking, trivial, leaks, ceiling.
        most_failed: Rows with a larger share of failed samples are ranked by shares alone.
        unsupported: None where the Hub has no leaderboard for the benchmark, or was not asked.
    """

    schema_version: Literal[1] = 1
    benchmark: Benchmark
    results_repository: str
    garments: int
    interval: str
    prompts: dict[str, str]
    columns: tuple[Column, ...]
    rows: tuple[BoardRow, ...]
    most_failed: float = MOST_FAILED
    refused: tuple[Refused, ...] = ()
    unsupported: tuple[Unsupported, ...] | None = None


_SAME = 2 * Similarity.tolerance[0]
"""How far two means over the same images may be apart, in a metric's unit."""

_ROUNDED = 0.0051
"""How far a number may be from the one that was sent with two decimals."""


@dataclass(frozen=True)
class _Standing:
    """A bundle that contradicts itself nowhere."""

    place: str
    bundle: Bundle
    verified: bool

    @property
    def results(self) -> Results:
        return self.bundle.results

    def row(self, row: Row, **fields: Any) -> BoardRow:
        """Returns one of its rows as boards have it; `fields` has what its kind of row has beside the numbers."""
        return BoardRow(
            rank=None,
            n=row.requested,
            failed=row.failed,
            encoder=(self.results.similarity and self.results.similarity.encoder) or "",
            scores={id: value_of(score) for id, score in row.scores.items()},
            classes=class_scores(self.results, row),
            **fields,
        )


def build_board(
    bundles: Iterable[SubmittedBundle],
    results_repository: str,
    *,
    benchmark: Benchmark | None = None,
    hub: Sequence[HubEntry] | None = None,
) -> Board:
    """Returns the leaderboard of these bundles.

    Every bundle is verified as far as that goes without images; one with a problem stands on no board.

    Args:
        benchmark: The dataset as it is published; by default the one that most bundles are about.
        hub: What the Hub's own leaderboard has; None where it has none or was not asked.

    Raises:
        InvalidDataError: There is no bundle that holds, so that nothing is known of floor and ceiling.
    """
    refused: list[Refused] = []
    standing: list[_Standing] = []
    for found in bundles:
        try:
            verdict = check_bundle(found.folder)
        except InvalidDataError as error:
            refused.append(Refused(place=found.place, reasons=(f"{error}.",)))
            continue
        reasons = list(verdict.problems)
        if not reasons and verdict.bundle.place != found.place:
            reasons.append(f"It belongs to {verdict.bundle.place}.")
        if reasons:
            refused.append(Refused(place=found.place, reasons=tuple(reasons)))
        else:
            standing.append(_Standing(found.place, verdict.bundle, found.verified == verdict.bundle.checksum))
    if not standing:
        raise InvalidDataError(
            f"{results_repository} holds no bundle that could stand on a board ({len(refused):,} were refused); send "
            "one with: fashionedit submit RUN"
        )
    about = benchmark or _most_common(standing)
    kept = []
    for one in standing:
        theirs = one.bundle.benchmark
        if (theirs.repository, theirs.manifest) == (about.repository, about.manifest):
            kept.append(one)
        else:
            reason = (
                f"It is about {theirs.repository} at revision {theirs.revision[:12]}, other samples than those of "
                f"{about.repository} at revision {about.revision[:12]}."
            )
            refused.append(Refused(place=one.place, reasons=(reason,)))
    kept = list(_beside_one_floor(kept, refused))
    if not kept:
        raise InvalidDataError(
            f"no bundle in {results_repository} is about {about.repository} at revision {about.revision[:12]}; name "
            "another one with --dataset-repo ORG/NAME@REVISION"
        )
    numbers = {(entry.model, entry.task): entry for entry in hub or ()}
    submitted = [row for one in kept for row in _rows(one, numbers)]
    columns = tuple(_columns(kept))
    first = next((one for one in kept if one.bundle.official), kept[0])
    return Board(
        benchmark=about,
        results_repository=results_repository,
        garments=first.results.dataset.garments,
        interval=INTERVALS,
        prompts={name: PROTOCOLS[name].prompt() for name in reversed(LEADERBOARD_PROTOCOLS)},
        columns=columns,
        rows=(
            *_shared(kept, "floor"),
            *_ranked(submitted, columns),
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


def _beside_one_floor(standing: Sequence[_Standing], refused: list[Refused]) -> Iterator[_Standing]:
    """Yields the bundles whose floor is the others' too: that of the verified ones, or else of most."""
    by_encoder: dict[tuple[bool, str], list[_Standing]] = {}
    for one in sorted(standing, key=lambda one: not one.bundle.official):
        by_encoder.setdefault((one.bundle.official, json.dumps(one.bundle.encoder, sort_keys=True)), []).append(one)
    for same in by_encoder.values():
        trusted = [one for one in same if one.verified] or same
        right = max(trusted, key=lambda one: sum(_same_floor(one, other) for other in trusted))
        for one in same:
            if _same_floor(one, right):
                yield one
            else:
                refused.append(Refused(place=one.place, reasons=("Its draft row is not that of the others.",)))


def _same_floor(one: _Standing, other: _Standing) -> bool:
    mine, theirs = (next(row for row in each.results.rows if row.kind == "floor") for each in (one, other))
    return all(
        abs(mine.scores[metric.id].mean - theirs.scores[metric.id].mean)
        <= (100 / mine.requested if metric.is_share else _SAME)
        for metric in one.results.metrics
    )


def _rows(one: _Standing, numbers: Mapping[tuple[str, str], HubEntry]) -> Iterator[BoardRow]:
    bundle, editor = one.bundle, one.bundle.run.editor
    for row in last_rows(one.results):
        shows_reference = PROTOCOLS[row.protocol].shows_reference
        gain = row.scores[one.results.share.id].gain if one.results.share else None
        yield one.row(
            row,
            kind="editor",
            name=bundle.name,
            model=bundle.model,
            protocol=row.protocol,
            reference=bundle.run.reference if shows_reference else "–",
            state=editor.state,
            stitched=editor.stitched and shows_reference,
            supplied=editor.supplied,
            official=bundle.official,
            evidence="verified" if one.verified else "community",
            hub=_hub_state(one, row, numbers),
            place=one.place,
            two_pictures=bool(row.doubtful),
            gain=None if gain is None else Value(mean=gain.mean, low=gain.low, high=gain.high),
        )


def _columns(kept: Sequence[_Standing]) -> Iterator[Column]:
    """Yields each metric of the bundles once."""
    metrics = {(one.bundle.official, metric.id): metric for one in kept for metric in one.results.metrics}
    for (official, id), metric in sorted(metrics.items(), key=lambda entry: not entry[1].is_share):
        label, unit, digits = short_label(metric), metric.unit, metric.digits
        yield Column(id=id, label=label, unit=unit, digits=digits, is_share=metric.is_share, official=official)


def _hub_state(one: _Standing, row: Row, numbers: Mapping[tuple[str, str], HubEntry]) -> HubState | None:
    """Returns how the Hub has the number that the row is ranked by."""
    share = one.results.share
    if share is None or not one.bundle.official:
        return None
    found = numbers.get((one.bundle.model or "", task_id(row.protocol, share.id)))
    if found is None:
        return None
    return found.state if abs(found.value - row.scores[share.id].mean) <= _ROUNDED else "differs"


def _ranked(rows: Sequence[BoardRow], columns: Sequence[Column]) -> list[BoardRow]:
    """Returns the rows in their order, those of the leaderboard's own encoder with their ranks; equals share one."""
    groups: dict[tuple[object, ...], list[BoardRow]] = {}
    for row in sorted(rows, key=lambda row: (not row.official, LEADERBOARD_PROTOCOLS.index(row.protocol))):
        track = (row.official, row.protocol, row.reference, row.state, row.stitched)
        groups.setdefault(track, []).append(row)
    ranked: list[BoardRow] = []
    for members in groups.values():
        own = [one for one in columns if one.official is members[0].official]
        ordered = sorted(members, key=lambda row: (*(-_weight(row, one) for one in own), row.name))
        best = [_weight(row, own[0]) for row in ordered]
        ranked += [
            row.model_copy(update={"rank": best.index(mean) + 1 if row.official else None})
            for row, mean in zip(ordered, best, strict=True)
        ]
    return ranked


def _weight(row: BoardRow, column: Column) -> float:
    """Returns the score that the row is ranked by; below all others where it is not ranked by this metric."""
    return row.scores[column.id].mean if column.id in row.scores and column.is_ranked(row) else -math.inf


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
            yield one.row(
                row,
                kind=kind,
                name=row.method,
                protocol=row.protocol if kind == "baseline" else "–",
                reference=reference,
                privileged=row.privileged,
            )


def _unsupported(hub: Sequence[HubEntry], rows: Sequence[BoardRow]) -> Iterator[Unsupported]:
    known = {(row.model, task_id(row.protocol, metric)) for row in rows if row.official for metric in row.scores}
    for entry in sorted(hub, key=lambda entry: (entry.model, entry.task)):
        if (entry.model, entry.task) not in known:
            yield Unsupported(model=entry.model, task=entry.task, value=entry.value, state=entry.state)


def value_of(score: Score | MeasureValue) -> Value:
    """Returns the primary score with its interval."""
    return Value(mean=score.mean, low=score.low, high=score.high)


def class_scores(results: Results, row: Row) -> tuple[ClassScore, ...]:
    """Returns the scores of one of the results' rows over each class of samples.

    A class that all samples are of is the whole, and left out.
    """
    index = next(place for place, one in enumerate(results.rows) if one is row)
    return tuple(
        ClassScore(
            by=by,
            value=part.value,
            n=part.n,
            garments=part.garments,
            scores={id: value_of(score) for id, score in part.scores.items()},
        )
        for by, parts in sorted(breakdowns(results, [index]).items())
        for part in parts
    )


def gather_board(repo: str | None, dataset_repo: str | None, *, token: str | None = None) -> Board:
    """Returns the leaderboard.

    Args:
        repo: The results repository, `org/name[@revision]`, or a folder; by default the benchmark's with `-results`.
        dataset_repo: The benchmark, `org/name[@revision]`; `$FASHIONEDIT_REPO` by default. Where neither is set, the
            Hub is not asked about it, and the board is about what most bundles are about.

    Raises:
        InvalidDataError: Neither was named, or no bundle can stand on a board.
        DatasetNotFoundError: A repository is not there.
        ServiceError: The Hub can't be reached.
    """
    known = dataset_repo or os.environ.get("FASHIONEDIT_REPO")
    if repo is None and not known:
        raise InvalidDataError("no results repository was named; give --repo ORG/NAME, or --dataset-repo ORG/NAME")
    benchmark = entries = None
    if known:
        name, revision = benchmark_name(known)
        benchmark = find_benchmark(name, revision, token=token)
        entries = hub_entries(name, token=token)
    where = repo or results_repository(benchmark_name(known)[0])
    if Path(where).is_dir():
        folder = Path(where)
    else:
        place, revision = benchmark_name(where)
        folder = fetch_bundles(place, revision, token=token)
    return build_board(find_bundles(folder), where, benchmark=benchmark, hub=entries)
