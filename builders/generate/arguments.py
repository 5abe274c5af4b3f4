"""What a pipeline is called with: the asked, the preset's and its own, checked against its signature."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fashionedit.errors import UnknownNameError
from fashionedit.runtime.pipelines import NOT_FOR_RECORDS, PipelineFacts

from .presets import Preset

_NAMES = {"num_inference_steps": "steps", "guidance_scale": "guidance"}


def call_arguments(
    facts: PipelineFacts, preset: Preset | None, asked: Mapping[str, Any], further: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what decides the pixels of a call, the pipeline's own defaults of the usual five included, sorted.

    A default that isn't among them is left out, so that a release of diffusers that adds one leaves the keys as they
    are; `PipelineFacts.effective` has them all.

    Args:
        facts: The pipeline.
        preset: Its settings, where it has any.
        asked: The usual five by their name in diffusers; None for what wasn't asked.
        further: Arguments under the pipeline's own names.

    Raises:
        UnknownNameError: The pipeline takes no such argument, or takes one that it would ignore.
    """
    for name, value in further.items():
        if name in NOT_FOR_RECORDS or name in _NAMES or name not in facts.parameters:
            _refuse(facts, name)
        _plain(name, value)
    given = {name: value for name, value in asked.items() if value is not None}
    for name in given:
        if name not in facts.parameters:
            _refuse(facts, _NAMES.get(name, name))
    own = {name: facts.default(name) for name in asked if name in facts.parameters}
    chosen = own | {name: value for name, value in _settings(preset).items() if name in facts.parameters}
    chosen |= given | dict(further)
    # FLUX and its like take a negative prompt, and look at it only with this scale above 1.
    if chosen.get("negative_prompt") and "true_cfg_scale" in facts.parameters:
        scale = chosen.setdefault("true_cfg_scale", facts.default("true_cfg_scale"))
        if not (isinstance(scale, int | float) and scale > 1):
            raise UnknownNameError(
                f"{facts.class_name} ignores a negative prompt while true_cfg_scale is {scale}; give the argument "
                "true_cfg_scale a number above 1, or leave the negative prompt away"
            )
    return dict(sorted(chosen.items()))


def _settings(preset: Preset | None) -> dict[str, Any]:
    if preset is None:
        return {}
    width, height = preset.size
    return {
        "num_inference_steps": preset.steps,
        "guidance_scale": preset.guidance,
        "negative_prompt": preset.negative_prompt,
        "width": width,
        "height": height,
        **preset.arguments,
    }


def _refuse(facts: PipelineFacts, name: str) -> None:
    if name in NOT_FOR_RECORDS or name in _NAMES:
        raise UnknownNameError(f"the argument {name} is set elsewhere; leave it away")
    raise UnknownNameError(f"{facts.class_name} takes no {name}; leave it away")


def _plain(name: str, value: Any) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UnknownNameError(f"the argument {name} can't be written as JSON ({error}); give a plain value") from error
