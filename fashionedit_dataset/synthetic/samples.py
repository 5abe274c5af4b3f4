"""Samples of the synthetic set: which three attributes differ, the boxes that hold what they change, and the words."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.images import crop
from fashionedit.types import Box, Difference, Sample, split_name

from .geometry import HEIGHT, WIDTH, Area, Field
from .rng import number, shuffled, uniform
from .scene import Look, Studio, bounds, unequal
from .wardrobe import GARMENTS, allowed, caption, describe, is_plain, make_look, stage

SMALLEST, LARGEST = 0.0052, 0.195
"""Share of the picture that a box may cover, a little inside the promised 0.5 to 20 %."""

FAINTEST, CLEAR, CLEAR_SHARE = 5.0, 24, 0.085
"""A difference shows at a glance if its box changes by this much on average (0..255), and this share of it clearly."""

Pixels = NDArray[np.uint8]

_ROUND = tuple(GARMENTS)
_BLOCK = 35
_GARMENTS_PER_BLOCK = 28


class Slot(NamedTuple):
    """What stands at an index: a garment, by its number in the split, in one of its colourways."""

    kind: str
    garment: int
    colourway: int  # 0, or 1 where the previous index shows the same garment


class Pair(NamedTuple):
    """A draft and an original, rendered: shape (768, 512, 3), 0..255."""

    look: Look
    changes: tuple[tuple[str, str], ...]  # the draft's values of what differs, in the order of the rounds
    boxes: tuple[Area, ...]  # the smallest rectangles around what each changes
    draft: Pixels
    original: Pixels


@lru_cache(maxsize=64)
def _block(seed: int, split: str, block: int) -> tuple[Slot, ...]:
    kinds: list[str] = []
    for turn in range(_GARMENTS_PER_BLOCK // len(_ROUND)):
        kinds += shuffled(_ROUND, "round", seed, split, block, turn)
    # No garment of the first round has a second colourway, so that the first seven indices show all seven.
    later = shuffled(range(len(_ROUND), _GARMENTS_PER_BLOCK), "twins", seed, split, block)
    twins = later[: _BLOCK - _GARMENTS_PER_BLOCK]
    slots: list[Slot] = []
    for place, kind in enumerate(kinds):
        garment = block * _GARMENTS_PER_BLOCK + place
        slots += [Slot(kind, garment, way) for way in range(2 if place in twins else 1)]
    return tuple(slots)


def slot(index: int, seed: int, split: str) -> Slot:
    """Returns what stands at an index of the split."""
    return _block(seed, split, index // _BLOCK)[index % _BLOCK]


def _photograph(canvas: Field) -> Pixels:
    pixels: Pixels = np.clip(canvas + np.float32(0.5), 0, 255).astype(np.uint8)
    return pixels


@lru_cache(maxsize=1)  # `render_with` asks for one sample's pair several times
def _plan(index: int, seed: int, split: str) -> Pair:
    """Returns the pair at an index: the same whatever was rendered before, and in whatever process.

    Raises:
        InvalidDataError: The index is below 0.
    """
    if index < 0:
        raise InvalidDataError(f"index is {index}; the first sample is 0")
    here = slot(index, seed, split)
    garment = f"{split} {seed} {here.kind} {here.garment}"
    for again in range(8):
        search = _Search(make_look(here.kind, garment, here.colourway, again))
        for attempt in range(12):
            pair = search.differ((garment, here.colourway, attempt))
            if pair is not None:
                return pair
    raise RuntimeError(f"no three differences fit on {garment}; its wardrobe holds too little that shows")


class _Search:
    """Looks for three differences of one original, and remembers what each of them changes."""

    def __init__(self, look: Look) -> None:
        self._look, self._studio = look, Studio()
        self._scene = stage(look, look.design)
        self._canvas = self._studio.canvas(self._scene)
        self._original = _photograph(self._canvas)
        self._boxes: dict[tuple[str, str], Area | None] = {}

    def differ(self, name: tuple[object, ...]) -> Pair | None:
        """Returns a pair with the first three differences, in an order by name, that can stand side by side."""
        look = self._look
        changes: list[tuple[str, str]] = []
        boxes: list[Area] = []
        for change in _candidates(look, name):
            draft = {**look.design, **dict([*changes, change])}
            if change[0] in dict(changes) or not allowed(look.kind, draft):
                continue
            box = self._box(change)
            if box is None or any(_touch(box, taken) for taken in boxes):
                continue
            changes.append(change)
            boxes.append(box)
            if len(changes) == 3:
                pair = self._verified(tuple(changes))
                if pair is not None:
                    return pair
                changes.pop()
                boxes.pop()
        return None

    def _box(self, change: tuple[str, str]) -> Area | None:
        if change not in self._boxes:
            scene = stage(self._look, {**self._look.design, change[0]: change[1]})
            other = _photograph(self._studio.canvas(scene, (self._scene, self._canvas)))
            self._boxes[change] = _visible_box(other, self._original)
        return self._boxes[change]

    def _verified(self, changes: tuple[tuple[str, str], ...]) -> Pair | None:
        """Returns the pair if on the draft, too, each difference alone changes its own box and nothing else."""
        look = self._look
        drafted = {**look.design, **dict(changes)}
        scene = stage(look, drafted)
        canvas = self._studio.canvas(scene, (self._scene, self._canvas))
        draft = _photograph(canvas)
        boxes: list[Area] = []
        for attribute, _ in changes:
            alone = stage(look, {**drafted, attribute: look.design[attribute]})
            box = _visible_box(draft, _photograph(self._studio.canvas(alone, (scene, canvas))))
            if box is None or any(_touch(box, taken) for taken in boxes):
                return None
            boxes.append(box)
        outside = np.ones((HEIGHT, WIDTH), bool)
        for left, top, right, bottom in boxes:
            outside[top:bottom, left:right] = False
        if unequal(draft, self._original)[outside].any():
            return None
        return Pair(look, changes, tuple(boxes), draft, self._original)


def _candidates(look: Look, name: tuple[object, ...]) -> list[tuple[str, str]]:
    found: list[tuple[float, tuple[str, str]]] = []
    for attribute, values in GARMENTS[look.kind].attributes.items():
        own = look.design[attribute]
        others = [value for value in values if value != own]
        if attribute == "buttons" and look.kind == "Blazer":
            others = [value for value in others if value.split()[0] == own.split()[0]]
        late = uniform(0, 1, *name, attribute) + (0.7 if is_plain(own) else 0.0)
        for turn, value in enumerate(shuffled(others, *name, attribute, "values")):
            found.append((late + 0.4 * turn, (attribute, value)))
    return [candidate for _, candidate in sorted(found)]


def _visible_box(draft: Pixels, original: Pixels) -> Area | None:
    box = bounds(unequal(draft, original))
    if box is None:
        return None
    left, top, right, bottom = box
    if not SMALLEST <= (right - left) * (bottom - top) / (WIDTH * HEIGHT) <= LARGEST:
        return None
    far = np.abs(draft[top:bottom, left:right].astype(np.int16) - original[top:bottom, left:right])
    if far.mean() < FAINTEST or (far.max(axis=2) > CLEAR).mean() < CLEAR_SHARE:
        return None
    return box


def _touch(one: Area, two: Area) -> bool:
    return one[0] < two[2] + 1 and two[0] < one[2] + 1 and one[1] < two[3] + 1 and two[1] < one[3] + 1


def garment_number(seed: int, split: str, garment: int) -> str:
    """Returns the garment's id of 8 digits; its first digit tells the split."""
    lead = 1 if split == "train" else 2
    return f"{lead}{(garment * 7_654_321 + number('garment', seed, split)) % 10_000_000:07d}"


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
    split = split_name(split)
    pair = _plan(index, seed, split)
    look, name = pair.look, f"synthetic-{seed}-{split}-{index:05d}"
    original = Image.fromarray(pair.original)
    differences = []
    for (attribute, _), area in zip(pair.changes, pair.boxes, strict=True):
        box = Box.from_pixels(*area, width=WIDTH, height=HEIGHT)
        words = describe(look, attribute, look.design[attribute])
        differences.append(Difference(words, box, crop(original, box)))
    return Sample(
        id=name,
        annotation=caption(look, look.design, list(dict(pair.changes)), name),
        draft=Image.fromarray(pair.draft),
        original=original,
        differences=tuple(differences),
        gender=look.gender,
        category=look.kind,
        garment_id=garment_number(seed, split, slot(index, seed, split).garment),
        view="flat",
    )


def render_with(
    index: int, *, seed: int = 0, split: str = "validation", differences: Collection[int] = ()
) -> Image.Image:
    """Returns the draft with just these differences (0, 1, 2) applied, drawn from scratch; all three are the original.

    Raises:
        InvalidDataError: The index is below 0, or a difference is none of 0, 1, 2.
        UnknownNameError: No split has this name.
    """
    pair = _plan(index, seed, split_name(split))
    unknown = sorted(set(differences) - set(range(len(pair.changes))))
    if unknown:
        raise InvalidDataError(f"difference {unknown[0]} does not exist; the differences are 0, 1 and 2")
    drafted = {attribute: value for k, (attribute, value) in enumerate(pair.changes) if k not in differences}
    scene = stage(pair.look, {**pair.look.design, **drafted})
    return Image.fromarray(_photograph(Studio().canvas(scene)))
