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

import json
import os
import re
from typing import Any

from PIL import Image, UnidentifiedImageError

from fashionedit.errors import EditorError, InvalidDataError, InvalidImageError, ServiceError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, ServiceReply, Status
from fashionedit.eval_harness.running.identity import UNDECLARED
from fashionedit.eval_harness.running.keys import plain_json
from fashionedit.images import png_bytes
from fashionedit.runtime.failures import Failure, failure_of, masked

from .pictures import data_url, decoded
from .settings import EditorSettings
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


def open_editor(rest: str, settings: EditorSettings) -> ProviderEditor:
    """Returns the editor behind `hf:PROVIDER/ORG/MODEL`."""
    return ProviderEditor(rest, settings)


class ProviderEditor:
    """A model at an inference provider.

    Args:
        name: `PROVIDER/ORG/MODEL`.
        settings: `base_url`, `timeout`, `version` and the options `images` and `seed` are read.

    Raises:
        InvalidDataError: The name has another form, or a setting is not one of this editor's.
        ServiceError: There is no token.
    """

    def __init__(self, name: str, settings: EditorSettings) -> None:
        from huggingface_hub import InferenceClient, get_token

        provider, _, model = name.partition("/")
        if not provider or not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
            raise InvalidDataError(f"'hf:{name}' names no model; write hf:PROVIDER/ORG/MODEL, or hf:auto/ORG/MODEL")
        if settings.base_url is not None and provider != "hf-inference":
            raise InvalidDataError(f"a base URL is an Inference Endpoint's; write hf:hf-inference/{model} with it")
        if settings.state != "images":
            raise InvalidDataError("hf has no conversations; leave the state out")
        options = settings.known_options("hf", _OPTIONS)
        self._provider, self._model, self._settings = provider, model, settings
        self._undeclared = f"{UNDECLARED}{os.urandom(8).hex()}"
        self._native = self._several(options.get("images"))
        self._seed = _flag(options.get("seed", provider in _SEVERAL))
        if get_token() is None and provider != "hf-inference":
            raise ServiceError(f"there is no token for {provider}; set HF_TOKEN, or log in with: hf auth login")
        where: dict[str, Any] = (
            {"base_url": settings.base_url} if settings.base_url else {"model": model, "provider": provider}
        )
        self._client = InferenceClient(timeout=settings.timeout, **where)

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

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the provider's picture.

        Raises:
            EditorError: A param is one that the harness sets.
            ServiceError: No further call is worth making: no key, no quota, no such model.
        """
        stitched = bool(request.references) and not self._native
        shown = stitch(request.base, request.references[0]) if stitched else request.base
        fields = self._fields(request, shown)
        used = {**request.params, **({"seed": request.seed} if self._seed else {}), "stitched": stitched}
        try:
            # The client calls bytes JPEG where it is not given a data URL, which these three take and others do not.
            first: Any = data_url(shown) if self._provider in _DATA_URL else png_bytes(shown)
            answer = self._client.image_to_image(first, prompt=request.instruction, **fields)
            file: Any = getattr(answer, "fp", None)  # opened by the client, but neither checked nor decoded yet
            image = decoded(file.getvalue())
        except Exception as error:  # the client is not typed by error: each kind is told apart below
            return self._failed(error)
        return EditResult.ok(unstitch(image, request.base) if stitched else image, params=used)

    def _several(self, asked: Any) -> bool:
        if asked not in (None, "native", "stitched"):
            raise InvalidDataError(f"option images is {asked!r}; choose native or stitched")
        if asked == "native" and self._provider not in _SEVERAL:
            raise InvalidDataError(
                f"{self._provider} has no field for several images; it is known for {', '.join(_SEVERAL)}"
            )
        lowered = self._model.lower()
        single = self._provider == "together" and "kontext" in lowered and "flux.1" in lowered
        return asked == "native" or (asked is None and self._provider in _SEVERAL and not single)

    def _fields(self, request: EditRequest, shown: Image.Image) -> dict[str, Any]:
        fields: dict[str, Any] = plain_json(dict(request.params), name="params")
        for name in fields:
            if name in _OURS:
                raise EditorError(f"param {name!r} is set by the harness for each round; leave it out")
        if self._seed:
            fields["seed"] = request.seed
        if self._native:
            urls = [data_url(shown), *(data_url(image) for image in request.references)]
            fields |= dict.fromkeys(_SEVERAL[self._provider], urls)
        return fields

    def _failed(self, error: Exception) -> EditResult:
        from huggingface_hub.errors import HfHubHTTPError

        who = f"{self._provider} ({self._model})"
        said = masked(str(error)) or type(error).__name__
        if isinstance(error, HfHubHTTPError):
            return self._status(error, who)
        if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
            return EditResult.failed(Status.TIMEOUT, f"{who} gave no answer in time ({said})", retry=True)
        if isinstance(error, UnidentifiedImageError | SyntaxError | InvalidImageError | Image.DecompressionBombError):
            return EditResult.failed(Status.INVALID_IMAGE, f"{who} answered with no usable image ({said})")
        if type(error).__name__ == "OfflineModeIsEnabled":
            raise ServiceError("HF_HUB_OFFLINE is set, so no provider can be asked; unset it") from error
        if isinstance(error, IndexError):
            return EditResult.failed(Status.NO_IMAGE, f"{who} answered without an image")
        if isinstance(error, ValueError) and _NOT_OFFERED.search(str(error)):
            raise ServiceError(f"{who} can't be used: {said}; name another provider or model") from error
        if isinstance(error, ValueError) and failure_of(400, None, str(error)) is Failure.REFUSED:
            return EditResult.failed(Status.REFUSED, said)
        broken = isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _HTTP_PACKAGES
        if broken or isinstance(error, ValueError | KeyError | AttributeError):
            what = "the connection broke" if broken else "the answer can't be understood"
            return EditResult.failed(Status.ERROR, f"{who}: {what} ({type(error).__name__}: {said})", retry=True)
        raise error

    def _status(self, error: Any, who: str) -> EditResult:
        response = error.response
        reply = ServiceReply(response.status_code, {name.lower(): value for name, value in response.headers.items()})
        code, message = _said(response.text)
        message = masked(message or str(error.server_message or ""))
        failure = failure_of(response.status_code, code, message)
        if failure.final:
            raise ServiceError(
                f"{who} answered {response.status_code}, {failure} ({message or 'without a word'}); {_TO_DO[failure]}"
            ) from error
        if failure is Failure.REFUSED:
            return EditResult.failed(Status.REFUSED, message, reply=reply)
        said = f"{who} answered {response.status_code} ({message or 'without a word'})"
        return EditResult.failed(Status.ERROR, said, retry=failure.passing, reply=reply)


_HTTP_PACKAGES = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")
_TO_DO = {
    Failure.NO_KEY: "set HF_TOKEN to a valid token",
    Failure.NO_QUOTA: "add credit, and the same command continues",
    Failure.FORBIDDEN: "use a token that may call inference providers and this model",
    Failure.NO_MODEL: "name another model or provider",
    Failure.NO_ADDRESS: "check provider, model and base URL",
}


def _flag(value: Any) -> bool:
    known = {True: True, False: False, "true": True, "false": False}
    if not isinstance(value, bool | str) or value not in known:
        raise InvalidDataError(f"option seed is {value!r}; choose true or false")
    return known[value]


def _said(text: str) -> tuple[str | None, str]:
    """Returns code and sentence of an error's body, of whichever provider."""
    try:
        body = json.loads(text)
    except ValueError:
        return None, "" if "<" in text[:200] else text[:300]
    for name in ("error", "detail"):
        inner = body.get(name) if isinstance(body, dict) else None
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            inner = inner[0]
        if isinstance(inner, str):
            return _text(body.get("code")), inner
        if isinstance(inner, dict):
            body = inner
    if not isinstance(body, dict):
        return None, ""
    return _text(body.get("code")) or _text(body.get("type")), _text(body.get("message")) or _text(
        body.get("msg")
    ) or ""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
