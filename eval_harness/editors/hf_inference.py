"""Hugging Face Inference Providers as an editor: `hf:PROVIDER/ORG/MODEL`, by the Hub's own client.

PROVIDER is one of huggingface_hub's (`fal-ai`, `replicate`, `together`, `wavespeed`, `hf-inference`) or `auto`. The
client takes one image; where a provider has a field of its own for several, base and reference travel in it:

- `fal-ai`: `image_urls`; `replicate`: `images` and `input_images`; `wavespeed`: `images`;
- `together`: `reference_images`, which its FLUX.1 Kontext does not have.

Elsewhere they are stitched side by side and the answer is cropped back; such rows are marked. `--option images=native`
or `images=stitched` decides it otherwise. The seed is sent to the four providers above, which `--option seed=true` or
`false` changes. `--param` gives `negative_prompt`, `num_inference_steps`, `guidance_scale` and the model's own fields.

The token is `HF_TOKEN` or that of `hf auth login`; one that does not begin with `hf_` is taken for the provider's own
key. `--base-url` is the address of an Inference Endpoint, with `hf-inference`. With `auto` the Hub picks the provider,
so that a run can only be continued with a declared `--version`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any

from PIL import Image

from fashionedit.errors import EditorError, InvalidDataError, InvalidImageError, ServiceError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, Status, plain_json
from fashionedit.images import png_bytes
from fashionedit.runtime.failures import Failure, Problem, Service, failure_of, one_line, problem_in
from fashionedit.runtime.http_clients import client_options, json_object, open_client, picture_text

from .answers import data_url, decoded, failed_call, failed_result, picture_result
from .settings import EditorSettings, choice, undeclared
from .stitching import stitch, unstitch

_OPTIONS = {"images": "native or stitched, how base and reference are sent", "seed": "whether the seed is sent"}
_SEVERAL: dict[str, tuple[str, ...]] = {
    "fal-ai": ("image_urls",),
    "replicate": ("images", "input_images"),
    "together": ("reference_images",),
    "wavespeed": ("images",),
}
_OURS = (
    "image",
    "image_url",
    "input_image",
    "prompt",
    "model",
    "seed",
    *{n for names in _SEVERAL.values() for n in names},
)
_NOT_OFFERED = re.compile(r"not supported|doesn't support|no provider mapping|api_key|auto-router", re.I)
_DATA_URL = ("fal-ai", "replicate", "together")
_AT_ONCE = 8


class HfInferenceEditor:
    """A model at an inference provider.

    Args:
        name: `PROVIDER/ORG/MODEL`.
        settings: `base_url`, `timeout`, `version` and the options `images` and `seed` are read.

    Raises:
        InvalidDataError: The name has another form, or a setting is not one of this editor's.
        ServiceError: There is no token.
    """

    def __init__(self, name: str, settings: EditorSettings) -> None:
        from huggingface_hub import InferenceClient, constants, get_token

        provider, _, model = name.partition("/")
        if not provider or not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
            raise InvalidDataError(f"'hf:{name}' names no model; write hf:PROVIDER/ORG/MODEL, or hf:auto/ORG/MODEL")
        if settings.base_url is not None and provider != "hf-inference":
            raise InvalidDataError(f"a base URL is an Inference Endpoint's; write hf:hf-inference/{model} with it")
        settings.refuse(state="hf has no conversations; leave the state out")
        options = settings.known_options("hf", _OPTIONS)
        self._provider, self._model, self._settings = provider, model, settings
        self._undeclared = undeclared()
        self._native = self._several(options)
        seed = options.get("seed", provider in _SEVERAL)
        if not isinstance(seed, bool) and seed not in ("true", "false"):
            raise InvalidDataError(f"option seed is {seed!r}; choose true or false")
        self._seed = seed in (True, "true")
        if get_token() is None and provider != "hf-inference":
            raise ServiceError(f"there is no token for {provider}; set HF_TOKEN, or log in with: hf auth login")
        where: dict[str, Any] = (
            {"base_url": settings.base_url} if settings.base_url else {"model": model, "provider": provider}
        )
        self._client = InferenceClient(timeout=settings.timeout, **where)
        self._url = settings.base_url or constants.INFERENCE_PROXY_TEMPLATE.format(provider=provider)
        self._service = Service(f"{provider} ({model})", model, "HF_TOKEN", "provider, model and base URL")
        hooks = client_options(self._url, seconds=settings.timeout)["event_hooks"]
        self._rules = {"request": [self._limit_time, *hooks["request"]], "response": [*hooks["response"], _keep]}
        _guard_the_hubs_client(self._url)

    def describe(self) -> EditorInfo:
        """Returns provider, model and how images and seed are sent."""
        place = f" at {self._settings.base_url}" if self._settings.base_url else ""
        name = f"hf {self._provider}/{self._model}"
        version = f" version {self._settings.version}" if self._settings.version else ""
        how = f" images {'native' if self._native else 'stitched'} seed {self._seed}"
        open_ended = self._provider == "auto" and not version
        return EditorInfo(
            name,
            self._undeclared if open_ended else f"{name}{place}{how}{version}",
            stitched=not self._native,
            at_once=_AT_ONCE,
        )

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Refuses a param that the harness sets for each round."""
        for name in params:
            if name in _OURS:
                raise EditorError(f"param {name!r} is set by the harness for each round; leave it out")

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the provider's picture, or why there is none; a `ServiceError` ends the run."""
        from huggingface_hub import constants

        stitched = bool(request.references) and not self._native
        shown = stitch(request.base, request.references[0]) if stitched else request.base
        fields = self._fields(request, shown)
        used = {**request.params, **({"seed": request.seed} if self._seed else {}), "stitched": stitched}
        if constants.HF_HUB_OFFLINE:
            raise ServiceError("HF_HUB_OFFLINE is set, so no provider can be called; unset it")
        _CALL.response, _CALL.rules = None, self._rules
        try:
            # The client calls bytes JPEG where it is not given a data URL, which these three take and others do not.
            first: Any = data_url(shown) if self._provider in _DATA_URL else png_bytes(shown)
            answer = self._client.image_to_image(first, prompt=request.instruction, **fields)
            file: Any = getattr(answer, "fp", None)  # opened by the client, but neither checked nor decoded yet
            result = EditResult.ok(decoded(file.getvalue()))
        except ServiceError:
            raise
        except Exception as error:  # the client is not typed by error: each kind is told apart below
            result = self._failed(error)
        finally:
            _CALL.rules = None
        if result.image is None:
            return result
        return EditResult.ok(unstitch(result.image, request.base) if stitched else result.image, params=used)

    def _limit_time(self, request: Any) -> None:
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), self._settings.timeout)

    def _several(self, options: Mapping[str, Any]) -> bool:
        asked = choice(options, "images", ("native", "stitched"))
        if asked == "native" and self._provider not in _SEVERAL:
            raise InvalidDataError(
                f"{self._provider} has no field for several images; it is known for {', '.join(_SEVERAL)}"
            )
        lowered = self._model.lower()
        single = self._provider == "together" and "kontext" in lowered and "flux.1" in lowered
        return asked == "native" or (asked is None and self._provider in _SEVERAL and not single)

    def _fields(self, request: EditRequest, shown: Image.Image) -> dict[str, Any]:
        fields: dict[str, Any] = plain_json(dict(request.params), name="params")
        self.check_params(fields)
        if self._seed:
            fields["seed"] = request.seed
        if self._native:
            urls = [data_url(shown), *(data_url(image) for image in request.references)]
            fields |= dict.fromkeys(_SEVERAL[self._provider], urls)
        return fields

    def _failed(self, error: Exception) -> EditResult:
        who, said = self._service.host, one_line(str(error)) or type(error).__name__
        result = None
        if not isinstance(error, InvalidImageError):  # a picture that can't be read may be one in another form
            result = failed_call(error, self._service, url=self._url, timeout=self._settings.timeout)
        if result is not None or (result := self._read_again()) is not None:
            return result
        if isinstance(error, InvalidImageError | OSError | SyntaxError | Image.DecompressionBombError):
            return EditResult.failed(Status.INVALID_IMAGE, f"{who} answered with no usable image ({said})")
        if isinstance(error, IndexError):
            return EditResult.failed(Status.NO_IMAGE, f"{who} answered without an image")
        if isinstance(error, ValueError) and _NOT_OFFERED.search(str(error)):
            raise ServiceError(f"{who} can't be used: {said}; name another provider or model") from error
        if isinstance(error, ValueError) and failure_of(400, None, str(error)) is Failure.REFUSED:
            return EditResult.failed(Status.REFUSED, said)
        if isinstance(error, ValueError | KeyError | AttributeError | TypeError):
            return failed_result(Problem(Failure.MALFORMED, message=f"{type(error).__name__}: {said}"), self._service)
        raise error

    def _read_again(self) -> EditResult | None:
        """Returns what the last answer holds that the client could not read: an error, or a picture in another form."""
        response = _CALL.response
        try:
            answer = json_object(response.content)
        except (InvalidDataError, AttributeError, RuntimeError):  # no answer, or its body was not read
            return None
        if (problem := problem_in(answer)) is not None:
            return failed_result(problem, self._service)
        for name in ("data", "images", "output", "outputs", "image"):
            items = answer.get(name)
            item = items[0] if isinstance(items, list) and items else items
            if (text := picture_text(item)) is not None:
                return picture_result(text, service=self._url, seconds=self._settings.timeout)
        return None


