"""The bases of the `evaluate` modules: pairs are scored when they are added, and only the scores are kept.

`evaluate` stores what it is given until `compute`. Pictures stored so cost a hundred times the scoring, and one that
was opened from a file and edited in memory comes back as the file. Numbers have neither fault.
"""

from __future__ import annotations

import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.files import cache_folder

from .cache import EmbeddingCache
from .embedder import Embedder, Item
from .encoder import ImageEncoder, ModelFiles, Precision, fingerprint_hash
from .inputs import defer_input
from .loading import CLIP_DIMENSION, CLIP_REPOSITORY, build_encoder, check_encoder, find_files
from .mixed_precision import Provenance, add_provenance
from .similarity import cosine_similarity

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
_USAGE = """

Pictures are PIL images, paths, encoded bytes, {{"bytes", "path"}} dicts, arrays or tensors (whole numbers 0..255,
floats 0..1, channels first or last), {pictures}.

Args:
    predictions: The edited pictures, a list.
    references: The originals, a list of the same length.
{settings}    per_image (bool): Also return every pair's {per_image}.

Returns:
    dict: {returns}
"""


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
    pictures = "of any size"
    settings: Mapping[str, str] = {}
    """What `compute` accepts beside pictures and `per_image`, as the docstring has it."""
    per_image = "score"
    returns: str
    """What `compute` returns, as the docstring has it."""

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
            inputs_description=_USAGE.format(
                pictures=self.pictures,
                settings="".join(f"    {name} {what}\n" for name, what in self.settings.items()),
                per_image=self.per_image,
                returns=self.returns,
            ),
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
        known = {"per_image", *self.settings}
        if unknown := sorted(options.keys() - known):
            raise UnknownNameError(f"{self.name} computes with {', '.join(sorted(known))}; found {', '.join(unknown)}")
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


_GIVEN = "given"


