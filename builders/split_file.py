"""A list of validation images that somebody else made: one name a line, or JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.files import parse_json, read_regular
from fashionedit.photographs import stem_of
from fashionedit.types import safe_id, split_name

_MAX_BYTES = 64 << 20
_FORMS = (
    'a name on each line, a JSON list, {"validation": [names]}, {name: split}, or an object whose keys are the names'
)


def read_split_file(path: Path) -> frozenset[str]:
    """Returns the ids that the file puts into validation.

    A name is an id or a file name, with either slash before it and with or without an image's ending; one that is no
    safe id stands for the id that its photograph gets. The file is text with one name a line (empty lines and lines
    that start with # are passed over), or JSON: a list of names, an object with `validation` or `val` (then `train` may
    stand beside it), an object that gives each name its split, or any other object, such as a part of `captions.json`,
    whose keys are the names.

    Raises:
        InvalidDataError: The file is missing, too large, none of these, names nothing, or a name is no text.
    """
    names = _names(_text(path), path.name)
    identities = set()
    for name in names:
        if not isinstance(name, str):
            raise InvalidDataError(f"{path.name}: {json.dumps(name)[:60]} is no name of an image; write a string")
        identities.add(safe_id(stem_of(name.strip())))
    if not identities:
        raise InvalidDataError(f"{path.name} names no image for validation; write {_FORMS}")
    return frozenset(identities)


def _text(path: Path) -> str:
    try:
        return read_regular(path, _MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise InvalidDataError(f"{path.name}: byte {error.start} is not UTF-8; save the list as UTF-8") from error


def _names(text: str, name: str) -> list[Any]:
    if not text.lstrip().startswith(("[", "{")):
        lines = (line.strip() for line in text.splitlines())
        return [line for line in lines if line and not line.startswith("#")]
    try:
        found = parse_json(text, name=name)
    except InvalidDataError as error:
        raise InvalidDataError(f"{name} is no valid JSON ({error.__cause__}); write {_FORMS}") from error
    if isinstance(found, list):
        return found
    lists = [key for key, value in found.items() if key in ("train", "validation", "val") and isinstance(value, list)]
    if lists and len(lists) == len(found):
        return [entry for key in lists if key != "train" for entry in found[key]]
    try:
        splits = {key: split_name(value) for key, value in found.items() if isinstance(value, str)}
    except UnknownNameError:
        splits = {}
    if found and len(splits) == len(found):
        return [key for key, split in splits.items() if split == "validation"]
    return list(found)
