"""What a build would do and take, before anything is spent: counts, calls, tokens, money, GPU hours, disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fashionedit.images import upright_size
from fashionedit.runtime.tables import aligned

from .analyse.estimate import Size, estimate
from .build import Build
from .build_options import STAGES
from .generate.stage import throughput
from .preflight import Outstanding
from .stage_items import Photo
from .stage_store import StageRecord

DRAFT_SIZE = (1024, 1024)
"""Pixels of a draft, until there is one to measure: Stable Diffusion 3's."""

DRAFT_BYTES = 1_800_000
"""Of such a draft as PNG, until there are some to measure."""

Records = dict[str, StageRecord]
"""The records of a stage, by their ids."""


@dataclass(frozen=True, slots=True)
class PlanLine:
    """What is left to do in one stage, by estimate. A number that is None is not known before the stage has begun.

    Args:
        stage: The stage's name.
        items: How many photographs come to it; at most so many where an earlier stage is not finished.
        done: How many of them have their outcome already.
        calls: Requests to a service, repairs not counted.
        input_tokens, output_tokens, usd: Of these calls.
        gpu_hours: On one GPU, from the drafts that were made already.
        disk: Bytes that will be written.
        note: What a reader should know about the numbers.
    """

    stage: str
    items: int
    done: int
    calls: int | None = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    gpu_hours: float | None = 0.0
    disk: int = 0
    note: str = ""

    @property
    def todo(self) -> int:
        """How many photographs are left."""
        return self.items - self.done


