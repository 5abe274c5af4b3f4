"""The official OpenAI client, for OpenAI and for every server that speaks like it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fashionedit.errors import InvalidDataError, MissingExtraError, ServiceError

from . import http_clients
from .failures import Failure, Problem, Service, one_line
from .http_clients import check_url
from .limiter import ServiceReply

if TYPE_CHECKING:
    from openai import OpenAI

DEFAULT_URL = "https://api.openai.com/v1"
_KEY = "OPENAI_API_KEY"
_LONGEST_CHECK = 10.0  # seconds
_NEVER_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "ServiceError"}


def open_client(*, base_url: str | None, timeout: float) -> OpenAI:
    """Returns the client, to be closed, which retries nothing. The key is read from `OPENAI_API_KEY`.

    Without a base URL it is `OPENAI_BASE_URL`, else OpenAI. A service of the user's own without a key is sent one that
    means nothing.

    Raises:
        MissingExtraError: The client is not installed.
        ServiceError: There is no key, and the service is not one of the user's own.
    """
    try:
        import openai
    except ImportError as error:
        raise MissingExtraError("openai", "openai") from error
    key = os.environ.get(_KEY, "").strip()
    place = base_url or os.environ.get("OPENAI_BASE_URL") or None
    if place is not None:
        check_url(place, "base URL")
    if not key and place is None:
        raise ServiceError(f"there is no key; set {_KEY}, or name a service of your own with --base-url")
    return openai.OpenAI(
        api_key=key or "none",
        base_url=place,
        timeout=timeout,
        max_retries=0,
        http_client=http_clients.open_client(
            openai.DefaultHttpxClient, place or DEFAULT_URL, seconds=timeout, timeout=timeout
        ),
    )


def check_service(service: Service, *, base_url: str | None, timeout: float, reach: bool = True) -> None:
    """Returns unless it is certain that no call can succeed; costs nothing, as only the model's name is looked up.

    A service that answers otherwise than with this key's or this model's refusal may work, so that it passes. It is
    waited for 10 seconds at most. Without `reach`, one that can't be reached passes too.

    Raises:
        MissingExtraError: The client is not installed.
        ServiceError: There is no key or a wrong one, the service does not have the model, or can't be reached.
    """
    seconds = min(timeout, _LONGEST_CHECK)
    with open_client(base_url=base_url, timeout=seconds) as client:
        try:
            client.models.retrieve(service.model)
        except call_errors() as error:
            problem = call_problem(error, url=service_url(base_url), timeout=seconds)
            if problem.failure in (Failure.NO_KEY, Failure.NO_MODEL, Failure.NO_QUOTA):
                raise problem.stop(service) from error
            if reach and problem.failure is Failure.NO_CONNECTION and not may_have_cost(error):
                raise ServiceError(f"{problem.sentence(service)}; check {service.address} and the network") from error


def call_problem(error: Exception, *, url: str, timeout: float) -> Problem:
    """Returns what an exception of the client means; the one reading for edits, drafts and analyses.

    Raises:
        ServiceError: The address given points elsewhere.
        Exception: The error itself, where it is not one of the client's: that is a bug.
    """
    import openai

    if (problem := http_clients.call_problem(error, url=url, timeout=timeout)) is not None:
        return problem
    if isinstance(error, openai.APIResponseValidationError | ValueError):
        return Problem(Failure.MALFORMED, message=one_line(str(error)))
    raise error


def call_errors() -> tuple[type[Exception], ...]:
    """Returns what a call may raise and `call_problem` reads."""
    import openai

    return openai.OpenAIError, InvalidDataError, OSError


def reply_of(error: Exception) -> ServiceReply | None:
    """Returns what a failed call's answer said about the service's limits, None where nothing was answered."""
    response = getattr(error, "response", None)
    return None if response is None else ServiceReply.of(response)


def may_have_cost(error: Exception) -> bool:
    """Returns whether a failed call may have been paid for: it was sent, and no error was answered."""
    if getattr(error, "response", None) is not None:
        return False
    return type(error.__cause__).__name__ not in _NEVER_SENT


def service_url(base_url: str | None) -> str:
    """Returns where the service is."""
    return base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL


def service_host(base_url: str | None) -> str:
    """Returns the host of a service, for messages."""
    return urlsplit(service_url(base_url)).hostname or "the service"
