"""A multimodal model on loopback: chat completions, Responses, over real HTTP.

Its answers are computed from the pictures that it is sent, so that a resumed run can be compared with a whole one. It
counts every call, and plays any fault that it is told to.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from loopback import LoopbackServer, Request

MODEL_VERSION = "toy-lmm-2026-11-24"
FINGERPRINT = "fp_toy"
GARMENTS = ("collar", "left sleeve", "right sleeve", "buttons", "hem", "belt", "pocket", "neckline", "cuff")


@dataclass(frozen=True)
class Call:
    """One request for an answer, as a fault is chosen by it.

    `photo` is a digest of its pictures; `turn` counts the repairs before it; `number` counts the calls of the server.
    """

    number: int
    photo: str
    turn: int
    path: str
    body: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Fault:
    """What is answered instead. `behaviour`: `hang`, `reset`, `truncate`, or None for the status and the body."""

    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    behaviour: str | None = None
    text: str | None = None
    """Said by the model, with status 200."""
    refusal: str | None = None
    finish: str | None = None

    @classmethod
    def error(cls, status: int, code: str, message: str = "no", **headers: str) -> Fault:
        """An error as OpenAI words them."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, named, {"error": {"message": message, "type": code, "param": None, "code": code}})


Script = Callable[[Call], Fault | None]


def differences_of(photo: str) -> list[dict[str, Any]]:
    """Returns three disjoint boxes and descriptions, the same for the same pictures."""
    chance = hashlib.sha256(photo.encode()).digest()
    found = []
    for row in range(3):
        top = 20 + 330 * row + chance[row] % 60
        left = 30 + chance[3 + row] * 2
        height, width = 60 + chance[6 + row] % 150, 80 + chance[9 + row]
        garment = GARMENTS[3 * row + chance[12 + row] % 3]
        description = f"Wearing a {garment} with {chance[15 + row] % 7 + 1} stitches"
        found.append({"description": description, "box_2d": [top, left, top + height, left + width]})
    return found


SHAPES: Mapping[str, Callable[[list[dict[str, Any]]], str]] = {
    "object": lambda found: json.dumps({"differences": found}),
    "list": lambda found: json.dumps(found),
    "misspelt": lambda found: json.dumps(
        [{"discription": entry["description"], "box_2d": entry["box_2d"]} for entry in found]
    ),
    "fenced": lambda found: f"Here they are:\n```json\n{json.dumps(found, indent=2)}\n```\nI hope this helps.",
    "python": lambda found: str(found),
    "python object": lambda found: str({"differences": found}),
}
"""The forms in which models are known to answer."""


def shaped(photo: str, shape: str = "object") -> str:
    """Returns the answer about these pictures, in one of the `SHAPES`."""
    return SHAPES[shape](differences_of(photo))


class LmmServer(LoopbackServer):
    """The model.

    Args:
        script: Chooses a fault for a call; None answers well.
        shape: How good answers look.
        seconds: How long each answer takes.
        headers: Sent with every answer.
        models: The models that it has; by default it does not say.
        key: The only key that it accepts; any by default.
    """

    path = "/v1"

    def __init__(
        self,
        script: Script | None = None,
        *,
        shape: str = "object",
        seconds: float = 0.0,
        headers: Mapping[str, str] | None = None,
        models: tuple[str, ...] | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(headers)
        self.script = script or (lambda call: None)
        self.shape = shape
        self.seconds = seconds
        self.models = models
        self.key = key
        self.calls = 0
        self.tokens = [0, 0]  # read and written, of all answers
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str] = set()

    def get(self, request: Request) -> None:
        name = unquote(urlsplit(request.path).path.removeprefix("/v1/models/"))
        self.keys.add(request.headers.get("authorization", ""))
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            fault = Fault.error(401, "invalid_api_key", "Incorrect API key provided")
        elif self.models is None:
            fault = Fault(404, body={"detail": "Not Found"})
        elif name in self.models:
            fault = Fault(200, body={"id": name, "object": "model", "created": 1, "owned_by": "toy"})
        else:
            fault = Fault.error(404, "model_not_found", f"The model {name!r} does not exist")
        request.send(fault.status, fault.body)

    def post(self, request: Request, body: dict[str, Any]) -> None:
        self.keys.add(request.headers.get("authorization", ""))
        photo = _photo(body)
        with self.lock:
            self.calls += 1
            call = Call(self.calls, photo, _turn(body), urlsplit(request.path).path, body)
            self.bodies.append(body)
        fault = self.script(call) or Fault(200, text=shaped(photo, self.shape))
        said = fault.text is not None or fault.refusal is not None
        if said:
            with self.lock:
                self.tokens = [before + more for before, more in zip(self.tokens, _tokens(call), strict=True)]
        self.wait(self.seconds)
        if fault.behaviour == "hang":
            request.hang()
        elif fault.behaviour == "reset":
            request.reset()
        elif said:
            request.send(200, _body(call, fault), fault.headers)
        else:
            request.send(fault.status, fault.body, fault.headers, cut=fault.behaviour == "truncate")


def _photo(body: dict[str, Any]) -> str:
    """Returns a digest of the pictures in a request."""
    digest = hashlib.sha256()
    for url in _image_urls(body):
        digest.update(base64.b64decode(url.partition(",")[2]))
    return digest.hexdigest()[:16]


def _image_urls(body: dict[str, Any]) -> list[str]:
    content = (body.get("messages") or body.get("input"))[0]["content"]
    urls = [part["image_url"] for part in content if part["type"] in ("image_url", "input_image")]
    return [url["url"] if isinstance(url, dict) else url for url in urls]


def _turn(body: dict[str, Any]) -> int:
    return sum(message["role"] == "assistant" for message in body.get("messages") or body.get("input"))


def _tokens(call: Call) -> tuple[int, int]:
    """Returns what an answer to the call reads and writes."""
    return 1000 + int(call.photo[:2], 16) + 300 * call.turn, 150 + int(call.photo[2:4], 16)


def _body(call: Call, fault: Fault) -> dict[str, Any]:
    """Returns an answer of the API that was called, with tokens that depend on the pictures alone."""
    (read, written), cached = _tokens(call), 128
    text = None if fault.refusal is not None else fault.text
    if call.path.endswith("/chat/completions"):
        message = {"role": "assistant", "content": text, "refusal": fault.refusal}
        return {
            "id": f"chatcmpl-{call.photo}-{call.turn}",
            "object": "chat.completion",
            "created": 1_764_000_000,
            "model": MODEL_VERSION,
            "system_fingerprint": FINGERPRINT,
            "choices": [{"index": 0, "message": message, "finish_reason": fault.finish or "stop", "logprobs": None}],
            "usage": {
                "prompt_tokens": read,
                "completion_tokens": written,
                "total_tokens": read + written,
                "prompt_tokens_details": {"cached_tokens": cached},
            },
        }
    part = (
        {"type": "refusal", "refusal": fault.refusal}
        if fault.refusal is not None
        else {"type": "output_text", "text": text, "annotations": []}
    )
    return {
        "id": f"resp-{call.photo}-{call.turn}",
        "object": "response",
        "created_at": 1_764_000_000,
        "model": MODEL_VERSION,
        "status": "incomplete" if fault.finish else "completed",
        "incomplete_details": {"reason": fault.finish} if fault.finish else None,
        "output": [{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}],
        "usage": {
            "input_tokens": read,
            "output_tokens": written,
            "total_tokens": read + written,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
