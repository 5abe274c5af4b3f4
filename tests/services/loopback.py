"""What the toy services of the tests have in common: a server on loopback that sends, hangs and breaks connections."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Request(BaseHTTPRequestHandler):
    """One request, and what can be done to it."""

    service: LoopbackServer
    body: bytes
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for an acknowledgement

    def _take(self) -> None:
        self.body = self._read()
        self.service.answer(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _take

    def _read(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def send(
        self,
        status: int,
        content: Any,
        headers: Mapping[str, str] | None = None,
        *,
        cut: bool = False,
        drip: float = 0.0,
    ) -> None:
        """Answers with bytes as they are, or with anything else as JSON.

        `cut` leaves half of it out; with `drip`, ten bytes are sent at a time, so many seconds apart.
        """
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        kind = "text/html" if data.startswith(b"<") else "application/json"
        sent = {"content-type": kind, "content-length": str(len(data))}
        sent |= {name.lower(): value for name, value in {**self.service.headers, **(headers or {})}.items()}
        self.send_response(status)
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        data = data[: len(data) // 2] if cut else data
        for start in range(0, len(data), 10 if drip else max(len(data), 1)):
            self.wfile.write(data[start : start + 10] if drip else data)
            time.sleep(drip)
        self.close_connection = self.close_connection or cut

    def hang(self) -> None:
        """Answers nothing until the server ends."""
        self.service.wait(600)
        self.close_connection = True

    def reset(self) -> None:
        """Breaks the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):  # the client is gone, or the connection was reset above
            self.close_connection = True

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()


def free_port() -> int:
    """Returns a port of this machine that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # of 5 in the queue, a sixth connection at once would wait for a second


class LoopbackServer:
    """Serves on `url` while the context is open.

    Args:
        headers: Sent with every answer.
        port: 0 takes a free one.
    """

    path = ""
    """What clients add to the address."""

    def __init__(self, headers: Mapping[str, str] | None = None, *, port: int = 0) -> None:
        self.headers = dict(headers or {})
        self.at_once = self.most_at_once = 0
        self.await_calls = 0
        self.lock = threading.Condition()
        self._closing = threading.Event()
        self._http = _Server(("127.0.0.1", port), type("Handler", (Request,), {"service": self}))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def answer(self, request: Request) -> None:
        """Answers any request: a POST with JSON by `post`, others by `get`."""
        if request.command == "POST":
            with self.under_way():
                self.post(request, json.loads(request.body))
        else:
            self.get(request)

    def post(self, request: Request, body: dict[str, Any]) -> None:
        """Answers a POST."""
        raise NotImplementedError

    def get(self, request: Request) -> None:
        """Answers a GET or a HEAD."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self._http.server_address[1]}{self.path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Counts the calls that are being answered; the first wait until `await_calls` of them have come."""
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.lock.notify_all()
            self.lock.wait_for(lambda: self.most_at_once >= self.await_calls, timeout=30)
        try:
            yield
        finally:
            with self.lock:
                self.at_once -= 1

    def wait(self, seconds: float) -> None:
        """Waits, but not beyond the end of the server."""
        self._closing.wait(seconds)
