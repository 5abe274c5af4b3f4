"""Folders that this package may replace and delete: their marks, and what killed processes left.

A folder of ours holds `.fashionedit.json`: what kind of folder it is, and which files were written into it. Only these
files are ever replaced or deleted; whatever else lies there stays.

    <parent>/.<name>.<8 hex digits>.part    being written; its writer holds a lock on it
    <parent>/.<name>.<8 hex digits>.old     the earlier folder while the new one takes its place
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import combinations, permutations
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from .errors import InvalidDataError, RunBusyError
from .files import made_folder, named_errors, read_regular, try_lock, write_atomically

MARK_FILE = ".fashionedit.json"

FolderKind = Literal["dataset", "build", "work", "page", "submission"]

_CALLED = {
    "dataset": "a dataset",
    "build": "a dataset that `fashionedit build` wrote",
    "work": "the work folder of a build",
    "page": "a page that `fashionedit report` wrote",
    "submission": "a submission",
}
_HASHED_BYTES = 2**20  # larger files are compared by their size alone
_MARK_BYTES = 64 * 2**20


class OwnedFile(BaseModel):
    """A file as it was written: its size in bytes and, up to 1 MiB, its SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: NonNegativeInt
    sha256: str | None = None

    @classmethod
    def of(cls, path: Path) -> OwnedFile:
        """Returns the facts about a file."""
        size = path.stat().st_size
        return cls(size=size, sha256=hashlib.sha256(path.read_bytes()).hexdigest() if size <= _HASHED_BYTES else None)


class FolderMark(BaseModel):
    """The content of `.fashionedit.json`.

    Args:
        files: What was written, by its path relative to the folder. None in a work folder, which grows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    written_by: Literal["fashionedit"]
    format_version: Literal[1]
    kind: FolderKind
    files: dict[str, OwnedFile] = {}

    def is_unchanged(self, path: Path, name: str) -> bool:
        """Returns whether the file is one that was written into the folder, and still as it was written."""
        stated = self.files.get(name)
        return stated is not None and path.is_file() and not path.is_symlink() and OwnedFile.of(path) == stated


def read_mark(folder: Path) -> FolderMark | None:
    """Returns what the folder's mark says; None for a folder that this package did not write."""
    try:
        return FolderMark.model_validate_json(read_regular(folder / MARK_FILE, _MARK_BYTES, folder=folder))
    except (OSError, InvalidDataError, ValidationError):
        return None


def check_replaceable(out: Path, kind: FolderKind, *, replace: bool) -> None:
    """Checks that a folder may be written at `out`: it is missing, empty, or ours, of this kind and to be replaced.

    Raises:
        InvalidDataError: Something else is there, or `out` lies inside a folder that this package wrote.
    """
    out = out.absolute()
    if out.is_symlink():
        raise InvalidDataError(f"{out} is a link; give the folder that it leads to")
    if out.exists() and not (out.is_dir() and (replace or not any(out.iterdir()))):
        raise InvalidDataError(f"{out} exists and is not an empty folder; choose another one or remove it")
    if out.is_dir() and any(out.iterdir()):
        mark = read_mark(out)
        if mark is None:
            raise InvalidDataError(
                f"{out} is not an empty folder, and not {_CALLED[kind]}; choose another one or remove it"
            )
        if mark.kind != kind:
            raise InvalidDataError(f"{out} is {_CALLED[mark.kind]}; choose another folder or remove this one")
    check_not_inside_ours(out)


def check_not_inside_ours(place: Path) -> None:
    """Checks that no folder above `place` is one that this package replaces or fills.

    Raises:
        InvalidDataError: One is; the message names it.
    """
    for parent in place.resolve().parents:
        mark = read_mark(parent)
        if mark is not None:
            raise InvalidDataError(f"{place} lies inside {parent}, {_CALLED[mark.kind]}; choose a folder outside of it")


def check_apart(places: Mapping[str, Path]) -> None:
    """Checks that no folder, given by what messages call it, is another one or lies inside it, links followed.

    Raises:
        InvalidDataError: Two of them overlap.
    """
    for (first, one), (second, other) in combinations(places.items(), 2):
        if _is_inside(one, other) and _is_inside(other, one):
            raise InvalidDataError(f"{first} and {second} are both {one}; choose two folders that lie apart")
        for (name, inner), (around, outer) in permutations(((first, one), (second, other))):
            if _is_inside(inner, outer):
                raise InvalidDataError(f"{name} {inner} lies inside {around} {outer}; choose folders that lie apart")


def _is_inside(inner: Path, outer: Path) -> bool:
    """Returns whether `inner` is `outer` or lies in it, by the names and, where they exist, by the folders."""
    real = Path(os.path.realpath(inner))
    if real.is_relative_to(os.path.realpath(outer)):
        return True
    for place in (real, *real.parents):  # a file system may have two names for one folder
        with suppress(OSError):
            if place.samefile(outer):
                return True
    return False


def mark_folder(folder: Path, kind: FolderKind, files: Mapping[str, OwnedFile] | None = None) -> None:
    """Marks an existing folder as ours."""
    write_atomically(folder / MARK_FILE, _mark(kind, files))


def _mark(kind: FolderKind, files: Mapping[str, OwnedFile] | None = None) -> bytes:
    """Returns the content of the mark, the same for the same files."""
    mark = FolderMark(written_by="fashionedit", format_version=1, kind=kind, files=dict(files or {}))
    return (mark.model_dump_json(indent=1, exclude_none=True) + "\n").encode()


