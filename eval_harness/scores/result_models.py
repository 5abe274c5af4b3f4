"""What `results.json` holds: the only input of tables, pages and comparisons."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from fashionedit.eval_harness.running.records import RunIdentity
from fashionedit.metrics.paper_metrics import OLDER_FACTS

Kind = Literal["floor", "trivial", "editor", "baseline", "ceiling"]

MOST_FAILED = 0.05
"""A method with a larger share of failed samples gets no rank by CLIP or PSNR (the means). CLIP* ranks every method.

A failed round scores no more than the draft in a mean, but it may score more than a poor edit, so an editor that
refuses everything hard has a higher mean than its twin that tries."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(_Stored):
    """One metric as it was computed; the fields are those of `fashionedit.metrics.Metric`.

    Args:
        control_limit: None where the metric has no control.
        provenance: How the values were computed: device, kernels, versions; in mixed precision also the margin, and
            how many pairs were computed again. No part of what makes scores comparable. Empty for a share.
    """

    id: str
    label: str
    unit: str
    scale: float
    digits: int = 2
    limits: tuple[float, float] | None = None
    identical: float | None = None
    note: str = ""
    encoder: str | None = None
    of: str | None = None
    threshold: float | None = None
    control_limit: float | None = None
    control_most: float | None = None
    control_note: str = ""
    fingerprint: dict[str, str]
    provenance: dict[str, str | int | float] = {}

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: Any) -> Any:
        """Adds what earlier versions did not write."""
        if isinstance(value, dict) and "digits" not in value and isinstance(value.get("id"), str):
            return OLDER_FACTS.get(value["id"], {}) | value
        return value

    @model_validator(mode="after")
    def _check(self) -> Metric:
        if self.limits is not None and not self.limits[0] < self.limits[1]:
            raise ValueError(f"limits are {self.limits}; the lower one comes first")
        return self

    @property
    def is_share(self) -> bool:
        """Whether the metric counts samples instead of averaging a similarity."""
        return self.threshold is not None

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value that is possible, in the metric's unit."""
        return self.limits or (-math.inf, math.inf)

    def text(self, value: float | None, sign: str = "") -> str:
        """Returns a value with the metric's decimals; `–` for None."""
        return "–" if value is None else f"{value:{sign}z.{self.digits}f}"


class Measure(_Stored):
    """One answer to "did it change only what was asked?", as it was computed.

    Args:
        id: `inside`, `outside`, `outside_similarity`, `drift` or `leak`.
        label: How tables call it.
        unit: What a value is given in.
        better: Which way is better.
        fingerprint: All that a value depends on.
    """

    id: str
    label: str
    unit: str
    better: Literal["higher", "lower"]
    fingerprint: dict[str, str]


class DatasetFacts(_Stored):
    """What was scored against.

    Args:
        samples: The denominator of every primary score: the split, or the part that has the run's kind of reference.
        left_out: How many samples of the split have none.
        not_reached: How many samples an unfinished run has not come to, or `--limit` leaves out; they are not scored.
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
    not_reached: int = 0


class Estimate(_Stored):
    """A mean and what it is worth.

    Args:
        standard_error: Of the mean, clustered by garment; None with fewer than two garments.
        low, high: The ends of the mean's 95 % interval; None where it can't be given.
    """

    mean: float
    standard_error: float | None
    low: float | None = None
    high: float | None = None


class Gain(Estimate):
    """How much higher a primary score is than the draft's, sample by sample, in the metric's unit."""


class MeasureValue(Estimate):
    """One measure of one row, in the measure's unit, over the `n` samples that have it: those that ended `ok`."""

    n: int


class Score(Estimate):
    """One metric of one row, in the metric's unit.

    The mean is the primary score, over all samples. A sample whose round did not end `ok` is a miss for the starred
    metric; for the others it counts with the lower of the draft's and the last good image's score, so that a refusal
    never counts more than the draft. It may count more than a poor edit would: see `MOST_FAILED`.

    Args:
        carry_forward: Over all samples, each with its last good image (the draft, if there is none).
        completers: Over the samples whose rounds up to this one all ended `ok`; None if there are none.
        best, worst: For the starred metric: the mean if every failure were a hit, and if every one were a miss.
        gain: Over the draft, paired; None in the draft's own row.
        detectable: The smallest true gain over the draft that this many samples and garments show as significant
            (two-sided, α = 0.05) in 80 % of repetitions; None where it can't be given.
    """

    carry_forward: float
    completers: float | None
    best: float | None = None
    worst: float | None = None
    gain: Gain | None = None
    detectable: float | None = None


