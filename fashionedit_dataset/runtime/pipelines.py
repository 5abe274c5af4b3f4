"""Diffusers pipelines: which one a name stands for, and one in memory, placed where it is to run."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from PIL import Image

from fashionedit.errors import FashionEditError, InvalidDataError, MissingExtraError, ServiceError, UnknownNameError
from fashionedit.parallel import map_in_order

from .hub import download_failures
from .torch_device import find_dtype, free_memory, is_out_of_memory

if TYPE_CHECKING:
    import torch


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
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    with download_failures(repository, revision, instead="give a folder that holds the pipeline"):
        try:
            return Path(hf_hub_download(repository, _INDEX, revision=revision))
        except LocalEntryNotFoundError:  # not what its parent says: the Hub was not reached
            raise
        except EntryNotFoundError as error:
            raise UnknownNameError(
                f"{repository} has no {_INDEX}, so it is no diffusers pipeline; look for a repository whose name ends "
                "in -diffusers"
            ) from error


def dropped_tokens(pipeline: Any, text: str) -> dict[str, int]:
    """Returns `tokens_dropped`, how many tokens at the end of the text no text encoder reads; empty where all are read.

    CLIP's text encoders read 77 tokens and pass over the rest; a pipeline that has T5 or a language model too reads on.
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


DTYPES = ("fp32", "bf16", "fp16")
"""The types of numbers that a pipeline may be loaded in."""

Offload = Literal["model", "sequential"]
"""What waits in main memory: whole models (about as fast), or their layers (slow, a few GB on the device)."""


def default_dtype(facts: PipelineFacts, device: torch.device) -> str:
    """Returns the type that a pipeline was published for: fp16 or bf16 on a GPU; fp32 on a CPU."""
    if device.type == "cpu":
        return "fp32"
    return "fp16" if facts.class_name.startswith("StableDiffusion") else "bf16"


def load_pipeline(
    facts: PipelineFacts,
    *,
    dtype: str,
    device: torch.device,
    offload: Offload | None = None,
    device_map: str | None = None,
    variant: str | None = None,
    t5: bool = True,
    prepare: Callable[[Any], None] | None = None,
) -> Any:
    """Returns the pipeline with its weights, on its device.

    Only safetensors are read, and no code that comes with the weights is run.

    Args:
        facts: Which one.
        dtype: One of `DTYPES`.
        device: Where it computes.
        offload: What waits in main memory; nothing by default.
        device_map: How accelerate spreads the parts over several GPUs, such as `balanced`; in the place of `device`.
        variant: Which weight files, where there are several sets, such as `fp16`.
        t5: Whether a T5 text encoder is loaded where there is one.
        prepare: Changes the pipeline before it is placed, such as by a LoRA; its own errors pass through.

    Raises:
        ServiceError: It can't be fetched, loaded or held in memory.
        InvalidDataError: The same for a folder.
    """
    import diffusers
    from packaging.version import Version

    # The argument's name changed between the oldest version that is supported and today's.
    named = "dtype" if Version(diffusers.__version__) >= Version("0.42") else "torch_dtype"
    numbers = {named: find_dtype(dtype, device)}
    absent: dict[str, None] = {name: None for name, kind in facts.components.items() if kind is None}
    if not t5:
        absent |= dict.fromkeys(parts_without_t5(facts))
    further = {"device_map": device_map, "variant": variant}
    chosen = {name: value for name, value in further.items() if value is not None}
    pipeline_class: Any = diffusers.DiffusionPipeline  # without types of its own
    failure = InvalidDataError if facts.revision is None else ServiceError
    try:
        with quiet():
            pipeline = pipeline_class.from_pretrained(
                facts.place,
                revision=facts.revision,
                use_safetensors=True,
                trust_remote_code=False,
                **numbers,
                **absent,
                **chosen,
            )
        if prepare is not None:
            prepare(pipeline)
        if offload == "model":
            pipeline.enable_model_cpu_offload(device=device)
        elif offload == "sequential":
            pipeline.enable_sequential_cpu_offload(device=device)
        elif device_map is None:  # else accelerate has placed it
            pipeline.to(device)
    except FashionEditError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise ServiceError(
                f"{facts.name} doesn't fit into the memory of {device.type} in {dtype}; offload models or layers, "
                "leave T5 away, or take a smaller model"
            ) from error
        if "safetensors" in str(error) and isinstance(error, OSError):
            raise failure(
                f"{facts.name} lacks safetensors for some part; other weight files can run code and are not loaded, so "
                "convert them first"
            ) from error
        if isinstance(error, OSError | ValueError | TypeError | AttributeError | ImportError):
            line = next(iter(str(error).splitlines()), "")
            raise failure(
                f"{facts.name} can't be loaded ({type(error).__name__}: {line}); fetch it again, or name another"
            ) from error
        raise
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def parts_without_t5(facts: PipelineFacts) -> tuple[str, ...]:
    """Returns the components that are left away to do without T5; empty where there is no T5 anyway.

    Raises:
        UnknownNameError: The pipeline can't do without it: only Stable Diffusion 3 and 3.5 can.
    """
    if facts.t5 and not facts.class_name.startswith("StableDiffusion3"):
        raise UnknownNameError(f"{facts.name} ({facts.class_name}) can't do without T5; leave that option away")
    return facts.t5


