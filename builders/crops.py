"""Stage `crop`: cuts the boxes out of the original, checks the crops, and draws sketches of them on request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidImageError, MissingExtraError
from fashionedit.images import crop, pixel_digest, read_image, to_rgb
from fashionedit.parallel import map_in_order
from fashionedit.rows import stored_box
from fashionedit.runtime.progress import Progress

from .photos import Photo
from .stage_store import StageRecord, StageStore, stage_key

MIN_CROP_SIDE = 8
"""Pixels; a narrower crop shows nothing that an editor could take over."""


def cut_crops(
    items: Iterable[Photo],
    store: StageStore,
    *,
    sketches: bool = False,
    workers: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Iterator[Photo]:
    """Yields the pairs whose three crops are large enough, in their order, with sketches where these are wanted.

    Raises:
        InvalidImageError: An original can't be read any more, or is another picture than it was.
    """
    todo = list(items)
    records = map_in_order(partial(_cut, store, sketches), todo, workers=workers)
    for done, (item, record) in enumerate(zip(todo, records, strict=True), 1):
        progress(done, len(todo))
        if record.status == "kept":
            yield replace(item, sketches=tuple(map(store.image_path, record.data["sketches"])))


def _cut(store: StageStore, sketches: bool, photo: Photo) -> StageRecord:
    boxes = [stored_box(box.box_2d) for _, box in photo.differences]
    key = stage_key(
        "crop",
        original=photo.digest,
        boxes=[list(box.box_2d) for box in boxes],
        sketch=SKETCH_VERSION if sketches else None,
    )
    if (found := store.find(photo.id, key)) is not None:
        return found
    original = read_image(photo.path)
    if pixel_digest(original) != photo.digest:
        raise InvalidImageError(
            f"{photo.path} is another picture than when it was first read; put the old one back, or run the stage "
            "photos again"
        )
    crops = [crop(original, box) for box in boxes]
    narrow = next((number for number, image in enumerate(crops, 1) if min(image.size) < MIN_CROP_SIDE), None)
    if narrow is not None:
        size = "×".join(map(str, crops[narrow - 1].size))
        detail = f"the crop of difference {narrow} is {size} pixels; both sides need at least {MIN_CROP_SIDE}"
        record = StageRecord(id=photo.id, key=key, status="dropped", reason="crop too small", detail=detail)
    else:
        drawings = [store.put_image(sketch(image)) for image in crops] if sketches else []
        data = {"crops": [pixel_digest(image) for image in crops], "sketches": drawings}
        record = StageRecord(id=photo.id, key=key, status="kept", data=data)
    store.commit(record)
    return record


SKETCH_VERSION = "lines-1"
"""Changes whenever a sketch may: the same version and the same OpenCV on the same processor give the same pixels."""

_Plane = NDArray[np.float32]

_LONG_SIDE = (160, 1100)  # px in which lines are looked for; below a crop is enlarged more than twice, above shrunk
_WIDTH = 0.8  # px of the crop, or of the 550 px that a larger one is drawn like: the inner Gaussian across a line
_REACH = 3.5  # the same, along a line
_COLOUR = 0.6  # how much a change of colour counts beside one of lightness
_NEIGHBOURHOOD = 0.06  # of the diagonal: what "usual around it" means
_START, _GO_ON = 1.0, 0.5  # a stroke starts where the response passes the first, and goes on above the second
_FAINTEST = (0.16, 0.08)  # L*: the response that is still a line; the next where there are hardly any
_ENOUGH = 0.25  # of the diagonal: strokes of this length together are a drawing
_VISIBLE = 1.5  # L* between the darkest and the lightest part below which nothing is to be seen
_SHORTEST = 0.045  # of the diagonal; a stroke may be half as long if it is twice as strong
_PEN = 0.0022  # of the diagonal


def sketch(crop: Image.Image) -> Image.Image:
    """Returns the line drawing of the crop: black strokes on white, smooth-edged, mode RGB, the crop's size.

    A crop of one colour, or of an even shade, has no lines and gives a white picture. Any size is drawn;
    below about 30 pixels there is room for little more than an outline.

    Raises:
        MissingExtraError: The extra `sketch` is not installed.
    """
    cv2 = _opencv()
    rgb = np.asarray(to_rgb(crop))
    height, width = rgb.shape[:2]
    scale = _working_scale(max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    lab = _smoothed(cv2, rgb)
    ink = _ink(cv2, lab, max(scale, 2 * max(size) / _LONG_SIDE[1]))
    if scale < 1:  # strokes get their edges in the final size, so that they are crisp in it
        ink = cv2.resize(ink, (width, height), interpolation=cv2.INTER_CUBIC)
    drawn = 255 * (1 - np.clip((ink - 0.25) / 0.3, 0, 1))
    if drawn.shape != (height, width):
        drawn = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)
    return Image.fromarray(np.rint(drawn).clip(0, 255).astype(np.uint8)).convert("RGB")


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("sketch", "opencv-python-headless") from error
    return cv2


def _working_scale(long_side: int) -> float:
    smallest, largest = _LONG_SIDE
    return min(max(2.0, smallest / long_side), max(largest / long_side, 160 / long_side))


def _smoothed(cv2: Any, rgb: NDArray[np.uint8]) -> _Plane:
    """Returns L*, a*, b* without weave and noise; L* has the colour's change mixed in."""
    lab: _Plane = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    for _ in range(2):
        lab = cv2.bilateralFilter(lab, 7, 8, 4)
    slopes = [
        np.stack([cv2.Scharr(lab[..., channel], cv2.CV_32F, *way) for way in ((1, 0), (0, 1))]) for channel in range(3)
    ]
    pairs = np.array([[float((slopes[i] * slopes[j]).mean()) for j in (1, 2)] for i in (1, 2)])
    first, second = (float(value) for value in np.linalg.eigh(pairs)[1][:, 1])
    if float((slopes[0] * (first * slopes[1] + second * slopes[2])).mean()) < 0:  # add to the lightness, not against it
        first, second = -first, -second
    lab[..., 0] += _COLOUR * (first * lab[..., 1] + second * lab[..., 2])
    return lab


