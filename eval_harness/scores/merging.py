"""Several runs in one table: only where their numbers may stand side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from fashionedit.errors import InvalidDataError, RunMismatchError
from fashionedit.eval_harness.running.records import RunIdentity

from .result_models import Results, Row, RowSamples
from .results import table_order


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
                f"{_names(first)} and {_names(other)} can't stand in one table: {'; '.join(differences)}; score both "
                "with one encoder on the same samples"
            )
    runs = tuple(run for one in results for run in one.runs)
    pairs: list[tuple[Row, RowSamples]] = []
    offset = 0
    for one in results:
        for row, samples in zip(one.rows, one.row_samples, strict=True):
            run = None if row.run is None else row.run + offset
            pairs.append((row.model_copy(update={"run": run}), samples))
        offset += len(one.runs)
    pairs = _once(pairs)
    labels = _labels(pairs, runs)
    pairs = [
        (row if row.run is None else row.model_copy(update={"method": labels[row.run]}), samples)
        for row, samples in sorted(pairs, key=lambda pair: table_order(pair[0]))
    ]
    return first.model_copy(
        update={
            "runs": runs,
            "measures": next((one.measures for one in results if one.measures), ()),
            "rows": tuple(row for row, _ in pairs),
            "row_samples": tuple(samples for _, samples in pairs),
        }
    )


def _names(results: Results) -> str:
    return " and ".join(run.editor.name for run in results.runs)


def _differences(first: Results, other: Results) -> Iterator[str]:
    if first.protocol_version != other.protocol_version:
        yield f"protocol version: {first.protocol_version} against {other.protocol_version}"
    yield from _fields("dataset", first.dataset.model_dump(), other.dataset.model_dump())
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


def _labels(pairs: Sequence[tuple[Row, RowSamples]], runs: Sequence[RunIdentity]) -> list[str]:
    plain = {row.run: row.method for row, _ in pairs if row.run is not None}
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
