"""Local files that the workers of a cluster need: the user's code and model folders, known by what is in them.

A machine that has the same files under the same path uses them there (the driver's own machine, or a shared file
system). Any other is sent them once, into the cache folder, under a name made of their content.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import fashionedit
from fashionedit.errors import InvalidDataError
from fashionedit.files import cache_folder

CHUNK = 32 * 2**20
"""Bytes that are sent at a time."""

_MOST_CODE = 32 * 2**20  # bytes of Python beside a file
_ENDS = 2**20  # bytes at both ends by which a large file is known; safetensors tell their tensors at the start
_MODULE = re.compile(r"[A-Za-z_][\w.]*")


@dataclass(frozen=True)
class ShippedPath:
    """A file or folder that a command line names.

    Args:
        given: The text that names it.
        root: The absolute path of the folder that holds it; what is sent.
        inside: The path in that folder that `given` stands for; empty for the folder itself.
        files: Of each file that is sent: its path in the folder, bytes and digest.
    """

    given: str
    root: str
    inside: str
    files: tuple[tuple[str, int, str], ...]

    @classmethod
    def of_code(cls, given: str, file: Path) -> ShippedPath:
        """Returns a Python file with the modules and packages beside it, which it may import.

        Raises:
            InvalidDataError: They are too large to be the code of a model.
        """
        root = file.resolve().parent
        found = [*root.glob("*.py")]
        for package in root.iterdir():
            if (package / "__init__.py").is_file():
                found += package.rglob("*.py")
        if (total := sum(path.stat().st_size for path in found)) > _MOST_CODE:
            raise InvalidDataError(
                f"{root} holds {total >> 20:,} MiB of Python beside {file.name}, which would be sent to every machine; "
                "move the model's code into a folder of its own"
            )
        return cls(given, str(root), file.name, _listing(root, found))

    @classmethod
    def of_path(cls, given: str, path: Path) -> ShippedPath:
        """Returns a folder with all its files, or a file alone."""
        full = path.resolve()
        if full.is_dir():
            return cls(given, str(full), "", _listing(full, [one for one in full.rglob("*") if one.is_file()]))
        return cls(given, str(full.parent), full.name, _listing(full.parent, [full]))

    @cached_property
    def digest(self) -> str:
        """What names the copy."""
        return hashlib.sha256(repr(self.files).encode()).hexdigest()[:32]

    @property
    def _copy(self) -> Path:
        return cache_folder() / "shipped" / self.digest / (Path(self.root).name or "root")

    def _is_there(self) -> bool:
        """Returns whether this machine has the same files under the same path."""
        root = Path(self.root)
        try:
            return _listing(root, [root / name for name, _, _ in self.files]) == self.files
        except OSError:
            return False

    def missing(self) -> list[int]:
        """Returns the numbers of the files that this machine lacks."""
        if self._is_there():
            return []
        return [number for number, (name, size, _) in enumerate(self.files) if _size(self._copy / name) != size]

    def place(self) -> str:
        """Returns the path that `given` stands for on this machine, which has all files by now."""
        root = Path(self.root) if self._is_there() else self._copy
        return str(root / self.inside if self.inside else root)

    def parts(self, number: int, size: int) -> Iterator[tuple[int, bytes]]:
        """Yields a file in parts of so many bytes, each with its offset."""
        offset = 0
        with (Path(self.root) / self.files[number][0]).open("rb") as file:
            while (data := file.read(size)) or not offset:
                yield offset, data
                offset += len(data)
                if not data:
                    return

    def write(self, number: int, offset: int, data: bytes) -> None:
        """Writes a part of a file; it has its name once it is whole."""
        name, size, _ = self.files[number]
        path = self._copy / name
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(data)
        if offset + len(data) == size:
            part.replace(path)


def _listing(root: Path, files: list[Path]) -> tuple[tuple[str, int, str], ...]:
    return tuple(sorted((file.relative_to(root).as_posix(), *_known(file)) for file in files))


def _known(file: Path) -> tuple[int, str]:
    size = file.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with file.open("rb") as stream:
        digest.update(stream.read(_ENDS))
        if size > 2 * _ENDS:
            stream.seek(-_ENDS, os.SEEK_END)
        digest.update(stream.read())
    return size, digest.hexdigest()


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


def shipped_code(spec: str) -> tuple[ShippedPath, ...]:
    """Returns the local code behind `path/to/file.py:attribute` or `package.module:attribute`; none for installed code.

    `given` is what stands before the colon: a path, or the module's name, whose place is then its folder's.
    """
    place, _, attribute = spec.rpartition(":")
    if not place or not attribute:
        return ()
    if place.endswith(".py"):
        return (ShippedPath.of_code(place, Path(place)),) if Path(place).is_file() else ()
    if not _MODULE.fullmatch(place):
        return ()
    top = place.partition(".")[0]
    file = _own_module(top)
    if file is None:
        return ()
    shipped = ShippedPath.of_code(place, file.parent if file.name == "__init__.py" else file)
    return (ShippedPath(place, shipped.root, "", shipped.files),)


def _own_module(top: str) -> Path | None:
    """Returns the file or package of a module that lies in a folder of the user's, and not in an installation."""
    for candidate in (Path.cwd() / f"{top}.py", Path.cwd() / top / "__init__.py"):
        if candidate.is_file():
            return candidate
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    file = None if spec is None or spec.origin is None else Path(spec.origin)
    return file if file is not None and _is_own(file) else None


def own_module(module: ModuleType) -> bool:
    """Returns whether a module is the user's own, and not installed."""
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and file.endswith(".py") and _is_own(Path(file))


def _is_own(file: Path) -> bool:
    return file.is_file() and _installed().isdisjoint({*file.parents, *file.resolve().parents})


@lru_cache(maxsize=1)
def _installed() -> frozenset[Path]:
    paths = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")}
    files = {Path(file).resolve().parent for file in (fashionedit.__file__, __file__)}
    return frozenset({Path(fashionedit.__file__).parent, *files, *paths})


def shipped_options(options: Mapping[str, Any]) -> tuple[ShippedPath, ...]:
    """Returns the files and folders that values of options name."""
    texts = [value for value in options.values() if isinstance(value, str) and value and "\0" not in value]
    return tuple(ShippedPath.of_path(text, Path(text)) for text in texts if len(text) < 4096 and Path(text).exists())


def moved(value: Any, places: Mapping[str, str]) -> Any:
    """Returns the value with the place on this machine where it names something that was shipped."""
    return places.get(value, value) if isinstance(value, str) else value


def named_as_given(text: str, places: Mapping[str, str]) -> str:
    """Returns the text with the names that were given, in the place of those on this machine."""
    for given, place in places.items():
        text = text.replace(place, given)
    return text
