"""What is known of the batches that were made: on disk before and after every step, so that none is sent twice.

    <stage>/batches/<name>.json     the state: what is in it, how far it came
    <stage>/batches/<name>.jsonl    the requests, until they are submitted

The name goes with the batch as metadata. A process that was killed after it submitted and before it wrote so finds its
batch again by that name in the service's list.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from fashionedit.builders.stage_store import StageStore
from fashionedit.errors import InvalidDataError
from fashionedit.files import write_atomically

METADATA_NAME = "fashionedit"
"""Under which a batch's metadata has its name."""

_LEFT_BEHIND = 3600.0  # seconds without a write


class BatchItem(BaseModel):
    """One request of a batch.

    Args:
        id: The photograph's, which is also the request's `custom_id`.
        key: Of the record that the answer goes into.
        turn: How many answers there were before this one.
        promise: What it may cost at most, USD.
        images: What is noted of the images that are sent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    key: str
    turn: int
    promise: float
    images: list[dict[str, Any]] = []


class BatchState(BaseModel):
    """One batch.

    Args:
        name: Ours, unique.
        status: `prepared` has its requests on disk; `submitted` is known to the service; `closed` needs nothing more.
        created_at: When it was prepared, seconds since 1970.
        endpoint: Path that the requests are for.
        input_sha256: Of the requests' file.
        items: The requests.
        host: Where it was submitted.
        file_id, batch_id: The service's names.
        ended: How it ended, in the service's word.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    status: Literal["prepared", "submitted", "closed"]
    created_at: int
    endpoint: str
    input_sha256: str
    items: list[BatchItem]
    host: str
    file_id: str | None = None
    batch_id: str | None = None
    ended: str | None = None

    @property
    def api(self) -> Literal["chat", "responses"]:
        """Which API the requests are for."""
        return "responses" if self.endpoint.endswith("/responses") else "chat"


class BatchStates:
    """The states of all batches of a stage."""

    def __init__(self, store: StageStore) -> None:
        self.folder = store.folder / "batches"

    def open(self) -> list[BatchState]:
        """Returns the batches that are not closed, in the order in which they were prepared.

        Raises:
            InvalidDataError: A state can't be understood.
        """
        return sorted(
            (state for state in self._all() if state.status != "closed"), key=lambda s: (s.created_at, s.name)
        )

    def held(self) -> set[tuple[str, str]]:
        """Returns id and key of every pair that an open batch asks about.

        Raises:
            InvalidDataError: A state can't be understood.
        """
        return {(item.id, item.key) for state in self.open() for item in state.items}

    def save(self, state: BatchState) -> None:
        """Writes the state; the requests of one that is no longer `prepared` are removed."""
        write_atomically(self.folder / f"{state.name}.json", state.model_dump_json().encode())
        if state.status != "prepared":
            self.requests_path(state.name).unlink(missing_ok=True)

    def requests_path(self, name: str) -> Path:
        """Returns where the requests of a batch are."""
        return self.folder / f"{name}.jsonl"

    def clean(self) -> None:
        """Removes requests that no state tells of and nobody writes any more: their process was killed."""
        for path in self.folder.glob("*.jsonl"):
            with suppress(FileNotFoundError):
                if not path.with_suffix(".json").is_file() and time.time() - path.stat().st_mtime > _LEFT_BEHIND:
                    path.unlink()

    def _all(self) -> Iterator[BatchState]:
        for path in sorted(self.folder.glob("*.json")):
            try:
                yield BatchState.model_validate_json(path.read_bytes())
            except (ValidationError, OSError) as error:
                raise InvalidDataError(
                    f"{path} can't be understood; look up the batches of this account at the service before you delete "
                    "it, since what is submitted is paid for"
                ) from error
