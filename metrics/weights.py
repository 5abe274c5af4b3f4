"""Where an encoder's files are, and which exact weights they hold."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
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
        identity: What pins the numbers: `model` and `revision` (the commit) of a repository, or `weights` and `config`
            (SHA-256) of a folder.
    """

    folder: Path
    name: str
    identity: dict[str, str]

    def read(self, file: str) -> dict[str, Any]:
        """Returns a JSON file of the folder.

        Raises:
            InvalidDataError: The file is no JSON object.
        """
        try:
            content = json.loads((self.folder / file).read_text(encoding="utf-8"))
        except ValueError as error:
            raise InvalidDataError(f"{self.folder / file} is no JSON ({error}); fetch the model again") from error
        if not isinstance(content, dict):
            raise InvalidDataError(f"{self.folder / file} holds no JSON object; fetch the model again")
        return content

    def read_preprocessing(self) -> dict[str, Any]:
        """Returns the settings of the image processor, whichever file they are in.

        Raises:
            InvalidDataError: There are none.
        """
        if (self.folder / "preprocessor_config.json").is_file():
            return self.read("preprocessor_config.json")
        if (self.folder / "processor_config.json").is_file():
            part = self.read("processor_config.json").get("image_processor")
            if isinstance(part, dict):
                return part
        raise InvalidDataError(f"{self.name} has no preprocessor_config.json; add the one the model was trained with")


def find_model(place: str, revision: str | None) -> ModelFiles:
    """Returns the files of a folder, or of a Hub repository, which is fetched unless this machine has it.

    Raises:
        UnknownNameError: The place is neither.
        EncoderNotFoundError: The repository or revision does not exist, or can't be reached.
        InvalidDataError: There are no safetensors; nothing else is loaded.
    """
    folder = Path(place)
    if folder.is_dir():
        if revision is not None:
            raise UnknownNameError(f"{place} is a folder, which has no revision {revision!r}; leave the @ away")
        return _of_folder(folder)
    if not _REPOSITORY.fullmatch(place):
        raise UnknownNameError(
            f"no encoder is called {place!r}; choose clip, offline, a folder, or a repository of the Hub as "
            "owner/name[@revision]"
        )
    snapshot = _fetch(place, revision)
    _safetensors(snapshot, place)
    return ModelFiles(snapshot, place, {"model": place, "revision": snapshot.name})


def _of_folder(folder: Path) -> ModelFiles:
    if not (folder / "config.json").is_file():
        raise InvalidDataError(f"{folder} has no config.json; give a folder that holds a saved transformers model")
    digest = hashlib.sha256()
    for file in _safetensors(folder, str(folder)):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    files = ModelFiles(folder, folder.resolve().name, {"weights": digest.hexdigest()})
    config = {key: value for key, value in files.read("config.json").items() if key not in _VOLATILE}
    files.identity["config"] = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    return files


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
