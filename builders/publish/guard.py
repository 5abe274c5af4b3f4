"""The last look before anything is sent: no photograph, no piece of one, and no caption in the files themselves.

It reads the files that are going to be uploaded, not what somebody meant to write into them, and knows the full folder
only as the list of what must not be there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from fashionedit.annotations_form import ALLOWED_COLUMNS, ALLOWED_DIFFERENCE_FIELDS, EVAL_FILE
from fashionedit.card import CARD_FILE
from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.folder import FashionEditFolder, split_files
from fashionedit.image_metadata import has_metadata
from fashionedit.images import pixel_digest, read_image
from fashionedit.manifest import MANIFEST_FILE, read_manifest
from fashionedit.owned_folders import MARK_FILE
from fashionedit.parallel import map_in_order
from fashionedit.perceptual_hash import FingerprintIndex, fingerprint, shows_picture
from fashionedit.rows import image_bytes
from fashionedit.schema import COLUMNS

LEAST_WORDS = 4
"""Shorter captions are not looked for in other texts: `long black dress` stands in many a description."""

LONGEST_RUN = 12
"""So many words of a caption in a row are the caption; so a part of a long one is found too."""

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")  # where words have no spaces between them each sign is one
_SIGN = re.compile(f"[{_UNSPACED}]")


class CaptionSearch:
    """Knows captions by their words.

    A caption is found where its words stand in a row, whatever is between them; of one with more than `LONGEST_RUN`
    words any run of that length is enough. The work grows with the text that is searched, not with the captions. Two
    signs of a script without spaces, such as Chinese, count as a word.

    Args:
        captions: By `image_id`.
    """

    def __init__(self, captions: Mapping[str, str]) -> None:
        # by length, the hash of each run and whose it is: the words themselves would take ten times the room
        self._runs: dict[int, dict[int, str]] = {}
        self._short: dict[tuple[str, ...], str] = {}
        self._own: dict[str, tuple[str, ...]] = {}
        for key, caption in captions.items():
            words = _words(caption)
            if _length(words) < LEAST_WORDS:
                if len(words) > 1:
                    self._short.setdefault(tuple(words), key)
                    self._own[key] = tuple(words)
                continue
            length = min(len(words), LONGEST_RUN)
            for start in range(len(words) - length + 1):
                run = hash(tuple(words[start : start + length]))
                self._runs.setdefault(length, {}).setdefault(run, key)

    def find(self, text: str) -> str | None:
        """Returns the `image_id` of a caption that is in the text; None where there is none."""
        words = _words(text)
        for length, runs in self._runs.items():
            for start in range(len(words) - length + 1):
                if key := runs.get(hash(tuple(words[start : start + length]))):
                    return key
        return None

    def find_short(self, text: str, key: str) -> str | None:
        """Returns the `image_id` of a short caption that a text of the sample `key` consists of; None where it is none.

        It is any caption of fewer than `LEAST_WORDS` words that is the whole text, and the sample's own where it is
        half of the text or more. One word alone is no caption.
        """
        words = tuple(_words(text))
        own = self._own.get(key, ())
        if own and 2 * len(own) >= len(words):
            for start in range(len(words) - len(own) + 1):
                if words[start : start + len(own)] == own:
                    return key
        return self._short.get(words)


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _length(words: list[str]) -> float:
    return sum(0.5 if _SIGN.fullmatch(word) else 1 for word in words)


ALLOWED_FILES = (CARD_FILE, MANIFEST_FILE, EVAL_FILE, "data/train-*.parquet", "data/validation-*.parquet")

LONGEST_WORD = 120
"""Letters without a space; a longer word may be an encoded file. Hashes have 64."""

_LONG_WORD = re.compile(rf"[^\s\"'(),:;\[\]{{}}|]{{{LONGEST_WORD + 1},}}")
_BATCH = 256


@dataclass(frozen=True, slots=True)
class _Protected:
    """What must not be sent, and the drafts, which alone may be; no `photographs` for a control set."""

    captions: CaptionSearch
    likeness: FingerprintIndex
    digests: frozenset[str]
    drafts: dict[str, str]
    photographs: dict[str, FashionEditFolder]


def files_to_send(folder: Path) -> list[Path]:
    """Returns the files of a folder that are ever sent, relative to it and sorted; any other stays here."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(name for name in names if any(fnmatchcase(name.as_posix(), allowed) for allowed in ALLOWED_FILES))


