"""A diffusers pipeline in memory, placed where it is to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from fashionedit.errors import FashionEditError, InvalidDataError, ServiceError, UnknownNameError

from .memory import is_out_of_memory
from .pipelines import PipelineFacts
from .quiet import quiet
from .torch_device import find_dtype

if TYPE_CHECKING:
    import torch

DTYPES = ("fp32", "bf16", "fp16")
"""The types of numbers that a pipeline may be loaded in."""

Offload = Literal["model", "sequential"]
"""What waits in main memory: whole models (about as fast), or their layers (slow, a few GB on the device)."""


def default_dtype(facts: PipelineFacts, device: torch.device) -> str:
    """Returns the type that a pipeline was published for: fp16 or bf16 on a GPU; fp32 on a CPU."""
    if device.type == "cpu":
        return "fp32"
    return "fp16" if facts.class_name.startswith("StableDiffusion") else "bf16"


def load_pipeline(
    facts: PipelineFacts,
    *,
    dtype: str,
    device: torch.device,
    offload: Offload | None = None,
    device_map: str | None = None,
    variant: str | None = None,
    t5: bool = True,
    prepare: Callable[[Any], None] | None = None,
) -> Any:
    """Returns the pipeline with its weights, on its device.

    Only safetensors are read, and no code that comes with the weights is run.

    Args:
        facts: Which one.
        dtype: `fp32`, `bf16` or `fp16`.
        device: Where it computes.
        offload: What waits in main memory; nothing by default.
        device_map: `balanced`, say: how accelerate spreads the parts over several GPUs, in the place of `device`.
        variant: Which weight files, where there are several sets, such as `fp16`.
        t5: Whether a T5 text encoder is loaded where there is one.
        prepare: What is done to the pipeline before it is placed, such as adding a LoRA; its own errors pass through.

    Raises:
        ServiceError: It can't be fetched, loaded or held in memory.
        InvalidDataError: The same for a folder.
    """
    import diffusers
    from packaging.version import Version

    # The argument's name changed between the oldest version that is supported and today's.
    named = "dtype" if Version(diffusers.__version__) >= Version("0.42") else "torch_dtype"
    numbers = {named: find_dtype(dtype, device)}
    absent: dict[str, None] = {name: None for name, kind in facts.components.items() if kind is None}
    if not t5:
        absent |= dict.fromkeys(parts_without_t5(facts))
    further = {"device_map": device_map, "variant": variant}
    chosen = {name: value for name, value in further.items() if value is not None}
    pipeline_class: Any = diffusers.DiffusionPipeline  # without types of its own
    failure = InvalidDataError if facts.revision is None else ServiceError
    try:
        with quiet():
            pipeline = pipeline_class.from_pretrained(
                facts.place,
                revision=facts.revision,
                use_safetensors=True,
                trust_remote_code=False,
                **numbers,
                **absent,
                **chosen,
            )
        if prepare is not None:
            prepare(pipeline)
        if device_map is None:
            _place(pipeline, device, offload)
    except FashionEditError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise ServiceError(
                f"{facts.name} doesn't fit into the memory of {device.type} in {dtype}; offload models or layers, "
                "leave T5 away, or take a smaller model"
            ) from error
        if "safetensors" in str(error) and isinstance(error, OSError):
            raise failure(
                f"{facts.name} lacks safetensors for some part; other weight files can run code and are not loaded, so "
                "convert them first"
            ) from error
        if isinstance(error, OSError | ValueError | TypeError | AttributeError | ImportError):
            line = next(iter(str(error).splitlines()), "")
            raise failure(
                f"{facts.name} can't be loaded ({type(error).__name__}: {line}); fetch it again, or name another"
            ) from error
        raise
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def parts_without_t5(facts: PipelineFacts) -> tuple[str, ...]:
    """Returns the components that are left away to do without T5; empty where there is no T5 anyway.

    Raises:
        UnknownNameError: The pipeline can't do without it: only Stable Diffusion 3 and 3.5 can.
    """
    if facts.t5 and not facts.class_name.startswith("StableDiffusion3"):
        raise UnknownNameError(f"{facts.name} ({facts.class_name}) can't do without T5; leave that option away")
    return facts.t5


def _place(pipeline: Any, device: torch.device, offload: Offload | None) -> None:
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)