_FAILURES_IN_A_ROW = 3  # from here on it is the pipeline, not what it is given
Request = TypeVar("Request")
Result = TypeVar("Result")


class BatchedCalls:
    """Calls a pipeline with as many requests at once as there is memory for.

    A batch that doesn't fit is halved, and later ones are as small. Of a batch that fails for another reason each
    request is tried alone.

    Args:
        size: How many requests at once at most; less, once memory has run out.
        making: What a request makes, in the singular, for messages.
        given: What a request is, in the singular, for messages.
        smaller: What to try where not even one fits.
        change: What to change where every request fails.
        halved: Called with a sentence when a batch did not fit.
    """

    def __init__(
        self,
        size: int,
        *,
        making: str,
        given: str,
        smaller: str,
        change: str,
        halved: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.size = size
        self._making, self._given, self._smaller, self._change = making, given, smaller, change
        self._halved = halved
        self._failures = 0

    def run(
        self,
        batches: Iterable[Sequence[Request]],
        call: Callable[[Sequence[Request]], list[Result]],
        failed: Callable[[str], Result],
        *,
        pipeline: Any,
        name: str,
        dtype: str,
        device: torch.device,
    ) -> list[Result]:
        """Returns the results of all batches in their order; `failed` makes that of a request at which it fails.

        `pipeline` has the name `name` and computes in `dtype` on `device`.

        Raises:
            ServiceError: There is no memory for a single request, every request fails, or `call` raises it.
        """
        results: list[Result] = []
        waiting = [list(batch) for batch in batches]
        while waiting:
            batch = waiting.pop(0)
            if len(batch) > self.size:
                waiting[:0] = [batch[: self.size], batch[self.size :]]
                continue
            try:
                results += call(batch)
                self._failures = 0
                continue
            except ServiceError:
                raise
            except Exception as caught:  # without the frames that hold the tensors, if memory has run out
                error = caught.with_traceback(None) if is_out_of_memory(caught) else caught
            if is_out_of_memory(error):
                free_memory(pipeline, device)
                if len(batch) == 1:
                    raise ServiceError(
                        f"{device.type} has no memory for a single {self._making} of {name} in {dtype}; try "
                        f"{self._smaller}"
                    ) from error
                self.size = len(batch) // 2
                self._halved(
                    f"{device.type} has no memory for {len(batch)} {self._making}s of {name} at once; going on with "
                    f"{self.size}, and fewer where that is needed"
                )
                waiting.insert(0, batch)
            elif len(batch) > 1:  # one of them may be to blame
                waiting[:0] = [[request] for request in batch]
            else:
                results.append(failed(self._failure(name, error)))
        return results

    def _failure(self, name: str, error: Exception) -> str:
        self._failures += 1
        line = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        if self._failures >= _FAILURES_IN_A_ROW:
            raise ServiceError(f"{name} fails at every {self._given} ({line}); change {self._change}") from error
        return f"{name} failed ({line})"


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps both libraries from drawing bars and from telling of each caption that CLIP reads no more than 77 tokens.

    The same two lines for each of 42,000 captions would bury what matters; that the end of a long caption reaches the
    model through T5 alone is a property of the model, and the record says whether T5 was used.
    """
    import diffusers.utils.logging as of_diffusers
    import transformers.utils.logging as of_transformers

    levels = [(library, library.get_verbosity()) for library in (of_diffusers, of_transformers)]
    bars = [(library, library.is_progress_bar_enabled()) for library, _ in levels]
    for library, _ in levels:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, level in levels:
            library.set_verbosity(level)
        for library, enabled in bars:
            if enabled:
                library.enable_progress_bar()