@contextmanager
def new_folder(out: Path, kind: FolderKind, *, replace: bool = False) -> Iterator[Path]:
    """Gives a temporary folder beside `out` that becomes `out` when the block ends well, and vanishes otherwise.

    With `replace`, an earlier folder of the same kind gives way. Files in it that this package did not write, or that
    somebody changed since, are moved into the new one; where it has a file of the same name, the old one is called
    `NAME.old`.

    Raises:
        InvalidDataError: `out` is neither free nor a folder that may be replaced, before or after.
        RunBusyError: Another process is replacing it.
    """
    out = out.absolute()
    recover_folder(out)
    check_replaceable(out, kind, replace=replace)
    with made_folder(out.parent), named_errors(out):
        temporary, lock = _locked_folder(out)
        try:
            (temporary / MARK_FILE).write_bytes(_mark(kind))
            yield temporary
            paths = (path for path in sorted(temporary.rglob("*")) if path.is_file() and path.name != MARK_FILE)
            mark_folder(temporary, kind, {path.relative_to(temporary).as_posix(): OwnedFile.of(path) for path in paths})
            check_replaceable(out, kind, replace=replace)
            _put(temporary, out)
        except BaseException:
            _remove(temporary)
            raise
        finally:
            os.close(lock)


def recover_folder(out: Path) -> None:
    """Clears what killed writers left beside `out`; an earlier folder that one of them had moved away comes back."""
    out = out.absolute()
    for old in _beside(out, "old"):
        with _held(old) as is_dead:
            if is_dead and not out.exists():
                old.rename(out)
            elif is_dead and read_mark(out) is not None:  # the new one is there: its writer died while it cleaned up
                _merge(old, out)
    for temporary in _beside(out, "part"):
        with _held(temporary) as is_dead:
            if is_dead:
                _remove(temporary)


def _locked_folder(out: Path) -> tuple[Path, int]:
    """Returns a new folder beside `out`, and the descriptor that holds its lock until it is closed."""
    while True:
        temporary = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
        temporary.mkdir()
        descriptor = os.open(temporary, os.O_RDONLY)
        if try_lock(descriptor, temporary):
            return temporary, descriptor
        os.close(descriptor)  # another process took it for a leftover before it was locked


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Tells whether nobody else holds the lock of the folder, and holds it for the block."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        yield try_lock(descriptor, folder)
    finally:
        os.close(descriptor)


def _beside(out: Path, ending: str) -> list[Path]:
    """Returns the temporary folders of `out`: those that are marked as ours, and those that hold nothing yet."""
    pattern = re.compile(rf"\.{re.escape(out.name)}\.[0-9a-f]{{8}}\.{ending}")
    try:
        found = [path for path in out.parent.iterdir() if pattern.fullmatch(path.name)]
    except OSError:
        return []
    return sorted(path for path in found if path.is_dir() and not path.is_symlink() and _is_leftover(path))


def _is_leftover(folder: Path) -> bool:
    if read_mark(folder) is not None:
        return True
    entries = list(folder.iterdir())
    return all(entry.name == MARK_FILE and entry.stat().st_size == 0 for entry in entries)


def _put(temporary: Path, out: Path) -> None:
    if not (out.is_dir() and any(out.iterdir())):
        temporary.rename(out)
        return
    old = temporary.with_suffix(".old")
    descriptor = os.open(out, os.O_RDONLY)
    try:
        if not try_lock(descriptor, out):
            raise RunBusyError(f"another process is writing to {out}; wait for it or choose another folder")
        out.rename(old)
        try:
            temporary.rename(out)
        except BaseException:
            old.rename(out)
            raise
        _merge(old, out)
    finally:
        os.close(descriptor)


def _merge(old: Path, new: Path) -> None:
    """Moves what is not ours from the earlier folder into the new one, and removes the earlier folder."""
    if (mark := read_mark(old)) is not None:
        _move_foreign(old, new, mark)
    _remove(old.rename(old.with_suffix(".part")))  # under this name nobody brings half of it back


def _move_foreign(old: Path, new: Path, mark: FolderMark, below: str = "") -> None:
    for entry in sorted(old.iterdir(), key=lambda entry: (f"{below}{entry.name}" in mark.files, entry.name)):
        name, target = f"{below}{entry.name}", new / entry.name
        if name == MARK_FILE or mark.is_unchanged(entry, name):
            continue
        holds_ours = any(file.startswith(f"{name}/") for file in mark.files)
        if entry.is_dir() and not entry.is_symlink() and (holds_ours or target.is_dir()):
            target.mkdir(exist_ok=True)
            _move_foreign(entry, target, mark, f"{name}/")
            with suppress(OSError):
                target.rmdir()  # it held our files only
        else:
            entry.rename(_free(target))


def _free(target: Path) -> Path:
    number, free = 1, target
    while os.path.lexists(free):
        free = target.with_name(f"{target.name}.old{number if number > 1 else ''}")
        number += 1
    return free


def _remove(folder: Path) -> None:
    """Deletes a folder of ours, its mark last: what is left when the process is killed meanwhile is still ours."""
    with suppress(OSError):
        for entry in folder.iterdir():
            if entry.name != MARK_FILE:
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)
        (folder / MARK_FILE).unlink(missing_ok=True)
        folder.rmdir()
