"""Which pipelines of diffusers make images from text alone."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

from fashionedit.errors import UnknownNameError
from fashionedit.runtime.pipelines import PipelineFacts, find_pipeline

_FROM_TEXT = {"prompt", "generator", "height", "width"}
_OTHER_WORK = {"strength", "mask_image", "control_image", "num_frames", "video", "audio_length_in_s"}
# Classes whose signature looks like text-to-image, an image being optional there in form only.
_OTHER_NAMES = re.compile(
    r"Edit|Pix2Pix|Adapter|Control|Upscale|Img2Img|TextImage|Inpaint|Refiner|SuperRes|Prior|Video"
)


def find_text_pipeline(place: str, revision: str | None) -> PipelineFacts:
    """Returns the facts of a text-to-image pipeline; see `find_pipeline`.

    Raises:
        UnknownNameError: The place is neither a folder nor a repository, or its pipeline does other work.
        ServiceError: The repository or revision does not exist, is gated, or can't be reached.
        InvalidDataError: The folder holds no pipeline, or one without safetensors.
        MissingExtraError: The extra `diffusers` is not installed.
    """
    facts = find_pipeline(place, revision)
    if why := _other_work(facts.class_name, facts.parameters):
        raise UnknownNameError(
            f"{facts.name} is no text-to-image pipeline ({facts.class_name} {why}); name one that makes images from "
            "text alone"
        )
    return facts


def _other_work(class_name: str, parameters: Mapping[str, inspect.Parameter]) -> str | None:
    for name, parameter in parameters.items():
        variadic = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if parameter.default is inspect.Parameter.empty and not variadic and name != "prompt":
            return f"can't work without {name}"
    if missing := sorted(_FROM_TEXT - parameters.keys()):
        return f"takes no {missing[0]}"
    if others := sorted(_OTHER_WORK & parameters.keys()):
        return f"works with {others[0]}"
    if word := _OTHER_NAMES.search(class_name):
        return f"is for other work, as the {word.group()} in its name says"
    return None
