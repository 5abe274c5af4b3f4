"""`fashionedit pack`: an image folder becomes a FashionEdit folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from fashionedit.errors import DatasetNotFoundError, InvalidDataError, InvalidImageError
from fashionedit.files import open_regular
from fashionedit.folder import write_folder
from fashionedit.images import EncodedImage, crop, upright_size
from fashionedit.parallel import map_in_order
from fashionedit.photo_index import NamedFiles, stem_of
from fashionedit.rows import EncodedSample, RowImages, SampleFacts, stored_box
from fashionedit.runtime.progress import Progress
from fashionedit.types import DIFFERENCES_PER_SAMPLE, check_references, safe_id

from .analyse.answers import difference_faults, other_unit
from .inspection import BOXES_FILE, BoxFigures, box_figures

METADATA_FILE = "metadata.jsonl"

_SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation"}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A checked line of the metadata; its images are files inside the folder."""

    where: str
    facts: SampleFacts
    original: Path
    draft: Path
    sketches: tuple[Path, ...]
    examples: tuple[Path, ...]


def read_image_folder(source: Path) -> dict[str, list[_Entry]]:
    """Returns the entries of each split: of `metadata.jsonl` as `validation`, or of one in each split's folder.

    Only the texts are read, and the originals' headers for their size; images are seen to be files inside `source`.
    """
    if not source.is_dir():
        raise DatasetNotFoundError(
            f"{source} {'is no folder' if source.exists() else 'does not exist'}; check the path"
        )
    ids: dict[str, str] = {}
    splits = {}
    for split, path in _metadata_files(source).items():
        splits[split] = entries = _entries(source, path)
        for entry in entries:
            if (first := ids.setdefault(entry.facts.id, entry.where)) != entry.where:
                raise InvalidDataError(
                    f"{entry.where}, field image_id: {entry.facts.id} stands in {first} too; ids are unique (without "
                    "image_id it is the original's name without its ending)"
                )
    return splits


