"""Both numbers of a pair of pictures, each picture opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.images import ImageCache, to_rgb

from .bilinear import resize_area, resize_bilinear
from .embedder import Embedder, Item
from .similarity import PSNR_SIZE, cosine_similarity, peak_signal_noise_ratio

_PAIRS_AT_ONCE = 64
_MAX_BYTES = 50_000_000  # of resized pictures: 127 of them

_Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PairScores:
    """How near a result is to its original: cosine similarity of the embeddings, -1..1, and PSNR, dB.

    Args:
        antialiased: PSNR as `antialiased_psnr` gives it, dB.
    """

    cosine_similarity: float
    psnr: float
    antialiased: float


def score_pairs(
    pairs: Iterable[tuple[Item, Item]], embedder: Embedder, progress: Callable[[int], None] | None = None
) -> Iterator[PairScores]:
    """Yields the scores of (result, original) pairs, in their order.

    A picture is decoded once for both numbers. One whose embedding is known is opened for PSNR alone, and not even
    for that while its resized pixels are remembered: put pairs with one original next to each other.

    Args:
        pairs: Two pictures each, as `Embedder.embed` takes them.
        embedder: Gives the embeddings.
        progress: Called with the number of pairs whose embeddings were just finished; the numbers add up to all.

    Raises:
        InvalidImageError: A picture can't be read.
    """
    kept = _Resized()
    iterator = enumerate(pairs)
    with ThreadPoolExecutor(embedder.decoders, thread_name_prefix="resize") as pool:
        while chunk := list(islice(iterator, _PAIRS_AT_ONCE)):
            items = [
                (digest or f"pair {number}, {side}", digest, opener)
                for number, pair in chunk
                for side, (digest, opener) in zip(("result", "original"), pair, strict=True)
            ]
            opened = ((digest, partial(kept.open, key, opener)) for key, digest, opener in items)
            vectors = embedder.embed(opened, progress and _in_pairs(progress))
            cosines = cosine_similarity(vectors[0::2], vectors[1::2])
            pixels = list(pool.map(lambda item: kept.pixels(item[0], item[2]), items))
            for cosine, first, second in zip(cosines, pixels[0::2], pixels[1::2], strict=True):
                psnr, averaged = map(peak_signal_noise_ratio, first, second)
                yield PairScores(float(cosine), psnr, averaged)


def psnr_of_pairs(pairs: Iterable[tuple[Item, Item]], decoders: int = 2) -> Iterator[tuple[float, float]]:
    """Yields PSNR and antialiased PSNR, dB, of (result, original) pairs, in their order; needs no encoder.

    Args:
        pairs: As for `score_pairs`.
        decoders: How many threads open pictures.

    Raises:
        InvalidImageError: A picture can't be read.
    """
    kept = _Resized()

    def pixels(item: tuple[str, Item]) -> tuple[_Pixels, _Pixels]:
        place, (digest, opener) = item
        return kept.pixels(digest or place, opener)

    iterator = enumerate(pairs)
    with ThreadPoolExecutor(decoders, thread_name_prefix="resize") as pool:
        while chunk := list(islice(iterator, _PAIRS_AT_ONCE)):
            first = pool.map(pixels, [(f"pair {number}, result", result) for number, (result, _) in chunk])
            second = pool.map(pixels, [(f"pair {number}, original", original) for number, (_, original) in chunk])
            for mine, theirs in zip(first, second, strict=True):
                psnr, averaged = map(peak_signal_noise_ratio, mine, theirs)
                yield psnr, averaged


def _in_pairs(progress: Callable[[int], None]) -> Callable[[int], None]:
    pictures = 0

    def count(finished: int) -> None:
        nonlocal pictures
        before, pictures = pictures // 2, pictures + finished
        if pictures // 2 > before:
            progress(pictures // 2 - before)

    return count


class _Resized:
    """The last pictures that were opened, at the size in which PSNR compares them."""

    def __init__(self) -> None:
        self._pixels: ImageCache[tuple[_Pixels, _Pixels]] = ImageCache(_MAX_BYTES)

    def open(self, key: str, opener: Callable[[], Image.Image]) -> Image.Image:
        """Returns the opened picture, and keeps its pixels."""
        image = opener()
        self._keep(key, image)
        return image

    def pixels(self, key: str, opener: Callable[[], Image.Image]) -> tuple[_Pixels, _Pixels]:
        """Returns the pixels (256, 256, 3), sampled and averaged, from memory if the picture was opened lately."""
        return self._pixels.get(key) or self._keep(key, opener())

    def _keep(self, key: str, image: Image.Image) -> tuple[_Pixels, _Pixels]:
        whole = np.asarray(to_rgb(image))
        pixels = resize_bilinear(whole, PSNR_SIZE), resize_area(whole, PSNR_SIZE)
        self._pixels.put(key, pixels, sum(part.nbytes for part in pixels))
        return pixels
