"""Where a build keeps what its stages have finished: everything but the dataset itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from fashionedit.errors import InvalidDataError
from fashionedit.files import write_atomically
from fashionedit.lock import lock_folder

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

    def store(self, stage: str) -> StageStore:
        """Returns the store of a stage."""
        return StageStore(self.path / stage)

    @contextmanager
    def locked(self, name: str = ".lock") -> Iterator[None]:
        """Keeps other processes from the work that `name` stands for while the block runs.

        Raises:
            RunBusyError: Another process is at it.
            InvalidDataError: The folder can't be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidDataError(f"{self.path} can't be made ({error.strerror}); choose another --work") from error
        descriptor = lock_folder(self.path, name)
        try:
            yield
        finally:
            if descriptor is not None:
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
