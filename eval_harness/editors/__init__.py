"""The editors that come with the harness, and the way to any other: `module:attribute`."""

from __future__ import annotations

from .resolve import EDITORS, resolve_editor

__all__ = ["EDITORS", "resolve_editor"]
