"""Images: reading, naming, cutting and writing; the only place where foreign bytes become pixels."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms, UnidentifiedImageError

from .errors import InvalidDataError, InvalidImageError
from .files import read_regular
from .image_metadata import picture_alone, without_damage

if TYPE_CHECKING:
    from .types import Box


Value = TypeVar("Value")

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""What is read. Pillow knows many more, some of which hand the file to other programs."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp"),
    *(".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""The endings of picture files that are read, in lower case; of several files with one stem the first ending wins."""

UNREAD_SUFFIXES = (
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".ico", ".tga", ".exr", ".hdr"),
    *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
)
"""The endings of picture files that are not read, so that readers of folders can say so."""

PIXELS = "upright, 8 bits, sRGB, transparency on white"
"""What `to_rgb` makes of any picture; it stands in the fingerprint of every score."""

MAX_PIXELS = 64_000_000
"""The largest image that is decoded, in pixels (8,000 × 8,000); anything above is refused before it is unpacked."""

MAX_SIDE = 32_768
"""The longest side of an image, in pixels; resizing a longer one takes gigabytes whatever its area."""

MAX_FILE_BYTES = 256 * 2**20
"""The largest image file that is taken in, in bytes; a 64-megapixel PNG without compression has 192 MB."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8])
_TELL_ORIENTATION = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
_APPLIED = (*_TELL_ORIENTATION, "icc_profile", "transparency")
_SAME_COLOUR = 3  # levels of 0..255: what the many profiles that are called sRGB differ by
_COLOUR_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}


def read_image(source: bytes | Path | str, *, name: str | None = None) -> Image.Image:
    """Returns the decoded image in mode RGB as a person sees it (`to_rgb`).

    What stands in the file beside the pixels (EXIF, text, profiles) never costs the picture: what of it is damaged or
    too long is passed over.

    Args:
        source: Encoded bytes, or the path of a file.
        name: How messages call the image; the path by default.

    Raises:
        InvalidImageError: The file is missing, no image, truncated, animated beyond reading, or above `MAX_PIXELS`,
            `MAX_SIDE` or `MAX_FILE_BYTES`.
    """
    label = name or (str(source) if not isinstance(source, bytes) else "the image")
    data = source if isinstance(source, bytes) else read_image_file(Path(source), name=label)
    return decode_image(data, name=label)[0]


def read_image_file(path: Path, *, name: str) -> bytes:
    """Returns the bytes of a regular file, which messages call `name`.

    Raises:
        InvalidImageError: It is missing, no file, too large, or may not be read.
    """
    try:
        if not path.is_file():
            raise InvalidImageError(f"{name} {'is no file' if path.exists() else 'does not exist'}; check the path")
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise InvalidImageError(
                f"{name} has {size / 2**20:,.0f} MiB, more than the {MAX_FILE_BYTES // 2**20} MiB that are read; "
                "make it smaller"
            )
        return read_regular(path, MAX_FILE_BYTES)
    except InvalidImageError:
        raise
    except InvalidDataError as error:
        raise InvalidImageError(str(error)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidImageError(f"{name} can't be read ({reason}); check its path and permissions") from error


def decode_image(data: bytes, *, name: str) -> tuple[Image.Image, bool]:
    """Returns the image as `read_image` does, and whether the file itself is a plain one.

    A plain file is a JPEG or PNG that every reader shows with exactly these pixels: 8 bits a channel, RGB, opaque,
    upright, in sRGB or without a profile, one picture, and nothing damaged in it.
    """
    failure: Exception | None = None
    for attempt, candidate in enumerate(_candidates(data)):
        try:
            with Image.open(io.BytesIO(candidate), formats=FORMATS) as image:
                check_size(image.size, name)
                image.load()
                _correct_transparent_colour(image, candidate)
                seen = to_rgb(image)
                plain = attempt == 0 and seen is image and image.format in ("JPEG", "PNG")
                plain = plain and getattr(image, "n_frames", 1) == 1 and not _is_deep_png(candidate)
                return (seen.copy() if seen is image else seen), plain  # free of the file it came from
        except InvalidImageError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise InvalidImageError(
                f"{name} has more than the {MAX_PIXELS:,} pixels that are read; make it smaller"
            ) from None
        except Exception as error:  # Pillow's readers raise what they stumble over: struct.error, KeyError, …
            failure = failure or error
    kind = "no picture in a format that is read" if isinstance(failure, UnidentifiedImageError) else failure
    raise InvalidImageError(f"{name} can't be read as an image ({kind}); replace the file") from failure


def upright_size(path: Path) -> tuple[int, int] | None:
    """Returns width and height of the picture as a person sees it, by its header; None where that can't be read."""
    try:
        if not path.is_file():
            return None
        with Image.open(path) as image:
            size, turn = image.size, None
            with suppress(Exception):  # a damaged block: Pillow's parser raises what it stumbles over
                turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return size[::-1] if turn in _SIDEWAYS else size


