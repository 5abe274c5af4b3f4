"""The pipelines of diffusers that edit by instruction, and how each wants its images, sizes and words.

A list of images means several references to one class and a batch to another, and no annotation tells which; sizes that
are not given follow the last image, which is the reference. So there is a table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

from fashionedit.errors import UnknownNameError
from fashionedit.runtime.pipelines import PipelineFacts


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
