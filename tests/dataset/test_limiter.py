from __future__ import annotations

import email.utils
import threading
import time

import pytest

from fashionedit.errors import ServiceError
from fashionedit.runtime.limiter import LONGEST_PAUSE, Limiter, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360),
        ("1s", 1),
        ("12ms", 0.012),
        ("1h2m3.5s", 3723.5),
        ("0.25", 0.25),
        ("-1", None),
        ("x", None),
        ("", None),
    ],
)
def test_durations_as_services_write_them(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == (None if seconds is None else pytest.approx(seconds))
    assert seconds_of(None) is None


def waited(limiter: Limiter) -> float:
    start = time.monotonic()
    limiter.before_sending()
    return time.monotonic() - start


def waited_after(limiter: Limiter, status: int, headers: dict[str, str]) -> float:
    start = time.monotonic()
    limiter.after_answer(status, headers)
    limiter.before_sending()
    return time.monotonic() - start


@pytest.mark.parametrize(
    "headers", [{"retry-after": "1"}, {"retry-after-ms": "1000"}, {"retry-after-ms": "x", "retry-after": "1"}]
)
def test_a_pause_is_kept_by_everybody(headers: dict[str, str]) -> None:
    limiter = Limiter(4)
    assert 1 <= waited_after(limiter, 429, headers) < 30
    assert waited(limiter) < 0.9


def test_a_pause_may_be_given_as_a_date() -> None:
    limiter = Limiter(4)
    limiter.after_answer(503, {"retry-after": email.utils.formatdate(time.time() + 3600 * 5, usegmt=True)})
    with pytest.raises(ServiceError, match=r"a pause of (4\.9|5\.0) hours; run the same command again"):
        limiter.before_sending()
    limiter = Limiter(4)
    limiter.after_answer(503, {"retry-after": "tomorrow"})
    limiter.after_answer(200, {"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "9s"})
    assert waited(limiter) < 9


def test_a_bucket_refills_at_the_rate_that_its_headers_imply() -> None:
    limiter = Limiter(4)
    spent = {"limit": "100", "remaining": "0", "reset": "8s"}
    headers = {f"x-ratelimit-{name}-requests": value for name, value in spent.items()}
    assert 0.08 <= waited_after(limiter, 200, headers) < 7  # as long as one more takes, not until all are there
    tokens = {"limit": "20", "remaining": "0", "reset": "6s"}
    headers = {f"x-ratelimit-{name}-tokens": value for name, value in tokens.items()}
    assert 0.3 <= waited_after(limiter, 200, headers) < 5
    unknown = Limiter(4)
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1"}
    assert 1 <= waited_after(unknown, 200, headers) < 30
    assert waited(unknown) < 0.9


def test_a_429_halves_once_and_answers_bring_it_back() -> None:
    limiter = Limiter(8)
    for _ in range(5):
        limiter.after_answer(429, {"retry-after": "60"})
    assert limiter.allowed == 4
    for _ in range(4):
        limiter.after_answer(200, {})
    assert limiter.allowed == 5
    for _ in range(100):
        limiter.after_answer(200, {})
    assert limiter.allowed == 8


def test_a_pause_longer_than_anybody_waits_ends_the_stage() -> None:
    limiter = Limiter(1)
    limiter.after_answer(429, {"retry-after": str(LONGEST_PAUSE + 60)})
    with pytest.raises(ServiceError, match="a pause of 16 minutes"):
        limiter.before_sending()


def test_whoever_waits_is_told_when_it_stops() -> None:
    limiter = Limiter(1)
    limiter.after_answer(429, {"retry-after": "60"})
    told: list[str] = []

    def wait() -> None:
        try:
            limiter.before_sending()
        except ServiceError as error:
            told.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    limiter.stop(ServiceError("over"))
    waiting.join(60)
    assert told == ["over"]
    with pytest.raises(ServiceError, match="over"):
        limiter.before_sending()
