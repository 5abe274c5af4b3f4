"""A run on disk: written so that a process killed at any moment loses at most the edits that were in flight.

    run.json                    who and what: the identity, never changed
    sessions.jsonl              one line per start and end: versions, commit, machine, command
    records/<aa>/<key>.json     one finished round; its presence is the commit
    images/<aa>/<digest>.png    named by the digest of the pixels, always written before the record that names it
    errors/<key>-<n>.json       attempts that gave no result; tried again by the next run
    events-0.jsonl              what else happened

A key says all that an answer may depend on, so reading needs no index: whoever walks the rounds of a sample knows which
record is the current one, and records of an earlier state of things are simply never asked for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError, RunMismatchError
from fashionedit.eval_harness.editing import UNDECLARED
from fashionedit.eval_harness.references import with_reference
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.files import (
    FolderReader,
    append_line,
    check_writable,
    lock_folder,
    parse_model,
    read_json_lines,
    read_regular,
    write_atomically,
)
from fashionedit.images import MAX_FILE_BYTES, pixel_digest, png_bytes, read_image
from fashionedit.runtime.secrets import clean, masked

from .chain import Chain, chains, round_outcome
from .identity import identity_differences
from .records import FailedAttempt, ImageRef, RoundOutcome, RoundRecord, RunIdentity, request_id
from .sessions import timestamp

_PNG_END = b"IEND\xaeB`\x82"


class RunFolder:
    """One run's folder, open for reading or, while it holds the lock, for writing.

    Use `create_or_open` to run and `open` to read; both work while the other does.
    """

    def __init__(self, path: Path, identity: RunIdentity, lock: int | None = None) -> None:
        self.path = path
        self.identity = identity
        self._lock = lock  # held while it is open for writing
        self._reported: set[str] = set()
        self._left_out: set[str] = set()

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """Returns the folder for reading.

        Raises:
            InvalidDataError: There is no run in it, or `run.json` can't be read.
        """
        folder = Path(path)
        identity = _read_identity(folder)
        if identity is None:
            raise InvalidDataError(f"{folder} holds no run.json; give a folder that `fashionedit run` wrote")
        return cls(folder, identity)

    @classmethod
    def create_or_open(cls, path: Path | str, identity: RunIdentity) -> RunFolder:
        """Returns the folder for writing: a new one, or the one in which the same run was begun.

        Raises:
            RunBusyError: Another process writes to it.
            RunMismatchError: It holds another run; the message has the differences, field by field.
            InvalidDataError: It holds other files and no run, or can't be a folder.
        """
        folder = Path(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InvalidDataError(f"{folder} is no folder; choose another place for the run") from None
        lock = lock_folder(folder)
        try:
            have = _read_identity(folder)
            if have is None:
                _begin(folder, identity)
            elif differences := identity_differences(have, identity):
                raise RunMismatchError(_mismatch(folder, differences))
            _sweep(folder)
        except BaseException:
            os.close(lock)
            raise
        return cls(folder, identity, lock)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the lock back; reading goes on working."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def record(self, key: str) -> RoundRecord | None:
        """Returns the committed record, None if there is none.

        A record that can't be read, or whose image is missing or cut short, is not committed; while the folder is open
        for writing an event says so. Only the end of the image file is looked at, it is not decoded.
        """
        name = f"records/{key[:2]}/{key}.json"
        try:
            record = parse_model(RoundRecord, self._reader.read(name), name=f"{self.path}/{name}")
        except FileNotFoundError:
            return None
        except InvalidDataError:
            self._uncommitted(key, "the record can't be read")
            return None
        if record.key != key:
            self._uncommitted(key, "the record belongs to another key")
            return None
        if record.output is not None and record.output.digest in self._left_out:
            return None
        if record.output is not None and record.output.path is not None and not self._whole(record.output.path):
            self._uncommitted(key, f"{record.output.path} is missing or cut short")
            return None
        return record

    def leave_out(self, digest: str) -> None:
        """Counts the rounds whose image this is as not run, for as long as this object reads the folder."""
        self._left_out.add(digest)

    def commit(self, record: RoundRecord, image: Image.Image | bytes | None = None) -> None:
        """Writes the round's own image, if it has one, then the record; pixels that are there already are kept.

        Args:
            image: As PNG, if it was encoded already.
        """
        place = record.output.path if record.output is not None else None
        if image is not None and place is not None and not self._whole(place):
            write_atomically(self.path / place, image if isinstance(image, bytes) else png_bytes(image))
        write_atomically(self._record_path(record.key), record.model_dump_json(indent=2).encode())

    def check_writable(self, images: int) -> None:
        """Passes if records and so many images can be written.

        Raises:
            OSError: They can't; the error names the place.
        """
        for name, room in (("records", 2**16), ("errors", 2**16), ("images", images * 2**20)):
            check_writable(self.path / name, room)

    def read(self, path: str, digest: str) -> Image.Image:
        """Returns an image of this run, decoded and compared with its recorded digest; `path` is as recorded.

        Raises:
            InvalidImageError: It is missing, can't be decoded, or has other pixels.
        """
        return decoded_image(self.encoded(path), digest, name=str(self.path / path))

    def encoded(self, path: str) -> bytes:
        """Returns an image of this run as it is stored.

        Raises:
            InvalidImageError: It is missing or can't be read.
        """
        place = self.path / path
        try:
            return read_regular(place, MAX_FILE_BYTES, folder=self.path)
        except FileNotFoundError:
            raise InvalidImageError(f"{place} does not exist; {_AGAIN}") from None
        except InvalidDataError as error:
            raise InvalidImageError(f"{str(error).rpartition(';')[0]}; delete it and {_AGAIN}") from error

    def _whole(self, path: str) -> bool:
        try:
            return self._reader.ending(path, len(_PNG_END)) == _PNG_END
        except (OSError, InvalidDataError):
            return False

    def _record_path(self, key: str) -> Path:
        return self.path / "records" / key[:2] / f"{key}.json"

    @cached_property
    def _reader(self) -> FolderReader:
        return FolderReader(self.path)

    @cached_property
    def failures(self) -> FailedAttempts:
        """The attempts that gave no result."""
        return FailedAttempts(self.path / "errors")

    def session(self, line: dict[str, Any]) -> None:
        """Appends one line to `sessions.jsonl`, without secrets."""
        kept = masked(clean({name: value for name, value in line.items() if name != "data"}))
        place = {"data": line["data"]} if "data" in line else {}  # a path that is opened again, as it is
        append_line(self.path / "sessions.jsonl", json.dumps(kept | place))

    def data_location(self) -> str | None:
        """Returns where the dataset was, as the latest session was told; None if none was."""
        told = [line.get("data") for line in read_json_lines(self.path / "sessions.jsonl", folder=self.path)]
        return next((place for place in reversed(told) if isinstance(place, str) and place), None)

    def request_id(self, key: str) -> str:
        """Returns the opaque name of the request for this round, the same whenever the run continues."""
        return request_id(self._secret, key)

    @cached_property
    def _secret(self) -> bytes:
        path = self.path / ".request-key"
        if not path.exists():
            write_atomically(path, os.urandom(32).hex().encode())
        return path.read_bytes()

    def _uncommitted(self, key: str, reason: str) -> None:
        if self._lock is not None and key not in self._reported:
            self._reported.add(key)
            line = masked(clean({"time": timestamp(), "event": "uncommitted", "key": key, "reason": reason}))
            append_line(self.path / "events-0.jsonl", json.dumps(line))

    def outcomes(self, source: SampleSource, repeat: int = 0) -> Iterator[RoundOutcome]:
        """Yields what each round came to, in the order protocol, sample, round; nothing is decoded.

        Args:
            source: The dataset; the run's own kind of reference is taken from it.
            repeat: Which repetition of the run, from 0 on.

        Raises:
            RunMismatchError: The run was made on other samples.
            InvalidDataError: A failed attempt can't be read.
        """
        if source.manifest_hash != self.identity.manifest:
            differences = [f"manifest: run has {self.identity.manifest}, you gave {source.manifest_hash}"]
            have, given = f"{self.identity.dataset} {self.identity.split}", f"{source.name} {source.split}"
            if have != given:
                differences.insert(0, f"dataset: run has {have}, you gave {given}")
            raise RunMismatchError(
                f"{self.path} was run on other samples: {'; '.join(differences)}; give the dataset it was run on"
            )
        source = with_reference(source, self.identity.reference)
        for chain in chains(self.identity, source, repeat):
            for round in chain.rounds:
                step = chain.step(round)
                ended = self.record(step.key) or self.failures.latest(step.key)
                chain.take(ended)
                yield round_outcome(step, self._current(chain, source), ended)

    def _current(self, chain: Chain, source: SampleSource) -> ImageRef:
        """Returns the image that the chain stands at."""
        output = chain.last_good
        if output is None or output.path is None:
            return ImageRef(*chain.standing, lambda: source.sample(chain.sample).draft)
        return ImageRef(
            *chain.standing, partial(self.read, output.path, output.digest), partial(self.encoded, output.path)
        )


_AGAIN = "give the run command again"


def decoded_image(data: bytes, digest: str, *, name: str) -> Image.Image:
    """Returns an image of a run, compared with its recorded digest.

    Raises:
        InvalidImageError: It can't be decoded, or has other pixels.
    """
    try:
        image = read_image(data, name=name)
    except InvalidImageError as error:
        raise InvalidImageError(f"{str(error).rpartition(';')[0]}; delete it and {_AGAIN}") from error
    if pixel_digest(image) != digest:
        raise InvalidImageError(f"{name} has other pixels than were recorded; delete it and {_AGAIN}")
    return image


def _read_identity(folder: Path) -> RunIdentity | None:
    path = folder / "run.json"
    try:
        return parse_model(RunIdentity, read_regular(path, folder=folder), name=str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _begin(folder: Path, identity: RunIdentity) -> None:
    others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if others:
        raise InvalidDataError(
            f"{folder} holds {others[0]} and no run.json; choose an empty or a new folder for the run"
        )
    write_atomically(folder / "run.json", identity.model_dump_json(indent=2).encode())


def _mismatch(folder: Path, differences: list[str]) -> str:
    advice = "give the same settings, or another folder for this run"
    if any(UNDECLARED in clause for clause in differences):
        advice = (
            "this editor's code can't be read, so it can't be told whether it is the same: let it declare a `version`"
        )
    elif any(" source " in clause and " version " in clause for clause in differences):
        advice = (
            "a version (or --version) takes the place of the hash of the editor's source; give none where none was "
            "given, or another folder for this run"
        )
    elif any(clause.startswith("editor.fingerprint") and " source " in clause for clause in differences):
        advice = (
            "the editor's source has changed; give another folder for this run, and let the editor declare a `version` "
            "(an attribute of that name), which then stands for its source"
        )
    return f"{folder} holds another run: {'; '.join(differences)}; {advice}"


def _sweep(folder: Path) -> None:
    # Only the holder of the lock writes here, so a temporary file is what a killed process left.
    for pattern in (".*.part", "errors/.*.part", "records/*/.*.part", "images/*/.*.part"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


_NUMBER = re.compile(r"[0-9]{3,6}")


class FailedAttempts:
    """The folder `errors/` of a run, listed once and then kept up with what this process adds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, failure: FailedAttempt) -> None:
        """Writes an attempt down beside the earlier ones of the same key."""
        number = self._latest.get(failure.key, 0) + 1
        write_atomically(self._path(failure.key, number), failure.model_dump_json(indent=2).encode())
        self._latest[failure.key] = number

    def attempts(self, key: str) -> int:
        """Returns how often this key was asked for in vain; a file that can't be read counts as one attempt."""
        count = 0
        for number in range(1, self._latest.get(key, 0) + 1):
            try:
                count += self._read(self._path(key, number)).attempts
            except FileNotFoundError:
                continue
            except InvalidDataError:
                count += 1
        return count

    def latest(self, key: str) -> FailedAttempt | None:
        """Returns the latest attempt under this key, None if none failed.

        Raises:
            InvalidDataError: Its file can't be read.
        """
        if key not in self._latest:
            return None
        path = self._path(key, self._latest[key])
        try:
            return self._read(path)
        except (FileNotFoundError, InvalidDataError):
            raise InvalidDataError(
                f"{path} can't be read as a failed attempt; delete it, only its message is lost"
            ) from None

    def _read(self, path: Path) -> FailedAttempt:
        return parse_model(FailedAttempt, read_regular(path, folder=self._folder.parent), name=str(path))

    def _path(self, key: str, number: int) -> Path:
        return self._folder / f"{key}-{number:03d}.json"

    @cached_property
    def _latest(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            key, _, number = path.stem.rpartition("-")
            if path.suffix == ".json" and _NUMBER.fullmatch(number):
                found[key] = max(int(number), found.get(key, 0))
        return found
