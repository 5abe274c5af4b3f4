"""What a leaderboard says: `leaderboard.json`, the only input of its tables and of its Space."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from fashionedit.eval_harness.scores.result_models import MOST_FAILED, Kind

from .bundle import Benchmark

Evidence = Literal["verified", "community"]
"""`verified`: the results repository's owners computed every score again; `community`: it is consistent, no more."""

HubState = Literal["verified", "merged", "community", "differs"]
"""How the Hub has the number: verified there, in the model's repository, in an open request, or with another value."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Value(_Stored):
    """A score, in its metric's unit, with the ends of its 95 % interval; None where that can't be given."""

    mean: float
    low: float | None = None
    high: float | None = None


class ClassScore(_Stored):
    """The scores over one class of samples.

    Args:
        by: `category`, `gender` or `view`.
        value: Which one; `–` where it is not known.
        n, garments: How many samples and garments there are.
        scores: By the metric's id.
    """

    by: str
    value: str
    n: int
    garments: int
    scores: dict[str, Value]


class BoardRow(_Stored):
    """One model in one protocol after the last round, or one of the rows that every table has.

    Args:
        rank: By CLIP*, among those of the same protocol, reference and state protocol; None for what is not ranked.
        name: The model's repository, or what it is called.
        model: Its repository, where it has one.
        protocol: `vanilla` or `bug`; `–` for floor and ceiling.
        reference: What `bug` shows: `detail`, `sketch` or `example`; `–` elsewhere.
        state: What a round hands to the next.
        privileged: Whether it is told the answer.
        stitched, supplied: As in the editor's identity; a protocol without reference stitches nothing.
        official: Whether the leaderboard's own encoder made the scores.
        encoder: Which one did.
        evidence: None for the rows that every table has.
        hub: None where the Hub has no such number.
        place: The bundle's folder in the results repository.
        gain: Of the starred metric over the draft, paired.
        two_pictures: See `Row.shows_two_pictures`.
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

    def is_ranked(self, metric: str) -> bool:
        """Returns whether the row may be ranked by this metric: see `Row.is_ranked`."""
        return metric.endswith("_star") or self.failed <= MOST_FAILED * self.n


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
        results_repository: Where the evidence is.
        interval: How the 95 % intervals were made, in words.
        rows: In the order of the table: floor, ranked, beside the ranking, trivial, leaks, ceiling.
        unsupported: None where the Hub has no leaderboard for the benchmark, or was not asked.
    """

    schema_version: Literal[1] = 1
    benchmark: Benchmark
    results_repository: str
    garments: int
    interval: str
    rows: tuple[BoardRow, ...]
    refused: tuple[Refused, ...] = ()
    unsupported: tuple[Unsupported, ...] | None = None
