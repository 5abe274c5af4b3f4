"""Writing files so that a reader, or a process killed at any moment, never meets half of one."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Writes the whole file or nothing: a temporary file in the same folder, fsync, rename.

    Missing folders are made. Two writers of one path end with the whole file of one of them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append_line(path: Path, line: str) -> None:
    """Appends one line, with a single write on an O_APPEND descriptor under the file's lock.

    Lines of concurrent writers never mix. A last line that a killed writer left without its newline is closed first;
    without the lock, a line that another process is just writing would look like one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        with suppress(OSError):  # a file system without locks still appends each write whole
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, (("\n" if torn else "") + line + "\n").encode())
    finally:
        os.close(descriptor)
