"""The names by which an encoder is chosen, where its files are, and which exact weights they hold."""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from fashionedit.errors import EncoderNotFoundError, InvalidDataError, MissingExtraError, UnknownNameError
from fashionedit.runtime.hub import download_failures
from fashionedit.runtime.torch_device import find_device, find_dtype, has_bf16

from .encoder import ImageEncoder, ModelFiles, Precision
from .mixed_precision import MixedEncoder

CLIP_REPOSITORY = "openai/clip-vit-large-patch14"
"""The encoder of the paper; only its scores are called CLIP."""

CLIP_REVISION = "32bd64288804d66eefd0ccbe215aa642df71cc41"
CLIP_IDENTITY = {
    "model": CLIP_REPOSITORY,
    "revision": CLIP_REVISION,
    "weights": "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
    "config": "8a09b467700c58138c29d53c605b34ebc69beaadd13274a8a2af8ad2c2f4032a",
}
"""Of a fingerprint, what names the weights: the SHA-256 of `model.safetensors` and `config.json` at that revision."""

CLIP_DIMENSION = 768

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_WANTED = [
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
]
_VOLATILE = {"_name_or_path", "transformers_version", "torch_dtype", "dtype"}  # in config.json, without effect here


def load_encoder(spec: str = "clip", *, device: str = "auto", precision: Precision = "fp32") -> ImageEncoder:
    """Returns the encoder of this name, its weights in memory.

    | spec | encoder | called |
    |---|---|---|
    | `clip` | `openai/clip-vit-large-patch14` at the pinned revision: the paper's | CLIP ViT-L/14 |
    | `clip:FOLDER` | a folder that you declare to hold CLIP | CLIP (folder's name) |
    | `offline` | EfficientNet-Lite2 with ImageNet weights from a package, on the CPU | EfficientNet-Lite2 |
    | `OWNER/NAME[@REVISION]` | any CLIP, SigLIP, DINOv2 or ViT of the Hub | its id |
    | `FOLDER` | the same, saved to a folder | folder's name |

    Args:
        spec: One of the above. A folder of that name wins over a repository.
        device: `auto` (CUDA, else Apple's MPS, else the CPU), or a name that torch knows.
        precision: `fp32` as the reference, whatever type the weights are stored in; `bf16` moves a cosine by up to
            3e-4; `mixed` is bf16 with every pair near a threshold in fp32; `fp16` needs a GPU. `offline` has `fp32`
            alone, and on a CPU without bf16 `mixed` is fp32 too.

    Raises:
        UnknownNameError: The spec, the device or the precision names nothing.
        EncoderNotFoundError: The repository does not exist, or can't be reached.
        InvalidDataError: The folder holds no model that can be loaded safely and completely.
        MissingExtraError: The extra `clip` or `offline` is not installed.
    """
    return build_encoder(spec, find_files(spec, device, precision), device, precision)


def check_encoder(spec: str) -> None:
    """Raises `UnknownNameError` if the spec can name no encoder; nothing is loaded, and the Hub is not asked."""
    if spec != "offline":
        _place(spec)


def find_files(spec: str, device: str, precision: Precision) -> ModelFiles | None:
    """Returns where the encoder's files are, fetched unless this machine has them; None for `offline`.

    What can be checked on this machine is checked before the Hub is asked. Arguments and errors as for `load_encoder`.
    """
    if precision not in get_args(Precision):
        raise UnknownNameError(f"no precision is called {precision!r}; choose {', '.join(get_args(Precision))}")
    if spec == "offline":
        return None
    place, revision = _place(spec)
    found_device = find_device(device, "clip")
    try:
        import transformers  # noqa: F401  # whether it is there
    except ImportError as error:
        raise MissingExtraError("clip", "transformers") from error
    find_dtype("bf16" if precision == "mixed" else precision, found_device)
    if Path(place).is_dir():
        folder, name = Path(place), Path(place).resolve().name
        identity = {}
    else:
        folder, name = _fetch(place, revision), place
        identity = {"model": place, "revision": folder.name}
    if not (folder / "config.json").is_file():
        raise InvalidDataError(f"{folder} has no config.json; give a folder that holds a saved transformers model")
    digests = [_file_digest(file) for file in _safetensors(folder, name)]
    identity["weights"] = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    config = _read(folder, "config.json")
    if "revision" in identity:
        identity["config"] = _file_digest(folder / "config.json")
    else:  # versions of transformers save the same model with other words around it
        text = json.dumps(_lasting(config), sort_keys=True)
        identity["config"] = hashlib.sha256(text.encode()).hexdigest()
    return ModelFiles(folder, name, identity, _preprocessing(folder, name))


