"""What an editing pipeline is called with: pictures of a size that it takes, and arguments that have an effect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from fashionedit.errors import EditorError
from fashionedit.eval_harness.editing import EditRequest
from fashionedit.eval_harness.running.keys import plain_json
from fashionedit.runtime.pipelines import NOT_FOR_RECORDS, PipelineFacts

from .diffusers_classes import EditClass
from .stitching import stitch, unstitch

_SEED = "seed"
_DISTILLED_STEPS = 4  # what the cards of distilled models say; the class has the 50 of the others
_SIZE = ("width", "height")
_OURS = NOT_FOR_RECORDS | {"input_images", "max_area", "seed", "mask", "strength"}
_NO_VALUES = ("_embeds", "callback", "_mask", "ip_adapter", "latents", "prior_token", "source_image")


@dataclass(frozen=True, slots=True)
class Shown:
    """The pictures of one request, ready for the pipeline.

    Args:
        images: Base and references, or the one picture that has both.
        base: The base, in the size in which it is shown.
        stitched: Whether it is one picture of both.
    """

    images: tuple[Image.Image, ...]
    base: Image.Image
    stitched: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that the pipeline is asked for, pixels."""
        return self.images[0].size

    def edited(self, output: Image.Image, *, squeezed: bool = False) -> Image.Image:
        """Returns what the pipeline made of the base.

        Args:
            output: What it made of all that it was shown.
            squeezed: Whether that has another shape, which is drawn out to the base's at the same number of pixels.
        """
        image = unstitch(output, self.base) if self.stitched else output
        if not squeezed:
            return image
        height = math.sqrt(image.width * image.height * self.base.height / self.base.width)
        return _resized(image, round(height * self.base.width / self.base.height), round(height))


def show(
    request: EditRequest, kind: EditClass, *, unit: int, native: bool, max_pixels: int | None, size: Mapping[str, int]
) -> Shown:
    """Returns the pictures of a request.

    The base is brought to the nearest multiples of `unit` (bicubic), so that no pipeline crops it; after the first
    round it has that size and is left alone.

    Args:
        request: What is to be edited.
        kind: The pipeline's class.
        unit: Pixels of which both sides must be multiples.
        native: Whether references are pictures of their own; else they are stitched to the base.
        max_pixels: What the first picture may have at most.
        size: `width` and `height` that the user asks for, or nothing.
    """
    base = request.base
    if size:
        base = _resized(base, size["width"], size["height"])
    if native or not request.references:
        base = _fitted(base, kind, unit, max_pixels)
        return Shown((base, *(_roomy(image, kind) for image in request.references)), base, False)
    return Shown((_fitted(stitch(base, request.references[0]), kind, unit, max_pixels),), base, True)


def arguments(
    facts: PipelineFacts, kind: EditClass, params: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, int]]:
    """Returns the call's arguments and the size that is asked for, from a request's params.

    `steps`, `guidance` and `image_guidance` may stand for the class's longer names. Where true classifier-free guidance
    is on and has no negative prompt, it is given " ": without any it would silently be off.

    Raises:
        EditorError: The pipeline takes no such argument, or would ignore it.
    """
    short = {"steps": "num_inference_steps", "guidance": kind.guidance, "image_guidance": "image_guidance_scale"}
    if "img_guidance_scale" in facts.parameters:
        short["image_guidance"] = "img_guidance_scale"
    given: dict[str, Any] = {}
    for name, value in plain_json({key: params[key] for key in params if key != _SEED}, name="params").items():
        own = short[name] if short.get(name) in facts.parameters else name
        if own in given:
            raise EditorError(f"{own} is given twice, by its short name too; leave one out")
        given[own] = value
    size = {name: _pixels(name, given.pop(name)) for name in _SIZE if name in given}
    if len(size) == 1:
        raise EditorError(f"{facts.class_name} is given {next(iter(size))} alone; give width and height")
    known = _settable(facts)
    for name in given:
        if name not in known:
            raise EditorError(
                f"{facts.class_name} has no param {name!r}; its params are {', '.join([*_SIZE, _SEED, *known])}"
            )
    _check_guidance(facts, given)
    scale = given.get("true_cfg_scale", facts.default("true_cfg_scale"))
    if scale is not None and "negative_prompt" in known and given.get("negative_prompt") is None and scale > 1:
        given["negative_prompt"] = " "
    if facts.distilled and "num_inference_steps" in known:
        given.setdefault("num_inference_steps", _DISTILLED_STEPS)
    return given, size


def seed_of(request: EditRequest) -> int:
    """Returns the seed of a request: the param of that name, or its own.

    Raises:
        EditorError: The param is no whole number from 0 on.
    """
    seed = request.params.get(_SEED, request.seed)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise EditorError(f"seed is {seed!r}; give a whole number from 0 on")
    return seed


def _settable(facts: PipelineFacts) -> list[str]:
    return [
        name
        for name, parameter in facts.parameters.items()
        if name not in _OURS
        and name not in _SIZE
        and parameter.kind is not parameter.VAR_KEYWORD
        and not any(part in name for part in _NO_VALUES)
    ]


def _check_guidance(facts: PipelineFacts, given: Mapping[str, Any]) -> None:
    def value(name: str) -> Any:
        return given.get(name, facts.default(name))

    for name in ("true_cfg_scale", "guidance_scale", "image_guidance_scale", "num_inference_steps"):
        found = given.get(name)
        if found is not None and (isinstance(found, bool) or not isinstance(found, int | float)):
            raise EditorError(f"{name} is {found!r}; give a number")
    true_scale = value("true_cfg_scale")
    if given.get("negative_prompt") and true_scale is not None and true_scale <= 1:
        raise EditorError(
            f"{facts.class_name} ignores a negative prompt while true_cfg_scale is {true_scale}; give it a number "
            "above 1, or leave the negative prompt out"
        )
    image_scale = value("image_guidance_scale")
    if "Pix2Pix" in facts.class_name and image_scale is not None and image_scale < 1:
        raise EditorError(
            f"{facts.class_name} has no guidance at all while image_guidance_scale is {image_scale}; give it 1 or more"
        )


def _pixels(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise EditorError(f"{name} is {value!r}; give a whole number of pixels")
    return value


def _fitted(image: Image.Image, kind: EditClass, unit: int, max_pixels: int | None) -> Image.Image:
    width, height = image.size
    if kind.size == "own" and max_pixels is None:
        return image
    scale = 1.0 if max_pixels is None else min(1.0, math.sqrt(max_pixels / (width * height)))
    least = max(unit, -(-kind.least_side // unit) * unit)
    scale = max(scale, least / min(width, height))
    steps = math.floor if scale < 1 else round
    return _resized(image, *(max(least, steps(side * scale / unit) * unit) for side in (width, height)))


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BICUBIC)


def _roomy(image: Image.Image, kind: EditClass) -> Image.Image:
    """Returns a reference that is neither too small nor too long: laid on white, then scaled up."""
    width, height = image.size
    if kind.most_aspect:
        wide = max(width, math.ceil(height / kind.most_aspect))
        high = max(height, math.ceil(width / kind.most_aspect))
        if (wide, high) != image.size:
            canvas = Image.new("RGB", (wide, high), "white")
            canvas.paste(image, ((wide - width) // 2, (high - height) // 2))
            image, width, height = canvas, wide, high
    if min(width, height) < kind.least_side:
        scale = kind.least_side / min(width, height)
        image = _resized(image, math.ceil(width * scale), math.ceil(height * scale))
    return image
