"""Recognising that memory ran out, whichever allocator says so, and taking back what can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

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
