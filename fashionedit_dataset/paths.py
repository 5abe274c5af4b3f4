"""Where this package keeps things on a user's machine."""

from __future__ import annotations

import os
from pathlib import Path


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
