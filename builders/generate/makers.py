"""Draft makers by their names on the command line; drafts that exist as files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from fashionedit.errors import DatasetNotFoundError, InvalidDataError, UnknownNameError
from fashionedit.images import SUFFIXES, UNREAD_SUFFIXES
from fashionedit.photo_index import stem_of
from fashionedit.types import safe_id

from .diffusers_drafts import PRESETS, DiffusersDrafts
from .drafting import DraftMaker, DraftRequest, DraftResult
from .openai_drafts import OpenAIDrafts


class FolderDrafts:
    """Finds the draft of each photograph in a folder: `<id>.png`, `.jpg` and so on, there or one folder down.

    A draft may also be named as its photograph's file is, where that is no safe id. The stage uses the files where they
    lie and generates nothing; a photograph without one is dropped.

    Raises:
        DatasetNotFoundError: There is no such folder, or no image in it.
        InvalidDataError: Two files are drafts of one photograph.
    """

    batch_size = 1  # nothing is gained by more
    highest_cost = 0.0

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            state = "is no folder" if self.folder.exists() else "does not exist"
            raise DatasetNotFoundError(f"{self.folder} {state}; give the folder that holds the drafts")
        self._files: dict[str, Path] = {}
        files = self._all_files()
        self._unread = {safe_id(stem_of(file.name)): file for file in files if file.suffix.lower() in UNREAD_SUFFIXES}
        for file in (file for file in files if file.suffix.lower() in SUFFIXES):
            if (first := self._files.setdefault(safe_id(stem_of(file.name)), file)) != file:
                raise InvalidDataError(f"{first} and {file} are both the draft of {file.stem}; keep one of the two")
        if not self._files:
            raise DatasetNotFoundError(
                f"{self.folder} holds no image; name drafts after their photographs, such as <image_id>.png"
            )

    def describe(self) -> dict[str, Any]:
        """Returns the kind alone: a draft that is there has its own file in its key."""
        return {"kind": "folder"}

    def find(self, identity: str) -> Path | None:
        """Returns the file of the photograph's draft, None where there is none."""
        return self._files.get(identity)

    def make(self, requests: Sequence[DraftRequest]) -> list[DraftResult]:
        """Returns why there is no draft: those that are there are found, and not asked for."""
        return [self._missing(request) for request in requests]

    def _missing(self, request: DraftRequest) -> DraftResult:
        if request.id in self._unread:
            detail = f"{self._unread[request.id]} is in a format that is not read; convert it to JPEG or PNG"
            return DraftResult(reason="draft not readable", detail=detail)
        return DraftResult(reason="no draft", detail=f"{self.folder} has no image {request.id}")

    def _all_files(self) -> list[Path]:
        found = []
        for path in sorted(self.folder.iterdir()):
            found += sorted(path.iterdir()) if path.is_dir() else [path]
        return [file for file in found if not file.name.startswith(".") and file.is_file()]


_MAKERS: Mapping[str, Callable[..., DraftMaker]] = {"openai": OpenAIDrafts, "folder": FolderDrafts}


def make_drafts(spec: str, **options: Any) -> DraftMaker:
    """Returns the maker of this name; options that are None count as not given.

    | spec | drafts come from |
    |---|---|
    | `sd3`, `sd2.1`, `sd3.5-medium`, … | a model of `PRESETS`, `sd3` being the paper's |
    | `diffusers:OWNER/NAME[@REVISION]`, `diffusers:FOLDER` | any text-to-image pipeline of diffusers |
    | `openai:MODEL` | OpenAI's `images.generate`, or another service that has it |
    | `folder:FOLDER` | files that are there already |

    Raises:
        UnknownNameError: The spec names nothing, or the maker takes no such option.
        FashionEditError: What the maker's class raises.
    """
    kind, _, name = spec.partition(":")
    given = {option: value for option, value in options.items() if value is not None}
    if spec in PRESETS:
        return _built(DiffusersDrafts, spec, spec, given)
    if kind == "diffusers" and name:
        place, revision = _place(spec, name)
        if revision is not None:
            if "revision" in given:
                raise UnknownNameError(f"{spec} names a revision, and so does the option; keep one of the two")
            given["revision"] = revision
        return _built(DiffusersDrafts, spec, place, given)
    if kind in _MAKERS and name:
        return _built(_MAKERS[kind], spec, name, given)
    raise UnknownNameError(
        f"nothing called {spec!r} makes drafts; choose {', '.join(PRESETS)}, or write diffusers:OWNER/NAME[@REVISION], "
        "diffusers:FOLDER, openai:MODEL or folder:FOLDER"
    )


def _place(spec: str, name: str) -> tuple[str, str | None]:
    if Path(name).is_dir():
        return name, None
    place, at, revision = name.partition("@")
    if at and not revision:
        raise UnknownNameError(f"{spec} has an @ without a revision; name one, or leave the @ away")
    return place, revision or None


def _built(make: Callable[..., DraftMaker], spec: str, first: str, given: dict[str, Any]) -> DraftMaker:
    _, *known = inspect.signature(make).parameters
    for option in given:
        if option not in known:
            raise UnknownNameError(f"drafts from {spec} take no {option}; they take {', '.join(known) or 'no options'}")
    return make(first, **checked_arguments(make, given, f"drafts from {spec}"))


def checked_arguments(make: Callable[..., Any], given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Returns arguments of a class from a command line, each of the type that its parameter is annotated with.

    Raises:
        InvalidDataError: One is of another type; the message says that it is an argument of `owner`.
    """
    # a dataclass's fields may come from a base in another module, whose names its __init__ does not know
    hints = get_type_hints(make if is_dataclass(make) else make.__init__)
    checked = {}
    for name, value in given.items():
        try:
            checked[name] = TypeAdapter(hints.get(name, Any)).validate_python(value)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            raise InvalidDataError(f"{name} of {owner} is {value!r} ({reason}); give another value") from None
    return checked
