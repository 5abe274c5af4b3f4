"""From a picture to the numbers that an encoder reads, bit for bit as `CLIPImageProcessorPil` of transformers does it.

Resize with Pillow, cut the centre out, and look the normalised value of each of the 256 levels up in a table that is
computed with the processor's own roundings. No torch, and no choice of backend that could move a pixel.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.images import MAX_PIXELS, PIXELS, to_rgb

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_FAMILIES = {  # processor → whether a bare number as size means a square
    "CLIPFeatureExtractor": False,
    "CLIPImageProcessor": False,
    "BitImageProcessor": False,
    "SiglipImageProcessor": True,
    "ViTFeatureExtractor": True,
    "ViTImageProcessor": True,
}


@dataclass(frozen=True)
class Preprocessing:
    """The steps before an encoder, from resize to normalisation.

    Args:
        size: Pixels: the short side, aspect ratio kept; or (height, width), aspect ratio ignored.
        crop: Height and width of the centre that is cut out, pixels; None keeps all.
        mean, std: Per channel R, G, B, of values scaled by `scale`.
        scale: What the levels 0..255 are multiplied with first.
        resample: Pillow's filter: 2 bilinear, 3 bicubic, 1 Lanczos; all with antialiasing.

    Raises:
        InvalidDataError: A number is out of range, or the crop is larger than what is left to cut.
    """

    size: int | tuple[int, int] = 224
    crop: tuple[int, int] | None = (224, 224)
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    scale: float = 1 / 255
    resample: int = Image.Resampling.BICUBIC

    def __post_init__(self) -> None:
        smallest = (self.size, self.size) if isinstance(self.size, int) else self.size
        shape = self.crop or self.size
        if min(smallest) < 1 or isinstance(shape, int) or min(shape) < 1:
            raise InvalidDataError(
                f"preprocessing to size {self.size} and crop {self.crop} gives no fixed number of pixels; set a crop, "
                "or a size of (height, width)"
            )
        if self.crop is not None and (self.crop[0] > smallest[0] or self.crop[1] > smallest[1]):
            raise InvalidDataError(f"a crop of {self.crop} does not fit into images resized to {self.size}")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(self.std):
            raise InvalidDataError(f"mean {self.mean} and std {self.std} must be three numbers each, std not zero")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the result."""
        height, width = self.crop or self.size  # type: ignore[misc]  # __post_init__ refuses a number without a crop
        return (3, height, width)

    @property
    def fingerprint(self) -> str:
        """Canonical JSON of every number that moves a value."""
        fields = {name: getattr(self, name) for name in ("size", "crop", "mean", "std", "scale")}
        fields |= {"resample": int(self.resample), "pixels": PIXELS}
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """Returns the image as the encoder reads it: (3, H, W), float32, normalised.

        Raises:
            InvalidImageError: The image is so elongated that its resized form would exceed `MAX_PIXELS`.
        """
        image = to_rgb(image)
        width, height = self._resized(image.width, image.height)
        if (width, height) != image.size:
            image = image.resize((width, height), resample=Image.Resampling(self.resample))
        if self.crop is not None:
            top, left = (height - self.crop[0]) // 2, (width - self.crop[1]) // 2
            image = image.crop((left, top, left + self.crop[1], top + self.crop[0]))
        levels = np.asarray(image)
        pixels = np.empty(self.shape, dtype=np.float32)
        for channel, table in enumerate(self._tables):
            np.take(table, levels[..., channel], out=pixels[channel], mode="clip")
        return pixels

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        if not isinstance(self.size, int):
            return self.size[1], self.size[0]
        short, long = sorted((width, height))
        length = int(self.size * long / short)
        if length * self.size > MAX_PIXELS:
            raise InvalidImageError(
                f"the image is {width}×{height} pixels; with the short side at {self.size} the long one would be "
                f"{length}, too elongated to encode; crop it"
            )
        return (self.size, length) if width <= height else (length, self.size)

    @cached_property
    def _tables(self) -> NDArray[np.float32]:
        # The roundings of transformers: scaled in float64, stored as float32, normalised in float32.
        scaled = (np.arange(256, dtype=np.float64) * self.scale).astype(np.float32)
        mean, std = np.array(self.mean, dtype=np.float32), np.array(self.std, dtype=np.float32)
        return (scaled[None, :] - mean[:, None]) / std[:, None]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], source: str) -> Preprocessing:
        """Returns the steps of a `preprocessor_config.json`.

        Args:
            config: The file's content, or the `image_processor` part of a `processor_config.json`.
            source: How messages call the model.

        Raises:
            InvalidDataError: The file asks for a step that is not reproduced here; nothing is passed over in silence.
        """
        kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "CLIPImageProcessor")
        family = kind.removesuffix("Fast").removesuffix("Pil")
        if family not in _FAMILIES:
            raise InvalidDataError(
                f"{source} preprocesses with {kind}, which is not reproduced here; choose a model that uses one of "
                f"{', '.join(sorted(_FAMILIES))}"
            )
        for step in ("do_resize", "do_rescale", "do_normalize"):
            if config.get(step, True) is not True:
                raise InvalidDataError(f"{source} preprocesses with {step} = {config[step]}; only true is reproduced")
        if config.get("do_pad"):
            raise InvalidDataError(f"{source} pads its images, which is not reproduced here; choose another model")
        defaults: dict[str, Any] = {}
        if family.startswith("CLIP"):
            defaults = {"size": 224, "crop_size": 224, "image_mean": CLIP_MEAN, "image_std": CLIP_STD, "resample": 3}
        found = {**defaults, **{key: value for key, value in config.items() if value is not None}}
        for key in ("size", "image_mean", "image_std", "resample"):
            if key not in found:
                raise InvalidDataError(f"the preprocessing of {source} does not say its {key}; add it to the file")
        cropped = found.get("do_center_crop", not _FAMILIES[family])
        try:
            return cls(
                size=_size(found["size"], square=_FAMILIES[family]),
                crop=_pair(found["crop_size"]) if cropped else None,
                mean=tuple(map(float, found["image_mean"])),  # type: ignore[arg-type]  # __post_init__ counts them
                std=tuple(map(float, found["image_std"])),  # type: ignore[arg-type]  # likewise
                scale=float(found.get("rescale_factor", 1 / 255)),
                resample=Image.Resampling(int(found["resample"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidDataError(f"the preprocessing of {source} can't be honoured: {error}") from error


def _size(value: Any, *, square: bool) -> int | tuple[int, int]:
    if isinstance(value, int):
        return (value, value) if square else value
    keys = {key for key, number in value.items() if number is not None}
    if keys == {"shortest_edge"}:
        return int(value["shortest_edge"])
    if keys == {"height", "width"}:
        return _pair(value)
    raise ValueError(f"size {value} is neither a short side nor a height and width")


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value["height"]), int(value["width"]))
