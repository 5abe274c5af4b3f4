"""The files of the Batch API: requests that are packed under its limits, and lines that come back."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .analyst import Analyst
from .batch_state import BatchItem, BatchState, BatchStates
from .requests import ENDPOINTS


class _LineError(BaseModel):
    model_config = ConfigDict(extra="ignore")

    code: str | None = None
    message: str | None = None


class _LineResponse(BaseModel):
    model_config = ConfigDict(extra="ignore")

    status_code: int
    body: Any = None


class BatchLine(BaseModel):
    """One line of a batch's output or error file."""

    model_config = ConfigDict(extra="ignore")

    custom_id: str
    response: _LineResponse | None = None
    error: _LineError | None = None

    @property
    def body(self) -> bytes:
        """The body of the answer, as it would have come by itself."""
        return json.dumps(self.response.body if self.response else None).encode()

    @property
    def status(self) -> int:
        """The status of HTTP; 0 where the request was never made."""
        return self.response.status_code if self.response else 0

    def problem(self) -> tuple[str | None, str, str | None]:
        """Returns code, sentence and parameter of what went wrong, wherever the line has them."""
        body = self.response.body if self.response else None
        found = body.get("error") if isinstance(body, dict) else None
        inner = found if isinstance(found, dict) else {}
        outer = self.error or _LineError()
        parameter = inner.get("param")
        return (
            _text(inner.get("code")) or outer.code or _text(inner.get("type")),
            _text(inner.get("message")) or outer.message or "",
            _text(parameter),
        )


def read_lines(lines: Iterator[str]) -> Iterator[BatchLine]:
    """Yields the lines that can be understood; a request whose line is damaged counts as not answered."""
    for line in lines:
        if line.strip():
            try:
                yield BatchLine.model_validate_json(line.encode("utf-8", "replace"))
            except ValidationError:
                continue


def request_line(identity: str, endpoint: str, body: dict[str, Any]) -> bytes:
    """Returns one request as a line."""
    line = {"custom_id": identity, "method": "POST", "url": endpoint, "body": body}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class RequestsFile:
    """A file of requests while it is written.

    Args:
        states: Where it goes.
        analyst: Who will be asked.
        max_requests, max_bytes: What one file may hold.
    """

    def __init__(self, states: BatchStates, analyst: Analyst, max_requests: int, max_bytes: int) -> None:
        self._states = states
        self._analyst = analyst
        self._most = max_requests, max_bytes
        self._name = f"fashionedit-{int(time.time())}-{secrets.token_hex(8)}"
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self.items: list[BatchItem] = []

    def has_room(self, line: bytes) -> bool:
        """Returns whether the line fits in."""
        return len(self.items) < self._most[0] and self._bytes + len(line) <= self._most[1]

    def add(self, item: BatchItem, line: bytes) -> None:
        """Writes the line."""
        if self._file is None:
            self._states.folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("wb")
        self._file.write(line)
        self._digest.update(line)
        self._bytes += len(line)
        self.items.append(item)

    def finish(self) -> BatchState:
        """Closes the file and commits that it is prepared."""
        self.close()
        state = BatchState(
            name=self._name,
            status="prepared",
            created_at=int(time.time()),
            endpoint=f"/v1{ENDPOINTS[self._analyst.api]}",
            input_sha256=self._digest.hexdigest(),
            items=self.items,
            host=self._analyst.host,
        )
        self._states.save(state)
        return state

    def close(self) -> None:
        """Closes the file; without `finish` it counts for nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def path(self) -> Path:
        """Where the requests are."""
        return self._states.requests_path(self._name)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
