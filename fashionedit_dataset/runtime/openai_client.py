"""The official OpenAI client, for OpenAI and for every server that speaks like it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fashionedit.errors import MissingExtraError, ServiceError

if TYPE_CHECKING:
    from openai import OpenAI

DEFAULT_URL = "https://api.openai.com/v1"
_KEY = "OPENAI_API_KEY"


def open_client(
    *, base_url: str | None, timeout: float, max_retries: int, hooks: Mapping[str, list[Any]] | None = None
) -> OpenAI:
    """Returns the client, to be closed. The key is read from `OPENAI_API_KEY` and goes nowhere else.

    Args:
        base_url: Where the service is; `OPENAI_BASE_URL`, else OpenAI. Without a key, one is sent that means nothing.
        timeout: Of one try, s.
        max_retries: How often the client asks again by itself.
        hooks: Called with each request (`request`) and answer (`response`) on the wire.

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
    if not key and place is None:
        raise ServiceError(f"there is no key; set {_KEY}, or name a service of your own with --base-url")
    return openai.OpenAI(
        api_key=key or "none",
        base_url=place,
        timeout=timeout,
        max_retries=max_retries,
        http_client=openai.DefaultHttpxClient(event_hooks=dict(hooks or {}), timeout=timeout),
    )


def service_host(base_url: str | None) -> str:
    """Returns the host of a service, for messages."""
    return urlsplit(base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL).hostname or "the service"
