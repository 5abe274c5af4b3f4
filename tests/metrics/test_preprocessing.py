from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import transformers
from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.metrics import Preprocessing

SIZES = [(750, 1101), (1024, 1024), (224, 224), (223, 225), (1, 1), (1, 9), (300, 17), (640, 427), (99, 700)]


def _theirs(processor: Any, image: Image.Image) -> np.ndarray:
    return processor(images=image, return_tensors="np")["pixel_values"][0]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "CMYK"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_clip_pixels_are_bit_exact_with_transformers(width: int, height: int, mode: str, picture: Any) -> None:
    image = picture(width * 7 + height, width, height, mode)
    found = Preprocessing()(image)
    expected = _theirs(transformers.CLIPImageProcessorPil(), image)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_a_palette_with_a_transparent_colour_is_bit_exact(picture: Any) -> None:
    buffer = io.BytesIO()
    picture(3, 60, 50).convert("P").save(buffer, "PNG", transparency=7)
    image = Image.open(buffer)
    assert image.mode == "P"
    np.testing.assert_array_equal(Preprocessing()(image), _theirs(transformers.CLIPImageProcessorPil(), image))


@pytest.mark.parametrize(
    "processor",
    [
        transformers.SiglipImageProcessorPil(size={"height": 64, "width": 48}),
        transformers.BitImageProcessorPil(size={"shortest_edge": 70}, crop_size={"height": 56, "width": 42}),
        transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}),
        transformers.CLIPImageProcessorPil(size={"shortest_edge": 90}, crop_size={"height": 80, "width": 75}),
        transformers.CLIPImageProcessorPil(image_mean=[0.1, 0.2, 0.3], image_std=[1, 2, 3], rescale_factor=1 / 127),
        transformers.CLIPImageProcessorPil(resample=2),
    ],
    ids=lambda processor: type(processor).__name__,
)
def test_other_settings_are_read_and_bit_exact(processor: Any, picture: Any) -> None:
    steps = Preprocessing.from_config(processor.to_dict(), "a model")
    for seed, (width, height) in enumerate(SIZES):
        image = picture(seed, width, height)
        np.testing.assert_array_equal(steps(image), _theirs(processor, image))


def test_the_file_of_the_first_clip_models_means_the_same() -> None:
    config = {
        "crop_size": 224,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "resample": 3,
        "size": 224,
    }
    assert Preprocessing.from_config(config, "openai/clip") == Preprocessing()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_processor_type": "DINOv3ViTImageProcessorFast"}, "DINOv3ViTImageProcessorFast"),
        ({"do_pad": True}, "pads"),
        ({"do_normalize": False}, "do_normalize"),
        ({"do_resize": None}, "do_resize"),
        ({"size": {"longest_edge": 224}}, "size"),
        ({"crop_size": {"height": 300, "width": 300}}, "fit"),
        ({"do_center_crop": False}, "no fixed number"),
        ({"image_mean": [0.5]}, "three numbers"),
        ({"image_std": [1, 0, 1]}, "not zero"),
        ({"resample": 99}, "99"),
        ({"crop_size": {"width": 3}}, "height"),
        ({"image_processor_type": "SiglipImageProcessor", "size": None}, "size"),
    ],
)
def test_what_can_not_be_honoured_is_refused(change: dict[str, Any], words: str) -> None:
    config = {**transformers.CLIPImageProcessorPil().to_dict(), **change}
    with pytest.raises(InvalidDataError, match=words):
        Preprocessing.from_config(config, "a model")


def test_every_setting_is_in_the_fingerprint() -> None:
    base = Preprocessing()
    changed = [
        Preprocessing(size=225),
        Preprocessing(crop=(223, 224)),
        Preprocessing(mean=(0.5, 0.5, 0.5)),
        Preprocessing(std=(0.5, 0.5, 0.5)),
        Preprocessing(scale=1 / 256),
        Preprocessing(resample=2),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in changed)}) == 7


def test_a_picture_that_would_become_gigantic_is_refused() -> None:
    with pytest.raises(InvalidImageError, match="elongated"):
        Preprocessing()(Image.new("RGB", (1, 5000)))
