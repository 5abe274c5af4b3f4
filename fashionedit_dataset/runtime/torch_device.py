"""Where torch computes, how exactly, and what happens when its memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fashionedit.errors import MissingExtraError, UnknownNameError

if TYPE_CHECKING:
    import torch


def find_device(name: str, extra: str) -> torch.device:
    """Returns the device of this name; `auto` is CUDA, else MPS, else the CPU.

    Raises:
        UnknownNameError: Torch knows no such device, or this machine has none.
        MissingExtraError: Torch is not installed; `extra` brings it.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(extra, "torch") from error
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UnknownNameError(f"device {name!r} can't be used ({reason}); choose auto, cpu, cuda or mps") from error
    return device


def find_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Returns torch's type for `fp32`, `bf16` or `fp16`.

    Raises:
        UnknownNameError: fp16 is asked of a CPU.
    """
    import torch

    if precision == "fp16" and device.type == "cpu":
        raise UnknownNameError("precision fp16 is slow and inexact on a CPU; choose fp32 or bf16, or a GPU")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def has_bf16(device: torch.device) -> bool:
    """Returns whether the device computes in bfloat16; a CPU without it would be slower so than in fp32."""
    import torch

    return device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def backend_name(precision: str, device: torch.device, kernels: str = "torch") -> str:
    """Returns the backend's part of a fingerprint: in fp32 all agree to 1e-6, below it each has its own sums."""
    return "torch" if precision == "fp32" else f"{kernels.partition(',')[0]}-{device.type}"


def describe_device(device: torch.device) -> str:
    """Returns the device in words, for the environment of a score."""
    import torch

    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """Keeps float32 at 24 bits inside: neither TF32 nor bfloat16 products, whatever the process has switched on."""
    import torch

    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        if device.type != "cuda":
            yield
        else:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                yield
    finally:
        torch.set_float32_matmul_precision(precision)


# torch raises OutOfMemoryError for CUDA and XPU only; the others are plain RuntimeErrors with these texts.
_TEXTS = (
    "out of memory",  # CUDA, HIP, XPU, MPS
    "can't allocate memory",  # DefaultCPUAllocator on Linux and macOS
    "not enough memory",  # DefaultCPUAllocator on Windows
    "invalid buffer size",  # MPS, for a tensor above its limit
    "status_alloc_failed",  # cuBLAS, cuDNN
)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether the error says that a device, or this machine, had no memory left."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _TEXTS)


def free_memory(pipeline: Any, device: torch.device) -> None:
    """Gives back what a failed call of a diffusers pipeline left on the device, offloaded parts included."""
    import torch

    pipeline.maybe_free_model_hooks()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
