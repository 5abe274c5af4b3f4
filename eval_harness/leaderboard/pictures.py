"""The images of a bundle in a folder, found by their pixels, wherever they lie and whatever they are called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.images import SUFFIXES, pixel_digest, read_image
from fashionedit.parallel import map_in_order

from .bundle import Output

Progress = Callable[[int, int], None]


def find_pictures(folder: Path, digests: Collection[str], *, progress: Progress | None = None) -> dict[str, Path]:
    """Returns the file of each pixel digest that the folder holds.

    A run folder's images bear their digest as name; they are looked at first, all others only where some are missing.
    No name is trusted: every file that is returned was decoded.

    Args:
        folder: Of any layout.
        digests: Those to look for.
        progress: Called with the files looked at and the files in all.

    Raises:
        InvalidDataError: There is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise InvalidDataError(f"{folder} is no folder; give the folder of the images, such as RUN/images")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise InvalidDataError(f"{folder} holds no pictures; give the folder of the images, such as RUN/images")
    wanted = set(digests)
    named = [path for path in files if path.stem in wanted]
    others = [path for path in files if path.stem not in wanted]
    found: dict[str, Path] = {}
    done = 0
    for paths in (named, others):
        if wanted <= found.keys():
            break
        for path, digest in zip(paths, map_in_order(_digest, paths), strict=True):
            done += 1
            if digest in wanted:
                found.setdefault(digest, path)
            if progress is not None:
                progress(done, len(files))
    return found


def _digest(path: Path) -> str | None:
    try:
        return pixel_digest(read_image(path))
    except InvalidImageError:
        return None


def open_picture(path: Path, digest: str) -> Image.Image:
    """Returns the picture.

    Raises:
        InvalidImageError: It is no longer the one that was found.
    """
    image = read_image(path)
    if pixel_digest(image) != digest:
        raise InvalidImageError(f"{path} was changed while the bundle was verified; give the same command again")
    return image


def missing_pictures(outputs: Collection[Output], found: Mapping[str, Path], folder: Path) -> list[str]:
    """Returns a sentence for each output of a bundle whose pixels are in no file, and for each of another size."""
    return [
        f"Sample {one.sample}: no picture in {folder} has the pixels of {one.protocol} round {one.round} "
        f"({one.digest[:12]}…)."
        for one in outputs
        if one.digest not in found
    ]
