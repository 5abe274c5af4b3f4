"""What a metric accepts as an image, made one thing: a Pillow image in mode RGB, or a vector that is an embedding.

One file has one score: a path, its bytes and the Pillow image that was opened from it give the same pixels, upright and
in sRGB. Transparency is laid on white, as the whole package and the CLIP processor of transformers 5 do (`cv2.imread`
drops it instead).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.images import read_image, to_rgb

Opener = Callable[[], Image.Image]

_CHANNELS = (1, 3, 4)
_ENCODED = (str, bytes, bytearray, memoryview, os.PathLike, Mapping)
_ACCEPTED = (
    "give a PIL image, a path, encoded bytes, {'bytes', 'path'}, an array or tensor of shape (H, W, C) or (C, H, W), "
    "or a vector of floats"
)


def read_input(value: Any, name: str = "the image") -> Image.Image | NDArray[np.float64]:
    """Returns the loaded RGB image that the value is, or the vector (D,) if it is a precomputed embedding.

    Args:
        value: A PIL image; a path; encoded bytes; a dict with `bytes` or `path`, as `datasets` stores images; an array,
            nested list or tensor, (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels, whole numbers 0..255 or
            floats 0..1; or one dimension of floats.

    Raises:
        InvalidImageError: The bytes are no image, or the array is none that has one reading.
        InvalidDataError: The value is nothing of the kind.
    """
    if isinstance(value, Mapping):
        value = _from_row(value, name)
    if isinstance(value, Image.Image):
        try:
            value.load()
            return to_rgb(value)
        except InvalidImageError:
            raise
        except (OSError, ValueError) as error:
            raise InvalidImageError(f"{name} can't be read as an image ({error}); replace it") from error
    if isinstance(value, str | os.PathLike):
        path = Path(os.fsdecode(value))
        return read_image(path, name=f"{name} ({path})")
    if isinstance(value, bytes | bytearray | memoryview):
        return read_image(bytes(value), name=name)
    return _from_numbers(value, name)


def defer_input(value: Any, name: str = "the image") -> Opener | NDArray[np.float64]:
    """Returns what opens the image, or the vector: `read_input` with files and bytes left for another thread.

    What is in memory is read at once, because it may be changed later, and because two threads must not load one lazy
    Pillow file.

    Raises:
        InvalidDataError: As `read_input`, for what is read at once.
    """
    if isinstance(value, _ENCODED):
        return partial(_open, value, name)
    found = read_input(value, name)
    return (lambda: found) if isinstance(found, Image.Image) else found


def _open(value: Any, name: str) -> Image.Image:
    found = read_input(value, name)
    if not isinstance(found, Image.Image):
        raise InvalidDataError(f"{name} is a dict that holds an embedding; give the vector itself")
    return found


def _from_row(row: Mapping[Any, Any], name: str) -> Any:
    for key in ("bytes", "path"):
        if row.get(key) is not None:
            return row[key]
    raise InvalidDataError(f"{name} is a dict with neither bytes nor path (keys: {sorted(map(str, row))}); {_ACCEPTED}")


def _from_numbers(value: Any, name: str) -> Image.Image | NDArray[np.float64]:
    if hasattr(value, "detach"):  # a torch tensor, wherever it lives and whatever its precision
        value = value.detach().to("cpu")
        value = (value.double() if value.is_floating_point() else value).numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidDataError(f"{name} is a ragged {type(value).__name__}; {_ACCEPTED}") from error
    if array.dtype.kind not in "uif" or array.ndim not in (1, 2, 3) or array.size == 0:
        raise InvalidDataError(
            f"{name} is a {type(value).__name__} (shape {array.shape}, {array.dtype}), neither image nor embedding; "
            f"{_ACCEPTED}"
        )
    if array.ndim == 1:
        if array.dtype.kind != "f":
            raise InvalidDataError(
                f"{name} is a vector of {array.dtype}; an embedding has floats, and an image two or three dimensions"
            )
        if not np.isfinite(array).all():
            raise InvalidDataError(f"{name} is an embedding with NaN or infinity; embeddings must be finite numbers")
        return array.astype(np.float64)
    return to_rgb(Image.fromarray(_eight_bits(_channels_last(array, name), name)))


def _channels_last(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.ndim == 2:
        return array
    first, last = array.shape[0] in _CHANNELS, array.shape[-1] in _CHANNELS
    if first and last:
        raise InvalidImageError(
            f"{name} has shape {array.shape}, which can be read with the channels first or last; give a PIL image"
        )
    if not first and not last:
        raise InvalidImageError(f"{name} has shape {array.shape} without 1, 3 or 4 channels at either end; {_ACCEPTED}")
    array = np.moveaxis(array, 0, -1) if first else array
    return array[..., 0] if array.shape[-1] == 1 else array


def _eight_bits(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    low, high = array.min(), array.max()
    limit = 1 if array.dtype.kind == "f" else 255
    if not (low >= 0 and high <= limit):  # so that NaN is refused too
        raise InvalidImageError(
            f"{name} has values {low:g}..{high:g} of type {array.dtype}; floats run 0..1 and whole numbers 0..255"
        )
    levels: NDArray[np.uint8] = np.rint(array * (255 // limit)).astype(np.uint8)
    return levels
