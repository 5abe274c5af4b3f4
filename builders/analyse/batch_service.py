"""The Batch API on the wire: submit once and only once, look how it goes, fetch what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

from fashionedit.errors import ServiceError
from fashionedit.runtime.failures import masked

from .analyst import Analyst
from .batch_files import BatchLine, read_lines
from .batch_state import METADATA_NAME, BatchState, BatchStates
from .failures import failure_of
from .service import open_client

_CLOCKS_APART = 3600  # seconds; by so much the service's clock may be behind ours
_BETWEEN_TRIES = 2.0


class BatchService:
    """The batches of one account.

    Args:
        analyst: Who is asked.
        states: Where each step is written down.
        sleep: Waits so many seconds.

    Raises:
        MissingExtraError: The client is not installed.
        ServiceError: There is no key.
    """

    def __init__(self, analyst: Analyst, states: BatchStates, sleep: Callable[[float], None] = time.sleep) -> None:
        self._analyst = analyst
        self._states = states
        self._sleep = sleep
        self._client = open_client(analyst)

    def __enter__(self) -> BatchService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def submit(self, state: BatchState) -> BatchState:
        """Returns the state once the service has the batch; one that it has already is found, not made again.

        Raises:
            ServiceError: The service does not take it.
        """
        if state.status != "prepared":
            return state
        if state.file_id is None:
            with self._meaning(), self._states.requests_path(state.name).open("rb") as file:
                uploaded = self._client.files.create(file=(f"{state.name}.jsonl", file), purpose="batch")
            state = state.model_copy(update={"file_id": uploaded.id})
            self._states.save(state)
            found = self._create(state)
        else:  # a process was killed after the upload, and before it noted what came next
            found = self._find(state) or self._create(state)
        state = state.model_copy(update={"status": "submitted", "batch_id": found.id, "file_id": found.input_file_id})
        self._states.save(state)
        return state

    def look(self, state: BatchState) -> Any:
        """Returns the service's view of a submitted batch.

        Raises:
            ServiceError: There is no such batch, or no answer.
        """
        import openai

        with self._meaning():
            try:
                return self._client.batches.retrieve(str(state.batch_id))
            except openai.NotFoundError as error:
                raise ServiceError(
                    f"{self._analyst.host} knows no batch {state.batch_id}, which was submitted to {state.host}; use "
                    "the key and the --base-url that it was submitted with"
                ) from error

    def lines(self, batch: Any) -> Iterator[BatchLine]:
        """Yields what came back, answers first, then errors.

        Raises:
            ServiceError: The files can't be fetched.
        """
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                with self._meaning():  # read whole, so that the client tries again where it is cut off
                    content = self._client.files.content(file_id)
                yield from read_lines(content.iter_lines())

    def forget(self, state: BatchState) -> None:
        """Deletes the requests at the service, with the images in them; where it won't, they stay."""
        import openai

        if state.file_id is not None:
            with suppress(openai.OpenAIError):
                self._client.files.delete(state.file_id)

    def _create(self, state: BatchState) -> Any:
        """Creates the batch, without the client's retries: a batch whose answer was lost is there all the same."""
        import openai

        client = self._client.with_options(max_retries=0)
        for attempt in range(self._analyst.max_retries + 1):
            try:
                return client.batches.create(
                    input_file_id=str(state.file_id),
                    endpoint=state.endpoint,  # type: ignore[arg-type]  # one of ENDPOINTS
                    completion_window="24h",
                    metadata={METADATA_NAME: state.name},
                )
            except openai.OpenAIError as error:
                passing = isinstance(error, openai.APIConnectionError | openai.InternalServerError)
                if not passing or attempt == self._analyst.max_retries:
                    raise self._as_service_error(error) from error
            self._sleep(_BETWEEN_TRIES)
            if (found := self._find(state)) is not None:
                return found
        raise AssertionError("the last attempt returns or raises")

    def _find(self, state: BatchState) -> Any:
        """Returns the batch that has our name, if it was made."""
        with self._meaning():
            for batch in self._client.batches.list(limit=100):  # newest first, page by page
                if (batch.metadata or {}).get(METADATA_NAME) == state.name:
                    return batch
                if batch.created_at < state.created_at - _CLOCKS_APART:
                    return None
        return None

    @contextmanager
    def _meaning(self) -> Iterator[None]:
        import openai

        try:
            yield
        except openai.OpenAIError as error:
            raise self._as_service_error(error) from error

    def _as_service_error(self, error: Exception) -> ServiceError:
        meaning = failure_of(error, self._analyst)
        if isinstance(meaning, ServiceError):
            return meaning
        return ServiceError(
            f"the Batch API of {self._analyst.host} failed: {masked(str(meaning))}; the same command continues "
            "where it stopped"
        )
