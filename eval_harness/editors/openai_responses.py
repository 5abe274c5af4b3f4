"""`openai-responses:MODEL`: the paper's way, a language model that calls an image tool (Responses API).

The user's message holds the instruction, then the image to edit, then the reference. With `state="images"` every round
sends the last good image. With `state="conversation"` the rounds after the first send the instruction and the reference
alone, and `previous_response_id` takes the place of the image: the provider remembers it. That is a track of its own.

Source: `TextEdit.py` and `TextImageEdit.py` of the reference scripts (`gpt-4.1-mini`, `tools=[{"type":
"image_generation"}]`). They leave the tool's model to the service; here it is always named, since it makes the picture.

Params: `size`, `quality`, `background`, `input_fidelity`, `output_format`, `output_compression` and `complexity` of the
tool. Options: `tool_model`, and `extra_tool` (a JSON object of further fields of the tool).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fashionedit.errors import EditorError, InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, ServiceReply, Status
from fashionedit.eval_harness.running.keys import canonical_json
from fashionedit.runtime.failures import one_line, problem_in
from fashionedit.runtime.http_clients import picture_text, token_counts

from .openai_images import PARAMS, checked_params
from .openai_service import AT_ONCE, OpenAIService, effective, found_price, object_option, usd_per_edit
from .results import data_url
from .settings import EditorSettings

if TYPE_CHECKING:
    from openai import OpenAI

TOOL_MODEL = "gpt-image-2.6-sunburst"
"""The image model behind the tool unless `tool_model` names another; the paper's, gpt-image-1, was shut down on
2026-10-23."""

_OPTIONS = {
    "tool_model": f"the image model behind the tool ({TOOL_MODEL} by default)",
    "extra_tool": "a JSON object of further fields of the tool",
}


def open_editor(model: str, settings: EditorSettings) -> OpenAIResponses:
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
        options = settings.known_options(f"openai-responses:{model}", _OPTIONS)
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
