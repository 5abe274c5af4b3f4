"""A multimodal model on loopback: chat completions, Responses, over real HTTP.

Its answers are computed from the pictures that it is sent, so that a resumed run can be compared with a whole one. It
counts every call, and plays any fault that it is told to. In a process of its own, where a killed test can't take the
counts with it: `python lmm_server.py PORT LOGFILE [SECONDS]` appends one line to the log for each call.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

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


class LmmServer:
    """The server, on a port of its own.

    Args:
        script: Chooses a fault for a call; None answers well.
        shape: How good answers look.
        seconds: How long each answer takes.
        headers: Sent with every answer.
        port: 0 takes any.
        log: Gets a line for each call.
        models: The models that it has; by default it does not say.
        key: The only key that it accepts; any by default.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        shape: str = "object",
        seconds: float = 0.0,
        headers: Mapping[str, str] | None = None,
        port: int = 0,
        log: Path | None = None,
        models: tuple[str, ...] | None = None,
        key: str | None = None,
    ) -> None:
        self.script = script or (lambda call: None)
        self.shape = shape
        self.seconds = seconds
        self.headers = dict(headers or {})
        self.log = log
        self.models = models
        self.key = key
        self.calls = 0
        self.most_under_way = 0
        self.tokens = [0, 0]  # read and written, of all answers
        self.by_photo: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.keys: set[str] = set()
        self._under_way = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        server = self

        class Handler(_Handler):
            lmm = server

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def close(self) -> None:
        """Ends, hanging answers too."""
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, path: str, body: dict[str, Any]) -> tuple[Call, Fault]:
        """Returns the call, and what it is answered: a `Fault` too where all is well."""
        photo, turn = _photo(body), _turn(body)
        with self._lock:
            self.calls += 1
            number = self.calls
            self.by_photo[photo] += 1
            self.bodies.append(body)
            if self.log is not None:
                with self.log.open("a") as file:
                    file.write(f"{number} {photo} {turn}\n")
        call = Call(number, photo, turn, path, body)
        fault = self.script(call)
        if fault is None:
            fault = Fault(200, text=shaped(photo, self.shape))
        if fault.text is not None or fault.refusal is not None:
            with self._lock:
                self.tokens = [before + more for before, more in zip(self.tokens, _tokens(call), strict=True)]
        return call, fault

    @property
    def calls_under_way(self) -> int:
        """How many calls are being answered."""
        return self._under_way

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Counts the calls that are being answered."""
        with self._lock:
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def wait(self, seconds: float) -> None:
        """Waits, but not beyond the end of the server."""
        self._closing.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    lmm: LmmServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for an acknowledgement

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        path = urlsplit(self.path).path
        self._note(path)
        if path in ("/v1/chat/completions", "/v1/responses"):
            with self.lmm.under_way():
                self._answer(path, json.loads(data))
        else:
            self._send(404, {"error": {"message": f"Invalid URL (POST {path})", "code": None}}, {})

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self._note(path)
        name = unquote(path.removeprefix("/v1/models/"))
        if self.lmm.key is not None and self.headers.get("authorization") != f"Bearer {self.lmm.key}":
            fault = Fault.error(401, "invalid_api_key", "Incorrect API key provided")
        elif self.lmm.models is None:
            fault = Fault(404, body={"detail": "Not Found"})
        elif name in self.lmm.models:
            fault = Fault(200, body={"id": name, "object": "model", "created": 1, "owned_by": "toy"})
        else:
            fault = Fault.error(404, "model_not_found", f"The model {name!r} does not exist")
        self._send(fault.status, fault.body, {})

    def _note(self, path: str) -> None:
        self.lmm.requests.append(f"{self.command} {path}")
        self.lmm.keys.add(self.headers.get("authorization", ""))

    def _answer(self, path: str, body: dict[str, Any]) -> None:
        call, fault = self.lmm.answer(path, body)
        self.lmm.wait(self.lmm.seconds)
        if fault.behaviour == "hang":
            self.lmm.wait(600)
            self.close_connection = True
        elif fault.behaviour == "reset":
            self._reset()
        elif fault.text is not None or fault.refusal is not None:
            self._send(200, _body(call, fault), fault.headers)
        else:
            self._send(fault.status, fault.body, fault.headers, truncated=fault.behaviour == "truncate")

    def _send(self, status: int, body: Any, headers: Mapping[str, str], *, truncated: bool = False) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kinds = {"content-type": "text/html" if data.startswith(b"<") else "application/json"}
        self.send_response(status)
        for name, value in {**kinds, **self.lmm.headers, **headers, "content-length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if truncated else data)
        self.close_connection = self.close_connection or truncated

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.connection.close()
        self.close_connection = True

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):  # the client is gone, or the connection was reset above
            self.close_connection = True

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()


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


@contextmanager
def serving(script: Script | None = None, **options: Any) -> Iterator[LmmServer]:
    """Runs a server for the block."""
    server = LmmServer(script, **options)
    server.start()
    try:
        yield server
    finally:
        server.close()


if __name__ == "__main__":
    alone = LmmServer(
        port=int(sys.argv[1]), log=Path(sys.argv[2]), seconds=float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    )
    print(alone.url, flush=True)
    alone.start()
    threading.Event().wait()
