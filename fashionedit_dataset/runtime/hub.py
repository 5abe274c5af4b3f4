"""The Hugging Face Hub as a service: its client, names of repositories, and its failures as one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fashionedit.errors import FashionEditError, InvalidDataError, ServiceError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

GRADIO = "6.31.0"
"""The version of gradio that Spaces are made for, and that they were tried with."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def repository_name(text: str) -> str:
    """Returns the name of a repository, `org/name`, as it was given.

    Raises:
        InvalidDataError: It can't be one.
    """
    if not _NAME.fullmatch(text) or "--" in text or ".." in text or len(text) > 96:
        raise InvalidDataError(f"{text!r} is no name of a repository; write org/name or user/name")
    return text


def hub_client(token: str | None = None) -> HfApi:
    """Returns the Hub's client.

    Args:
        token: By default the one that this machine is logged in with. It is never written or shown.
    """
    from huggingface_hub import HfApi

    return HfApi(token=token, library_name="fashionedit")


@contextmanager
def hub_failures(doing: str, what: str, owner: str) -> Iterator[None]:
    """Puts what the Hub's client raises into one sentence.

    Args:
        doing: A verb, as in "the token may not DOING WHAT".
        what: Such as "the dataset repository org/name".
        owner: Whose rights a token needs.

    Raises:
        ServiceError: In place of whatever was raised.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    # the client's own base class: of requests in older versions, of httpx in newer ones, and OSError in between
    connection: tuple[type[BaseException], ...] = (OSError, RuntimeError, ValueError, HfHubHTTPError.__mro__[1])
    try:
        yield
    except LocalTokenNotFoundError as error:
        raise ServiceError("no token for the Hub is known; run `hf auth login`, or set $HF_TOKEN") from error
    except OfflineModeIsEnabled as error:
        raise ServiceError("the Hub is switched off on this machine; unset $HF_HUB_OFFLINE") from error
    except FashionEditError:
        raise
    except connection as error:
        raise ServiceError(_sentence(doing, what, owner, _status(error), error)) from error


def _sentence(doing: str, what: str, owner: str, status: int | None, error: BaseException) -> str:
    if status == 401:
        return "the Hub does not know the token; run `hf auth login`, or set $HF_TOKEN to a valid one"
    if status in (403, 404):
        return f"the token may not {doing} {what}; give one with write access to {owner}"
    if status == 409:
        return f"the Hub is busy with {what}; give the same command again in a minute"
    if status == 412:
        return f"somebody else has just changed {what}; give the same command again"
    if status == 429:
        return f"the Hub answers no more requests for now; later the same command continues with {what}"
    if status is None:
        reason = f"{what} ({_reason(error)})"
        return f"the Hub can't be reached to {doing} {reason}; check the network, the same command continues"
    return f"the Hub answered {status} to an attempt to {doing} {what} ({_reason(error)}); the same command continues"


def _status(error: BaseException | None) -> int | None:
    """Returns the HTTP status behind an error, also where the client has wrapped it."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None and hasattr(response, "status_code"):
            return int(response.status_code)
        error = error.__cause__
    return None


def _reason(error: BaseException) -> str:
    """Returns the first line of what lies at the bottom: the client's own wrapping says no more than ours."""
    while error.__cause__ is not None and str(error.__cause__).strip():
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
