from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashionedit.errors import InvalidImageError
from fashionedit.images import MAX_PIXELS, crop, pixel_digest, png_bytes, read_image, to_rgb
from fashionedit.types import Box


def picture(width: int = 30, height: int = 20) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_the_digest_is_of_pixels_whatever_the_file(kind: str) -> None:
    image = picture()
    assert pixel_digest(read_image(encoded(image, kind))) == pixel_digest(image)


def test_the_digest_tells_a_turned_picture_and_a_changed_pixel_apart() -> None:
    image = picture()
    changed = image.copy()
    changed.putpixel((3, 4), tuple((value + 1) % 256 for value in image.getpixel((3, 4))))
    reshaped = Image.frombytes("RGB", (20, 30), image.tobytes())
    assert len({pixel_digest(one) for one in (image, changed, reshaped)}) == 3


def test_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = picture()
    turned = read_image(encoded(image, "PNG", exif=exif))
    assert turned.tobytes() == image.transpose(Image.Transpose.ROTATE_270).tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert(mode)
    assert set(to_rgb(clear).get_flattened_data()) == {(255, 255, 255)}


def test_grey_and_palette_become_rgb() -> None:
    for mode in ("L", "1", "P", "CMYK"):
        assert to_rgb(picture().convert(mode)).mode == "RGB"


def test_more_than_eight_bits_are_refused() -> None:
    deep = Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16))
    with pytest.raises(InvalidImageError, match="more than 8 bits"):
        read_image(encoded(deep, "PNG"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "can't be read"),
        (b"<html>no image</html>", "can't be read"),
        (encoded(picture(300, 200), "PNG")[:2000], "can't be read"),
        (encoded(picture(300, 200), "JPEG")[:2000], "can't be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "can't be read"),
    ],
    ids=["empty", "html", "cut png", "cut jpeg", "postscript"],
)
def test_what_is_no_image_gets_one_sentence(data: bytes, says: str) -> None:
    with pytest.raises(InvalidImageError, match=says) as error:
        read_image(data, name="a.png")
    assert str(error.value).startswith("a.png ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("side", [8_001, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_unpacked(side: int) -> None:
    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    assert side * side > MAX_PIXELS
    with pytest.raises(InvalidImageError, match="make it smaller"):
        read_image(header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidImageError, match=r"gone\.png does not exist"):
        read_image(tmp_path / "gone.png")


def test_what_is_read_is_free_of_its_file(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    (tmp_path / "a.png").unlink()
    assert type(image) is Image.Image
    assert image.tobytes() == picture().tobytes()


def test_png_is_lossless_and_without_metadata() -> None:
    image = picture()
    image.info["secret"] = "x"
    again = Image.open(io.BytesIO(png_bytes(image)))
    assert again.tobytes() == image.tobytes()
    assert not again.info


def test_a_crop_is_the_boxes_pixels() -> None:
    image = picture(100, 50)
    assert crop(image, Box(0, 100, 500, 300)).tobytes() == image.crop((10, 0, 30, 25)).tobytes()
