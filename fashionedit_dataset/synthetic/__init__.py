"""The control set: garments rendered by our own code, whose drafts differ from them in exactly three known boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .samples import render_with, synthetic_sample, synthetic_samples

__all__ = ["RENDERER_VERSION", "render_with", "synthetic_sample", "synthetic_samples"]

RENDERER_VERSION = "1"
"""Part of every cache key; it changes whenever a pixel does."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import samples

        return getattr(samples, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
