"""Results: a run's records, scored, as one value; several of them side by side; the file they live in."""

from __future__ import annotations

import json
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from pathlib import Path
from typing import Any, Protocol, cast

from fashionedit.card import LEADERBOARD_PROTOCOLS
from fashionedit.errors import InvalidDataError, RunMismatchError
from fashionedit.eval_harness.editing import EditorInfo
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.references import find_reference, left_out, not_reached, subset, with_reference
from fashionedit.eval_harness.running.calls import MAX_ASPECT
from fashionedit.eval_harness.running.records import RoundOutcome, RunIdentity
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.files import parse_model, read_regular, write_atomically
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.registry import PAPER_METRICS, Metric, load_metrics

from .aggregation import Method, asked_of, rows_of, with_repeats
from .intervals import INTERVALS
from .measures import Column, Extent, grouped, put
from .ray_scoring import RayScoring
from .result_models import DatasetFacts, Kind, Results, Row, RowSamples, ScoredSample
from .scoring import Progress, score

_LABELS = {
    "draft": "Draft (do nothing)",
    "flat-grey": "Flat grey",
    "faded-draft": "Faded draft",
    "return-reference": "Return the reference",
    "paste-reference": "Paste the reference",
    "oracle": "Oracle (the original)",
}
_ORDER: tuple[Kind, ...] = ("floor", "editor", "trivial", "baseline", "ceiling")


class ScorableRun(Protocol):
    """What scoring needs of a run folder."""

    @property
    def path(self) -> Path:
        """The folder; `scores/` is made in it."""

    @property
    def identity(self) -> RunIdentity:
        """What `run.json` says."""

    def outcomes(self, source: SampleSource, repeat: int = 0) -> Iterator[RoundOutcome]:
        """Yields what each round of each sample came to, in one repetition of the run."""


