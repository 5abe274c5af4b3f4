from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.metrics.inputs import defer_input, read_input


def _pixels(value: Any) -> np.ndarray:
    found = read_input(value)
    assert isinstance(found, Image.Image)
    assert found.mode == "RGB"
    return np.asarray(found)


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_every_form_of_one_picture_gives_the_same_pixels(picture: Any, tmp_path: Path) -> None:
    image = picture(1)
    expected = np.asarray(image)
    path, data = tmp_path / "a.png", _encoded(image)
    path.write_bytes(data)
    first = np.moveaxis(expected, -1, 0)
    forms = [
        image,
        path,
        str(path),
        data,
        bytearray(data),
        memoryview(data),
        {"bytes": data, "path": None},
        {"bytes": None, "path": str(path)},
        {"path": path},
        expected,
        first,
        expected.tolist(),
        expected.astype(np.int64),
        expected.astype(np.float32) / 255,
        expected / 255,
        torch.from_numpy(expected.copy()),
        torch.from_numpy(first.copy()),
        torch.from_numpy(first / 255),
        torch.from_numpy(first / 255).float().requires_grad_(),
        Image.open(path),
    ]
    for form in forms:
        np.testing.assert_array_equal(_pixels(form), expected)


def test_half_precision_tensors_are_read(picture: Any) -> None:
    expected = np.asarray(picture(2))
    tensor = torch.from_numpy(np.moveaxis(expected, -1, 0) / 255)
    for kind in (torch.bfloat16, torch.float16):
        assert np.abs(_pixels(tensor.to(kind)).astype(int) - expected).max() <= 1


def test_grey_and_transparent_arrays(picture: Any) -> None:
    grey = np.asarray(picture(3, mode="L"))
    for form in (grey, grey[..., None], grey[None], grey / 255):
        np.testing.assert_array_equal(_pixels(form), np.repeat(grey[..., None], 3, axis=2))
    clear = np.zeros((5, 6, 4), dtype=np.uint8)
    assert (_pixels(clear) == 255).all(), "transparency is laid on white"


def test_files_and_opened_pictures_are_turned_upright(tmp_path: Path, picture: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    picture(4, 30, 20).save(path, exif=exif)
    for value in (path, path.read_bytes(), Image.open(path), Image.open(path).copy()):
        found = read_input(value)
        assert isinstance(found, Image.Image)
        assert found.size == (20, 30)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_row_of_floats_is_an_embedding(kind: type) -> None:
    vector = np.array([0.5, -2.0, 300.0], dtype=kind)
    for form in (vector, vector.tolist(), torch.from_numpy(vector)):
        np.testing.assert_array_equal(read_input(form), [0.5, -2.0, 300.0])


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (np.zeros((3, 9, 3)), InvalidImageError, "first or last"),
        (np.zeros((7, 9, 5)), InvalidImageError, "channels at either end"),
        (np.full((9, 9, 3), 256), InvalidImageError, "0..255"),
        (np.full((9, 9, 3), -1), InvalidImageError, "0..255"),
        (np.full((9, 9, 3), 255.0), InvalidImageError, "floats run 0..1"),
        (np.full((9, 9, 3), np.nan), InvalidImageError, "nan"),
        (np.zeros((9, 9, 3), dtype=bool), InvalidDataError, "bool"),
        (np.zeros((2, 9, 9, 3)), InvalidDataError, "neither image nor embedding"),
        (np.zeros((0, 9, 3)), InvalidDataError, "neither image nor embedding"),
        (np.array([1, 2, 3]), InvalidDataError, "an embedding has floats"),
        (np.array([1.0, np.nan]), InvalidDataError, "NaN"),
        ([[1.0, 2.0], [1.0]], InvalidDataError, "ragged"),
        (None, InvalidDataError, "NoneType"),
        (3.5, InvalidDataError, "float"),
        ({"bytes": None, "path": None}, InvalidDataError, "neither bytes nor path"),
        ({"image": 3}, InvalidDataError, "image"),
        (b"no picture", InvalidImageError, "no picture in a format that is read"),
        ("missing.png", InvalidImageError, "does not exist"),
        (Image.fromarray(np.zeros((4, 4), dtype=np.int32)), InvalidImageError, "unknown range"),
        (Image.fromarray(np.zeros((4, 4), dtype=np.float32)), InvalidImageError, "unknown range"),
    ],
)
def test_what_has_no_single_reading_is_refused_by_name(value: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as found:
        read_input(value, "prediction 3")
    assert str(found.value).startswith("prediction 3") or "mode" in str(found.value)


def test_a_truncated_lazy_picture_is_refused(tmp_path: Path, picture: Any) -> None:
    path = tmp_path / "cut.png"
    path.write_bytes(_encoded(picture(5, 200, 200))[:9000])
    with Image.open(path) as lazy, pytest.raises(InvalidImageError, match="prediction 0"):
        read_input(lazy, "prediction 0")


def test_files_are_opened_later_and_memory_is_read_now(tmp_path: Path, picture: Any) -> None:
    late = defer_input(tmp_path / "later.png", "prediction 0")
    picture(6).save(tmp_path / "later.png")
    assert callable(late)
    assert late().size == (40, 30)

    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    now = defer_input(pixels)
    pixels[:] = 255
    assert callable(now)
    assert (np.asarray(now()) == 0).all()


def test_a_row_that_holds_an_embedding_is_refused_when_opened() -> None:
    opener = defer_input({"bytes": [0.5, 0.5]}, "prediction 1")
    assert callable(opener)
    with pytest.raises(InvalidDataError, match="prediction 1 is a dict"):
        opener()
