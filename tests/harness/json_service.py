"""A server on loopback whose every answer a test decides, and what an editor makes of each fault."""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

from fashionedit.errors import ServiceError
from fashionedit.eval_harness.editing import EditRequest, EditResult, RequestImage, Status
from fashionedit.images import png_bytes

PICTURE = Image.new("RGB", (20, 30), (10, 120, 200))


def edit_request(
    *, base: Image.Image = PICTURE, reference: Image.Image | None = PICTURE, round: int = 1, **further: Any
) -> EditRequest:
    """Returns a request of `bug`, or without a reference one of `vanilla`."""
    images = [RequestImage("base", base), *([RequestImage("reference", reference)] if reference else [])]
    further = {"instruction": "Change it.", "seed": 5} | further
    return EditRequest("an-id", "bug" if reference else "vanilla", round, images=tuple(images), **further)


@dataclass
class Reply:
    """What is sent; `hang` waits for the end of the test, `reset` breaks the connection in the middle of the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    reset: bool = False


@dataclass
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    peer: tuple[str, int]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class JsonService:
    url: str
    asked: list[Asked]

    def posts(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "POST"]


def as_json(content: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json", **named})


def as_base64(image: Image.Image | bytes) -> str:
    return base64.b64encode(image if isinstance(image, bytes) else png_bytes(image)).decode()


@contextmanager
def json_service(answer: Callable[[Asked], Reply], *, drip: float = 0.0) -> Iterator[JsonService]:
    """Yields a server that answers as told; `answer` is called in the server's threads.

    With `drip`, ten bytes of a body are sent at a time, so many seconds apart.
    """
    over = threading.Event()
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Asked(self.command, self.path, dict(self.headers), body, self.client_address)
            asked.append(request)
            reply = answer(request)
            if reply.hang:
                over.wait(60)
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if reply.reset:
                self.wfile.write(reply.body[: len(reply.body) // 2])
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                return
            for start in range(0, len(reply.body), 10 if drip else max(len(reply.body), 1)):
                self.wfile.write(reply.body[start : start + 10] if drip else reply.body)
                self.wfile.flush()
                time.sleep(drip)

        do_GET = do_POST = _take

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a connection that the test broke

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield JsonService(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def faults(ok: Callable[[bytes], Reply]) -> dict[str, Reply]:
    """Returns the faults of `FAULTS` by name.

    Args:
        ok: How the service wraps a picture's bytes in a good answer.
    """
    whole = png_bytes(PICTURE)
    buffer = io.BytesIO()
    Image.new("RGBA", (20, 30), (255, 0, 0, 0)).save(buffer, "PNG")
    webp = io.BytesIO()
    PICTURE.save(webp, "WEBP")
    return {
        "429 with Retry-After": as_json({"message": "slow down"}, 429, Retry_After="7"),
        "429": as_json({"message": "slow down"}, 429),
        "500": as_json({"message": "oops"}, 500),
        "503": Reply(503, b"<html>overloaded</html>", {"Content-Type": "text/html"}),
        "hang": Reply(hang=True),
        "reset": Reply(200, ok(whole).body, ok(whole).headers, reset=True),
        "truncated": ok(whole[:60]),
        "truncated head": ok(webp.getvalue()[:60]),
        "html": Reply(200, b"<html>hello</html>", {"Content-Type": "text/html"}),
        "other size": ok(png_bytes(PICTURE.resize((7, 9)))),
        "alpha": ok(buffer.getvalue()),
        "refusal": as_json({"code": "moderation_blocked", "message": "blocked by our safety system"}, 400),
        "empty": ok(b""),
        "quota": as_json({"code": "insufficient_quota", "message": "no money left"}, 429),
    }


FAULTS: Mapping[str, tuple[Status, bool, str]] = {
    "429 with Retry-After": (Status.ERROR, True, "answered 429"),
    "429": (Status.ERROR, True, "answered 429"),
    "500": (Status.ERROR, True, "answered 500"),
    "503": (Status.ERROR, True, "answered 503"),
    "hang": (Status.TIMEOUT, True, "no answer within 0.5 s"),
    "reset": (Status.ERROR, True, "connection"),
    "truncated": (Status.INVALID_IMAGE, False, "image"),
    "truncated head": (Status.INVALID_IMAGE, False, "image"),
    "html": (Status.ERROR, True, "the answer of"),
    "other size": (Status.OK, False, ""),
    "alpha": (Status.OK, False, ""),
    "refusal": (Status.REFUSED, False, "blocked by our safety system"),
    "empty": (Status.NO_IMAGE, False, ""),
    "quota": (Status.ERROR, False, ""),
}
"""Fault → the status that an edit ends in, whether it is asked again, and words of its message."""


def assert_fault(fault: str, edit: Callable[[], EditResult], service: JsonService) -> None:
    """Checks that an edit by a service with this fault ends as `FAULTS` says, after one call."""
    if fault == "quota":
        with pytest.raises(ServiceError, match="no money left"):
            edit()
        return
    result = edit()
    assert len(service.posts()) == 1  # no client asks twice by itself
    status, retry, words = FAULTS[fault]
    assert (result.status, result.retry) == (status, retry), result.message
    assert words in result.message
    if fault.startswith("429"):
        assert result.reply is not None
        assert result.reply.status == 429
        assert result.reply.headers.get("retry-after") == ("7" if "Retry-After" in fault else None)
    if fault == "other size":
        assert result.size == (7, 9)
    if fault == "alpha":
        assert result.image is not None
        assert (result.image.mode, result.image.getpixel((0, 0))) == ("RGB", (255, 255, 255))
