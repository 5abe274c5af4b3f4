"""An image file without what is in it beside the picture: comments, EXIF, XMP, profiles, generation settings."""

from __future__ import annotations

import struct
import zlib

from .encoded import EncodedImage
from .images import pixel_digest, png_bytes, read_image

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_JPEG_SIZES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive: the frame headers that are in use
_JPEG_KEPT = {*_JPEG_SIZES, 0xC4, 0xDB, 0xDD}  # and Huffman tables, quantisation tables, restart interval
_JFIF_PLAIN = 16  # bytes of a JFIF header without a thumbnail
_ADOBE = 14  # bytes of the marker that says how the colours are coded


def without_metadata(image: EncodedImage, *, name: str) -> EncodedImage:
    """Returns the image with the same pixels and nothing else in its file.

    PNG and JPEG lose the parts that hold no pixels; where the picture would then look different (an orientation, a
    transparency), and in every other format, it is encoded anew as PNG.

    Raises:
        InvalidImageError: The bytes can't be decoded; the message calls them `name`.
    """
    bare = _bare(image.data)
    if bare == image.data:
        return image
    if bare is not None and pixel_digest(read_image(bare, name=name)) == image.digest:
        return EncodedImage(bare, image.digest, image.size)
    return EncodedImage(png_bytes(read_image(image.data, name=name)), image.digest, image.size)


def has_metadata(data: bytes) -> bool:
    """Returns whether a file is anything but a PNG or JPEG that holds a picture alone."""
    return _bare(data) != data


def _bare(data: bytes) -> bytes | None:
    """Returns the file without the parts that hold no pixels; None where its structure is not understood."""
    try:
        if data.startswith(_PNG):
            return _bare_png(data)
        if data.startswith(b"\xff\xd8"):
            return _bare_jpeg(data)
    except (IndexError, struct.error, zlib.error):
        return None
    return None


def _bare_png(data: bytes) -> bytes | None:
    kept = [_PNG]
    pixels = zlib.decompressobj()
    place, kind = len(_PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        end = place + 12 + length
        if end > len(data) or (kind == b"IEND" and length):
            return None
        if kind in _PNG_KEPT:
            kept.append(data[place:end])
        if kind == b"IDAT":
            packed = data[place + 8 : end - 4]
            while packed and not pixels.eof:  # in pieces: nothing of it is needed but where it ends
                pixels.decompress(packed, 1 << 20)
                packed = pixels.unconsumed_tail
        place = end
    if not pixels.eof or pixels.unused_data:  # something behind the compressed pixels
        return None
    return b"".join(kept)


def _bare_jpeg(data: bytes) -> bytes | None:
    kept = [b"\xff\xd8"]
    place = 2
    while True:
        if data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xD9:
            kept.append(b"\xff\xd9")
            return b"".join(kept)
        length = struct.unpack(">H", data[place + 2 : place + 4])[0]
        end = place + 2 + length
        segment = data[place:end]
        if marker == 0xDA:
            scan_end = _end_of_scan(data, end)
            kept.append(data[place:scan_end])
            place = scan_end
            continue
        plain_jfif = marker == 0xE0 and segment[4:9] == b"JFIF\x00" and length == _JFIF_PLAIN
        adobe = marker == 0xEE and segment[4:9] == b"Adobe" and length == _ADOBE
        if marker in _JPEG_KEPT or plain_jfif or adobe:
            kept.append(segment)
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            return None
        place = end


def _end_of_scan(data: bytes, place: int) -> int:
    """Returns where the next marker is that is no restart and no escaped byte."""
    while True:
        place = data.find(b"\xff", place)
        if place < 0:
            raise IndexError
        following = data[place + 1]
        if following == 0x00 or 0xD0 <= following <= 0xD7:
            place += 2
        elif following == 0xFF:
            place += 1
        else:
            return place
