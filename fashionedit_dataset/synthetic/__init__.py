"""The control set: garments rendered by our own code, whose drafts differ from them in exactly three known boxes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .rendering import synthetic_samples
    from .samples import render_with, synthetic_sample

__all__ = ["RENDERER_VERSION", "render_with", "synthetic_sample", "synthetic_samples"]

RENDERER_VERSION = "1"
"""Part of every cache key; it changes whenever a pixel does."""

_HOME_OF = {"synthetic_samples": "rendering", "synthetic_sample": "samples", "render_with": "samples"}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