def _ink(cv2: Any, lab: _Plane, unit: float) -> _Plane:
    """Returns how much ink lies where, 0 and up; `unit` is how many pixels are one step of detail."""
    height, width = lab.shape[:2]
    diagonal = float(np.hypot(height, width))
    nib = max(0.9 * unit, _PEN * diagonal) / 2 + 0.45
    if float(np.ptp(lab[..., 0])) < _VISIBLE:
        return np.zeros((height, width), np.float32)
    normal_x, normal_y, _ = _flow(cv2, lab, 2.5 * max(1.0, 0.7 * unit))
    response = np.maximum(_lines(cv2, lab[..., 0], normal_x, normal_y, unit), 0)
    usual = cv2.GaussianBlur(response, (0, 0), max(_NEIGHBOURHOOD * diagonal, 6 * _WIDTH * unit))
    order = 0.5 + 0.8 * _flow(cv2, lab, 4 * unit)[2]  # weave and prints have many directions, a seam has one
    shortest = min(_SHORTEST * diagonal, 0.6 * min(height, width))  # a line across a narrow strip is whole
    for faintest in _FAINTEST:
        strength = cv2.GaussianBlur(response / (faintest + 2 * usual) * order, (0, 0), 0.5 * _WIDTH * unit)
        strokes = _strokes(cv2, strength, normal_x, normal_y, shortest)
        if strokes.sum() >= _ENOUGH * min(diagonal, 2 * height, 2 * width):
            break
    pressure = np.where(strokes, 0.55 + 0.45 * np.clip(response / 2.5, 0, 1), 0).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(pressure, (0, 0), nib) * np.float32(nib * np.sqrt(2 * np.pi)))


