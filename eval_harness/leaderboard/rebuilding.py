"""The rows of results, made anew from what the results say of each sample, by the code that made them first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.records import ImageRef, RoundOutcome
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.aggregation import Method, rows_of
from fashionedit.eval_harness.scores.primary_scores import NOT_RUN
from fashionedit.eval_harness.scores.result_models import Kind, Metric, Results, Row, RowSamples
from fashionedit.eval_harness.scores.scoring import Scores
from fashionedit.eval_harness.scores.stored_scores import Pair


def digests_of(results: Results, kind: Kind) -> dict[str, str]:
    """Returns the pixel digest of each sample's image in the first row of this kind; empty where there is none.

    Args:
        kind: `floor` for the drafts, `ceiling` for the originals.
    """
    for row, found in zip(results.rows, results.row_samples, strict=True):
        if row.kind == kind:
            return dict(zip((sample.id for sample in results.samples), found.digests, strict=True))
    return {}


def rebuilt_rows(results: Results, samples: Collection[str] | None = None) -> list[tuple[Row, Row]]:
    """Returns each row with the same row made from its samples: means, intervals, gains, curves, counts.

    Measures, repeats and the second PSNR are not made: those of the new row are empty.

    Args:
        samples: The ids of those to make it of; all by default.

    Raises:
        ValueError: The parts of the results do not fit together.
    """
    chosen = [place for place, sample in enumerate(results.samples) if samples is None or sample.id in samples]
    ids = tuple(results.samples[place].id for place in chosen)
    originals = digests_of(results, "ceiling")
    source = _ClaimedSource(
        ids, originals, digests_of(results, "floor"), {sample.id: sample.garment for sample in results.samples}
    )
    claimed = _ClaimedScores(results.metrics, results.thresholds, _claimed(results, originals))
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, row in enumerate(results.rows):
        method = (row.run, row.method, row.editor, row.fingerprint, row.kind, row.privileged, row.supplied)
        groups.setdefault((*method, row.protocol, row.prompt), []).append(number)
    rebuilt: dict[int, Row] = {}
    for (*about, protocol, prompt), numbers in groups.items():
        outcomes = {
            results.rows[number].round: dict(_outcomes(results.rows[number], results.row_samples[number], ids, chosen))
            for number in numbers
        }
        made = rows_of(Method(*about), protocol, prompt, outcomes, cast(SampleSource, source), cast(Scores, claimed))
        by_round = {row.round: row for row, _ in made}
        rebuilt |= {number: by_round[results.rows[number].round] for number in numbers}
    return [(row, rebuilt[number]) for number, row in enumerate(results.rows)]


@dataclass(frozen=True)
class _ClaimedSource:
    """The samples as the results tell of them, with as much as the aggregation asks for."""

    ids: tuple[str, ...]
    originals: Mapping[str, str]
    drafts: Mapping[str, str]
    garments: Mapping[str, str]

    def digests(self, id: str) -> Any:
        return SimpleNamespace(original=self.originals[id], draft=self.drafts[id])

    def facts(self, id: str) -> Any:
        return SimpleNamespace(garment=self.garments[id])


@dataclass(frozen=True)
class _ClaimedScores:
    """The scores as the results tell of them, by image and original."""

    metrics: tuple[Metric, ...]
    thresholds: tuple[float, ...]
    values: Mapping[tuple[str, Pair], float]
    measured: None = None

    def raw(self, metric: Metric, pair: Pair) -> float:
        return self.values[metric.of or metric.id, pair]

    def control(self, metric: Metric, pair: Pair) -> None:
        return None


def _claimed(results: Results, originals: Mapping[str, str]) -> dict[tuple[str, Pair], float]:
    scale = {metric.id: metric.scale for metric in results.metrics}
    values: dict[tuple[str, Pair], float] = {}
    for found in results.row_samples:
        for metric, scores in found.values.items():
            for sample, digest, value in zip(results.samples, found.digests, scores, strict=True):
                values.setdefault((metric, (digest, originals[sample.id])), value / scale[metric])
    return values


def _outcomes(
    row: Row, found: RowSamples, ids: tuple[str, ...], places: list[int]
) -> Iterator[tuple[str, RoundOutcome]]:
    for id, place in zip(ids, places, strict=True):
        status = found.status[place]
        ended = None if status == NOT_RUN else Status(status)
        current = ImageRef(found.digests[place], (0, 0), _never)
        yield id, RoundOutcome(id, row.protocol, row.round, ended, current, own=ended is Status.OK)


def _never() -> Any:
    raise AssertionError("aggregation opens no image")