def build_results(
    run: ScorableRun,
    source: SampleSource,
    embedder: Embedder | None,
    *,
    metrics: Sequence[Metric] | None = None,
    baselines: Iterable[tuple[EditorInfo, RoundOutcome]] | None = None,
    measures: bool = True,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Results:
    """Returns the scored run: its own rows between the floor, the trivial rows, the leak baselines and the ceiling.

    A pure function of the records, the dataset and the encoder: interrupted or not, the same records give the same
    value. A baseline that is the run's own editor is not repeated.

    An unfinished run is scored over the samples that it reached, each of its rounds over those that were asked in it,
    and the results say so. Imported images are complete: what is missing there counts as a failure.

    Args:
        source: The dataset; the run's own kind of reference is taken from it, for the baselines too.
        embedder: For the measures; None leaves them out.
        metrics: The columns; the paper's three with the embedder by default, and PSNR alone without one.
        baselines: The rows that every table has; by default `baseline_outcomes`, in the paper's protocols and the
            run's, made in memory.
        measures: Whether it is measured too if only what was asked was changed: in the run's own rows, and in those of
            paste-reference as far as nothing has to be encoded for it.
        limit: How many samples are scored, the first ones of the split; None scores all.
        progress: Called with the pairs and changes done, and with those that there are in all, while there are any.

    Raises:
        RunMismatchError: The run was made on other samples.
        InvalidDataError: The dataset has no samples, the run has reached none of them, or an image of it was altered.
    """
    if not source.ids:
        raise InvalidDataError(f"{source.name} {source.split} has no samples; a table needs at least one")
    if metrics is None:
        metrics = load_metrics(PAPER_METRICS if embedder is not None else ("psnr",), embedder)
    measures = measures and embedder is not None
    source = with_reference(source, run.identity.reference)
    repeats = [grouped(run.outcomes(source), source.ids)]
    repeats += [grouped(run.outcomes(source, repeat), source.ids) for repeat in range(1, run.identity.repeats)]
    chosen = _reached(run, source, repeats, limit)
    whole, source = source, cast(SampleSource, _RecentSamples(subset(source, set(compress(source.ids, chosen)))))
    own_rounds, *repeated = (
        {protocol: {round: one.only(chosen) for round, one in rounds.items()} for protocol, rounds in found.items()}
        for found in repeats
    )
    del repeats

    def shared() -> Iterable[tuple[EditorInfo, RoundOutcome]]:
        if baselines is not None:
            return baselines
        from .baselines import baseline_outcomes

        protocols = {*LEADERBOARD_PROTOCOLS, *run.identity.protocols}
        rounds, policy = run.identity.rounds, run.identity.size_policy
        draw = embedder.draw if isinstance(embedder, RayScoring) else None
        return baseline_outcomes(
            source, protocols=protocols, rounds=rounds, size_policy=policy, run=run.path, draw=draw
        )

    def every_outcome() -> Iterator[RoundOutcome]:
        yield from (outcome for _, outcome in shared())
        for repeat in range(run.identity.repeats):
            yield from run.outcomes(whole, repeat) if repeat else run.outcomes(whole)

    editor = run.identity.editor
    own: Kind = "baseline" if editor.privileged else "editor"
    groups: dict[tuple[Method, str], dict[int, Column]] = {}
    places = {id: place for place, id in enumerate(source.ids)}
    rounds_of: dict[tuple[EditorInfo, str], dict[int, Column] | None] = {}  # None for the run's own editor
    for info, outcome in shared():
        if outcome.sample not in places:
            continue
        if (group := (info, outcome.protocol)) not in rounds_of:
            kind = _kind(info, outcome)
            if info.fingerprint == editor.fingerprint and kind != "floor":
                own, rounds_of[group] = kind, None
            else:
                label = _LABELS["draft"] if kind == "floor" else _LABELS.get(info.name, info.name)
                extent: Extent = "unencoded" if measures and info.name == "paste-reference" else "none"
                method = Method(None, label, info.name, info.fingerprint, kind, info.privileged, False, extent)
                rounds_of[group] = groups.setdefault((method, outcome.protocol), {})
        if (by_round := rounds_of[group]) is not None:
            put(by_round, places[outcome.sample], len(places), outcome)
    label = run.identity.public().editor.name if own == "editor" else _LABELS.get(editor.name, editor.name)
    extent = "all" if measures else "none"
    mine = Method(0, label, editor.name, editor.fingerprint, own, editor.privileged, editor.supplied, extent)
    groups |= {(mine, protocol): rounds for protocol, rounds in own_rounds.items()}
    parts = [*groups.values(), *(rounds for one in repeated for rounds in one.values())]
    images = (column for by_round in parts for column in by_round.values())
    changes = {group: asked_of(group[0], by_round, source) for group, by_round in groups.items()}
    asked = (column for by_round in changes.values() for column in by_round.values())
    scores = score(
        images, every_outcome, source, metrics, run.path, embedder=embedder, changes=asked, progress=progress
    )
    rows: list[tuple[Row, RowSamples]] = []
    for (method, protocol), rounds in groups.items():
        prompt = _prompt(method.kind, protocol, run.identity.reference)
        if method is mine:
            prompt += _track(run.identity, protocol)
        made = rows_of(method, protocol, prompt, rounds, source, scores, changes.pop((method, protocol)))
        if method is mine and repeated:
            others = [one[protocol] for one in repeated if protocol in one]
            made = list(with_repeats(made, others, mine, source, scores))
        rows += made
    rows.sort(key=lambda pair: table_order(pair[0]))
    return Results(
        protocol_version=run.identity.protocol_version,
        runs=(run.identity.public(),),
        dataset=_dataset(source),
        metrics=scores.metrics,
        measures=scores.measured.measures if scores.measured is not None else (),
        interval=INTERVALS,
        thresholds=scores.thresholds,
        rows=tuple(row for row, _ in rows),
        samples=tuple(
            ScoredSample(id=id, garment=facts.garment, category=facts.category, gender=facts.gender, view=facts.view)
            for id, facts in ((id, source.facts(id)) for id in source.ids)
        ),
        row_samples=tuple(samples for _, samples in rows),
    )


def _reached(
    run: ScorableRun,
    source: SampleSource,
    repeats: Iterable[Mapping[str, Mapping[int, Column]]],
    limit: int | None,
) -> list[bool]:
    """Returns which samples are scored: those within the limit, not too elongated, and asked for by the run."""

    def is_elongated(id: str) -> bool:
        sizes = source.sizes(id)
        return any(max(size) > MAX_ASPECT * min(size) for size in (sizes.original, sizes.draft))

    ids = source.ids[:limit]
    elongated = [id for id in ids if is_elongated(id)]
    if elongated:
        which = f"sample {elongated[0]}" + (f" and {len(elongated) - 1} more" if len(elongated) > 1 else "")
        warnings.warn(
            f"{which} of {source.name} {source.split} can't be scored and is left out: the original or the draft is "
            f"more than {MAX_ASPECT} times as long as wide; crop it",
            stacklevel=3,
        )
    kept = {*ids} - {*elongated}
    chosen = [id in kept for id in source.ids]
    if run.identity.editor.supplied:
        return chosen
    columns = [column.statuses for found in repeats for rounds in found.values() for column in rounds.values()]
    chosen = [one and any(column[place] for column in columns) for place, one in enumerate(chosen)]
    if not any(chosen):
        raise InvalidDataError(f"{run.path} has no finished round of {len(kept):,} samples; run the editor first")
    return chosen


def table_order(row: Row) -> tuple[int, bool]:
    """Returns what tables sort by: floor, editors, baselines, ceiling; in each, runs before the shared rows."""
    return _ORDER.index(row.kind), row.run is None


class _RecentSamples:
    """A source that keeps the few samples decoded last: baselines and scoring ask for one several times in a row."""

    def __init__(self, source: SampleSource) -> None:
        self._source = source
        self.sample = lru_cache(maxsize=8)(source.sample)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def _kind(info: EditorInfo, outcome: RoundOutcome) -> Kind:
    if not PROTOCOLS[outcome.protocol].edits:
        return "floor" if info.name == "identity" else "trivial"
    return "ceiling" if info.name == "oracle" else "baseline"


def run_prompt(run: RunIdentity, protocol: str) -> str:
    """Returns what the run's own rows in a protocol say of the prompt."""
    return _prompt("editor", protocol, run.reference) + _track(run, protocol)


def _prompt(kind: Kind, protocol: str, reference: str) -> str:
    if kind in ("floor", "trivial", "ceiling"):
        return "–"
    if not PROTOCOLS[protocol].edits:
        return "text"  # somebody's text-to-image model, as the SD2 and SD3 rows of Table 1
    return PROTOCOLS[protocol].prompt(find_reference(reference).label)


def _track(run: RunIdentity, protocol: str) -> str:
    """Returns what keeps a run's rows apart from those of others in the same protocol, in words."""
    stitched = ", stitched" if run.editor.stitched and PROTOCOLS[protocol].shows_reference else ""
    return stitched + (", conversation" if run.editor.state == "conversation" and PROTOCOLS[protocol].edits else "")


def _dataset(source: SampleSource) -> DatasetFacts:
    facts = [source.facts(id) for id in source.ids]
    areas = [box.area for one in facts for box in one.boxes]
    return DatasetFacts(
        name=source.name,
        split=source.split,
        samples=len(source.ids),
        left_out=left_out(source),
        not_reached=not_reached(source),
        garments=len({one.garment for one in facts}),
        manifest=source.manifest_hash,
        control_set=source.control_set,
        mean_box_area=round(100 * math.fsum(areas) / len(areas), 6),
        originals=f"as packed, {_sizes([source.sizes(id).original for id in source.ids])}",
    )


def _sizes(sizes: Sequence[tuple[int, int]]) -> str:
    low, high = (tuple(choose(side) for side in zip(*sizes, strict=True)) for choose in (min, max))
    return "×".join(map(str, low)) + ("" if low == high else " to " + "×".join(map(str, high))) + " pixels"


def with_columns(results: Results, ids: Sequence[str]) -> Results:
    """Returns the results with those of these metrics alone that they have, in the order of the ids."""
    rows = (
        row.model_copy(
            update={
                "scores": {id: score for id, score in row.scores.items() if id in ids},
                "repeats": {id: values for id, values in row.repeats.items() if id in ids},
                "control_gaps": {id: gap for id, gap in row.control_gaps.items() if id in ids},
                "doubtful": tuple(id for id in row.doubtful if id in ids),
            }
        )
        for row in results.rows
    )
    samples = (
        found.model_copy(update={"values": {id: values for id, values in found.values.items() if id in ids}})
        for found in results.row_samples
    )
    metrics = tuple(sorted((one for one in results.metrics if one.id in ids), key=lambda one: ids.index(one.id)))
    return results.model_copy(update={"metrics": metrics, "rows": tuple(rows), "row_samples": tuple(samples)})


def to_json(results: Results) -> str:
    """Returns the results as `results.json` has them."""
    return "".join(_pieces(results))


def _pieces(results: Results) -> Iterator[str]:
    """Yields the text of `readable_json`, a row or a sample at a time: whole, it takes several times its length."""
    long = {"rows", "samples", "row_samples"}
    others = results.model_dump(mode="json", exclude=long)
    for place, name in enumerate(sorted({*long, *others})):
        yield f"{',' if place else '{'}\n {json.dumps(name)}: "
        if name in long and (items := getattr(results, name)):
            for number, item in enumerate(items):
                yield f"{',' if number else '['}\n  {_json(item.model_dump(mode='json'), '  ')}"
            yield "\n ]"
        else:
            yield _json(others.get(name, []), " ")
    yield "\n}\n"


def readable_json(value: Any) -> str:
    """Returns JSON that is the same text for the same content: sorted keys, lists of plain values on one line."""
    return _json(value, "") + "\n"


def write_results(results: Results, path: Path) -> None:
    """Writes `results.json`, whole or not at all."""
    write_atomically(path, (piece.encode() for piece in _pieces(results)))


def read_results(path: Path) -> Results:
    """Returns what `write_results` wrote.

    Raises:
        InvalidDataError: There is no such file, or it was damaged or written by another version.
    """
    try:
        results = parse_model(Results, read_regular(path, folder=path.parent), name=str(path))
    except FileNotFoundError:
        if not path.parent.exists():
            raise InvalidDataError(f"{path.parent} does not exist; give the folder of a scored run") from None
        raise InvalidDataError(f"{path} does not exist; run `fashionedit score` on its run first") from None
    except InvalidDataError as error:
        raise InvalidDataError(f"{error}; score the run again to have it written anew") from error
    if misfit := next(_misfits(results), None):
        raise InvalidDataError(f"{path} does not fit together ({misfit}); score the run again to have it written anew")
    return results


def _misfits(results: Results) -> Iterator[str]:
    """Yields what in the results does not go with the rest, so that no reader need ask."""
    n, metrics = len(results.samples), results.metrics
    if not n or not results.rows or len(results.rows) != len(results.row_samples):
        yield f"{len(results.rows)} rows, {len(results.row_samples)} lists of samples, {n} samples"
        return
    unstarred = {metric.id for metric in metrics if not metric.is_share}
    counted = {metric.of for metric in metrics if metric.is_share}
    if not metrics or len({*results.metric_ids}) != len(metrics) or not counted <= unstarred:
        yield "its metrics are not different ones, or one is a share of another that is not there"
        return
    for place, (row, found) in enumerate(zip(results.rows, results.row_samples, strict=True)):
        columns = [found.status, found.digests or found.status, *found.values.values(), *found.measures.values()]
        if {*map(len, columns)} != {n} or {*found.values} != unstarred or {*row.scores} != {*results.metric_ids}:
            yield f"row {place} has not one status and score for each sample"
        if row.run is not None and not 0 <= row.run < len(results.runs):
            yield f"row {place} is of run {row.run}, which it does not have"
        if row.protocol not in PROTOCOLS or len(row.curve) not in (0, len(results.thresholds)):
            yield f"row {place} has another protocol or curve than there are"


_NESTED = {dict, list}
_ON_A_LINE = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False)


