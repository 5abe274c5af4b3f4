"""The base of the `evaluate` modules that compare embeddings: which encoder, and what its scores may be called."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.paths import cache_folder

from .cache import EmbeddingCache
from .embedder import Embedder, Item
from .encoder import (
    CLIP_DIMENSION,
    CLIP_REPOSITORY,
    ImageEncoder,
    Precision,
    build_encoder,
    check_encoder,
    find_files,
)
from .fingerprint import fingerprint_hash
from .inputs import defer_input
from .pair_metric import Pair, PairMetric
from .similarity import cosine_similarity
from .weights import ModelFiles

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
        for (number, *_), first, second in zip(pairs, vectors[0::2], vectors[1::2], strict=True):
            if first.shape != second.shape:
                raise InvalidDataError(
                    f"pair {number} compares embeddings of {first.size} and {second.size} numbers; both must come from "
                    "one encoder"
                )
        return [float(cosine_similarity(*pair)) for pair in zip(vectors[0::2], vectors[1::2], strict=True)]

    def _read(self, value: Any, name: str) -> Item | NDArray[np.float64]:
        found = defer_input(value, name)
        if callable(found):
            return None, found
        wanted = self._dimension()
        if wanted is not None and found.size != wanted:
            raise InvalidDataError(
                f"{name} is an embedding of {found.size} numbers, but {self._label()} gives {wanted}; load the metric "
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

    def _dimension(self) -> int | None:
        if self._made is not None:
            return self._made.encoder.dimension
        if not isinstance(self._encoder, str):
            return self._encoder.dimension
        return CLIP_DIMENSION if _is_official(self._encoder) else None

    def _label(self) -> str:
        if self._made is not None:
            return self._made.encoder.label
        if not isinstance(self._encoder, str):
            return self._encoder.label
        return "CLIP ViT-L/14" if _is_official(self._encoder) else self._encoder

    def _is_clip(self) -> bool:
        if self._made is not None:
            return self._made.encoder.is_clip
        if not isinstance(self._encoder, str):
            return self._encoder.is_clip
        return _is_official(self._encoder) or self._encoder.startswith("clip:")

    def _fingerprint(self) -> dict[str, str]:
        if self._sources == {"given"}:
            return {"encoder": self._label(), "embeddings": "given"}
        partly = {"embeddings": "partly given"} if "given" in self._sources else {}
        return {**self._embedder().encoder.fingerprint, **partly}

    def _compute(self, predictions: Any, references: Any, per_image: bool = False, **options: Any) -> dict[str, Any]:
        cosines = np.asarray(predictions, dtype=np.float64)
        result = self._sum_up(cosines, "clip" if self._is_clip() else "cosine", **options)
        label = self._label() + (" (embeddings as given)" if "given" in self._sources else "")
        result.update(n=len(cosines), encoder=label, fingerprint=fingerprint_hash(self._fingerprint()))
        self._sources.clear()
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


def _is_official(spec: str) -> bool:
    return spec == "clip" or spec.partition("@")[0] == CLIP_REPOSITORY


@lru_cache(maxsize=2)
def _shared(
    spec: str, files: ModelFiles | None, device: str, precision: Precision, batch_size: int, cache: Path
) -> Embedder:
    """One encoder in memory for all metrics of a process, until its files change."""
    return Embedder(build_encoder(spec, files, device, precision), EmbeddingCache(cache / "embeddings"), batch_size)
