"""The editors that come with the harness, and the way to any other: `module:attribute`."""

from __future__ import annotations

from .resolve import EDITORS, PREFIXES, resolve_editor
from .settings import EditorSettings

__all__ = ["EDITORS", "PREFIXES", "EditorSettings", "resolve_editor"]
