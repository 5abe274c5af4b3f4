"""The evidence of a submission: what is in a bundle, how one is read, and that its files are the ones it names.

    bundle.json       who, on which benchmark, the SHA-256 of every other file, and of its own content
    results.json      the results, with every score of every sample
    scores.parquet    the run's own scores, one row per sample, protocol and round
    outputs.json      the pixel digest of every image that the editor returned
    parameters.json   the effective parameters and model versions of the edits
    packages.json     the package versions of the run's sessions

No photograph, no crop and no caption is in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, StringConstraints

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.running.records import RunIdentity
from fashionedit.files import parse_model, read_regular, write_atomically
from fashionedit.owned_folders import new_folder

BUNDLE_FILE = "bundle.json"
RESULTS_FILE = "results.json"
SCORES_FILE = "scores.parquet"
OUTPUTS_FILE = "outputs.json"
PARAMETERS_FILE = "parameters.json"
PACKAGES_FILE = "packages.json"

FILES = (OUTPUTS_FILE, PACKAGES_FILE, PARAMETERS_FILE, RESULTS_FILE, SCORES_FILE)
"""All of a bundle but `bundle.json`."""

LARGEST = 64_000_000
"""The largest file that is read, in bytes; a thousand samples take about a fiftieth of it."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
RepositoryId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$", max_length=96)]
OwnName = Annotated[str, StringConstraints(min_length=1, max_length=96)]
Model = TypeVar("Model", bound=BaseModel)


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundledFile(_Stored):
    """One file of a bundle: SHA-256 and size in bytes."""

    sha256: Digest
    size: NonNegativeInt


class Benchmark(_Stored):
    """What was run: a split of a dataset repository at one commit.

    Args:
        repository: `org/name` on the Hub.
        revision: The commit.
        samples: How many the split has there.
        manifest: The manifest hash of the split there.
    """

    repository: RepositoryId
    revision: Commit
    split: str
    samples: PositiveInt
    manifest: Digest


class Bundle(_Stored):
    """`bundle.json`.

    Args:
        name: How tables call the model: its repository, or the name of a service's model that has none.
        model: The model's repository on the Hub; None for one without.
        official: Whether the leaderboard's own encoder made the scores; others never stand among the ranked ones.
        files: The other files.
        checksum: SHA-256 of all the rest of `bundle.json`. It tells a slip from a whole file, and stops nobody.
    """

    schema_version: Literal[1] = 1
    name: OwnName
    model: RepositoryId | None
    benchmark: Benchmark
    run: RunIdentity
    official: bool
    files: dict[str, BundledFile]
    checksum: Digest

    @property
    def track(self) -> str:
        """What sets this submission apart from others of the same model, as `detail-images`."""
        editor = self.run.editor
        parts = [self.run.reference, editor.state]
        parts += ["stitched"] * editor.stitched + ["supplied"] * editor.supplied
        parts += ["other-encoder"] * (not self.official)
        return "-".join(parts)


class Output(_Stored):
    """An image that the editor returned: pixel digest and size in pixels (width, height)."""

    sample: str
    protocol: str
    round: int
    digest: Digest
    size: tuple[PositiveInt, PositiveInt]


class Outputs(_Stored):
    """`outputs.json`."""

    schema_version: Literal[1] = 1
    outputs: tuple[Output, ...]


class EffectiveParameters(_Stored):
    """What the edits in one protocol were made with.

    Args:
        edits: How many rounds have a record.
        model_versions: As the editor told them; None where it told none.
        parameters: The values of each, at most eight; above that the number of them (a seed is another each time).
    """

    edits: NonNegativeInt
    model_versions: tuple[str | None, ...]
    parameters: dict[str, Any]


class Parameters(_Stored):
    """`parameters.json`."""

    schema_version: Literal[1] = 1
    protocols: dict[str, EffectiveParameters]


class PackageVersions(_Stored):
    """What one or more starts of the run had installed."""

    python: str | None
    packages: dict[str, str]


class Packages(_Stored):
    """`packages.json`."""

    schema_version: Literal[1] = 1
    sessions: tuple[PackageVersions, ...]


def sealed(head: Mapping[str, Any]) -> Bundle:
    """Returns the `bundle.json` with these fields and their checksum."""
    unsealed = Bundle(**head, checksum="0" * 64)
    return unsealed.model_copy(update={"checksum": _checksum(unsealed)})


def _checksum(bundle: Bundle) -> str:
    return hashlib.sha256(pretty_json(bundle.model_dump(mode="json", exclude={"checksum"}))).hexdigest()


def pretty_json(value: Any) -> bytes:
    """Returns JSON that is the same text for the same content: sorted keys, one space of indent."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_bundle(files: Mapping[str, bytes], folder: Path) -> None:
    """Writes the files into the folder, all of them or none; an earlier bundle there gives way.

    Raises:
        InvalidDataError: The folder holds something else.
    """
    with new_folder(folder, "submission", replace=True) as fresh:
        for name, content in files.items():
            write_atomically(fresh / name, content)


def read_bundle(folder: Path) -> tuple[Bundle, dict[str, bytes]]:
    """Returns what `bundle.json` says and the other files' content, each with the hash that it names.

    Raises:
        InvalidDataError: A file is missing, too large, not named, or not the one that was named.
    """
    bundle = read_head(folder)
    path = folder / BUNDLE_FILE
    if _checksum(bundle) != bundle.checksum:
        raise InvalidDataError(f"{path} was altered after the bundle was made: its checksum is another")
    if sorted(bundle.files) != list(FILES):
        named = ", ".join(sorted(bundle.files)) or "no files"
        raise InvalidDataError(f"{path} names {named}; a bundle has {', '.join(FILES)}")
    files = {}
    for name, stated in bundle.files.items():
        content = files[name] = _content(folder / name)
        found = hashlib.sha256(content).hexdigest()
        if found != stated.sha256 or len(content) != stated.size:
            raise InvalidDataError(
                f"{folder / name} has SHA-256 {found[:12]}…, {BUNDLE_FILE} names {stated.sha256[:12]}…: the file was "
                "altered after the bundle was made"
            )
    return bundle, files


def read_head(folder: Path) -> Bundle:
    """Returns what `bundle.json` says, compared with nothing.

    Raises:
        InvalidDataError: It is missing, or no such file.
    """
    path = folder / BUNDLE_FILE
    if not path.exists():
        raise InvalidDataError(f"{folder} holds no {BUNDLE_FILE}; give a folder that `fashionedit submit` wrote")
    return parse_model(Bundle, _content(path), name=str(path))


def _content(path: Path) -> bytes:
    try:
        return read_regular(path, LARGEST, folder=path.parent)
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); the bundle is not whole") from error
