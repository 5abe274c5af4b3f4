"""An image service on loopback that really edits, in three dialects, and misbehaves as it is told.

POST /v1/images/edits   OpenAI's images.edit (multipart)
POST /v1/responses      OpenAI's Responses API with the image tool; remembers its answers for previous_response_id
POST /edit              the JSON contract of the `http:` editor; GET /edit tells who it is
GET  /counts            {"calls": …, "most_at_once": …}

python tests/harness/image_service.py [--pause 1.0]     prints its address and serves until it is ended
"""

from __future__ import annotations

import argparse
import base64
import email.message
import email.parser
import email.policy
import hashlib
import io
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

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


class ImageService:
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
        self._script = script
        self._pause = pause
        self._headers = headers or {}
        self.calls: list[Call] = []
        self.keys: set[str] = set()
        self.at_once = self.most_at_once = 0
        self._remembered: dict[str, Image.Image] = {}
        self._closing = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> ImageService:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                outer._post(self)

            def do_GET(self) -> None:
                outer._get(self)

            def log_message(self, *ignored: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *ignored: Any) -> None:
                pass  # a client that was killed or had no patience

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.openai = f"{self.url}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        if request.path == "/counts":
            told: dict[str, Any] = {"calls": len(self.calls), "most_at_once": self.most_at_once}
        else:
            told = {"name": "toy service", "version": "1", "takes_reference": True}
        self._send(request, 200, json.dumps(told).encode())

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        data = request.rfile.read(int(request.headers["Content-Length"]))
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.keys.add(request.headers.get("Authorization", ""))
        try:
            call = self._read(request.path, request.headers["Content-Type"], data)
            with self._lock:
                call = Call(call.path, call.instruction, call.images, call.body, len(self.calls))
                self.calls.append(call)
            if callable(self._script):
                fault = self._script(call)
            else:
                fault = self._script[call.number] if call.number < len(self._script) else None
            self._perform(request, call, fault)
        finally:
            with self._lock:
                self.at_once -= 1

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

    def _perform(self, request: BaseHTTPRequestHandler, call: Call, fault: str | None) -> None:
        if fault == "hang":
            self._closing.wait(20)
            request.close_connection = True
        elif fault == "html":
            self._send(request, 200, b"<html>Welcome to the proxy</html>", kind="text/html")
        elif fault in _ERRORS:
            status, code, message = _ERRORS[fault]
            extra = {"Retry-After": "1"} if fault == "429 with Retry-After" else {}
            error: dict[str, Any] = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
            self._send(request, status, json.dumps({"error": error}).encode(), headers=extra)
        else:
            self._closing.wait(self._pause)
            content = json.dumps(self._answer(call, fault)).encode()
            self._send(request, 200, content, cut=fault == "reset")

    def _answer(self, call: Call, fault: str | None) -> dict[str, Any]:
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

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        content: bytes,
        *,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        cut: bool = False,
    ) -> None:
        request.send_response(status)
        told = {"Content-Type": kind, "Content-Length": str(len(content))} | self._headers | (headers or {})
        for name, value in told.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            request.wfile.flush()
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.close()
            request.close_connection = True


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


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--pause", type=float, default=0.0)
    with ImageService(pause=arguments.parse_args().pause) as service:
        print(service.url, flush=True)
        try:
            while sys.stdin.readline():
                pass
            time.sleep(1e9)
        except KeyboardInterrupt:
            pass
