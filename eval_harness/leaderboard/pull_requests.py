"""Pull requests on the Hub: opened once, changed when there is something new, left alone when there is not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fashionedit.errors import InvalidDataError
from fashionedit.runtime.hub import hub_client, hub_failures, repository_name

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pull request as it is now.

    Args:
        url: Its page; the repository's own where the files are there already.
        state: `opened`, `changed`, `unchanged` (it is open with these very files), or `merged` (the files are there).
    """

    repository: str
    url: str
    state: Literal["opened", "changed", "unchanged", "merged"]

    @property
    def sentence(self) -> str:
        """What was done, in words."""
        return {
            "opened": "a pull request was opened",
            "changed": "the open pull request was changed",
            "unchanged": "the open pull request holds these very files; nothing was changed",
            "merged": "the repository holds these very files; nothing was sent",
        }[self.state]


class HubInbox:
    """A repository to which others may send files for its owners to take.

    Args:
        id: `org/name`.
        kind: `model` or `dataset`.
        token: For the Hub; by default the one that this machine is logged in with. Reading it is enough of a right.

    Raises:
        InvalidDataError: The name can't be one of a repository.
    """

    def __init__(self, id: str, kind: Literal["model", "dataset"], *, token: str | None = None) -> None:
        self.id = repository_name(id)
        self._kind = kind
        self._api: HfApi = hub_client(token)

    @cached_property
    def user(self) -> str:
        """The Hub's name of who sends.

        Raises:
            ServiceError: There is no token or a wrong one, or the Hub can't be reached.
        """
        with self._failures("open a pull request on"):
            return str(self._api.whoami()["name"])

    def check(self) -> None:
        """Returns if the repository is there.

        Raises:
            InvalidDataError: It is not, or the token may not see it.
            ServiceError: The Hub can't be reached.
        """
        from huggingface_hub.errors import RepositoryNotFoundError

        with self._failures("look at"):
            try:
                self._api.repo_info(self.id, repo_type=self._kind)
            except RepositoryNotFoundError as error:
                raise InvalidDataError(
                    f"the Hub has no {self._kind} repository {self.id}, or the token may not see it; check the name"
                ) from error

    def propose(
        self, title: str, files: Callable[[Callable[[str], bytes | None]], Mapping[str, bytes]], description: str
    ) -> Proposal:
        """Returns the pull request with these files: mine of this title where one is open, else a new one.

        Args:
            title: What tells this request from others.
            files: Gives the content by path; told how to read what the repository, or the open request, holds there.
            description: The first words of a new request.

        Raises:
            ServiceError: There is no token, it may not, or the Hub can't be reached.
        """
        from huggingface_hub import CommitOperationAdd

        number = self._open_request(title)
        revision = f"refs/pr/{number}" if number is not None else "main"
        with self._failures("open a pull request on"):
            wanted = files(lambda path: self._content(path, revision))
            changed = {path: content for path, content in wanted.items() if not self._is(path, content, revision)}
            if not changed:
                return Proposal(self.id, self._page(number), "merged" if number is None else "unchanged")
            done = self._api.create_commit(
                self.id,
                [CommitOperationAdd(path, content) for path, content in sorted(changed.items())],
                commit_message=title,
                commit_description=description if number is None else "",
                repo_type=self._kind,
                revision=revision,
                create_pr=number is None,
            )
        if number is not None:
            return Proposal(self.id, self._page(number), "changed")
        return Proposal(self.id, str(done.pr_url), "opened")

    def _open_request(self, title: str) -> int | None:
        user = self.user
        with self._failures("look at the pull requests of"):
            found = self._api.get_repo_discussions(
                self.id, author=user, discussion_type="pull_request", discussion_status="open", repo_type=self._kind
            )
            numbers = [
                one.num
                for one in found
                if one.is_pull_request and one.status in ("open", "draft") and one.author == user and one.title == title
            ]
        return max(numbers, default=None)

    def _content(self, path: str, revision: str) -> bytes | None:
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            return Path(self._api.hf_hub_download(self.id, path, repo_type=self._kind, revision=revision)).read_bytes()
        except LocalEntryNotFoundError:  # the Hub was not reached
            raise
        except EntryNotFoundError:
            return None

    def _is(self, path: str, content: bytes, revision: str) -> bool:
        """Says whether the repository holds this very content, without fetching it."""
        found: list[Any] = self._api.get_paths_info(self.id, [path], repo_type=self._kind, revision=revision)
        if not found or getattr(found[0], "size", None) != len(content):
            return False
        large = getattr(found[0], "lfs", None)
        if large is not None:
            return bool(large.sha256 == hashlib.sha256(content).hexdigest())
        return bool(found[0].blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest())

    def _page(self, number: int | None) -> str:
        home = f"{self._api.endpoint}/{'' if self._kind == 'model' else f'{self._kind}s/'}{self.id}"
        return home if number is None else f"{home}/discussions/{number}"

    def _failures(self, doing: str) -> Any:
        return hub_failures(doing, f"the {self._kind} repository {self.id}", self.id.partition("/")[0])
