"""`fashionedit pack`: an image folder becomes a FashionEdit folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fashionedit.errors import InvalidImageError
from fashionedit.folder import write_folder
from fashionedit.images import EncodedImage, crop
from fashionedit.parallel import map_in_order
from fashionedit.rows import EncodedSample

from .image_folder import ImageFolderEntry, read_image_folder
from .inspection import BOXES_FILE, BoxFigures, box_figures


@dataclass(frozen=True, slots=True)
class PackSummary:
    """What was written.

    Args:
        path: The new folder.
        rows: Samples by split.
        image_bytes: Of all encoded images.
        mean_box_area: The share of the original that a box covers, 0..1, mean over all boxes: how much of the answer
            the crops give away.
        figures: On the boxes of the whole set.
    """

    path: Path
    rows: dict[str, int]
    image_bytes: int
    mean_box_area: float
    figures: BoxFigures


def pack(
    source: Path | str,
    out: Path | str,
    *,
    name: str | None = None,
    licence: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PackSummary:
    """Returns what was written into the new folder `out`.

    `source` holds images and a `metadata.jsonl` (split `validation`), or folders `train` and `validation` (`val`) with
    one each. A line is a JSON object: `original` and `draft` (paths from the metadata's folder), `annotation`,
    `differences` (three of `description` and `box_2d`), and, where known, `image_id` (by default the original's name
    without its ending), `clip_score`, `gender`, `category`, `garment_id`, `view`. The crops are cut here. `sketches`
    may name three line drawings of them, and `examples` one to three other photographs of the same garment.

    All lines are checked before the first image is read. On any error nothing is left behind; a killed process leaves
    a folder `.<out>.….part` beside `out`, which can be deleted.

    Args:
        source: The image folder.
        out: Must not exist, or be empty.
        name: The dataset's name; the new folder's by default.
        licence: The Hub's short name of the images' licence; none is claimed by default.
        workers: Threads that decode and encode; as many as there are processors by default.
        progress: Called with the samples done and the samples in all.

    Raises:
        DatasetNotFoundError: There is no such folder, or no metadata in it.
        InvalidDataError: A line, an image or `out` is not what it must be; the message names file, line and field.
    """
    splits = read_image_folder(Path(source))
    total = sum(len(entries) for entries in splits.values())
    done = 0

    def encoded(entries: list[ImageFolderEntry]) -> Iterator[EncodedSample]:
        nonlocal done
        for sample in map_in_order(_encode, entries, workers=workers):
            yield sample
            done += 1
            if progress is not None:
                progress(done, total)

    figures = box_figures(entry.facts.boxes for entries in splits.values() for entry in entries)
    sizes = write_folder(
        out,
        {split: encoded(entries) for split, entries in splits.items()},
        name=name,
        licence=licence,
        files={BOXES_FILE: figures.to_json().encode()},
        workers=1,
    )
    return PackSummary(
        path=Path(out),
        rows={split: size.rows for split, size in sizes.items()},
        image_bytes=sum(size.image_bytes for size in sizes.values()),
        mean_box_area=figures.mean_area,
        figures=figures,
    )


def _encode(entry: ImageFolderEntry) -> EncodedSample:
    original, image = _image(entry, "original", entry.original)
    draft, _ = _image(entry, "draft", entry.draft)
    crops = tuple(EncodedImage.of(crop(image, box)) for box in entry.facts.boxes)
    sketches, examples = (
        tuple(_image(entry, f"{field}[{number}]", path)[0] for number, path in enumerate(paths))
        for field, paths in (("sketches", entry.sketches), ("examples", entry.examples))
    )
    return EncodedSample(entry.facts, original, draft, crops, sketches, examples)


def _image(entry: ImageFolderEntry, field: str, path: Path) -> tuple[EncodedImage, Image.Image]:
    where = f"{entry.where}, field {field}: {path.name}"
    try:
        return EncodedImage.from_file(path, name=where)
    except InvalidImageError as error:
        if str(error).startswith(where):
            raise
        raise InvalidImageError(f"{where}: {error}") from error