def check_size(size: tuple[int, int], name: str) -> None:
    """Raises InvalidImageError if an image of this width and height is empty or too large to be read and scored."""
    shown = f"{name} has {size[0]}×{size[1]} pixels"
    if min(size) < 1:
        raise InvalidImageError(f"{shown}; both sides need at least 1")
    if size[0] * size[1] > MAX_PIXELS:
        raise InvalidImageError(f"{shown}, more than the {MAX_PIXELS:,} that are read; make it smaller")
    if max(size) > MAX_SIDE:
        raise InvalidImageError(f"{shown}, more than {MAX_SIDE:,} on a side; crop it or make it smaller")


def to_rgb(image: Image.Image) -> Image.Image:
    """Returns the image as a person sees it: RGB with 8 bits a channel, upright, in sRGB, transparency laid on white.

    16 bits a channel are scaled to 8, the EXIF orientation is applied, and the colours of an embedded ICC profile are
    converted to sRGB (perceptual intent); a damaged orientation or profile counts as none. An image of which all this
    is true comes back as it is.

    Raises:
        InvalidImageError: The image has 32 bits a channel or floats, whose range is not known.
    """
    image.load()
    upright = _upright(_eight_bits(image))
    profile = upright.info.get("icc_profile")
    if upright.mode == "RGB" and "transparency" not in upright.info and not profile:
        return upright
    flat = _on_white(upright)
    transform = _transform_to_srgb(profile, flat.mode) if isinstance(profile, bytes) else None
    if transform is not None:
        flat = transform.apply(flat)
    if flat is image and image.mode == "RGB":
        return image
    rgb = flat if flat.mode == "RGB" else flat.convert("RGB")
    return _without(rgb, image)


def _candidates(data: bytes) -> Iterator[bytes]:
    """Yields the file, and where that can't be decoded the file without what may be damaged beside the pixels."""
    seen = {data}
    yield data
    for keep_exif in (True, False):
        if (reduced := without_damage(data, keep_exif=keep_exif)) is not None and reduced not in seen:
            seen.add(reduced)
            yield reduced


def _is_deep_png(data: bytes) -> bool:
    return data.startswith(b"\x89PNG") and data[24] > 8


