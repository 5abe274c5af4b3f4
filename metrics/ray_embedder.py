"""Embeddings that Ray workers make: pictures go to them as files, and vectors come back. Nothing is decoded here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidImageError
from fashionedit.images import pixel_digest, read_image, read_image_file, to_rgb
from fashionedit.runtime.ray_engine import RayEngine, RayWorkers, WorkersLostError
from fashionedit.runtime.shipped_files import ShippedPath, moved

from .cache import EmbeddingCache, Vector
from .embedder import Embedder, Item
from .encoder import ImageEncoder, Precision, fingerprint_hash
from .loading import check_encoder, load_encoder
from .mixed_precision import MixedEncoder

_AHEAD = 2  # requests that are read or stored, for each that is computed

Known = dict[str, dict[str, Vector]]
"""Embeddings by the hash of the encoder's fingerprint, and by the picture's digest."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """Opens a picture on disk whose pixel digest is known, or reads it as it is for another machine."""

    path: Path
    digest: str

    def __call__(self) -> Image.Image:
        """Returns the picture, compared with its digest."""
        return self.sent().open()

    def sent(self) -> SentPicture:
        """Returns the file, to be opened elsewhere."""
        return SentPicture(self.digest, read_image_file(self.path, name=str(self.path)), str(self.path))


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A picture on its way: its digest, the file, the pixels or what draws it, and how messages call it."""

    digest: str
    data: bytes | Image.Image | Callable[[], Image.Image] = field(repr=False)
    name: str = "the image"

    def open(self) -> Image.Image:
        """Returns the picture.

        Raises:
            InvalidImageError: It can't be decoded, or has other pixels than its digest says.
        """
        if isinstance(self.data, Image.Image):
            return self.data
        image = read_image(self.data, name=self.name) if isinstance(self.data, bytes) else self.data()
        if pixel_digest(image) != self.digest:
            raise InvalidImageError(f"{self.name} is another picture than when it was first read; put the old one back")
        return image


def sent_picture(digest: str, opener: Callable[[], Image.Image]) -> SentPicture:
    """Returns what an opener opens, as a file where it can tell (`sent`), else as pixels."""
    sent: Callable[[], SentPicture] | None = getattr(opener, "sent", None)
    return SentPicture(digest, to_rgb(opener())) if sent is None else sent()


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """What a worker tells of an encoder; where it runs need not be the same in all workers.

    Args:
        stored_as: The fingerprints under which embeddings are stored: those of `embed` first, then any others.
    """

    fingerprint: Mapping[str, str]
    stored_as: tuple[Mapping[str, str], ...]
    label: str
    is_clip: bool
    dimension: int
    environment: Mapping[str, str] = field(compare=False)

    @classmethod
    def of(cls, encoder: ImageEncoder) -> EncoderFacts:
        """Returns the facts of an encoder."""
        parts = (encoder.quick, encoder.exact) if isinstance(encoder, MixedEncoder) else (encoder,)
        stored_as = tuple(dict(part.fingerprint) for part in parts)
        return cls(
            dict(encoder.fingerprint),
            stored_as,
            encoder.label,
            encoder.is_clip,
            encoder.dimension,
            dict(encoder.environment),
        )


class SentVectors:
    """In a worker, what stands in the place of the cache: what came with a request, and what it made."""

    def __init__(self) -> None:
        self.known: Known = {}
        self.made: Known = {}

    def begin(self, known: Known) -> None:
        """Takes what came with a request."""
        self.known, self.made = known, {}

    def get(self, fingerprint: Mapping[str, str], digests: Iterable[str], dimension: int) -> dict[str, Vector]:
        """Returns those embeddings that came."""
        have = self.known.get(fingerprint_hash(fingerprint), {})
        return {digest: have[digest] for digest in digests if digest in have}

    def put(self, fingerprint: Mapping[str, str], vectors: Mapping[str, Vector]) -> None:
        """Keeps embeddings for the way back."""
        self.made.setdefault(fingerprint_hash(fingerprint), {}).update(vectors)


class EncoderReplica:
    """The encoder in a worker."""

    def __init__(self, encoder: ImageEncoder) -> None:
        self.vectors = SentVectors()
        self.encoder = encoder

    def facts(self) -> Any:
        """Returns what is the same in all workers."""
        return EncoderFacts.of(self.encoder)

    def embedder(self, encoder: ImageEncoder) -> Embedder:
        """Returns an embedder whose cache is what comes and goes with a request."""
        return Embedder(encoder, cast(EmbeddingCache, self.vectors))

    def embed(self, pictures: Sequence[SentPicture]) -> NDArray[np.float32]:
        """Returns the embeddings (N, D) of the pictures."""
        self.vectors.begin({})
        return self.embedder(self.encoder).embed((picture.digest, picture.open) for picture in pictures)

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Returns the picture as `encode` wants it."""
        return self.encoder.preprocess(image)

    def encode(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the embeddings of preprocessed pictures."""
        return self.encoder.encode(batch)

    def close(self) -> None:
        """Ends nothing: an encoder has no end."""


