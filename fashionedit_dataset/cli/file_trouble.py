"""What the operating system says of a file, as a sentence to a user."""

from __future__ import annotations

import errno
import os

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_SUCH_PLACE = (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTEMPTY)


def file_trouble(error: OSError) -> str | None:
    """Returns what was found and what to do; None if it is not about a file or a disk, and therefore a bug's."""
    if error.errno is None:
        return None
    why = os.strerror(error.errno)
    if error.errno in _FULL:
        place = "the disk" if error.filename is None else os.fsdecode(error.filename)
        return f"{place} can't be written ({why}); make room, and the same command continues"
    if error.filename is None or isinstance(error.filename, int):
        return None
    place = os.fsdecode(error.filename)
    if error.errno in _FORBIDDEN:
        return f"{place} can't be read or written ({why}); change its rights, or choose another place"
    if error.errno in _NO_SUCH_PLACE:
        return f"{place} can't be opened ({why}); check the path, or choose another place"
    return None
