"""A repository on the Hub as something to publish to: who we are, who can see it, and an upload of a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fashionedit.errors import InvalidDataError, ServiceError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["HubRepository", "Uploaded"]

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Where something is now.

    Args:
        url: The page of the repository.
        commit: The commit that holds what was sent.
    """

    url: str
    commit: str


class HubRepository:
    """A repository by its name, of which nothing is known yet.

    Args:
        id: `org/name`.
        kind: `dataset` or `space`.
        token: For the Hub; by default the one that this machine is logged in with. It is never written or shown.

    Raises:
        InvalidDataError: The name can't be one of a repository.
    """

    def __init__(self, id: str, kind: Literal["dataset", "space"], *, token: str | None = None) -> None:
        if not _NAME.fullmatch(id) or "--" in id or ".." in id or len(id) > 96:
            raise InvalidDataError(f"{id!r} is no name of a repository; write org/name or user/name")
        self.id = id
        self._kind = kind
        self._token = token
        self._known = False

    def is_public(self) -> bool | None:
        """Returns whether everybody can see the repository; None where it does not exist.

        Raises:
            ServiceError: There is no token or a wrong one, or the Hub can't be reached.
        """
        from huggingface_hub.errors import RepositoryNotFoundError

        with self._sentences("look at"):
            api = self._api()
            if not self._known:
                api.whoami()  # says by itself that there is no token, or a wrong one
                self._known = True
            try:
                return not api.repo_info(self.id, repo_type=self._kind).private
            except RepositoryNotFoundError:
                return None

    def create(self, *, private: bool) -> None:
        """Creates the repository; one that is there stays as it is.

        Raises:
            ServiceError: The token may not, or the Hub can't be reached.
        """
        options: dict[str, Any] = {"space_sdk": "gradio"} if self._kind == "space" else {}
        with self._sentences("create"):
            self._api().create_repo(self.id, repo_type=self._kind, private=private, exist_ok=True, **options)

    def show_to_everybody(self) -> None:
        """Makes the repository public.

        Raises:
            ServiceError: The token may not, or the Hub can't be reached.
        """
        with self._sentences("change"):
            self._api().update_repo_settings(self.id, repo_type=self._kind, private=False)

    def create_branch(self, name: str) -> None:
        """Creates a branch from the main one; one that is there stays as it is.

        Raises:
            ServiceError: The token may not, or the Hub can't be reached.
        """
        with self._sentences("change"):
            self._api().create_branch(self.id, branch=name, repo_type=self._kind, exist_ok=True)

    def upload(
        self,
        folder: Path,
        files: Sequence[str],
        *,
        message: str,
        replaces: Sequence[str] = (),
        revision: str | None = None,
    ) -> Uploaded:
        """Sends these files of the folder; what the repository holds already is not sent again.

        Args:
            folder: Where they are.
            files: By their paths in the folder, which are those in the repository.
            message: Of the commit.
            replaces: Patterns of files in the repository that go where they are not among `files`.
            revision: The branch; the main one by default.

        Raises:
            ServiceError: The token may not, or the Hub can't be reached; the same upload continues.
        """
        with self._sentences("write to"):
            done = self._api().upload_folder(
                repo_id=self.id,
                folder_path=folder,
                repo_type=self._kind,
                allow_patterns=[_literally(name) for name in files],
                delete_patterns=list(replaces) or None,
                commit_message=message,
                revision=revision,
            )
        prefix = f"{self._kind}s/"
        return Uploaded(f"{self._api().endpoint}/{prefix}{self.id}", str(done.oid))

    def _api(self) -> HfApi:
        from huggingface_hub import HfApi

        return HfApi(token=self._token, library_name="fashionedit")

    @contextmanager
    def _sentences(self, doing: str) -> Iterator[None]:
        """Puts what the Hub's client raises into one sentence."""
        from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

        # the client's own base class: of requests in older versions, of httpx in newer ones, and OSError in between
        connection: tuple[type[BaseException], ...] = (OSError, RuntimeError, ValueError, HfHubHTTPError.__mro__[1])
        try:
            yield
        except LocalTokenNotFoundError as error:
            raise ServiceError("no token for the Hub is known; run `hf auth login`, or set $HF_TOKEN") from error
        except OfflineModeIsEnabled as error:
            raise ServiceError("the Hub is switched off on this machine; unset $HF_HUB_OFFLINE") from error
        except connection as error:
            status = _status(error)
            raise ServiceError(self._sentence(doing, status, error)) from error

    def _sentence(self, doing: str, status: int | None, error: BaseException) -> str:
        what = f"the {self._kind} repository {self.id}"
        if status == 401:
            return "the Hub does not know the token; run `hf auth login`, or set $HF_TOKEN to a valid one"
        if status in (403, 404):
            return f"the token may not {doing} {what}; give one with write access to {self.id.partition('/')[0]}"
        if status == 409:
            return f"the Hub is busy with {what}; give the same command again in a minute"
        if status == 412:
            return f"somebody else has just changed {what}; give the same command again"
        if status == 429:
            return f"the Hub answers no more requests for now; later the same command continues with {what}"
        if status is None:
            reason = f"{what} ({_reason(error)})"
            return f"the Hub can't be reached to {doing} {reason}; check the network, the same command continues"
        return (
            f"the Hub answered {status} to an attempt to {doing} {what} ({_reason(error)}); the same command continues"
        )


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


def _literally(name: str) -> str:
    """Returns a pattern that this name alone matches."""
    return re.sub(r"([*?\[])", r"[\1]", name)