def check_files(
    staged: Path,
    full: Path,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Returns if the files of `staged` hold no photograph, caption, crop or other reference of the folder `full`.

    Checked are: the files' names, the columns, every text and the Parquet metadata for captions (`CaptionSearch`) and
    for encoded files, every picture for being the draft of its own row, for metadata, and for likeness to an original,
    crop, sketch or example of any row (not in a control set, whose drafts are drawn like its originals).

    Args:
        staged: What is going to be sent.
        full: The folder it was made from.
        workers: Threads that decode; as many as there are processors by default.
        progress: Called with the samples done and the samples in all: each is looked at twice.

    Raises:
        InvalidDataError: Something must not be sent; the message says where and what.
    """
    sources = {split: FashionEditFolder(full, split) for split in split_files(full)}
    total = 2 * sum(map(len, sources.values()))
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    strangers = sorted({path for path in staged.rglob("*") if not path.is_dir()} - _absolute(staged))
    if strangers:
        raise InvalidDataError(
            f"{strangers[0].relative_to(staged)} must not be sent; it is no file of the annotations form"
        )
    protected = _protect(sources, control_set=read_manifest(full).control_set, workers=workers, step=step)
    for path in files_to_send(staged):
        if path.suffix == ".parquet":
            _check_parquet(staged / path, path.as_posix(), protected, workers=workers, step=step)
        else:
            _check_text((staged / path).read_text("utf-8"), path.as_posix(), protected)


def _absolute(folder: Path) -> set[Path]:
    return {folder / MARK_FILE, *(folder / name for name in files_to_send(folder))}  # the mark stays here


def _protect(
    sources: dict[str, FashionEditFolder], *, control_set: bool, workers: int | None, step: Callable[[], None]
) -> _Protected:
    captions, drafts = {}, {}
    names: list[str] = []
    prints: list[NDArray[np.uint8]] = []
    digests: set[str] = set()

    items = [(source, key) for source in sources.values() for key in source.ids]

    def look(item: tuple[FashionEditFolder, str]) -> list[tuple[str, NDArray[np.uint8]]]:
        source, key = item
        images = image_bytes(source.row(key))
        if control_set:
            return []
        named = [("original", images.original)]
        for kind, several in (("crop", images.crops), ("sketch", images.sketches), ("example", images.examples)):
            named += [(f"{kind} {number}", data) for number, data in enumerate(several, 1)]
        return [(name, fingerprint(read_image(data, name=f"the {name} of sample {key}"))) for name, data in named]

    for (source, key), pictures in zip(items, map_in_order(look, items, workers=workers), strict=True):
        found = source.digests(key)
        captions[key] = source.facts(key).annotation
        drafts[key] = found.draft
        digests |= {found.original, *found.references, *found.sketches, *found.examples}
        names += [f"{name} of sample {key}" for name, _ in pictures]
        prints += [print_ for _, print_ in pictures]
        step()
    photographs = {} if control_set else {key: source for source in sources.values() for key in source.ids}
    return _Protected(CaptionSearch(captions), FingerprintIndex(names, prints), frozenset(digests), drafts, photographs)


def _check_text(text: str, where: str, protected: _Protected) -> None:
    if key := protected.captions.find(text):
        raise InvalidDataError(f"{where} holds the caption of sample {key}, which must not be sent; take it out")
    # escapes may hide a text from the eye, but not from whoever reads the JSON
    if "\\u" in text and (key := protected.captions.find(_unescaped(text))):
        raise InvalidDataError(f"{where} holds the caption of sample {key}, which must not be sent; take it out")
    if match := _LONG_WORD.search(text):
        raise InvalidDataError(
            f"{where} holds a word of more than {LONGEST_WORD} letters ({match.group()[:20]}…), which may be an "
            "encoded file; take it out"
        )


def _unescaped(text: str) -> str:
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match.group(1), 16)), text)


def _check_parquet(
    path: Path, name: str, protected: _Protected, *, workers: int | None, step: Callable[[], None]
) -> None:
    with pq.ParquetFile(path) as file:
        if strangers := [column for column in file.schema_arrow.names if column not in COLUMNS]:
            raise InvalidDataError(f"{name} has the column {strangers[0]}, which must not be sent; take it out")
        metadata = {**(file.metadata.metadata or {}), **(file.schema_arrow.metadata or {})}
        for key, value in metadata.items():
            if key == b"ARROW:schema":
                continue  # the columns once more, in a form of Arrow's own; the texts in it are the others here
            _check_text(
                value.decode("utf-8", "replace"), f"the metadata {key.decode('utf-8', 'replace')} of {name}", protected
            )
        for batch in _batches(file):
            prints = []
            for key, print_ in map_in_order(lambda row: _check_row(row, name, protected), batch, workers=workers):
                prints.append((key, print_))
                step()
            alike = protected.likeness.find([print_ for _, print_ in prints])
            for (key, _), found in zip(prints, alike, strict=True):
                if found is not None:
                    raise InvalidDataError(
                        f"{name}, sample {key}: the draft shows the {found}, which must not be sent; take the sample "
                        "out or give it the draft that was generated"
                    )


def _batches(file: Any) -> Iterator[list[dict[str, Any]]]:
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group).to_pylist()
        for start in range(0, len(rows), _BATCH):
            yield rows[start : start + _BATCH]


def _check_row(row: dict[str, Any], name: str, protected: _Protected) -> tuple[str, NDArray[np.uint8]]:
    key = str(row["image_id"])
    where = f"{name}, sample {key}"
    for column, value in row.items():
        if column not in ALLOWED_COLUMNS and value is not None:
            raise InvalidDataError(f"{where}: {column} is not null; it must not be sent")
    for difference in row["differences"] or []:
        if strangers := set(difference) - set(ALLOWED_DIFFERENCE_FIELDS):
            raise InvalidDataError(f"{where}: differences have the field {min(strangers)}, which must not be sent")
    cell = row["sd3_image"]
    texts = [value for column, value in row.items() if isinstance(value, str) and column in ALLOWED_COLUMNS]
    texts += [difference["description"] for difference in row["differences"] or []]
    for text in (*texts, cell.get("path") or ""):
        _check_text(text, where, protected)
        if found := protected.captions.find_short(text, key):
            raise InvalidDataError(f"{where} holds the caption of sample {found}, which must not be sent; take it out")
    try:
        image = read_image(cell["bytes"], name="the draft")
    except InvalidImageError as error:
        raise InvalidDataError(f"{where}: {error}") from error
    digest = pixel_digest(image)
    if digest != protected.drafts.get(key):
        raise InvalidDataError(f"{where}: the picture is not the draft of this sample; it must not be sent")
    if digest in protected.digests:
        raise InvalidDataError(
            f"{where}: the draft is the very picture of an original, crop, sketch or example, which must not be sent; "
            "take the sample out or give it the draft that was generated"
        )
    if has_metadata(cell["bytes"]):
        raise InvalidDataError(
            f"{where}: the draft's file holds more than the picture; write the annotations form again"
        )
    _check_likeness(image, key, where, protected)
    return key, fingerprint(image)


def _check_likeness(draft: Image.Image, key: str, where: str, protected: _Protected) -> None:
    """Looks for the sample's own photographs in the draft, however they were cut, turned or framed."""
    if key not in protected.photographs:
        return
    images = image_bytes(protected.photographs[key].row(key))
    named = {"original": images.original} | {f"example {number}": one for number, one in enumerate(images.examples, 1)}
    for name, data in named.items():
        if shows_picture(draft, read_image(data, name=f"the {name} of sample {key}")):
            raise InvalidDataError(
                f"{where}: the draft shows the {name} of sample {key}, which must not be sent; take the sample out or "
                "give it the draft that was generated"
            )
