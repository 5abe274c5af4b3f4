"""The one way to the terminal: no secret and no escape code gets there, and an error is a sentence."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import click

from fashionedit.errors import FashionEditError
from fashionedit.runtime.secrets import clean, shown

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_PART = re.compile(r"\.([^/]+?)(?:\.\d+)?\.[0-9a-f]{6,}\.part")  # a file is written under such a name first
_TOO_MANY = (errno.EMFILE, errno.ENFILE)


def echo(message: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Prints a text of any number of lines, without secrets, escape codes and half characters."""
    click.echo(shown(str(message)), err=err, nl=nl)


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Ends the command with the exit code of what was raised in the block, after one sentence about it.

    A mistake of the user, or what the machine refuses, is a sentence and code 2; a bug passes through, and its
    traceback is printed without secrets.

    Raises:
        SystemExit: In the place of what was raised, unless that is a bug.
    """
    warnings.formatwarning = _warning
    sys.excepthook = _traceback
    try:
        with _terminated_as_interrupted():
            yield
    except FashionEditError as error:
        code = _told(clean(str(error)))
    except click.ClickException as error:
        text = io.StringIO()
        error.show(file=text)
        echo(text.getvalue(), err=True, nl=False)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        raised = error.__cause__ or error  # click hides what interrupted it
        if getattr(raised, "at_once", False):
            _end_at_once(getattr(raised, "under_way", 0))
        code = _told("stopped; give the same command again", 130)
    except BrokenPipeError:  # whoever read the output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 1
    except Exception as error:
        sentence = file_trouble(error)
        if sentence is None:
            raise
        code = _told(sentence)
    else:
        return
    raise SystemExit(code)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Makes SIGTERM, which schedulers and containers send, the same as Ctrl-C, unless it is ignored."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def file_trouble(error: BaseException) -> str | None:
    """Returns what the machine refused and what to do; None if the error is not about it, and therefore a bug's."""
    if isinstance(error, MemoryError):
        return "the memory of this machine is full; close other programs, or give fewer samples at a time"
    if not isinstance(error, OSError) or error.errno is None:
        return None
    why = os.strerror(error.errno)
    named = error.filename is not None and not isinstance(error.filename, int)
    place = _PART.sub(r"\1", os.fsdecode(error.filename)) if named else None
    if error.errno in _FULL:
        return f"{place or 'the disk'} can't be written ({why}); make room, and the same command continues"
    if error.errno in _TOO_MANY:
        return (
            f"{place or 'a file'} can't be opened ({why}); raise the limit with `ulimit -n 1024`, and give the command "
            "again"
        )
    if error.errno in _FORBIDDEN:
        return f"{place or 'a file'} can't be read or written ({why}); change its rights, or choose another place"
    return f"{place} can't be used ({why}); check the path, or choose another place" if place is not None else None


def _end_at_once(under_way: int) -> None:
    """Ends the process without waiting for threads that still make a call."""
    calls = "1 call was" if under_way == 1 else f"{under_way} calls were"
    _told(f"stopped at once; {calls} under way and not kept, and may have been paid for; the same command continues")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130)


def _told(sentence: str, code: int = 2) -> int:
    echo(f"fashionedit: {sentence}", err=True)
    return code


def _traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    echo("".join(traceback.format_exception(kind, error, trace)), err=True, nl=False)


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return shown(f"fashionedit: {clean(str(message))}\n")
