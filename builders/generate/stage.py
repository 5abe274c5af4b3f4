"""Stage `generate`: each photograph's caption becomes a draft, once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Unpack

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from fashionedit.builders.photos import Photo
from fashionedit.builders.photos.stage import blank_reason
from fashionedit.builders.stage_store import PaidOptions, PaidStage, StageRecord, StageStore, is_named, stage_key
from fashionedit.errors import InvalidDataError, InvalidImageError, MissingExtraError, ServiceError
from fashionedit.files import write_atomically
from fashionedit.images import pixel_digest, read_image, to_rgb
from fashionedit.runtime.costs import CostTracker
from fashionedit.runtime.worker_pool import Outcome, Task

from .drafting import DraftFinder, DraftMaker, DraftRequest, DraftResult, draft_key, draft_seed

_FOLDER = "batches"
_RECORDS = TypeAdapter(list[StageRecord])


def commit_together(store: StageStore, records: Sequence[StageRecord]) -> None:
    """Commits the records; everything they name must be on disk by now."""
    if len(records) > 1:
        text = _RECORDS.dump_json(list(records))
        journal = store.folder / _FOLDER / f"{hashlib.sha256(text).hexdigest()}.json"
        write_atomically(journal, text)
        for record in records:
            store.commit(record)
        journal.unlink(missing_ok=True)
    elif records:
        store.commit(records[0])


def finish_batches(store: StageStore) -> None:
    """Commits the batches that a killed process was committing.

    Raises:
        InvalidDataError: A batch's file can't be understood.
    """
    for journal in sorted((store.folder / _FOLDER).glob("*.json")):
        try:
            records = _RECORDS.validate_json(journal.read_bytes())
        except ValidationError as error:
            raise InvalidDataError(f"{journal} can't be understood; delete it to have its drafts made again") from error
        for record in records:
            store.commit(record)
        journal.unlink(missing_ok=True)


def throughput(store: StageStore) -> float | None:
    """Returns the drafts that one process makes in a second, measured over all that were made; None if none was.

    Drafts that were dropped afterwards count, as they took their time; ready ones don't. Loading is left out.
    """
    seconds = [float(record.data["seconds"]) for record in store.records() if record.data.get("seconds")]
    return len(seconds) / sum(seconds) if seconds else None


def generate(
    photos: Iterable[Photo],
    maker: DraftMaker,
    store: StageStore,
    *,
    base_seed: int = 0,
    **options: Unpack[PaidOptions],
) -> list[Photo]:
    """Returns the photographs with their drafts, in their order; without those that have none.

    A photograph whose record is committed is not generated again unless its caption, its seed or `maker.describe()`
    has changed. Drafts are made in batches of `maker.batch_size`, and each batch is committed as a whole: a killed
    process repeats one batch at most, in the same company, hence with the same pixels. A ready draft (`Photo.draft`,
    or what a `DraftFinder` finds) is read, checked and used where it lies.

    `data` of a record: `draft` (pixel digest), `size`, and for a generated one `seed`, `effective`, `provenance`,
    `seconds`, `usd`, `batch`; for a ready one `ready`.

    | status | reason |
    |---|---|
    | dropped | no caption, invalid caption, no draft, draft not readable, black image, one-colour image |
    | dropped, by the maker | safety filter, refused, caption not accepted, draft not fetched |
    | failed | no draft (where the source names one that isn't there) |
    | failed, by the maker | pipeline error, time-out, rate limit, server error, no connection, malformed answer |

    Args:
        photos: Ids are unique.
        maker: What makes the drafts.
        store: The stage's own.
        base_seed: Gives each photograph its seed, together with its id.
        options: As in `PaidOptions`.

    Raises:
        ServiceError: The maker can't go on at all; what it had finished is committed.
        BudgetSpentError: A further draft could exceed the budget; what was paid for is committed.
        InvalidDataError: A record can't be understood, or the budget is limited and the price of a draft unknown.
    """
    finish_batches(store)
    concurrency = int(getattr(maker, "concurrency", 1))
    stage = _Generation(maker, store, base_seed, options)
    drafts = stage.open(list(photos))
    try:
        stage.run(
            [draft for draft in drafts if draft.request is not None],
            concurrency=concurrency,
            retries=getattr(maker, "max_retries", 0),
            images=0 if isinstance(maker, DraftFinder) else concurrency * stage.batch,
        )
    finally:
        if (close := getattr(maker, "close", None)) is not None:
            close()
    return [
        replace(draft.photo, draft=draft.ready or store.image_path(digest), draft_digest=digest)
        for draft in drafts
        if draft.record is not None and draft.record.status == "kept" and (digest := draft.record.data["draft"])
    ]


def check_draft_price(maker: DraftMaker, budget: CostTracker | None) -> None:
    """Raises InvalidDataError if there is a limit and what a draft may cost is not known.

    Drafts that were made before a price was stated count at this one from now on.
    """
    if budget is None:
        return
    budget.price("generate", maker.highest_cost)
    if budget.limit is not None and maker.highest_cost is None:
        raise InvalidDataError(
            "what a draft may cost is not known, so that a budget can't be kept; give --draft highest_cost=USD, or "
            "leave --budget out"
        )


@dataclass(slots=True, kw_only=True, eq=False)
class _Draft(Task):
    """State of a photograph's draft; it has a request while it is still to be made."""

    photo: Photo
    key: str = ""
    ready: Path | None = None
    record: StageRecord | None = None
    request: DraftRequest | None = None
    earlier: float = 0.0  # USD that failed tries have cost

    def note(
        self,
        status: Literal["kept", "dropped", "failed"],
        reason: str | None = None,
        detail: str | None = None,
        **data: Any,
    ) -> StageRecord:
        """Returns the record that the draft has from now on."""
        self.record = StageRecord(
            id=self.photo.id, key=self.key, status=status, reason=reason, detail=detail, data=data
        )
        return self.record


class _Generation(PaidStage[_Draft]):
    """The worker pool's jobs; the value of an outcome is a validated `DraftResult`."""

    noun = "drafts"

    def __init__(self, maker: DraftMaker, store: StageStore, base_seed: int, options: PaidOptions) -> None:
        super().__init__(store, options)
        self._maker = maker
        self._base_seed = base_seed
        self._described: dict[str, Any] | None = None
        self._highest = maker.highest_cost  # USD, of one draft; or the largest cost seen, if that is more

    def open(self, photos: Sequence[Photo]) -> list[_Draft]:
        """Returns the draft of each photograph, made or still to be made."""
        self.total = len(photos)
        drafts = []
        for number, photo in enumerate(photos):
            drafts.append(self._look(_Draft(place=(0, number, 0), photo=photo)))
            if drafts[-1].request is None:
                self.advance()
        if any(draft.request is not None for draft in drafts):
            check_draft_price(self._maker, self.budget)
        return drafts

    @property
    def batch(self) -> int:
        """How many drafts are made in one call."""
        return max(1, self._maker.batch_size)

    def reserve(self, tasks: Sequence[_Draft]) -> str:
        return self.budget.reserve(None if self._highest is None else self._highest * len(tasks), "generate")

    def charge(self, entry: str, outcomes: Sequence[Outcome]) -> None:
        costs = [outcome.value.cost for outcome in outcomes]
        told = [cost for cost in costs if cost is not None]
        lacking = len(costs) - len(told)
        self.budget.charge(
            entry, None if lacking and self._highest is None else sum(told) + lacking * (self._highest or 0.0)
        )
        if any(told):
            self._highest = max(*told, self._highest or 0.0)

    def prepare(self, tasks: Sequence[_Draft]) -> list[DraftRequest]:
        return [task.request for task in tasks if task.request is not None]

    def call(self, prepared: list[DraftRequest]) -> list[Outcome]:
        try:
            results = self._maker.make(prepared)
        except (ServiceError, MissingExtraError) as error:
            stopped = DraftResult(stop=ServiceError(str(error)))
            return [Outcome(answered=None, stop=error, value=stopped) for _ in prepared]
        if len(results) != len(prepared):
            raise InvalidDataError(
                f"{type(self._maker).__name__} answered {len(prepared)} requests with {len(results)} results; "
                "it must give one for each"
            )
        return [_outcome(result) for result in results]

    def commit(self, finished: Sequence[tuple[_Draft, Outcome, bool]]) -> list[_Draft]:
        """Writes the drafts, all of a call together; nothing follows from a draft."""
        records = []
        for draft, outcome, again in finished:
            result: DraftResult = outcome.value
            if again:
                draft.earlier += result.cost or 0.0
            elif result.stop is None:
                records.append(self._made(draft, result, len(finished)))
        commit_together(self.store, records)
        for _ in records:
            self.advance()
        return []

    def _look(self, draft: _Draft) -> _Draft:
        """Fills in the record of a draft that exists, or the request for one."""
        photo = draft.photo
        draft.ready = photo.draft
        if draft.ready is None and isinstance(self._maker, DraftFinder):
            draft.ready = self._maker.find(photo.id)
        if draft.ready is not None:
            self._read(draft, draft.ready)
        else:
            self._want(draft)
        return draft

    def _read(self, draft: _Draft, path: Path) -> None:
        """Reads a draft that is there already."""
        try:
            facts = path.stat()
        except OSError:
            draft.key = stage_key("generate", ready=[path.name])
            self.store.commit(draft.note("failed", "no draft", f"{path} does not exist; check the path"))
            return
        draft.key = stage_key("generate", ready=[path.name, facts.st_size, facts.st_mtime_ns])
        if self._is_committed(draft):
            return
        try:
            image = read_image(path)
            blank = blank_reason(image)
        except InvalidImageError as error:
            blank = "draft not readable", str(error)
        if blank is not None:
            record = draft.note("dropped", *blank)
        else:
            record = draft.note("kept", draft=pixel_digest(image), size=list(image.size), ready=True)
        self.store.commit(record)

    def _want(self, draft: _Draft) -> None:
        """Sets the request, unless the draft was made."""
        identity, caption = draft.photo.id, draft.photo.caption
        if caption is None or not caption.strip():
            draft.key = stage_key("generate", caption=None)
            detail = f"{identity} has no caption to generate a draft from"
            self.store.commit(draft.note("dropped", "no caption", detail))
            return
        try:
            caption.encode()
        except UnicodeEncodeError:
            draft.key = stage_key("generate", caption=ascii(caption))
            detail = f"the caption of {identity} holds half of a character"
            self.store.commit(draft.note("dropped", "invalid caption", detail))
            return
        if self._described is None:
            self._described = self._maker.describe()
        draft.key = draft_key(self._described, self._base_seed, draft.photo)
        if not self._is_committed(draft):
            draft.request = DraftRequest(identity, caption, draft_seed(self._base_seed, identity))

    def _is_committed(self, draft: _Draft) -> bool:
        """Returns whether there is a record that leaves nothing to do, and gives it to the draft."""
        record = self.store.find(draft.photo.id, draft.key)
        if record is None or is_named(record, self.retry):
            return False
        lost = (
            record.status == "kept"
            and draft.ready is None
            and not self.store.image_path(record.data["draft"]).is_file()
        )
        if record.status == "failed" or lost:
            draft.earlier = float(record.data.get("usd") or 0.0)
            return False
        draft.record = record
        return True

    def _made(self, draft: _Draft, result: DraftResult, batch: int) -> StageRecord:
        """Writes the image and returns the record, which is still to be committed."""
        assert draft.request is not None
        data: dict[str, Any] = {
            "seed": draft.request.seed,
            "effective": dict(result.effective),
            "provenance": dict(result.provenance),
            "seconds": round(result.seconds, 4),
            "usd": None if result.cost is None else draft.earlier + result.cost,
            "batch": batch,
            "date": datetime.now(UTC).date().isoformat(),
        }
        draft.request = None
        image = result.image
        if image is None:
            return draft.note("failed" if result.retry else "dropped", result.reason, result.detail, **data)
        return draft.note("kept", draft=self.store.put_image(image), size=list(image.size), **data)


def judged(result: DraftResult) -> DraftResult:
    """Returns the result with its image in RGB, or with the reason why that is of no use."""
    if not isinstance(result.image, Image.Image):
        return result
    try:
        image = to_rgb(result.image)
        blank = blank_reason(image)
    except InvalidImageError as error:
        blank = "draft not readable", str(error)
    if blank is None:
        return replace(result, image=image)
    return replace(result, image=None, reason=blank[0], detail=blank[1])


def _outcome(result: DraftResult) -> Outcome:
    result = judged(result)
    return Outcome(
        answered=None if result.stop is not None else not result.again,
        reason=None if result.again or result.stop is not None else result.reason,
        message=result.detail or "",
        again=result.again,
        stop=result.stop,
        reply=result.reply,
        value=result,
    )