class RemoteEncoder:
    """An `ImageEncoder` whose replicas are in workers; facts are at hand, and pictures go there one by one."""

    def __init__(self, workers: RayWorkers, facts: EncoderFacts) -> None:
        self._workers = workers
        self.fingerprint = facts.fingerprint
        self.environment = facts.environment
        self.label = facts.label
        self.is_clip = facts.is_clip
        self.dimension = facts.dimension

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Returns the picture as `encode` wants it."""
        array: NDArray[np.float32] = self._workers.ask("preprocess", image)[0]
        return array

    def encode(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the embeddings of preprocessed pictures."""
        vectors: NDArray[np.float32] = self._workers.ask("encode", batch)[0]
        return vectors


class RayEmbedder(Embedder):
    """An embedder whose workers decode, preprocess and encode.

    Args:
        workers: Their replicas are `EncoderReplica`s.
        facts: Of the encoder.
        cache: Where embeddings outlive the process, on this machine.
        batch_size: How many pictures go to a worker together.
    """

    def __init__(
        self, workers: RayWorkers, facts: EncoderFacts, cache: EmbeddingCache | None = None, batch_size: int = 16
    ) -> None:
        super().__init__(RemoteEncoder(workers, facts), cache, batch_size)
        self._stored_as = facts.stored_as[0]
        self.workers = workers

    @classmethod
    def named(
        cls,
        spec: str,
        engine: RayEngine,
        *,
        device: str = "auto",
        precision: Precision = "fp32",
        cache: EmbeddingCache | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> RayEmbedder:
        """Returns the embedder of an encoder that `load_encoder` knows; errors as there, and of `RayWorkers`."""
        check_encoder(spec)
        load = partial(_load, spec, device, precision)
        workers = RayWorkers(engine, load, shipped_encoder(spec), what=f"the encoder {spec}", tell=tell)
        return cls(workers, workers.facts, cache)

    def embed(self, items: Iterable[Item], progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Returns the embeddings (N, D), row i that of item i; see `Embedder.embed`."""
        finished = progress or (lambda count: None)
        order: list[str] = []
        openers: dict[str, Callable[[], Image.Image]] = {}
        for digest, opener in items:
            if digest is None:
                image = to_rgb(opener())
                digest, opener = pixel_digest(image), partial(_same, image)
            order.append(digest)
            openers.setdefault(digest, opener)
        self._recall(openers)
        missing = [digest for digest in openers if digest not in self._known]
        finished(sum(digest in self._known for digest in order))
        counts = {digest: 0 for digest in missing}
        for digest in order:
            if digest in counts:
                counts[digest] += 1
        size = self.batch_size
        parts = [missing[start : start + size] for start in range(0, len(missing), size)]
        for part, rows in in_order(parts, partial(self._embed, openers), _AHEAD * self.workers.count):
            made = dict(zip(part, rows, strict=True))
            self._known.update(made)
            if self.cache is not None:
                self.cache.put(self._stored_as, made)
            finished(sum(counts[digest] for digest in part))
        if not order:
            return np.zeros((0, self.encoder.dimension), dtype=np.float32)
        return np.stack([self._known[digest] for digest in order])

    def _embed(self, openers: Mapping[str, Callable[[], Image.Image]], digests: list[str]) -> NDArray[np.float32]:
        pictures = [sent_picture(digest, openers[digest]) for digest in digests]
        try:
            rows: NDArray[np.float32] = self.workers.ask("embed", pictures)[0]
        except WorkersLostError as error:
            raise InvalidImageError(f"one of {len(digests)} pictures can't be encoded ({error})") from error
        return rows

    def close(self) -> None:
        """Ends the workers."""
        self.workers.close()


def in_order(items: Iterable[Any], work: Callable[[Any], Any], at_once: int) -> Iterable[tuple[Any, Any]]:
    """Yields each item with what the work came to, in their order; so many are under way at the same time."""
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="ray request")
    waiting: deque[tuple[Any, Future[Any]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) >= at_once:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _same(image: Image.Image) -> Image.Image:
    return image


def shipped_encoder(spec: str) -> tuple[ShippedPath, ...]:
    """Returns the folder that holds the encoder, where it is one of this machine's."""
    place = spec.removeprefix("clip:") if spec.startswith("clip:") else spec
    return (ShippedPath.of_path(place, Path(place)),) if Path(place).is_dir() else ()


def placed_encoder(spec: str, places: Mapping[str, str]) -> str:
    """Returns the encoder's name with its place on this machine."""
    head = "clip:" if spec.startswith("clip:") else ""
    return head + str(moved(spec.removeprefix(head), places))


def _load(spec: str, device: str, precision: Precision, places: Mapping[str, str]) -> EncoderReplica:
    """Runs in a worker."""
    return EncoderReplica(load_encoder(placed_encoder(spec, places), device=device, precision=precision))
