"""Runs the user's own code: says where it raised, and turns `sys.exit` into an error."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fashionedit
from fashionedit.errors import EditorError

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
