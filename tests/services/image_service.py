"""An image service on loopback that really edits, in three dialects, and misbehaves as it is told.

POST /v1/images/edits   OpenAI's images.edit (multipart)
POST /v1/responses      OpenAI's Responses API with the image tool; remembers its answers for previous_response_id
POST /edit              the JSON contract of the `http:` editor; GET /edit tells who it is
GET  /counts            {"calls": …, "most_at_once": …}
"""

from __future__ import annotations

import base64
import email.message
import email.parser
import email.policy
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loopback import LoopbackServer, Request
from PIL import Image, ImageChops

from fashionedit.images import png_bytes

USAGE = {
    "input_tokens": 1050,
    "input_tokens_details": {"image_tokens": 1000, "text_tokens": 50},
    "output_tokens": 1500,
    "total_tokens": 2550,
}
_ERRORS: dict[str, tuple[int, str | None, str]] = {
    "429": (429, "rate_limit_exceeded", "Rate limit reached"),
    "429 with Retry-After": (429, "rate_limit_exceeded", "Rate limit reached"),
    "500": (500, None, "The server had an error"),
    "503": (503, None, "The server is overloaded"),
    "refused": (400, "moderation_blocked", "Your request was rejected by the safety system"),
    "quota": (429, "insufficient_quota", "You exceeded your current quota"),
    "no key": (401, "invalid_api_key", "Incorrect API key provided: sk-abcdefghijklmnop"),
    "no model": (404, "model_not_found", "The model does not exist"),
    "rejected": (400, "invalid_value", "Invalid size"),
}


@dataclass(frozen=True)
class Call:
    """What one request asked: the dialect's path, the instruction, the pictures in their order, the whole body."""

    path: str
    instruction: str
    images: tuple[Image.Image, ...]
    body: dict[str, Any] = field(repr=False)
    number: int = 0


def edited(call: Call) -> Image.Image:
    """The service's edit: a tint that the instruction decides, and the reference in the corner."""
    base = call.images[0]
    tone = tuple(hashlib.sha256(call.instruction.encode()).digest()[:3])
    image = ImageChops.add_modulo(base, Image.new("RGB", base.size, tone))
    for reference in call.images[1:]:
        image.paste(reference.resize((max(1, base.width // 4), max(1, base.height // 4))), (0, 0))
    return image


class ImageService(LoopbackServer):
    """Serves on `url` while the context is open.

    Args:
        script: What happens to the calls, one after the other: a fault's name or None; after its end all is well. Or
            a function of the call.
        pause: How long a good answer takes, s.
        headers: Sent with every answer.
    """

    def __init__(
        self,
        script: Sequence[str | None] | Callable[[Call], str | None] = (),
        *,
        pause: float = 0.0,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(headers)
        self._script = script
        self._pause = pause
        self.calls: list[Call] = []
        self.keys: set[str] = set()
        self._remembered: dict[str, Image.Image] = {}

    @property
    def openai(self) -> str:
        """The base URL of the two dialects of OpenAI."""
        return f"{self.url}/v1"

    def get(self, request: Request) -> None:
        if request.path == "/counts":
            request.send(200, {"calls": len(self.calls), "most_at_once": self.most_at_once})
        else:
            request.send(200, {"name": "toy service", "version": "1", "takes_reference": True})

    def answer(self, request: Request) -> None:
        if request.command != "POST":
            self.get(request)
            return
        with self.under_way():
            call = self._read(request.path, request.headers["Content-Type"], request.body)
            with self.lock:
                self.keys.add(request.headers.get("Authorization", ""))
                call = replace(call, number=len(self.calls))
                self.calls.append(call)
            if callable(self._script):
                fault = self._script(call)
            else:
                fault = self._script[call.number] if call.number < len(self._script) else None
            self._perform(request, call, fault)

    def _read(self, path: str, kind: str, data: bytes) -> Call:
        if path == "/v1/images/edits":
            return _multipart(path, kind, data)
        body = json.loads(data)
        if path == "/v1/responses":
            content = body["input"][0]["content"]
            text = next(part["text"] for part in content if part["type"] == "input_text")
            images = [_picture(part["image_url"]) for part in content if part["type"] == "input_image"]
            if "previous_response_id" in body:
                images.insert(0, self._remembered[body["previous_response_id"]])
            return Call(path, text, tuple(images), body)
        return Call(path, body["instruction"], tuple(_picture(item["image"]) for item in body["images"]), body)

    def _perform(self, request: Request, call: Call, fault: str | None) -> None:
        if fault == "hang":
            request.hang()
        elif fault == "html":
            request.send(200, b"<html>Welcome to the proxy</html>")
        elif fault in _ERRORS:
            status, code, message = _ERRORS[fault]
            error = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
            request.send(status, {"error": error}, {"Retry-After": "1"} if fault == "429 with Retry-After" else {})
        else:
            self.wait(self._pause)
            request.send(200, self._content(call, fault), cut=fault == "reset")
            if fault == "reset":
                request.reset()

    def _content(self, call: Call, fault: str | None) -> dict[str, Any]:
        image = edited(call)
        picture = None if fault == "empty" else base64.b64encode(png_bytes(image)).decode()
        if call.path == "/v1/images/edits":
            return {
                "created": 1,
                "data": [{"b64_json": picture}] if picture else [],
                "size": f"{image.width}x{image.height}",
                "quality": "high",
                "output_format": "png",
                "usage": USAGE,
            }
        if call.path == "/v1/responses":
            return self._response(call, image, picture)
        return {"image": picture, "params": {"tone": "by instruction"}, "state": {"round": call.body["round"]}}

    def _response(self, call: Call, image: Image.Image, picture: str | None) -> dict[str, Any]:
        name = f"resp_{call.number}_{hashlib.sha256(image.tobytes()).hexdigest()[:8]}"
        said = {"type": "output_text", "text": "I would rather talk.", "annotations": []}
        output: list[dict[str, Any]] = [
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [said]}
        ]
        if picture is not None:
            self._remembered[name] = image
            output.insert(
                0,
                {
                    "id": f"ig_{call.number}",
                    "type": "image_generation_call",
                    "status": "completed",
                    "result": picture,
                    "size": f"{image.width}x{image.height}",
                    "quality": "high",
                    "revised_prompt": "An edit.",
                },
            )
        return {
            "id": name,
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": f"{call.body['model']}-2025-04-14",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": call.body["tools"],
            "usage": {"input_tokens": 400, "output_tokens": 20, "total_tokens": 420},
            "tool_usage": {"image_gen": USAGE, "web_search": {"num_requests": 0}},
        }


def _picture(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text.rpartition("base64,")[2]))).convert("RGB")


def _multipart(path: str, kind: str, data: bytes) -> Call:
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    message = parser.parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + data)
    body: dict[str, Any] = {}
    images = []
    for part in message.iter_parts():
        assert isinstance(part, email.message.EmailMessage)
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is None:
            body[str(name)] = part.get_payload(decode=True).decode()  # type: ignore[union-attr]
        else:
            body.setdefault("fields", []).append(name)
            images.append(Image.open(io.BytesIO(part.get_payload(decode=True))).convert("RGB"))  # type: ignore[arg-type]
    return Call(path, body["prompt"], tuple(images), body)
