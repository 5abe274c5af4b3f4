"""Settings of the analysis: model, service, prompt, images, limits."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from PIL import Image

from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import stage_key
from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.images import EncodedImage, png_bytes
from fashionedit.runtime.costs import Price, price_of
from fashionedit.runtime.vision_model import ModelSettings, Picture

_LARGE = 512 * 2**10  # bytes; a draft of 1024 × 1024 as PNG has 1.5 MB


@dataclass(frozen=True, slots=True)
class SentImages:
    """The form in which images are sent; part of what an answer depends on.

    `auto` sends the file as it is where it is an upright RGB JPEG or PNG of at most 512 KiB, and otherwise a JPEG of
    this `quality` without chroma subsampling; `png` sends the exact pixels; `jpeg` always encodes. Images with a longer
    side than `max_side` pixels are scaled down. `detail` tells the service how closely to look: `auto`, `low`, `high`.

    Raises:
        InvalidDataError: A value is out of range.
    """

    format: Literal["auto", "png", "jpeg"] = "auto"
    quality: int = 95
    max_side: int | None = None
    detail: str = "auto"

    def __post_init__(self) -> None:
        if self.format not in ("auto", "png", "jpeg"):
            raise InvalidDataError(f"images can't be sent as {self.format!r}; choose auto, png or jpeg")
        if not 1 <= self.quality <= 100:
            raise InvalidDataError(f"the quality of a JPEG is {self.quality}; choose 1..100")
        if self.max_side is not None and self.max_side < 64:
            raise InvalidDataError(f"images would be sent with {self.max_side} px a side; choose at least 64")

    def fitted(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns the size in which an image of this width and height is sent, pixels."""
        if self.max_side is None or max(size) <= self.max_side:
            return size
        scale = self.max_side / max(size)
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def pictures(pair: Photo, settings: SentImages) -> tuple[Picture, Picture]:
    """Returns the original and the draft as they are sent.

    Raises:
        InvalidImageError: A file can't be read, or holds other pixels than when the pair was made.
    """
    original, draft = (_picture(path, digest, settings) for path, digest in pair.pair)
    return original, draft


def _picture(path: Path, digest: str, settings: SentImages) -> Picture:
    encoded, image = EncodedImage.from_file(path, name=path.name)
    if encoded.digest != digest:
        raise InvalidImageError(
            f"{path.name} has other pixels than when the draft was compared with it; run the stages before this again"
        )
    size = settings.fitted(image.size)
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    elif settings.format == "auto" and len(encoded.data) <= _LARGE:
        return Picture(encoded.data, "png" if encoded.suffix == "png" else "jpeg", size)
    if settings.format == "png":
        return Picture(png_bytes(image), "png", size)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=settings.quality, subsampling=0)
    return Picture(buffer.getvalue(), "jpeg", size)


_MAX_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text prompt; the two images follow it, the original first. Keys depend on the text, not on the name.

    Raises:
        InvalidDataError: There are no words.
    """

    name: str
    text: str

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InvalidDataError(f"the prompt {self.name} is empty; write what the model is to do")


PAPER = Prompt(
    "paper",
    """\
# 1. Task Definition
Detect the three detailed differences in the clothes between the two images and return a JSON style.
# 2. Problem Definition
For each result, the description should only contain the difference of the first image, and give the bounding box of \
the box_2d should be [ymin, xmin, ymax, xmax], normalized to 0-1000.
# 3. Example of output
The output format is limited to: "[{'description': 'Wearing ...', 'box_2d': [0, 250, 600, 750]}]"
""",
)
"""The default: the paper's prompt, section 2.3.1, with its line breaks undone. Other words are another `Prompt`."""

REFERENCE = Prompt(
    "reference",
    "Return as JSON the three main differences in the clothes between the first image and the second, each with a "
    "description of what the first image shows there and its box_2d [ymin, xmin, ymax, xmax] on the first image, "
    "normalized to 0-1000.\n",
)
"""One sentence, as the authors' script asks. The wording is ours: it says what theirs is known to ask for."""

