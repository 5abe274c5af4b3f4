"""What `fashionedit use FOLDER` remembers on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import InvalidDataError
from .files import write_atomically
from .places import settings_file


def register_folder(path: Path | str) -> Path:
    """Returns the absolute path of the folder, which the bare name `fashionedit` stands for from now on.

    Raises:
        DatasetNotFoundError: There is no such folder, or it holds no FashionEdit files.
        InvalidDataError: Its card can't be read.
    """
    from .folder import split_files

    folder = Path(path).expanduser().resolve()
    split_files(folder)
    try:
        settings = _read()
    except InvalidDataError:
        settings = {}  # what can't be understood is written anew
    settings["folder"] = str(folder)
    write_atomically(settings_file(), (json.dumps(settings, indent=1, sort_keys=True) + "\n").encode())
    return folder


def registered_folder() -> Path | None:
    """Returns the folder that was registered, or None; it may be gone by now.

    Raises:
        InvalidDataError: The settings file can't be understood.
    """
    folder = _read().get("folder")
    if folder is None:
        return None
    if not isinstance(folder, str) or not folder:
        raise InvalidDataError(f"{settings_file()} names no folder; run: fashionedit use FOLDER")
    return Path(folder)


def _read() -> dict[str, Any]:
    path = settings_file()
    try:
        settings = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidDataError(f"{path} can't be understood ({error}); run: fashionedit use FOLDER") from error
    if not isinstance(settings, dict):
        raise InvalidDataError(f"{path} holds no JSON object; run: fashionedit use FOLDER")
    return settings
