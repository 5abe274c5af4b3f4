"""The attempts that gave no result, all of them kept: `errors/<key>-<n>.json`."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

from fashionedit.errors import InvalidDataError
from fashionedit.files import parse_model, read_regular, write_atomically

from .records import FailedAttempt

_NUMBER = re.compile(r"[0-9]{3,6}")


class FailedAttempts:
    """The folder `errors/` of a run, listed once and then kept up with what this process adds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, failure: FailedAttempt) -> None:
        """Writes an attempt down beside the earlier ones of the same key."""
        number = self._latest.get(failure.key, 0) + 1
        write_atomically(self._path(failure.key, number), failure.model_dump_json(indent=2).encode())
        self._latest[failure.key] = number

    def attempts(self, key: str) -> int:
        """Returns how often this key was asked for in vain; a file that can't be read counts as one attempt."""
        count = 0
        for number in range(1, self._latest.get(key, 0) + 1):
            try:
                count += self._read(self._path(key, number)).attempts
            except FileNotFoundError:
                continue
            except InvalidDataError:
                count += 1
        return count

    def latest(self, key: str) -> FailedAttempt | None:
        """Returns the latest attempt under this key, None if none failed.

        Raises:
            InvalidDataError: Its file can't be read.
        """
        if key not in self._latest:
            return None
        path = self._path(key, self._latest[key])
        try:
            return self._read(path)
        except (FileNotFoundError, InvalidDataError):
            raise InvalidDataError(
                f"{path} can't be read as a failed attempt; delete it, only its message is lost"
            ) from None

    def _read(self, path: Path) -> FailedAttempt:
        return parse_model(FailedAttempt, read_regular(path, folder=self._folder.parent), name=str(path))

    def _path(self, key: str, number: int) -> Path:
        return self._folder / f"{key}-{number:03d}.json"

    @cached_property
    def _latest(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            key, _, number = path.stem.rpartition("-")
            if path.suffix == ".json" and _NUMBER.fullmatch(number):
                found[key] = max(int(number), found.get(key, 0))
        return found
