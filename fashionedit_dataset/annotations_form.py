"""The annotations form: the part of a FashionEdit folder that may be published, and hashes of the rest.

It is an allow-list: a column that is not named here is null, also one that is added later.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .card import SplitSize, read_card
from .errors import InvalidDataError
from .files import read_regular
from .folder import FashionEditFolder, split_files, write_folder
from .images import EncodedImage, without_metadata
from .manifest import Manifest, SampleHashes, StoredImage, manifest_hash, read_manifest
from .parallel import map_in_order
from .rows import RowImages, SampleFacts, image_cell, stored_image
from .schema import COLUMNS
from .types import SPLITS

ALLOWED_COLUMNS = ("image_id", "sd3_image", "differences", "clip_score", "gender", "category", "garment_id", "view")
ALLOWED_DIFFERENCE_FIELDS = ("description", "box_2d")
EVAL_FILE = "eval.yaml"

_WHOLE_HASH = 64  # hex digits
_MOST_EVAL = 1_000_000  # bytes

_DEEPFASHION_ID = re.compile(r"(?:MEN|WOMEN)-[A-Za-z_]+-id_\d{8}-\d{2}_\d+_[a-z]+")
_CARRIED_SECTIONS = ("How it was made", "Splits", "What is unclear", "Citation")
_SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)

_MISSING = """\
The photographs and their captions belong to the collection they come from, and crops and other references are pieces of
the photographs, so none of them is here. `manifest.json` has, for each row, the hash of the photograph's file, of its
pixels and of the pixels of every crop, and two digits of a hash of its caption; they tell a right copy from a wrong one
and nothing more."""

_FILLING_IN = """\
With your own copy of the photographs and captions:

```console
$ fashionedit hydrate path/to/this/folder PHOTOS OUT
```

or, in Python, with `$FASHIONEDIT_REPO` set to this repository or `$FASHIONEDIT_DATA` to a copy of it:

```python
import fashionedit
from datasets import load_dataset

dataset = load_dataset("fashionedit", data_dir="PHOTOS", split="{split}")
```

