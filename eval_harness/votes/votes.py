"""Votes say which of two results a person or a model prefers. Both have the same form, one line for each answer.

    votes.jsonl             {"id": …, "voter": …, "pair": …, "left": "second", "answer": "first", …}
                            {"undo": "<id>", …}       takes a vote back; nothing is ever removed
    ledger.jsonl            the cost of models
    prompts/<digest>.txt    the prompts of models, named in their votes

A vote is one showing of a pair: the side on the left, and the answer. A person sees a pair once. A model sees it twice
with the sides swapped, which makes two votes; the voter's verdict on the pair is computed from them (`verdicts`), and
an answer that changes with the order is a tie. All `*.jsonl` files in the folder are read, so that votes of several
people are put together by copying their files into one folder; a vote that stands twice counts once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from fashionedit.errors import InvalidDataError, RunBusyError
from fashionedit.eval_harness.editing import canonical_json
from fashionedit.eval_harness.running.records import RunIdentity
from fashionedit.eval_harness.running.sessions import timestamp
from fashionedit.files import append_line, check_writable, parse_json, parse_model, try_lock, write_atomically
from fashionedit.runtime.costs import LEDGER_FILE
from fashionedit.runtime.secrets import clean, masked

VOTES_FILE = "votes.jsonl"

SideName = Literal["first", "second"]
Answer = Literal["first", "second", "tie"]
Choice = Literal["left", "right", "tie"]
VoterKind = Literal["person", "model"]

LONGEST_NAME = 60
_LONGEST_ANSWER = 2_000


def _text(value: object, info: ValidationInfo) -> object:
    return value if info.mode == "json" or not isinstance(value, str) else masked(clean(value))[:_LONGEST_ANSWER]


_Text = Annotated[str, BeforeValidator(_text)]
"""Foreign text, made fit to be kept when a vote is made; what is read from disk is as it was kept."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Side(_Stored):
    """One of the two results: what a run had come to for a sample.

    Args:
        run: `run_digest` of the run's identity.
        editor: As tables call it.
        digest: Of the pixels that were shown: the last good image after the round.
        status: How the round itself ended; after any but `ok` an earlier image was shown.
    """

    run: str
    editor: _Text
    protocol: str
    round: Annotated[int, Field(ge=1)]
    digest: str
    status: str

    @property
    def place(self) -> tuple[str, str, int]:
        """Which run, protocol and round."""
        return self.run, self.protocol, self.round


class VotedPair(_Stored):
    """Two results for one sample; `manifest` is the hash of the dataset's split."""

    manifest: str
    sample: str
    first: Side
    second: Side

    def side(self, name: SideName) -> Side:
        """Returns the result on this side."""
        return self.first if name == "first" else self.second

    @property
    def alike(self) -> bool:
        """Whether both are the same picture, so that nobody has to be asked."""
        return self.first.digest == self.second.digest


class Voter(_Stored):
    """Who answered: a person by a name of their own choosing, or a model by its name."""

    name: _Text
    kind: VoterKind


class ModelAnswer(_Stored):
    """The question to a model, and its answer in the one call about a vote.

    Args:
        settings: The hash of all that the answer depends on besides the pictures and wishes: model, prompt, form.
        prompt: The digest that names the file in `prompts/`.
        version: The service's name of the model that answered.
        text: The raw answer, up to 2,000 characters.
        cached: Whether the same pictures had been judged for another pair, so that nothing was asked.
        usd: None where no price is known.
    """

    model: str
    host: str = ""
    settings: str
    prompt: str
    version: _Text | None = None
    system_fingerprint: _Text | None = None
    response_id: _Text | None = None
    text: _Text = ""
    finish: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None
    attempts: int = 1
    cached: bool = False


class Vote(_Stored):
    """One answer to the question which of two results is better.

    Args:
        left: The side that was shown on the left, or first.
        answer: The side that was preferred; None where a model gave none, and `failure` says why.
        failure: `refused` or `invalid`.
        original_shown: Whether the original, which the editors never see, was shown too.
        question: The digest of all that was shown besides the two results.
        seed: The base seed of the order of pairs and of the sides.
        seconds: The time from showing the pair, or from the call, to the answer.
    """

    schema_version: Literal[1] = 1
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] = Field(default_factory=lambda: os.urandom(8).hex())
    time: str = Field(default_factory=timestamp)
    voter: Voter
    pair: VotedPair
    left: SideName
    answer: Answer | None
    failure: str | None = None
    original_shown: bool
    question: str
    seed: int
    seconds: Annotated[float, Field(ge=0)] | None = None
    model: ModelAnswer | None = None

    @model_validator(mode="after")
    def _is_an_answer_or_none(self) -> Vote:
        if (self.answer is None) != (self.failure is not None):
            raise ValueError("a vote has an answer, or a failure that says why there is none")
        if (self.voter.kind == "model") != (self.model is not None):
            raise ValueError("a model's vote says what the model was asked, a person's does not")
        return self

    @property
    def choice(self) -> Choice | None:
        """The answer as the place of the preferred result."""
        if self.answer in (None, "tie"):
            return self.answer
        return "left" if self.answer == self.left else "right"

    @property
    def shown(self) -> tuple[str, str, str]:
        """The question and the pictures on the left and on the right."""
        return self.question, self.pair.side(self.left).digest, self.pair.side(other(self.left)).digest


