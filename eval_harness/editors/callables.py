"""Anybody's Python as an editor: `package.module:attribute` or `path/to/file.py:attribute`.

The attribute is one of

- a function `edit(image, instruction, reference=None, **kw)` that returns the edited picture. Image and instruction
  come by position; by name it may also take `reference` (None in `vanilla`; without this parameter the editor takes
  no reference), `seed`, `round`, `protocol`, `state`, and each `--param` by its own name; with `**kw` it is
  given all.
- a function of one `EditRequest`: its only required parameter is annotated so, or is called `request`.
- a class or an instance with the methods of `Editor` or `PrivilegedEditor`, or with `__call__` like the functions
  above.

`--option KEY=VALUE` goes to the class when it is called, or to the function with every edit, by name; the options are
part of the fingerprint.

A function returns a PIL image, a NumPy array (H, W, 3) or (H, W) of 8-bit levels or of numbers in 0..1, the path of an
image file, or an `EditResult`. None is status `no_image`; anything else is status `invalid_image`.
It may be `async`: its edits are then awaited, several at the same time.
The fingerprint of a class or instance is what `describe()` declares; `--version` is added to that of a class. A
callable is known by `--version`, else by an attribute `version` of its own, else by the source of the file that defines
it; one with none of them can be run but not continued.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from fashionedit.errors import EditorError
from fashionedit.eval_harness.editing import (
    Editor,
    EditorInfo,
    EditRequest,
    EditResult,
    PrivilegedEditor,
    Status,
    canonical_json,
)
from fashionedit.runtime.http_clients import MOST_PICTURE_BYTES
from fashionedit.runtime.user_code import load_attribute, users_code

from .answers import decoded
from .settings import EditorSettings, undeclared

_FORMS = "write edit(image, instruction, reference=None, **kw) or edit(request: EditRequest)"
_AT_ONCE = 8  # an async function waits for a service; those bear about that many
_RETURN = "return the edited picture: a PIL image, a NumPy array, the path of an image file, or an EditResult"
_OFFERED = ("reference", "seed", "round", "protocol", "state")


def load_editor(spec: str, settings: EditorSettings) -> Editor | PrivilegedEditor:
    """Returns the editor at `module:attribute`; an error inside the user's module keeps its traceback.

    Args:
        spec: The module or file, a colon, and the attribute.
        settings: The arguments of the class or function (`options`), and `version`.

    Raises:
        UnknownNameError: There is no such module, file or attribute.
        EditorError: The attribute is no editor, it takes no such option, or the module tries to end the program.
    """
    place, _, path = spec.rpartition(":")
    with users_code(place):
        value, module = load_attribute(spec, "editor")
        short = Path(place).stem if place.endswith(".py") else place
        return _as_editor(value, f"{short}:{path}", module, settings.options, settings.version)


def _as_editor(
    found: Any, name: str, module: ModuleType, options: Mapping[str, Any], version: str | None
) -> Editor | PrivilegedEditor:
    editor = found
    if inspect.isclass(found):
        editor = _class_with(found, options, version)(**_bound(found, name, options))
    elif hasattr(found, "edit"):
        if options:
            raise EditorError(
                f"{name} is made already and takes no option {next(iter(options))!r}; name its class instead"
            )
        if version is not None and hasattr(found, "describe"):
            raise EditorError(
                f"{name} is made already and tells its version in describe(); leave --version out, or name its class"
            )
    elif options and callable(found):
        plain = CallableEditor(found, name, "")
        for option in options:
            plain.check_option(option)
        editor = partial(found, **options)
    if isinstance(editor, Editor | PrivilegedEditor):
        return editor
    if hasattr(editor, "edit"):
        raise EditorError(f"{name} has edit() and no describe(); add describe() -> EditorInfo(name, fingerprint)")
    if callable(editor):
        return function_editor(editor, name, module, options, version)
    raise EditorError(
        f"{name} is a {type(editor).__name__} and no editor; {_FORMS}, or a class with describe() and edit()"
    )


def _bound(found: type, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options as arguments of a class.

    Raises:
        EditorError: The class does not take them, or needs others.
    """
    try:
        signature = inspect.signature(found)
        signature.bind(**options)
    except TypeError as error:
        offered = f"with the options {', '.join(options)}" if options else "without arguments"
        takes = ", ".join(signature.parameters) or "none"
        raise EditorError(
            f"{name} is a class that can't be called {offered} ({error}); its arguments are {takes}: set them with "
            "--option KEY=VALUE, or give an instance"
        ) from None
    except ValueError:
        pass  # a class of an extension module that tells no signature: calling it will tell
    return dict(options)


