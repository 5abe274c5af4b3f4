"""A server on loopback whose every answer a test decides, and what an editor makes of each fault."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from loopback import LoopbackServer, Request
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


def as_json(content: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json", **named})


def as_base64(image: Image.Image | bytes) -> str:
    return base64.b64encode(image if isinstance(image, bytes) else png_bytes(image)).decode()


class JsonService(LoopbackServer):
    """The server.

    Args:
        reply: Returns what is answered; called in the server's threads.
        drip: Seconds between ten bytes of a body and the next ten.
    """

    def __init__(self, reply: Callable[[Asked], Reply], *, drip: float = 0.0) -> None:
        super().__init__()
        self._reply, self._drip = reply, drip
        self.asked: list[Asked] = []

    def posts(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "POST"]

    def answer(self, request: Request) -> None:
        asked = Asked(request.command, request.path, dict(request.headers), request.body, request.client_address)
        self.asked.append(asked)
        reply = self._reply(asked)
        if reply.hang:
            request.hang()
            return
        request.send(reply.status, reply.body, reply.headers, cut=reply.reset, drip=self._drip)
        if reply.reset:
            request.reset()


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
    "hang": (Status.TIMEOUT, True, "no answer within 2 s"),
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
