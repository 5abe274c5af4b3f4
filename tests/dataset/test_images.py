"""Reading, naming, cutting and writing of pictures, whatever stands in their files."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from publishing_toys import chunk, encode

from fashionedit.errors import InvalidImageError
from fashionedit.images import (
    MAX_PIXELS,
    MAX_SIDE,
    ImageCache,
    crop,
    decode_image,
    encode_png,
    pixel_digest,
    png_bytes,
    read_image,
    to_rgb,
    upright_size,
)
from fashionedit.types import Box


def picture(width: int = 30, height: int = 20) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_the_digest_is_of_pixels_whatever_the_file(kind: str) -> None:
    image = picture()
    assert pixel_digest(read_image(encode(image, kind))) == pixel_digest(image)


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
    turned = read_image(encode(image, "PNG", exif=exif))
    assert turned.tobytes() == image.transpose(Image.Transpose.ROTATE_270).tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert(mode)
    assert np.all(np.asarray(to_rgb(clear)) == 255)


def test_grey_and_palette_become_rgb() -> None:
    for mode in ("L", "1", "P", "CMYK"):
        assert to_rgb(picture().convert(mode)).mode == "RGB"


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_to_eight(kind: str) -> None:
    deep = Image.fromarray(np.arange(0, 65_536, 257, dtype=np.uint16).reshape(16, 16))
    grey = np.asarray(read_image(encode(deep, kind)))
    assert np.array_equal(grey, np.repeat(np.arange(256).reshape(16, 16, 1), 3, axis=2))


def test_values_of_an_unknown_range_are_refused() -> None:
    for values in (np.full((4, 4), 40_000, dtype=np.int32), np.full((4, 4), 0.5, dtype=np.float32)):
        with pytest.raises(InvalidImageError, match="unknown range"):
            read_image(encode(Image.fromarray(values), "TIFF"))


def png_with_colour_key(depth: int, colour_type: int, key: tuple[int, ...]) -> bytes:
    """A PNG of two pixels, the first in the transparent colour, the second in the darkest one."""
    channels = len(key)
    if depth == 16:
        row = struct.pack(f">{2 * channels}H", *key, *[0] * channels)
    elif depth == 8:
        row = bytes([*key, *[0] * channels])
    else:
        row = bytes([key[0] << (8 - depth)])
    header = struct.pack(">IIBBBBB", 2, 1, depth, colour_type, 0, 0, 0)
    parts = ((b"IHDR", header), (b"tRNS", struct.pack(f">{channels}H", *key)), (b"IDAT", zlib.compress(b"\0" + row)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("depth", "colour_type", "key"),
    [
        (8, 2, (7, 200, 9)),
        (16, 2, (700, 60_000, 9)),
        (8, 0, (77,)),
        (16, 0, (777,)),
        (4, 0, (5,)),
        (2, 0, (2,)),
        (1, 0, (1,)),
    ],
)
def test_the_transparent_colour_of_a_png_is_white(depth: int, colour_type: int, key: tuple[int, ...]) -> None:
    image = read_image(png_with_colour_key(depth, colour_type, key))
    assert [image.getpixel((0, 0)), image.getpixel((1, 0))] == [(255, 255, 255), (0, 0, 0)]


def icc_profile(primaries: dict[bytes, tuple[float, float, float]], gamma: float) -> bytes:
    """An ICC profile of three primaries (XYZ, D50) and a gamma, as cameras and screens write it."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65_536))

    curve = b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(gamma * 256))
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 2) + b"p\0" + bytes(78)}
    tags |= {name: b"XYZ " + bytes(4) + b"".join(map(fixed, values)) for name, values in primaries.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    place, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", place + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I", place + len(body)) + b"test" + struct.pack(">I", 0x02400000) + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acspAPPL" + bytes(24)
    head += fixed(0.9642) + fixed(1) + fixed(0.8249) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


