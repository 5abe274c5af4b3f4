"""One writer at a time: a lock that the operating system takes back when its process dies, however it dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .errors import RunBusyError


def lock_folder(folder: Path, name: str = ".lock") -> int | None:
    """Returns the open descriptor that holds the folder's lock; closing it gives the lock back.

    None where the system or the file system has no such locks: there two runs at once are up to the user.

    Args:
        folder: An existing folder.
        name: Of the file in it that is locked; processes that share the work lock a name each.

    Raises:
        RunBusyError: Another process, or another run in this one, holds it.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RunBusyError(f"another process is writing to {folder}; wait for it or choose another folder") from None
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
