"""Writing files whole, and reading those of strangers: regular files only, in bounds, JSON without surprises.

And where this package keeps files of its own on a user's machine.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from .errors import InvalidDataError, RunBusyError

if TYPE_CHECKING:
    from pydantic import BaseModel


Model = TypeVar("Model", bound="BaseModel")

JSON_BYTES = 64_000_000
"""The largest text file of a run or a bundle that is read, in bytes."""

_LARGEST = 1e30  # no number of ours is, and sums and squares of such numbers stay finite
_LONGEST_INTEGER = 30  # digits
_DEEPEST = 200  # lists and objects in one another; what writes JSON has limits of its own
_TOO_DEEP = "it is nested too deeply"
# One byte for each kind of byte: a literal is found faster than a class of bytes.
_KINDS = bytes.maketrans(b"123456789E \t\n\r\f\v}]", b"000000000e,,,,,,,,")
_LONG_NUMBER = b"0" * (_LONGEST_INTEGER + 1)
_POWER_OF_TEN = re.compile(rb"e\+?0+,")

_TEMPORARY = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.part", re.DOTALL)
_cleared: set[Path] = set()  # folders in which this process has written before


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Writes the whole file or nothing: a temporary file in the same folder, fsync, rename.

    Missing folders are made. Two writers of one path end with the whole file of one of them. What killed writers left
    in the folder is removed when this process first writes there. An OSError names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(path, data) as temporary:
        temporary.replace(path)


def write_all(files: Mapping[Path, bytes]) -> None:
    """Writes several files as `write_atomically` does, none of them before all are on the disk.

    Raises:
        OSError: One can't be written; the error names it, no file was changed, and folders made for them are gone.
    """
    with ExitStack() as stack:
        written: dict[Path, Path] = {}
        for path, data in files.items():
            stack.enter_context(made_folder(path.parent))
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            written[path] = stack.enter_context(_temporary(path, data))
        for path, temporary in written.items():
            temporary.replace(path)


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Makes a folder, and those above it, where they are missing; if the block fails, the empty ones go again."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with suppress(OSError):
            for place in missing:
                place.rmdir()
        raise


@contextmanager
def _temporary(path: Path, data: bytes | Iterable[bytes]) -> Iterator[Path]:
    """Gives a locked temporary file beside `path` that holds the data; it is removed if the block fails."""
    if path.parent not in _cleared:
        clear_leftovers(path.parent)
        _cleared.add(path.parent)
    while True:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
        try:
            with named_errors(path), temporary.open("wb") as file:
                if not try_lock(file.fileno(), temporary):
                    continue  # another process took it for a leftover before it was locked
                file.writelines([data] if isinstance(data, bytes) else data)
                file.flush()
                os.fsync(file.fileno())
                yield temporary
            return
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Adds the path to an error of the operating system that names no file, as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def clear_leftovers(folder: Path, *, below: bool = False) -> None:
    """Removes the temporary files of `write_atomically` whose writers are gone, with `below` in subfolders too."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        if below and entry.is_dir(follow_symlinks=False):
            clear_leftovers(path, below=True)
        elif _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            with suppress(OSError), path.open("rb") as file:
                if try_lock(file.fileno(), path):
                    path.unlink()


def try_lock(descriptor: int, path: Path) -> bool:
    """Returns whether the lock of an open file or folder was free and it is still at `path`; holds the lock then.

    On a file system without locks every lock is free.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return os.path.lexists(path)


@contextmanager
def locked_file(path: Path) -> Iterator[int]:
    """Opens a file to be read and appended to by this process alone, and gives its descriptor.

    The file and its folder are made where they are missing. A file system without locks is used without one: there each
    write still arrives whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def append_line(path: Path, line: str) -> None:
    """Appends one line under the file's lock, so that lines of concurrent writers never mix."""
    with locked_file(path) as descriptor:
        append_text(descriptor, f"{line}\n", path)


