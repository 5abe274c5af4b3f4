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

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from fashionedit.errors import EditorError, InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, ServiceReply, Status, canonical_json
from fashionedit.runtime.costs import Price, price_of
from fashionedit.runtime.failures import Failure, Problem, Service, one_line, problem_in
from fashionedit.runtime.http_clients import json_object, picture_text, token_counts
from fashionedit.runtime.openai_client import (
    call_errors,
    call_problem,
    open_client,
    reply_of,
    service_host,
    service_url,
)

from .answers import data_url, failed_result, picture_result
from .settings import EditorSettings

if TYPE_CHECKING:
    from openai import OpenAI


TOOL_MODEL = "gpt-image-2.6-sunburst"
"""The image model behind the tool unless `tool_model` names another; the paper's, gpt-image-1, was shut down on
2026-10-23."""

_PARAMS = ("size", "quality", "background", "input_fidelity", "output_format", "output_compression", "complexity")
_EFFECTIVE = ("size", "quality", "background", "output_format")
_AT_ONCE = 8  # accounts of the first tier bear about that many

# The token counts of OpenAI's image guide for gpt-image-1 (read in November 2026 from a stored copy).
_PICTURE_IN = 7_100  # tokens of a 1024 × 1536 picture that is sent, at high fidelity
_PICTURE_OUT = 6_240  # tokens of one that comes back, at high quality


class OpenAIEditor(ABC):
    """What both editors share: params, one call by the official client, and what its failures mean.

    Safe to use from several threads. The client asks once; the harness retries.

    Args:
        model: Any name that the service knows.
        settings: Address, timeout, price, version, state, options.

    Raises:
        UnknownNameError: No model is named.
        InvalidDataError: An option is not one of this editor's.
        MissingExtraError: The extra `openai` is not installed.
        ServiceError: There is no key.
    """

    prefix: ClassVar[str]
    example: ClassVar[str]
    known_options: ClassVar[Mapping[str, str]]

    def __init__(self, model: str, settings: EditorSettings) -> None:
        if not model.strip():
            raise UnknownNameError(
                f"{self.prefix}: names no model; write {self.prefix}:MODEL, such as {self.prefix}:{self.example}"
            )
        self._model, self._settings = model, settings
        self._name = f"{self.prefix}:{model}"
        self._options = settings.known_options(self._name, self.known_options)
        self._service = Service(service_host(settings.base_url), model)
        self._url = service_url(settings.base_url)
        self._lock = Lock()
        self._set_up()
        self._open()  # a missing key or package is told before the run begins

    @abstractmethod
    def _set_up(self) -> None:
        """Reads the editor's own settings."""

    @abstractmethod
    def describe(self) -> EditorInfo:
        """Returns the models; where the service is does not make another editor of it, a declared version does."""

    @abstractmethod
    def _send(self, client: OpenAI, request: EditRequest) -> Any:
        """Returns the answer to one call, raw."""

    @abstractmethod
    def _read(self, answer: dict[str, Any], request: EditRequest, reply: ServiceReply) -> EditResult:
        """Returns the result that an answer's JSON makes."""

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Refuses a param that the service does not know."""
        for name in params:
            if name not in _PARAMS:
                raise EditorError(f"{self._name} takes no param {name!r}; it takes {', '.join(_PARAMS)}")

    def edit(self, request: EditRequest) -> EditResult:
        """Returns what one call came to.

        Raises:
            ServiceError: No further call is worth making: no key, no quota, no such model.
            EditorError: A param is not known, or the state of an earlier round is not this editor's.
        """
        self.check_params(request.params)
        try:
            raw = self._send(self._open(), request)
        except call_errors() as error:
            problem = call_problem(error, url=self._url, timeout=self._settings.timeout)
            return failed_result(problem, self._service, reply=reply_of(error))
        reply = ServiceReply.of(raw)
        try:
            answer = json_object(raw.content)
        except InvalidDataError as error:
            problem = Problem(Failure.MALFORMED, raw.status_code, str(error))
            return failed_result(problem, self._service, reply=reply)
        return self._read(answer, request, reply)

    def close(self) -> None:
        """Ends the connections; a later edit opens new ones."""
        with self._lock:
            client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def _open(self) -> OpenAI:
        with self._lock:
            return self._client

    @cached_property
    def _client(self) -> OpenAI:
        return open_client(base_url=self._settings.base_url, timeout=self._settings.timeout)

    def _fingerprint(self, **identity: Any) -> str:
        identity |= {"model": self._model}
        if self._settings.version:
            identity["version"] = self._settings.version
        return canonical_json(identity, name="an option")

    def _object_option(self, name: str) -> dict[str, Any]:
        value = self._options.get(name, {})
        if not isinstance(value, dict):
            raise InvalidDataError(f'option {name} is {value!r}; give a JSON object, as {name}=\'{{"key": "value"}}\'')
        return dict(value)

    def _picture(self, text: str, details: dict[str, Any]) -> EditResult:
        return picture_result(text, service=self._url, seconds=self._settings.timeout, **details)

    def _no_picture(self, answer: Mapping[str, Any], said: str, details: dict[str, Any]) -> EditResult:
        """Returns why an answer holds no picture: its error, else `said`, in the service's own words."""
        if (problem := problem_in(answer)) is not None:
            return failed_result(problem, self._service, **details)
        return EditResult.failed(Status.NO_IMAGE, said or "the answer holds no picture", **details)


