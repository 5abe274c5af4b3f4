"""One limiter for all calls: what the service says about its limits holds for every worker at once."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

from fashionedit.errors import ServiceError

LONGEST_PAUSE = 900.0
"""The longest pause that a run waits for, s. A service that asks for a longer one ends the run; the next continues it.
"""
UNTOLD_PAUSE = 1.0
"""The pause after a 429 that names none, s: so short that little is lost, and each further 429 renews it."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")


@dataclass(frozen=True, slots=True)
class ServiceReply:
    """What a service's answer said about its limits.

    Args:
        status: Of HTTP.
        headers: With names in lower case; `retry-after` and `x-ratelimit-…` are read, the rest may be left out.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, response: Any) -> ServiceReply:
        """Returns what a response of httpx, or of a client that is built on it, says."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        return cls(
            response.status_code,
            {name: value for name, value in headers.items() if name.startswith(("retry-after", "x-ratelimit-"))},
        )


class Limiter:
    """Holds calls back: none while the service wants a pause, and no more at once than it allows.

    - `retry-after` (and `retry-after-ms`) of a 429 or 503 pauses everybody.
    - `x-ratelimit-limit-*`, `-remaining-*` and `-reset-*` fill two buckets, of requests and of tokens, that every call
      takes from, and that refill at the rate which the headers imply.
    - A 429 halves the calls that may be under way; as many answers in a row as that add one again.

    Args:
        concurrency: Calls under way at the same time, at most.
    """

    def __init__(self, concurrency: int) -> None:
        self._most = concurrency
        self._allowed = concurrency
        self._changed = Condition()
        self._answered = 0
        self._resume_at = 0.0
        self._halved_at = -math.inf
        self._stopped: BaseException | None = None
        self._requests = _Bucket()
        self._tokens = _Bucket()

    @property
    def allowed(self) -> int:
        """How many calls may be under way just now."""
        return self._allowed

    def before_sending(self) -> None:
        """Waits until the service's limits let one more request through; to be called for retries too.

        Raises:
            ServiceError: The service wants a longer pause than `LONGEST_PAUSE`, or `stop` was called.
        """
        with self._changed:
            while True:
                self._raise_if_stopped()
                now = time.monotonic()
                pause = max(self._resume_at - now, self._requests.wait(1.0, now), self._tokens.wait(1.0, now))
                if pause <= 0:
                    self._requests.take(1.0, now)
                    self._tokens.take(1.0, now)
                    return
                if pause > LONGEST_PAUSE:
                    raise ServiceError(
                        f"the service wants a pause of {_in_words(pause)}; run the same command again then, and it "
                        "continues"
                    )
                self._changed.wait(pause)

    def after_answer(self, status: int, headers: Mapping[str, str]) -> None:
        """Takes in what an answer says about the limits, whatever its status."""
        with self._changed:
            now = time.monotonic()
            self._requests.read(headers, "requests", now)
            self._tokens.read(headers, "tokens", now)
            if status == 429 or (status == 503 and _retry_after(headers) is not None):
                pause = _retry_after(headers)
                self._resume_at = max(self._resume_at, now + (UNTOLD_PAUSE if pause is None else pause))
                if now >= self._halved_at:  # all that were sent before the pause are one and the same overload
                    self._allowed = max(1, self._allowed // 2)
                    self._halved_at = self._resume_at
                self._answered = 0
            elif status < 300:
                self._answered += 1
                if self._answered >= self._allowed < self._most:
                    self._allowed, self._answered = self._allowed + 1, 0
            self._changed.notify_all()

    def stop(self, error: BaseException) -> None:
        """Lets no further request through: whoever waits, or comes, gets the error. The first one counts."""
        with self._changed:
            self._stopped = self._stopped or error
            self._changed.notify_all()

    def _raise_if_stopped(self) -> None:
        if self._stopped is not None:
            raise self._stopped


@dataclass(slots=True)
class _Bucket:
    """What is left of one limit; it refills at the rate that the last headers imply."""

    limit: float = math.inf
    left: float = math.inf
    rate: float = 0.0  # a second, where the limit is known
    full_at: float = -math.inf  # where it is not
    at: float = 0.0

    def read(self, headers: Mapping[str, str], kind: str, now: float) -> None:
        left = _number(headers.get(f"x-ratelimit-remaining-{kind}"))
        reset = seconds_of(headers.get(f"x-ratelimit-reset-{kind}"))
        if left is None or left < 0 or reset is None:  # Azure says -1 where it does not know
            return
        limit = _number(headers.get(f"x-ratelimit-limit-{kind}"))
        self.limit = max(limit, left) if limit is not None and limit > 0 else math.inf
        self.left, self.at, self.full_at = left, now, now + reset
        # The reset is when the bucket is full again, not when one more call fits in.
        self.rate = (self.limit - left) / max(reset, 1e-3) if math.isfinite(self.limit) else 0.0

    def wait(self, wanted: float, now: float) -> float:
        wanted = min(wanted, self.limit)
        left = self._left(now)
        if left >= wanted:
            return 0.0
        if math.isinf(self.limit):
            return self.full_at - now
        return (wanted - left) / self.rate if self.rate > 0 else 0.0

    def take(self, wanted: float, now: float) -> None:
        self.left, self.at = max(0.0, self._left(now) - wanted), now

    def _left(self, now: float) -> float:
        if math.isinf(self.limit):
            return math.inf if now >= self.full_at else self.left
        return min(self.limit, self.left + self.rate * (now - self.at))


def seconds_of(text: str | None) -> float | None:
    """Returns the seconds of a duration as these headers write it; None where it is none.

    >>> seconds_of("6m0s"), seconds_of("12ms"), seconds_of("1.5"), seconds_of("soon")
    (360.0, 0.012, 1.5, None)
    """
    if text is None:
        return None
    if (plain := _number(text)) is not None:
        return plain if plain >= 0 else None
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None and milliseconds >= 0:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = _number(text)
    if seconds is None:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _in_words(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.0f} minutes"