def append_text(descriptor: int, text: str, path: Path) -> None:
    """Appends text to a locked file with a single write.

    A last line that a killed writer left without its newline is closed first; without the lock, a line that another
    process is just writing would look like one. An OSError names `path`.
    """
    size = os.fstat(descriptor).st_size
    torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    data = (("\n" if torn else "") + text).encode()
    with named_errors(path):
        if os.write(descriptor, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def lock_folder(folder: Path) -> int:
    """Returns the open descriptor that holds an existing folder's lock; closing it, or dying, gives the lock back.

    Raises:
        RunBusyError: Another process, or another run in this one, holds it.
    """
    path = folder / ".lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    if not try_lock(descriptor, path):
        os.close(descriptor)
        raise RunBusyError(f"another process is writing to {folder}; wait for it or choose another folder")
    return descriptor


def open_regular(path: Path, *, folder: Path | None = None) -> BinaryIO:
    """Returns the regular file, open for reading; never waits for a named pipe or a device.

    With `folder`, where somebody else's files lie, a link that leads out of it is refused. The Hub's cache, in which
    each file of a snapshot is a link to its content, counts as one folder.

    Raises:
        InvalidDataError: It is no regular file, a link out of the folder, or the name holds a NUL.
        OSError: It is missing or can't be opened.
    """
    try:
        if folder is not None and _leads_out(path, folder):
            raise InvalidDataError(f"{path} leads out of {folder}; put the file itself there")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except InvalidDataError:
        raise
    except ValueError as error:
        raise InvalidDataError(f"the file name {str(path)!r} is not valid ({error}); rename the file") from error
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise InvalidDataError(f"{path} is no regular file; replace it") from error
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise InvalidDataError(f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}; replace it")
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, limit: int = JSON_BYTES, *, folder: Path | None = None) -> bytes:
    """Returns the content of a regular file (`open_regular`) of at most `limit` bytes.

    Raises:
        InvalidDataError: It is larger, or what `open_regular` refuses.
        OSError: It is missing or can't be read.
    """
    with open_regular(path, folder=folder) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InvalidDataError(f"{path} has more than the {limit:,} bytes that are read; replace it")
    return data


class FolderReader:
    """Reads many files of one folder as `read_regular` does; where a subfolder really lies is asked once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._home = os.path.realpath(folder)
        self._inside: set[str] = set()

    def read(self, name: str) -> bytes:
        """Returns the content of the file with this relative name.

        Raises:
            InvalidDataError: As `read_regular`.
            OSError: As `read_regular`.
        """
        if opened := self._open(name):
            file, size = opened
            try:
                data = os.read(file, min(size, JSON_BYTES) + 1)
            finally:
                os.close(file)
            if len(data) == size:
                return data
        return read_regular(self._folder / name, folder=self._folder)

    def ending(self, name: str, count: int) -> bytes:
        """Returns the last `count` bytes of the file with this relative name, fewer where it has fewer.

        Raises:
            InvalidDataError: As `open_regular`.
            OSError: As `open_regular`.
        """
        if opened := self._open(name):
            file, size = opened
            try:
                return os.pread(file, count, max(size - count, 0))
            finally:
                os.close(file)
        with open_regular(self._folder / name, folder=self._folder) as other:
            other.seek(max(other.seek(0, os.SEEK_END) - count, 0))
            return other.read(count)

    def _open(self, name: str) -> tuple[int, int] | None:
        """Returns descriptor and size of a regular file that is no link, in a subfolder that lies in the folder."""
        parent, _, _ = name.rpartition("/")
        if parent not in self._inside:
            place = Path(os.path.realpath(self._folder / parent))
            if not place.is_relative_to(self._home) or not place.is_dir():
                return None
            self._inside.add(parent)
        try:
            descriptor = os.open(f"{self._home}/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO):
                raise
            return None
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            return descriptor, status.st_size
        os.close(descriptor)
        return None


def parse_json(data: bytes | str, *, name: str) -> Any:
    """Returns the value of a JSON text, whoever wrote it; messages call it `name`.

    Raises:
        InvalidDataError: It is no JSON, no UTF-8, nested too deeply, or holds NaN, infinity, a number beyond 1e30 or
            half of a character.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite, parse_int=_short)
        if "\\u" in text:  # an escape may be half of a character
            json.dumps(value, ensure_ascii=False).encode()
        if text.count("[") + text.count("{") > _DEEPEST:
            _check_depth(value)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, ValueError) else _TOO_DEEP
        raise InvalidDataError(f"{name} can't be read ({reason}); it is no valid JSON") from error
    return value


