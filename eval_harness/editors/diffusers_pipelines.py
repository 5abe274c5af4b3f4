"""The pipelines of diffusers that edit by instruction: how each wants its images, sizes, words and arguments.

A list of images means several references to one class and a batch to another, and no annotation tells which; sizes that
are not given follow the last image, which is the reference. So there is a table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

from fashionedit.errors import EditorError, UnknownNameError
from fashionedit.eval_harness.editing import EditRequest, plain_json
from fashionedit.runtime.pipelines import NOT_FOR_RECORDS, PipelineFacts

from .stitching import stitch, unstitch


@dataclass(frozen=True, slots=True)
class EditClass:
    """How one class is called.

    Args:
        argument: Under which name the images go in.
        several: Whether a list of images is the base and its references.
        together: Whether lists of prompts and images of one length are a batch.
        size: Whether it is told height and width, takes them from its image, or has sizes of its own.
        squeezes: Whether it squeezes an image into a size of its own, so that its answer is to be drawn out again.
        factor: Width and height are multiples of this many cells of its autoencoder.
        area: Whether it is told `max_area` too, which otherwise decides the size.
        least_side: What is smaller is refused, pixels; 0 takes anything.
        most_aspect: What is longer is refused; 0 takes anything.
        pixels: The most that it was trained on, where more than that are shown smaller; None takes any number.
        guidance: What `--param guidance` sets; `guidance_scale` has no effect on Qwen's published weights.
        prompt: The form of its words: as they are, as JSON with an `edit_instruction`, or with a token per image.
        frames: Whether it answers with a film, whose last frame is the edit.
    """

    argument: Literal["image", "images", "input_images"] = "image"
    several: bool = False
    together: bool = False
    size: Literal["asked", "image", "own"] = "asked"
    squeezes: bool = False
    factor: int = 2
    area: bool = False
    least_side: int = 0
    most_aspect: float = 0
    pixels: int | None = None
    guidance: Literal["guidance_scale", "true_cfg_scale"] = "guidance_scale"
    prompt: Literal["plain", "json", "tokens"] = "plain"
    frames: bool = False

    def words(self, instruction: str, images: int) -> str:
        """Returns the prompt, in the form that the class reads."""
        if self.prompt == "json":
            return json.dumps({"edit_instruction": instruction}, ensure_ascii=False)
        if self.prompt == "tokens":
            return " ".join(f"<img><|image_{number + 1}|></img>" for number in range(images)) + f" {instruction}"
        return instruction

    def pictures(self, images: Sequence[Image.Image]) -> Any:
        """Returns the images of one request as the class takes them."""
        return list(images) if self.several else images[0]

    def asked(self, width: int, height: int) -> dict[str, int]:
        """Returns the arguments that ask for a size, pixels."""
        if self.size != "asked":
            return {}
        return {"width": width, "height": height} | ({"max_area": width * height} if self.area else {})

    @property
    def usual(self) -> dict[str, Any]:
        """Arguments that are set unless the user sets them.

        Kontext would bring its image to a size of a list of its own, on another grid than the one it paints.
        """
        return {"_auto_resize": False} if self.area else {}


_FLUX2 = EditClass(several=True, least_side=64, most_aspect=8)

CLASSES: Mapping[str, EditClass] = {
    "BriaFibo2Pipeline": EditClass(several=True, prompt="json"),
    "BriaFiboEditPipeline": EditClass(several=True, prompt="json"),
    "ChronoEditPipeline": EditClass(frames=True),
    "DreamLiteMobilePipeline": EditClass(factor=4),
    "DreamLitePipeline": EditClass(factor=4),
    "Flux2KleinKVPipeline": _FLUX2,
    "Flux2KleinPipeline": _FLUX2,
    "Flux2Pipeline": _FLUX2,
    "FluxKontextPipeline": EditClass(together=True, area=True, pixels=1_100_000),
    "GlmImagePipeline": EditClass(several=True, factor=4),
    "JoyImageEditPipeline": EditClass(size="own"),
    "JoyImageEditPlusPipeline": EditClass("images", several=True),
    "Kandinsky5I2IPipeline": EditClass(size="own", squeezes=True),
    "LongCatImageEditPipeline": EditClass(size="own"),
    "OmniGenPipeline": EditClass("input_images", several=True, prompt="tokens"),
    "QwenImage21Pipeline": EditClass(several=True, guidance="true_cfg_scale"),
    "QwenImageEditPipeline": EditClass(guidance="true_cfg_scale"),
    "QwenImageEditPlusPipeline": EditClass(several=True, guidance="true_cfg_scale"),
    "StableDiffusionInstructPix2PixPipeline": EditClass(together=True, size="image", factor=1),
    "StableDiffusionXLInstructPix2PixPipeline": EditClass(together=True, factor=1),
    "ZImageOmniPipeline": _FLUX2,
}
"""Class in diffusers → how it is called."""


def find_edit_class(facts: PipelineFacts) -> EditClass:
    """Returns how a pipeline is called.

    Raises:
        UnknownNameError: Its class does not edit by instruction, or is not in the table.
    """
    found = CLASSES.get(facts.class_name)
    if found is not None:
        return found
    if "strength" in facts.parameters:
        why = "repaints a noisy copy of the image by a strength and does not follow instructions"
    elif not {"image", "images", "input_images"} & facts.parameters.keys():
        why = "takes no image"
    else:
        why = "is none of the instruction-editing classes"
    names = ", ".join(name.removesuffix("Pipeline") for name in sorted(CLASSES))
    raise UnknownNameError(
        f"{facts.name} is a {facts.class_name}, which {why}; choose a pipeline of {names}, or call it in a function of "
        "your own"
    )


_SEED = "seed"
_DISTILLED_STEPS = 4  # what the cards of distilled models say; the class has the 50 of the others
_SIZE = ("width", "height")
_OURS = NOT_FOR_RECORDS | {"input_images", "max_area", "seed", "mask", "strength"}
_NO_VALUES = ("_embeds", "callback", "_mask", "ip_adapter", "latents", "prior_token", "source_image")


@dataclass(frozen=True, slots=True)
class Shown:
    """The pictures of one request, ready for the pipeline; `base` has the size in which it is shown.

    Where it is `stitched`, there is one picture of base and reference.
    """

    images: tuple[Image.Image, ...]
    base: Image.Image
    stitched: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that the pipeline is asked for, pixels."""
        return self.images[0].size

    def edited(self, output: Image.Image, *, squeezed: bool = False) -> Image.Image:
        """Returns what the pipeline made of the base; a `squeezed` output is drawn out to the base's shape again."""
        image = unstitch(output, self.base) if self.stitched else output
        if not squeezed:
            return image
        height = math.sqrt(image.width * image.height * self.base.height / self.base.width)
        return _resized(image, round(height * self.base.width / self.base.height), round(height))


def show(
    request: EditRequest, kind: EditClass, *, unit: int, native: bool, max_pixels: int | None, size: Mapping[str, int]
) -> Shown:
    """Returns the pictures of a request.

    The base is brought to the nearest multiples of `unit` pixels (bicubic), so that no pipeline crops it; after the
    first round it has that size and is left alone. Unless references are `native`, they are stitched to the base.
    `size` is the width and height that the user asks for, or nothing.
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
