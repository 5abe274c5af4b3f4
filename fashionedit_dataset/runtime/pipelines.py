"""Where a diffusers pipeline is and what it is: all without its weights."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from fashionedit.errors import InvalidDataError, MissingExtraError, ServiceError, UnknownNameError
from fashionedit.parallel import map_in_order

from .quiet import quiet

NOT_FOR_RECORDS = frozenset(
    {"prompt", "generator", "num_images_per_prompt", "output_type", "return_dict", "latents", "image", "images"}
)
"""Arguments of a pipeline's call that are ours to set, or have no place in a record."""

_INDEX = "model_index.json"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_IDENTIFYING = {".json", ".safetensors", ".txt", ".model"}  # weights, configurations, tokenizers; no cards, no pictures


@dataclass(frozen=True)
class PipelineFacts:
    """A pipeline on the Hub or on this disk.

    Args:
        place: What `from_pretrained` is given.
        name: The repository's id, or the folder's name.
        identity: What pins the numbers: `model` and `revision` (the commit) of a repository, or `files` (SHA-256 of
            all weights and configurations) of a folder.
        class_name: The pipeline's class in diffusers.
        parameters: Of the class's call.
        components: Name → class; None for a component that the pipeline was saved without.
        distilled: Whether it says of itself that it needs few steps and no guidance.
    """

    place: str
    name: str
    identity: Mapping[str, str]
    class_name: str
    parameters: Mapping[str, inspect.Parameter] = field(repr=False)
    components: Mapping[str, str | None]
    distilled: bool = False

    @property
    def revision(self) -> str | None:
        """The commit of a repository; None for a folder."""
        return self.identity.get("revision")

    @property
    def scheduler(self) -> str | None:
        """The scheduler's class."""
        return self.components.get("scheduler")

    @property
    def t5(self) -> tuple[str, ...]:
        """The components that make up the T5 text encoder; empty where there is none."""
        encoders = [name for name, kind in self.components.items() if kind is not None and kind.startswith("T5Enc")]
        tokenizers = [name.replace("text_encoder", "tokenizer") for name in encoders]
        return tuple(name for name in (*encoders, *tokenizers) if self.components.get(name) is not None)

    def default(self, parameter: str) -> Any:
        """Returns what the pipeline uses for a parameter that it isn't given."""
        found = self.parameters.get(parameter)
        return None if found is None or found.default is inspect.Parameter.empty else found.default

    def effective(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments of a call and all defaults of the signature that JSON can say, sorted."""
        defaults = {
            name: parameter.default
            for name, parameter in self.parameters.items()
            if name not in NOT_FOR_RECORDS
            and isinstance(parameter.default, bool | int | float | str)
            and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        }
        return dict(sorted((defaults | {name: value for name, value in call.items() if value is not None}).items()))


def find_pipeline(place: str, revision: str | None) -> PipelineFacts:
    """Returns the facts of a folder, or of a Hub repository, of which only `model_index.json` is fetched.

    Raises:
        UnknownNameError: The place is neither, or holds no pipeline of diffusers.
        ServiceError: The repository or revision does not exist, is gated, or can't be reached.
        InvalidDataError: The folder holds no pipeline, or one without safetensors.
        MissingExtraError: The extra `diffusers` is not installed.
    """
    folder = Path(place)
    if folder.is_dir():
        if revision is not None:
            raise UnknownNameError(f"{place} is a folder, which has no revision {revision!r}; leave the @ away")
        if not (folder / _INDEX).is_file():
            raise InvalidDataError(f"{place} has no {_INDEX}; give a folder that a diffusers pipeline was saved to")
        index, name = _read_index(folder / _INDEX, place), folder.resolve().name
        identity = {"files": _digest(folder, index)}
    elif _REPOSITORY.fullmatch(place):
        path = _fetch_index(place, revision)
        index, name = _read_index(path, place), place
        identity = {"model": place, "revision": path.parent.name}
    else:
        raise UnknownNameError(
            f"{place!r} is neither a folder nor a repository of the Hub; write owner/name[@revision], or check the path"
        )
    class_name, parameters = _class(index, name)
    distilled = index.get("is_distilled") is True
    return PipelineFacts(place, name, identity, class_name, parameters, dict(_components(index)), distilled)


def _read_index(path: Path, place: str) -> dict[str, Any]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidDataError(f"the {_INDEX} of {place} is no JSON ({error}); fetch the pipeline again") from error
    if not isinstance(index, dict) or "_class_name" not in index:
        raise InvalidDataError(f"the {_INDEX} of {place} names no pipeline class; fetch the pipeline again")
    return index


def _components(index: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for name, value in index.items():
        if not name.startswith("_") and isinstance(value, list) and len(value) == 2:
            yield name, value[1]


def _digest(folder: Path, index: Mapping[str, Any]) -> str:
    files = [folder / _INDEX]
    for name, kind in _components(index):
        found = [file for file in sorted((folder / name).rglob("*")) if file.is_file()]
        suffixes = {file.suffix for file in found}
        if kind is not None and suffixes & {".bin", ".ckpt", ".pt"} and ".safetensors" not in suffixes:
            raise InvalidDataError(
                f"{folder / name} has no safetensors; other weight files can run code and are not loaded, so convert "
                "them first"
            )
        files += [file for file in found if file.suffix in _IDENTIFYING]

    def line(file: Path) -> str:
        with file.open("rb") as stream:
            return f"{file.relative_to(folder).as_posix()} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n"

    return hashlib.sha256("".join(map_in_order(line, files)).encode()).hexdigest()


def _class(index: Mapping[str, Any], name: str) -> tuple[str, Mapping[str, inspect.Parameter]]:
    try:
        import diffusers
    except ImportError as error:
        raise MissingExtraError("diffusers", "diffusers") from error
    class_name = index["_class_name"]
    if not isinstance(class_name, str):
        raise UnknownNameError(
            f"{name} brings code of its own, which is never run; name a pipeline of diffusers itself"
        )
    with quiet():
        found = getattr(diffusers, class_name, None)  # imports it, and much of transformers
    if found is None:
        raise UnknownNameError(
            f"{name} is a {class_name}, which diffusers {diffusers.__version__} doesn't have; install a newer one, or "
            "name another pipeline"
        )
    parameters = dict(inspect.signature(found.__call__).parameters)
    parameters.pop("self", None)
    return class_name, parameters


def _fetch_index(repository: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(hf_hub_download(repository, _INDEX, revision=revision))
    except HFValidationError as error:
        raise UnknownNameError(f"{repository!r} can't be the name of a repository ({error})") from error
    except GatedRepoError as error:
        raise ServiceError(
            f"{repository} is gated; accept its licence on https://huggingface.co/{repository}, then log in with: "
            "hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise ServiceError(
            f"the Hub has no repository {repository}, or it is private; check the name, or log in with: hf auth login"
        ) from error
    except RevisionNotFoundError as error:
        raise ServiceError(f"{repository} has no revision {revision!r}; check the name") from error
    except LocalEntryNotFoundError as error:
        raise _unreachable(repository, error) from error
    except EntryNotFoundError as error:
        raise UnknownNameError(
            f"{repository} has no {_INDEX}, so it is no diffusers pipeline; look for a repository whose name ends in "
            "-diffusers"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise _unreachable(repository, error) from error


def _unreachable(repository: str, error: Exception) -> ServiceError:
    return ServiceError(
        f"{repository} is not on this machine and can't be fetched ({type(error).__name__}); connect to the Hub once, "
        "or give a folder that holds the pipeline"
    )


def dropped_tokens(pipeline: Any, text: str) -> dict[str, int]:
    """Returns `tokens_dropped`, how many tokens at the end of the text no text encoder reads; empty where all are read.

    CLIP's text encoders read 77 tokens and pass over the rest; a pipeline that has T5 or a language model too reads on.

    Args:
        pipeline: A pipeline of diffusers, loaded.
        text: The prompt.
    """
    beyond = []
    for name, part in getattr(pipeline, "components", {}).items():
        limit = getattr(part, "model_max_length", None)
        if name.startswith("tokenizer") and isinstance(limit, int) and callable(part):
            try:
                with quiet():
                    beyond.append(len(part(text)["input_ids"]) - limit)
            except Exception:  # a tokenizer of another kind: nothing is known of it
                return {}
    return {"tokens_dropped": min(beyond)} if beyond and min(beyond) > 0 else {}


def is_black(image: Image.Image) -> bool:
    """Returns whether a picture is black all over, as NaN in a model's numbers leaves it."""
    return image.convert("RGB").getbbox() is None
