"""What an answer that is no success means, in the words of the services that give it."""

from __future__ import annotations

import re
from enum import StrEnum

from . import secrets


class Failure(StrEnum):
    """What became of a call; the first five hold for every further call as well."""

    NO_KEY = "no key"
    NO_QUOTA = "no quota"
    FORBIDDEN = "forbidden"
    NO_MODEL = "no such model"
    NO_ADDRESS = "no such address"
    REFUSED = "refused"
    RATE_LIMITED = "rate limited"
    SERVER_ERROR = "server error"
    REJECTED = "request rejected"

    @property
    def final(self) -> bool:
        """Whether no further call is worth making."""
        return self in (
            Failure.NO_KEY,
            Failure.NO_QUOTA,
            Failure.FORBIDDEN,
            Failure.NO_MODEL,
            Failure.NO_ADDRESS,
        )

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed a little later."""
        return self in (Failure.RATE_LIMITED, Failure.SERVER_ERROR)


_NO_QUOTA = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "access_terminated",
    "insufficient_balance",
}
_FILTERED = {
    "content_filter",
    "content_policy_violation",
    "moderation_blocked",
    "safety_violation",
    "nsfw",
    "nsfw_content_detected",
}
_FILTERED_WORDS = re.compile(
    r"safety system|content (policy|filter|moderation)|moderation|nsfw|flagged as (sensitive|unsafe)", re.I
)
_GONE = {"model_not_found", "model_decommissioned", "deprecated_model", "model_deprecated", "deploymentnotfound"}
_GONE_WORDS = re.compile(
    r"model.*(does not exist|not found|deprecated|decommissioned|shut ?down|retired|no longer)", re.I | re.S
)
_LONGEST = 300


def failure_of(status: int, code: str | None = None, message: str = "") -> Failure:
    """Returns what an HTTP status from 400 on and a service's own code and sentence mean.

    Args:
        status: Of HTTP.
        code: The service's word for the error, such as `moderation_blocked`.
        message: The service's sentence.

    >>> failure_of(429).passing, failure_of(429, "insufficient_quota").final, failure_of(400, "moderation_blocked")
    (True, True, <Failure.REFUSED: 'refused'>)
    """
    code = (code or "").lower()
    if status == 401:
        return Failure.NO_KEY
    if status == 402 or code in _NO_QUOTA or "exceeded your current quota" in message:
        return Failure.NO_QUOTA
    if code in _GONE or (status in (400, 404, 410) and _GONE_WORDS.search(message)):
        return Failure.NO_MODEL
    if code in _FILTERED or (status in (400, 403, 422, 451) and _FILTERED_WORDS.search(message)):
        return Failure.REFUSED
    if status == 403:
        return Failure.FORBIDDEN
    if status in (404, 405, 410):
        return Failure.NO_ADDRESS
    if status == 429:
        return Failure.RATE_LIMITED
    if status >= 500 or status in (408, 409, 425):
        return Failure.SERVER_ERROR
    return Failure.REJECTED


def masked(text: str) -> str:
    """Returns a service's words as a message: on one line, shortened, without secrets, escape codes or addresses."""
    text = secrets.masked(" ".join(secrets.clean(text).split()))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
