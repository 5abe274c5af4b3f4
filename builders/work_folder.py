"""A build's work folder: a store for each stage, its settings, the frozen split, the funnel."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.files import clear_leftovers, lock_folder, write_atomically
from fashionedit.owned_folders import MARK_FILE, check_not_inside_ours, check_replaceable, mark_folder, read_mark
from fashionedit.runtime.secrets import masked

from .photos.release import SelectionReport
from .split import SPLIT_FILE, SplitList
from .stage_store import FUNNEL_FILE, Funnel, StageStore

SELECTION_FILE = "selection.json"


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """A folder for each stage, the split list, and the funnel of the last run; made when something is first kept."""

    path: Path

    def check(self) -> None:
        """Raises InvalidDataError unless the folder is one that a build works in, or may become one."""
        mark = read_mark(self.path)
        if mark is None and self._has_records():
            return
        if mark is None or mark.kind != "work":
            check_replaceable(self.path, "work", replace=True)
        check_not_inside_ours(self.path)

    def claim(self) -> None:
        """Makes the folder, marked as a build's, unless it is one already.

        Raises:
            InvalidDataError: It holds something else, or can't be made.
        """
        self.check()
        if read_mark(self.path) is None:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                mark_folder(self.path, "work")
            except OSError as error:
                raise InvalidDataError(
                    f"{self.path} can't be made ({error.strerror}); choose another --work"
                ) from error

    def leave_unless_begun(self) -> None:
        """Removes the folder if it holds its mark alone: a build that was refused leaves nothing behind."""
        with suppress(OSError):
            if [path.name for path in self.path.iterdir()] == [MARK_FILE]:
                (self.path / MARK_FILE).unlink()
                self.path.rmdir()

    def _has_records(self) -> bool:
        """Returns whether a build worked here before folders were marked."""
        try:
            return any(True for _ in self.store("photos").records())
        except InvalidDataError:
            return False

    def store(self, stage: str) -> StageStore:
        """Returns the store of a stage."""
        return StageStore(self.path / stage)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from the work folder while the block runs.

        Raises:
            RunBusyError: Another process is at it.
            InvalidDataError: The folder holds something else, or can't be made.
        """
        self.claim()
        descriptor = lock_folder(self.path)
        try:
            clear_leftovers(self.path, below=True)
            yield
        finally:
            os.close(descriptor)

    def frozen_split(self, out: Path) -> SplitList | None:
        """Returns the split list that was made before, from here or from the dataset; None without one."""
        for path in (self.path / SPLIT_FILE, out / SPLIT_FILE):
            if path.is_file():
                return SplitList.from_json(path.read_bytes(), name=str(path))
        return None

    def keep_split(self, split: SplitList) -> None:
        """Freezes the split list."""
        write_atomically(self.path / SPLIT_FILE, split.to_json().encode())

    def keep_selection(self, report: SelectionReport) -> None:
        """Keeps how a given selection differs from our own."""
        text = json.dumps(asdict(report), indent=1, ensure_ascii=False) + "\n"
        write_atomically(self.path / SELECTION_FILE, text.encode())

    def keep_funnel(self, funnel: Funnel) -> None:
        """Keeps the funnel of this run."""
        write_atomically(self.path / FUNNEL_FILE, funnel.to_json().encode())


SETTINGS_FILE = "settings.json"


def keep_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Writes everything that a stage's outcomes depend on, as plain JSON; what other settings made is made anew."""
    text = json.dumps(masked(dict(settings)), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    if masked(stored_settings(folder)) != json.loads(text):
        write_atomically(folder / SETTINGS_FILE, text.encode())


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raises InvalidDataError, with each difference, if other settings are kept."""
    before, now = masked(stored_settings(folder)), json.loads(json.dumps(masked(dict(settings))))
    if before and before != now:
        changes = "; ".join(settings_differences(before, now))
        raise InvalidDataError(
            f"{folder} was made with other settings ({changes}); give the old ones, choose another --work folder, or "
            f"give --again {folder.name} to make this stage anew (what was paid for is kept)"
        )


def stored_settings(folder: Path) -> dict[str, Any]:
    """Returns the settings that a stage was made with; none where it was not."""
    path = folder / SETTINGS_FILE
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidDataError(f"{path} can't be understood ({error}); delete it to have it written again") from error
    if not isinstance(found, dict):
        raise InvalidDataError(f"{path} holds no JSON object; delete it to have it written again")
    return found


def settings_differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """Yields what differs, field by field: `prompt.name: 'paper' → 'reference'`."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            if before.get(key) != now.get(key):
                yield from settings_differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif before != now:
        yield f"{name}: {_short(before)} → {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