class Row(_Stored):
    """One method in one protocol after one round.

    Args:
        run: The index in `Results.runs`; None for the rows that every table has.
        method: How tables call it.
        editor, fingerprint: The editor's own name and fingerprint.
        kind: `floor` (the draft), `trivial` (what shows nothing, or the draft faded), `editor`, `baseline` (knows the
            answer, or only leaks it), `ceiling` (the original).
        privileged: Whether it sees the answer.
        supplied: Whether the images were made elsewhere and imported.
        prompt: What the editor is shown, in words; it tells the kinds of reference apart.
        requested: The samples that the row is about.
        ok: How many of them ended `ok` in this round.
        completers: How many ended `ok` in every round up to this one.
        failures: How many did not, by status; `not_run` where no record exists.
        identical: In how many samples the scored image has exactly the original's pixels.
        control_gaps: By metric id how far the metric lies above its control, in its unit: mean over the rounds that
            ended `ok`, with both cut at `Metric.control_most`; without those where none did.
        doubtful: The metrics whose gap is larger than they allow.
        curve: The first share at each of `Results.thresholds`, %.
        measures: The measures by id; without those that no sample has.
        repeats: For each metric the primary score with each seed, the run's own first; empty where there is one seed.
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
    control_gaps: dict[str, float] = {}
    doubtful: tuple[str, ...] = ()
    curve: tuple[float, ...] = ()
    measures: dict[str, MeasureValue] = {}
    repeats: dict[str, tuple[float, ...]] = {}

    @model_validator(mode="before")
    @classmethod
    def _without_psnr_gap(cls, value: Any) -> Any:
        """Reads what earlier versions wrote."""
        if isinstance(value, dict) and "psnr_gap" in value:
            gap = value["psnr_gap"]
            value = {key: one for key, one in value.items() if key != "psnr_gap"}
            if isinstance(gap, int | float):
                value |= {"control_gaps": {"psnr": gap}, "doubtful": ("psnr",) * (gap > 1)}
        return value

    @property
    def failed(self) -> int:
        """How many samples did not end `ok` in this round."""
        return self.requested - self.ok

    @property
    def failed_share(self) -> float:
        """The share of the samples that did not end `ok` in this round, 0..1."""
        return self.failed / self.requested

    def is_ranked(self, metric: Metric) -> bool:
        """Returns whether the row has a rank by this metric: by a share always, else if few rounds failed."""
        return metric.is_share or self.failed_share <= MOST_FAILED


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
        values: For the unstarred metrics, the score of the last good image, in the metric's unit, not rounded.
        measures: The measures by id; None where the round did not end `ok`.
        digests: The pixel digest of the scored image: the last good one.
    """

    status: tuple[str, ...]
    values: dict[str, tuple[float, ...]]
    measures: dict[str, tuple[float | None, ...]] = {}
    digests: tuple[str, ...] = ()


class Results(_Stored):
    """A scored run, or several over the same data: complete, without times, the same bytes for the same records.

    Args:
        interval: How the 95 % intervals were made, in words.
        thresholds: The cosines of the rows' curves.
    """

    schema_version: Literal[2] = 2
    protocol_version: str
    runs: tuple[RunIdentity, ...]
    dataset: DatasetFacts
    metrics: tuple[Metric, ...]
    measures: tuple[Measure, ...] = ()
    interval: str = ""
    thresholds: tuple[float, ...] = ()
    rows: tuple[Row, ...]
    samples: tuple[ScoredSample, ...]
    row_samples: tuple[RowSamples, ...]

    def metric(self, id: str) -> Metric:
        """Returns the metric of this id."""
        return next(metric for metric in self.metrics if metric.id == id)

    @property
    def similarity(self) -> Metric | None:
        """The first metric that is computed with an encoder; None where there is none."""
        return next((metric for metric in self.metrics if metric.encoder and not metric.is_share), None)

    @property
    def share(self) -> Metric | None:
        """The first metric that counts samples; None where there is none."""
        return next((metric for metric in self.metrics if metric.is_share), None)

    @property
    def metric_ids(self) -> tuple[str, ...]:
        """The metrics' ids, in the order of the columns."""
        return tuple(metric.id for metric in self.metrics)
