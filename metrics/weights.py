"""Where an encoder's files are, and which exact weights they hold."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from fashionedit.errors import EncoderNotFoundError, InvalidDataError, UnknownNameError

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_WANTED = [
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
]
_VOLATILE = {"_name_or_path", "transformers_version", "torch_dtype", "dtype"}  # in config.json, without effect here


@dataclass(frozen=True)
class ModelFiles:
    """A model on this disk.

    Args:
        folder: Holds `config.json`, the preprocessing and the safetensors.
        name: The repository's id, or the folder's name.
        identity: What pins the numbers: `weights` and `config` (SHA-256); of a repository also `model` and `revision`
            (the commit).
        preprocessing: The settings of the image processor, whichever file they are in.
    """

    folder: Path
    name: str
    identity: dict[str, str] = field(hash=False)
    preprocessing: dict[str, Any] = field(hash=False)


def check_place(place: str, revision: str | None) -> None:
    """Returns if the place is a folder, or can be the name of a repository; the Hub is not asked.

    Raises:
        UnknownNameError: It is neither, or a folder with a revision.
    """
    if Path(place).is_dir():
        if revision is not None:
            raise UnknownNameError(f"{place} is a folder, which has no revision {revision!r}; leave the @ away")
    elif not _REPOSITORY.fullmatch(place):
        raise UnknownNameError(
            f"no encoder is called {place!r}; choose clip, offline, a folder, or a repository of the Hub as "
            "owner/name[@revision]"
        )


def find_model(place: str, revision: str | None) -> ModelFiles:
    """Returns the files of a folder, or of a Hub repository, which is fetched unless this machine has it.

    Raises:
        UnknownNameError: The place is neither.
        EncoderNotFoundError: The repository or revision does not exist, or can't be reached.
        InvalidDataError: There are no safetensors; nothing else is loaded. Or the model's settings can't be read.
    """
    check_place(place, revision)
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
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = repository if revision is None else f"{repository}@{revision}"
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=_WANTED))
    except HFValidationError as error:
        raise UnknownNameError(f"{repository!r} can't be the name of a repository ({error})") from error
    except RepositoryNotFoundError as error:
        raise EncoderNotFoundError(
            f"the Hub has no repository {repository}, or it is private or gated; check the name, or log in"
        ) from error
    except RevisionNotFoundError as error:
        raise EncoderNotFoundError(f"{repository} has no revision {revision!r}; check the name") from error
    except (HfHubHTTPError, OSError) as error:  # no network, offline mode, or the Hub is down
        raise EncoderNotFoundError(
            f"the weights of {name} are not on this machine and can't be fetched ({type(error).__name__}); connect to "
            "the Hub once, give a folder that holds them, or score with the encoder 'offline'"
        ) from error