def _json(value: Any, indent: str) -> str:
    deeper = indent + " "
    if isinstance(value, dict) and not _NESTED.isdisjoint(map(type, value.values())):
        lines = [f"{deeper}{json.dumps(key)}: {_json(one, deeper)}" for key, one in sorted(value.items())]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and not _NESTED.isdisjoint(map(type, value)):
        return "[\n" + ",\n".join(deeper + _json(one, deeper) for one in value) + f"\n{indent}]"
    return _ON_A_LINE.encode(value)


def merge(results: Sequence[Results]) -> Results:
    """Returns one value with the rows of all runs, the shared rows once: floor, editors, baselines, ceiling.

    Editors of one name are told apart by what differs between their runs. Runs that show other kinds of reference may
    stand side by side where they go over the same samples; each kind has baselines of its own.

    Raises:
        InvalidDataError: There is nothing to merge.
        RunMismatchError: Dataset, samples, metric fingerprints or protocol version differ; the message names each
            field.
    """
    if not results:
        raise InvalidDataError("there are no results to put in one table; give at least one scored run")
    first = results[0]
    for other in results[1:]:
        if differences := list(_differences(first, other)):
            raise RunMismatchError(
                f"{_names(first)} and {_names(other)} can't stand in one table: {'; '.join(differences)}; "
                f"{_remedy(first, other)}"
            )
    runs = tuple(run for one in results for run in one.runs)
    pairs: list[tuple[Row, RowSamples]] = []
    offset = 0
    for one in results:
        for row, samples in zip(one.rows, one.row_samples, strict=True):
            place = None if row.run is None else row.run + offset
            pairs.append((row.model_copy(update={"run": place}), samples))
        offset += len(one.runs)
    pairs = sorted(_once(pairs), key=lambda pair: table_order(pair[0]))
    labels = _labels([row for row, _ in pairs], runs)
    rows = (row if row.run is None else row.model_copy(update={"method": labels[row.run]}) for row, _ in pairs)
    return first.model_copy(
        update={
            "runs": runs,
            "measures": next((one.measures for one in results if one.measures), ()),
            "rows": tuple(rows),
            "row_samples": tuple(samples for _, samples in pairs),
        }
    )


