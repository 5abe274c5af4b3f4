"""A vision model that helps the designer: it makes words precise, and proposes the edits that lead to a wanted picture.

It is optional. The person can correct its proposals before anything is sent to an editor.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from fashionedit.builders.analyse.analyst import Analyst
from fashionedit.builders.analyse.answers import read_answer
from fashionedit.builders.analyse.request import request_body, request_tokens
from fashionedit.errors import InvalidBoxError, InvalidDataError, ServiceError, UnknownNameError
from fashionedit.runtime.costs import LEDGER_FILE, CostTracker, Price
from fashionedit.runtime.openai_client import open_client
from fashionedit.runtime.vision_model import CallFailedError, Picture, Promises, Reply, image_tokens
from fashionedit.types import Box

T = TypeVar("T")

PREFIX = "openai:"
_SIDE = 1024  # pixels of the longest side of what is sent
_TRIES = 2  # of an answer that can't be used
_MOST_WORDS = 600  # characters of what it proposes
_PROMPT = """\
You help a fashion designer to say exactly what an image editor is to do. You see the current design{shown}. The \
designer says: {words}

Answer with JSON alone: {{"instruction": one sentence, at most 40 words, that names the part of the garment and what \
it is to become, in a fashion designer's terms, and nothing that is to stay as it is, "box_2d": [ymin, xmin, ymax, \
xmax] of that part on the current design, whole numbers normalized to 0-1000}}."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One edit that the assistant proposes: the words, and its box on the design, where it names a place."""

    words: str
    box: Box | None

    def to_json(self) -> dict[str, Any]:
        """Returns the proposal as plain JSON."""
        return {"words": self.words, "box": None if self.box is None else [round(edge) for edge in self.box.box_2d]}


class Assistant:
    """Asks an OpenAI-compatible vision model; the key comes from `OPENAI_API_KEY` alone.

    Args:
        spec: `openai:MODEL`.
        sessions: The folder whose ledger records the costs; None keeps them in memory.
        base_url: The address of a compatible service; OpenAI's by default.
        budget: USD for everything in that ledger.
        price: The price of the model, in the place of the published one.

    Raises:
        UnknownNameError: The spec names no assistant.
        InvalidDataError: There is a budget, and the model's price is not known.
    """

    def __init__(
        self,
        spec: str,
        sessions: Path | None = None,
        *,
        base_url: str | None = None,
        budget: float | None = None,
        price: Price | None = None,
        timeout: float = 120.0,
    ) -> None:
        model = spec.removeprefix(PREFIX)
        if not spec.startswith(PREFIX) or not model:
            raise UnknownNameError(f"no assistant is called {spec!r}; write openai:MODEL")
        self.name = spec
        prices = {} if price is None else {model: price}
        self._analyst = Analyst(
            model=model, base_url=base_url, structured="json_object", prices=prices, timeout=timeout
        )
        if budget is not None and self._analyst.price is None:
            raise InvalidDataError(
                f"the price of {model} is not known, so that a budget can't be kept; give --price, or leave --budget "
                "out"
            )
        self._money = CostTracker(None if sessions is None else sessions / LEDGER_FILE, limit=budget)
        self._promises = Promises(self._analyst.price, self._analyst.max_output_tokens)

    def check(self, *, reach: bool) -> None:
        """Checks the key and the model without paying.

        Raises:
            ServiceError: There is no key, or no such model.
        """
        self._analyst.check(reach=reach)

    def make_precise(self, words: str, design: Image.Image, shown: Image.Image | None = None) -> Proposal:
        """Returns the person's wish as one precise instruction, with the box of the part of the design that it changes.

        Raises:
            InvalidDataError: There are no words, or no answer that can be used.
            ServiceError: The service does not answer.
            BudgetSpentError: The call could exceed the budget; it was not made.
        """
        if not words.strip():
            raise InvalidDataError("Say in your own words what should change; then it can be made precise.")
        example = " and a picture that shows what is meant" if shown is not None else ""
        text = _PROMPT.format(shown=example, words=json.dumps(words.strip(), ensure_ascii=False))
        pictures = [_sent(image) for image in (design, shown) if image is not None]
        content: list[dict[str, Any]] = [{"type": "text", "text": text}]
        content += [{"type": "image_url", "image_url": {"url": picture.url}} for picture in pictures]
        body = {
            "model": self._analyst.model,
            "messages": [{"role": "user", "content": content}],
            "response_format": {"type": "json_object"},
            "max_completion_tokens": self._analyst.max_output_tokens,
        }
        tokens = math.ceil(len(text) / 4) + sum(
            image_tokens(self._analyst.model, *picture.size) for picture in pictures
        )
        return self._ask_until_usable(body, tokens, _read_instruction)

    def propose(self, design: Image.Image, wanted: Image.Image) -> tuple[Proposal, ...]:
        """Returns the three edits that bring the design nearer to the wanted picture, by the builders' analysis.

        Raises:
            InvalidDataError: There is no answer that can be used.
            ServiceError: The service does not answer.
            BudgetSpentError: The call could exceed the budget; it was not made.
        """
        pictures = (_sent(wanted), _sent(design))
        body = request_body(self._analyst, pictures)
        tokens = request_tokens(self._analyst, [picture.size for picture in pictures])

        def read(reply: Reply) -> tuple[Proposal, ...]:
            differences = read_answer(reply.text, size=pictures[0].size).differences
            return tuple(Proposal(words[:_MOST_WORDS], box) for words, box in differences)

        return self._ask_until_usable(body, tokens, read)

    def _ask_until_usable(self, body: dict[str, Any], tokens: int, read: Callable[[Reply], T]) -> T:
        """Returns what `read` makes of the first answer that it accepts.

        Raises:
            InvalidDataError: There is none.
            ServiceError: The service does not answer.
        """
        fault = ""
        for _ in range(_TRIES):
            reply = self._ask(body, tokens)
            try:
                return read(reply)
            except InvalidDataError as error:
                fault = str(error)
        raise InvalidDataError(f"The assistant gave no answer that can be used: {fault}.")

    def _ask(self, body: dict[str, Any], tokens: int) -> Reply:
        """Returns the model's answer, and enters its cost in the ledger.

        Raises:
            ServiceError: The model refused, or the service does not answer.
        """
        entry = self._money.reserve(self._promises.usd(tokens), "assistant")
        endpoint = self._analyst.endpoint
        try:
            with closing(open_client(base_url=self._analyst.base_url, timeout=self._analyst.timeout)) as client:
                reply, _ = endpoint.ask(client, body)
        except CallFailedError as error:
            self._money.charge(entry, None if error.paid else 0.0)
            raise ServiceError(f"The assistant did not answer: {error.detail}") from error
        except BaseException:
            self._money.charge(entry, 0.0)
            raise
        self._money.charge(entry, reply.usd(self._analyst.price) if self._analyst.price is not None else 0.0)
        if reply.input_tokens:
            self._promises.learn(tokens, reply.input_tokens)
        if reply.refusal is not None:
            raise ServiceError(f"The assistant refused: {reply.refusal[:300]}")
        return reply


def _read_instruction(reply: Reply) -> Proposal:
    """Returns the edit that an answer proposes, without its box if that can't be used: the person can draw one."""
    text = reply.text.strip()
    try:
        value = json.loads(text[text.index("{") : text.rindex("}") + 1], strict=False)
        words = " ".join(value["instruction"].split())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidDataError("it is no JSON object with an instruction") from error
    if not words:
        raise InvalidDataError("its instruction is empty")
    try:
        box = Box.from_box_2d(value["box_2d"])
    except (InvalidBoxError, TypeError, KeyError):
        box = None
    return Proposal(words[:_MOST_WORDS], box)


def _sent(image: Image.Image) -> Picture:
    small = image.copy()
    small.info.clear()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=92, subsampling=0)
    return Picture(buffer.getvalue(), "jpeg", small.size)


def proposals_json(proposals: Proposal | Sequence[Proposal]) -> dict[str, Any]:
    """Returns proposals as the page receives them, as plain JSON."""
    several = [proposals] if isinstance(proposals, Proposal) else proposals
    return {"proposals": [proposal.to_json() for proposal in several]}
