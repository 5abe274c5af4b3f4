"""The base of the `evaluate` modules: pairs are scored when they are added, and only the scores are kept.

`evaluate` stores what it is given until `compute`. Pictures stored so cost a hundred times the scoring, and one that
was opened from a file and edited in memory comes back as the file. Numbers have neither fault.
"""

from __future__ import annotations

import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, zip_longest
from typing import Any

import datasets
import evaluate
from PIL import Image

from fashionedit.errors import InvalidDataError, UnknownNameError

Pair = tuple[int, Any, Any]
"""The pair's number in its batch, the prediction and the reference, as the user gave them."""

_IMAGES = datasets.Features({"predictions": datasets.Image(), "references": datasets.Image()})
_SCORES = datasets.Features({"predictions": datasets.Value("float64"), "references": datasets.Value("float64")})
_ONE_IMAGE = (str, bytes, bytearray, memoryview, os.PathLike, Mapping, Image.Image)
_NOTHING = object()
_PAPER = (
    "Fine-Grained Customized Fashion Design with Image-into-Prompt Benchmark and Dataset from LMM. arXiv:2509.09324, "
    "section 3.1"
)


class PairMetric(evaluate.Metric, ABC):  # type: ignore[misc]  # evaluate has no types
    """An `evaluate` metric of pairs of pictures; a subclass scores a pair and sums the scores up.

    Args:
        options: What `evaluate.load` hands on: `num_process`, `process_id`, `experiment_id`, `cache_dir`,
            `keep_in_memory`, `seed`, `timeout`.

    Raises:
        UnknownNameError: An option has no meaning here, or a configuration is named; `evaluate` would pass over them.
    """

    about: str
    """What is measured, one paragraph."""
    usage: str
    """What goes in and what comes out, for the docstrings of `add`, `add_batch` and `compute`."""
    settings: frozenset[str] = frozenset({"per_image"})
    """What `compute` accepts beside pictures."""

    def __init__(self, config_name: str | None = None, *args: Any, **options: Any) -> None:
        if config_name not in (None, "default"):
            raise UnknownNameError(f"{type(self).__name__} has no configuration {config_name!r}; leave it out")
        known = inspect.signature(evaluate.EvaluationModule.__init__).parameters
        if unknown := sorted(set(options) - set(known)):
            raise UnknownNameError(f"{type(self).__name__} has no option {', '.join(unknown)}; its card lists them")
        super().__init__(config_name, *args, **options)

    @abstractmethod
    def _score(self, pairs: list[Pair]) -> list[float]:
        """Returns one number per pair, in order; called with at most `_pairs_at_once` pairs."""

    _pairs_at_once = 64

    def _info(self) -> Any:
        return evaluate.MetricInfo(
            description=self.about,
            citation=_PAPER,
            inputs_description=self.usage,
            features=[_IMAGES, _SCORES],
        )

    def _infer_feature_from_batch(self, batch: Any) -> Any:
        return _SCORES

    def add_batch(self, *, predictions: Any = None, references: Any = None, **others: Any) -> None:
        """Scores pairs now, and keeps their scores. If one can't be scored, none of this batch is kept."""
        if others:
            raise InvalidDataError(f"{self.name} takes predictions and references; found also {sorted(others)}")
        scores: list[float] = []
        pairs = _paired(predictions, references)
        while chunk := list(islice(pairs, self._pairs_at_once)):
            scores += self._score(chunk)
        if not scores and self.num_process == 1:
            raise InvalidDataError(f"{self.name} was given no pictures; give at least one pair")
        super().add_batch(predictions=scores, references=[0.0] * len(scores))

    def add(self, *, prediction: Any = None, reference: Any = None, **others: Any) -> None:
        """Scores one pair now, and keeps its score."""
        given = {"predictions": prediction, "references": reference, **others}  # evaluate.combine adds the plurals
        self.add_batch(**{name: [value] if name in _SCORES else value for name, value in given.items()})

    def compute(self, *, predictions: Any = None, references: Any = None, **options: Any) -> Any:
        """Returns the score of all pairs that were added, or None on a process other than the first."""
        if unknown := sorted(options.keys() - self.settings):
            raise UnknownNameError(
                f"{self.name} computes with {', '.join(sorted(self.settings))}; found {', '.join(unknown)}"
            )
        if predictions is None and references is None and self.writer is None:
            raise InvalidDataError(f"{self.name} has no pairs to score; add some, or give predictions and references")
        return super().compute(predictions=predictions, references=references, **options)


def _paired(predictions: Any, references: Any) -> Iterator[Pair]:
    sides = {"predictions": predictions, "references": references}
    for name, side in sides.items():
        if side is None or isinstance(side, _ONE_IMAGE) or not isinstance(side, Iterable):
            raise InvalidDataError(f"{name} is {type(side).__name__}; give a list, with one entry per pair")
    counts = [len(side) for side in sides.values() if hasattr(side, "__len__")]
    if len(counts) == 2 and counts[0] != counts[1]:
        raise InvalidDataError(
            f"there are {counts[0]} predictions and {counts[1]} references; give one of each per pair"
        )
    for number, (prediction, reference) in enumerate(zip_longest(predictions, references, fillvalue=_NOTHING)):
        if prediction is _NOTHING or reference is _NOTHING:
            short = "predictions" if prediction is _NOTHING else "references"
            raise InvalidDataError(f"the {short} end after {number}, the others go on; give one of each per pair")
        yield number, prediction, reference
