"""One's own server as an editor: `http:URL`, or the bare `http://…` or `https://…`.

The contract, in ten points:

1. The harness POSTs JSON to the URL, up to 8 edits at a time, over connections that it keeps open.
2. `request_id`, `protocol` (`vanilla` or `bug`), `round` (1..3), `instruction` (the whole prompt), `seed`, `params`;
3. `images`: `[{"role": "base", "image": PNG in base64}, {"role": "reference", …}]`, the reference in `bug` alone;
4. `state`: null, or with `--state conversation` what the last round answered as `state`.
5. The server answers 200 with `{"image": base64 of a PNG, JPEG or WebP}`, or a `data:` URL or a link in its place,
6. or `{"status": "refused" | "no_image" | "timeout" | "error", "message": "why", "retry": true if asking again helps}`,
   or `{"error": {"code": …, "message": "why"}}`, which counts as what its code says.
7. It may add `params` (those really used), `model_version`, `usage` (counts), `cost_usd` and `state`.
8. 429 and 5xx are asked again, after `Retry-After`; 401, 402, 403 and 404 end the run; the text of any may be JSON with
   `message` and `code`.
9. A GET of the URL may answer `{"name", "version", "takes_reference"}`; the version stands for everything that
   changes edits, and without it (and without `--version`) a run can't be continued.
10. `FASHIONEDIT_HTTP_TOKEN`, if set, is sent as `Authorization: Bearer …`.

`examples/edit_server.py` is such a server.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fashionedit.errors import InvalidDataError, ServiceError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, ServiceReply
from fashionedit.runtime.failures import Problem, Service
from fashionedit.runtime.http_clients import check_url, connection_failure, json_object, open_client, place_of
from fashionedit.runtime.secrets import remember_address, without_keys

from .answers import failed_call, failed_result, read_answer, request_json
from .settings import EditorSettings, undeclared

if TYPE_CHECKING:
    import httpx2


TOKEN = "FASHIONEDIT_HTTP_TOKEN"
_AT_ONCE = 8
_DESCRIBING = 30.0


class _Description(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = Field(default="", max_length=100)
    version: str = Field(default="", max_length=200)
    takes_reference: bool = True


def open_http(rest: str, settings: EditorSettings) -> HttpEditor:
    """Returns the editor behind `http:URL`, or behind a bare `http://…`, whose rest begins with two slashes."""
    return HttpEditor(f"http:{rest}" if rest.startswith("//") else rest, settings)


def open_https(rest: str, settings: EditorSettings) -> HttpEditor:
    """Returns the editor behind a bare `https://…`."""
    return HttpEditor(f"https:{rest}", settings)


class HttpEditor:
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
        settings.refuse(base_url="http has its address in its name; leave the base URL out")
        check_url(url, "address")
        remember_address(url)
        parts = urlsplit(url)
        if parts.username is not None or parts.password is not None:
            raise InvalidDataError(f"the address of {parts.hostname} holds a password; set {TOKEN} instead")
        self._url, self._query, self._settings = url, parts.query, settings
        self._carried = settings.state == "conversation"
        self._place = place_of(url)
        self._service = Service(self._place, key=TOKEN, address="the address")
        self._info = self._described()

    def describe(self) -> EditorInfo:
        """Returns what the server says of itself, or the declared version."""
        return self._info

    def edit(self, request: EditRequest) -> EditResult:
        """Returns what the server answered; a `ServiceError` ends the run."""
        import httpx2

        body = json.dumps(request_json(request, carried=self._carried, with_images=True)).encode()
        try:
            response = self._client.post(self._url, content=body, headers={"Content-Type": "application/json"})
            response.raise_for_status()
        except (httpx2.HTTPError, InvalidDataError, OSError) as error:
            if (result := failed_call(error, self._service, url=self._url, timeout=self._settings.timeout)) is None:
                raise
            return result
        reply = ServiceReply.of(response)
        answer = read_answer(response.content)
        if isinstance(answer, Problem):
            return failed_result(answer, self._service, reply=reply)
        return answer.result(carried=self._carried, reply=reply, service=self._url, seconds=self._settings.timeout)

    def close(self) -> None:
        """Closes the connections that are kept open; a later edit opens new ones."""
        if (client := self.__dict__.pop("_client", None)) is not None:
            client.close()

    def _described(self) -> EditorInfo:
        import httpx2

        said = _Description()
        try:
            response = self._client.get(self._url, timeout=min(self._settings.timeout, _DESCRIBING))
            status = response.status_code
            if status in (401, 403):
                raise ServiceError(f"{self._place} answered HTTP {status}; set {TOKEN} to the token that it wants")
            if status == 200:
                with contextlib.suppress(ValidationError):  # it is about something else
                    said = _Description.model_validate(json_object(response.content))
        except InvalidDataError:
            pass  # too long to be a description, or a page for people
        except (httpx2.TransportError, OSError) as error:
            self.close()
            why = connection_failure(error, self._url)
            raise ServiceError(
                f"nothing answers at {self._place} ({why}); start the server, or check the address"
            ) from None
        version = self._settings.version or said.version
        query = hashlib.sha256(without_keys([self._query])[0].encode()).hexdigest()[:8] if self._query else ""
        return EditorInfo(
            said.name or self._place,
            f"http {said.name or self._place} {query} version {version}" if version else undeclared(),
            takes_reference=said.takes_reference,
            state=self._settings.state,
            at_once=_AT_ONCE,
        )

    @cached_property
    def _client(self) -> httpx2.Client:
        import httpx2

        headers = {"Accept": "application/json", "User-Agent": "fashionedit"}
        if token := os.environ.get(TOKEN, "").strip():
            headers["Authorization"] = f"Bearer {token}"
        seconds = self._settings.timeout
        # As many connections as the run has threads; the library's own limit would make the others wait.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        client: httpx2.Client = open_client(
            httpx2.Client, self._url, seconds=seconds, timeout=seconds, headers=headers, limits=limits
        )
        return client
