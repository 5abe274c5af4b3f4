"""Encoders of the transformers library: CLIP, SigLIP, DINOv2, ViT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.runtime.torch_device import (
    backend_name,
    describe_device,
    exact_arithmetic,
    find_device,
    find_dtype,
)

from .encoder import ModelFiles, unit_vectors
from .kernels import TORCH, set_precision
from .preprocessing import Preprocessing

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
        self._model = model.eval()
        kernels = TORCH
        if self._device.type == "cpu":
            kernels = set_precision(self._model, self._dtype)
        else:
            self._model.to(self._device, self._dtype)
        self.fingerprint = {
            "kind": "transformers",
            **files.identity,
            "features": self._features,
            "preprocessing": self._preprocessing.fingerprint,
            "precision": precision,
            "backend": backend_name(precision, self._device, kernels),
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
