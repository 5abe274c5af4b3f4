"""The stage `generate`: each photograph's caption becomes a draft, once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from fashionedit.builders.photo import Pair, Photo
from fashionedit.builders.stage_store import StageRecord, StageStore, stage_key
from fashionedit.errors import BudgetSpentError, FashionEditError, InvalidDataError, InvalidImageError, ServiceError
from fashionedit.images import pixel_digest, read_image, to_rgb
from fashionedit.runtime.ledger import CostTracker

from .batches import commit_together, finish_batches
from .blank import blank_reason
from .drafting import DraftFinder, DraftMaker, DraftRequest, DraftResult, draft_key, draft_seed

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
    reservation: str | None = None  # of the money for the request

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
    progress: Callable[[int, int], None] | None = None,
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
    | dropped, by the maker | safety filter, refused, caption not accepted |
    | failed | photograph not readable, no draft (where the source names one that isn't there) |
    | failed, by the maker | pipeline error, time-out, rate limit, server error, no connection, malformed answer |

    Args:
        photos: Ids are unique. They are all taken before the first draft is made.
        maker: What makes the drafts.
        store: The stage's own.
        base_seed: Gives each photograph its seed, together with its id.
        digest_of: The pixel digest of a photograph, where another stage knows it; decoded by default.
        budget: Where a maker costs money, each call is reserved before it is made.
        progress: Called with the photographs done and the photographs in all.

    Raises:
        ServiceError: The maker can't go on at all; what it had finished is committed.
        BudgetSpentError: A further draft could exceed the budget; what was paid for is committed.
        InvalidDataError: A record can't be understood, or the budget is limited and the price of a draft unknown.
    """
    everything = photos if isinstance(photos, Sequence) else list(photos)
    finish_batches(store)
    work = _Work(maker, store, base_seed, digest_of or _decoded_digest, budget)
    done = 0
    for entries, failure in work.through(everything):
        for entry in entries:
            done += 1
            if progress is not None:
                progress(done, len(everything))
            if (pair := work.pair(entry)) is not None:
                yield pair
        if failure is not None:
            raise failure


class _Work:
    def __init__(
        self,
        maker: DraftMaker,
        store: StageStore,
        base_seed: int,
        digest_of: Callable[[Photo], str],
        budget: CostTracker | None,
    ) -> None:
        self._maker = maker
        self._store = store
        self._base_seed = base_seed
        self._digest_of = digest_of
        self._budget = budget
        self._described: dict[str, Any] | None = None

    def through(self, photos: Sequence[Photo]) -> Iterator[tuple[list[_Entry], FashionEditError | None]]:
        """Yields entries that are finished, in order, and with the last ones what stops the stage."""
        window: deque[_Entry] = deque()
        waiting: list[_Entry] = []
        for number, photo in enumerate(photos, 1):
            window.append(self._look(photo))
            failure = None
            if window[-1].request is not None:
                waiting.append(window[-1])
            if waiting and (len(waiting) >= self._maker.batch_size or number == len(photos)):
                failure = self._make(waiting)
                waiting = []
            finished = []
            while window and window[0].record is not None:
                finished.append(window.popleft())
            yield finished, failure

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
        if record is None:
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

    def _make(self, waiting: list[_Entry]) -> FashionEditError | None:
        """Makes and commits the drafts, a batch at a time; returns what stops the stage."""
        while waiting:
            size = max(1, self._maker.batch_size)
            batch, waiting = waiting[:size], waiting[size:]
            affordable, short = self._afford(batch)
            failure = self._make_batch(affordable) if affordable else None
            if (failure := failure or short) is not None:
                return failure
        return None

    def _afford(self, batch: list[_Entry]) -> tuple[list[_Entry], BudgetSpentError | None]:
        """Returns those that there is money for, which is reserved, and why there is none for others."""
        estimate = self._maker.highest_cost
        if self._budget is None or estimate == 0:
            return batch, None
        check_draft_price(self._maker, self._budget)
        for number in range(len(batch)):
            try:
                batch[number].reservation = self._budget.reserve(estimate or 0.0, "generate")
            except BudgetSpentError as error:
                return batch[:number], error
        return batch, None

    def _make_batch(self, batch: list[_Entry]) -> FashionEditError | None:
        requests = [entry.request for entry in batch if entry.request is not None]
        settled = 0
        try:
            results = self._maker.make(requests)
            if len(results) != len(requests):
                raise InvalidDataError(
                    f"{type(self._maker).__name__} answered {len(requests)} requests with {len(results)} results; "
                    "it must give one for each"
                )
            failure: FashionEditError | None = None
            for entry, result in zip(batch, results, strict=True):
                settled += 1
                self._charge(entry, result.cost)
                failure = failure or result.stop
                if result.stop is None:
                    self._note_result(entry, result, len(batch))
            commit_together(self._store, [entry.record for entry in batch if entry.record is not None])
            return failure
        except ServiceError as error:
            return error
        finally:
            for entry in batch[settled:]:
                self._charge(entry, 0.0)

    def _charge(self, entry: _Entry, cost: float | None) -> None:
        if self._budget is not None and entry.reservation is not None:
            self._budget.charge(entry.reservation, cost)

    def _note_result(self, entry: _Entry, result: DraftResult, batch: int) -> None:
        """Gives the entry its record, whose image is on disk then; it is still to be committed."""
        assert entry.request is not None
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
        if result.image is None:
            entry.note("failed" if result.retry else "dropped", result.reason, result.detail, **data)
            return
        try:
            image = to_rgb(result.image)
        except InvalidImageError as error:
            entry.note("dropped", "draft not readable", str(error), **data)
            return
        if (blank := blank_reason(image)) is not None:
            entry.note("dropped", *blank, **data)
        else:
            entry.note("kept", draft=self._store.put_image(image), size=list(image.size), **data)

    def _commit(self, entry: _Entry, status: _Status, reason: str | None = None, detail: str | None = None) -> None:
        self._store.commit(entry.note(status, reason, detail))


def check_draft_price(maker: DraftMaker, budget: CostTracker | None) -> None:
    """Returns if a budget can be kept.

    Raises:
        InvalidDataError: There is a limit, and what a draft may cost is not known.
    """
    if budget is not None and budget.limit is not None and maker.highest_cost is None:
        raise InvalidDataError(
            "what a draft may cost is not known, so that a budget can't be kept; give --draft highest_cost=USD, or "
            "leave --budget out"
        )


def _decoded_digest(photo: Photo) -> str:
    return pixel_digest(read_image(photo.path))
