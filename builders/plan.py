"""What a build would do and cost, and what is wrong with it, before anything is paid for."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fashionedit.errors import InvalidDataError, MissingExtraError, ServiceError
from fashionedit.images import upright_size
from fashionedit.owned_folders import check_apart, check_replaceable
from fashionedit.runtime.tables import aligned

from .analyse.analyst import Analyst
from .analyse.request import Size, estimate
from .build_options import STAGES, BuildOptions
from .generate.drafting import DraftFinder, DraftMaker, draft_key
from .generate.stage import throughput
from .photos import Photo, PhotoSource
from .split import SplitList
from .stage_store import StageRecord
from .work_folder import WorkFolder

if TYPE_CHECKING:
    from .build import Build

DRAFT_SIZE = (1024, 1024)
"""Pixels of a draft, until there is one to measure: Stable Diffusion 3's."""

DRAFT_BYTES = 1_800_000
"""Of such a draft as PNG, until there are some to measure."""

Records = dict[str, StageRecord]
"""The records of a stage, by their ids."""


@dataclass(frozen=True, slots=True)
class PlanLine:
    """Estimate of what is left to do in one stage. A number is None while it is not known.

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


_LEAST_SPACE = 2**20
"""Bytes that records and the card take at least."""


def check_places(source: PhotoSource, work: WorkFolder, out: Path) -> None:
    """Raises InvalidDataError unless source, work folder and dataset lie apart, and the last two are ours."""
    places = {"the work folder": work.path, "the dataset": out}
    if source.root is not None:
        places = {"the source": source.root, **places}
    check_apart(places)
    work.check()
    check_replaceable(out, "build", replace=True)
    for place, beside in ((work.path, work.path), (out, out.absolute().parent)):
        folder = _nearest(beside)
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise InvalidDataError(
                f"{place} can't be written ({error.strerror}: {folder}); choose another place"
            ) from error
        _check_space(place, folder, _LEAST_SPACE)


def check_room(photos: Sequence[Photo], options: BuildOptions, out: Path) -> None:
    """Raises InvalidDataError unless the disk has room for what the dataset holds at least: the photographs themselves.

    How many pairs a limit of similarity keeps isn't known before; then nothing is sure to be needed.
    """
    sizes = sorted(photo.path.stat().st_size for photo in photos if photo.path.is_file())
    if options.selection is not None:
        sizes = sorted(photo.path.stat().st_size for photo in photos if photo.id in options.selection)
    if options.min_similarity is not None:
        sizes = []
    _check_space(out, _nearest(out.absolute().parent), _LEAST_SPACE + sum(sizes[: options.top_k]))


def check_split(photos: Iterable[Photo], named: Iterable[str], options: BuildOptions, frozen: SplitList | None) -> None:
    """Raises InvalidDataError unless the split that is asked for can be made of these photographs.

    Args:
        photos: Those to build from.
        named: The ids of everything that the source names.
        options: Which split is asked for.
        frozen: The split that was made before, unless it is to be made anew.
    """
    if options.selection is not None and not any(photo.id in options.selection for photo in photos):
        raise InvalidDataError("the selection names no photograph of the source; give the list that belongs to it")
    before = set() if frozen is None else {*frozen.train, *frozen.validation}
    if options.listed is not None and (unknown := sorted({*options.listed} - {*named} - before)):
        raise InvalidDataError(
            f"the validation list names {len(unknown):,} photographs that the source does not have, such as "
            f"{', '.join(unknown[:3])}; correct the list"
        )
    if frozen is None:
        return
    frozen.check(options.split_rule, options.split_seed)
    wanted = options.validation
    if wanted is None or wanted == frozen.wanted:
        return
    new = any((photo.garment if frozen.rule == "garment" else photo.id) not in before for photo in photos)
    if wanted < frozen.wanted or not new:
        raise InvalidDataError(
            f"the photographs were split before with {frozen.wanted:,} images in validation, and {wanted:,} are asked "
            "for; what has its split keeps it: leave out --validation, or give --again split to split all anew"
        )


@dataclass(slots=True)
class Outstanding:
    """Drafts and answers that are still to be made, by the keys that the stages use.

    `drafts` and `answers` are the ids of photographs that have no outcome under today's key; `remade` has by stage
    those of them that were paid for under another key: of another caption, model or setting.
    """

    drafts: set[str] = field(default_factory=set)
    answers: set[str] = field(default_factory=set)
    remade: dict[str, set[str]] = field(default_factory=lambda: {"generate": set(), "analyse": set()})

    def check(self, stages: Sequence[str], again: Iterable[str]) -> None:
        """Raises InvalidDataError if a stage not among `again` would pay anew for what was paid for."""
        for stage, made in (("generate", "drafts"), ("analyse", "answers")):
            if stage in stages and stage not in again and (ids := sorted(self.remade[stage])):
                raise InvalidDataError(
                    f"{len(ids):,} photographs, such as {ids[0]}, have {made} that were made of another caption, draft "
                    f"or model, or with other settings; give the same --column, --captions and settings as before, or "
                    f"--again {stage} to make these {made} anew (the old ones are kept)"
                )


def outstanding(
    photos: Sequence[Photo],
    work: WorkFolder,
    maker: DraftMaker,
    analyst: Analyst,
    base_seed: int,
    *,
    must_describe: bool,
) -> Outstanding:
    """Returns what is left to make; reads records alone.

    A draft model that can't be reached is an error if it must be described; else its drafts count by their ids.
    """
    described = None
    if any(photo.draft is None for photo in photos):
        try:
            described = maker.describe()
        except (ServiceError, MissingExtraError):
            if must_describe:
                raise
    left = Outstanding()
    stores = {stage: work.store(stage) for stage in ("photos", "generate", "analyse")}
    for photo in photos:
        record = stores["generate"].current(photo.id)
        ready = photo.draft is not None or (isinstance(maker, DraftFinder) and maker.find(photo.id) is not None)
        if not ready and described is not None:
            before, record = record, stores["generate"].look_up(photo.id, draft_key(described, base_seed, photo))
            if record is None and before is not None and before.is_paid and before.status != "failed":
                left.remade["generate"].add(photo.id)
        if not ready and (record is None or record.status == "failed"):
            left.drafts.add(photo.id)
        if photo.answer is not None or (record is not None and record.status == "dropped"):
            continue
        original, answer = stores["photos"].current(photo.id), stores["analyse"].current(photo.id)
        digests = (original and original.data.get("digest"), record and record.data.get("draft"))
        found = None
        if all(digests):
            found = stores["analyse"].look_up(photo.id, analyst.key(str(digests[0]), str(digests[1])))
        if found is None or found.status == "failed":
            left.answers.add(photo.id)
        draft_is_known = bool(all(digests)) or photo.id in left.remade["generate"]
        if found is None and draft_is_known and answer is not None and answer.is_paid and answer.status != "failed":
            left.remade["analyse"].add(photo.id)
    return left


def _check_space(place: Path, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InvalidDataError(
            f"{place} takes at least {needed / 1e6:,.1f} MB, and the disk has {free / 1e6:,.1f} MB left; make room, or "
            "choose another place"
        )


def _nearest(place: Path) -> Path:
    """Returns the folder, or the nearest one above it that exists."""
    return next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.is_dir())
