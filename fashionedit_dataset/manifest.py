"""`manifest.json` beside the Parquet files, and the manifest hash: the identity of the data itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError

from .errors import InvalidDataError
from .files import read_regular
from .rows import RowImages, SampleFacts

MANIFEST_FILE = "manifest.json"
MANIFEST_BYTES = 512 * 2**20
"""The largest manifest that is read; a sample takes about 1.5 kB."""

Form = Literal["full", "annotations"]
"""The full set, or what of it may be published: no photograph, caption, crop or other reference."""


class StoredImage(BaseModel):
    """The digest of an encoded image's pixels, and width and height: what is known without decoding it."""

    model_config = ConfigDict(frozen=True)

    pixels: str
    size: tuple[PositiveInt, PositiveInt]


class SampleHashes(BaseModel):
    """What the annotations form says of what it leaves out, so that it can be filled in and checked.

    Args:
        original: The photograph's pixels, and width and height.
        file: SHA-256 of the photograph's encoded bytes.
        caption: Two hex digits by which most wrong captions are known (`annotations_form.caption_check`); in older sets
            the SHA-256 of the caption.
        references: By column (`crops`, …), the pixel digests of its images.
    """

    model_config = ConfigDict(frozen=True)

    original: StoredImage
    file: str
    caption: str
    references: dict[str, tuple[str, ...]]


class Manifest(BaseModel):
    """What a folder says about itself.

    Args:
        format_version: Of this file.
        name: The dataset's.
        control_set: Whether the pictures were rendered to test the harness, so that no table may pass them off as the
            benchmark.
        renderer: What rendered them.
        form: The full set, or the annotations form.
        splits: Rows of each split.
        images: By SHA-256 of the encoded bytes; a file that was replaced is simply not found here.
        manifest_hashes: In the annotations form, those of the full set it was made from, by split and of both.
        samples: In the annotations form, the hashes of what it leaves out, by `image_id`.
    """

    model_config = ConfigDict(frozen=True)

    format_version: int = 1
    name: str | None = None
    control_set: bool = False
    renderer: str | None = None
    form: Form = "full"
    splits: dict[str, NonNegativeInt] = {}
    images: dict[str, StoredImage] = {}
    manifest_hashes: dict[str, str] = {}
    samples: dict[str, SampleHashes] = {}

    def to_json(self) -> str:
        """Returns the file's text: sorted, so that the same content has the same bytes; an image or sample a line."""
        head = self.model_dump(exclude={"images", "samples"}, exclude_none=True)
        if self.form == "full":
            del head["manifest_hashes"]
        text = json.dumps(head, indent=1, sort_keys=True, ensure_ascii=False)[:-2]
        text += f',\n "images": {_line_by_line(self.images)}'
        if self.form == "annotations":
            text += f',\n "samples": {_line_by_line(self.samples)}'
        return text + "\n}\n"


def _line_by_line(entries: Mapping[str, BaseModel]) -> str:
    lines = (f"  {json.dumps(key)}: {json.dumps(value.model_dump())}" for key, value in sorted(entries.items()))
    return "{\n" + ",\n".join(lines) + "\n }"


def read_manifest(folder: Path) -> Manifest:
    """Returns the folder's manifest; an empty one where there is none."""
    path = folder / MANIFEST_FILE
    try:
        found = Manifest.model_validate_json(read_regular(path, MANIFEST_BYTES, folder=folder))
    except (FileNotFoundError, NotADirectoryError):
        return Manifest()
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); change its rights") from error
    except ValidationError as error:
        raise InvalidDataError(f"{path} can't be understood; restore it, or delete it to have it ignored") from error
    if found.format_version != 1:
        raise InvalidDataError(
            f"{path} has format version {found.format_version}, this package reads 1; update fashionedit"
        )
    return found


def manifest_hash(rows: Iterable[tuple[SampleFacts, RowImages[str]]]) -> str:
    """Returns the SHA-256 of what the rows say and show (the pixel digests of their images), 64 hex digits.

    It covers id, annotation, descriptions, boxes and the pixel digests of all images, in the order of the ids. How the
    rows are ordered, cut into files or encoded as images makes no difference; any other change does.
    """
    digest = hashlib.sha256()
    for facts, pixels in sorted(rows, key=lambda row: row[0].id):
        differences = [[text, box.box_2d] for text, box in zip(facts.descriptions, facts.boxes, strict=True)]
        parts = [facts.id, facts.annotation, differences, [pixels.original, pixels.draft, *pixels.crops]]
        if pixels.sketches or pixels.examples:  # sets without either keep the hash that they had before there were any
            parts.append([pixels.sketches, pixels.examples])
        digest.update(json.dumps(parts, separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()