def _flow(cv2: Any, lab: _Plane, spread: float) -> tuple[_Plane, _Plane, _Plane]:
    """Returns the unit vector across the local direction, (x, y), and how much there is one direction, 0..1."""
    sums = [np.zeros(lab.shape[:2], np.float32) for _ in range(3)]
    for channel in range(3):
        right, down = (cv2.Scharr(lab[..., channel], cv2.CV_32F, *way) / 32 for way in ((1, 0), (0, 1)))
        for total, product in zip(sums, (right * right, right * down, down * down), strict=True):
            total += product
    xx, xy, yy = (cv2.GaussianBlur(total, (0, 0), spread) for total in sums)
    angle = np.arctan2(2 * xy, xx - yy) / 2
    return np.cos(angle), np.sin(angle), np.hypot(xx - yy, 2 * xy) / (xx + yy + np.float32(1e-3))


def _lines(cv2: Any, tone: _Plane, normal_x: _Plane, normal_y: _Plane, unit: float) -> _Plane:
    """Returns how much darker than its sides each pixel is, L*, gathered along its line."""
    x, y = _grid(tone)
    inner = max(1.0, _WIDTH * unit)
    outer = 1.6 * inner
    near, far = np.zeros_like(tone), np.zeros_like(tone)
    fine = np.float32(max(1.0, unit / 2))
    reach = np.ceil(2.5 * outer / fine)
    offsets = np.arange(-reach, reach + 1, dtype=np.float32) * fine
    for offset, near_weight, far_weight in zip(offsets, _gauss(offsets, inner), _gauss(offsets, outer), strict=True):
        value = _sampled(cv2, tone, x + offset * normal_x, y + offset * normal_y)
        near += near_weight * value
        far += far_weight * value
    darker = far - near
    pace = np.float32(max(1.0, unit))
    steps = np.arange(1, int(np.ceil(2 * _REACH * unit / pace)) + 1, dtype=np.float32) * pace
    weights = np.exp(-(steps**2) / np.float32(2 * (_REACH * unit) ** 2))
    gathered = darker.copy()
    for side in (1, -1):
        along_x, along_y = -side * normal_y, side * normal_x
        at_x, at_y, step_x, step_y = x, y, along_x, along_y
        for weight in weights:
            at_x, at_y = at_x + pace * step_x, at_y + pace * step_y
            next_x, next_y = _sampled(cv2, along_x, at_x, at_y), _sampled(cv2, along_y, at_x, at_y)
            turn = np.where(next_x * step_x + next_y * step_y < 0, np.float32(-1), np.float32(1))  # a line has no sign
            length = turn * (np.hypot(next_x, next_y) + np.float32(1e-6))
            step_x, step_y = next_x / length, next_y / length
            gathered += weight * _sampled(cv2, darker, at_x, at_y)
    return np.asarray(gathered / np.float32(1 + 2 * weights.sum()))


def _strokes(cv2: Any, strength: _Plane, normal_x: _Plane, normal_y: _Plane, shortest: float) -> NDArray[np.bool_]:
    """Returns the pixels of the ridges that are strong somewhere and long enough."""
    x, y = _grid(strength)
    ridge = strength >= _sampled(cv2, strength, x + normal_x, y + normal_y)
    ridge &= strength > _sampled(cv2, strength, x - normal_x, y - normal_y)
    ridge &= strength > _GO_ON
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ridge.astype(np.uint8), connectivity=8)
    peak = np.zeros(count, np.float32)
    np.maximum.at(peak, labels[ridge], strength[ridge])
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    length = np.maximum(np.hypot(*sides.T), stats[:, cv2.CC_STAT_AREA] / 1.5)  # a curl is longer than its box
    kept = (peak > _START) & ((length >= shortest) | ((length >= shortest / 2) & (peak > 2 * _START)))
    kept[0] = False  # the paper
    return np.asarray(kept[labels])


def _grid(plane: _Plane) -> tuple[_Plane, _Plane]:
    height, width = plane.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y


def _sampled(cv2: Any, plane: _Plane, x: _Plane, y: _Plane) -> _Plane:
    found: _Plane = cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found


def _gauss(offsets: _Plane, deviation: float) -> _Plane:
    weights = np.exp(-(offsets**2) / np.float32(2 * deviation**2))
    return np.asarray(weights / weights.sum())
