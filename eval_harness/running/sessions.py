"""What is noted at each start of a run: versions, commit, machine, command. It never blocks a resume."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

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


@contextmanager
def session(
    log: Callable[[dict[str, Any]], None], counts: Callable[[], dict[str, Any]], data: str | None = None
) -> Iterator[dict[str, str]]:
    """Logs one start of a run: a start line, and an end line if it ends in any way but being killed.

    Args:
        log: Where the lines go.
        counts: The numbers of the end line.
        data: Where the dataset was found, as the command line names it.

    Yields:
        What the end line says when nothing was raised; `ended` may be set to `stopped`.
    """
    id = os.urandom(6).hex()
    log({"event": "start", "session": id, "data": data, **session_facts()})
    end = {"ended": "finished"}
    reason = {}
    try:
        yield end
    except BaseException as error:
        end["ended"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        reason["reason"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        log({"event": "end", "session": id, "time": timestamp(), **end, **counts(), **reason})


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
    versions = {}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


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
