"""Where this package keeps things on a user's machine, and the folder that `fashionedit use` registered."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .errors import InvalidDataError
from .files import write_atomically


def cache_folder() -> Path:
    """Returns the folder of everything that can be made again.

    `$FASHIONEDIT_CACHE`, else `$XDG_CACHE_HOME/fashionedit`, else `~/.cache/fashionedit`.
    """
    if own := os.environ.get("FASHIONEDIT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fashionedit"


def settings_file() -> Path:
    """Returns the file in which `fashionedit use FOLDER` remembers the folder.

    `$XDG_CONFIG_HOME/fashionedit/settings.json`, else `~/.config/fashionedit/settings.json`.
    """
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "fashionedit" / "settings.json"


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
        settings = _read_settings()
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
    folder = _read_settings().get("folder")
    if folder is None:
        return None
    if not isinstance(folder, str) or not folder:
        raise InvalidDataError(f"{settings_file()} names no folder; run: fashionedit use FOLDER")
    return Path(folder)


def _read_settings() -> dict[str, Any]:
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
