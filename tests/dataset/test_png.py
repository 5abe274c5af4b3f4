from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fashionedit.images import png_bytes
from fashionedit.png import encode_png


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (64, 48), (257, 131)])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_pillow_and_opencv_read_the_same_pixels_back(size: tuple[int, int], level: int) -> None:
    import cv2

    pixels = np.random.default_rng(size).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    data = encode_png(pixels, level=level)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size, image.info) == ("PNG", "RGB", size, {})
        assert np.array_equal(np.asarray(image), pixels)
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1], pixels)


def test_views_that_are_not_in_one_piece_are_written_too() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for view in (pixels[::2, ::3], pixels[::-1], np.asfortranarray(pixels)):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(view)))), view)


def test_files_are_about_as_large_as_pillows() -> None:
    image = Image.linear_gradient("L").resize((300, 400)).convert("RGB")
    noise = Image.effect_noise((300, 400), 20).convert("RGB")
    for one in (image, Image.blend(image, noise, 0.2)):
        buffer = io.BytesIO()
        one.save(buffer, "PNG", compress_level=1)
        assert len(png_bytes(one)) < 1.3 * len(buffer.getvalue())


def test_every_checksum_is_right() -> None:
    data, at, names = png_bytes(Image.effect_noise((40, 30), 50).convert("RGB")), 8, []
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunk = data[at + 4 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(chunk)
        names.append(chunk[:4])
        at += 12 + length
    assert names == [b"IHDR", b"IDAT", b"IEND"]