def _class_with(found: type, options: Mapping[str, Any], version: str | None) -> Callable[..., Any]:
    """Returns the class; where there are options or a version, one whose fingerprint holds them."""
    if not (options or version) or not hasattr(found, "describe"):
        return found

    def describe(self: Any) -> Any:
        info = found.describe(self)
        if not isinstance(info, EditorInfo):
            return info
        fingerprint = f"{info.fingerprint} version {version}" if version else info.fingerprint
        return replace(info, fingerprint=_with(fingerprint, options))

    return type(found.__name__, (found,), {"__module__": found.__module__, "describe": describe})


def _with(fingerprint: str, options: Mapping[str, Any]) -> str:
    return f"{fingerprint} options {canonical_json(dict(options), name='an option')}" if options else fingerprint


def function_editor(
    function: Callable[..., Any],
    name: str,
    module: ModuleType | None = None,
    options: Mapping[str, Any] | None = None,
    version: str | None = None,
) -> CallableEditor:
    """Returns the editor that a function or callable object makes, an `async` one as such.

    Its fingerprint is the version, else the source of the function and of the module where it was found, and the
    options that the function was given already.

    Raises:
        EditorError: The function takes neither a request nor an image and an instruction.
    """
    fingerprint = f"{name} version {version}" if version else _fingerprint(function, name, module)
    waits = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
    return (AsyncCallableEditor if waits else CallableEditor)(function, name, _with(fingerprint, options or {}))


class CallableEditor:
    """Any function or callable object in the place of an editor."""

    def __init__(self, function: Callable[..., Any], name: str, fingerprint: str) -> None:
        self._function = function
        self._name = name
        try:
            self._signature = inspect.signature(function)
        except ValueError:
            raise EditorError(f"{name} does not tell what it takes; {_FORMS}") from None
        self._takes_request = _takes_request(self._signature)
        kinds = [parameter.kind for parameter in self._signature.parameters.values()]
        self._takes_all = inspect.Parameter.VAR_KEYWORD in kinds
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        places = 2 if inspect.Parameter.VAR_POSITIONAL in kinds else sum(kind in positional for kind in kinds)
        if not self._takes_request and places < 2:
            raise EditorError(f"{name}{self._signature} takes no image and instruction; {_FORMS}")
        seen = self._takes_request or self._takes("reference")
        self._info = EditorInfo(name, fingerprint, takes_reference=seen)

    def describe(self) -> EditorInfo:
        """Returns its name and fingerprint, and whether it takes a reference."""
        return self._info

    def edit(self, request: EditRequest) -> EditResult:
        """Returns what the function made, as a result."""
        return self._result(self._asked(request))

    def _asked(self, request: EditRequest) -> Any:
        return self._function(request) if self._takes_request else self._call(request)

    def _result(self, answer: Any) -> EditResult:
        if isinstance(answer, EditResult):
            return answer
        if answer is None:
            return EditResult.failed(Status.NO_IMAGE, f"{self._name} returned None; {_RETURN}")
        try:
            return EditResult.ok(_picture(answer))
        except (OSError, ValueError) as error:  # InvalidImageError is a ValueError
            return EditResult.failed(Status.INVALID_IMAGE, f"{self._name} returned {error}; {_RETURN}")

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Refuses a param that the function does not take."""
        if not self._takes_request:
            self._params(params)

    def check_option(self, name: str) -> None:
        """Refuses an option that the function does not take, or that the harness sets."""
        parameters = self._signature.parameters
        ours = {*_OFFERED, *list(parameters)[: 1 if self._takes_request else 2]}
        if name in ours or not self._takes(name):
            free = ", ".join(item for item in parameters if item not in ours and self._takes(item)) or "none"
            raise EditorError(f"{self._name}{self._signature} takes no option {name!r}; its options are {free}")

    def _takes(self, name: str) -> bool:
        parameter = self._signature.parameters.get(name)
        return self._takes_all or (parameter is not None and parameter.kind is not inspect.Parameter.POSITIONAL_ONLY)

    def _call(self, request: EditRequest) -> Any:
        offered: dict[str, Any] = {
            "reference": request.references[0] if request.references else None,
            "seed": request.seed,
            "round": request.round,
            "protocol": request.protocol,
            "state": request.state,
        }
        given = {name: value for name, value in offered.items() if self._takes(name)}
        given |= self._params(request.params)
        try:
            bound = self._signature.bind(request.base, request.instruction, **given)
        except TypeError as error:
            raise EditorError(
                f"{self._name}{self._signature} can't be called ({error}); it is offered {', '.join(_OFFERED)} and the "
                "--param names"
            ) from None
        return self._function(*bound.args, **bound.kwargs)

    def _params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        for name in params:
            if name in _OFFERED:
                raise EditorError(f"param {name!r} is set by the harness for each round; leave it out")
            if not self._takes(name):
                raise EditorError(f"{self._name}{self._signature} takes no {name!r}; leave the param out or add **kw")
        return dict(params)


class AsyncCallableEditor(CallableEditor):
    """An `async` function in the place of an editor: awaited, so that several edits are under way in one thread."""

    def describe(self) -> EditorInfo:
        """Returns what `CallableEditor` does, and how many edits are made at the same time unless the run says it."""
        return replace(self._info, at_once=_AT_ONCE)

    async def edit_async(self, request: EditRequest) -> EditResult:
        """Returns what the function made, as a result."""
        return self._result(await self._asked(request))

    def edit(self, request: EditRequest) -> EditResult:
        """Returns what `edit_async` does, on an event loop of this call's own."""
        return asyncio.run(self.edit_async(request))