@dataclass(frozen=True, slots=True)
class Plan:
    """A line for each stage that would run, what earlier runs have spent, and the budget, USD; None without a limit."""

    lines: tuple[PlanLine, ...]
    spent: float = 0.0
    budget: float | None = None

    @property
    def usd(self) -> float | None:
        """What all calls cost together, by estimate; None where a price is not known."""
        costs = [line.usd for line in self.lines]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    def to_json(self) -> str:
        """Returns the plan as JSON."""
        content = {
            "stages": [{**asdict(line), "todo": line.todo} for line in self.lines],
            "usd": self.usd,
            "spent": self.spent,
            "budget": self.budget,
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def to_text(self) -> str:
        """Returns the plan as a table for a console."""
        head = ("stage", "photos", "done", "to do", "calls", "tokens in", "tokens out", "USD", "GPU hours", "disk")
        rows = [
            (
                line.stage,
                f"{line.items:,}",
                f"{line.done:,}",
                f"{line.todo:,}",
                _number(line.calls),
                _number(line.input_tokens),
                _number(line.output_tokens),
                _usd(line.usd),
                "?" if line.gpu_hours is None else f"{line.gpu_hours:,.1f}" if line.gpu_hours else "–",
                f"{line.disk / 1e9:,.2f} GB" if line.disk else "–",
            )
            for line in self.lines
        ]
        table = aligned(head, rows, words=1)
        notes = [f"{line.stage}: {line.note}." for line in self.lines if line.note]
        money = f"In all: {_usd(self.usd, none='$0.00')}; spent so far: ${self.spent:.2f}"
        limit = "" if self.budget is None else f"; the build stops before ${self.budget:.2f} is exceeded"
        return "\n".join([*table, *notes, f"{money}{limit}. Nothing was spent by this look."])


def plan_build(build: Build, stages: Sequence[str], out: Path) -> Plan:
    """Returns what the stages would do. Images are not decoded, no model is loaded and no service is called.

    Raises:
        InvalidDataError: The build can't be made as it is asked for.
    """
    photos, named = build.listed()
    build.check_photos(photos, out, stages, fetch=False)
    left = build.outstanding(photos, fetch=False)
    records = {stage: {record.id: record for record in build.work.store(stage).records()} for stage in STAGES[:5]}
    lines = [PlanLine("photos", len(named), len(_settled(records["photos"], named)))]
    going = [photo for photo in photos if _goes_on(records["photos"], photo.id)]
    lines.append(_generation(build, going, records["generate"], left))
    going = [photo for photo in going if photo.id in left.drafts or _goes_on(records["generate"], photo.id)]
    done = _settled(records["filter"], (photo.id for photo in going))
    if build.options.filters:
        note = "each picture is encoded once; what the embedding cache knows is not encoded again"
        lines.append(PlanLine("filter", len(going), len(done), note=note))
        going = [photo for photo in going if photo.id in left.drafts or _goes_on(records["filter"], photo.id)]
        open_ = len(going) - len([photo for photo in going if photo.id in records["filter"]])
    else:
        lines.append(PlanLine("filter", len(going), len(going), note="nothing is left out"))
        open_ = 0
    lines.append(_analysis(build, going, records, left, not_filtered=open_))
    going = [photo for photo in going if photo.id in left.answers or _goes_on(records["analyse"], photo.id)]
    lines.append(PlanLine("crop", len(going), len(_settled(records["crop"], (photo.id for photo in going)))))
    unknown = len([photo for photo in going if photo.garment_id is None])
    note = f"{unknown:,} photographs don't say which garment they show; --column garment_id=COLUMN names a column"
    lines.append(PlanLine("split", len(going), 0, note=note if unknown else ""))
    originals = sum(photo.path.stat().st_size for photo in going if photo.path.is_file())
    disk = originals + len(going) * DRAFT_BYTES
    lines.append(PlanLine("shards", len(going), 0, disk=disk, note="drafts and originals"))
    return Plan(tuple(line for line in lines if line.stage in stages), build.budget.spent, build.budget.limit)


def _generation(build: Build, photos: Sequence[Photo], records: Records, left: Outstanding) -> PlanLine:
    todo = len([photo for photo in photos if photo.id in left.drafts])
    line = PlanLine("generate", len(photos), len(photos) - todo)
    kind = build.parts.draft_kind
    if kind == "folder" or not todo:
        return line
    if kind == "openai":
        note = "the service tells no price before the first draft; --budget needs --draft highest_cost=USD"
        return replace(line, calls=todo, usd=None, disk=todo * DRAFT_BYTES, note=note)
    speed = throughput(build.work.store("generate"))
    note = (
        f"at {1 / speed:.2f} s a draft, measured over those that were made"
        if speed
        else "the time of a draft is not known yet; make some with --only generate --limit 64, and look again"
    )
    hours = todo / speed / 3600 if speed else None
    return replace(line, gpu_hours=hours, disk=todo * _draft_bytes(build, records), note=note)


def _analysis(
    build: Build, photos: Sequence[Photo], records: dict[str, Records], left: Outstanding, *, not_filtered: int
) -> PlanLine:
    done = _settled(records["analyse"], (photo.id for photo in photos))
    todo = [photo for photo in photos if photo.id in left.answers]
    sizes = [
        (_size(records["photos"].get(photo.id), photo.path), _size(records["generate"].get(photo.id), photo.draft))
        for photo in todo
    ]
    found = estimate(sizes, build.parts.analyst)
    ready = len([photo for photo in photos if photo.id not in done and photo.answer is not None])
    notes = [f"by {build.parts.analyst.model}"]
    if not_filtered:
        notes.append(f"at most; {not_filtered:,} of them have not been filtered yet")
    if found.usd is None and todo:
        notes.append("no price of the model is known; give --price")
    return PlanLine(
        "analyse",
        len(photos),
        len(photos) - len(todo) - ready,
        calls=found.calls,
        input_tokens=found.input_tokens,
        output_tokens=found.output_tokens,
        usd=found.usd if todo else 0.0,
        note=", ".join(notes) if todo else "",
    )


def _settled(records: Records, identities: Iterable[str]) -> set[str]:
    return {name for name in identities if name in records and records[name].status != "failed"}


def _goes_on(records: Records, identity: str) -> bool:
    return identity not in records or records[identity].status != "dropped"


def _draft_bytes(build: Build, records: Records) -> int:
    store = build.work.store("generate")
    paths = [store.image_path(record.data["draft"]) for record in records.values() if "seed" in record.data]
    sizes = [path.stat().st_size for path in paths[:200] if path.is_file()]
    return sum(sizes) // len(sizes) if sizes else DRAFT_BYTES


def _size(record: StageRecord | None, path: Path | None) -> Size:
    """Returns the size of an image, by its record or its file's header; a usual draft's where neither says it."""
    if record is not None and "size" in record.data:
        width, height = record.data["size"]
        return width, height
    return (upright_size(path) if path is not None else None) or DRAFT_SIZE


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}" if value else "–"


def _usd(value: float | None, none: str = "–") -> str:
    return "unknown" if value is None else f"${value:,.2f}" if value else none
