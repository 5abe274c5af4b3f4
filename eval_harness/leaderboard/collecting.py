"""The bundles of a results repository: fetched, each in its place, and which of them its owners verified."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.files import parse_model, read_regular, write_atomically
from fashionedit.runtime.hub import hub_client, hub_failures, repository_name

from .bundle import BUNDLE_FILE, FILES, LARGEST, Bundle, pretty_json
from .submission import SUBMISSIONS

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
    with hub_failures("read", f"the dataset repository {name}", name.partition("/")[0]):
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
    inside = len(parts) == 5 and parts[0] == SUBMISSIONS and parts[-1] in (BUNDLE_FILE, *FILES)
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


def mark_verified(path: Path, place: str, bundle: Bundle) -> None:
    """Notes in a `verified.json` that the scores of this bundle were computed again.

    Raises:
        InvalidDataError: The file is there and can't be read.
    """
    kept = _read_verified(path).verified | {place: bundle.checksum}
    write_atomically(path, pretty_json(_Verified(verified=kept).model_dump()))


def _read_verified(path: Path) -> _Verified:
    try:
        return parse_model(_Verified, read_regular(path, folder=path.parent), name=str(path))
    except FileNotFoundError:
        return _Verified()
    except (InvalidDataError, OSError) as error:
        raise InvalidDataError(f"{path} can't be understood; restore it, or delete it to begin anew") from error