class EmbeddingMetric(PairMetric):
    """A metric of the cosine similarity of two pictures' embeddings.

    Args:
        config_name: The same as `encoder`, where `evaluate.load` takes the name of a configuration.
        encoder: A spec of `fashionedit.metrics.load_encoder`, or an `ImageEncoder`; or `given`, if only embeddings
            of an encoder that has no name here will be added. `clip` by default. Loaded when the first picture comes.
        device, precision: As for `load_encoder`.
        batch_size: Pictures that are encoded together.
        options: As for `PairMetric`.

    Raises:
        UnknownNameError: No encoder has this name, or two are named.
    """

    def __init__(
        self,
        config_name: str | None = None,
        *args: Any,
        encoder: str | ImageEncoder | None = None,
        device: str = "auto",
        precision: Precision = "fp32",
        batch_size: int = 16,
        **options: Any,
    ) -> None:
        super().__init__(None, *args, **options)  # a name of a configuration becomes a folder, and a spec may be a path
        if config_name is not None and encoder is not None:
            raise UnknownNameError(f"two encoders are named, {config_name!r} and {encoder!r}; leave one of them out")
        self._encoder = _checked(encoder if config_name is None else config_name)
        self._settings = (device, precision, batch_size)
        self._made: Embedder | None = None
        self._sources: set[str] = set()
        self._provenance: Provenance = {}

    pictures = "or vectors of floats that are embeddings already"
    _thresholds: tuple[float, ...] = ()
    """At which mixed precision decides as fp32 does."""

    @abstractmethod
    def _sum_up(self, cosines: NDArray[np.float64], prefix: str, **options: Any) -> dict[str, Any]:
        """Returns the numbers of the result; `prefix` is `clip`, or `cosine` where the encoder is another."""

    def _score(self, pairs: list[Pair]) -> list[float]:
        sides: list[Item | NDArray[np.float64]] = []
        for number, *pair in pairs:
            for side, value in zip(("prediction", "reference"), pair, strict=True):
                sides.append(self._read(value, f"{side} {number}"))
        items = [side for side in sides if isinstance(side, tuple)]
        made = iter(self._embedder().embed(items) if items else ())
        self._sources |= {"encoded here" if isinstance(side, tuple) else "given" for side in sides}
        vectors = [next(made) if isinstance(side, tuple) else side for side in sides]
        both = list(zip(vectors[0::2], vectors[1::2], strict=True))
        for (number, *_), (first, second) in zip(pairs, both, strict=True):
            if first.shape != second.shape:
                raise InvalidDataError(
                    f"pair {number} compares embeddings of {first.size} and {second.size} numbers; both must come from "
                    "one encoder"
                )
        cosines = np.array([float(cosine_similarity(*pair)) for pair in both])
        if items:
            paired = list(zip(sides[0::2], sides[1::2], strict=True))
            cosines, provenance = self._embedder().decided(paired, vectors, cosines, self._thresholds)
            self._provenance = add_provenance(self._provenance, provenance)
        return list(map(float, cosines))

    def _read(self, value: Any, name: str) -> Item | NDArray[np.float64]:
        found = defer_input(value, name)
        if callable(found):
            return None, found
        label, _, wanted = self._facts()
        if wanted is not None and found.size != wanted:
            raise InvalidDataError(
                f"{name} is an embedding of {found.size} numbers, but {label} gives {wanted}; load the metric "
                "with the encoder that made it, or with encoder='given'"
            )
        return found

    def _embedder(self) -> Embedder:
        if self._made is None:
            device, precision, batch_size = self._settings
            if self._encoder == _GIVEN:
                raise InvalidDataError("encoder='given' takes embeddings only; name an encoder to add pictures")
            if isinstance(self._encoder, str):
                files = find_files(self._encoder, device, precision)
                self._made = _shared(self._encoder, files, device, precision, batch_size, cache_folder())
            else:
                self._made = Embedder(self._encoder, EmbeddingCache(), batch_size)
        return self._made

    def _is_mixed(self) -> bool:
        return self._made is not None and self._made.encoder.fingerprint.get("precision") == "mixed"

    def _facts(self) -> tuple[str, bool, int | None]:
        """Returns the encoder's label, whether it is CLIP, and its dimension where that is known without loading it."""
        encoder = self._encoder if self._made is None else self._made.encoder
        if not isinstance(encoder, str):
            return encoder.label, encoder.is_clip, encoder.dimension
        if encoder == "clip" or encoder.partition("@")[0] == CLIP_REPOSITORY:
            return "CLIP ViT-L/14", True, CLIP_DIMENSION
        return encoder, encoder.startswith("clip:"), None

    def _fingerprint(self, label: str) -> dict[str, str]:
        if self._sources == {"given"}:
            return {"encoder": label, "embeddings": "given"}
        partly = {"embeddings": "partly given"} if "given" in self._sources else {}
        decided = {"as fp32 at": ", ".join(f"{one:g}" for one in self._thresholds)} if self._thresholds else {}
        return {**self._embedder().encoder.fingerprint, **(decided if self._is_mixed() else {}), **partly}

    def _compute(self, predictions: Any, references: Any, per_image: bool = False, **options: Any) -> dict[str, Any]:
        cosines = np.asarray(predictions, dtype=np.float64)
        label, is_clip, _ = self._facts()
        result = self._sum_up(cosines, "clip" if is_clip else "cosine", **options)
        shown = label + (" (embeddings as given)" if "given" in self._sources else "")
        result.update(n=len(cosines), encoder=shown, fingerprint=fingerprint_hash(self._fingerprint(label)))
        if self._is_mixed():
            result["provenance"] = dict(self._provenance)
        self._sources.clear()
        self._provenance = {}
        return {**result, "per_image": (100 * cosines).tolist()} if per_image else result


def _checked(encoder: str | ImageEncoder | None) -> str | ImageEncoder:
    if encoder is None:
        return "clip"
    if isinstance(encoder, str):
        if encoder != _GIVEN:
            check_encoder(encoder)
    elif not isinstance(encoder, ImageEncoder):
        raise UnknownNameError(f"encoder is a {type(encoder).__name__}; give the name of one, or an ImageEncoder")
    return encoder


@lru_cache(maxsize=2)
def _shared(
    spec: str, files: ModelFiles | None, device: str, precision: Precision, batch_size: int, cache: Path
) -> Embedder:
    """One encoder in memory for all metrics of a process, until its files change."""
    return Embedder(build_encoder(spec, files, device, precision), EmbeddingCache(cache / "embeddings"), batch_size)
