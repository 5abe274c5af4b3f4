"""A server on loopback that speaks OpenAI's `images.generate`, and misbehaves as it is told."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import textwrap
import threading
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

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


class ImagesServer:
    """Answers on `url` while the context is open.

    Args:
        script: What happens to the calls for a prompt, one after the other, the last for ever; `ok` by default. Beside
            the errors above: `hang`, `reset`, `malformed`, `html`, `empty`, `link`, `no image`, `bad base64`, `black`,
            `file link`, `data url`, `wrapped`, `url-safe`, and `echo` (an error that quotes the key).
        default: The same for prompts that aren't in it.
        pause: How long each good answer takes, s.
        usage: Of every good answer.
    """

    def __init__(
        self,
        script: dict[str, Sequence[str]] | None = None,
        default: Sequence[str] = ("ok",),
        pause: float = 0.0,
        usage: Any = USAGE,
    ) -> None:
        self.script, self.default, self.pause, self.usage = script or {}, default, pause, usage
        self.bodies: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> ImagesServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer._answer(self)

            def do_GET(self) -> None:
                if "/models/" in self.path or "/dead" in self.path:  # it does not say which models it has
                    _send(self, 404 if "/models/" in self.path else 503, b'{"detail": "no"}')
                    return
                prompt = outer.bodies[0]["prompt"]  # what a link of `link` leads to
                _send(self, 200, png_bytes(drawn(prompt)), kind="image/png")

            def log_message(self, *ignored: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *ignored: Any) -> None:
                pass  # a client that was killed or had no patience

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        prompt = body["prompt"]
        with self._lock:
            steps = self.script.get(prompt, self.default)
            step = steps[min(self.calls[prompt], len(steps) - 1)]
            self.calls[prompt] += 1
            self.bodies.append(body)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self._perform(request, step, body)
        finally:
            with self._lock:
                self.at_once -= 1

    def _perform(self, request: BaseHTTPRequestHandler, step: str, body: dict[str, Any]) -> None:
        if step == "hang":
            self.closing.wait(20)
            request.close_connection = True
        elif step == "reset":
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.close()
            request.close_connection = True
        elif step == "malformed":
            _send(request, 200, b'{"created": 1, "data": [{"b64')
        elif step == "html":
            _send(request, 200, b"<html>Welcome to the proxy</html>", kind="text/html")
        elif step == "echo":
            key = request.headers["Authorization"].removeprefix("Bearer ")
            _send(request, *_encoded(_error(400, "invalid_value", f"who is {key}?", "user")))
        elif step in _ERRORS:
            extra = {"Retry-After": "0.2"} if step == "429 soon" else {}
            _send(request, *_encoded(_ERRORS[step]), headers=extra)
        else:
            self.closing.wait(self.pause)
            _send(request, *_encoded((200, self._content(step, body))))

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


def _encoded(answer: tuple[int, dict[str, Any]]) -> tuple[int, bytes]:
    return answer[0], json.dumps(answer[1]).encode()


def _send(
    request: BaseHTTPRequestHandler,
    status: int,
    content: bytes,
    *,
    kind: str = "application/json",
    headers: dict[str, str] | None = None,
) -> None:
    request.send_response(status)
    for name, value in ({"Content-Type": kind, "Content-Length": str(len(content))} | (headers or {})).items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(content)
