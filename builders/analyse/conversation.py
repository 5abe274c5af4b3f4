"""The conversation with the model about one pair: its turns so far, and the record that holds them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import StageRecord, StageStore
from fashionedit.errors import InvalidDataError
from fashionedit.runtime.vision_model import MAX_TEXT, CallFailedError, Reply
from fashionedit.types import DIFFERENCES_PER_SAMPLE, Box

from .analyst import Analyst, repair_request
from .answers import read_answer

UNUSABLE = "no three valid differences"
"""The reason of a pair whose answers could not be used, repairs included."""

REFUSED = "refused"
"""The reason of a pair that the model or the service would not look at."""

Differences = tuple[tuple[str, Box], ...]


class Turn(BaseModel):
    """One call that was answered, and paid for.

    Args:
        reply: What came back.
        fault: What is wrong with it, in words for the model; None for one that can be used, or that is a refusal.
        usd: None where no price of the model is known, or the service tells no usage.
        seconds: Of the try that was answered.
        attempts: How often it was sent until it was answered.
        date: The day on which it came, UTC; None in records of earlier versions.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # records of earlier versions name a batch

    reply: Reply
    fault: str | None = None
    usd: float | None = None
    seconds: float = 0.0
    attempts: int = 1
    date: str | None = None


@dataclass(slots=True)
class Conversation:
    """The conversation about one pair, and how much of it is committed.

    Every answer is committed before the next call is made, in a record that is `failed` until the last one is there. A
    process that is killed loses the calls under way, and no answer.

    Args:
        id, key: The record's.
        turns: The calls that were answered.
        sent: What is noted of the images.
        committed: The record that the store had at the start.
        differences: Of the answer that can be used.
        notes: What was converted in it.
    """

    id: str
    key: str
    turns: list[Turn] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    committed: StageRecord | None = None
    differences: Differences | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def resume(cls, identity: str, key: str, store: StageStore) -> Conversation:
        """Returns the conversation as far as the store has it.

        Raises:
            InvalidDataError: The record is damaged.
        """
        record = store.find(identity, key)
        conversation = cls(identity, key, committed=record)
        if record is None:
            return conversation
        try:
            conversation.turns = [Turn.model_validate(turn) for turn in record.data.get("turns", ())]
            conversation.sent = list(record.data.get("images", ()))
            if record.status == "kept":
                conversation.differences = _differences(record)
                conversation.notes = tuple(record.data.get("converted", ()))
        except (ValidationError, InvalidDataError, KeyError, TypeError) as error:
            raise InvalidDataError(
                f"the record of {record.id} in {store.folder} can't be understood; delete it to have it made again"
            ) from error
        return conversation

    @property
    def refused(self) -> str | None:
        """Why the last answer is a refusal."""
        return self.turns[-1].reply.refusal if self.turns else None

    def finished(self, max_repairs: int) -> bool:
        """Returns whether nothing more is to be asked; a larger `max_repairs` goes on with what was given up."""
        refused = self.refused is not None or (self.committed is not None and self.committed.reason == REFUSED)
        return self.differences is not None or refused or len(self.turns) > max_repairs

    def settled(self, max_repairs: int) -> StageRecord | None:
        """Returns the committed record if it says how the conversation ended."""
        record = self.committed
        return record if record is not None and record.status != "failed" and self.finished(max_repairs) else None

    def exchanges(self) -> list[tuple[str, str]]:
        """Returns each answer so far with the request to repair it."""
        return [(turn.reply.text, repair_request(turn.fault or "it is empty")) for turn in self.turns]

    def add(self, reply: Reply, analyst: Analyst, *, seconds: float = 0.0, attempts: int = 1) -> Turn:
        """Adds an answer with its cost, and returns it as a turn."""
        fault = self._read(reply) if reply.refusal is None else None
        usd = reply.usd(analyst.price)
        today = datetime.now(UTC).date().isoformat()
        turn = Turn(reply=reply, fault=fault, usd=usd, seconds=round(seconds, 3), attempts=attempts, date=today)
        self.turns.append(turn)
        return turn

    def _read(self, reply: Reply) -> str | None:
        """Reads the differences of an answer; returns what is wrong with one that can't be used."""
        if len(reply.text) >= MAX_TEXT:
            return f"the answer is longer than {MAX_TEXT:,} characters"
        size = self.sent[0]["size"] if self.sent else None  # of the original as it was sent
        try:
            parsed = read_answer(reply.text, size=(size[0], size[1]) if size else None)
        except InvalidDataError as error:
            return "the answer was cut off because it is too long" if reply.finish == "length" else str(error)
        self.differences, self.notes = parsed.differences, parsed.notes
        return None

    def record(self, analyst: Analyst, failure: CallFailedError | None = None) -> StageRecord:
        """Returns what is to be committed now, or after a call that failed."""
        status, reason, detail = self._outcome(analyst.max_repairs, failure)
        return StageRecord.model_validate(
            {
                "id": self.id,
                "key": self.key,
                "status": status,
                "reason": reason,
                "detail": detail,
                "data": self._data(analyst),
            }
        )

    def _outcome(self, max_repairs: int, failure: CallFailedError | None) -> tuple[str, str | None, str | None]:
        if failure is not None and failure.refused:
            return "dropped", REFUSED, failure.detail
        if self.differences is not None:
            return "kept", None, None
        if self.refused is not None:
            return "dropped", REFUSED, self.refused[:500]
        if self.finished(max_repairs):
            last = self.turns[-1]
            advice = "; a larger --ask max_output_tokens=N may help" if last.reply.finish == "length" else ""
            return "dropped", UNUSABLE, f"after {len(self.turns)} answers: {last.fault}{advice}"
        if failure is not None:
            return "failed", failure.reason, failure.detail
        return "failed", "not finished", "the process ended before the answer was repaired"

    def _data(self, analyst: Analyst) -> dict[str, Any]:
        costs = [turn.usd for turn in self.turns if turn.usd is not None]
        data: dict[str, Any] = {
            "model": self.turns[-1].reply.model if self.turns else None,
            "asked": {"model": analyst.model, "prompt": analyst.prompt.name, "api": analyst.api, "host": analyst.host},
            "date": self.turns[-1].date if self.turns else None,
            "calls": len(self.turns),
            "usd": sum(costs) if costs else None,
            "seconds": round(sum(turn.seconds for turn in self.turns), 3),
            **{
                name: sum(getattr(turn.reply, name) for turn in self.turns)
                for name in ("input_tokens", "cached_tokens", "output_tokens")
            },
            "images": self.sent,
            "turns": [turn.model_dump() for turn in self.turns],
        }
        if self.notes:
            data["converted"] = list(self.notes)
        if self.differences is not None:
            data["differences"] = stored_differences(self.differences)
        return data


def analysed(pair: Photo, record: StageRecord) -> Photo:
    """Returns the pair with the differences that its record holds.

    Raises:
        InvalidDataError: The record holds none, or they are damaged.
    """
    try:
        return replace(pair, differences=_differences(record))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidDataError(f"the record of {record.id} holds no three differences ({error})") from error


def stored_differences(differences: Differences) -> list[dict[str, Any]]:
    """Returns the differences as a record holds them."""
    return [{"description": description, "box_2d": list(box.box_2d)} for description, box in differences]


def _differences(record: StageRecord) -> Differences:
    found: list[dict[str, Any]] = record.data["differences"]
    if len(found) != DIFFERENCES_PER_SAMPLE:
        raise InvalidDataError(f"{record.id} has {len(found)} differences; a sample has {DIFFERENCES_PER_SAMPLE}")
    return tuple((str(entry["description"]), Box.from_box_2d(entry["box_2d"])) for entry in found)
