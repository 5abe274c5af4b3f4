"""From a name on the command line to a maker of drafts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from fashionedit.errors import InvalidDataError, UnknownNameError

from .diffusers_drafts import DiffusersDrafts
from .drafting import DraftMaker
from .folder_drafts import FolderDrafts
from .openai_drafts import OpenAIDrafts
from .presets import PRESETS


def make_drafts(spec: str, **options: Any) -> DraftMaker:
    """Returns the maker of this name.

    | spec | drafts come from |
    |---|---|
    | `sd3`, `sd2.1`, `sd3.5-medium`, … | a model of `PRESETS`, `sd3` being the paper's |
    | `diffusers:OWNER/NAME[@REVISION]`, `diffusers:FOLDER` | any text-to-image pipeline of diffusers |
    | `openai:MODEL` | OpenAI's `images.generate`, or another service that has it |
    | `folder:FOLDER` | files that are there already |

    Args:
        spec: One of the above.
        options: What the maker's class takes; those that are None count as not given.

    Raises:
        UnknownNameError: The spec names nothing, or the maker takes no such option.
        FashionEditError: What the maker's class raises.
    """
    kind, colon, name = spec.partition(":")
    given = {option: value for option, value in options.items() if value is not None}
    if not colon and spec in PRESETS:
        return _built(DiffusersDrafts, spec, spec, given)
    if colon and name:
        if kind == "diffusers":
            place, revision = _place(spec, name)
            if revision is not None:
                if "revision" in given:
                    raise UnknownNameError(f"{spec} names a revision, and so does the option; keep one of the two")
                given["revision"] = revision
            return _built(DiffusersDrafts, spec, place, given)
        if kind == "openai":
            return _built(OpenAIDrafts, spec, name, given)
        if kind == "folder":
            return _built(FolderDrafts, spec, name, given)
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
    """Returns arguments from a command line, each of the type that its parameter is annotated with.

    Args:
        make: A class.
        given: Names and values of its parameters.
        owner: Whose arguments they are, for the message.

    Raises:
        InvalidDataError: One is of another type.
    """
    hints = get_type_hints(make.__init__)
    checked = {}
    for name, value in given.items():
        try:
            checked[name] = TypeAdapter(hints.get(name, Any)).validate_python(value)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            raise InvalidDataError(f"{name} of {owner} is {value!r} ({reason}); give another value") from None
    return checked
