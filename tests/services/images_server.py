"""A server on loopback that speaks OpenAI's `images.generate`, and misbehaves as it is told."""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from loopback import LoopbackServer, Request
from PIL import Image

from fashionedit.images import png_bytes

USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 10},
    "output_tokens": 1000,
    "total_tokens": 1010,
}


def drawn(prompt: str, seed: int = 0) -> Image.Image:
    """The server's picture of a prompt: two colours that depend on it, and on the seed where one is sent."""
    tone = hashlib.sha256(f"{prompt} {seed}".encode()).digest()
    image = Image.new("RGB", (64, 96), tuple(tone[:3]))
    image.paste(tuple(255 - value for value in tone[:3]), (8, 8, 40, 60))
    return image


def _error(status: int, code: str | None, message: str, param: str | None = None) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, "type": "invalid_request_error", "code": code, "param": param}}


_ERRORS: dict[str, tuple[int, dict[str, Any]]] = {
    "429": _error(429, "rate_limit_exceeded", "Rate limit reached for requests"),
    "429 soon": _error(429, "rate_limit_exceeded", "Rate limit reached for requests"),
    "500": _error(500, None, "The server had an error"),
    "quota": _error(429, "insufficient_quota", "You exceeded your current quota"),
    "no money": _error(400, "billing_hard_limit_reached", "Billing hard limit has been reached"),
    "moderated": _error(400, "moderation_blocked", "Your request was rejected by the safety system"),
    "no model": _error(404, "model_not_found", "The model does not exist"),
    "bad key": _error(401, "invalid_api_key", "Incorrect API key provided"),
    "bad size": _error(400, "invalid_value", "Invalid size", "size"),
    "error 402 in a 200": (200, {"error": {"message": "Insufficient credits", "code": 402}}),
    "error 429 in a 200": (200, {"error": {"message": "Provider returned error", "code": "429"}}),
    "error text in a 200": (200, {"error": "CUDA out of memory"}),
    "too long": _error(400, "string_above_max_length", "Invalid 'prompt': string too long", "prompt"),
}


class ImagesServer(LoopbackServer):
    """Draws.

    Args:
        script: What happens to the calls for a prompt, one after the other, the last for ever; `ok` by default. Beside
            the errors above: `hang`, `reset`, `malformed`, `html`, `empty`, `link`, `no image`, `bad base64`, `black`,
            `file link`, `data url`, `wrapped`, `url-safe`, and `echo` (an error that quotes the key).
        default: The same for prompts that aren't in it.
        pause: How long each good answer takes, s.
        usage: Of every good answer.
    """

    path = "/v1"

    def __init__(
        self,
        script: dict[str, Sequence[str]] | None = None,
        default: Sequence[str] = ("ok",),
        pause: float = 0.0,
        usage: Any = USAGE,
    ) -> None:
        super().__init__()
        self.script, self.default, self.pause, self.usage = script or {}, default, pause, usage
        self.bodies: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()

    def get(self, request: Request) -> None:
        if "/models/" in request.path or "/dead" in request.path:  # it does not say which models it has
            request.send(404 if "/models/" in request.path else 503, {"detail": "no"})
        else:  # what a link of `link` leads to
            request.send(200, png_bytes(drawn(self.bodies[0]["prompt"])), {"content-type": "image/png"})

    def post(self, request: Request, body: dict[str, Any]) -> None:
        prompt = body["prompt"]
        with self.lock:
            steps = self.script.get(prompt, self.default)
            step = steps[min(self.calls[prompt], len(steps) - 1)]
            self.calls[prompt] += 1
            self.bodies.append(body)
        if step == "hang":
            request.hang()
        elif step == "reset":
            request.reset()
        elif step == "malformed":
            request.send(200, b'{"created": 1, "data": [{"b64')
        elif step == "html":
            request.send(200, b"<html>Welcome to the proxy</html>")
        elif step == "echo":
            key = request.headers["Authorization"].removeprefix("Bearer ")
            request.send(*_error(400, "invalid_value", f"who is {key}?", "user"))
        elif step in _ERRORS:
            request.send(*_ERRORS[step], {"Retry-After": "0.2"} if step == "429 soon" else {})
        else:
            self.wait(self.pause)
            request.send(200, self._content(step, body))

    def _content(self, step: str, body: dict[str, Any]) -> dict[str, Any]:
        image = drawn(body["prompt"], body.get("seed", 0))
        if step == "black":
            image = Image.new("RGB", image.size)
        encoded = base64.b64encode(png_bytes(image)).decode()
        data: dict[str, Any] = {"b64_json": encoded}
        data = {
            "link": {"b64_json": None, "url": self.url.replace("/v1", "/image.png")},
            "dead link": {"url": self.url.replace("/v1", "/dead.png")},
            "file link": {"url": "file:///etc/hostname"},
            "data url": {"url": f"data:image/png;base64,{encoded}"},
            "wrapped": {"b64_json": "\r\n".join(textwrap.wrap(encoded, 76))},
            "url-safe": {"b64_json": base64.urlsafe_b64encode(png_bytes(image)).decode().rstrip("=")},
            "no image": {"b64_json": base64.b64encode(b"no image").decode()},
            "bad base64": {"b64_json": "%%%"},
        }.get(step, data)
        return {
            "created": 1,
            "data": [] if step == "empty" else [data],
            "usage": self.usage,
            "size": body["size"],
            "quality": "high",
            "output_format": "png",
        }
