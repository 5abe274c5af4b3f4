"""What every test runs under: a home of its own, no network beyond this machine."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

# huggingface_hub, datasets and evaluate read these when they are imported, so they are set before any test is.
_session = Path(tempfile.mkdtemp(prefix="fashionedit-tests-"))
for name, folder in {"HF_HOME": "hf", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "HOME": "home"}.items():
    os.environ[name] = str(_session / folder)
os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
for name in ("HF_TOKEN", "FASHIONEDIT_DATA", "FASHIONEDIT_REPO", "FASHIONEDIT_NO_ALIASES"):
    os.environ.pop(name, None)

_connect = socket.socket.connect


def _connect_here_only(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"a test tried to reach {address}; tests stay on this machine")
    _connect(self, address)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives each test empty caches and settings, and closes the network."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("FASHIONEDIT_CACHE", str(home / "cache"))
    monkeypatch.setattr(socket.socket, "connect", _connect_here_only)


def pytest_sessionfinish() -> None:
    import shutil

    shutil.rmtree(_session, ignore_errors=True)
