"""What a user may say of a diffusers editor beside its name, each checked before anything is loaded."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from fashionedit.errors import InvalidDataError, MissingExtraError, ServiceError, UnknownNameError
from fashionedit.runtime.pipelines import DTYPES, Offload

from .settings import EditorSettings

_OPTIONS = {
    "dtype": "fp32, bf16 or fp16",
    "device": "auto, cpu, cuda, cuda:1 or mps",
    "device_map": "balanced spreads the parts over several GPUs",
    "offload": "model or sequential, what waits in main memory",
    "lora": "REPOSITORY or FOLDER or FILE.safetensors, with :SCALE",
    "variant": "which set of weight files, such as fp16",
    "batch_size": "edits made together, where the class can",
    "images": "native or stitched, how base and reference are shown",
    "max_pixels": "the most pixels that an image may have, such as 1048576",
}
_REPOSITORY = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+)(?:/([\w./-]+\.safetensors))?(?:@([\w./-]+))?")
_BATCH = 4


@dataclass(frozen=True, slots=True)
class Lora:
    """Weights that are added to a pipeline's.

    Args:
        name: For tables.
        file: Where they are; safetensors.
        identity: What pins them: a commit of the Hub, or the file's SHA-256.
        scale: How much of them is added; 1 is all.
    """

    name: str
    file: Path = field(compare=False)
    identity: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class DiffusersOptions:
    """How the pipeline is set up.

    Args:
        dtype: Type of the weights; the one that it was published for by default.
        device: Where it computes.
        device_map: How accelerate spreads it, in the place of `device`.
        offload: What waits in main memory.
        lora: The text of the option.
        variant: Which set of weight files, where a repository has several.
        batch_size: Edits made together, at most.
        stitched: Whether base and reference are shown in one picture although the class takes two.
        max_pixels: Larger images are shrunk to this many pixels.
    """

    dtype: str | None = None
    device: str = "auto"
    device_map: str | None = None
    offload: Offload | None = None
    lora: str | None = None
    variant: str | None = None
    batch_size: int = _BATCH
    stitched: bool = False
    max_pixels: int | None = None


def read_options(settings: EditorSettings) -> DiffusersOptions:
    """Returns the options.

    Raises:
        InvalidDataError: One is not known, or its value is none that it may have.
    """
    given = settings.known_options("diffusers", _OPTIONS)
    if settings.base_url is not None:
        raise InvalidDataError("diffusers runs here and has no base URL; for a server write openai:MODEL with it")
    if settings.state != "images":
        raise InvalidDataError("diffusers has no conversations; leave the state out")
    if settings.version is not None:
        raise InvalidDataError("the files of a pipeline tell its version; leave the version out")
    if given.get("device_map") is not None and (given.get("offload") is not None or "device" in given):
        raise InvalidDataError("device_map says where everything is; leave device and offload out")
    return DiffusersOptions(
        dtype=_choice(given, "dtype", DTYPES),
        device=str(given.get("device", "auto")),
        device_map=_choice(given, "device_map", ("balanced", "cuda", "cpu")),
        offload=cast("Offload | None", _choice(given, "offload", ("model", "sequential"))),
        lora=None if given.get("lora") is None else str(given["lora"]),
        variant=None if given.get("variant") is None else str(given["variant"]),
        batch_size=_count(given, "batch_size") or _BATCH,
        stitched=_choice(given, "images", ("native", "stitched")) == "stitched",
        max_pixels=_count(given, "max_pixels"),
    )


def find_lora(text: str) -> Lora:
    """Returns the LoRA that `PLACE[@REVISION][:SCALE]` names; one on the Hub is fetched.

    Raises:
        UnknownNameError: There is no such place, or which of its files is meant is open.
        ServiceError: The repository can't be fetched.
        MissingExtraError: The package that adds them is not installed.
    """
    if importlib.util.find_spec("peft") is None:
        raise MissingExtraError("diffusers", "peft")
    place, scale = _scaled(text)
    path = Path(place)
    if path.exists():
        file = path if path.is_file() else _only(sorted(path.glob("*.safetensors")), place)
        if file.suffix != ".safetensors":
            raise UnknownNameError(f"{place} is no safetensors file; other weight files can run code and are not read")
        with file.open("rb") as stream:
            return Lora(file.stem, file, hashlib.file_digest(stream, "sha256").hexdigest(), scale)
    match = _REPOSITORY.fullmatch(place)
    if match is None:
        raise UnknownNameError(
            f"{place!r} is no file, folder or repository with a LoRA; write owner/name[/file.safetensors][@revision]"
        )
    repository, name, revision = match.groups()
    return _fetched(repository, name, revision, scale)


def _fetched(repository: str, name: str | None, revision: str | None, scale: float) -> Lora:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=[name or "*.safetensors"]))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ServiceError(
            f"the LoRA {repository} can't be fetched ({type(error).__name__}); check its name and revision, or give a "
            "folder that holds it"
        ) from error
    file = folder / name if name else _only(sorted(folder.glob("*.safetensors")), repository)
    if not file.is_file():
        raise UnknownNameError(f"{repository} has no {name}; check the name of the file")
    return Lora(repository, file, f"{folder.name}/{file.name}", scale)


def _only(files: list[Path], place: str) -> Path:
    if len(files) == 1:
        return files[0]
    if not files:
        raise UnknownNameError(f"{place} holds no safetensors; give a LoRA saved as safetensors")
    names = ", ".join(file.name for file in files)
    raise UnknownNameError(f"{place} holds {names}; name the one that is meant: {place}/{files[0].name}")


def _scaled(text: str) -> tuple[str, float]:
    place, colon, number = text.rpartition(":")
    if not colon or Path(text).exists():
        return text, 1.0
    try:
        scale = float(number)
    except ValueError:
        return text, 1.0
    if not math.isfinite(scale):
        raise InvalidDataError(f"the LoRA's scale is {number}; give a number such as 0.8")
    return place, scale


def _choice(given: dict[str, Any], name: str, values: tuple[str, ...]) -> str | None:
    value = given.get(name)
    if value is None or value in values:
        return value
    raise InvalidDataError(f"{name} is {value!r}; choose {', '.join(values)}")


def _count(given: dict[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidDataError(f"{name} is {value!r}; give a whole number from 1 on")
    return value
