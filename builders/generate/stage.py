"""The stage `generate`: each photograph's caption becomes a draft, once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from fashionedit.builders.photos.stage import blank_reason
from fashionedit.builders.stage_items import Pair, Photo
from fashionedit.builders.stage_store import StageRecord, StageStore, is_named, stage_key
from fashionedit.errors import InvalidDataError, InvalidImageError, MissingExtraError, ServiceError
from fashionedit.files import write_atomically
from fashionedit.images import pixel_digest, read_image, to_rgb
from fashionedit.runtime.costs import CostTracker
from fashionedit.runtime.worker_pool import Outcome, Stage, Task, WorkerPool

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
    """Commits what a killed process had made and was committing. Another process may be doing the same.

    Raises:
        InvalidDataError: A batch's file can't be understood.
    """
    for journal in sorted((store.folder / _FOLDER).glob("*.json")):
        try:
            records = _RECORDS.validate_json(journal.read_bytes())
        except FileNotFoundError:  # its own process has finished it meanwhile
            continue
        except ValidationError as error:
            raise InvalidDataError(f"{journal} can't be understood; delete it to have its drafts made again") from error
        for record in records:
            store.commit(record)
        journal.unlink(missing_ok=True)


def throughput(store: StageStore) -> float | None:
    """Returns the drafts that one process makes in a second, measured over all that were made; None if none was.

    Drafts that were dropped afterwards count, as they took their time; ready ones don't. Loading is left out.

    Raises:
        InvalidDataError: A record's file can't be understood.
    """
    seconds = [float(record.data["seconds"]) for record in store.records() if record.data.get("seconds")]
    return len(seconds) / sum(seconds) if seconds else None


_Status = Literal["kept", "dropped", "failed"]


@dataclass(slots=True)
class _Entry:
    photo: Photo
    key: str
    draft: Path | None = None  # ready-made
    original_digest: str = ""
    record: StageRecord | None = None
    request: DraftRequest | None = None  # what is still to be made
    earlier: float = 0.0  # USD that failed tries have cost

    def note(self, status: _Status, reason: str | None = None, detail: str | None = None, **data: Any) -> StageRecord:
        """Returns the record that the entry has from now on."""
        self.record = StageRecord(
            id=self.photo.id, key=self.key, status=status, reason=reason, detail=detail, data=data
        )
        return self.record


def generate(
    photos: Iterable[Photo],
    maker: DraftMaker,
    store: StageStore,
    *,
    base_seed: int = 0,
    digest_of: Callable[[Photo], str] | None = None,
    budget: CostTracker | None = None,
    retry: Sequence[str] = (),
    keep_going: bool = False,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Pair]:
    """Yields each photograph with its draft, in the order of the photographs; without those that have none.

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
    | failed | photograph not readable, no draft (where the source names one that isn't there) |
    | failed, by the maker | pipeline error, time-out, rate limit, server error, no connection, malformed answer |

    Args:
        photos: Ids are unique. They are all taken before the first draft is made.
        maker: What makes the drafts.
        store: The stage's own.
        base_seed: Gives each photograph its seed, together with its id.
        digest_of: The pixel digest of a photograph, where another stage knows it; decoded by default.
        budget: Where a maker costs money, each call is reserved before it is made.
        retry: Reasons whose drafts were dropped and are made anew.
        keep_going: Goes on although the first drafts were all dropped for the same reason.
        progress: Called with the photographs done and the photographs in all.
        tell: Given a sentence when Ctrl-C is pressed.

    Raises:
        ServiceError: The maker can't go on at all; what it had finished is committed.
        BudgetSpentError: A further draft could exceed the budget; what was paid for is committed.
        InvalidDataError: A record can't be understood, or the budget is limited and the price of a draft unknown.
    """
    everything = photos if isinstance(photos, Sequence) else list(photos)
    finish_batches(store)
    work = _Work(maker, store, base_seed, digest_of or _decoded_digest, budget or CostTracker(), retry, progress)
    entries, tasks = work.open(everything)
    concurrency = int(getattr(maker, "concurrency", 1))
    if tasks:
        store.check_writable(images=0 if isinstance(maker, DraftFinder) else concurrency * work.batch)
    pool = WorkerPool(
        work,
        concurrency=concurrency,
        retries=getattr(maker, "max_retries", 0),
        keep_going=keep_going,
        tell=tell,
    )
    try:
        pool.run(tasks)
    finally:
        if (close := getattr(maker, "close", None)) is not None:
            close()
    for entry in entries:
        if (pair := work.pair(entry)) is not None:
            yield pair


@dataclass(slots=True, kw_only=True, eq=False)
class _DraftTask(Task):
    entry: _Entry


class _Work(Stage[_DraftTask]):
    """What the worker pool does."""

    noun = "drafts"

    def __init__(
        self,
        maker: DraftMaker,
        store: StageStore,
        base_seed: int,
        digest_of: Callable[[Photo], str],
        budget: CostTracker,
        retry: Sequence[str],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._maker = maker
        self._store = store
        self._base_seed = base_seed
        self._digest_of = digest_of
        self._budget = budget
        self._retry = retry
        self._progress = progress
        self._described: dict[str, Any] | None = None
        self._highest = maker.highest_cost  # USD, of one draft; or the largest cost seen, if that is more
        self._lock = Lock()
        self._done = self._all = 0

    def open(self, photos: Sequence[Photo]) -> tuple[list[_Entry], list[_DraftTask]]:
        """Returns all photographs, and those of them that have no draft yet."""
        self._all = len(photos)
        entries = []
        for photo in photos:
            entries.append(self._look(photo))
            if entries[-1].request is None:
                self._advance()
        tasks = [
            _DraftTask(place=(0, number, 0), entry=entry)
            for number, entry in enumerate(entries)
            if entry.request is not None
        ]
        if tasks:
            check_draft_price(self._maker, self._budget)
        return entries, tasks

    @property
    def batch(self) -> int:
        """How many drafts are made in one call."""
        return max(1, self._maker.batch_size)

    def spent(self) -> float | None:
        """Returns what the build has cost, USD."""
        return self._budget.spent or None

    def reserve(self, tasks: Sequence[_DraftTask]) -> str:
        """Reserves the most that the drafts may cost."""
        return self._budget.reserve(None if self._highest is None else self._highest * len(tasks), "generate")

    def charge(self, entry: str, outcomes: Sequence[Outcome]) -> None:
        """Enters what the drafts have cost."""
        costs = [outcome.value.result.cost for outcome in outcomes]
        told = [cost for cost in costs if cost is not None]
        lacking = len(costs) - len(told)
        self._budget.charge(
            entry, None if lacking and self._highest is None else sum(told) + lacking * (self._highest or 0.0)
        )
        if any(told):
            self._highest = max(*told, self._highest or 0.0)

    def prepare(self, tasks: Sequence[_DraftTask]) -> list[DraftRequest]:
        """Returns the requests."""
        return [task.entry.request for task in tasks if task.entry.request is not None]

    def call(self, prepared: list[DraftRequest]) -> list[Outcome]:
        """Makes the drafts, and judges them."""
        try:
            results = self._maker.make(prepared)
        except (ServiceError, MissingExtraError) as error:
            stop = error if isinstance(error, ServiceError) else ServiceError(str(error))
            return [Outcome(answered=None, stop=error, value=_Made(DraftResult(stop=stop))) for _ in prepared]
        if len(results) != len(prepared):
            raise InvalidDataError(
                f"{type(self._maker).__name__} answered {len(prepared)} requests with {len(results)} results; "
                "it must give one for each"
            )
        return [_outcome(result) for result in results]

    def commit(self, finished: Sequence[tuple[_DraftTask, Outcome, bool]]) -> list[_DraftTask]:
        """Writes the drafts, all of a call together; nothing follows from a draft."""
        records = []
        for task, outcome, again in finished:
            made: _Made = outcome.value
            if again:
                task.entry.earlier += made.result.cost or 0.0
            elif made.result.stop is None:
                records.append(self._note_result(task.entry, made, len(finished)))
        commit_together(self._store, records)
        for _ in records:
            self._advance()
        return []

    def _advance(self) -> None:
        with self._lock:
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._all)

    def pair(self, entry: _Entry) -> Pair | None:
        record = entry.record
        if record is None or record.status != "kept":
            return None
        digest = record.data["draft"]
        return Pair(entry.photo, entry.draft or self._store.image_path(digest), entry.original_digest, digest)

    def _look(self, photo: Photo) -> _Entry:
        """Returns the photograph with what is known of its draft, or with the request for one."""
        ready = photo.draft
        if ready is None and isinstance(self._maker, DraftFinder):
            ready = self._maker.find(photo.id)
        entry = self._ready(photo, ready) if ready is not None else self._wanted(photo)
        if entry.record is None or entry.record.status == "kept":
            try:
                entry.original_digest = self._digest_of(photo)
            except InvalidImageError as error:
                paid = {"usd": entry.earlier} if entry.earlier else {}
                committed, entry.request = entry.record is not None, None
                record = entry.note("failed", "photograph not readable", str(error), **paid)
                if not committed:  # a draft that is there stays there until the photograph can be read again
                    self._store.commit(record)
        return entry

    def _ready(self, photo: Photo, draft: Path) -> _Entry:
        try:
            facts = draft.stat()
        except OSError:
            entry = _Entry(photo, stage_key("generate", ready=[draft.name]), draft)
            self._commit(entry, "failed", "no draft", f"{draft} does not exist; check the path")
            return entry
        entry = _Entry(photo, stage_key("generate", ready=[draft.name, facts.st_size, facts.st_mtime_ns]), draft)
        entry.record = self._committed(entry)
        if entry.record is None:
            try:
                image = read_image(draft)
            except InvalidImageError as error:
                self._commit(entry, "dropped", "draft not readable", str(error))
                return entry
            if (blank := blank_reason(image)) is not None:
                self._commit(entry, "dropped", *blank)
            else:
                record = entry.note("kept", draft=pixel_digest(image), size=list(image.size), ready=True)
                self._store.commit(record)
        return entry

    def _wanted(self, photo: Photo) -> _Entry:
        caption = photo.caption
        if caption is None or not caption.strip():
            entry = _Entry(photo, stage_key("generate", caption=None))
            self._commit(entry, "dropped", "no caption", f"{photo.id} has no caption to generate a draft from")
            return entry
        try:
            caption.encode()
        except UnicodeEncodeError:
            entry = _Entry(photo, stage_key("generate", caption=ascii(caption)))
            self._commit(entry, "dropped", "invalid caption", f"the caption of {photo.id} holds half of a character")
            return entry
        if self._described is None:
            self._described = self._maker.describe()
        seed = draft_seed(self._base_seed, photo.id)
        entry = _Entry(photo, draft_key(self._described, self._base_seed, photo))
        entry.record = self._committed(entry)
        if entry.record is None:
            entry.request = DraftRequest(photo.id, caption, seed)
        return entry

    def _committed(self, entry: _Entry) -> StageRecord | None:
        """Returns the record if nothing is left to do for it."""
        record = self._store.find(entry.photo.id, entry.key)
        if record is None or is_named(record, self._retry):
            return None
        lost = (
            record.status == "kept"
            and entry.draft is None
            and not self._store.image_path(record.data["draft"]).is_file()
        )
        if record.status == "failed" or lost:
            entry.earlier = float(record.data.get("usd") or 0.0)
            return None
        return record

    def _note_result(self, entry: _Entry, made: _Made, batch: int) -> StageRecord:
        """Gives the entry its record, whose image is on disk then; it is still to be committed."""
        assert entry.request is not None
        result = made.result
        data: dict[str, Any] = {
            "seed": entry.request.seed,
            "effective": dict(result.effective),
            "provenance": dict(result.provenance),
            "seconds": round(result.seconds, 4),
            "usd": None if result.cost is None else entry.earlier + result.cost,
            "batch": batch,
            "date": datetime.now(UTC).date().isoformat(),
        }
        entry.request = None
        if made.image is None:
            return entry.note("failed" if result.retry else "dropped", made.reason, made.detail, **data)
        return entry.note("kept", draft=self._store.put_image(made.image), size=list(made.image.size), **data)

    def _commit(self, entry: _Entry, status: _Status, reason: str | None = None, detail: str | None = None) -> None:
        self._store.commit(entry.note(status, reason, detail))


def check_draft_price(maker: DraftMaker, budget: CostTracker | None) -> None:
    """Returns if a budget can be kept; drafts that were made before a price was stated count at this one from now on.

    Raises:
        InvalidDataError: There is a limit, and what a draft may cost is not known.
    """
    if budget is None:
        return
    budget.price("generate", maker.highest_cost)
    if budget.limit is not None and maker.highest_cost is None:
        raise InvalidDataError(
            "what a draft may cost is not known, so that a budget can't be kept; give --draft highest_cost=USD, or "
            "leave --budget out"
        )


@dataclass(frozen=True, slots=True)
class _Made:
    """A draft that was judged: an image of use, or the reason why there is none."""

    result: DraftResult
    image: Image.Image | None = None
    reason: str | None = None
    detail: str | None = None


def _outcome(result: DraftResult) -> Outcome:
    made = _Made(result, None, result.reason, result.detail)
    if result.image is not None:
        try:
            image = to_rgb(result.image)
            blank = blank_reason(image)
            made = _Made(result, image) if blank is None else _Made(result, None, *blank)
        except InvalidImageError as error:
            made = _Made(result, None, "draft not readable", str(error))
    return Outcome(
        answered=None if result.stop is not None else not result.again,
        reason=None if result.again or result.stop is not None else made.reason,
        message=made.detail or "",
        again=result.again,
        stop=result.stop,
        reply=result.reply,
        value=made,
    )


def _decoded_digest(photo: Photo) -> str:
    return pixel_digest(read_image(photo.path))
