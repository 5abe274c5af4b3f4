"""A repository on the Hub to publish to: its visibility, and uploads of a folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fashionedit.runtime.hub import hub_client, hub_failures, repository_name


@dataclass(frozen=True, slots=True)
class Publication:
    """What was sent, or would be: the size of every file by its path, and once sent, where it is and who sees it."""

    repository: str
    files: Mapping[str, int]
    url: str | None = None
    commit: str | None = None
    public: bool | None = None


class HubRepository:
    """A repository on the Hub; nothing is asked before a method is called.

    Every method raises ServiceError where there is no token, the token may not, or the Hub can't be reached.

    Args:
        id: `org/name`.
        kind: `dataset` or `space`.

    Raises:
        InvalidDataError: The name can't be one of a repository.
    """

    def __init__(self, id: str, kind: Literal["dataset", "space"]) -> None:
        self.id = repository_name(id)
        self._kind = kind
        self._what = f"the {kind} repository"
        self._api = hub_client()
        self._token_works = False

    def is_public(self) -> bool | None:
        """Returns whether everybody can see the repository; None where it does not exist."""
        from huggingface_hub.errors import RepositoryNotFoundError

        with hub_failures("look at", self.id, self._what):
            if not self._token_works:
                self._api.whoami()  # says by itself that there is no token, or a wrong one
                self._token_works = True
            try:
                return not self._api.repo_info(self.id, repo_type=self._kind).private
            except RepositoryNotFoundError:
                return None

    def create(self) -> None:
        """Creates the repository, for its owners to see; one that is there stays as it is."""
        options: dict[str, Any] = {"space_sdk": "gradio"} if self._kind == "space" else {}
        with hub_failures("create", self.id, self._what):
            self._api.create_repo(self.id, repo_type=self._kind, private=True, exist_ok=True, **options)

    def upload(
        self,
        folder: Path,
        files: Mapping[str, int],
        *,
        message: str,
        replaces: Sequence[str],
        public: bool,
        branch: str | None = None,
    ) -> Publication:
        """Sends files of the folder, those of `files`; what the repository holds already is not sent again.

        Files there that match `replaces` and are not sent go. The branch is created where it does not exist.
        """
        if branch is not None:
            with hub_failures("change", self.id, self._what):
                self._api.create_branch(self.id, branch=branch, repo_type=self._kind, exist_ok=True)
        with hub_failures("write to", self.id, self._what):
            done = self._api.upload_folder(
                repo_id=self.id,
                folder_path=folder,
                repo_type=self._kind,
                allow_patterns=[re.sub(r"([*?\[])", r"[\1]", name) for name in files],  # each matches one name alone
                delete_patterns=list(replaces),
                commit_message=message,
                revision=branch,
            )
        if public:
            with hub_failures("change", self.id, self._what):
                self._api.update_repo_settings(self.id, repo_type=self._kind, private=False)
        url = f"{self._api.endpoint}/{self._kind}s/{self.id}"
        return Publication(self.id, files, url, str(done.oid), bool(self.is_public()))
