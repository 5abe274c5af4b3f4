"""What is noted at each start of a run: versions, commit, machine, command. It never blocks a resume."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from fashionedit.files import read_json_lines
from fashionedit.runtime.secrets import masked_arguments

_PACKAGES = (
    "fashionedit",
    "pillow",
    "numpy",
    "pydantic",
    "datasets",
    "evaluate",
    "torch",
    "torchvision",
    "transformers",
    "diffusers",
    "accelerate",
    "safetensors",
    "huggingface-hub",
    "openai",
)


class _SessionLog(Protocol):
    def session(self, line: dict[str, Any]) -> None: ...


class Session:
    """One start of a run: a start line, and an end line if it ends in any way but being killed.

    Args:
        log: Where the lines go.
        counts: The numbers of the end line.
        data: Where the dataset was found, as the command line names it.

    Attributes:
        ended: What the end line says when nothing was raised: `finished` or `stopped`.
    """

    def __init__(self, log: _SessionLog, counts: Callable[[], dict[str, Any]], data: str | None = None) -> None:
        self._log = log
        self._counts = counts
        self._data = data
        self._id = os.urandom(6).hex()
        self.ended = "finished"

    def __enter__(self) -> Session:
        self._log.session({"event": "start", "session": self._id, "data": self._data, **session_facts()})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        line = {"event": "end", "session": self._id, "time": timestamp(), "ended": self.ended, **self._counts()}
        if error is not None:
            line["ended"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            line["reason"] = f"{type(error).__name__}: {error}"
        self._log.session(line)


def data_location(path: Path) -> str | None:
    """Returns where the latest session that told it found the dataset, None if none did.

    Args:
        path: A `sessions.jsonl`, which may end in half a line.
    """
    told = [line.get("data") for line in read_json_lines(path, folder=path.parent)]
    return next((place for place in reversed(told) if isinstance(place, str) and place), None)


def session_facts() -> dict[str, Any]:
    """Returns what a start line holds besides its id: time, Python, machine, command, packages, git."""
    return {
        "time": timestamp(),
        "python": platform.python_version(),
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
        "command": masked_arguments(sys.argv),
        "packages": package_versions(),
        "git": git_state(Path.cwd()),
    }


def timestamp() -> str:
    """Returns the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def package_versions() -> dict[str, str]:
    """Returns the installed versions of the packages that can change an image or a score."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Returns commit and whether tracked files differ from it; None outside a repository or without git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
