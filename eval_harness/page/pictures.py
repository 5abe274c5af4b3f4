"""The pictures of the page: their size and encoding, and which ones a publishable page leaves out."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache

from PIL import Image, features

from fashionedit.eval_harness.scores.result_models import Row, RowSamples
from fashionedit.images import to_rgb

FILE_BUDGET = 8_000_000
"""Encoded bytes of all pictures of a page in one file; as text in the page they take a third more."""

FOLDER_BUDGET = 400_000_000
"""The same for a page in a folder, where only the pictures on the screen are loaded."""

_LARGEST = 14_000  # bytes of one picture in a folder: about 420 pixels of a garment's photograph
_SIDES = (180, 720)  # the least and the most, pixels
_QUALITIES = (80, 68, 55, 40, 25)
_TYPICAL = 0.11  # bytes a pixel of a garment's photograph at the first quality

Shown = tuple[int, int, int]
"""A picture in the page: its place among its sample's, and its width and height in pixels."""


@dataclass(frozen=True, slots=True)
class PictureSize:
    """The longest side of a page's pictures, pixels, and the most bytes that one may take."""

    side: int
    most: int


def picture_size(count: int, *, folder: bool = False) -> PictureSize:
    """Returns how large each of `count` pictures may be: the more, the smaller."""
    share = (FOLDER_BUDGET if folder else FILE_BUDGET) // max(count, 1)
    if folder:
        share = min(share, _LARGEST)
    side = int((share / (0.7 * _TYPICAL)) ** 0.5)  # a garment's photograph is about 0.7 times as wide as it is high
    return PictureSize(min(max(side, _SIDES[0]), _SIDES[1]), share)


class SamplePictures:
    """The pictures of one sample, each encoded once, however often the page shows it."""

    def __init__(self, size: PictureSize) -> None:
        self._size = size
        self._found: dict[str, Shown] = {}
        self.encoded: list[str] = []

    def add(self, digest: str, open: Callable[[], Image.Image], *, side: int | None = None) -> Shown:
        """Returns the picture with this pixel digest, at most `side` pixels long; it is opened where it is new.

        What would take more than its share is encoded at lower quality, then smaller.
        """
        if digest not in self._found:
            small = to_rgb(open()).copy()
            small.thumbnail((side or self._size.side,) * 2, Image.Resampling.LANCZOS, reducing_gap=3.0)
            self._found[digest] = (len(self.encoded), small.width, small.height)
            self.encoded.append(base64.b64encode(_within(small, self._size.most)).decode("ascii"))
        return self._found[digest]


@cache
def image_format() -> str:
    """Returns `WEBP` where this Pillow writes it, else `JPEG`."""
    return "WEBP" if features.check("webp") else "JPEG"


def _within(image: Image.Image, most: int) -> bytes:
    data = b""
    for scale in (1, 2, 4):
        smaller = image if scale == 1 else image.resize((max(image.width // scale, 1), max(image.height // scale, 1)))
        for quality in _QUALITIES:
            data = _bytes(smaller, quality)
            if len(data) <= most:
                return data
    return data


def _bytes(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    options = {"method": 2} if image_format() == "WEBP" else {"optimize": True}
    image.save(buffer, image_format(), quality=quality, **options)
    return buffer.getvalue()


LEAK_MARGIN = 25.0
"""An output is left out where it holds this many points more of the reference, %, than the picture before it does."""

WITHHELD = {
    "original": "Original left out: not ours to pass on",
    "caption": "Caption left out: not ours to pass on",
    "reference": "Reference left out: part of the original",
    "told": "Picture left out: this method shows the reference or the original",
    "copy": "Picture left out: pixel for pixel a picture of the dataset",
    "alike": "Picture left out: shows a photograph of the dataset, or was made from a draft that does",
    "leak": "Picture left out: it holds pixels of the reference",
    "unchecked": "Picture left out: not measured for pixels of the reference",
    "damaged": "Picture left out: its file is damaged",
}
"""What a page writes in the place of what it leaves out, by the reason; all but `damaged` where it may be passed on."""


def withheld_output(row: Row, samples: RowSamples, place: int, digest: str, kept: Collection[str]) -> str | None:
    """Returns why (a key of `WITHHELD`) an output may not be passed on; None where it may.

    Whatever a baseline or a privileged editor made is left out, and so is any picture of the dataset but the draft. The
    rest must have been measured: what holds `LEAK_MARGIN` points more of its round's reference than the picture before
    it, or was never measured, stays out too. As a round is measured against the one before, a picture that is left out
    takes those of the later rounds with it; the caller sees to that. A round without a picture of its own shows an
    earlier one, which is asked about under its own round.

    Args:
        place: The sample's, in the order of the results.
        digest: The output's pixel digest.
        kept: The digests of the sample's original and references of every kind.
    """
    if row.kind != "editor" or row.privileged:
        return "told"
    if digest in kept:
        return "copy"
    leak = samples.measures["leak"][place] if "leak" in samples.measures else None
    if leak is None:
        return "unchecked"
    return "leak" if leak >= LEAK_MARGIN else None