`PHOTOS` holds `<image_id>.jpg` (or `.jpeg`, `.png`, `.webp`), at any depth, and `captions.json`, `metadata.jsonl` or a
CSV file with the captions. Crops are cut anew. Everything is compared with its hash, and what is missing or different
is named. The full set that comes out has the manifest hash of the one that this was made from."""

_DEEPFASHION_LICENCE = """\
The photographs and captions that the rows refer to are those of
[DeepFashion-MultiModal](https://github.com/yumingj/DeepFashion-MultiModal), which is for non-commercial research; no
portion of it may be copied, published or distributed further, and neither its images nor data derived from them may be
used commercially. None of its images or captions is here. Boxes, descriptions and drafts may count as derived from
them: use them under the same terms."""

_OTHER_LICENCE = """\
The photographs and captions that the rows refer to keep the terms of the collection that they come from; none of them
is here. Boxes, descriptions and drafts may count as derived from them: read those terms before you use or pass on
this."""


@dataclass(frozen=True, slots=True)
class AnnotationRow:
    """A row of which only the allowed columns are written: no caption, and no image but the draft."""

    facts: SampleFacts
    draft: EncodedImage

    @property
    def images(self) -> tuple[EncodedImage, ...]:
        """The draft."""
        return (self.draft,)

    def row(self) -> dict[str, Any]:
        """Returns the values of `COLUMNS`: null where the column is not allowed."""
        values = self.facts.row() | {"sd3_image": stored_image(self.draft, f"{self.facts.id}-draft")}
        return {column: values.get(column) if column in ALLOWED_COLUMNS else None for column in COLUMNS}


def write_annotations(
    folder: Path | str,
    out: Path | str,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, SplitSize]:
    """Writes the annotations form of a full folder into the new folder `out`; returns the size of each split.

    Rows are taken one at a time. Drafts keep their pixels and lose the metadata of their files. `eval.yaml` comes
    along; of the card only the sections on how the set was made, its splits, what is unclear and the citation do.

    Raises:
        DatasetNotFoundError: There is no such folder, or it holds no FashionEdit files.
        InvalidDataError: The folder is the annotations form already, a row is not what it must be, or `out` is taken.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest.form == "annotations":
        raise InvalidDataError(f"{folder} is the annotations form already; give the full folder")
    opened = {split: FashionEditFolder(folder, split) for split in split_files(folder)}
    hashes: dict[str, SampleHashes] = {}
    identities: dict[str, str] = {}
    seen: dict[str, list[tuple[SampleFacts, RowImages[str]]]] = {split: [] for split in opened}
    total = sum(map(len, opened.values()))

    def rows(split: str, source: FashionEditFolder) -> Iterator[AnnotationRow]:
        for row, found, pixels in map_in_order(lambda key: _reduced(source, key), source.ids, workers=workers):
            hashes[row.facts.id] = found
            seen[split].append((row.facts, pixels))
            yield row
            progress(len(hashes), total)
        if len(hashes) == total:
            identities.update(manifest_hashes(seen))

    ids = (key for source in opened.values() for key in source.ids)
    first = next(iter(opened))
    return write_folder(
        out,
        {split: rows(split, source) for split, source in opened.items()},
        name=manifest.name or folder.resolve().name,
        licence="apache-2.0" if manifest.control_set else "other",
        licence_note=_licence_note(manifest, ids),
        control_set=manifest.control_set,
        renderer=manifest.renderer,
        form="annotations",
        hashes=hashes,
        manifest_hashes=identities,
        sections=[
            ("What is missing, and why", _MISSING),
            ("Filling it in", _FILLING_IN.format(split=first)),
            *card_sections(folder),
        ],
        files=carried_files(folder),
        workers=1,
    )


def manifest_hashes(rows: Mapping[str, Sequence[tuple[SampleFacts, RowImages[str]]]]) -> dict[str, str]:
    """Returns the manifest hash of each split, and of all together, by their names."""
    every = [row for split in rows for row in rows[split]]
    both = "+".join(split for split in SPLITS if split in rows)
    return {**{split: manifest_hash(rows[split]) for split in rows}, both: manifest_hash(every)}


def caption_check(key: str, caption: str) -> str:
    """Returns two hex digits of a hash of the caption and its `image_id`.

    They find 255 of 256 wrong captions. A whole hash, salted or not, would let anybody who can guess how captions are
    worded confirm the right one; these let one guess in 256 pass.
    """
    return hashlib.sha256(f"{key}\n{caption}".encode()).hexdigest()[:2]


def is_caption(key: str, caption: str, wanted: str) -> bool:
    """Returns whether a published `caption_check` is this caption's; sets that hold the whole SHA-256 are read too."""
    whole = len(wanted) == _WHOLE_HASH
    return wanted == (hashlib.sha256(caption.encode()).hexdigest() if whole else caption_check(key, caption))


def card_sections(folder: Path) -> list[tuple[str, str]]:
    """Returns the parts of a folder's card that its other form keeps: heading and text."""
    text = read_card(folder) or ""
    return [(heading, body.strip()) for heading, body in _SECTION.findall(text) if heading in _CARRIED_SECTIONS]


def carried_files(folder: Path) -> dict[str, bytes]:
    """Returns the files that a folder's other form keeps as they are, by name: `eval.yaml`, where there is one."""
    try:
        return {EVAL_FILE: read_regular(folder / EVAL_FILE, _MOST_EVAL, folder=folder)}
    except FileNotFoundError:
        return {}


def _reduced(source: FashionEditFolder, key: str) -> tuple[AnnotationRow, SampleHashes, RowImages[str]]:
    stored = source.row(key)
    facts = source.facts(key)
    pixels, sizes = source.digests(key), source.sizes(key)
    draft = EncodedImage(image_cell("draft", stored["sd3_image"]), pixels.draft, sizes.draft)
    found = SampleHashes(
        original=StoredImage(pixels=pixels.original, size=sizes.original),
        file=hashlib.sha256(image_cell("original", stored["original_image"])).hexdigest(),
        caption=caption_check(key, facts.annotation),
        references={
            column: images for column in ("crops", "sketches", "examples") if (images := getattr(pixels, column))
        },
    )
    return AnnotationRow(facts, without_metadata(draft, name=f"the draft of sample {key}")), found, pixels


def _licence_note(manifest: Manifest, ids: Iterable[str]) -> str:
    if manifest.control_set:
        return "Rendered by the code of fashionedit, which is under Apache-2.0; no photograph was used."
    return _DEEPFASHION_LICENCE if any(map(_DEEPFASHION_ID.fullmatch, ids)) else _OTHER_LICENCE
