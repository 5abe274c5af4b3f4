"""What `results.json` holds: the only input of tables, pages and comparisons."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from .records import RunIdentity

__all__ = ["DatasetFacts", "Kind", "Metric", "Results", "Row", "RowSamples", "Score", "ScoredSample"]

Kind = Literal["floor", "editor", "baseline", "ceiling"]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(_Stored):
    """One metric as it was computed.

    Args:
        id: `clip`, `clip_star` and `psnr`; with an encoder that is not CLIP `cosine` and `cosine_star` instead.
        label: The column's heading.
        unit: What a value is given in: cosine × 100, % of samples, dB.
        scale: What the raw value was multiplied with.
        encoder: Which model compared the images; None for PSNR.
        threshold: For the starred metric, the cosine that a sample must exceed (strictly).
        fingerprint: All that a score depends on; scores of different fingerprints never stand in one table.
    """

    id: str
    label: str
    unit: str
    scale: float
    encoder: str | None = None
    threshold: float | None = None
    fingerprint: dict[str, str]

    @property
    def is_share(self) -> bool:
        """Whether the metric counts samples instead of averaging a similarity."""
        return self.threshold is not None


class DatasetFacts(_Stored):
    """What was scored against.

    Args:
        samples: The denominator of every headline: the split, or the part of it that has the run's kind of reference.
        left_out: How many samples of the split have none.
        garments: How many different garments they show: the clusters of the standard errors.
        mean_box_area: Mean share of the original that one difference's box covers, %.
        originals: Which originals the scores compare with, in words, with their sizes in pixels.
    """

    name: str
    split: str
    samples: int
    garments: int
    manifest: str
    control_set: bool
    mean_box_area: float
    originals: str
    left_out: int = 0


class Score(_Stored):
    """One metric of one row, in the metric's unit.

    Args:
        mean: The headline, over all samples. A sample whose round did not end `ok` counts as a miss for the starred
            metric; for the others it counts with the lower of the draft's and the last good image's score, so that
            refusing never pays.
        standard_error: Of the headline, clustered by garment; None with fewer than two garments.
        carry_forward: Over all samples, each with its last good image (the draft, if there is none).
        completers: Over the samples whose rounds up to this one all ended `ok`; None if there are none.
        best, worst: For the starred metric: the headline if every failure were a hit, and if every one were a miss.
    """

    mean: float
    standard_error: float | None
    carry_forward: float
    completers: float | None
    best: float | None = None
    worst: float | None = None


class Row(_Stored):
    """One method in one protocol after one round.

    Args:
        run: The index in `Results.runs`; None for the rows that every table has.
        method: How tables call it.
        editor, fingerprint: The editor's own name and fingerprint.
        kind: `floor` (the draft), `editor`, `baseline` (knows the answer, or only leaks it), `ceiling` (the original).
        privileged: Whether it is told the answer.
        supplied: Whether the images were made elsewhere and imported.
        prompt: What the editor is shown, in words; it tells the kinds of reference apart.
        requested: The samples that the row is about.
        ok: How many of them ended `ok` in this round.
        completers: How many ended `ok` in every round up to this one.
        failures: How many did not, by status; `not_run` where no record exists.
        identical: In how many samples the scored image has exactly the original's pixels. PSNR is 361.2 dB there.
    """

    run: int | None
    method: str
    editor: str
    fingerprint: str
    kind: Kind
    privileged: bool
    supplied: bool
    protocol: str
    prompt: str
    round: int
    requested: int
    ok: int
    completers: int
    failures: dict[str, int]
    identical: int
    scores: dict[str, Score]

    @property
    def failed(self) -> int:
        """How many samples did not end `ok` in this round."""
        return self.requested - self.ok


class ScoredSample(_Stored):
    """One sample: its id and what it can be grouped by."""

    id: str
    garment: str
    category: str | None = None
    gender: str | None = None
    view: str | None = None


class RowSamples(_Stored):
    """What one row is made of, sample by sample, in the order of `Results.samples`.

    Args:
        status: How the round ended, `not_run` included.
        values: For the unstarred metrics, the score of the last good image, in the metric's unit.
    """

    status: tuple[str, ...]
    values: dict[str, tuple[float, ...]]


class Results(_Stored):
    """A scored run, or several over the same data: complete, without times, the same bytes for the same records."""

    schema_version: Literal[1] = 1
    protocol_version: str
    runs: tuple[RunIdentity, ...]
    dataset: DatasetFacts
    metrics: tuple[Metric, ...]
    rows: tuple[Row, ...]
    samples: tuple[ScoredSample, ...]
    row_samples: tuple[RowSamples, ...]

    @property
    def metric_ids(self) -> tuple[str, ...]:
        """The metrics' ids, in the order of the columns."""
        return tuple(metric.id for metric in self.metrics)
