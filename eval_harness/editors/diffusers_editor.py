"""Any instruction-editing pipeline of diffusers as an editor: `diffusers:REPOSITORY_OR_FOLDER[@REVISION]`.

`diffusers_pipelines.py` has the table of classes. Where a class takes several images, the reference is one of them;
elsewhere base and reference are stitched side by side and the answer is cropped back, which rows of tables say.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PIL import Image

from fashionedit.errors import InvalidDataError, MissingExtraError, ServiceError, UnknownNameError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, Status
from fashionedit.runtime.hub import download_failures
from fashionedit.runtime.pipelines import (
    DTYPES,
    BatchedCalls,
    Offload,
    default_dtype,
    dropped_tokens,
    find_pipeline,
    is_black,
    load_pipeline,
    quiet,
)
from fashionedit.runtime.torch_device import describe_device, find_device, find_dtype, free_memory

from .diffusers_pipelines import Shown, arguments, find_edit_class, seed_of, show
from .settings import EditorSettings, choice

if TYPE_CHECKING:
    import torch


class DiffusersEditor:
    """A pipeline that edits by instruction; its weights are loaded with the first edit.

    Every edit has a generator of its own on the CPU, so that a seed gives the same noise on every device and in every
    batch; pixels then differ by rounding alone. A batch that doesn't fit into memory is halved, and stays so.

    Args:
        rest: `PLACE[@REVISION]`.
        settings: The options are read.

    Raises:
        InvalidDataError: A setting is not one of this editor's, or the folder holds no pipeline.
        UnknownNameError: The place is neither a folder nor a repository, or its pipeline does other work; or there is
            no such device or LoRA.
        ServiceError: The repository, its revision or the LoRA can't be fetched.
        MissingExtraError: The extra `diffusers` is not installed.
    """

    def __init__(self, rest: str, settings: EditorSettings) -> None:
        place, at, revision = rest.rpartition("@")
        if not at or Path(rest).is_dir():
            place, revision = rest, ""
        self._facts = facts = find_pipeline(place, revision or None)
        self._kind = kind = find_edit_class(facts)
        self._options = options = read_options(settings)
        self._calls = BatchedCalls(
            options.batch_size if kind.together else 1,
            making="edit",
            given="edit",
            smaller="option offload=model or sequential, a smaller dtype, or max_pixels",
            change="its params, or name another",
            halved=self._warn_once,
        )
        self._native = kind.several and not options.stitched
        self._device: torch.device = find_device(options.device, "diffusers")
        if options.offload is not None and self._device.type == "cpu":
            raise InvalidDataError(f"offload {options.offload} needs a GPU to move to, and this runs on the CPU")
        self._dtype = options.dtype or default_dtype(facts, self._device)
        find_dtype(self._dtype, self._device)
        self._lora: Lora | None = find_lora(options.lora) if options.lora else None
        self._warned = False

    @property
    def batch_size(self) -> int:
        """How many edits are made together at most; less once memory has run out, 1 where the class can't."""
        return self._calls.size

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
        """Refuses a param that the pipeline does not take, or would ignore."""
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
        pipeline = self._pipeline
        made = self._calls.run(
            groups.values(),
            lambda batch: self._run(pipeline, [requests[place] for place in batch], [shown[place] for place in batch]),
            partial(EditResult.failed, Status.ERROR),
            pipeline=pipeline,
            name=self._facts.name,
            dtype=self._dtype,
            device=self._device,
        )
        results = dict(zip(chain.from_iterable(groups.values()), made, strict=True))
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

    def _warn_once(self, sentence: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(sentence, stacklevel=2)

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


_OPTIONS = {
    "dtype": "fp32, bf16 or fp16",
    "device": "auto, cpu, cuda, cuda:1 or mps",
    "device_map": "balanced spreads the parts over several GPUs",
    "offload": "model or sequential, what waits in main memory",
    "lora": "REPOSITORY or FOLDER or FILE.safetensors, with :SCALE",
    "variant": "which set of weight files, such as fp16",
    "batch_size": "edits made together, where the class can",
    "images": "native or stitched, how base and reference are shown",
    "max_pixels": "the most pixels that an image may have, such as 1048576",
}
_REPOSITORY = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+)(?:/([\w./-]+\.safetensors))?(?:@([\w./-]+))?")
_BATCH = 4


