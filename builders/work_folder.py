"""Where a build keeps what its stages have finished: everything but the dataset itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fashionedit.errors import InvalidDataError
from fashionedit.files import clear_leftovers, lock_folder, write_atomically
from fashionedit.owned_folders import MARK_FILE, check_not_inside_ours, check_replaceable, mark_folder, read_mark

from .funnel import FUNNEL_FILE, Funnel
from .photos.selection import SelectionReport
from .split import SPLIT_FILE, SplitList
from .stage_store import StageStore

SELECTION_FILE = "selection.json"


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """A folder for each stage, the split list, and the funnel of the last run.

    Args:
        path: Made when something is first kept in it.
    """

    path: Path

    def check(self) -> None:
        """Checks that the folder is one that a build works in, or may become one.

        Raises:
            InvalidDataError: It holds something else, or lies in another folder of ours.
        """
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
    def locked(self, name: str = ".lock") -> Iterator[None]:
        """Keeps other processes from the work that `name` stands for while the block runs.

        Raises:
            RunBusyError: Another process is at it.
            InvalidDataError: The folder holds something else, or can't be made.
        """
        self.claim()
        descriptor = lock_folder(self.path, name)
        try:
            clear_leftovers(self.path, below=True)
            yield
        finally:
            os.close(descriptor)

    def frozen_split(self, out: Path) -> SplitList | None:
        """Returns the split list that was made before, from here or from the dataset; None where there is none.

        Raises:
            InvalidDataError: It can't be understood.
        """
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