def _picture(answer: Any) -> Image.Image:
    """Returns the picture that a function returned.

    Raises:
        ValueError: It is none; the message says what it is.
        OSError: It is a path that can't be read.
    """
    if isinstance(answer, Image.Image):
        return answer
    if isinstance(answer, np.ndarray):
        return _from_array(answer)
    if isinstance(answer, str | os.PathLike):
        path = Path(answer)
        if not path.is_file():
            raise ValueError(f"the path {str(answer)[:200]!r}, where there is no file")
        with path.open("rb") as file:
            return decoded(file.read(MOST_PICTURE_BYTES + 1))
    raise ValueError(f"a {type(answer).__name__}, which is no picture")


def _from_array(array: np.ndarray[Any, Any]) -> Image.Image:
    what = f"an array of {array.dtype} and shape {array.shape}"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))) or not array.size:
        raise ValueError(f"{what}, not (height, width, 3)")
    if array.dtype == np.bool_ or array.dtype.kind == "f":
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise ValueError(f"{what} with numbers outside 0..1")
        array = np.rint(array.astype(np.float64) * 255)
    elif array.dtype.kind not in "ui" or array.min() < 0 or array.max() > 255:
        raise ValueError(f"{what} with levels outside 0..255")
    return Image.fromarray(np.ascontiguousarray(array, dtype=np.uint8))


def _takes_request(signature: inspect.Signature) -> bool:
    required = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    if len(required) != 1 or required[0].kind is inspect.Parameter.KEYWORD_ONLY:
        return False
    only = required[0]
    if only.annotation is inspect.Parameter.empty:
        return only.name == "request"
    written = only.annotation if isinstance(only.annotation, str) else getattr(only.annotation, "__name__", "")
    return written.strip("'\"").rpartition(".")[2] == "EditRequest"


def _fingerprint(function: Callable[..., Any], name: str, module: ModuleType | None) -> str:
    inner = inspect.unwrap(function)
    while hasattr(inner, "func"):  # functools.partial
        inner = inspect.unwrap(inner.func)
    version = getattr(function, "version", None) or getattr(inner, "version", None)
    if version is not None:
        return f"{name} version {version}"
    defining = inspect.getmodule(inner if inspect.isroutine(inner) else type(inner))
    files = {found for found in (_source(defining), _source(module)) if found is not None}
    if not files or _source(defining) is None:
        return undeclared()
    digest = hashlib.sha256()
    for content in sorted(Path(file).read_bytes() for file in files):
        digest.update(hashlib.sha256(content).digest())
    return f"{name} source {digest.hexdigest()[:32]}"


def _source(module: ModuleType | None) -> str | None:
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve()) if file is not None and file.endswith(".py") and Path(file).is_file() else None