def _names(results: Results) -> str:
    return " and ".join(run.editor.name for run in results.runs)


def _remedy(first: Results, other: Results) -> str:
    if first.dataset.manifest != other.dataset.manifest:
        return "run and score both on the same dataset"
    for one in (first, other):
        if (lacking := one.dataset.not_reached) and len(first.samples) != len(other.samples):
            reached = f"{one.dataset.samples:,} of {one.dataset.samples + lacking:,} samples"
            return f"{_names(one)} has come to {reached}, so give its run command again and score it"
    return "score both with one encoder on the same samples"


def _differences(first: Results, other: Results) -> Iterator[str]:
    if first.protocol_version != other.protocol_version:
        yield f"protocol version: {first.protocol_version} against {other.protocol_version}"
    names = {"name", "split", "manifest"}
    if first.dataset.manifest == other.dataset.manifest:
        names |= {"samples", "left_out", "not_reached", "originals"}
    yield from _fields("dataset", *(one.dataset.model_dump(include=names) for one in (first, other)))
    if [sample.id for sample in first.samples] != [sample.id for sample in other.samples]:
        yield from _fields("reference", {"shown": _kinds(first)}, {"shown": _kinds(other)})
        yield "samples: not the same ones"
    if first.metric_ids != other.metric_ids:
        yield f"metrics: {', '.join(first.metric_ids)} against {', '.join(other.metric_ids)}"
        return
    for mine, theirs in zip(first.metrics, other.metrics, strict=True):
        yield from _fields(mine.id, {"threshold": mine.threshold}, {"threshold": theirs.threshold})
        yield from _fields(f"{mine.id} fingerprint", mine.fingerprint, theirs.fingerprint)
    for one in first.measures:  # a run that was scored without them has none, and says nothing else about them
        for another in other.measures:
            if one.id == another.id:
                yield from _fields(f"{one.id} fingerprint", one.fingerprint, another.fingerprint)


