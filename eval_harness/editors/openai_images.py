"""`openai:MODEL`: edits by `images.edit`, OpenAI's own or that of any server that serves `/v1/images/edits`.

The image to edit goes first, the reference image second. Params: `size`, `quality`, `background`, `input_fidelity`,
`output_format`, `output_compression`, `complexity`; what is not given is left to the service, as the reference scripts
do. Options: `extra_body` (a JSON object of further fields, for servers that know more), `send_seed` (true: the seed
goes along as the field `seed`, which OpenAI does not have and many servers do).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fashionedit.errors import EditorError, UnknownNameError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, ServiceReply
from fashionedit.eval_harness.running.keys import canonical_json
from fashionedit.runtime.http_clients import picture_text, token_counts

from .openai_service import AT_ONCE, OpenAIService, effective, found_price, object_option, usd_per_edit
from .settings import EditorSettings

if TYPE_CHECKING:
    from openai import OpenAI

PARAMS = ("size", "quality", "background", "input_fidelity", "output_format", "output_compression", "complexity")
_OPTIONS = {
    "extra_body": "a JSON object of further fields of the request",
    "send_seed": "true sends the seed as the field seed",
}


def open_editor(model: str, settings: EditorSettings) -> OpenAIImages:
    """Returns the editor.

    Raises:
        UnknownNameError: No model is named.
        InvalidDataError: An option is not one of this editor's.
        MissingExtraError: The extra `openai` is not installed.
        ServiceError: There is no key.
    """
    return OpenAIImages(model, settings)


class OpenAIImages:
    """Edits by `images.edit`; safe to use from several threads.

    Args:
        model: Any name that the service knows.
        settings: Address, timeout, price, version, options.
    """

    def __init__(self, model: str, settings: EditorSettings) -> None:
        if not model.strip():
            raise UnknownNameError("openai: names no model; write openai:MODEL, such as openai:gpt-image-2")
        options = settings.known_options(f"openai:{model}", _OPTIONS)
        if settings.state == "conversation":
            raise UnknownNameError(
                "images.edit keeps no conversation; use openai-responses:MODEL for --state conversation"
            )
        self._model = model
        self._extra = object_option(options, "extra_body")
        self._send_seed = bool(options.get("send_seed", False))
        self._price = found_price(model, settings)
        self._version = settings.version
        self._service = OpenAIService(model, settings)

    def describe(self) -> EditorInfo:
        """Returns the model; where the service is does not make another editor of it, a declared version does."""
        told = {"api": "images.edit", "model": self._model, "extra_body": self._extra}
        told |= {"version": self._version} if self._version else {}
        return EditorInfo(
            f"openai:{self._model}",
            canonical_json(told, name="an option"),
            at_once=AT_ONCE,
            usd_per_edit=usd_per_edit(self._price),
        )

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Returns if these params can be sent.

        Raises:
            EditorError: One is not of `images.edit`.
        """
        checked_params(f"openai:{self._model}", params, PARAMS)

    def edit(self, request: EditRequest) -> EditResult:
        """Returns what one call came to.

        Raises:
            ServiceError: No further call is worth making: no key, no quota, no such model.
            EditorError: A param is not one of `images.edit`.
        """
        asked = checked_params(f"openai:{self._model}", request.params, PARAMS)
        files = [(f"{item.role}.png", item.png, "image/png") for item in request.images]
        extra = {**self._extra, **({"seed": request.seed} if self._send_seed else {})}

        def call(client: OpenAI) -> Any:
            return client.images.with_raw_response.edit(
                model=self._model,
                prompt=request.instruction,
                image=files if len(files) > 1 else files[0],
                extra_body=extra or None,
                **asked,
            )

        def read(answer: dict[str, Any], reply: ServiceReply) -> EditResult:
            usage = token_counts(answer.get("usage"))
            details: dict[str, Any] = {
                "params": {"model": self._model, **extra, **effective(asked, answer)},
                "usage": usage,
                "cost_usd": self._cost(usage),
                "reply": reply,
            }
            data = answer.get("data")
            first = data[0] if isinstance(data, list) and data else None
            text = picture_text(first)
            if text is None:
                return self._service.no_picture(answer, "", **details)
            if isinstance(first, dict) and isinstance(first.get("revised_prompt"), str):
                details["params"]["revised_prompt"] = first["revised_prompt"]
            return self._service.picture(text, **details)

        return self._service.ask(call, read)

    def close(self) -> None:
        """Ends the connections."""
        self._service.close()

    def _cost(self, usage: Mapping[str, int]) -> float | None:
        if self._price is None or not usage:
            return None
        return self._price.cost(
            input_tokens=usage.get("input_tokens", 0),
            output_tokens=usage.get("output_tokens", 0),
            image_tokens=usage.get("input_image_tokens", 0),
        )


def checked_params(who: str, params: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """Returns the params of a request.

    Raises:
        EditorError: One is not known to this editor.
    """
    for name in params:
        if name not in known:
            raise EditorError(f"{who} takes no param {name!r}; it takes {', '.join(known)}")
    return dict(params)
