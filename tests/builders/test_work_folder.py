from __future__ import annotations

from pathlib import Path

import pytest

from fashionedit.builders.work_folder import SETTINGS_FILE, check_settings, keep_settings, settings_differences
from fashionedit.errors import InvalidDataError


def test_the_same_settings_again_change_nothing(tmp_path: Path) -> None:
    keep_settings(tmp_path / "generate", {"steps": 28, "size": (1, 2)})
    before = (tmp_path / "generate" / SETTINGS_FILE).stat().st_mtime_ns
    keep_settings(tmp_path / "generate", {"size": [1, 2], "steps": 28})
    assert (tmp_path / "generate" / SETTINGS_FILE).stat().st_mtime_ns == before


def test_other_settings_are_refused_with_each_difference(tmp_path: Path) -> None:
    keep_settings(tmp_path, {"model": "a", "prompt": {"name": "paper", "text": "x" * 99}})
    other = {"model": "a", "prompt": {"name": "mine", "text": "x" * 99}, "seed": 1}
    with pytest.raises(InvalidDataError, match=r'prompt\.name: "paper" → "mine"; seed: null → 1.*give --again'):
        check_settings(tmp_path, other)
    keep_settings(tmp_path, other)
    check_settings(tmp_path, other)


def test_long_values_are_cut_in_messages() -> None:
    assert all(len(text) < 150 for text in settings_differences({"a": "x" * 500}, {"a": "y" * 500}))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / SETTINGS_FILE).write_text("{")
    with pytest.raises(InvalidDataError, match="can't be understood"):
        keep_settings(tmp_path, {})
