"""`manifest.json` beside the Parquet files, and the manifest hash: the identity of the data itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError

from .errors import InvalidDataError
from .rows import SampleFacts

__all__ = ["MANIFEST_FILE", "Manifest", "StoredImage", "manifest_hash", "read_manifest"]

MANIFEST_FILE = "manifest.json"


class StoredImage(BaseModel):
    """What is known of an encoded image without decoding it: the digest of its pixels, and width and height."""

    model_config = ConfigDict(frozen=True)

    pixels: str
    size: tuple[PositiveInt, PositiveInt]


class Manifest(BaseModel):
    """What a folder says about itself.

    Args:
        format_version: Of this file.
        name: The dataset's.
        control_set: Whether the pictures were rendered to test the harness, so that no table may pass them off as the
            benchmark.
        renderer: What rendered them.
        splits: Rows of each split.
        images: By SHA-256 of the encoded bytes; a file that was replaced is simply not found here.
    """

    model_config = ConfigDict(frozen=True)

    format_version: int = 1
    name: str | None = None
    control_set: bool = False
    renderer: str | None = None
    splits: dict[str, NonNegativeInt] = {}
    images: dict[str, StoredImage] = {}

    def to_json(self) -> str:
        """Returns the file's text: sorted, so that the same content has the same bytes; an image on each line."""
        head = self.model_dump(exclude={"images"}, exclude_none=True)
        lines = ",\n".join(
            f"  {json.dumps(key)}: {json.dumps({'pixels': image.pixels, 'size': image.size})}"
            for key, image in sorted(self.images.items())
        )
        opening = json.dumps(head, indent=1, sort_keys=True, ensure_ascii=False)[:-2]
        return f'{opening},\n "images": {{\n{lines}\n }}\n}}\n'


def read_manifest(folder: Path) -> Manifest:
    """Returns the folder's manifest; an empty one where there is none.

    Raises:
        InvalidDataError: The file is there but can't be understood.
    """
    path = folder / MANIFEST_FILE
    try:
        found = Manifest.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Manifest()
    except (ValidationError, OSError) as error:
        raise InvalidDataError(f"{path} can't be understood; restore it, or delete it to have it ignored") from error
    if found.format_version != 1:
        raise InvalidDataError(
            f"{path} has format version {found.format_version}, this package reads 1; update fashionedit"
        )
    return found


def manifest_hash(rows: Iterable[tuple[SampleFacts, Sequence[str]]]) -> str:
    """Returns the SHA-256 of what the rows say and show, 64 hex digits.

    It covers id, annotation, descriptions, boxes and the pixel digests of original, draft and crops, in the order of
    the ids. How the rows are ordered, cut into files or encoded as images makes no difference; any other change does.
    """
    digest = hashlib.sha256()
    for facts, pixels in sorted(rows, key=lambda row: row[0].id):
        differences = [[text, box.box_2d] for text, box in zip(facts.descriptions, facts.boxes, strict=True)]
        line = json.dumps([facts.id, facts.annotation, differences, list(pixels)], separators=(",", ":"))
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
