"""Samples of the synthetic set, one by one or many at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.images import crop
from fashionedit.types import Box, Difference, Sample, split_name

from .pairs import Pair, combined, garment_number, photograph, plan, slot
from .raster import HEIGHT, WIDTH
from .scene import Studio
from .wardrobe import stage
from .wording import caption, describe
from .workers import default_workers, rendered


def synthetic_sample(index: int, *, seed: int = 0, split: str = "validation") -> Sample:
    """Returns the sample at an index: the same pixels and words in every process.

    Garments of `train` and `validation` differ. About every fifth index shows the garment of the index before in
    another colourway, with the same `garment_id` and differences of its own.

    Args:
        index: 0 or above; there is no last one.
        seed: Another seed is another set.
        split: `train` or `validation` (`val`).

    Raises:
        InvalidDataError: The index is below 0.
        UnknownNameError: No split has this name.
    """
    split = _checked(index, split)
    pair = plan(index, seed, split)
    name = f"synthetic-{seed}-{split}-{index:05d}"
    original = Image.fromarray(pair.original)
    differing = [attribute for attribute, _ in pair.changes]
    return Sample(
        id=name,
        annotation=caption(pair.look, pair.design, differing, name),
        draft=Image.fromarray(pair.draft),
        original=original,
        differences=tuple(_difference(pair, k, original) for k in range(len(pair.changes))),
        gender=pair.look.gender,
        category=pair.look.kind,
        garment_id=garment_number(seed, split, slot(index, seed, split).garment),
        view="flat",
    )


def synthetic_samples(
    count: int, *, seed: int = 0, split: str = "validation", workers: int | None = None
) -> Iterator[Sample]:
    """Yields the first `count` samples in order; how many processes render them changes nothing but the time.

    Args:
        count: How many.
        seed, split: As for `synthetic_sample`.
        workers: Processes beside this one; 1 renders in this process alone, None takes one per processor, 8 at most.

    Raises:
        InvalidDataError: The count or the number of workers is too small.
        UnknownNameError: No split has this name.
    """
    if count < 0:
        raise InvalidDataError(f"count is {count}; ask for 0 samples or more")
    if workers is not None and workers < 1:
        raise InvalidDataError(f"workers is {workers}; use 1 or more, or None for one per processor")
    split = split_name(split)
    processes = min(default_workers() if workers is None else workers, max(count, 1))
    if processes == 1:
        return (synthetic_sample(index, seed=seed, split=split) for index in range(count))
    return rendered(count, seed, split, processes)


def render_with(
    index: int, *, seed: int = 0, split: str = "validation", differences: Collection[int] = ()
) -> Image.Image:
    """Returns the draft with just these differences (0, 1, 2) applied, drawn from scratch; all three are the original.

    Raises:
        InvalidDataError: The index is below 0, or a difference is none of 0, 1, 2.
        UnknownNameError: No split has this name.
    """
    split = _checked(index, split)
    pair = plan(index, seed, split)
    unknown = sorted(set(differences) - set(range(len(pair.changes))))
    if unknown:
        raise InvalidDataError(f"difference {unknown[0]} does not exist; the differences are 0, 1 and 2")
    scene = stage(pair.look, combined(pair, differences))
    return Image.fromarray(photograph(Studio().canvas(scene)))


def _checked(index: int, split: str) -> str:
    if index < 0:
        raise InvalidDataError(f"index is {index}; the first sample is 0")
    return split_name(split)


def _difference(pair: Pair, k: int, original: Image.Image) -> Difference:
    attribute, _ = pair.changes[k]
    box = Box.from_pixels(*pair.boxes[k], width=WIDTH, height=HEIGHT)
    return Difference(describe(pair.look, attribute, pair.design[attribute]), box, crop(original, box))
