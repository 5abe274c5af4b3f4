"""Any instruction-editing pipeline of diffusers as an editor: `diffusers:REPOSITORY_OR_FOLDER[@REVISION]`.

`diffusers_classes.py` has the table of classes. Where a class takes several images, the reference is one of them;
elsewhere base and reference are stitched side by side and the answer is cropped back, which rows of tables say.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from fashionedit.errors import InvalidDataError, ServiceError, UnknownNameError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, Status
from fashionedit.runtime.pipelines import (
    PipelineFacts,
    default_dtype,
    dropped_tokens,
    find_pipeline,
    is_black,
    load_pipeline,
    quiet,
)
from fashionedit.runtime.torch_device import describe_device, find_device, find_dtype, free_memory, is_out_of_memory

from .diffusers_call import Shown, arguments, seed_of, show
from .diffusers_classes import EditClass, find_edit_class
from .diffusers_options import DiffusersOptions, Lora, find_lora, read_options
from .settings import EditorSettings

if TYPE_CHECKING:
    import torch

_FAILURES_IN_A_ROW = 3  # from here on it is the pipeline, not the pictures


def open_editor(rest: str, settings: EditorSettings) -> DiffusersEditor:
    """Returns the editor behind `diffusers:PLACE[@REVISION]`; its weights are loaded with the first edit.

    Raises:
        InvalidDataError: A setting is not one of this editor's, or the folder holds no pipeline.
        UnknownNameError: The place is neither a folder nor a repository, or its pipeline does other work.
        ServiceError: The repository or revision does not exist, is gated, or can't be reached.
        MissingExtraError: The extra `diffusers` is not installed.
    """
    place, at, revision = rest.rpartition("@")
    if not at or Path(rest).is_dir():
        place, revision = rest, ""
    facts = find_pipeline(place, revision or None)
    return DiffusersEditor(facts, find_edit_class(facts), read_options(settings))


class DiffusersEditor:
    """A pipeline that edits by instruction.

    Every edit has a generator of its own on the CPU, so that a seed gives the same noise on every device and in every
    batch; pixels then differ by rounding alone. A batch that doesn't fit into memory is halved, and stays so.

    Args:
        facts: Which pipeline.
        kind: How its class is called.
        options: How it is set up.

    Raises:
        UnknownNameError: The device or the LoRA is none.
        InvalidDataError: Offloading is asked for where there is only a CPU.
        ServiceError: The LoRA can't be fetched.
    """

    def __init__(self, facts: PipelineFacts, kind: EditClass, options: DiffusersOptions) -> None:
        self._facts, self._kind, self._options = facts, kind, options
        self._batch_size = options.batch_size if kind.together else 1
        self._native = kind.several and not options.stitched
        self._device: torch.device = find_device(options.device, "diffusers")
        if options.offload is not None and self._device.type == "cpu":
            raise InvalidDataError(f"offload {options.offload} needs a GPU to move to, and this runs on the CPU")
        self._dtype = options.dtype or default_dtype(facts, self._device)
        find_dtype(self._dtype, self._device)
        self._lora: Lora | None = find_lora(options.lora) if options.lora else None
        self._failures = 0
        self._told = False

    @property
    def batch_size(self) -> int:
        """How many edits are made together at most; less once memory has run out, 1 where the class can't."""
        return self._batch_size

    def describe(self) -> EditorInfo:
        """Returns the pipeline, its files or commit, and what changes its pixels."""
        facts, lora, options = self._facts, self._lora, self._options
        parts = [
            "diffusers",
            "@".join(facts.identity.values()),
            facts.class_name,
            self._dtype,
            *([] if self._dtype == "fp32" else [self._device.type]),
            *([f"lora {lora.identity} × {lora.scale:g}"] if lora else []),
            *([f"variant {options.variant}"] if options.variant else []),
            *(["stitched"] if options.stitched and self._kind.several else []),
            *([f"at most {options.max_pixels} pixels"] if options.max_pixels else []),
        ]
        name = facts.name + (f" + {lora.name}" if lora else "")
        return EditorInfo(name, " ".join(parts), stitched=not self._native, most_at_once=1)

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Returns if the pipeline takes these params.

        Raises:
            EditorError: It does not take one, or would ignore it.
        """
        arguments(self._facts, self._kind, params)

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the pipeline's picture; arguments and exceptions are those of `edit_many`."""
        return self.edit_many([request])[0]

    def edit_many(self, requests: Sequence[EditRequest]) -> list[EditResult]:
        """Returns the pipeline's pictures.

        Requests whose pictures have one size are given to it together where its class can do that.

        Raises:
            EditorError: A param is none of the pipeline's.
            ServiceError: The pipeline can't be loaded, has no memory for a single edit, or fails at every edit.
        """
        shown = [self._show(request) for request in requests]
        groups: dict[Any, list[int]] = {}
        for place, one in enumerate(shown):
            groups.setdefault((one.size, len(one.images)) if self._kind.together else place, []).append(place)
        results: dict[int, EditResult] = {}
        waiting = list(groups.values())
        while waiting:
            batch = waiting.pop(0)
            if len(batch) > self._batch_size:
                waiting[:0] = [batch[: self._batch_size], batch[self._batch_size :]]
                continue
            made = self._attempt([requests[place] for place in batch], [shown[place] for place in batch])
            if isinstance(made, list):
                results.update(zip(batch, made, strict=True))
                self._failures = 0
            elif is_out_of_memory(made):
                self._shrink(len(batch), made)
                waiting.insert(0, batch)
            elif len(batch) > 1:  # one of them may be to blame
                waiting[:0] = [[place] for place in batch]
            else:
                results[batch[0]] = self._failed(made)
        return [results[place] for place in range(len(requests))]

    def close(self) -> None:
        """Lets go of the weights."""
        pipeline = self.__dict__.pop("_pipeline", None)
        if pipeline is not None:
            free_memory(pipeline, self._device)

    def _show(self, request: EditRequest) -> Shown:
        _, size = arguments(self._facts, self._kind, request.params)
        seed_of(request)
        return show(
            request,
            self._kind,
            unit=self._kind.factor * self._cell,
            native=self._native,
            max_pixels=self._options.max_pixels or self._kind.pixels,
            size=size,
        )

    def _attempt(self, requests: list[EditRequest], shown: list[Shown]) -> list[EditResult] | Exception:
        """Returns the error instead of raising it; without the frames that hold the tensors, if memory has run out."""
        pipeline = self._pipeline
        try:
            return self._run(pipeline, requests, shown)
        except ServiceError:
            raise
        except Exception as error:
            return error.with_traceback(None) if is_out_of_memory(error) else error

    def _run(self, pipeline: Any, requests: list[EditRequest], shown: list[Shown]) -> list[EditResult]:
        import torch

        kind, facts, count = self._kind, self._facts, len(requests)
        given, _ = arguments(facts, kind, requests[0].params)
        given = kind.usual | given
        words = [kind.words(request.instruction, len(one.images)) for request, one in zip(requests, shown, strict=True)]
        pictures = [kind.pictures(one.images) for one in shown]
        generators = [torch.Generator("cpu").manual_seed(seed_of(request)) for request in requests]
        size = kind.asked(*shown[0].size)
        call: dict[str, Any] = given | size | ({"output_type": "pil"} if kind.frames else {})
        if count > 1 and call.get("negative_prompt") is not None:
            call["negative_prompt"] = [call["negative_prompt"]] * count
        call["prompt"] = words if count > 1 else words[0]
        call[kind.argument] = pictures if count > 1 else pictures[0]
        call["generator"] = generators if count > 1 else generators[0]
        with quiet(), _seeded(seed_of(requests[0]), self._device):
            output = pipeline(**call)
        images = [film[-1] for film in output.frames] if kind.frames else getattr(output, "images", None)
        if not isinstance(images, list) or not all(isinstance(image, Image.Image) for image in images):
            raise ServiceError(f"{facts.name} ({facts.class_name}) gave no images; check the pipeline")
        if len(images) != count:
            raise ServiceError(f"{facts.name} made {len(images)} images of {count} requests; set no count")
        flags = getattr(output, "nsfw_content_detected", None)
        unsafe = list(flags) if isinstance(flags, list | tuple) else [bool(flags)] * count
        short = {name: value for name, value in requests[0].params.items() if name not in given}  # steps, guidance
        effective = facts.effective(given | size) | short | self._circumstances(count)
        return [
            self._result(image, one, bool(flag), effective | dropped_tokens(pipeline, text))
            for image, one, flag, text in zip(images, shown, unsafe, words, strict=True)
        ]

    def _result(self, image: Image.Image, shown: Shown, unsafe: bool, effective: dict[str, Any]) -> EditResult:
        params = effective | {"shown": len(shown.images), "shown_size": list(shown.size)}
        if shown.stitched:
            params["stitched"] = True
        if unsafe:
            message = f"the safety checker of {self._facts.name} took the picture for unsafe and blackened it"
            return EditResult.failed(Status.REFUSED, message, params=params)
        if is_black(image):
            message = (
                "the picture is black all over, as NaN in the model's numbers leaves it; try option dtype=fp32 or "
                "dtype=bf16, or load the weights again"
            )
            return EditResult.failed(Status.INVALID_IMAGE, message, params=params)
        return EditResult.ok(shown.edited(image, squeezed=self._kind.squeezes), params=params)

    def _circumstances(self, count: int) -> dict[str, Any]:
        """Returns what may move the last bit, and is no part of the fingerprint but for the type of numbers."""
        options = self._options
        told = {"device": describe_device(self._device), "dtype": self._dtype, "batch": count}
        further = {"offload": options.offload, "device_map": options.device_map, "lora": options.lora}
        return told | {name: value for name, value in further.items() if value is not None}

    def _shrink(self, failed: int, error: Exception) -> None:
        free_memory(self._pipeline, self._device)
        if failed == 1:
            raise ServiceError(
                f"{self._device.type} has no memory for a single edit of {self._facts.name} in {self._dtype}; try "
                "option offload=model or sequential, a smaller dtype, or max_pixels"
            ) from error
        self._batch_size = failed // 2
        if not self._told:
            self._told = True
            warnings.warn(
                f"{self._device.type} has no memory for {failed} edits of {self._facts.name} at once; going on with "
                f"{self._batch_size}, and fewer where that is needed",
                stacklevel=2,
            )

    def _failed(self, error: Exception) -> EditResult:
        self._failures += 1
        line = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        if self._failures >= _FAILURES_IN_A_ROW:
            raise ServiceError(
                f"{self._facts.name} fails at every edit ({line}); change its params, or name another"
            ) from error
        return EditResult.failed(Status.ERROR, f"{self._facts.name} failed ({line})")

    @cached_property
    def _cell(self) -> int:
        """Pixels a cell of the autoencoder's grid has on a side."""
        pipeline = self._pipeline
        found = getattr(pipeline, "vae_scale_factor", None) or getattr(pipeline, "vae_scale_factor_spatial", None)
        return int(found or 8)

    @cached_property
    def _pipeline(self) -> Any:
        facts, options = self._facts, self._options
        try:
            return load_pipeline(
                facts,
                dtype=self._dtype,
                device=self._device,
                offload=options.offload,
                device_map=options.device_map,
                variant=options.variant,
                prepare=self._add if self._lora else None,  # once offloaded, it would lose its device
            )
        except (InvalidDataError, UnknownNameError) as error:
            raise ServiceError(str(error)) from error  # every edit would end the same way

    def _add(self, pipeline: Any) -> None:
        lora = self._lora
        assert lora is not None
        if not hasattr(pipeline, "load_lora_weights"):
            raise UnknownNameError(f"{self._facts.class_name} takes no LoRA; leave the option out")
        from safetensors import SafetensorError

        try:
            with quiet():
                pipeline.load_lora_weights(
                    str(lora.file.parent), weight_name=lora.file.name, use_safetensors=True, adapter_name="lora"
                )
                pipeline.set_adapters(["lora"], adapter_weights=[lora.scale])
        except (SafetensorError, ValueError, KeyError, RuntimeError, OSError) as error:
            line = next(iter(str(error).splitlines()), "")
            raise InvalidDataError(
                f"the LoRA {lora.name} doesn't fit {self._facts.name} ({type(error).__name__}: {line}); name one made "
                "for this model"
            ) from error


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds what some classes draw without the generator, and leaves the process's own random numbers alone."""
    import torch

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
