"""Linear layers on a CPU by oneDNN: weights packed once, and CLIP's activation fused into the product before it.

Torch hands fp32 products to MKL, which is slow on AMD, and unpacks weights at every call. oneDNN's linear operator,
which torch's compiler uses too, takes packed weights and `swish`, x · sigmoid(x), as a step of its own. CLIP's
activation is x · sigmoid(1.702 x): that is `swish` once the layer before is multiplied by 1.702 and the one after it
divided. The sums are the same; they differ by 1e-7 in fp32.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import nn

from fashionedit.errors import UnknownNameError

KERNELS_VARIABLE = "FASHIONEDIT_KERNELS"
"""`torch` or `onednn`; `auto`, the default, is the faster one of those that compute right."""

TORCH, ONEDNN = "torch", "oneDNN, packed"

_ROWS = 2048  # about a batch of eight pictures of 257 tokens; the layout suits other numbers of rows too
_TIMED_ROWS = 257  # of one picture: together the timings take a third of a second with CLIP ViT-L/14
_TIMED_ROUNDS = 3
_SLACK = 1.25  # oneDNN may take so much longer than torch: a choice that noise turns over would move last digits
_FEWEST_WEIGHTS = 200_000  # of a layer whose time says anything
_QUICK_GELU = 1.702
_TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2**-6}  # of the largest output


class _PackedLinear(nn.Module):
    """A linear layer of `dtype`, its weights and bias multiplied by `scale` before they are rounded to it."""

    def __init__(
        self,
        layer: nn.Linear,
        dtype: torch.dtype,
        *,
        weight_scale: float = 1,
        bias_scale: float = 1,
        after: str = "none",
    ) -> None:
        super().__init__()
        weight = (layer.weight.detach() * weight_scale).to(dtype)
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
        self.bias = None if layer.bias is None else (layer.bias.detach() * bias_scale).to(dtype)
        self.after = after

    def forward(self, rows: torch.Tensor) -> Any:
        return torch.ops.mkldnn._linear_pointwise(rows, self.packed, self.bias, self.after, [], "")


def _packed(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Returns a linear layer, or two with CLIP's activation between them, packed."""
    if isinstance(module, nn.Linear):
        return _PackedLinear(module, dtype)
    first, second = cast(nn.Linear, module.fc1), cast(nn.Linear, module.fc2)
    return nn.Sequential(
        _PackedLinear(first, dtype, weight_scale=_QUICK_GELU, bias_scale=_QUICK_GELU, after="swish"),
        _PackedLinear(second, dtype, weight_scale=1 / _QUICK_GELU),
    )


def set_precision(model: nn.Module, dtype: torch.dtype) -> str:
    """Brings a model of fp32 weights on the CPU to `dtype`, in place; returns the name of its kernels.

    A packed model can no longer be trained, moved or saved.

    Raises:
        UnknownNameError: `$FASHIONEDIT_KERNELS` names nothing.
    """
    wanted = os.environ.get(KERNELS_VARIABLE, "auto")
    if wanted not in ("auto", "torch", "onednn"):
        raise UnknownNameError(f"${KERNELS_VARIABLE} is {wanted!r}; choose auto, torch or onednn")
    packed = False
    with torch.inference_mode():
        if wanted != "torch" and (wanted == "onednn" or _is_faster(model, dtype)):
            # Names only: a layer that is replaced must be free to go, or the weights would be in memory twice.
            done = [_replace(model, name, dtype) for name in _names(model)]
            packed = bool(done) and all(done)
        model.to(dtype)
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()  # the last views of the weight file, which would stay mapped
    return ONEDNN if packed else TORCH


def _names(model: nn.Module) -> list[str]:
    """Returns the names of what can be packed; the layers inside of what is packed as a whole are left out."""
    from transformers.activations import QuickGELUActivation

    def is_mlp(module: nn.Module) -> bool:
        parts = [type(getattr(module, part, None)) for part in ("fc1", "activation_fn", "fc2")]
        return parts == [nn.Linear, QuickGELUActivation, nn.Linear]

    whole = [name for name, module in model.named_modules() if is_mlp(module)]
    inside = tuple(f"{name}." for name in whole)
    linears = [name for name, module in model.named_modules() if type(module) is nn.Linear]
    return [*whole, *(name for name in linears if not name.startswith(inside))]


def _replace(model: nn.Module, name: str, dtype: torch.dtype) -> bool:
    module = model.get_submodule(name)
    packed = _checked(module, dtype)
    if packed is None:
        return False
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, packed)
    return True


def _checked(module: nn.Module, dtype: torch.dtype) -> nn.Module | None:
    """Returns the module packed; None where this build of torch can't, or computes something else."""
    probe = _probe(module, 3)
    try:
        packed = _packed(module, dtype)
        found, expected = packed(probe.to(dtype)).float(), module(probe)
    except (RuntimeError, AttributeError, NotImplementedError):
        return None
    return packed if (found - expected).abs().max() <= _TOLERANCES[dtype] * expected.abs().max() else None


def _probe(module: nn.Module, rows: int) -> torch.Tensor:
    width = cast(nn.Linear, module if isinstance(module, nn.Linear) else module.fc1).in_features
    return torch.linspace(-1, 1, rows * width).reshape(rows, width)


def _is_faster(model: nn.Module, dtype: torch.dtype) -> bool:
    """Returns whether the layers that weigh most are right, and no slower, packed."""

    def weight(name: str) -> int:
        return sum(parameter.numel() for parameter in model.get_submodule(name).parameters())

    names = _names(model)
    if not names:
        return False
    name = max(names, key=weight)
    module = model.get_submodule(name)
    packed = _checked(module, dtype)
    if packed is None or weight(name) < _FEWEST_WEIGHTS:
        return packed is not None
    plain, rows = copy.deepcopy(module).to(dtype), _probe(module, _TIMED_ROWS).to(dtype)
    torch_seconds, seconds = map(min, zip(*_timed((lambda: plain(rows), lambda: packed(rows))), strict=True))
    return bool(seconds <= _SLACK * torch_seconds)


def _timed(runs: tuple[Callable[[], Any], ...]) -> Iterator[list[float]]:
    """Yields the processor's seconds of each in every round: those of other processes do not count."""
    for run in runs:
        run()
    for _ in range(_TIMED_ROUNDS):
        seconds = []
        for run in runs:
            began = time.process_time()
            run()
            seconds.append(time.process_time() - began)
        yield seconds
