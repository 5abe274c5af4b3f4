"""What the pictures tell that came back: what moved them, their size, their file, what they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from fashionedit.images import pixel_digest

from .examination import Examination, Observed
from .findings import Finding
from .tried_editor import levels_apart

_SHAPE = 0.05  # how far apart two aspects are that are not the same, as a share
_CHANCE = 1.5  # so many times the difference of a mere repetition is no chance
_DARK = 8  # levels, 0..255
_CELLS, _SAME = 64, 8  # cells a side, and levels


def influence(found: Examination) -> Iterator[Finding]:
    """Yields the findings about what reference and instruction change, and whether a seed repeats."""
    if found.again is None:
        return
    first = found.first
    repeated = apart(first, found.again)
    for name, other, what in (
        ("reference", found.other_reference, "reference image"),
        ("instruction", found.other_words, "instruction"),
    ):
        if other is not None:
            yield _changes(name, what, apart(first, other), repeated)
    if repeated is None:
        yield Finding("seed", "note", "Whether a seed repeats can't be told: one of the two answers is no picture.")
    elif repeated == 0:
        yield Finding("seed", "ok", "The same request with the same seed gives the same picture.")
    else:
        yield Finding(
            "seed",
            "note",
            f"The same request with the same seed gives another picture ({repeated:.1f} of 255 levels apart on "
            "average), so that a run can't be repeated exactly; repeat it to know its spread.",
        )


def _changes(name: str, what: str, apart: float | None, repeated: float | None) -> Finding:
    if apart is None or repeated is None:
        return Finding(name, "note", f"Whether the {what} matters can't be told: one of the answers is no picture.")
    if apart == 0:
        return Finding(name, "problem", f"Another {what} gives the very same picture: it is not looked at.")
    if repeated and apart < _CHANCE * repeated:
        return Finding(
            name,
            "note",
            f"Another {what} changes the picture by {apart:.1f} levels on average, mere repetition by {repeated:.1f}: "
            "not to be told from chance with one sample.",
        )
    return Finding(name, "ok", f"Another {what} changes the picture ({_levels(apart)}).")


def size(found: Examination) -> Iterator[Finding]:
    """Yields the findings about the pictures' size beside that of their bases."""
    good = [observed for observed in found.all_rounds if observed.given is not None and observed.image is not None]
    if not good:
        return
    other = [observed for observed in good if _returned(observed) != observed.request.base.size]
    if not other:
        yield Finding("size", "ok", f"Pictures come back in the size of their base ({_dimensions(good[0])}).")
        return
    worst = max(other, key=lambda observed: _off(_returned(observed), observed.request.base.size))
    base, returned = worst.request.base.size, _returned(worst)
    told = f"{base[0]}×{base[1]} pixels come back as {returned[0]}×{returned[1]}"
    if _off(returned, base) <= _SHAPE:
        yield Finding("size", "note", f"{told}; a run keeps that size, or resizes with --size base.")
    elif any(_off(returned, reference.size) <= _SHAPE for reference in worst.request.references):
        yield Finding(
            "size", "problem", f"{told}, the shape of the reference; give the model the base image's width and height."
        )
    else:
        yield Finding(
            "size",
            "note",
            f"{told}, another shape: cut or squeezed pictures score lower. A run keeps that size, or squeezes back "
            "with --size base.",
        )


def file(found: Examination) -> Iterator[Finding]:
    """Yields the findings about transparency, other modes and EXIF orientation."""
    surprises: dict[str, Finding] = {}
    for observed in found.answered:
        image = observed.given.image if observed.given is not None else None
        if image is None:
            continue
        turned = image.getexif().get(ExifTags.Base.Orientation, 1)
        if turned not in (0, 1):
            surprises["exif"] = Finding(
                "exif",
                "problem",
                f"The picture carries EXIF orientation {turned}, which nobody applies to an image that an editor "
                "returns; return PIL.ImageOps.exif_transpose(image).",
            )
        if observed.image is not None and image.has_transparency_data:
            surprises["alpha"] = Finding(
                "alpha",
                "note",
                f"The picture has transparency (mode {image.mode}), which is laid on white; return RGB if something "
                "else is meant.",
            )
        elif observed.image is not None and image.mode != "RGB":
            surprises["mode"] = Finding("mode", "note", f"The picture has mode {image.mode}; it is made RGB.")
    if surprises:
        yield from surprises.values()
    elif any(observed.image for observed in found.answered):
        yield Finding("file", "ok", "Pictures come as RGB, without transparency or EXIF orientation.")


def content(found: Examination) -> Iterator[Finding]:
    """Yields the findings about pictures that are black, of one colour, unchanged, or the reference."""
    good = [(observed, observed.image) for observed in found.all_rounds if observed.image is not None]
    kinds: Counter[str] = Counter()
    for observed, image in good:
        digest, base, references = pixel_digest(image), observed.request.base, observed.request.references
        ranges: Any = image.getextrema()
        if all(high <= _DARK for _, high in ranges):
            kinds["black"] += 1
        elif all(low == high for low, high in ranges):
            kinds["of one colour"] += 1
        elif digest == pixel_digest(base):
            kinds["the base image, unchanged"] += 1
        elif digest in map(pixel_digest, references):
            kinds["the reference itself"] += 1
        elif _shows_the_same(image, base):
            kinds["the base image, unchanged but for its encoding"] += 1
        elif any(_shows_the_same(image, reference) for reference in references):
            kinds["the reference itself, encoded anew"] += 1
    for kind, count in kinds.items():
        yield Finding("content", "problem", f"{count} of {len(good)} pictures {'is' if count == 1 else 'are'} {kind}.")
    if good and not kinds:
        yield Finding("content", "ok", "No picture is black, of one colour, its base unchanged, or its reference.")


def _shows_the_same(image: Image.Image, other: Image.Image) -> bool:
    """Returns whether two pictures differ by no more than a codec or a resizing makes them differ.

    Means of up to 64 × 64 cells are compared: a codec moves them by a few levels, an edit moves some of them by more.
    """
    width, height = (
        max(1, min(_CELLS, *(side // 8 for side in sides))) for sides in zip(image.size, other.size, strict=True)
    )
    small = (picture.resize((width, height), Image.Resampling.BOX) for picture in (image, other))
    one, two = (np.asarray(picture, np.int16) for picture in small)
    return int(np.abs(one - two).max()) <= _SAME


def apart(one: Observed, other: Observed) -> float | None:
    """Returns the mean difference in levels; infinite for other sizes, None where a picture is missing."""
    if one.image is None or other.image is None:
        return None
    levels = levels_apart(one.image, other.image)
    return float("inf") if levels is None else levels


def _levels(apart: float) -> str:
    return "another size" if apart == float("inf") else f"by {apart:.1f} of 255 levels on average"


def _returned(observed: Observed) -> tuple[int, int]:
    assert observed.given is not None
    assert observed.given.size is not None
    return observed.given.size


def _dimensions(observed: Observed) -> str:
    return "×".join(map(str, observed.request.base.size))


def _off(one: tuple[int, int], other: tuple[int, int]) -> float:
    ratio = (one[0] * other[1]) / (one[1] * other[0])
    return max(ratio, 1 / ratio) - 1