def parse_model(model: type[Model], data: bytes | str, *, name: str) -> Model:
    """Returns the value of a JSON text as this kind of model, whoever wrote it; messages call the text `name`."""
    from pydantic import ValidationError

    plain = _is_plain(data.encode(errors="replace") if isinstance(data, str) else data)
    try:
        if not plain:
            parse_json(data, name=name)
        return model.model_validate_json(data)
    except ValidationError as error:
        if plain:
            parse_json(data, name=name)  # says what is no JSON in the words of every other file
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InvalidDataError(
            f"{name} can't be read ({place}: {first['msg']}); it was damaged or written by another version"
        ) from None


def _is_plain(text: bytes) -> bool:
    """Returns whether pydantic refuses the text wherever `parse_json` does, so that it need not be parsed twice."""
    if b"NaN" in text or b"Infinity" in text or b"\\u" in text:
        return False
    kinds = text.translate(_KINDS)
    return _LONG_NUMBER not in kinds and _POWER_OF_TEN.search(kinds) is None


def read_json(path: Path, limit: int = JSON_BYTES, *, folder: Path | None = None) -> dict[str, Any]:
    """Returns the JSON object in a file, read by `read_regular` and `parse_json`."""
    value = parse_json(read_regular(path, limit, folder=folder), name=str(path))
    if not isinstance(value, dict):
        raise InvalidDataError(f"{path} holds no JSON object; replace it")
    return value


def read_json_lines(path: Path, limit: int = JSON_BYTES, *, folder: Path | None = None) -> Iterator[dict[str, Any]]:
    """Yields the JSON objects of a file that has one on each line; lines that hold none are passed over.

    A process that was killed leaves half a line; a file that does not exist has no lines.
    """
    try:
        file = open_regular(path, folder=folder)
    except FileNotFoundError:
        return
    with file:
        if os.fstat(file.fileno()).st_size > limit:
            raise InvalidDataError(f"{path} has more than the {limit:,} bytes that are read; replace it")
        for line in file:
            with suppress(InvalidDataError):
                value = parse_json(line.decode("utf-8", "replace"), name="the line")
                if isinstance(value, dict):
                    yield value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if abs(value) > _LARGEST:
        raise ValueError(f"{text[:40]} is out of range")
    return value


def _short(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise ValueError(f"an integer has {len(text):,} digits")
    return int(text)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        inner = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [one for values in inner for one in values if isinstance(one, dict | list)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _leads_out(path: Path, folder: Path) -> bool:
    if _is_plainly_inside(str(path), str(folder)):
        return False
    home, real = (Path(os.path.realpath(place)) for place in (folder, path))
    if real.is_relative_to(home):
        return False
    snapshots = next((parent for parent in home.parents if parent.name == "snapshots"), None)
    return snapshots is None or not real.is_relative_to(snapshots.parent / "blobs")


def _is_plainly_inside(path: str, folder: str) -> bool:
    """Returns whether the path goes down from the folder, and no link is on the way: then it can't lead out."""
    if not path.startswith(f"{folder}/"):
        return False
    place = folder
    for part in path[len(folder) + 1 :].split("/"):
        place = f"{place}/{part}"
        if part == ".." or os.path.islink(place):  # noqa: PTH114  # a `Path` for each part takes longer
            return False
    return True


def check_writable(folder: Path, room: int) -> None:
    """Makes the folder where it is missing, and raises an OSError that names it if it can't hold `room` bytes more."""
    folder.mkdir(parents=True, exist_ok=True)
    for inner in (path for path in folder.iterdir() if path.is_dir()):
        if not os.access(inner, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(inner))
    probe = folder / f".{os.getpid()}.{os.urandom(4).hex()}.part"
    piece = os.urandom(min(room, 2**20))
    try:
        with probe.open("wb") as file:
            for start in range(0, room, len(piece)):
                file.write(piece[: room - start])
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(folder)) from error
    finally:
        probe.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Returns the folder of everything that can be made again.

    `$FASHIONEDIT_CACHE`, else `$XDG_CACHE_HOME/fashionedit`, else `~/.cache/fashionedit`.
    """
    if own := os.environ.get("FASHIONEDIT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fashionedit"


def settings_file() -> Path:
    """Returns the file in which `fashionedit use FOLDER` remembers the folder.

    `$XDG_CONFIG_HOME/fashionedit/settings.json`, else `~/.config/fashionedit/settings.json`.
    """
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "fashionedit" / "settings.json"