def _kinds(results: Results) -> str:
    return " and ".join(sorted({run.reference for run in results.runs}))


def _fields(name: str, first: Mapping[str, object], other: Mapping[str, object]) -> Iterator[str]:
    for field in sorted({*first, *other}):
        if first.get(field) != other.get(field):
            yield f"{name} {field}: {first.get(field)} against {other.get(field)}"


def _once(pairs: Sequence[tuple[Row, RowSamples]]) -> list[tuple[Row, RowSamples]]:
    """Keeps each shared row once, and not at all where a run of that very editor, shown the same, is there."""
    run_editors = {(row.fingerprint, row.prompt) for row, _ in pairs if row.run is not None}
    kept, seen = [], set()
    for row, samples in pairs:
        if row.run is None:
            key = (row.kind, row.fingerprint, row.protocol, row.prompt, row.round)
            if key in seen or (row.kind != "floor" and (row.fingerprint, row.prompt) in run_editors):
                continue
            seen.add(key)
        kept.append((row, samples))
    return kept


def _labels(rows: Sequence[Row], runs: Sequence[RunIdentity]) -> list[str]:
    plain = {row.run: row.method for row in rows if row.run is not None}
    labels = [plain.get(index, run.editor.name) for index, run in enumerate(runs)]
    groups: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        groups.setdefault(label, []).append(index)
    for label, members in groups.items():
        if len(members) > 1:
            clauses = [_settings(runs[index], [runs[other] for other in members]) for index in members]
            counts = Counter(clauses)
            for place, (index, clause) in enumerate(zip(members, clauses, strict=True), start=1):
                labels[index] = f"{label} ({clause if clause and counts[clause] == 1 else f'run {place}'})"
    return labels


def _settings(run: RunIdentity, others: Sequence[RunIdentity]) -> str:
    """Says in which settings the run differs from those beside it."""
    clauses = []
    for field in ("seed", "repeats", "reference", "size_policy", "params"):
        value = getattr(run, field)
        if any(getattr(other, field) != value for other in others):
            shown = ", ".join(f"{key}={one}" for key, one in value.items()) if isinstance(value, dict) else value
            clauses.append(f"{field.replace('_', ' ')} {shown}")
    if not clauses and any(other.editor.fingerprint != run.editor.fingerprint for other in others):
        clauses.append(run.editor.fingerprint[:8])
    return ", ".join(clauses)
