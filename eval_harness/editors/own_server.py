"""One's own server as an editor: `http:URL`, or the bare `http://…` or `https://…`.

The contract, in ten lines:

1. The harness POSTs JSON to the URL, up to 8 edits at a time, over connections that it keeps open.
2. `request_id`, `protocol` (`vanilla` or `bug`), `round` (1..3), `instruction` (the whole prompt), `seed`, `params`;
3. `images`: `[{"role": "base", "image": PNG in base64}, {"role": "reference", …}]`, the reference in `bug` alone;
4. `state`: null, or with `--state conversation` what the last round answered as `state`.
5. The server answers 200 with `{"image": base64 of a PNG, JPEG or WebP}`,
6. or `{"status": "refused" | "no_image" | "timeout" | "error", "message": "why", "retry": true if asking again helps}`.
7. It may add `params` (those really used), `model_version`, `usage` (counts), `cost_usd` and `state`.
8. 429 and 5xx are asked again, after `Retry-After`; 401, 402, 403 and 404 end the run; the text of any may be JSON with
   `message` and `code`.
9. A GET of the URL may answer `{"name", "version", "protocols"}`; the version stands for everything that changes edits,
   and without it (and without `--version`) a run can't be continued.
10. `FASHIONEDIT_HTTP_TOKEN`, if set, is sent as `Authorization: Bearer …`.

`examples/edit_server.py` is such a server.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import select
import ssl
import time
from collections import deque
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fashionedit.errors import InvalidDataError, ServiceError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, ServiceReply, Status
from fashionedit.eval_harness.running.identity import UNDECLARED
from fashionedit.runtime.failures import Failure, failure_of, masked

from .answers import MOST_JSON_BYTES, read_answer, request_json
from .settings import EditorSettings

TOKEN = "FASHIONEDIT_HTTP_TOKEN"
_AT_ONCE = 8
_DESCRIBING = 30.0
_CHUNK = 2**16


class _Description(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = Field(default="", max_length=100)
    version: str = Field(default="", max_length=200)
    protocols: list[str] | None = None


class _ErrorBody(BaseModel):
    model_config = ConfigDict(extra="ignore")

    message: str = ""
    code: str | None = None


def open_http(rest: str, settings: EditorSettings) -> OwnServer:
    """Returns the editor behind `http:URL`, or behind a bare `http://…`, whose rest begins with two slashes."""
    return OwnServer(f"http:{rest}" if rest.startswith("//") else rest, settings)


def open_https(rest: str, settings: EditorSettings) -> OwnServer:
    """Returns the editor behind a bare `https://…`."""
    return OwnServer(f"https:{rest}", settings)


class OwnServer:
    """A server that speaks the contract of this module.

    Args:
        url: Where it is; `http` or `https`.
        settings: `timeout`, `version` and `state` are read.

    Raises:
        InvalidDataError: `url` is none, or a setting is not one of this editor's.
        ServiceError: Nothing answers there, or only to others.
    """

    def __init__(self, url: str, settings: EditorSettings) -> None:
        settings.known_options("http", {})
        if settings.base_url is not None:
            raise InvalidDataError("http has its address in its name; leave the base URL out")
        self._url = _checked(url)
        self._settings = settings
        self._carried = settings.state == "conversation"
        self._idle: deque[http.client.HTTPConnection] = deque()  # append and pop are atomic
        self._path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        place = f"{self._url.hostname}:{self._url.port}" if self._url.port else str(self._url.hostname)
        self._place = f"{self._url.scheme}://{place}{self._url.path}"
        self._info = self._described()

    def describe(self) -> EditorInfo:
        """Returns what the server says of itself, or the declared version."""
        return self._info

    def edit(self, request: EditRequest) -> EditResult:
        """Returns what the server answered.

        Raises:
            ServiceError: It takes no further request: no key, no quota, no such address.
        """
        body = json.dumps(request_json(request, carried=self._carried, with_images=True)).encode()
        try:
            status, headers, data = self._exchange("POST", body, self._settings.timeout)
        except TimeoutError:
            message = f"{self._place} did not answer within {self._settings.timeout:g} s"
            return EditResult.failed(Status.TIMEOUT, message, retry=True)
        except (OSError, http.client.HTTPException) as error:
            return EditResult.failed(Status.ERROR, self._masked(f"the connection failed: {error!r}"), retry=True)
        reply = ServiceReply(status, headers)
        if data is None:
            message = f"the answer is above {MOST_JSON_BYTES // 2**20} MiB; send a smaller image"
            return EditResult.failed(Status.INVALID_IMAGE, message, reply=reply)
        if status >= 300:
            return self._failed(status, data, reply)
        answer = read_answer(data)
        if isinstance(answer, str):
            return EditResult.failed(Status.ERROR, self._masked(answer), retry=True, reply=reply)
        return answer.result(carried=self._carried, reply=reply)

    def close(self) -> None:
        """Closes the connections that are kept open."""
        while self._idle:
            self._idle.pop().close()

    def _failed(self, status: int, data: bytes, reply: ServiceReply) -> EditResult:
        try:
            body = _ErrorBody.model_validate_json(data)
        except ValidationError:
            body = _ErrorBody(message=data[:300].decode(errors="replace"))
        said = self._masked(f"HTTP {status} from {self._place}: {body.message or 'without a word'}")
        if status < 400:
            raise ServiceError(f"{said}; it points elsewhere: give the address where edits are answered")
        failure = failure_of(status, body.code, body.message)
        if failure.final:
            raise ServiceError(f"{said} ({failure}); {_TO_DO[failure]}")
        if failure is Failure.REFUSED:
            return EditResult.failed(Status.REFUSED, self._masked(body.message) or said, reply=reply)
        return EditResult.failed(Status.ERROR, said, retry=failure.passing, reply=reply)

    def _described(self) -> EditorInfo:
        try:
            status, _, data = self._exchange("GET", None, min(self._settings.timeout, _DESCRIBING))
        except (OSError, http.client.HTTPException) as error:
            raise ServiceError(
                self._masked(f"nothing answers at {self._place} ({error!r}); start the server, or check the address")
            ) from None
        if status in (401, 403):
            raise ServiceError(f"{self._place} answered HTTP {status}; set {TOKEN} to the token that it wants")
        said = _Description()
        if status == 200 and data is not None:
            with contextlib.suppress(ValidationError):  # a page for people: the server does not describe itself
                said = _Description.model_validate_json(data)
        version = self._settings.version or said.version
        query = hashlib.sha256(self._url.query.encode()).hexdigest()[:8] if self._url.query else ""
        return EditorInfo(
            said.name or self._place,
            f"http {said.name or self._place} {query} version {version}"
            if version
            else f"{UNDECLARED}{os.urandom(8).hex()}",
            tuple(said.protocols) if said.protocols is not None else ("vanilla", "bug"),
            state=self._settings.state,
            at_once=_AT_ONCE,
        )

    def _exchange(self, method: str, body: bytes | None, seconds: float) -> tuple[int, dict[str, str], bytes | None]:
        """Returns status, headers and body of one exchange; the body is None if it is too long."""
        deadline = time.monotonic() + seconds
        connection = self._connection(seconds)
        kept = False
        try:
            headers = {"Accept": "application/json", "User-Agent": "fashionedit"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            if token := os.environ.get(TOKEN, "").strip():
                headers["Authorization"] = f"Bearer {token}"
            connection.request(method, self._path, body=body, headers=headers)
            sock = connection.sock
            response = connection.getresponse()
            received = bytearray()
            while len(received) <= MOST_JSON_BYTES:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                if not response.isclosed() and sock is not None:
                    sock.settimeout(left)
                chunk = response.read1(_CHUNK)
                if not chunk:
                    break
                received += chunk
            complete = len(received) <= MOST_JSON_BYTES
            if complete and response.length:
                raise http.client.IncompleteRead(b"", response.length)
            kept = complete and not response.will_close
            response.close()  # read1 leaves it open at its end, and an open one blocks the next request
            said = {name.lower(): value for name, value in response.getheaders()}
            return response.status, said, bytes(received) if complete else None
        finally:
            if kept:
                self._idle.append(connection)
            else:
                connection.close()

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        while self._idle:
            try:
                kept = self._idle.pop()
            except IndexError:
                break
            # An idle connection that has something to read was closed by the server.
            if kept.sock is not None and not select.select([kept.sock], [], [], 0)[0]:
                kept.sock.settimeout(seconds)
                return kept
            kept.close()
        host = str(self._url.hostname)
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, self._url.port, timeout=seconds, context=context)
        return http.client.HTTPConnection(host, self._url.port, timeout=seconds)

    def _masked(self, text: str) -> str:
        token = os.environ.get(TOKEN, "").strip()
        return masked(text.replace(token, "[key]") if token else text)


_TO_DO = {
    Failure.NO_KEY: f"set {TOKEN} to the token that it wants",
    Failure.NO_QUOTA: "see to the account, then call again to continue",
    Failure.FORBIDDEN: f"check {TOKEN} and what it allows",
    Failure.NO_MODEL: "check which model the server offers",
    Failure.NO_ADDRESS: "check the address",
}


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known or any(character.isspace() or ord(character) < 32 for character in url):
        raise InvalidDataError(f"{masked(url)!r} is no address; write http://HOST:PORT/PATH or https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise InvalidDataError(f"the address of {parts.hostname} holds a password; set {TOKEN} instead")
    return parts
