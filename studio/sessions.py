"""Design sessions on disk: the turns of one person's conversation with an editor, saved after each of them.

    <sessions>/ledger.jsonl                 what the turns of all sessions have cost
    <sessions>/<id>/session.json            when it began and from which sample; never changed
    <sessions>/<id>/turns/<number>.json     one turn; its presence is the commit
    <sessions>/<id>/images/<aa>/<digest>.png  written before the turn that names it, as in a run folder
    <sessions>/<id>/marks.jsonl             accepted, rejected, rated; the last line of a turn counts

The id is the only key to a session: whoever does not have it can neither guess nor list it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.records import FailedAttempt, OutputImage, RoundRecord, image_path
from fashionedit.eval_harness.running.run_folder import decoded_image
from fashionedit.eval_harness.running.sessions import timestamp
from fashionedit.files import append_line, lock_folder, parse_model, read_json_lines, read_regular, write_atomically
from fashionedit.images import MAX_FILE_BYTES, pixel_digest, png_bytes

_ID = re.compile(r"[A-Za-z0-9_-]{32}")
_ID_BYTES = 24
_TURN = re.compile(r"[0-9]{4,6}\.json")

Source = Literal["words", "picture", "sample", "edit"]
"""Where the design of a turn comes from; `edit` changes another turn's."""

ReferenceName = Literal["detail", "sketch", "example"]
"""The kinds of picture that can be shown with words; the keys of `REFERENCES`."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Turn(_Stored):
    """One turn of a session.

    Args:
        number: 1, 2, 3 … in the order of the commits.
        parent: The turn whose design was changed; None where a design began.
        source: Where the design comes from.
        editor: The page's name of the editor or generator.
        words: The words of the person.
        reference: The digest of the picture that was shown with the words.
        reference_kind: The kind of that picture.
        outcome: The record of a run: instruction, images shown, result, cost; a failed attempt where no usable result
            came back.
    """

    schema_version: Literal[1] = 1
    number: Annotated[int, Field(ge=1)]
    parent: Annotated[int, Field(ge=1)] | None = None
    source: Source
    editor: str
    words: str = ""
    reference: str | None = None
    reference_kind: ReferenceName | None = None
    outcome: RoundRecord | FailedAttempt

    @model_validator(mode="after")
    def _follows_its_parent(self) -> Self:
        if (self.source == "edit") is (self.parent is None):
            raise ValueError("an edit has a parent, and nothing else has one")
        if self.parent is not None and self.parent >= self.number:
            raise ValueError(f"turn {self.number} can't follow turn {self.parent}")
        return self

    @property
    def status(self) -> Status:
        """The status of the outcome."""
        return self.outcome.status

    @property
    def message(self) -> str:
        """The editor's message, or why there is no design."""
        return self.outcome.message

    @property
    def output(self) -> OutputImage | None:
        """The resulting design; None where the turn failed."""
        return self.outcome.output if isinstance(self.outcome, RoundRecord) else None

    @property
    def state(self) -> Any:
        """The state that the next turn on this design hands back to the editor."""
        return self.outcome.state if isinstance(self.outcome, RoundRecord) else None


class SessionIdentity(_Stored):
    """`session.json`: when the session began, and the sample that it began from."""

    schema_version: Literal[1] = 1
    created: str
    dataset: str | None = None
    sample: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """The person's opinion of a turn: accepted or rejected, and a rating of 1..5; None where there is none."""

    accepted: bool | None = None
    rating: int | None = None

    def __post_init__(self) -> None:
        if self.rating is not None and not 1 <= self.rating <= 5:
            raise InvalidDataError(f"the rating is {self.rating}; give a whole number from 1 to 5")


