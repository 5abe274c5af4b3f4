"""How hard a run may push its editor: calls at once, retries, seconds, money. No part of the run's identity."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import EditorInfo

DEFAULT_RETRIES = 4
"""How often a call that may succeed a little later is made again; with 1, 2, 4 and 8 s before each."""

LONGEST_BACKOFF = 60.0
"""Seconds that a retry is put off at most; a pause that the service asks for comes on top."""

FAILURES_IN_A_ROW = 20
"""So many rounds without a single answer between them, and the editor is taken to be down."""

_SLACK = 1.1  # an editor that watches the same time itself says more about it, and is let come first


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one session of a run.

    Args:
        concurrency: Calls under way at the same time, at most.
        batch: Requests in one call, at most; None leaves it to the editor.
        retries: How often a call is made again if its failure may pass.
        backoff: Seconds before the first retry; doubled for each further one.
        timeout: Seconds that an edit may take; None does not watch it.
        budget: USD for all sessions of the run together; None has no limit.
        limit: How many samples are edited, the first ones of the split; None edits all.
        retry_refused: Whether rounds that an earlier session recorded as refused are asked for again.

    Raises:
        InvalidDataError: A number is out of range.
    """

    concurrency: int = 1
    batch: int | None = None
    retries: int = DEFAULT_RETRIES
    backoff: float = 1.0
    timeout: float | None = None
    budget: float | None = None
    limit: int | None = None
    retry_refused: bool = False

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("batch", 1), ("retries", 0), ("limit", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InvalidDataError(f"{name} is {value}; give a whole number from {least} on")
        for name in ("backoff", "timeout", "budget"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InvalidDataError(f"{name} is {value}; give a number from 0 on")
        if self.timeout == 0:
            raise InvalidDataError("timeout is 0; give a number of seconds above 0")

    @property
    def patience(self) -> float | None:
        """Seconds after which the harness gives an edit up: a tenth more than `timeout`."""
        return None if self.timeout is None else self.timeout * _SLACK


def run_limits(
    info: EditorInfo, *, concurrency: int | None, timeout: float | None, default_timeout: float, **others: object
) -> Limits:
    """Returns the limits of a session with this editor.

    An editor that makes one edit at a time computes in this process, where an edit may take as long as the machine
    needs: it is watched only if a timeout is asked for.

    Args:
        info: What the editor says of itself.
        concurrency: None takes the editor's own.
        timeout: None takes `default_timeout` for a service, and none for an editor in this process.
        default_timeout: Seconds.
        others: Further fields of `Limits`.

    Raises:
        InvalidDataError: A number is out of range, or more at once is asked for than the editor bears.
    """
    most = info.most_at_once
    if concurrency is not None and most is not None and concurrency > most:
        raise InvalidDataError(
            f"editor {info.name} bears {most} {'edit' if most == 1 else 'edits'} at the same time and not "
            f"{concurrency}; give --concurrency {most} or less"
        )
    if timeout is None and info.at_once > 1:
        timeout = default_timeout
    at_once = concurrency if concurrency is not None else min(info.at_once, most or info.at_once)
    return Limits(concurrency=at_once, timeout=timeout, **others)  # type: ignore[arg-type]  # fields of Limits


def pause_before(retry: int, backoff: float) -> float:
    """Returns the seconds before the retry (1 is the first): doubled each time, half of them by chance.

    By chance, so that calls that failed together do not come again together.
    """
    return min(LONGEST_BACKOFF, backoff * 2.0 ** (retry - 1)) * random.uniform(0.5, 1.0)