_CALL = threading.local()
"""Each thread's call: the `rules` of its editor while it is under way, and the last `response`, since what the client
raises does not say what was in it."""

_GUARDED = threading.Lock()


def _keep(response: Any) -> None:
    _CALL.response = response


def _guard_the_hubs_client(url: str) -> None:
    """Has the Hub's client, which is one for the whole process, keep an editor's rules during its calls and only then.

    Raises:
        ServiceError: A proxy of the environment can't be used.
    """
    from huggingface_hub import get_session, set_client_factory

    with _GUARDED:
        session = get_session()
        package = type(session).__module__.partition(".")[0]  # httpx or httpx2, by the client's version
        client_class = import_module(package).Client
        usual = {name: [hook for hook in hooks if hook not in _HOOKS] for name, hooks in session.event_hooks.items()}

        def opened() -> Any:  # results lie at other addresses, and may be moved: these are looked at too
            hooks = {"request": [*usual["request"], _request_hook], "response": [*usual["response"], _response_hook]}
            return open_client(client_class, url, timeout=None, follow_redirects=True, event_hooks=hooks)

        opened().close()  # a proxy that can't be used is told now
        if _request_hook not in session.event_hooks["request"]:
            set_client_factory(opened)


def _keep_rules(kind: str, item: Any) -> None:
    for rule in (getattr(_CALL, "rules", None) or {}).get(kind, ()):
        rule(item)


_request_hook, _response_hook = partial(_keep_rules, "request"), partial(_keep_rules, "response")
_HOOKS = (_request_hook, _response_hook)
