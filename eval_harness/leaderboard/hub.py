"""Reads and writes the Hub: pull requests, the bundles of a results repository, the Hub's own leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.eval_harness.scores.results import readable_json
from fashionedit.files import parse_model, read_regular, write_atomically
from fashionedit.runtime.hub import hub_client, hub_failures, repository_name

from .bundle import BUNDLE_FILE, LARGEST, SUBMISSIONS, Bundle

if TYPE_CHECKING:
    from huggingface_hub import EvalResultEntry, HfApi


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pull request as it is now.

    Args:
        url: Its page; the repository's own where the files are there already.
        state: `opened`, `changed`, `unchanged` (it is open with these very files), or `merged` (the files are there).
    """

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
    """A repository to which others may send files for its owners to take; a token that may read it is enough.

    Raises:
        InvalidDataError: The name can't be one of a repository.
    """

    def __init__(self, id: str, kind: Literal["model", "dataset"], *, token: str | None = None) -> None:
        self.id = repository_name(id)
        self._kind = kind
        self._what = f"the {kind} repository"
        self._api: HfApi = hub_client(token)

    @cached_property
    def user(self) -> str:
        """The Hub's name of who sends.

        Raises:
            ServiceError: There is no token or a wrong one, or the Hub can't be reached.
        """
        with hub_failures("open a pull request on", self.id, self._what):
            return str(self._api.whoami()["name"])

    def check(self) -> None:
        """Checks that the repository is there.

        Raises:
            InvalidDataError: It is not, or the token may not see it.
            ServiceError: The Hub can't be reached.
        """
        from huggingface_hub.errors import RepositoryNotFoundError

        with hub_failures("look at", self.id, self._what):
            try:
                self._api.repo_info(self.id, repo_type=self._kind)
            except RepositoryNotFoundError as error:
                raise InvalidDataError(
                    f"the Hub has no {self._kind} repository {self.id}, or the token may not see it; check the name"
                ) from error

    def propose(
        self, title: str, path: str, content_for: Callable[[bytes | None], bytes], description: str
    ) -> Proposal:
        """Returns the pull request with this file: the sender's own of this title where one is open, else a new one.

        Args:
            title: What tells this request from others.
            content_for: Gives the content, from what the repository, or the open request, holds there.
            description: The first words of a new request.

        Raises:
            ServiceError: There is no token, it may not, or the Hub can't be reached.
        """
        from huggingface_hub import CommitOperationAdd

        number = self._open_request(title)
        revision = f"refs/pr/{number}" if number is not None else "main"
        with hub_failures("open a pull request on", self.id, self._what):
            existing = self._content(path, revision)
            content = content_for(existing)
            if content == existing:
                return Proposal(self._page(number), "merged" if number is None else "unchanged")
            done = self._api.create_commit(
                self.id,
                [CommitOperationAdd(path, content)],
                commit_message=title,
                commit_description=description if number is None else "",
                repo_type=self._kind,
                revision=revision,
                create_pr=number is None,
            )
        if number is not None:
            return Proposal(self._page(number), "changed")
        return Proposal(str(done.pr_url), "opened")

    def _open_request(self, title: str) -> int | None:
        user = self.user
        with hub_failures("look at the pull requests of", self.id, self._what):
            found = self._api.get_repo_discussions(
                self.id, author=user, discussion_type="pull_request", discussion_status="open", repo_type=self._kind
            )
            mine = [one for one in found if one.is_pull_request and (one.author, one.title) == (user, title)]
        return max((one.num for one in mine if one.status in ("open", "draft")), default=None)

    def _content(self, path: str, revision: str) -> bytes | None:
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            return Path(self._api.hf_hub_download(self.id, path, repo_type=self._kind, revision=revision)).read_bytes()
        except LocalEntryNotFoundError:  # the Hub was not reached
            raise
        except EntryNotFoundError:
            return None

    def _page(self, number: int | None) -> str:
        home = f"{self._api.endpoint}/{'' if self._kind == 'model' else f'{self._kind}s/'}{self.id}"
        return home if number is None else f"{home}/discussions/{number}"


VERIFIED_FILE = "verified.json"
"""In the results repository: the checksum of each bundle whose scores its owners computed again, by its place."""

_MOST_BUNDLES = 5_000


@dataclass(frozen=True, slots=True)
class SubmittedBundle:
    """A bundle in a results repository.

    Args:
        place: Its folder there, such as `submissions/org/name/detail-images`.
        verified: The checksum that its owners noted, if any.
    """

    place: str
    folder: Path
    verified: str | None


