"""An image folder: pictures as files, and a `metadata.jsonl` that says which belong together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.files import open_regular
from fashionedit.images import upright_size
from fashionedit.photographs import NamedFiles, stem_of
from fashionedit.rows import SampleFacts
from fashionedit.types import safe_id

from .metadata import check_differences, parse_line

METADATA_FILE = "metadata.jsonl"

_SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation"}


@dataclass(frozen=True, slots=True)
class ImageFolderEntry:
    """One line of the metadata, checked; its images are known to be files inside the folder.

    Args:
        where: File and line, for messages.
        facts: What the line says.
        original: The photograph.
        draft: What editing starts from.
        sketches: Line drawings of the crops, in the order of the differences; or none.
        examples: Other photographs of the same garment; or none.
    """

    where: str
    facts: SampleFacts
    original: Path
    draft: Path
    sketches: tuple[Path, ...] = ()
    examples: tuple[Path, ...] = ()


def read_image_folder(source: Path) -> dict[str, list[ImageFolderEntry]]:
    """Returns the entries of each split: of `metadata.jsonl` as `validation`, or of one in each split's folder.

    Only the texts are read, and the originals' headers for their size; images are seen to be files inside `source`.

    Raises:
        DatasetNotFoundError: There is no such folder, or no metadata in it.
        InvalidDataError: A line is not what it must be; the message names file, line and field.
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


def _entries(source: Path, path: Path) -> list[ImageFolderEntry]:
    name = path.relative_to(source).as_posix()
    entries = []
    files = NamedFiles(source)
    with open_regular(path, folder=source) as lines:
        for number, raw in enumerate(lines, 1):
            if text := _decoded(raw, f"{name}, line {number}", first=number == 1):
                entries.append(_entry(files, path.parent, text, f"{name}, line {number}"))
    if not entries:
        raise InvalidDataError(f"{name} has no line; write one line of JSON for each sample")
    return entries


def _decoded(raw: bytes, where: str, *, first: bool) -> str:
    try:
        return raw.decode("utf-8-sig" if first else "utf-8").strip()
    except UnicodeDecodeError as error:
        raise InvalidDataError(f"{where}: byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error


def _entry(files: NamedFiles, base: Path, text: str, where: str) -> ImageFolderEntry:
    line = parse_line(text, where)
    original = _file(files, base, line.original, f"{where}, field original")
    draft = _file(files, base, line.draft, f"{where}, field draft")
    sketches, examples = (
        tuple(_file(files, base, path, f"{where}, field {field}[{number}]") for number, path in enumerate(paths or ()))
        for field, paths in (("sketches", line.sketches), ("examples", line.examples))
    )
    check_differences(line, where, upright_size(original))
    identity = safe_id((line.image_id or "").strip() or stem_of(original.name))
    facts = SampleFacts(
        id=identity,
        descriptions=tuple(difference.description for difference in line.differences),
        boxes=tuple(difference.box for difference in line.differences),
        **line.model_dump(include={"annotation", "clip_score", "gender", "category", "garment_id", "view"}),
    )
    return ImageFolderEntry(where, facts, original, draft, sketches, examples)


def _file(files: NamedFiles, base: Path, name: str, where: str) -> Path:
    """Returns the path, once it is seen to be a file that lies in the folder, links followed."""
    path = files.find(base, name, where)
    if not path.is_file():
        state = "is no file" if path.exists() else "does not exist"
        raise InvalidDataError(f"{where}: {name} {state}; check the path")
    return path