class OpenAIImages(OpenAIEditor):
    """Edits by `images.edit`."""

    prefix = "openai"
    example = "gpt-image-2"
    known_options: ClassVar[Mapping[str, str]] = {
        "extra_body": "a JSON object of further fields of the request",
        "send_seed": "true sends the seed as the field seed",
    }

    def _set_up(self) -> None:
        if self._settings.state == "conversation":
            raise UnknownNameError(
                "images.edit keeps no conversation; use openai-responses:MODEL for --state conversation"
            )
        self._extra_body = self._object_option("extra_body")
        self._price = self._settings.price or price_of(self._model)

    def describe(self) -> EditorInfo:
        """Returns the model and the further fields."""
        return EditorInfo(
            self._name,
            self._fingerprint(api="images.edit", extra_body=self._extra_body),
            at_once=_AT_ONCE,
            usd_per_edit=_usd_per_edit(self._price),
        )

    def _extra(self, request: EditRequest) -> dict[str, Any]:
        return self._extra_body | ({"seed": request.seed} if self._options.get("send_seed") else {})

    def _send(self, client: OpenAI, request: EditRequest) -> Any:
        files: Any = [(f"{item.role}.png", item.png, "image/png") for item in request.images]
        return client.images.with_raw_response.edit(
            model=self._model,
            prompt=request.instruction,
            image=files if len(files) > 1 else files[0],
            extra_body=self._extra(request) or None,
            **request.params,
        )

    def _read(self, answer: dict[str, Any], request: EditRequest, reply: ServiceReply) -> EditResult:
        usage = token_counts(answer.get("usage"))
        params = {"model": self._model, **self._extra(request), **_effective(request.params, answer)}
        details: dict[str, Any] = {"params": params, "usage": usage, "reply": reply}
        details["cost_usd"] = _image_cost(self._price, usage) if self._price is not None and usage else None
        data = answer.get("data")
        first = data[0] if isinstance(data, list) and data else None
        text = picture_text(first)
        if text is None:
            return self._no_picture(answer, "", details)
        if isinstance(first, dict) and isinstance(first.get("revised_prompt"), str):
            params["revised_prompt"] = first["revised_prompt"]
        return self._picture(text, details)