def _metadata_files(source: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    if (single := source / METADATA_FILE).is_file():
        found["validation"] = single
    for folder, split in _SPLIT_FOLDERS.items():
        if (path := source / folder / METADATA_FILE).is_file():
            if split in found or single in found.values():
                both = " and ".join(str(file.relative_to(source)) for file in (*found.values(), path))
                raise InvalidDataError(f"{source} has {both}; keep one {METADATA_FILE}, or one for each split")
            found[split] = path
    if not found:
        raise DatasetNotFoundError(
            f"{source} has no {METADATA_FILE}; write one line of JSON for each sample there, or in train/ and "
            "validation/"
        )
    return found


def _entries(source: Path, path: Path) -> list[_Entry]:
    name = path.relative_to(source).as_posix()
    entries = []
    files = NamedFiles(source)
    with open_regular(path, folder=source) as lines:
        for number, raw in enumerate(lines, 1):
            where = f"{name}, line {number}"
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise InvalidDataError(
                    f"{where}: byte {error.start + 1} is not UTF-8; save the file as UTF-8"
                ) from error
            if text:
                entries.append(_entry(files, path.parent, text, where))
    if not entries:
        raise InvalidDataError(f"{name} has no line; write one line of JSON for each sample")
    return entries


def _entry(files: NamedFiles, base: Path, text: str, where: str) -> _Entry:
    def find(name: str, field: str) -> Path:
        path = files.find(base, name, f"{where}, field {field}")
        if not path.is_file():
            state = "is no file" if path.exists() else "does not exist"
            raise InvalidDataError(f"{where}, field {field}: {name} {state}; check the path")
        return path

    line = _parse_line(text, where)
    original, draft = find(line.original, "original"), find(line.draft, "draft")
    sketches, examples = (
        tuple(find(name, f"{field}[{number}]") for number, name in enumerate(names or ()))
        for field, names in (("sketches", line.sketches), ("examples", line.examples))
    )
    _check_differences(line, where, upright_size(original))
    facts = SampleFacts(
        id=safe_id((line.image_id or "").strip() or stem_of(original.name)),
        descriptions=tuple(difference.description for difference in line.differences),
        boxes=tuple(stored_box(difference.box_2d) for difference in line.differences),
        **line.model_dump(include={"annotation", "clip_score", "gender", "category", "garment_id", "view"}),
    )
    return _Entry(where, facts, original, draft, sketches, examples)


# Names that other tools give to our fields, the last two groups being those of `datasets`' own image folders.
_OTHER_NAMES = {
    "original_image": "original",
    "original_file_name": "original",
    "original_image_file_name": "original",
    "file_name": "original",
    "sd3_image": "draft",
    "draft_file_name": "draft",
    "sd3_image_file_name": "draft",
    "sketches_file_names": "sketches",
    "examples_file_names": "examples",
}


class MetadataDifference(BaseModel):
    """A difference in the metadata."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    description: str
    box_2d: list[float]


class MetadataLine(BaseModel):
    """A line of the metadata."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    original: str
    draft: str
    annotation: str
    differences: list[MetadataDifference]
    image_id: str | None = None
    clip_score: float | None = None
    gender: str | None = None
    category: str | None = None
    garment_id: str | None = None
    view: str | None = None
    sketches: list[str] | None = None
    examples: list[str] | None = None


def _parse_line(text: str, where: str) -> MetadataLine:
    values: dict[str, Any] = {}
    for key, value in _parsed(text, where).items():
        name = _OTHER_NAMES.get(key, key)
        if name in values:
            raise InvalidDataError(f"{where}, field {key}: the {name} is named twice; keep one of the two")
        values[name] = value
    try:
        line = MetadataLine.model_validate(values)
    except ValidationError as error:
        raise InvalidDataError(f"{where}, {_sentence(error)}") from error
    if len(line.differences) != DIFFERENCES_PER_SAMPLE:
        raise InvalidDataError(
            f"{where}, field differences: {len(line.differences)} differences; a sample has exactly "
            f"{DIFFERENCES_PER_SAMPLE}"
        )
    check_references(f"{where}: it", sketches=len(line.sketches or ()), examples=len(line.examples or ()))
    return line


def _check_differences(line: MetadataLine, where: str, size: tuple[int, int] | None) -> None:
    """Checks descriptions and boxes; `size` is the original's width and height, None where it can't be read."""
    edges = [difference.box_2d for difference in line.differences if len(difference.box_2d) == 4]
    unit = other_unit(edges, size)
    other = f"{where}, field differences: the boxes seem to be {unit}; give them in thousandths of the image, 0..1000"
    found = []
    for number, difference in enumerate(line.differences):
        field = f"{where}, field differences[{number}]"
        if not difference.description.strip():
            raise InvalidDataError(f"{field}.description: it is empty; say in words what the original shows there")
        try:
            found.append((difference.description, stored_box(difference.box_2d)))
        except InvalidDataError as error:
            if unit and max(map(max, edges)) > 1000:
                raise InvalidDataError(other) from error
            raise InvalidDataError(f"{field}.box_2d: {error}") from error
    if unit:
        raise InvalidDataError(other)
    if faults := difference_faults(found):
        raise InvalidDataError(f"{where}, field differences: {'. '.join(faults)}")


def _parsed(text: str, where: str) -> dict[str, Any]:
    def no_constant(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    def no_repetition(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ValueError(f"{key!r} stands there twice")
            found[key] = value
        return found

    try:
        values = json.loads(text, parse_constant=no_constant, object_pairs_hook=no_repetition)
        text.encode()
        json.dumps(values, ensure_ascii=False).encode()  # escapes may hide halves of characters
    except UnicodeEncodeError as error:
        raise InvalidDataError(f"{where}: it holds half of a character (a lone surrogate); write valid text") from error
    except (ValueError, RecursionError) as error:
        raise InvalidDataError(f"{where}: it is no valid JSON ({error}); write one JSON object on each line") from error
    if not isinstance(values, dict):
        raise InvalidDataError(f'{where}: it is no JSON object; write {{"original": …, "draft": …, …}}')
    return values


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    given = json.dumps(first["input"], ensure_ascii=False, default=str)
    given = given if len(given) <= 60 else given[:57] + "…"
    known = MetadataLine if len(first["loc"]) == 1 else MetadataDifference
    kinds = {
        "missing": "it is missing; every line needs original, draft, annotation and differences",
        "extra_forbidden": f"unknown column; known are {', '.join(known.model_fields)}",
        "string_type": f"{given} is no text; write a string",
        "float_type": f"{given} is no number; write one without quotes",
        "finite_number": f"{given} is no finite number; write one",
        "list_type": f"{given} is no list; write [...]",
        "model_type": f'{given} is no object; write {{"description": …, "box_2d": [ymin, xmin, ymax, xmax]}}',
    }
    if first["type"] == "missing" and len(first["loc"]) > 1:
        return f"field {field}: it is missing; a difference has description and box_2d"
    return f"field {field}: {kinds.get(first['type'], first['msg'])}"


@dataclass(frozen=True, slots=True)
class PackSummary:
    """Samples written, by split, and statistics of all boxes."""

    rows: dict[str, int]
    figures: BoxFigures


def pack(
    source: Path | str,
    out: Path | str,
    *,
    name: str | None = None,
    licence: str | None = None,
    workers: int | None = None,
    progress: Progress = lambda done, total: None,
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

    def encoded(entries: list[_Entry]) -> Iterator[EncodedSample]:
        nonlocal done
        for sample in map_in_order(_encode, entries, workers=workers):
            yield sample
            done += 1
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
    return PackSummary({split: size.rows for split, size in sizes.items()}, figures)


def _encode(entry: _Entry) -> EncodedSample:
    original, image = _image(entry, "original", entry.original)
    draft, _ = _image(entry, "draft", entry.draft)
    crops = tuple(EncodedImage.of(crop(image, box)) for box in entry.facts.boxes)
    sketches, examples = (
        tuple(_image(entry, f"{field}[{number}]", path)[0] for number, path in enumerate(paths))
        for field, paths in (("sketches", entry.sketches), ("examples", entry.examples))
    )
    return EncodedSample(entry.facts, RowImages(original, draft, crops, sketches, examples))


def _image(entry: _Entry, field: str, path: Path) -> tuple[EncodedImage, Image.Image]:
    where = f"{entry.where}, field {field}: {path.name}"
    try:
        return EncodedImage.from_file(path, name=where)
    except InvalidImageError as error:
        if str(error).startswith(where):
            raise
        raise InvalidImageError(f"{where}: {error}") from error