WHITE = {b"wtpt": (0.9642, 1.0, 0.8249)}
DISPLAY_P3 = icc_profile(
    {**WHITE, b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2920, 0.6922, 0.0419), b"bXYZ": (0.1571, 0.0666, 0.7841)},
    2.2,
)


def test_colours_of_a_wide_profile_become_srgb() -> None:
    """Display P3's red (234, 51, 35) is the full red of sRGB."""
    wide = Image.new("RGB", (8, 8), (234, 51, 35))
    for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
        red, green, blue = read_image(encode(wide, kind, icc_profile=DISPLAY_P3, **options)).getpixel((3, 3))
        assert red >= 253
        assert max(green, blue) <= 16


def test_an_object_has_the_same_pixels_as_its_file(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    path = tmp_path / "a.png"
    picture().save(path, exif=exif, icc_profile=DISPLAY_P3)
    with Image.open(path) as opened:
        assert pixel_digest(opened) == pixel_digest(read_image(path))
        once = to_rgb(opened)
    assert to_rgb(once) is once


@pytest.mark.parametrize("profile", [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b"no profile"])
def test_srgb_and_damaged_profiles_change_nothing(profile: bytes) -> None:
    data = encode(picture(), "PNG", icc_profile=profile)
    image, plain = decode_image(data, name="it")
    assert image.tobytes() == picture().tobytes()
    assert plain


def damaged_exif(tag: int, kind: int, payload: bytes, orientation: int = 6) -> bytes:
    entries = sorted([(0x112, 3, 1, struct.pack("<HH", orientation, 0)), (tag, kind, 1, struct.pack("<I", 38))])
    table = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + table + bytes(4) + payload


@pytest.mark.parametrize(
    "exif",
    [
        damaged_exif(0x11A, 10, struct.pack("<ii", -1, 0)),
        damaged_exif(0x10F, 5, struct.pack("<II", 1, 2)),
        damaged_exif(0x131, 99, b"?"),
    ],
)
def test_a_damaged_tag_costs_neither_picture_nor_orientation(exif: bytes) -> None:
    for kind in ("JPEG", "WEBP", "PNG"):
        data = encode(picture(30, 20), kind, exif=exif)
        image, plain = decode_image(data, name="it")
        assert image.size == (20, 30)
        assert not plain


@pytest.mark.parametrize("damage", [b"II*\0", b"MM\0*" + b"\xff" * 40, b"II*\0\x08\0\0\0\xff\xff" + b"\x01" * 60])
def test_a_damaged_block_of_exif_costs_no_picture(damage: bytes) -> None:
    for kind in ("JPEG", "WEBP", "PNG"):
        assert read_image(encode(picture(), kind, exif=b"Exif\0\0" + damage)).size in ((30, 20), (20, 30))


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    return data[:33] + b"".join(chunks) + data[33:]


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3 << 20))),
        chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(bytes(3 << 20))),
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(3 << 20))),
        chunk(b"iCCP", b"profile\0\7" + b"x"),
        chunk(b"tEXt", b"k\0" + b"x" * 100)[:-1] + b"?",
        chunk(b"pHYs", b""),
        chunk(b"cHRM", b"12"),
        chunk(b"gAMA", b""),
    ],
    ids=["zTXt", "iTXt", "iCCP", "method", "checksum", "pHYs", "cHRM", "gAMA"],
)
def test_no_chunk_beside_the_pixels_costs_a_picture(extra: bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = picture()
    turned = read_image(with_chunks(encode(image, "PNG", exif=exif), extra))
    assert turned.tobytes() == image.transpose(Image.Transpose.ROTATE_270).tobytes()


def random_metadata(random: Random, kind: str) -> bytes:
    """The picture with random EXIF, text, profile or directory entries around it."""
    order = random.choice([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"])
    exif = b"Exif\0\0" + order + random.randbytes(random.randrange(90))
    data = encode(picture(), kind, **({"exif": exif} if kind != "TIFF" else {}))
    if kind == "PNG":
        names = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"pHYs", b"gAMA", b"acTL", b"fcTL", b"sRGB", b"tIME")
        xmp = b"XML:com.adobe.xmp\0\0\0\0\0tiff:Orientation='x'"
        texts = (random.randbytes(40), b"k\0\0" + random.randbytes(9), xmp)
        return with_chunks(data, *(chunk(random.choice(names), random.choice(texts)) for _ in range(3)))
    if kind == "JPEG":
        names = (
            b"ICC_PROFILE\0",
            b"MPF\0II*\0",
            b"Photoshop 3.0\0008BIM",
            b"JFIF\0",
            b"http://ns.adobe.com/xap/1.0/\0",
        )
        payload = random.choice(names) + random.randbytes(random.randrange(60))
        marker = bytes([0xFF, random.choice([0xE0, 0xE1, 0xE2, 0xED, 0xEF, 0xFE])])
        return data[:2] + marker + struct.pack(">H", len(payload) + 2) + payload + data[2:]
    if kind == "TIFF":
        start = struct.unpack("<I", data[4:8])[0]
        count = struct.unpack("<H", data[start : start + 2])[0]
        entries = [data[start + 2 + 12 * n : start + 14 + 12 * n] for n in range(count)]
        for tag in random.sample([270, 271, 274, 282, 283, 296, 305, 700, 34_665, 34_675, 34_853], 2):
            entry = struct.pack("<HHI", tag, random.randrange(14), random.choice([1, 2, 2**31])) + random.randbytes(4)
            entries = [one for one in entries if struct.unpack("<H", one[:2])[0] != tag] + [entry]
        entries.sort(key=lambda entry: struct.unpack("<H", entry[:2])[0])
        directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
        return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory
    return data


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_random_metadata_costs_no_picture(kind: str) -> None:
    random = Random(7)
    for _ in range(150):
        assert read_image(random_metadata(random, kind)).size in ((30, 20), (20, 30))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM"])
def test_a_damaged_file_raises_the_packages_own_error(kind: str) -> None:
    random, data = Random(3), encode(picture(), kind)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(random.randint(1, 30)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        with suppress(InvalidImageError):
            assert read_image(bytes(damaged)).mode == "RGB"


@pytest.mark.parametrize("size", [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1)])
def test_a_side_has_a_limit_of_its_own(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidImageError, match="on a side"):
        read_image(encode(Image.new("RGB", size), "PNG"))


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(InvalidImageError, match="is no file"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "can't be read"),
        (b"<html>no image</html>", "can't be read"),
        (encode(picture(300, 200), "PNG")[:2000], "can't be read"),
        (encode(picture(300, 200), "JPEG")[:2000], "can't be read"),
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


def test_the_cache_forgets_what_was_used_longest_ago() -> None:
    cache: ImageCache[str] = ImageCache(max_bytes=350)
    for key in "abcd":
        cache.put(key, key.upper(), 100)
    assert [cache.get(key) for key in "abcd"] == [None, "B", "C", "D"]
    cache.get("b")
    cache.put("c", "C again", 100)  # the same once more takes no more room
    cache.put("e", "E", 100)
    assert [cache.get(key) for key in "bcde"] == ["B", "C again", None, "E"]


def test_what_is_larger_than_the_cache_is_not_held() -> None:
    cache: ImageCache[str] = ImageCache(max_bytes=350)
    cache.put("a", "A", 1000)
    assert cache.get("a") is None
    cache.put("b", "B", 350)
    assert cache.get("b") == "B"


def test_a_picture_that_may_not_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(png_bytes(Image.new("RGB", (4, 4))))

    def refuse(*arguments: Any) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("fashionedit.images.read_regular", refuse)
    with pytest.raises(InvalidImageError, match=r"can't be read \(Permission denied\); check its path and permissions"):
        read_image(path)


def test_the_size_of_what_is_no_picture_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    assert upright_size(path) is None
    path.write_bytes(b"no picture")
    assert upright_size(path) is None
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    assert upright_size(path) == (30, 40)