@dataclass(frozen=True)
class Session:
    """A session as it was read; `SessionStore` returns a new one after each change."""

    id: str = field(repr=False)
    folder: Path = field(repr=False)
    identity: SessionIdentity
    turns: tuple[Turn, ...]
    marks: Mapping[int, Mark]

    def turn(self, number: int) -> Turn:
        """Returns the turn of this number.

        Raises:
            UnknownNameError: There is no such turn.
        """
        for turn in self.turns:
            if turn.number == number:
                return turn
        raise UnknownNameError(f"the session has no turn {number}; choose one of {len(self.turns)}")

    def strip(self, number: int) -> tuple[Turn, ...]:
        """Returns the turns that led to this one, the beginning first."""
        turns = [self.turn(number)]
        while turns[-1].parent is not None:
            turns.append(self.turn(turns[-1].parent))
        return tuple(reversed(turns))

    def design(self, number: int) -> Turn:
        """Returns the turn whose design stands at this one: its own, else the last good one before it.

        Raises:
            UnknownNameError: No turn before it has a design.
        """
        for turn in reversed(self.strip(number)):
            if turn.output is not None:
                return turn
        raise UnknownNameError(f"no design leads to turn {number}; begin with another one")

    def image(self, number: int) -> Image.Image:
        """Returns the picture of the design that stands at this turn, mode RGB."""
        output = self.design(number).output
        assert output is not None  # `design` returns only turns that have one
        return self.stored(output.digest)

    def stored(self, digest: str) -> Image.Image:
        """Returns a picture of the session by its digest, a design or a reference.

        Raises:
            InvalidImageError: Its file is missing or has other pixels.
        """
        path = self.folder / image_path(digest)
        return decoded_image(read_regular(path, MAX_FILE_BYTES, folder=self.folder), digest, name=str(path))

    @property
    def title(self) -> str:
        """The session's name in a list: the first words of the person, else what it began from."""
        words = next((turn.words.strip() for turn in self.turns if turn.words.strip()), "")
        return words[:60] or (f"Sample {self.identity.sample}" if self.identity.sample else "A picture")


class SessionStore:
    """The folder of all sessions, locked by one process.

    Raises:
        RunBusyError: Another process holds it.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = lock_folder(self.folder)
        self._writing = threading.Lock()

    def close(self) -> None:
        """Releases the folder for other processes."""
        os.close(self._lock)

    def create(self, *, dataset: str | None = None, sample: str | None = None) -> Session:
        """Returns a new session without turns."""
        identity = SessionIdentity(created=timestamp(), dataset=dataset, sample=sample)
        id = secrets.token_urlsafe(_ID_BYTES)
        write_atomically(self.folder / id / "session.json", identity.model_dump_json(indent=2).encode())
        return self.open(id)

    def open(self, id: str) -> Session:
        """Returns the session with this id.

        A turn that can't be read, or whose image is gone, is left out with all that follow from it.

        Raises:
            UnknownNameError: No session has this id.
        """
        folder = self.folder / id if isinstance(id, str) and _ID.fullmatch(id) else None
        if folder is None or not (folder / "session.json").is_file():
            raise UnknownNameError("no session has this id; begin a new one")
        path = folder / "session.json"
        identity = parse_model(SessionIdentity, read_regular(path, folder=folder), name=str(path))
        turns: dict[int, Turn] = {}
        files = sorted((folder / "turns").glob("*.json")) if (folder / "turns").is_dir() else []
        for file in (file for file in files if _TURN.fullmatch(file.name)):
            turn = _read_turn(file, folder)
            if turn is not None and (turn.parent is None or turn.parent in turns):
                turns[turn.number] = turn
        return Session(id, folder, identity, tuple(turns.values()), _marks(folder))

    def add(self, session: Session, turn: Mapping[str, Any], *images: Image.Image) -> Session:
        """Writes the images, then the turn, and returns the session with it.

        Args:
            turn: The fields of the `Turn` but for its number, which is the next free one.
            images: The design and the reference; existing files are not written again.
        """
        for image in images:
            path = session.folder / image_path(pixel_digest(image))
            if not path.exists():
                write_atomically(path, png_bytes(image))
        with self._writing:
            last = max((int(file.stem) for file in (session.folder / "turns").glob("*.json")), default=0)
            made = Turn(number=last + 1, **turn)
            path = session.folder / "turns" / f"{made.number:04d}.json"
            write_atomically(path, made.model_dump_json(indent=2).encode())
        return self.open(session.id)

    def mark(self, session: Session, number: int, mark: Mark) -> Session:
        """Keeps the person's opinion of a turn, and returns the session with it."""
        line = {"turn": session.turn(number).number, **asdict(mark), "time": timestamp()}
        append_line(session.folder / "marks.jsonl", json.dumps(line))
        return self.open(session.id)


def _read_turn(file: Path, folder: Path) -> Turn | None:
    try:
        turn = parse_model(Turn, read_regular(file, folder=folder), name=str(file))
    except InvalidDataError:
        return None
    if turn.number != int(file.stem):
        return None
    if turn.output is not None and not (folder / image_path(turn.output.digest)).is_file():
        return None
    return turn


def _marks(folder: Path) -> dict[int, Mark]:
    marks: dict[int, Mark] = {}
    for line in read_json_lines(folder / "marks.jsonl", folder=folder):
        with suppress(KeyError, TypeError, InvalidDataError):
            marks[int(line["turn"])] = Mark(line.get("accepted"), line.get("rating"))
    return marks
