"""What a stage was told, kept beside its records, so that nobody pays twice because of a slip in a command."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.files import write_atomically
from fashionedit.runtime.secrets import masked

SETTINGS_FILE = "settings.json"


def keep_settings(folder: Path, settings: Mapping[str, Any], *, again: bool = False) -> None:
    """Writes the settings of a stage, or returns if they are there already.

    Args:
        folder: The stage's.
        settings: Everything that its outcomes depend on, as plain JSON.
        again: Whether other settings may replace them; what was made with the old ones is then made anew.

    Raises:
        InvalidDataError: Other settings are there; the message names each difference.
    """
    text = json.dumps(masked(dict(settings)), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    if not again:
        check_settings(folder, settings)
    if masked(stored_settings(folder)) != json.loads(text):
        write_atomically(folder / SETTINGS_FILE, text.encode())


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Checks that no other settings are kept.

    Raises:
        InvalidDataError: Others are; the message names each difference.
    """
    before, now = masked(stored_settings(folder)), json.loads(json.dumps(masked(dict(settings))))
    if before and before != now:
        changes = "; ".join(settings_differences(before, now))
        raise InvalidDataError(
            f"{folder} was made with other settings ({changes}); give the old ones, choose another --work folder, or "
            f"give --again {folder.name} to make this stage anew (what was paid for is kept)"
        )


def stored_settings(folder: Path) -> dict[str, Any]:
    """Returns the settings that a stage was made with; none where it was not.

    Raises:
        InvalidDataError: The file can't be understood.
    """
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
