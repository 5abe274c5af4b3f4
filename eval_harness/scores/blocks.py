"""The unit of scoring: some pairs and changes, whose pictures are remembered until all metrics have seen them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.mixed_precision import Provenance
from fashionedit.metrics.registry import Metric, checked_scores

from .measures import Asked, Change, Keeps, Pictures, measure
from .stored_scores import Pair


@dataclass(frozen=True)
class Block:
    """What is to be computed.

    Args:
        pairs: For each scorer (`scorers_of`) the pairs that it has not scored.
        changes: What is to be measured.
    """

    pairs: tuple[tuple[Pair, ...], ...]
    changes: tuple[Asked, ...]

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """The pictures that are looked at, each once."""
        found = dict.fromkeys(digest for pairs in self.pairs for pair in pairs for digest in pair)
        for asked in self.changes:
            change = asked.change
            found |= dict.fromkeys((change.image, change.before, change.draft, change.original, change.reference))
        return tuple(found)


@dataclass(slots=True)
class Found:
    """Values as they are computed: of scorers by their number, and of measures."""

    pairs: list[tuple[int, list[tuple[Pair, float]]]] = field(default_factory=list)
    measures: list[tuple[str, list[tuple[Change, float]]]] = field(default_factory=list)
    provenance: list[tuple[int, Provenance]] = field(default_factory=list)

    def add_pairs(self, scorer: int, values: Iterable[tuple[Pair, float]]) -> None:
        """Keeps the raw values of pairs."""
        self.pairs.append((scorer, list(values)))

    def add_provenance(self, scorer: int, provenance: Provenance) -> None:
        """Keeps how pairs were scored."""
        self.provenance.append((scorer, provenance))

    def add(self, measure: str, values: Iterable[tuple[Change, float]]) -> None:
        """Keeps the values of a measure."""
        self.measures.append((measure, list(values)))


def scorers_of(metrics: Sequence[Metric]) -> list[Metric]:
    """Returns what scores pairs: the metrics that are no shares, and controls; those without an encoder come first."""
    found: list[Metric] = []
    for metric in sorted(metrics, key=lambda one: one.needs_encoder):
        found += [one for one in (metric if metric.of is None else None, metric.control) if one is not None]
    return found


class KeepsAll(Keeps, Protocol):
    """What is told the values as they are computed."""

    def add_pairs(self, scorer: int, values: Iterable[tuple[Pair, float]], /) -> None:
        """Keeps the raw values of pairs."""

    def add_provenance(self, scorer: int, provenance: Provenance, /) -> None:
        """Keeps how pairs were scored."""


def compute(
    block: Block, pictures: Pictures, scorers: Sequence[Metric], embedder: Embedder | None, keep: KeepsAll
) -> None:
    """Computes a block's values, each kept before the next metric begins.

    Raises:
        InvalidImageError: A picture can't be opened.
        InvalidDataError: A metric fails, or a score is not finite.
    """
    for number, (scorer, pairs) in enumerate(zip(scorers, block.pairs, strict=True)):
        shown = [(pictures.picture(image), pictures.picture(original)) for image, original in pairs]
        keep.add_pairs(number, zip(pairs, checked_scores(scorer, shown), strict=True))
        if pairs:
            keep.add_provenance(number, scorer.provenance)
    if block.changes and embedder is not None:
        measure(list(block.changes), pictures, embedder, keep)