def build_encoder(spec: str, files: ModelFiles | None, device: str, precision: Precision) -> ImageEncoder:
    """Returns the encoder whose files `find_files` found for the same arguments."""
    if precision == "mixed":
        exact = build_encoder(spec, files, device, "fp32")
        if files is None or not has_bf16(find_device(device, "clip")):
            return exact
        return MixedEncoder(build_encoder(spec, files, device, "bf16"), exact)
    if files is None:
        from .offline_encoder import OfflineEncoder

        return OfflineEncoder(device=device, precision=precision)
    from .transformers_encoder import TransformersEncoder

    official = files.identity.get("model") == CLIP_REPOSITORY
    label = "CLIP ViT-L/14" if official else f"CLIP ({files.name})" if spec.startswith("clip:") else files.name
    is_clip = official or spec.startswith("clip:")
    return TransformersEncoder(files, device=device, precision=precision, label=label, is_clip=is_clip)


def _place(spec: str) -> tuple[str, str | None]:
    """Returns the folder, or the repository with its revision."""
    if spec == "clip":
        spec = f"{CLIP_REPOSITORY}@{CLIP_REVISION}"  # a folder of this name is refused below
    if spec.startswith("clip:"):
        folder = spec.removeprefix("clip:")
        if not Path(folder).is_dir():
            raise UnknownNameError(f"encoder {spec!r} names no folder; only a folder can be declared to hold CLIP")
        return folder, None
    if Path(spec).is_dir():
        return spec, None
    place, at, revision = spec.partition("@")
    if at and not revision:
        raise UnknownNameError(f"encoder {spec!r} has an @ without a revision; name one, or leave the @ away")
    if Path(place).is_dir():
        raise UnknownNameError(f"{place} is a folder, which has no revision {revision!r}; leave the @ away")
    if not _REPOSITORY.fullmatch(place):
        raise UnknownNameError(
            f"no encoder is called {place!r}; choose clip, offline, a folder, or a repository of the Hub as "
            "owner/name[@revision]"
        )
    return place, revision or (CLIP_REVISION if place == CLIP_REPOSITORY else None)


def _read(folder: Path, file: str) -> dict[str, Any]:
    try:
        content = json.loads((folder / file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidDataError(f"{folder / file} is no JSON ({error}); fetch the model again") from error
    if not isinstance(content, dict):
        raise InvalidDataError(f"{folder / file} holds no JSON object; fetch the model again")
    return content


def _preprocessing(folder: Path, name: str) -> dict[str, Any]:
    if (folder / "preprocessor_config.json").is_file():
        return _read(folder, "preprocessor_config.json")
    if (folder / "processor_config.json").is_file():
        part = _read(folder, "processor_config.json").get("image_processor")
        if isinstance(part, dict):
            return part
    raise InvalidDataError(f"{name} has no preprocessor_config.json; add the one the model was trained with")


def _lasting(config: Any) -> Any:
    if not isinstance(config, dict):
        return config
    return {key: _lasting(value) for key, value in config.items() if key not in _VOLATILE}


def _file_digest(file: Path) -> str:
    """Returns the file's SHA-256; a file that did not change since is not read again."""
    state = file.stat()
    return _digest_of(file, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=64)
def _digest_of(file: Path, *state: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _safetensors(folder: Path, name: str) -> list[Path]:
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise InvalidDataError(
            f"{name} holds no safetensors; other weight files can run code and are not loaded, so convert them first"
        )
    return found


def _fetch(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    instead = "give a folder that holds it, or score with the encoder 'offline'"
    with download_failures(repository, revision, EncoderNotFoundError, instead=instead):
        return Path(snapshot_download(repository, revision=revision, allow_patterns=_WANTED))
