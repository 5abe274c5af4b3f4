"""A repository on the Hub as something to publish to: who we are, who can see it, and an upload of a folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fashionedit.runtime.hub import hub_client, hub_failures, repository_name

if TYPE_CHECKING:
    from huggingface_hub import HfApi


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
        self.id = repository_name(id)
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
        return hub_client(self._token)

    def _sentences(self, doing: str) -> AbstractContextManager[None]:
        return hub_failures(doing, f"the {self._kind} repository {self.id}", self.id.partition("/")[0])


def _literally(name: str) -> str:
    """Returns a pattern that this name alone matches."""
    return re.sub(r"([*?\[])", r"[\1]", name)
