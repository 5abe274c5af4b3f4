"""An image file without what is in it beside the picture: comments, EXIF, XMP, profiles, generation settings."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_TIFF_KEPT = {  # the tags that say how pixels are stored
    *(254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325),
    *(332, 338, 339, 347, 529, 530, 531, 532),
}
_TIFF_SEEN = {274, 34675}  # orientation and profile
_JPEG_SIZES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive: the frame headers that are in use
_JPEG_KEPT = {*_JPEG_SIZES, 0xC4, 0xDB, 0xDD}  # and Huffman tables, quantisation tables, restart interval
_JFIF_PLAIN = 16  # bytes of a JFIF header without a thumbnail
_ADOBE = 14  # bytes of the marker that says how the colours are coded


def has_metadata(data: bytes) -> bool:
    """Returns whether a file is anything but a PNG or JPEG that holds a picture alone."""
    return picture_alone(data) != data


def picture_alone(data: bytes) -> bytes | None:
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
    for kind, chunk in _png_chunks(data):
        if len(chunk) != 12 + int.from_bytes(chunk[:4]):
            return None
        if kind in _PNG_KEPT:
            kept.append(chunk)
        if kind == b"IDAT":
            packed = chunk[8:-4]
            while packed and not pixels.eof:  # in pieces: nothing of it is needed but where it ends
                pixels.decompress(packed, 1 << 20)
                packed = pixels.unconsumed_tail
        if kind == b"IEND":
            behind_the_pixels = not pixels.eof or pixels.unused_data or len(chunk) > 12
            return None if behind_the_pixels else b"".join(kept)
    return None


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the kind of each chunk and the chunk, of which the last may be cut off."""
    place = len(_PNG)
    while place + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        yield kind, data[place : place + 12 + length]
        place += 12 + length


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


def without_damage(data: bytes, *, keep_exif: bool) -> bytes | None:
    """Returns the file with nothing beside the pixels but transparency and, if asked for, EXIF; None if that can't be.

    Unlike `picture_alone` it looks at the file's structure only, and goes on where that is damaged: a decoder decides
    what the pixels are worth.

    Args:
        data: A PNG, JPEG or TIFF; other formats have nothing that stops a decoder.
        keep_exif: Whether EXIF stays, which says how the picture is turned.
    """
    try:
        if data.startswith(_PNG):
            return _png_without_damage(data, keep_exif)
        if data.startswith(b"\xff\xd8"):
            return _jpeg_without_damage(data, keep_exif)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff_without_damage(data, keep_exif)
    except (IndexError, struct.error):
        return None
    return None


def _png_without_damage(data: bytes, keep_exif: bool) -> bytes:
    kept = [_PNG]
    wanted = {*_PNG_KEPT, b"tRNS", *([b"eXIf"] if keep_exif else [])}
    for kind, chunk in _png_chunks(data):
        whole = chunk[-4:] == struct.pack(">I", zlib.crc32(chunk[4:-4]))
        if kind in _PNG_KEPT or (kind in wanted and whole):
            kept.append(chunk)
    return b"".join(kept)


def _jpeg_without_damage(data: bytes, keep_exif: bool) -> bytes:
    kept = [data[:2]]
    place = 2
    while data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker == 0xDA:
            break
        end = place + 2 + struct.unpack(">H", data[place + 2 : place + 4])[0]
        exif = keep_exif and marker == 0xE1 and data[place + 4 : place + 8] == b"Exif"
        if marker == 0xEE or exif or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(data[place:end])
        place = end
    return b"".join([*kept, data[place:]])


def _tiff_without_damage(data: bytes, keep_exif: bool) -> bytes:
    """Returns the file with the unneeded entries of its first directory taken out, and no further directory."""
    order = "<" if data.startswith(b"II") else ">"
    start = struct.unpack(f"{order}I", data[4:8])[0]
    count = struct.unpack(f"{order}H", data[start : start + 2])[0]
    entries = [data[start + 2 + 12 * number : start + 14 + 12 * number] for number in range(count)]
    wanted = _TIFF_KEPT | (_TIFF_SEEN if keep_exif else set())
    kept = [entry for entry in entries if struct.unpack(f"{order}H", entry[:2])[0] in wanted]
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)
    return data[:start] + directory + data[start + len(directory) :]
