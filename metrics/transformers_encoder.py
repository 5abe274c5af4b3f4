"""Encoders of the transformers library: CLIP, SigLIP, DINOv2, ViT; on the CPU by oneDNN's packed products.

Torch hands fp32 products to MKL. oneDNN with packed weights needs about 0.7 of the time on Intel and 0.45 on AMD for
the same sums (they differ by 1e-7). Torch's compiler uses the same two operators; where they are missing or disagree,
a layer stays as it is. CLIP's activation, written as three products over 50 MB, spends its time on fetching them;
over a few rows at a time, and in place, it gives the same bits and a batch takes a tenth less.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from fashionedit.errors import InvalidDataError
from fashionedit.runtime.torch_device import (
    backend_name,
    describe_device,
    exact_arithmetic,
    find_device,
    find_dtype,
)

from .encoder import ModelFiles, unit_vectors
from .preprocessing import Preprocessing

_ROWS = 2048  # about a batch of eight pictures of 257 tokens; the layout suits other numbers of rows too
_CHUNK = 128  # rows of 4,096 numbers: 2 MB, which stay in the processor's cache


class _PackedLinear(nn.Module):
    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
        self.bias = None if layer.bias is None else layer.bias.detach().clone()

    def forward(self, rows: torch.Tensor) -> Any:
        return torch.ops.mkldnn._linear_pointwise(rows, self.packed, self.bias, "none", [], "")


def pack_linears(model: nn.Module) -> bool:
    """Replaces the fp32 linear layers of a model in place; returns whether all of them were.

    The model can no longer be trained, moved or saved.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch gives it no types
        return False
    # Names only: a layer that is replaced must be free to go, or the weights would be in memory twice.
    names = [name for name, layer in model.named_modules() if type(layer) is nn.Linear]
    with torch.inference_mode():
        done = [_replace(model, name) for name in names]
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()  # the last views of the weight file, which would stay mapped
    return bool(done) and all(done)


def _replace(model: nn.Module, name: str) -> bool:
    layer = cast(nn.Linear, model.get_submodule(name))
    probe = torch.linspace(-1, 1, 3 * layer.in_features).reshape(3, -1)
    try:
        packed = _PackedLinear(layer)
        agrees = torch.allclose(packed(probe), layer(probe), rtol=1e-4, atol=1e-4)
    except (RuntimeError, AttributeError):  # this build of torch has no such operator
        return False
    if agrees:
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, packed)
    return agrees


class _QuickGELUInPlace(nn.Module):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        flat = rows.reshape(-1, rows.shape[-1])
        for chunk in torch.split(flat, _CHUNK):
            chunk.mul_(torch.sigmoid(1.702 * chunk))
        return flat.view(rows.shape)


def split_activations(model: nn.Module) -> None:
    """Replaces CLIP's activation, x · sigmoid(1.702 x), by one that overwrites its input, a few rows at a time."""
    from transformers.activations import QuickGELUActivation

    names = [name for name, layer in model.named_modules() if type(layer) is QuickGELUActivation]
    for name in names:
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, _QuickGELUInPlace())


_FIRST_TOKEN = "first token of the last layer"


class TransformersEncoder:
    """An `ImageEncoder` whose weights are a transformers model in safetensors; errors as for `load_encoder`.

    Of CLIP only the vision tower and its projection are loaded; the features equal those of `get_image_features`.
    """

    def __init__(self, files: ModelFiles, *, device: str, precision: str, label: str, is_clip: bool) -> None:
        self.label = label
        self.is_clip = is_clip
        self._preprocessing = Preprocessing.from_config(files.preprocessing, files.name)
        self._device = find_device(device, "clip")
        self._dtype = find_dtype(precision, self._device)
        model, self._features = _load(files)
        self._model = model.to(self._device, self._dtype).eval()
        kernels = "torch"
        if self._device.type == "cpu" and precision == "fp32":
            split_activations(self._model)
            kernels = "oneDNN, packed" if pack_linears(self._model) else kernels
        self.fingerprint = {
            "kind": "transformers",
            **files.identity,
            "features": self._features,
            "preprocessing": self._preprocessing.fingerprint,
            "precision": precision,
            "backend": backend_name(precision, self._device),
        }
        self.environment = {
            "device": describe_device(self._device),
            "kernels": kernels,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }
        self.dimension = self.encode(np.zeros((1, *self._preprocessing.shape), dtype=np.float32)).shape[1]

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Returns the picture as the model reads it, (3, H, W)."""
        return self._preprocessing(image)

    def encode(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the embeddings (N, D) of preprocessed pictures (N, 3, H, W), each of length 1."""
        with torch.inference_mode(), exact_arithmetic(self._device):
            pixels = torch.from_numpy(batch).to(self._device, self._dtype)
            return unit_vectors(self._forward(pixels).float().cpu().numpy(), self.label)

    def _forward(self, pixels: torch.Tensor) -> Any:
        if self._features == "get_image_features":
            found = self._model.get_image_features(pixel_values=pixels)
            return getattr(found, "pooler_output", found)  # transformers 4 gives the tensor itself
        found = self._model(pixel_values=pixels)
        if self._features == _FIRST_TOKEN:
            return found.last_hidden_state[:, 0]
        return getattr(found, self._features)


def _load(files: ModelFiles) -> tuple[Any, str]:
    try:
        config = transformers.AutoConfig.from_pretrained(files.folder)
    except (ValueError, KeyError, OSError) as error:
        raise InvalidDataError(f"the config.json of {files.name} describes no known model ({error})") from error
    if config.model_type == "clip":
        vision = config.vision_config
        vision.projection_dim = config.projection_dim  # the tower's own copy of it may be a default
        return _weights(transformers.CLIPVisionModelWithProjection, files, vision)[0], "image_embeds"
    if "CLIPVisionModelWithProjection" in (config.architectures or ()):
        return _weights(transformers.CLIPVisionModelWithProjection, files, config)[0], "image_embeds"
    model, missing = _weights(transformers.AutoModel, files, config, may_miss="pooler.")
    if hasattr(model, "get_image_features"):
        return model, "get_image_features"
    return model, _FIRST_TOKEN if missing else "pooler_output"


def _weights(kind: Any, files: ModelFiles, config: Any, may_miss: str | None = None) -> tuple[Any, bool]:
    from safetensors import SafetensorError

    with _quiet():
        try:
            model, report = kind.from_pretrained(
                files.folder,
                config=config,
                dtype=torch.float32,  # else they are rounded to the type that config.json names
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused below, by name
            )
        except (ValueError, RuntimeError, OSError, SafetensorError) as error:
            raise InvalidDataError(f"the weights of {files.name} can't be loaded ({error})") from error
    missing = {str(key) for key in report["missing_keys"] if not str(key).endswith("position_ids")}
    wrong = sorted(str(key) for key in report.get("mismatched_keys") or ())
    lacking = sorted(key for key in missing if may_miss is None or not key.startswith(may_miss))
    if lacking or wrong:
        raise InvalidDataError(
            f"{files.name} lacks {len(lacking) + len(wrong)} of the weights that its config.json asks for "
            f"({', '.join((lacking + wrong)[:3])}); random ones in their place would mean nothing, so fetch it again"
        )
    return model, bool(missing)


@contextmanager
def _quiet() -> Iterator[None]:
    # The text tower is left out on purpose, which transformers would report weight by weight.
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