def other(side: SideName) -> SideName:
    """Returns the other side."""
    return "second" if side == "first" else "first"


def answer_of(choice: Choice, left: SideName) -> Answer:
    """Returns the answer that a choice of a place means, with this side on the left."""
    return "tie" if choice == "tie" else left if choice == "left" else other(left)


class _Undo(_Stored):
    schema_version: Literal[1] = 1
    undo: str
    time: str = Field(default_factory=timestamp)


def run_digest(identity: RunIdentity) -> str:
    """Returns the name by which votes know a run, 64 hex digits: the same for its folder and for its results."""
    text = canonical_json(identity.public().model_dump(mode="json"), name="a run's identity")
    return hashlib.sha256(text.encode()).hexdigest()


def voter_name(text: str) -> str:
    """Returns the name of a voter as it is kept.

    Raises:
        InvalidDataError: It is empty, too long, or can't be printed.

    >>> voter_name("  Ada   L. ")
    'Ada L.'
    """
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidDataError(f"the voter's name is {name[:80]!r}; give 1 to {LONGEST_NAME} printable characters")
    return name


class VoteFolder:
    """The votes in a folder of their own, read and appended to; safe for several threads and processes.

    Raises:
        InvalidDataError: The folder is a run's or a dataset's, or is no folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise InvalidDataError(f"{self.path} is no folder; give a folder for votes")
        for name, noun in (("run.json", "run"), ("manifest.json", "dataset")):
            if (self.path / name).exists():
                raise InvalidDataError(f"{self.path} is the folder of a {noun}; give votes a folder of their own")
        self._lock = RLock()
        self._read_to: dict[Path, int] = {}  # bytes
        self._votes: dict[str, Vote] = {}
        self._taken_back: set[str] = set()

    @classmethod
    def open(cls, path: Path | str) -> VoteFolder:
        """Returns a folder that exists, for reading.

        Raises:
            InvalidDataError: There is none.
        """
        if not Path(path).is_dir():
            raise InvalidDataError(f"{path} is no folder; give the folder that votes were written to")
        return cls(path)

    @contextmanager
    def locked(self, settings: str) -> Iterator[None]:
        """Holds the lock of the judge with these settings: two of it would pay for every answer twice.

        Raises:
            RunBusyError: Another process holds it.
        """
        path = self.path / f".judge-{settings}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not try_lock(descriptor, path):
                raise RunBusyError(f"the same judge is at work with {self.path} in another process; wait for it")
            yield
        finally:
            os.close(descriptor)

    @property
    def ledger(self) -> Path:
        """Where the money is kept that models cost."""
        return self.path / LEDGER_FILE

    def votes(self) -> list[Vote]:
        """Returns the votes that nobody took back, in the order they were written, those of other processes too.

        Half a line, which a killed process leaves, is passed over.

        Raises:
            InvalidDataError: A line is JSON and no vote.
        """
        with self._lock:
            for path in sorted(self.path.glob("*.jsonl")) if self.path.is_dir() else ():
                if path.name != LEDGER_FILE:
                    self._read(path)
            return [vote for vote in self._votes.values() if vote.id not in self._taken_back]

    def add(self, vote: Vote) -> None:
        """Appends a vote: it counts once the line is there."""
        append_line(self.path / VOTES_FILE, vote.model_dump_json(exclude_defaults=False))

    def take_back(self, id: str) -> None:
        """Appends that a vote is taken back."""
        append_line(self.path / VOTES_FILE, _Undo(undo=id).model_dump_json())

    def keep_prompt(self, digest: str, text: str) -> None:
        """Writes the prompt of models, once."""
        path = self.path / "prompts" / f"{digest}.txt"
        if not path.exists():
            write_atomically(path, text.encode())

    def check_writable(self) -> None:
        """Raises OSError, naming the place, if votes can't be written."""
        check_writable(self.path, 2**16)

    def _read(self, path: Path) -> None:
        start = self._read_to.get(path, 0)
        with path.open("rb") as file:
            file.seek(start)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._read_to[path] = start + whole
        for line in data[:whole].splitlines():
            self._take(line, path)

    def _take(self, line: bytes, path: Path) -> None:
        try:
            value = parse_json(line, name="the line")
        except InvalidDataError:
            return  # a killed process left half of it
        if isinstance(value, dict) and "undo" in value:
            self._taken_back.add(parse_model(_Undo, line, name=f"a line of {path}").undo)
            return
        vote = parse_model(Vote, line, name=f"a line of {path}")
        self._votes.setdefault(vote.id, vote)


def prompt_digest(text: str) -> str:
    """Returns the name of a prompt, 16 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def voter_labels(votes: Iterable[Vote]) -> dict[tuple[str, VoterKind, str], str]:
    """Returns the name of each voter in tables, people first; a model that was asked in two ways is two voters."""
    voters = sorted({voter_key(vote) for vote in votes}, key=lambda key: (key[1] == "model", key))
    names = [name for name, _, _ in voters]
    return {key: f"{key[0]} ({key[2][:6]})" if key[2] and names.count(key[0]) > 1 else key[0] for key in voters}


def voter_key(vote: Vote) -> tuple[str, VoterKind, str]:
    """Returns who voted: name, kind, and for a model the hash of how it was asked."""
    return vote.voter.name, vote.voter.kind, vote.model.settings if vote.model is not None else ""
