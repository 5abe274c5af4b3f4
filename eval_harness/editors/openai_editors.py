"""`openai:MODEL`: edits by `images.edit`, OpenAI's own or that of any server that serves `/v1/images/edits`.

The image to edit goes first, the reference image second. Params: `size`, `quality`, `background`, `input_fidelity`,
`output_format`, `output_compression`, `complexity`; what is not given is left to the service, as the reference scripts
do. Options: `extra_body` (a JSON object of further fields, for servers that know more), `send_seed` (true: the seed
goes along as the field `seed`, which OpenAI does not have and many servers do).

`openai-responses:MODEL`: the paper's way, a language model that calls an image tool (Responses API).

The user's message holds the instruction, then the image to edit, then the reference. With `state="images"` every round
sends the last good image. With `state="conversation"` the rounds after the first send the instruction and the reference
alone, and `previous_response_id` takes the place of the image: the provider remembers it. That is a track of its own.

Source: `TextEdit.py` and `TextImageEdit.py` of the reference scripts (`gpt-4.1-mini`, `tools=[{"type":
"image_generation"}]`). They leave the tool's model to the service; here it is always named, since it makes the picture.

Params: `size`, `quality`, `background`, `input_fidelity`, `output_format`, `output_compression` and `complexity` of the
tool. Options: `tool_model`, and `extra_tool` (a JSON object of further fields of the tool).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from fashionedit.errors import EditorError, InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, ServiceReply, Status, canonical_json
from fashionedit.runtime.costs import Price, price_of
from fashionedit.runtime.failures import Failure, Problem, Service, one_line, problem_in
from fashionedit.runtime.http_clients import json_object, picture_text, token_counts
from fashionedit.runtime.openai_client import call_errors, call_problem, open_client, service_host, service_url

from .answers import data_url, failed_result, picture_result
from .settings import EditorSettings

if TYPE_CHECKING:
    from openai import OpenAI


PARAMS = ("size", "quality", "background", "input_fidelity", "output_format", "output_compression", "complexity")
_IMAGES_OPTIONS = {
    "extra_body": "a JSON object of further fields of the request",
    "send_seed": "true sends the seed as the field seed",
}


def open_images(model: str, settings: EditorSettings) -> OpenAIImages:
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
        options = settings.known_options(f"openai:{model}", _IMAGES_OPTIONS)
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


TOOL_MODEL = "gpt-image-2.6-sunburst"
"""The image model behind the tool unless `tool_model` names another; the paper's, gpt-image-1, was shut down on
2026-10-23."""

_RESPONSES_OPTIONS = {
    "tool_model": f"the image model behind the tool ({TOOL_MODEL} by default)",
    "extra_tool": "a JSON object of further fields of the tool",
}


def open_responses(model: str, settings: EditorSettings) -> OpenAIResponses:
    """Returns the editor.

    Raises:
        UnknownNameError: No model is named.
        InvalidDataError: An option is not one of this editor's.
        MissingExtraError: The extra `openai` is not installed.
        ServiceError: There is no key.
    """
    return OpenAIResponses(model, settings)


class OpenAIResponses:
    """Edits by the image tool of a language model; safe to use from several threads.

    Args:
        model: The language model.
        settings: Address, timeout, price (of the image model's tokens), version, state, options.
    """

    def __init__(self, model: str, settings: EditorSettings) -> None:
        if not model.strip():
            raise UnknownNameError(
                "openai-responses: names no model; write openai-responses:MODEL, such as openai-responses:gpt-4.1-mini"
            )
        options = settings.known_options(f"openai-responses:{model}", _RESPONSES_OPTIONS)
        tool_model = options.get("tool_model", TOOL_MODEL)
        if not isinstance(tool_model, str) or not tool_model:
            raise InvalidDataError(f"option tool_model is {tool_model!r}; give the name of an image model")
        self._model = model
        self._tool_model = tool_model
        self._tool = {"type": "image_generation", "model": tool_model, "action": "edit"}
        self._tool |= object_option(options, "extra_tool")
        self._settings = settings
        self._image_price = found_price(tool_model, settings)
        self._service = OpenAIService(model, settings)

    def describe(self) -> EditorInfo:
        """Returns both models and the track; where the service is does not make another editor of it."""
        track = self._settings.state
        told = {"api": "responses", "model": self._model, "tool": self._tool, "state": track}
        told |= {"version": self._settings.version} if self._settings.version else {}
        name = f"openai-responses:{self._model}"
        return EditorInfo(
            name if self._tool_model == TOOL_MODEL else f"{name} ({self._tool_model})",
            canonical_json(told, name="an option"),
            state=track,
            at_once=AT_ONCE,
            usd_per_edit=usd_per_edit(self._image_price),
        )

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Returns if these params can be sent.

        Raises:
            EditorError: One is not of the tool.
        """
        checked_params(f"openai-responses:{self._model}", params, PARAMS)

    def edit(self, request: EditRequest) -> EditResult:
        """Returns what one call came to.

        Raises:
            ServiceError: No further call is worth making: no key, no quota, no such model.
            EditorError: A param is not one of the tool, or the state of an earlier round is not this editor's.
        """
        asked = checked_params(f"openai-responses:{self._model}", request.params, PARAMS)
        previous = self._previous(request)
        images = request.images if previous is None else [item for item in request.images if item.role != "base"]
        content: list[dict[str, Any]] = [{"type": "input_text", "text": request.instruction}]
        content += [{"type": "input_image", "image_url": data_url(item), "detail": "auto"} for item in images]
        body: dict[str, Any] = {
            "input": [{"role": "user", "content": content}],
            "tools": [{**self._tool, **asked}],
            "tool_choice": {"type": "image_generation"},
        }
        if previous is not None:
            body["previous_response_id"] = previous

        def call(client: OpenAI) -> Any:
            return client.responses.with_raw_response.create(model=self._model, **body)

        def read(answer: dict[str, Any], reply: ServiceReply) -> EditResult:
            return self._read(answer, asked, reply)

        return self._service.ask(call, read)

    def close(self) -> None:
        """Ends the connections."""
        self._service.close()

    def _previous(self, request: EditRequest) -> str | None:
        if self._settings.state == "images" or request.state is None:
            return None
        found = request.state.get("previous_response_id") if isinstance(request.state, dict) else None
        if not isinstance(found, str):
            raise EditorError(
                f"the state of the round before is {request.state!r}, which names no previous_response_id; run into "
                "another folder"
            )
        return found

    def _read(self, answer: dict[str, Any], asked: Mapping[str, Any], reply: ServiceReply) -> EditResult:
        output = [item for item in answer.get("output") or () if isinstance(item, dict)]
        calls = [item for item in output if item.get("type") == "image_generation_call"]
        made = next((item for item in calls if picture_text(item.get("result"))), None)
        params = {"model": self._model, "tool_model": self._tool_model, **effective(asked, made or {})}
        if made is not None and isinstance(made.get("revised_prompt"), str):
            params["revised_prompt"] = made["revised_prompt"]
        usage = self._usage(answer)
        details: dict[str, Any] = {
            "params": params,
            "usage": usage,
            "cost_usd": self._cost(usage),
            "model_version": answer["model"] if isinstance(answer.get("model"), str) else None,
            "reply": reply,
        }
        if made is not None:
            if self._settings.state == "conversation" and isinstance(answer.get("id"), str):
                details["state"] = {"previous_response_id": answer["id"]}
            return self._service.picture(str(picture_text(made["result"])), **details)
        return self._no_picture(answer, output, calls, details)

    def _usage(self, answer: Mapping[str, Any]) -> dict[str, int]:
        tool = answer.get("tool_usage")
        of_tool = token_counts(tool.get("image_gen")) if isinstance(tool, dict) else {}
        return token_counts(answer.get("usage")) | {f"tool_{name}": count for name, count in of_tool.items()}

    def _cost(self, usage: Mapping[str, int]) -> float | None:
        """Both models' tokens, USD; None where a price or the tool's share is not known."""
        text = found_price(self._model, EditorSettings())
        if text is None or self._image_price is None or "tool_output_tokens" not in usage:
            return None
        return text.cost(
            input_tokens=usage.get("input_tokens", 0), output_tokens=usage.get("output_tokens", 0)
        ) + self._image_price.cost(
            input_tokens=usage.get("tool_input_tokens", 0),
            output_tokens=usage["tool_output_tokens"],
            image_tokens=usage.get("tool_input_image_tokens", 0),
        )

    def _no_picture(
        self,
        answer: Mapping[str, Any],
        output: list[dict[str, Any]],
        calls: list[dict[str, Any]],
        details: dict[str, Any],
    ) -> EditResult:
        """Returns why there is no picture, in the service's own words."""
        incomplete = answer.get("incomplete_details")
        if isinstance(incomplete, dict) and incomplete.get("reason") == "content_filter":
            return EditResult.failed(Status.REFUSED, "the answer was cut off by the content filter", **details)
        for item in calls:
            if (problem := problem_in(item)) is not None:
                return self._service.failed(problem, **details)
        parts = list(_parts(output))
        if refused := [text for kind, text in parts if kind == "refusal"]:
            return EditResult.failed(Status.REFUSED, one_line(" ".join(refused)), **details)
        return self._service.no_picture(answer, one_line(" ".join(text for _, text in parts)), **details)


def _parts(output: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yields what the model said beside pictures: kind (`output_text` or `refusal`) and text."""
    for item in output:
        for part in item.get("content") or () if item.get("type") == "message" else ():
            if isinstance(part, dict):
                kind = "refusal" if part.get("type") == "refusal" else "output_text"
                text = part.get("refusal" if kind == "refusal" else "text")
                if isinstance(text, str) and text:
                    yield kind, text


AT_ONCE = 8
"""Edits at the same time by default; accounts of the first tier bear about that many."""

_PICTURE_IN = 7_100  # tokens of a 1024 × 1536 picture that is sent, at high fidelity
_PICTURE_OUT = 6_240  # tokens of one that comes back, at high quality
_EFFECTIVE = ("size", "quality", "background", "output_format")
_LIMITS = ("retry-after", "retry-after-ms", "x-ratelimit-")


class OpenAIService:
    """The official client, opened at the first call and shared by all threads; it never asks twice by itself.

    Args:
        model: As the user names it, for messages.
        settings: Address, timeout.
    """

    def __init__(self, model: str, settings: EditorSettings) -> None:
        self._settings = settings
        self._service = Service(service_host(settings.base_url), model)
        self._url = service_url(settings.base_url)
        self._lock = Lock()
        self._open()  # a missing key or package is told before the run begins

    def _open(self) -> OpenAI:
        with self._lock:
            return self._client

    @cached_property
    def _client(self) -> OpenAI:
        return open_client(base_url=self._settings.base_url, timeout=self._settings.timeout)

    def ask(
        self, call: Callable[[OpenAI], Any], read: Callable[[dict[str, Any], ServiceReply], EditResult]
    ) -> EditResult:
        """Returns what one call came to.

        Args:
            call: Makes it, through `with_raw_response`.
            read: Makes the result of the answer's JSON.

        Raises:
            ServiceError: No further call is worth making.
        """
        try:
            raw = call(self._open())
        except call_errors() as error:
            response = getattr(error, "response", None)
            reply = None if response is None else _limits(response.status_code, response.headers)
            problem = call_problem(error, url=self._url, timeout=self._settings.timeout)
            return failed_result(problem, self._service, reply=reply)
        reply = _limits(raw.status_code, raw.headers)
        try:
            answer = json_object(raw.content)
        except InvalidDataError as error:
            return self.failed(Problem(Failure.MALFORMED, raw.status_code, str(error)), reply=reply)
        return read(answer, reply)

    def picture(self, text: str, **details: Any) -> EditResult:
        """Returns the result that the text of a picture makes, which may be a link; `details` are further fields."""
        return picture_result(text, service=self._url, seconds=self._settings.timeout, **details)

    def failed(self, problem: Problem, **details: Any) -> EditResult:
        """Returns the result that a failure makes; `details` are further fields.

        Raises:
            ServiceError: No further call is worth making.
        """
        return failed_result(problem, self._service, **details)

    def no_picture(self, answer: Mapping[str, Any], said: str, **details: Any) -> EditResult:
        """Returns why an answer holds no picture: its error, else `said`, in the service's own words.

        Raises:
            ServiceError: No further call is worth making.
        """
        if (problem := problem_in(answer)) is not None:
            return self.failed(problem, **details)
        return EditResult.failed(Status.NO_IMAGE, said or "the answer holds no picture", **details)

    def close(self) -> None:
        """Ends the connections."""
        with self._lock:
            client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()


def _limits(status: int, headers: Mapping[str, str]) -> ServiceReply:
    """Returns what an answer said about the service's limits."""
    named = {name.lower(): value for name, value in headers.items()}
    return ServiceReply(status, {name: value for name, value in named.items() if name.startswith(_LIMITS)})


def effective(asked: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters that were used: those asked for, and over them what the answer says of itself."""
    return {**asked, **{name: answer[name] for name in _EFFECTIVE if isinstance(answer.get(name), str)}}


def usd_per_edit(price: Price | None) -> float | None:
    """Returns what an edit costs at most, by estimate, USD: two portraits in at high fidelity, one out at high quality.

    The token counts are those of OpenAI's image guide for gpt-image-1 (read in November 2026 from a stored copy).
    """
    if price is None:
        return None
    pictures = 2 * _PICTURE_IN
    return price.cost(input_tokens=pictures + 300, image_tokens=pictures, output_tokens=_PICTURE_OUT)


def found_price(model: str, settings: EditorSettings) -> Price | None:
    """Returns the user's price, else the published one of the model; None where neither is known."""
    return settings.price or price_of(model)


def object_option(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns an option that is a JSON object.

    Raises:
        InvalidDataError: It is something else.
    """
    value = options.get(name, {})
    if not isinstance(value, dict):
        raise InvalidDataError(f'option {name} is {value!r}; give a JSON object, as {name}=\'{{"key": "value"}}\'')
    return dict(value)