class OpenAIResponses(OpenAIEditor):
    """Edits by the image tool of a language model; a price in the settings is that of the image model's tokens."""

    prefix = "openai-responses"
    example = "gpt-4.1-mini"
    known_options: ClassVar[Mapping[str, str]] = {
        "tool_model": f"the image model behind the tool ({TOOL_MODEL} by default)",
        "extra_tool": "a JSON object of further fields of the tool",
    }

    def _set_up(self) -> None:
        tool_model = self._options.get("tool_model", TOOL_MODEL)
        if not isinstance(tool_model, str) or not tool_model:
            raise InvalidDataError(f"option tool_model is {tool_model!r}; give the name of an image model")
        self._tool_model = tool_model
        self._tool = {"type": "image_generation", "model": tool_model, "action": "edit"}
        self._tool |= self._object_option("extra_tool")
        self._image_price = self._settings.price or price_of(tool_model)

    def describe(self) -> EditorInfo:
        """Returns both models and the track."""
        state = self._settings.state
        return EditorInfo(
            self._name if self._tool_model == TOOL_MODEL else f"{self._name} ({self._tool_model})",
            self._fingerprint(api="responses", tool=self._tool, state=state),
            state=state,
            at_once=_AT_ONCE,
            usd_per_edit=_usd_per_edit(self._image_price),
        )

    def _send(self, client: OpenAI, request: EditRequest) -> Any:
        previous = self._previous(request)
        images = request.images if previous is None else [item for item in request.images if item.role != "base"]
        content: list[dict[str, Any]] = [{"type": "input_text", "text": request.instruction}]
        content += [{"type": "input_image", "image_url": data_url(item), "detail": "auto"} for item in images]
        body: dict[str, Any] = {
            "input": [{"role": "user", "content": content}],
            "tools": [{**self._tool, **request.params}],
            "tool_choice": {"type": "image_generation"},
        }
        if previous is not None:
            body["previous_response_id"] = previous
        return client.responses.with_raw_response.create(model=self._model, **body)

    def _previous(self, request: EditRequest) -> str | None:
        if self._settings.state == "images" or request.state is None:
            return None
        previous = request.state.get("previous_response_id") if isinstance(request.state, dict) else None
        if not isinstance(previous, str):
            raise EditorError(
                f"the state of the round before is {request.state!r}, which names no previous_response_id; run into "
                "another folder"
            )
        return previous

    def _read(self, answer: dict[str, Any], request: EditRequest, reply: ServiceReply) -> EditResult:
        output = [item for item in answer.get("output") or () if isinstance(item, dict)]
        calls = [item for item in output if item.get("type") == "image_generation_call"]
        made = next((item for item in calls if picture_text(item.get("result"))), None)
        params = {"model": self._model, "tool_model": self._tool_model, **_effective(request.params, made or {})}
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
            return self._picture(str(picture_text(made["result"])), details)
        incomplete = answer.get("incomplete_details")
        if isinstance(incomplete, dict) and incomplete.get("reason") == "content_filter":
            return EditResult.failed(Status.REFUSED, "the answer was cut off by the content filter", **details)
        for item in calls:
            if (problem := problem_in(item)) is not None:
                return failed_result(problem, self._service, **details)
        parts = list(_parts(output))
        if refused := [text for kind, text in parts if kind == "refusal"]:
            return EditResult.failed(Status.REFUSED, one_line(" ".join(refused)), **details)
        return self._no_picture(answer, one_line(" ".join(text for _, text in parts)), details)

    def _usage(self, answer: Mapping[str, Any]) -> dict[str, int]:
        tool = answer.get("tool_usage")
        of_tool = token_counts(tool.get("image_gen")) if isinstance(tool, dict) else {}
        return token_counts(answer.get("usage")) | {f"tool_{name}": count for name, count in of_tool.items()}

    def _cost(self, usage: Mapping[str, int]) -> float | None:
        """Both models' tokens, USD; None where a price or the tool's share is not known."""
        text = price_of(self._model)
        if text is None or self._image_price is None or "tool_output_tokens" not in usage:
            return None
        sent, answered = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
        return text.cost(input_tokens=sent, output_tokens=answered) + _image_cost(self._image_price, usage, "tool_")


def _parts(output: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yields what the model said beside pictures: kind (`output_text` or `refusal`) and text."""
    for item in output:
        for part in item.get("content") or () if item.get("type") == "message" else ():
            if isinstance(part, dict):
                kind = "refusal" if part.get("type") == "refusal" else "output_text"
                text = part.get("refusal" if kind == "refusal" else "text")
                if isinstance(text, str) and text:
                    yield kind, text


def _effective(asked: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters that were used: those asked for, and over them what the answer says of itself."""
    return {**asked, **{name: answer[name] for name in _EFFECTIVE if isinstance(answer.get(name), str)}}


def _image_cost(price: Price, usage: Mapping[str, int], side: str = "") -> float:
    return price.cost(
        input_tokens=usage.get(f"{side}input_tokens", 0),
        output_tokens=usage.get(f"{side}output_tokens", 0),
        image_tokens=usage.get(f"{side}input_image_tokens", 0),
    )


def _usd_per_edit(price: Price | None) -> float | None:
    """Returns the most that an edit costs, USD: two portraits in at high fidelity, one out at high quality."""
    if price is None:
        return None
    pictures = 2 * _PICTURE_IN
    return price.cost(input_tokens=pictures + 300, image_tokens=pictures, output_tokens=_PICTURE_OUT)
