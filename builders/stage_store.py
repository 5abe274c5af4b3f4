"""Records of a stage on disk: one for each photograph, written last, as the commit marker.

    <folder>/records/<aa>/<id>.json      written whole, after everything it names
    <folder>/files/<aa>/<name>           images
    <folder>/superseded/<aa>/<id>.<key>.json   records that were paid for, under the first 16 digits of an older key

A process killed at any moment leaves a record that is whole or none.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypedDict, TypeVar

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.files import check_writable, write_atomically
from fashionedit.images import EncodedImage, pixel_digest, png_bytes, to_rgb
from fashionedit.runtime.costs import CostTracker
from fashionedit.runtime.progress import Progress
from fashionedit.runtime.secrets import clean, masked, whole
from fashionedit.runtime.tables import markdown_rows
from fashionedit.runtime.worker_pool import Stage, Task, WorkerPool
from fashionedit.types import check_id

PAID_REASONS = (
    "answer too large",
    "black image",
    "caption not accepted",
    "draft not fetched",
    "draft not readable",
    "no three valid differences",
    "one-colour image",
    "refused",
    "safety filter",
)
"""For which the stages `generate` and `analyse` drop what a model or service was asked for."""


class StageRecord(BaseModel):
    """Outcome of one stage for one photograph.

    Args:
        id: The photograph's.
        key: `stage_key` of all that the outcome depends on.
        status: `kept` goes on to the next stage; `dropped` does not, for good; `failed` is tried again by the next run.
        reason: Why not, in the same few words for the same cause, so that they can be counted.
        detail: Why not, in a sentence about this photograph.
        data: What the stage has to say, as plain JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    key: str
    status: Literal["kept", "dropped", "failed"]
    reason: str | None = None
    detail: str | None = None
    data: dict[str, Any] = {}

    @property
    def is_paid(self) -> bool:
        """Whether a model or service was asked for the outcome."""
        return self.data.get("usd") is not None or "seed" in self.data or bool(self.data.get("turns"))

    def to_json(self) -> bytes:
        """Returns the content of the record's file: without secrets, half characters and escapes."""
        said = {name: masked(clean(getattr(self, name))) for name in ("reason", "detail")}
        kept = self.model_copy(update={**said, "data": masked(whole(self.data), names=False)})
        return (kept.model_dump_json(indent=1) + "\n").encode()


class StageStore:
    """The records and files of one stage, in a folder that is made when the first record is committed.

    What reads a record raises InvalidDataError where its file can't be understood.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, identity: str, key: str) -> StageRecord | None:
        """Returns the record that was committed for the photograph under this key, whatever its status.

        An older one that another has superseded is the current one from now on: it need not be paid for again.
        """
        record = self.look_up(identity, key)
        if record is not None and (current := self.current(identity)) is not None and current.key != key:
            self.commit(record)
        return record

    def look_up(self, identity: str, key: str) -> StageRecord | None:
        """Returns the record under this key, current or superseded, and changes nothing."""
        record = self.current(identity)
        if record is not None and record.key != key:
            record = self._read(self._superseded_path(identity, key))
        return record if record is not None and record.key == key else None

    def current(self, identity: str) -> StageRecord | None:
        """Returns the photograph's record, whatever its key."""
        return self._read(self._record_path(identity))

    def commit(self, record: StageRecord) -> None:
        """Writes the record; everything it names must be on disk by now.

        One of another key is replaced, and so is one that was dropped and asked about again; where it was paid for, it
        is kept among the superseded ones.
        """
        before = self.current(record.id)
        changed = before is not None and (before.key != record.key or before.status == "dropped")
        if before is not None and changed and before.is_paid and before != record:
            write_atomically(self._superseded_path(before.id, before.key), before.to_json())
        write_atomically(self._record_path(record.id), record.to_json())

    def records(self) -> Iterator[StageRecord]:
        """Yields every record, in the order of the ids."""
        for path in sorted((self.folder / "records").glob("??/*.json"), key=lambda path: path.name):
            record = self._read(path)
            if record is not None:
                yield record

    def check_writable(self, images: int = 0) -> None:
        """Raises OSError, naming the place, if records and so many images can't be written."""
        check_writable(self.folder / "records", 2**16)
        if images:
            check_writable(self.folder / "files", images * 2**20)

    def put_image(self, image: Image.Image | EncodedImage) -> str:
        """Keeps the image as PNG, encoded already or not; returns the digest by which `image_path` finds it."""
        rgb = image if isinstance(image, EncodedImage) else to_rgb(image)
        digest = rgb.digest if isinstance(rgb, EncodedImage) else pixel_digest(rgb)
        path = self.image_path(digest)
        if not path.is_file():
            write_atomically(path, rgb.data if isinstance(rgb, EncodedImage) else png_bytes(rgb))
        return digest

    def image_path(self, digest: str) -> Path:
        """Returns where the image with this digest is."""
        return self.folder / "files" / digest[:2] / f"{digest}.png"

    def _record_path(self, identity: str) -> Path:
        check_id(identity)
        fan = hashlib.sha256(identity.encode()).hexdigest()[:2]
        return self.folder / "records" / fan / f"{identity}.json"

    def _superseded_path(self, identity: str, key: str) -> Path:
        path = self._record_path(identity)
        return self.folder / "superseded" / path.parent.name / f"{identity}.{key[:16]}.json"

    def _read(self, path: Path) -> StageRecord | None:
        try:
            return StageRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValidationError, OSError) as error:
            raise InvalidDataError(f"{path} can't be understood; delete it to have it made again") from error


def spent(store: StageStore) -> float:
    """Returns the USD that the stage has spent as far as prices are known, failures and earlier tries included."""
    return sum(float(record.data.get("usd") or 0.0) for record in store.records())