PROMPTS: Mapping[str, Prompt] = MappingProxyType({prompt.name: prompt for prompt in (PAPER, REFERENCE)})
"""The prompts that come with the package, by name."""


def read_prompt(spec: str) -> Prompt:
    """Returns the prompt of this name, or the text of this file.

    Raises:
        InvalidDataError: It is neither, or the file holds no text.
    """
    if spec in PROMPTS:
        return PROMPTS[spec]
    path = Path(spec)
    if not path.is_file():
        raise InvalidDataError(
            f"{spec} is no prompt; choose {' or '.join(PROMPTS)}, or give the path of a text file with your own"
        )
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InvalidDataError(f"{spec} can't be read ({error.strerror}); check its permissions") from error
    except UnicodeDecodeError as error:
        raise InvalidDataError(f"{spec}: byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error
    if len(data) > _MAX_BYTES:
        raise InvalidDataError(f"{spec} has {len(data):,} bytes, more than the {_MAX_BYTES:,} of a prompt; shorten it")
    return Prompt(path.stem, text)


def repair_request(fault: str) -> str:
    """Returns what the model is told about an answer that can't be used; its words are part of `PROTOCOL_VERSION`."""
    return (
        f"This answer can't be used: {fault}. Answer again, in the same form and with nothing else: exactly three "
        "differences, each with a description of what the first image shows and a box_2d [ymin, xmin, ymax, xmax] on "
        "the first image, whole numbers from 0 to 1000 with ymin below ymax and xmin below xmax."
    )


PROTOCOL_VERSION = 1
"""Part of every key; it changes whenever the same settings would send something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyst(ModelSettings):
    """The settings of an analysis, besides those of every model.

    Args:
        model: The paper's by default.
        prompt: What is asked.
        max_repairs: How often an answer that can't be used is sent back with its fault.
        images: How the images are sent.
        extra_body: Sent along with every request, as it is.
        prices: Of the user, by model; they come before the published ones.

    Raises:
        InvalidDataError: A value is out of range.
    """

    model: str = "gpt-4.1-mini"
    max_output_tokens: int | None = 4096
    prompt: Prompt = PAPER
    max_repairs: int = 2
    images: SentImages = field(default_factory=SentImages)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)

    _address_options: ClassVar[str] = "--base-url and --ask api"

    def __post_init__(self) -> None:
        ModelSettings.__post_init__(self)
        self._check_whole("max_repairs", 0, 10)
        if self.structured == "json_object" and "json" not in self.prompt.text.lower():
            raise InvalidDataError(
                f"the prompt {self.prompt.name} does not say JSON, which services want for json_object; say it there, "
                "or choose json_schema"
            )
        try:
            json.dumps(dict(self.extra_body), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidDataError(f"extra_body is no plain JSON ({error}); give a JSON object") from error

    @property
    def price(self) -> Price | None:
        """The price of the model; None where it is not known."""
        return price_of(self.model, self.prices)

    def identity(self) -> dict[str, Any]:
        """Returns what an answer depends on besides the two images, as plain JSON.

        Not in it: the address, because the same model elsewhere is the same model; `max_repairs`, because a larger one
        continues what a smaller one gave up; and all that concerns speed.
        """
        return {
            "protocol": PROTOCOL_VERSION,
            "model": self.model,
            "prompt": self.prompt.text,
            "api": self.api,
            "temperature": self.temperature,
            "structured": self.structured,
            "max_output_tokens": self.max_output_tokens,
            "images": asdict(self.images),
            "extra_body": dict(self.extra_body),
        }

    def key(self, original: str, draft: str) -> str:
        """Returns the key of the record for the pair of these digests."""
        return stage_key("analyse", original=original, draft=draft, **self.identity())