@dataclass(frozen=True, slots=True)
class Lora:
    """Weights that are added to a pipeline's."""

    name: str
    file: Path
    identity: str  # a commit of the Hub, or the file's SHA-256
    scale: float  # how much of them is added; 1 is all


@dataclass(frozen=True, slots=True)
class DiffusersOptions:
    """How the pipeline is set up; `_OPTIONS` says what each is."""

    dtype: str | None
    device: str
    device_map: str | None
    offload: Offload | None
    lora: str | None
    variant: str | None
    batch_size: int
    stitched: bool
    max_pixels: int | None


def read_options(settings: EditorSettings) -> DiffusersOptions:
    """Returns the options.

    Raises:
        InvalidDataError: One is not known, or its value is none that it may have.
    """
    given = settings.known_options("diffusers", _OPTIONS)
    settings.refuse(
        base_url="diffusers runs here and has no base URL; for a server write openai:MODEL with it",
        state="diffusers has no conversations; leave the state out",
        version="the files of a pipeline tell its version; leave the version out",
    )
    if given.get("device_map") is not None and (given.get("offload") is not None or "device" in given):
        raise InvalidDataError("device_map says where everything is; leave device and offload out")
    return DiffusersOptions(
        dtype=choice(given, "dtype", DTYPES),
        device=str(given.get("device", "auto")),
        device_map=choice(given, "device_map", ("balanced", "cuda", "cpu")),
        offload=cast("Offload | None", choice(given, "offload", ("model", "sequential"))),
        lora=None if given.get("lora") is None else str(given["lora"]),
        variant=None if given.get("variant") is None else str(given["variant"]),
        batch_size=_count(given, "batch_size") or _BATCH,
        stitched=choice(given, "images", ("native", "stitched")) == "stitched",
        max_pixels=_count(given, "max_pixels"),
    )


def find_lora(text: str) -> Lora:
    """Returns the LoRA that `PLACE[@REVISION][:SCALE]` names; one on the Hub is fetched.

    Raises:
        UnknownNameError: There is no such place, or which of its files is meant is open.
        ServiceError: The repository can't be fetched.
        MissingExtraError: The package that adds them is not installed.
    """
    if importlib.util.find_spec("peft") is None:
        raise MissingExtraError("diffusers", "peft")
    place, scale = _scaled(text)
    path = Path(place)
    if path.exists():
        file = path if path.is_file() else _only(sorted(path.glob("*.safetensors")), place)
        if file.suffix != ".safetensors":
            raise UnknownNameError(f"{place} is no safetensors file; other weight files can run code and are not read")
        with file.open("rb") as stream:
            return Lora(file.stem, file, hashlib.file_digest(stream, "sha256").hexdigest(), scale)
    match = _REPOSITORY.fullmatch(place)
    if match is None:
        raise UnknownNameError(
            f"{place!r} is no file, folder or repository with a LoRA; write owner/name[/file.safetensors][@revision]"
        )
    repository, name, revision = match.groups()
    return _fetched(repository, name, revision, scale)


def _fetched(repository: str, name: str | None, revision: str | None, scale: float) -> Lora:
    from huggingface_hub import snapshot_download

    with download_failures(repository, revision, instead="give a folder that holds the LoRA"):
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=[name or "*.safetensors"]))
    file = folder / name if name else _only(sorted(folder.glob("*.safetensors")), repository)
    if not file.is_file():
        raise UnknownNameError(f"{repository} has no {name}; check the name of the file")
    return Lora(repository, file, f"{folder.name}/{file.name}", scale)


def _only(files: list[Path], place: str) -> Path:
    if len(files) == 1:
        return files[0]
    if not files:
        raise UnknownNameError(f"{place} holds no safetensors; give a LoRA saved as safetensors")
    names = ", ".join(file.name for file in files)
    raise UnknownNameError(f"{place} holds {names}; name the one that is meant: {place}/{files[0].name}")


def _scaled(text: str) -> tuple[str, float]:
    place, colon, number = text.rpartition(":")
    if not colon or Path(text).exists():
        return text, 1.0
    try:
        scale = float(number)
    except ValueError:
        return text, 1.0
    if not math.isfinite(scale):
        raise InvalidDataError(f"the LoRA's scale is {number}; give a number such as 0.8")
    return place, scale


def _count(given: dict[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidDataError(f"{name} is {value!r}; give a whole number from 1 on")
    return value