def _correct_transparent_colour(image: Image.Image, data: bytes) -> None:
    """Brings a PNG's transparent colour to the 0..255 of the decoded pixels; Pillow leaves it in the file's depth."""
    colour = image.info.get("transparency")
    if image.format != "PNG" or colour is None:
        return
    depth = data[24]
    if image.mode == "L" and depth in (2, 4):
        image.info["transparency"] = colour * (255 // (2**depth - 1))
    elif image.mode == "RGB" and depth == 16:
        image.info["transparency"] = tuple(level >> 8 for level in colour)


def _eight_bits(image: Image.Image) -> Image.Image:
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if not sixteen:
        if image.mode in ("I", "F") or image.mode.startswith("I;"):
            raise InvalidImageError(
                f"an image of mode {image.mode} has values of an unknown range; scale them to 0..255 and make it RGB"
            )
        return image
    values = np.asarray(image).astype(np.int64)
    levels = (np.clip(values, 0, 65_535) * 255 + 32_767) // 65_535
    if isinstance(key := image.info.get("transparency"), int):
        levels[values == key] = 255
    scaled = Image.fromarray(levels.astype(np.uint8))
    scaled.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return scaled


def _upright(image: Image.Image) -> Image.Image:
    if not any(name in image.info for name in _TELL_ORIENTATION):
        return image
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged block: Pillow's parser raises what it stumbles over
        return image
    return image if turn is None else _without(image.transpose(turn), image, *_TELL_ORIENTATION)


def _on_white(image: Image.Image) -> Image.Image:
    """Returns the image without transparency, in mode RGB, L or CMYK."""
    if image.mode in ("L", "CMYK") and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(maxsize=32)
def _transform_to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Returns what converts the profile's colours to sRGB; None for one that is damaged or changes nothing visible."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _COLOUR_SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "CMYK":
            return transform
        probe = _probe(mode)
        shift = ImageChops.difference(transform.apply(probe), probe.convert("RGB")).tobytes()
    except Exception:  # LittleCMS and Pillow raise half a dozen kinds for a damaged profile
        return None
    return transform if max(shift) > _SAME_COLOUR else None


def _probe(mode: str) -> Image.Image:
    """Returns every grey level, or a grid of colours, as an image of one row."""
    if mode == "L":
        return Image.frombytes("L", (256, 1), bytes(range(256)))
    steps = (*range(0, 256, 32), 255)
    colours = [level for red in steps for green in steps for blue in steps for level in (red, green, blue)]
    return Image.frombytes("RGB", (len(steps) ** 3, 1), bytes(colours))


def _without(image: Image.Image, original: Image.Image, *names: str) -> Image.Image:
    """Returns a new image without the metadata that was applied to it, so that it is not applied twice."""
    image = image.copy() if image is original else image
    applied: dict[Any, Any] = dict(image.info)
    for name in names or _APPLIED:
        applied.pop(name, None)
    image.info = applied
    return image


def pixel_digest(image: Image.Image) -> str:
    """Returns the SHA-256 of the decoded RGB pixels and the size, as 64 hex digits.

    Two files with the same pixels have the same digest whatever their format, compression or metadata.
    """
    rgb = to_rgb(image)
    digest = hashlib.sha256(f"RGB {rgb.width} {rgb.height}\n".encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()


def png_bytes(image: Image.Image) -> bytes:
    """Returns the image as PNG, lossless and without metadata."""
    return encode_png(np.asarray(to_rgb(image)))


def crop(image: Image.Image, box: Box) -> Image.Image:
    """Returns the part of the image inside the box (at least one pixel)."""
    return image.crop(box.pixels(image.width, image.height))


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2
_RGB, _BITS = 2, 8


def encode_png(pixels: NDArray[np.uint8], *, level: int = 1) -> bytes:
    """Returns the pixels (H, W, 3), 0..255, as a PNG file without metadata; `level` is zlib's, 0..9."""
    height, width, channels = pixels.shape
    lines = pixels.reshape(height, width * channels)
    rows = np.empty((height, 1 + lines.shape[1]), dtype=np.uint8)
    rows[:, 0] = _UP
    rows[0, 1:] = lines[0]  # above the first row there are zeros
    np.subtract(lines[1:], lines[:-1], out=rows[1:, 1:])  # modulo 256, as the filter wants it
    header = struct.pack(">IIBBBBB", width, height, _BITS, _RGB, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.data, level)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


_SIGNATURES = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"RIFF": "webp"}


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """One image of a row, ready to be written: the file, its `pixel_digest`, and width and height in pixels."""

    data: bytes = field(repr=False)
    digest: str
    size: tuple[int, int]

    @classmethod
    def of(cls, image: Image.Image) -> EncodedImage:
        """Returns the image as PNG, lossless."""
        rgb = to_rgb(image)
        return cls(png_bytes(rgb), pixel_digest(rgb), rgb.size)

    @classmethod
    def read(cls, data: bytes, *, name: str) -> EncodedImage:
        """Returns bytes that are stored already, as they are, with the digest of their pixels."""
        image = read_image(data, name=name)
        return cls(data, pixel_digest(image), image.size)

    @classmethod
    def from_file(cls, path: Path, *, name: str) -> tuple[EncodedImage, Image.Image]:
        """Returns the file's image as it will be stored, and decoded.

        A plain JPEG or PNG (`decode_image`) keeps its bytes, so that nothing is lost or grown, but for what stands in
        it beside the picture, such as place, time and author. Anything else becomes PNG.

        Raises:
            InvalidImageError: The file is missing, no image, or too large; the message calls it `name`.
        """
        data = read_image_file(path, name=name)
        image, plain = decode_image(data, name=name)
        kept = without_metadata(cls(data, pixel_digest(image), image.size), name=name) if plain else cls.of(image)
        return kept, image

    @property
    def sha256(self) -> str:
        """SHA-256 of the encoded bytes, 64 hex digits."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def suffix(self) -> str:
        """What a file with these bytes is called after the dot."""
        return next((suffix for start, suffix in _SIGNATURES.items() if self.data.startswith(start)), "img")


def without_metadata(image: EncodedImage, *, name: str) -> EncodedImage:
    """Returns the image with the same pixels and nothing else in its file.

    PNG and JPEG lose the parts that hold no pixels; where the picture would then look different (an orientation, a
    transparency), and in every other format, it is encoded anew as PNG.
    """
    bare = picture_alone(image.data)
    if bare == image.data:
        return image
    if bare is not None and pixel_digest(read_image(bare, name=name)) == image.digest:
        return EncodedImage(bare, image.digest, image.size)
    return EncodedImage(png_bytes(read_image(image.data, name=name)), image.digest, image.size)


class ImageCache(Generic[Value]):
    """The pictures used last, by their digests, in whatever form; thread-safe.

    Args:
        max_bytes: What is held at most; the one used longest ago goes first.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = Lock()
        self._kept: OrderedDict[str, tuple[Value, int]] = OrderedDict()

    def get(self, key: str) -> Value | None:
        """Returns what is held, which is not to be changed; None where it is not held."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: str, value: Value, nbytes: int) -> None:
        """Holds a value of this size in the place of an earlier one."""
        with self._lock:
            self._bytes += nbytes - self._kept.pop(key, (None, 0))[1]
            self._kept[key] = value, nbytes
            while self._bytes > self._max_bytes:
                self._bytes -= self._kept.popitem(last=False)[1][1]
