"""Stage 2, generate: from captions to drafts, with diffusers, an image service, or files that are there already."""

from __future__ import annotations

from .diffusers_drafts import DiffusersDrafts
from .drafting import DraftFinder, DraftMaker, DraftRequest, DraftResult, draft_seed
from .folder_drafts import FolderDrafts
from .makers import make_drafts
from .measured import spent, throughput
from .openai_drafts import OpenAIDrafts
from .presets import PRESETS, Preset
from .stage import generate

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
    "spent",
    "throughput",
]
