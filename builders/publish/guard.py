"""Checks the files of an upload: no photograph, no piece of one, no caption is in them.

It reads the files that are going to be uploaded, not what somebody meant to write into them, and knows the full folder
only as the list of what must not be there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
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
from fashionedit.runtime.progress import Progress
from fashionedit.schema import COLUMNS

LEAST_WORDS = 4
"""Shorter captions are not looked for in other texts: `long black dress` stands in many a description."""

LONGEST_RUN = 12
"""So many words of a caption in a row are the caption; so a part of a long one is found too."""

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")  # where words have no spaces between them each sign is one
_SIGN = re.compile(f"[{_UNSPACED}]")


class CaptionSearch:
    """Finds captions in a text by their words, and gives their `image_id`.

    A caption is found where its words stand in a row, whatever is between them; of one with more than `LONGEST_RUN`
    words any run of that length is enough. The work grows with the text that is searched, not with the captions. Two
    signs of a script without spaces, such as Chinese, count as a word.
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


def files_to_send(folder: Path) -> list[Path]:
    """Returns the files of a folder that are ever sent, relative to it and sorted; any other stays here."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(name for name in names if any(fnmatchcase(name.as_posix(), allowed) for allowed in ALLOWED_FILES))


def check_files(staged: Path, full: Path, *, progress: Progress = lambda done, total: None) -> None:
    """Checks that the files of `staged` hold no photograph, caption, crop or other reference of the folder `full`.

    Checked are: the files' names, the columns, every text and the Parquet metadata for captions (`CaptionSearch`) and
    for encoded files, every picture for being the draft of its own row, for metadata, and for likeness to an original,
    crop, sketch or example of any row (not in a control set, whose drafts are drawn like its originals). Each sample
    counts twice in the progress.

    Raises:
        InvalidDataError: Something must not be sent; the message says where and what.
    """
    sendable = files_to_send(staged)
    allowed = {staged / MARK_FILE, *(staged / name for name in sendable)}  # the mark stays here
    if strangers := sorted({path for path in staged.rglob("*") if not path.is_dir()} - allowed):
        raise InvalidDataError(
            f"{strangers[0].relative_to(staged)} must not be sent; it is no file of the annotations form"
        )
    guard = _Guard(full, progress)
    for path in sorted(sendable, key=lambda path: path.suffix == ".parquet"):  # texts first, which takes no time
        if path.suffix == ".parquet":
            guard.check_parquet(staged / path, path.as_posix())
        else:
            guard.check_text((staged / path).read_text("utf-8"), path.as_posix())


class _Guard:
    """Looks for everything of a full folder that must not be sent."""

    def __init__(self, full: Path, progress: Progress) -> None:
        sources = {split: FashionEditFolder(full, split) for split in split_files(full)}
        items = [(source, key) for source in sources.values() for key in source.ids]
        control_set = read_manifest(full).control_set
        self._progress, self._done, self._total = progress, 0, 2 * len(items)
        self._photographs = {} if control_set else {key: source for source, key in items}
        captions: dict[str, str] = {}
        self._drafts: dict[str, str] = {}
        self._digests: set[str] = set()
        names: list[str] = []
        prints: list[NDArray[np.uint8]] = []

        def look(item: tuple[FashionEditFolder, str]) -> list[tuple[str, NDArray[np.uint8]]]:
            source, key = item
            pictures: dict[str, bytes] = {}
            image_bytes(source.row(key)).map(pictures.setdefault)
            named = {f"{name} of sample {key}": data for name, data in pictures.items() if name != "draft"}
            if control_set:
                return []
            return [(name, fingerprint(read_image(data, name=f"the {name}"))) for name, data in named.items()]

        for (source, key), pictures in zip(items, map_in_order(look, items), strict=True):
            found = source.digests(key)
            captions[key] = source.facts(key).annotation
            self._drafts[key] = found.draft
            self._digests |= {found.original, *found.crops, *found.sketches, *found.examples}
            names += [name for name, _ in pictures]
            prints += [print_ for _, print_ in pictures]
            self._step()
        self._captions = CaptionSearch(captions)
        self._likeness = FingerprintIndex(names, prints)

    def _step(self) -> None:
        self._done += 1
        self._progress(self._done, self._total)

    def check_text(self, text: str, where: str) -> None:
        # escapes may hide a text from the eye, but not from whoever reads the JSON
        unescaped = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match.group(1), 16)), text)
        if key := next(filter(None, map(self._captions.find, {text, unescaped})), None):
            raise InvalidDataError(f"{where} holds the caption of sample {key}, which must not be sent; take it out")
        if match := _LONG_WORD.search(text):
            raise InvalidDataError(
                f"{where} holds a word of more than {LONGEST_WORD} letters ({match.group()[:20]}…), which may be an "
                "encoded file; take it out"
            )

    def check_parquet(self, path: Path, name: str) -> None:
        with pq.ParquetFile(path) as file:
            if strangers := [column for column in file.schema_arrow.names if column not in COLUMNS]:
                raise InvalidDataError(f"{name} has the column {strangers[0]}, which must not be sent; take it out")
            metadata = {**(file.metadata.metadata or {}), **(file.schema_arrow.metadata or {})}
            for key, value in metadata.items():
                if key != b"ARROW:schema":  # the columns once more, in a form of Arrow's own, and the texts here
                    place = f"the metadata {key.decode('utf-8', 'replace')} of {name}"
                    self.check_text(value.decode("utf-8", "replace"), place)
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group).to_pylist()
                for start in range(0, len(rows), _BATCH):
                    self._check_rows(rows[start : start + _BATCH], name)

    def _check_rows(self, rows: list[dict[str, Any]], name: str) -> None:
        prints = []
        for print_ in map_in_order(lambda row: self._check_row(row, f"{name}, sample {row['image_id']}"), rows):
            prints.append(print_)
            self._step()
        for row, found in zip(rows, self._likeness.find(prints), strict=True):
            if found is not None:
                raise _shows(f"{name}, sample {row['image_id']}", found)

    def _check_row(self, row: dict[str, Any], where: str) -> NDArray[np.uint8]:
        """Returns the fingerprint of the row's draft."""
        key = str(row["image_id"])
        for column, value in row.items():
            if column not in ALLOWED_COLUMNS and value is not None:
                raise InvalidDataError(f"{where}: {column} is not null; it must not be sent")
        differences, cell = row["differences"] or [], row["sd3_image"]
        for difference in differences:
            if strangers := set(difference) - set(ALLOWED_DIFFERENCE_FIELDS):
                raise InvalidDataError(f"{where}: differences have the field {min(strangers)}, which must not be sent")
        texts = [value for value in row.values() if isinstance(value, str)]
        texts += [difference["description"] for difference in differences]
        for text in (*texts, cell.get("path") or ""):
            self.check_text(text, where)
            if found := self._captions.find_short(text, key):
                raise InvalidDataError(
                    f"{where} holds the caption of sample {found}, which must not be sent; take it out"
                )
        try:
            image = read_image(cell["bytes"], name="the draft")
        except InvalidImageError as error:
            raise InvalidDataError(f"{where}: {error}") from error
        digest = pixel_digest(image)
        if digest != self._drafts.get(key):
            raise InvalidDataError(f"{where}: the picture is not the draft of this sample; it must not be sent")
        if digest in self._digests:
            raise InvalidDataError(
                f"{where}: the draft is the very picture of an original, crop, sketch or example, which must not be "
                "sent; take the sample out or give it the draft that was generated"
            )
        if has_metadata(cell["bytes"]):
            raise InvalidDataError(
                f"{where}: the draft's file holds more than the picture; write the annotations form again"
            )
        self._check_likeness(image, key, where)
        return fingerprint(image)

    def _check_likeness(self, draft: Image.Image, key: str, where: str) -> None:
        """Looks for the sample's own photographs in the draft, however they were cut, turned or framed."""
        if key not in self._photographs:
            return
        images = image_bytes(self._photographs[key].row(key))
        for number, data in enumerate((images.original, *images.examples)):
            name = f"{f'example {number}' if number else 'original'} of sample {key}"
            if shows_picture(draft, read_image(data, name=f"the {name}")):
                raise _shows(where, name)


def _shows(where: str, name: str) -> InvalidDataError:
    return InvalidDataError(
        f"{where}: the draft shows the {name}, which must not be sent; take the sample out or give it the draft that "
        "was generated"
    )
