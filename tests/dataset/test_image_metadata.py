from __future__ import annotations

import io
import struct

import pytest
from PIL import Image, PngImagePlugin
from publishing_toys import chunk, encode, picture

from fashionedit.image_metadata import has_metadata
from fashionedit.images import EncodedImage, pixel_digest, read_image, without_metadata

JFIF = {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
DECODING = JFIF | {"progressive", "progression", "adobe", "adobe_transform"}
SECRET = "her dress has long sleeves and a secret"


def _exif(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SECRET
    exif[0x0112] = orientation
    return exif.tobytes()


def _text() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", SECRET)
    info.add_itxt("XML:com.adobe.xmp", SECRET)
    return info


def _behind_the_pixels() -> bytes:
    """A PNG whose compressed pixels are followed by something else in the same chunk."""
    data = encode(picture(0, 60, 60), "PNG")
    start = data.index(b"IDAT") - 4
    length = struct.unpack(">I", data[start : start + 4])[0]
    packed = data[start + 8 : start + 8 + length]
    return data[:start] + chunk(b"IDAT", packed + SECRET.encode()) + data[start + 12 + length :]


FILES = {
    "png text": lambda: encode(picture(0), "PNG", pnginfo=_text()),
    "png exif": lambda: encode(picture(0), "PNG", exif=_exif()),
    "png turned": lambda: encode(picture(0), "PNG", exif=_exif(6)),
    "png transparent": lambda: encode(picture(0).quantize(8), "PNG", transparency=0, pnginfo=_text()),
    "png behind the end": lambda: encode(picture(0), "PNG") + SECRET.encode(),
    "png behind the pixels": _behind_the_pixels,
    "jpeg exif": lambda: encode(picture(0), exif=_exif()),
    "jpeg turned": lambda: encode(picture(0), exif=_exif(6)),
    "jpeg comment": lambda: encode(picture(0), comment=SECRET.encode()),
    "jpeg profile": lambda: encode(picture(0), icc_profile=SECRET.encode()),
    "jpeg progressive": lambda: encode(picture(0), comment=SECRET.encode(), progressive=True),
    "jpeg with restarts": lambda: encode(picture(0), comment=SECRET.encode(), restart_marker_blocks=2),
    "jpeg cmyk": lambda: encode(picture(0).convert("CMYK"), comment=SECRET.encode()),
    "jpeg behind the end": lambda: encode(picture(0)) + SECRET.encode(),
    "webp": lambda: encode(picture(0), "WEBP", exif=_exif()),
    "gif": lambda: encode(picture(0), "GIF", comment=SECRET.encode()),
}


@pytest.mark.parametrize("name", FILES)
def test_the_pixels_stay_and_everything_else_goes(name):
    data = FILES[name]()
    assert has_metadata(data)
    before = EncodedImage.read(data, name="it")
    after = without_metadata(before, name="it")
    assert not has_metadata(after.data)
    assert pixel_digest(read_image(after.data)) == before.digest == after.digest
    assert SECRET.encode() not in after.data
    with Image.open(io.BytesIO(after.data)) as image:
        image.load()
        assert not image.info.keys() - DECODING


@pytest.mark.parametrize("data", [encode(picture(0), "PNG"), encode(picture(0), quality=80)], ids=["png", "jpeg"])
def test_a_file_that_holds_a_picture_alone_keeps_its_bytes(data):
    assert not has_metadata(data)
    assert without_metadata(EncodedImage.read(data, name="it"), name="it").data is data


def test_a_jpeg_keeps_its_compression():
    data = encode(picture(0), comment=SECRET.encode(), quality=80)
    bare = without_metadata(EncodedImage.read(data, name="it"), name="it").data
    assert bare == encode(picture(0), quality=80)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"GIF89a", b"\xff\xd8", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xc0\x00\x03a"),
        encode(picture(0), "PNG")[:-20],  # its pixels are cut off
        encode(picture(0), "PNG")[:40],  # and within a chunk
        encode(picture(0), quality=80)[:-300],
    ],
)
def test_a_torn_file_is_not_understood(data):
    assert has_metadata(data)
