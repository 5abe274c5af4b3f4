"""Whether the parts of results fit together, and whether their aggregates are those of their samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.scores.aggregation import measure_value
from fashionedit.eval_harness.scores.intervals import INTERVALS
from fashionedit.eval_harness.scores.measures import measure_limits
from fashionedit.eval_harness.scores.primary_scores import NOT_RUN
from fashionedit.eval_harness.scores.result_models import Results, Row, RowSamples
from fashionedit.metrics.paper_metrics import STAR_THRESHOLD, THRESHOLDS
from fashionedit.metrics.similarity import PSNR_FINGERPRINT

from .rebuilding import rebuilt_rows

TOLERANCE = 5e-6
"""What the rounding of the stored scores to six decimals can move an aggregate by, with room."""


def place_of(row: Row) -> str:
    """Returns which row it is, in the words of the records."""
    return f"{row.method}, {row.protocol} round {row.round}"


def shape_problems(results: Results) -> list[str]:
    """Returns a sentence for each way in which the parts of the results do not fit together; none where they do.

    Nothing else may be asked of results that have any.
    """
    if len(results.rows) != len(results.row_samples):
        return [f"results.json has {len(results.rows)} rows and {len(results.row_samples)} lists of their samples."]
    problems = [
        f"results.json lists sample {id} {count} times."
        for id, count in Counter(sample.id for sample in results.samples).items()
        if count > 1
    ]
    problems += _of_the_metrics(results)
    n = len(results.samples)
    unstarred = {metric.id for metric in results.metrics if not metric.is_share}
    known = {*(status.value for status in Status), NOT_RUN}
    for row, found in zip(results.rows, results.row_samples, strict=True):
        where = f"results.json: {place_of(row)}"
        lengths = {
            len(found.status),
            len(found.digests),
            *(len(values) for values in found.values.values()),
        }
        if lengths != {n} or set(found.values) != unstarred:
            problems.append(f"{where} does not have one status, digest and score for each of {n} samples.")
        elif not all(math.isfinite(value) for values in found.values.values() for value in values):
            problems.append(f"{where} has a score that is no finite number.")
        elif unknown := set(found.status) - known:
            problems.append(f"{where} has the unknown status {min(unknown)!r}.")
        if set(row.scores) != set(results.metric_ids):
            problems.append(f"{where} does not have one score for each metric.")
    places = Counter((row.run, row.editor, row.protocol, row.prompt, row.round) for row in results.rows)
    if twice := [where for where, count in places.items() if count > 1]:
        problems.append(f"results.json has a row twice: {twice[0][1]}, {twice[0][2]} round {twice[0][4]}.")
    kinds = {row.kind for row in results.rows}
    problems += [f"results.json lacks the {name}." for name in ("floor", "ceiling") if name not in kinds]
    return problems


def _of_the_metrics(results: Results) -> Iterator[str]:
    """Yields a sentence unless the metrics are a similarity × 100, its share above 0.9, and PSNR."""
    if len(results.metrics) != 3:
        yield f"results.json has {len(results.metrics)} metrics, not 3."
        return
    similarity, star, psnr = results.metrics
    if (
        similarity.id not in ("clip", "cosine")
        or star.id != f"{similarity.id}_star"
        or psnr.id != "psnr"
        or (similarity.scale, star.scale, psnr.scale) != (100, 100, 1)
        or (similarity.threshold, star.threshold, psnr.threshold) != (None, STAR_THRESHOLD, None)
        or star.fingerprint != similarity.fingerprint
        or psnr.fingerprint != PSNR_FINGERPRINT
    ):
        yield "results.json has other metrics than a cosine × 100, its share above 0.9, and PSNR."


def two_scores(results: Results) -> Iterator[str]:
    """Yields a sentence for each image that has two different scores against its original."""
    seen: dict[tuple[str, str, str], float] = {}
    for row, found in zip(results.rows, results.row_samples, strict=True):
        for metric, values in found.values.items():
            for sample, digest, value in zip(results.samples, found.digests, values, strict=True):
                first = seen.setdefault((sample.id, digest, metric), value)
                if abs(first - value) > TOLERANCE:
                    yield (
                        f"Sample {sample.id}: one image has {metric} {first:.4f} in one row and {value:.4f} in "
                        f"{place_of(row)}."
                    )


def aggregate_problems(results: Results) -> Iterator[str]:
    """Yields a sentence for each aggregate that its samples do not give: means, intervals, counts, curves, failures."""
    if results.thresholds != THRESHOLDS or results.interval != INTERVALS:
        yield "results.json was made with other thresholds or intervals than this version makes."
    for row, rebuilt in rebuilt_rows(results):
        for field, stated, right in _row_differences(row, rebuilt):
            yield f"{place_of(row)}: {field} is stated as {_shown(stated)}, the samples give {_shown(right)}."
    for row, samples in zip(results.rows, results.row_samples, strict=True):
        yield from _of_the_measures(results, row, samples)


def _row_differences(stated: Row, rebuilt: Row) -> Iterator[tuple[str, Any, Any]]:
    apart = {"measures", "repeats", "control_gaps", "doubtful"}
    return _differences(stated.model_dump(exclude=apart), rebuilt.model_dump(exclude=apart))


def _differences(have: Any, want: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(have, dict) and isinstance(want, dict):
        for name in sorted({*have, *want}):
            yield from _differences(have.get(name), want.get(name), f"{path}.{name}" if path else str(name))
    elif isinstance(have, list | tuple) and isinstance(want, list | tuple) and len(have) == len(want):
        for place, (one, other) in enumerate(zip(have, want, strict=True)):
            yield from _differences(one, other, f"{path}[{place}]")
    elif isinstance(have, float) and isinstance(want, float):
        if not math.isfinite(have) or abs(have - want) > TOLERANCE * max(1.0, abs(want) / 100):
            yield path, have, want
    elif have != want:
        yield path, have, want


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _of_the_measures(results: Results, row: Row, samples: RowSamples) -> Iterator[str]:
    garments = [sample.garment for sample in results.samples]
    for name in sorted({*row.measures, *samples.measures}):
        where = f"{place_of(row)}: measure {name}"
        kept = samples.measures.get(name, ())
        if len(kept) != len(garments):
            yield f"{where} does not have a value or none for each sample."
            continue
        found = [value for value in kept if value is not None]
        stated = row.measures.get(name)
        if stated is None or not found:
            if (stated is None) != (not found):
                yield f"{where} has {len(found)} values and {'no' if stated is None else 'a'} mean."
            continue
        wanted = measure_value(kept, garments, measure_limits(name)).model_dump()
        for field, have, want in _differences(stated.model_dump(), wanted, f"measure {name}"):
            yield f"{place_of(row)}: {field} is stated as {_shown(have)}, the samples give {_shown(want)}."
