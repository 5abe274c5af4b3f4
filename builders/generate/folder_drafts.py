"""Drafts that exist already: a folder of images named after the photographs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fashionedit.errors import DatasetNotFoundError, InvalidDataError, InvalidImageError
from fashionedit.images import SUFFIXES, UNREAD_SUFFIXES, read_image
from fashionedit.photographs import stem_of
from fashionedit.types import safe_id

from .drafting import DraftRequest, DraftResult


class FolderDrafts:
    """Finds the draft of each photograph in a folder: `<id>.png`, `.jpg` and so on, there or one folder down.

    A draft may also be named as its photograph's file is, where that is no safe id.

    The stage uses the files where they lie and generates nothing; a photograph without one is dropped.

    Args:
        folder: Looked through once, now.

    Raises:
        DatasetNotFoundError: There is no such folder, or no image in it.
        InvalidDataError: Two files are drafts of one photograph.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            state = "is no folder" if self.folder.exists() else "does not exist"
            raise DatasetNotFoundError(f"{self.folder} {state}; give the folder that holds the drafts")
        self._files: dict[str, Path] = {}
        files = self._all_files()
        self._unread = {safe_id(stem_of(file.name)): file for file in files if file.suffix.lower() in UNREAD_SUFFIXES}
        for file in (file for file in files if file.suffix.lower() in SUFFIXES):
            if (first := self._files.setdefault(safe_id(stem_of(file.name)), file)) != file:
                raise InvalidDataError(f"{first} and {file} are both the draft of {file.stem}; keep one of the two")
        if not self._files:
            raise DatasetNotFoundError(
                f"{self.folder} holds no image; name drafts after their photographs, such as <image_id>.png"
            )

    @property
    def batch_size(self) -> int:
        """1: nothing is gained by more."""
        return 1

    @property
    def highest_cost(self) -> float:
        """0 USD."""
        return 0.0

    def describe(self) -> dict[str, Any]:
        """Returns the kind alone: a draft that is there has its own file in its key."""
        return {"kind": "folder"}

    def find(self, identity: str) -> Path | None:
        """Returns the file of the photograph's draft, None where there is none."""
        return self._files.get(identity)

    def make(self, requests: Sequence[DraftRequest]) -> list[DraftResult]:
        """Returns the drafts that are there, decoded, and `no draft` for the others."""
        return [self._result(request) for request in requests]

    def _result(self, request: DraftRequest) -> DraftResult:
        file = self.find(request.id)
        if file is None and request.id in self._unread:
            detail = f"{self._unread[request.id]} is in a format that is not read; convert it to JPEG or PNG"
            return DraftResult(reason="draft not readable", detail=detail)
        if file is None:
            return DraftResult(reason="no draft", detail=f"{self.folder} has no image {request.id}")
        try:
            return DraftResult(read_image(file), effective={"file": file.name})
        except InvalidImageError as error:
            return DraftResult(reason="draft not readable", detail=str(error))

    def _all_files(self) -> list[Path]:
        found = []
        for path in sorted(self.folder.iterdir()):
            found += sorted(path.iterdir()) if path.is_dir() else [path]
        return [file for file in found if not file.name.startswith(".") and file.is_file()]
