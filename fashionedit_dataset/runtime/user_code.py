"""Loads and runs the user's own code: says where it raised, and turns `sys.exit` into an error."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import fashionedit
from fashionedit.errors import EditorError, UnknownNameError

from .worker_pool import on_interrupt

_NOT_THEIRS = {Path(fashionedit.__file__).parent, Path(sysconfig.get_path("stdlib"))}


class ProgramEndedError(EditorError):
    """Code of the user's called `sys.exit`, or raised what is no `Exception`."""


@contextmanager
def users_code(what: str) -> Iterator[None]:
    """Turns what would end the program into an error; exceptions, and a real Ctrl-C or SIGTERM, pass through.

    Args:
        what: How the message calls the code in the block.

    Raises:
        ProgramEndedError: The code tried to end the program.
    """
    interrupted = False

    def press() -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    try:
        with on_interrupt(press):
            yield
    except Exception:
        raise
    except BaseException as error:
        if interrupted:
            raise
        raise ProgramEndedError(
            f"{what} tried to end the program ({described(error)}); let it raise an exception, or run that part only "
            'under `if __name__ == "__main__":`'
        ) from error


def described(error: BaseException) -> str:
    """Returns what was raised, and where in the user's own code."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if not {"site-packages", "dist-packages"} & set(path.parts) and not _NOT_THEIRS & set(path.parents):
            place = f" in {path.name}, line {frame.lineno}"
    return f"{type(error).__name__}{place}{f': {error}' if str(error) else ''}"


def load_attribute(spec: str, kind: str) -> tuple[Any, ModuleType]:
    """Returns the attribute that `package.module:attribute` or `path/to/file.py:attribute` names, and its module.

    Args:
        kind: What the attribute should be, for messages: `editor` or `metric`.

    Raises:
        UnknownNameError: There is no such module, file or attribute. What the module itself raises passes through.
    """
    place, _, path = spec.rpartition(":")
    if not place or not path:
        raise UnknownNameError(f"{spec!r} names no {kind}; write package.module:attribute or path/to/file.py:attribute")
    module = module_from_file(Path(place)) if place.endswith(".py") else module_from_name(place)
    value: Any = module
    for name in path.split("."):
        if not hasattr(value, name):
            names = ", ".join(sorted(name for name in vars(value) if not name.startswith("_"))[:12]) or "nothing"
            raise UnknownNameError(f"{place} has no {path!r}; it has {names}")
        value = getattr(value, name)
    return value, module


def module_from_file(path: Path) -> ModuleType:
    """Returns the module that the file defines, under a name of its own; its folder is searched for imports last."""
    if not path.is_file():
        raise UnknownNameError(f"there is no file {path}; check the path before the colon")
    full = path.resolve()
    name = f"fashionedit_plugin_{hashlib.sha256(str(full).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, full)
    if spec is None or spec.loader is None:
        raise UnknownNameError(f"{path} can't be imported; give a Python file")
    module = importlib.util.module_from_spec(spec)
    _also_import_from(full.parent)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def module_from_name(name: str) -> ModuleType:
    """Returns the module of this name, installed or in the working folder."""
    _also_import_from(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that the user's own module fails to import is theirs to see, with its traceback.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise UnknownNameError(
            f"no module is called {name!r}; check the name, or give the file as path/to/file.py:attribute"
        ) from None
    except TypeError as error:
        if not name.startswith("."):
            raise
        raise UnknownNameError(f"{name!r} is a relative name; give the whole package.module:attribute") from error


def _also_import_from(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # last, so that it hides nothing that is installed