def is_named(record: StageRecord, reasons: Sequence[str]) -> bool:
    """Returns whether one of the reasons, as `--retry` gives them, is that of a record that was dropped.

    >>> is_named(StageRecord(id="a", key="", status="dropped", reason="one-colour image"), ["one_colour_image"])
    True
    """
    plain = {_plain(reason) for reason in reasons}
    return record.status == "dropped" and not plain.isdisjoint({"dropped", _plain(record.reason or "")})


def check_reasons(reasons: Sequence[str], stores: Iterable[StageStore]) -> None:
    """Raises UnknownNameError unless each reason, as `--retry` gives it, is one for which a photograph can be dropped.

    Makers may drop drafts for reasons of their own: those count which the stores have.
    """
    if not reasons:
        return
    dropped = {record.reason or "" for store in stores for record in store.records() if record.status == "dropped"}
    names = sorted({*PAID_REASONS, *dropped} - {""})
    for reason in reasons:
        if _plain(reason) not in {_plain(name) for name in (*names, "dropped")}:
            raise UnknownNameError(
                f"no photograph is dropped for {reason!r}; choose {', '.join(names)}, or dropped for all of them (what "
                "failed in passing is tried again anyway)"
            )


def _plain(reason: str) -> str:
    return " ".join(reason.lower().replace("_", " ").replace("-", " ").split())


def stage_key(stage: str, **parts: Any) -> str:
    """Returns the SHA-256 of everything that an outcome depends on, 64 hex digits; the parts must be plain JSON.

    >>> stage_key("generate", caption="a", seed=1) == stage_key("generate", seed=1, caption="a")
    True
    """
    text = json.dumps([stage, parts], sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


T = TypeVar("T", bound=Task)


class PaidOptions(TypedDict, total=False):
    """Options of the two stages that call a model or a service.

    `budget` is asked before each call, and told what it has cost. `retry` has reasons, as `is_named` takes them, for
    which photographs were dropped and are asked about anew. `progress` is told the photographs done and those in all.
    `keep_going` and `tell` are those of `WorkerPool`.
    """

    budget: CostTracker | None
    retry: Sequence[str]
    keep_going: bool
    progress: Progress | None
    tell: Callable[[str], None] | None


class PaidStage(Stage[T]):
    """Base of these stages: records, budget, progress and worker pool."""

    def __init__(self, store: StageStore, options: PaidOptions) -> None:
        self.store = store
        self.budget = options.get("budget") or CostTracker()
        self.retry = options.get("retry", ())
        self.total = 0
        self._done = 0
        self._options = options
        self._counting = Lock()

    def spent(self) -> float | None:
        """Returns what the build has cost, USD."""
        return self.budget.spent or None

    def advance(self) -> None:
        """Counts one more photograph as done."""
        with self._counting:
            self._done += 1
            if (progress := self._options.get("progress")) is not None:
                progress(self._done, self.total)

    def run(self, tasks: Sequence[T], *, concurrency: int, retries: int, images: int = 0) -> None:
        """Runs the tasks in a worker pool, after a check that records and so many images can be written."""
        if tasks:
            self.store.check_writable(images)
        pool = WorkerPool(
            self,
            concurrency=concurrency,
            retries=retries,
            keep_going=self._options.get("keep_going", False),
            tell=self._options.get("tell"),
        )
        pool.run(tasks)


FUNNEL_FILE = "funnel.json"


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """How many photographs came into one stage, went on, were dropped for good, and are tried again by the next run.

    `name` is what went on: photos, drafts, kept, analysed, samples. Those left out are counted by reason.
    """

    name: str
    came: int
    kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of_records(
        cls, name: str, came: Iterable[str], kept: Iterable[str], records: Iterable[StageRecord]
    ) -> FunnelStep:
        """Returns the step of a stage from the ids that came and went on; records of other ids are passed over."""
        left_out = set(came) - (gone_on := set(kept))
        reasons: dict[str, Counter[str]] = {"dropped": Counter(), "failed": Counter()}
        for record in records:
            if record.id in left_out and record.status != "kept":
                reasons[record.status][record.reason or "no reason given"] += 1
        counts = {
            status: dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
            for status, counted in reasons.items()
        }
        return cls(name, len(left_out) + len(gone_on), len(gone_on), **counts)


@dataclass(frozen=True, slots=True)
class Funnel:
    """All steps, in the order of the stages."""

    steps: tuple[FunnelStep, ...]

    @property
    def failed(self) -> int:
        """How many photographs the next run tries again, over all stages."""
        return sum(sum(step.failed.values()) for step in self.steps)

    def to_json(self) -> str:
        """Returns the funnel as JSON, the same for the same counts."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def to_text(self) -> str:
        """Returns the funnel as lines for a console."""
        names = max(len(step.name) for step in self.steps)
        numbers = max(len(f"{step.came:,}") for step in self.steps)
        return "\n".join(
            f"{step.name:{names}}  {step.came:>{numbers},} → {step.kept:>{numbers},}   {_reasons(step)}".rstrip()
            for step in self.steps
        )

    def to_markdown(self) -> str:
        """Returns the funnel as a table for a dataset card."""
        rows = [[step.name, f"{step.came:,}", f"{step.kept:,}", _reasons(step)] for step in self.steps]
        return "\n".join(markdown_rows(["stage", "in", "out", "left out"], rows, words=4))


def _reasons(step: FunnelStep) -> str:
    dropped = [f"{reason}: {count:,}" for reason, count in step.dropped.items()]
    failed = [f"{reason}: {count:,} (to be tried again)" for reason, count in step.failed.items()]
    return "; ".join(dropped + failed)
