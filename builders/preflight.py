"""What can be found wrong with a build before anything is paid for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fashionedit.errors import InvalidDataError, MissingExtraError, ServiceError
from fashionedit.owned_folders import check_apart, check_replaceable

from .analyse.analyst import Analyst
from .build_options import BuildOptions
from .generate.drafting import DraftFinder, DraftMaker, draft_key
from .photos import PhotoSource
from .split import SplitList
from .stage_items import Pair, Photo
from .work_folder import WorkFolder

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
    """What is left to make of drafts and answers, judged by the keys that the stages use.

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
            key = analyst.key(Pair(photo, photo.path, str(digests[0]), str(digests[1])))
            found = stores["analyse"].look_up(photo.id, key)
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
