"""The Hugging Face Hub as a service: its client, names of repositories, and its failures as one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import requires
from typing import TYPE_CHECKING

from fashionedit.errors import FashionEditError, InvalidDataError, ServiceError, UnknownNameError

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
def hub_failures(doing: str, repository: str, what: str = "the dataset repository") -> Iterator[None]:
    """Puts what the Hub's client raises into one sentence.

    Args:
        doing: A verb, as in "the token may not DOING WHAT org/name".
        repository: Its name, `org/name`.
        what: What it is, in words.

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
        raise ServiceError(_sentence(doing, repository, f"{what} {repository}", _status(error), error)) from error


def _sentence(doing: str, repository: str, what: str, status: int | None, error: BaseException) -> str:
    if status == 401:
        return "the Hub does not know the token; run `hf auth login`, or set $HF_TOKEN to a valid one"
    if status in (403, 404):
        return f"the token may not {doing} {what}; give one with write access to {repository.partition('/')[0]}"
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


@contextmanager
def download_failures(
    repository: str, revision: str | None, failure: type[FashionEditError] = ServiceError, *, instead: str
) -> Iterator[None]:
    """Puts what a download from the Hub raises into one sentence.

    Args:
        repository: Its name.
        revision: What of it was asked for.
        failure: The class of the error where it can't be had.
        instead: What else a user can do, such as "give a folder that holds it".

    Raises:
        UnknownNameError: The name can't be one of a repository.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except FashionEditError:
        raise
    except HFValidationError as error:
        raise UnknownNameError(f"{repository!r} can't be the name of a repository ({error})") from error
    except GatedRepoError as error:
        raise failure(
            f"{repository} is gated; accept its licence on https://huggingface.co/{repository}, then log in with: "
            "hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise failure(
            f"the Hub has no repository {repository}, or it is private; check the name, or log in with: hf auth login"
        ) from error
    except RevisionNotFoundError as error:
        raise failure(f"{repository} has no revision {revision!r}; check the name") from error
    except (HfHubHTTPError, OSError) as error:  # no network, offline mode, or the Hub is down
        name = repository if revision is None else f"{repository}@{revision}"
        raise failure(
            f"{name} is not on this machine and can't be fetched ({type(error).__name__}); connect to the Hub once, or "
            f"{instead}"
        ) from error


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


def space_requirements(*extras: str) -> list[str]:
    """Returns what a Space with the package's own code installs, by the package's metadata; Gradio is the Space's own.

    Args:
        extras: The extras that it needs, beside what the package always needs.
    """
    from packaging.requirements import Requirement

    environments = [{"extra": extra} for extra in ("", *extras)]
    needed = {
        (requirement.name, str(requirement.specifier))
        for requirement in map(Requirement, requires("fashionedit") or ())
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments))
    }
    return sorted(f"{name}{specifier}" for name, specifier in needed if name != "gradio")