class _Verified(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    verified: dict[str, str] = {}


def fetch_bundles(repository: str, revision: str | None = None, *, token: str | None = None) -> Path:
    """Returns the folder with the bundles of a results repository, in the Hub's own cache.

    Files that no bundle has, or that are larger than a bundle's may be, are not fetched.

    Raises:
        DatasetNotFoundError: There is no such repository.
        InvalidDataError: The name can't be one, or it holds no bundle.
        ServiceError: The Hub can't be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    name = repository_name(repository)
    api = hub_client(token)
    with hub_failures("read", name):
        try:
            info = api.dataset_info(name, revision=revision, files_metadata=True)
            wanted = [
                file.rfilename
                for file in info.siblings or ()
                if _is_wanted(file.rfilename) and (file.size is None or file.size <= LARGEST)
            ]
            if not wanted:
                raise InvalidDataError(f"{name} holds no bundle yet; send one with: fashionedit submit RUN")
            return Path(
                snapshot_download(name, repo_type="dataset", revision=info.sha, token=token, allow_patterns=wanted)
            )
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            raise DatasetNotFoundError(
                f"the Hub has no dataset repository {name}, or the token may not see it; check --repo"
            ) from error


def _is_wanted(path: str) -> bool:
    parts = path.split("/")
    inside = len(parts) == 5 and parts[0] == SUBMISSIONS and parts[-1] == BUNDLE_FILE
    return path == VERIFIED_FILE or (inside and not set(path) & set("*?["))


def find_bundles(folder: Path) -> list[SubmittedBundle]:
    """Returns the bundles below `submissions/` of a folder, sorted by their place.

    Raises:
        InvalidDataError: There is no such folder, or its `verified.json` can't be read.
    """
    if not folder.is_dir():
        raise InvalidDataError(f"{folder} is no folder; give a results repository, or a folder with a copy of one")
    verified = _read_verified(folder / VERIFIED_FILE).verified
    found = sorted(path.parent for path in (folder / SUBMISSIONS).glob(f"*/*/*/{BUNDLE_FILE}"))
    if len(found) > _MOST_BUNDLES:
        raise InvalidDataError(f"{folder} holds {len(found):,} bundles; at most {_MOST_BUNDLES:,} are read")
    places = [path.relative_to(folder).as_posix() for path in found]
    return [SubmittedBundle(place, path, verified.get(place)) for place, path in zip(places, found, strict=True)]


def mark_verified(path: Path, bundle: Bundle) -> None:
    """Notes in a `verified.json` that the scores of this bundle were computed again.

    Raises:
        InvalidDataError: The file is there and can't be read.
    """
    kept = _read_verified(path).verified | {bundle.place: bundle.checksum}
    write_atomically(path, readable_json(_Verified(verified=kept).model_dump()).encode())


def _read_verified(path: Path) -> _Verified:
    try:
        return parse_model(_Verified, read_regular(path, folder=path.parent), name=str(path))
    except FileNotFoundError:
        return _Verified()
    except (InvalidDataError, OSError) as error:
        raise InvalidDataError(f"{path} can't be understood; restore it, or delete it to begin anew") from error


HubState = Literal["verified", "merged", "community", "differs"]
"""How the Hub has the number: verified there, in the model's repository, in an open request, or with another value."""


@dataclass(frozen=True, slots=True)
class HubEntry:
    """One number of one model on the Hub."""

    model: str
    task: str
    value: float
    state: HubState


def hub_entries(repository: str, *, token: str | None = None) -> list[HubEntry] | None:
    """Returns every number that the Hub has for the benchmark, fine-tuned models included; None without a leaderboard.

    The Hub's leaderboard tells models, values and marks, and not which task a value is of; that is read from the files
    of each model, and of its open pull requests.

    Raises:
        ServiceError: The Hub can't be reached.
    """
    from huggingface_hub.errors import HfHubHTTPError

    api = hub_client(token)
    with hub_failures("read", repository, "the leaderboard of"):
        try:
            listed = api.get_dataset_leaderboard(repository, base_model_only=False)
        except HfHubHTTPError as error:
            if error.response is not None and error.response.status_code in (400, 404):
                return None
            raise
        # by model and pull request: each value, and whether it is verified
        verified: dict[tuple[str, int | None], dict[float, bool]] = {}
        for one in listed:
            values = verified.setdefault((one.model_id, one.pull_request), {})
            values[one.value] = values.get(one.value, False) or bool(one.verified)
        entries = []
        for (model, number), values in verified.items():
            unverified: HubState = "merged" if number is None else "community"
            for entry in _entries(api, model, number):
                value = entry.value
                if entry.dataset_id == repository and value in values and isinstance(value, int | float):
                    state = "verified" if values[value] else unverified
                    entries.append(HubEntry(model, str(entry.task_id), float(value), state))
        return entries


def _entries(api: HfApi, model: str, number: int | None) -> list[EvalResultEntry]:
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    revision = None if number is None else f"refs/pr/{number}"
    try:
        return list(api.model_info(model, revision=revision, expand=["evalResults"]).eval_results or ())
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return []  # gone since, or closed to this token
