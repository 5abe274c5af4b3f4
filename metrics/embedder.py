"""From pictures to embeddings: decoded ahead in threads, encoded in batches, each picture once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.images import pixel_digest, to_rgb

from .cache import EmbeddingCache, Vector
from .encoder import ImageEncoder, decoder_count
from .mixed_precision import Margin, MixedEncoder, Similarities
from .similarity import cosine_similarity

Item = tuple[str | None, Callable[[], Image.Image]]
"""A picture: its `pixel_digest` if it is known, and what opens it."""

Side = Item | NDArray[np.floating]
"""One of two that are compared: a picture, or an embedding that is there already."""


_MOST_KNOWN = 4096  # embeddings kept in memory from one call to the next where a cache has them too: 12 MB with CLIP

_Prepared = tuple[str, NDArray[np.float32] | None]
"""The digest, and the preprocessed picture unless its embedding is there already."""


class Embedder:
    """Turns pictures into embeddings, and remembers every one it has made: in memory, or in the cache if it has one.

    Args:
        encoder: What encodes; a `MixedEncoder` in bf16, and in fp32 what `similarities` has to decide.
        cache: Where embeddings outlive the process; None keeps them in memory only (3 kB a picture with CLIP).
        batch_size: How many pictures are encoded together. It moves a cosine by 1e-7.
        decoders: How many threads open and preprocess pictures while the encoder works; None for `decoder_count`.

    Raises:
        InvalidDataError: A number is below 1.
    """

    def __init__(
        self,
        encoder: ImageEncoder,
        cache: EmbeddingCache | None = None,
        batch_size: int = 16,
        decoders: int | None = None,
    ) -> None:
        decoders = decoder_count() if decoders is None else decoders
        if batch_size < 1 or decoders < 1:
            raise InvalidDataError(f"batch_size is {batch_size} and decoders {decoders}; both must be at least 1")
        self.encoder = encoder
        self.cache = cache
        self.batch_size = batch_size
        self.decoders = decoders
        self._quick = encoder.quick if isinstance(encoder, MixedEncoder) else encoder
        self._stored_as = self._quick.fingerprint
        self._exact: Embedder | None = None
        if isinstance(encoder, MixedEncoder):
            self._exact = Embedder(encoder.exact, cache, batch_size, decoders)
        self._margin = Margin()
        self._known: dict[str, Vector] = {}
        self._lock = Lock()

    def embed(self, items: Iterable[Item], progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Returns the embeddings (N, D), row i that of item i, each of length 1.

        A picture whose digest is given and whose embedding is known is never opened; one without a digest is opened
        and digested first. Equal pictures are encoded once. Items are taken as they are needed, so a generator may
        open files lazily.

        Args:
            items: Pairs of digest (or None) and opener. An opener may run in another thread.
            progress: Called with the number of pictures that were just finished; the numbers add up to N.

        Raises:
            InvalidImageError: A picture can't be preprocessed. What an opener raises is passed on; what was encoded
                before stays known.
        """
        finished = progress or (lambda count: None)
        if self.cache is not None and len(self._known) > _MOST_KNOWN:
            self._known.clear()  # the cache has them
        order: list[str] = []
        waiting: dict[str, NDArray[np.float32]] = {}  # insertion order is encoding order
        owed = 0  # items that `waiting` finishes, repetitions included
        pool = ThreadPoolExecutor(self.decoders, thread_name_prefix="decode")
        try:
            for digest, pixels in self._prepared(pool, items):
                order.append(digest)
                if digest in self._known:
                    finished(1)
                    continue
                if pixels is not None:
                    waiting.setdefault(digest, pixels)
                owed += 1
                if len(waiting) == self.batch_size:
                    self._encode(waiting)
                    finished(owed)
                    waiting, owed = {}, 0
            if waiting:
                self._encode(waiting)
                finished(owed)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        if not order:
            return np.zeros((0, self.encoder.dimension), dtype=np.float32)
        return np.stack([self._known[digest] for digest in order])

    def forget(self) -> None:
        """Forgets the embeddings that it has in memory."""
        self._known.clear()
        if self._exact is not None:
            self._exact.forget()

    def similarities(self, pairs: Sequence[tuple[Item, Item]], thresholds: Sequence[float] = ()) -> Similarities:
        """Returns the cosine similarity of each pair of pictures, -1..1, and how it was computed.

        Args:
            pairs: Two pictures each; arguments and errors as for `embed`.
            thresholds: In mixed precision each cosine is on fp32's side of each of them.
        """
        vectors = self.embed(side for pair in pairs for side in pair)
        return self.decided(pairs, list(vectors), cosine_similarity(vectors[0::2], vectors[1::2]), thresholds)

    def decided(
        self,
        pairs: Sequence[tuple[Side, Side]],
        vectors: Sequence[NDArray[np.floating]],
        cosines: NDArray[np.float64],
        thresholds: Sequence[float],
    ) -> Similarities:
        """Returns the cosines of pairs; in mixed precision those near a threshold are computed again in fp32.

        Args:
            vectors: The embeddings that `embed` gave, two for each pair; those of a pair stand together.
            cosines: Of these, (N,).
        """
        exact, margin = self._exact, self._margin
        if exact is None:
            return Similarities(cosines, self.encoder.environment)
        sides = [side for pair in pairs for side in pair]
        distinct = {side[0] or place: place for place, side in enumerate(sides) if isinstance(side, tuple)}
        if margin.wanted > 0 and distinct:
            chosen = _spread(list(distinct.values()), margin.wanted)
            margin.add([vectors[place] for place in chosen], list(exact.embed(_items(sides, chosen))))
        cosines, redone = margin.corrected(cosines), np.zeros(len(cosines), dtype=np.bool_)
        while (near := margin.is_near(cosines, thresholds) & ~redone).any():  # what is seen may widen the margin
            places = [place for pair in np.flatnonzero(near).tolist() for place in (2 * pair, 2 * pair + 1)]
            made = iter(exact.embed(_items(sides, places)))
            rows = [next(made) if isinstance(sides[place], tuple) else vectors[place] for place in places]
            values = np.array([float(cosine_similarity(*both)) for both in zip(rows[0::2], rows[1::2], strict=True)])
            margin.saw(values - cosines[near])
            cosines[near] = values
            redone |= near
        return Similarities(cosines, {**self.encoder.environment, **margin.facts(len(cosines), int(redone.sum()))})

    def _prepared(self, pool: ThreadPoolExecutor, items: Iterable[Item]) -> Iterator[_Prepared]:
        ahead: deque[Future[_Prepared] | _Prepared] = deque()
        depth = self.batch_size + self.decoders
        iterator = iter(items)
        opening: set[str] = set()
        while chunk := list(islice(iterator, depth)):
            self._recall(digest for digest, _ in chunk if digest is not None)
            for digest, opener in chunk:
                if digest is not None and (digest in self._known or digest in opening):
                    ahead.append((digest, None))
                else:
                    if digest is not None:
                        opening.add(digest)
                    ahead.append(pool.submit(self._prepare, digest, opener))
                while len(ahead) > depth:
                    yield _result(ahead.popleft())
        while ahead:
            yield _result(ahead.popleft())

    def _prepare(self, digest: str | None, opener: Callable[[], Image.Image]) -> _Prepared:
        image = to_rgb(opener())
        if digest is None:
            digest = pixel_digest(image)
            self._recall((digest,))
        if digest in self._known:
            return digest, None
        return digest, self._quick.preprocess(image)

    def _recall(self, digests: Iterable[str]) -> None:
        wanted = {digest for digest in digests if digest not in self._known}
        if self.cache is not None and wanted:
            with self._lock:
                self._known.update(self.cache.get(self._stored_as, wanted, self._quick.dimension))

    def _encode(self, waiting: dict[str, NDArray[np.float32]]) -> None:
        rows = self._quick.encode(np.stack(list(waiting.values())))
        made = dict(zip(waiting, rows, strict=True))
        self._known.update(made)
        if self.cache is not None:
            with self._lock:
                self.cache.put(self._stored_as, made)


def _result(entry: Future[_Prepared] | _Prepared) -> _Prepared:
    return entry.result() if isinstance(entry, Future) else entry


def _items(sides: Sequence[Side], places: Iterable[int]) -> Iterator[Item]:
    return (side for side in (sides[place] for place in places) if isinstance(side, tuple))


def _spread(places: Sequence[int], most: int) -> Sequence[int]:
    """Returns at most so many of the places, evenly over all of them."""
    return places if len(places) <= most else [places[at * len(places) // most] for at in range(most)]
