"""Stage 2, generate: from captions to drafts, with diffusers, an image service, or files that are there already."""

from __future__ import annotations

from .diffusers_drafts import PRESETS, DiffusersDrafts, Preset
from .drafting import DraftFinder, DraftMaker, DraftRequest, DraftResult, draft_seed
from .makers import FolderDrafts, make_drafts
from .openai_drafts import OpenAIDrafts
from .stage import generate, throughput

__all__ = [
    "PRESETS",
    "DiffusersDrafts",
    "DraftFinder",
    "DraftMaker",
    "DraftRequest",
    "DraftResult",
    "FolderDrafts",
    "OpenAIDrafts",
    "Preset",
    "draft_seed",
    "generate",
    "make_drafts",
    "throughput",
]
