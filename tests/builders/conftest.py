"""What the tests of the stages share."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionedit.builders.stage_store import StageStore

KEY = "sk-toy-0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> StageStore:
    """The records of a stage, none yet."""
    return StageStore(tmp_path / "stage")


@pytest.fixture
def openai_key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key that services are called with."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return KEY
