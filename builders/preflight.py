"""What can be found wrong with a build before anything is paid for."""

from __future__ import annotations

from pathlib import Path

from fashionedit.owned_folders import check_apart, check_replaceable

from .photos import PhotoSource
from .work_folder import WorkFolder


def check_places(source: PhotoSource, work: WorkFolder, out: Path) -> None:
    """Checks that source, work folder and dataset lie apart, and that the last two are ours or can be made.

    Raises:
        InvalidDataError: Two overlap, or a folder holds something that this package did not write.
    """
    places = {"the work folder": work.path, "the dataset": out}
    if source.root is not None:
        places = {"the source": source.root, **places}
    check_apart(places)
    work.check()
    check_replaceable(out, "build", replace=True)
