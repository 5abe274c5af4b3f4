"""Runs all stages, from photographs to a FashionEdit folder, and resumes where an earlier run stopped.

    photos → generate → filter → analyse → crop → split → shards

A stage takes what the one before it let through, keeps a record for each photograph (`stage_store`), and passes on
what it kept. Each can be run alone once those before it were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.metrics.embedder import Embedder
from fashionedit.owned_folders import recover_folder
from fashionedit.runtime.costs import LEDGER_FILE, CostTracker
from fashionedit.runtime.progress import Bar, Progress
from fashionedit.runtime.worker_pool import FIRST_OUTCOMES

from .analyse.conversation import analysed
from .analyse.stage import analyse, check_price, read_answers
from .build_options import STAGES, BuildOptions, BuildParts, BuildReport
from .crops import cut_crops
from .filter import MIN_SIMILARITY, decide, filter_pairs, stored_scores
from .generate.drafting import DraftFinder, DraftMaker
from .generate.openai_drafts import OpenAIDrafts
from .generate.stage import check_draft_price, generate, throughput
from .inspection import SHEET_FILE, SHEET_SAMPLES, box_figures, write_contact_sheet
from .leaks import LeakReport, compare_splits
from .photos import Photo, Unusable, check_photos
from .photos.release import SelectionReport, compare_selections
from .photos.sources import take_spread
from .plan import Outstanding, check_places, check_room, check_split, outstanding
from .split import SplitList, assign
from .stage_store import Funnel, FunnelStep, PaidOptions, StageRecord, check_reasons, spent
from .work_folder import WorkFolder, check_settings, keep_settings
from .write_dataset import made_with, provenance_of, write_dataset

Bars = Callable[[str, str], Bar]
_ID = attrgetter("id")


class Build:
    """One build. The stages are methods; `run` calls those that are asked for, in order.

    Args:
        work: Where the stages keep what they have finished.
        parts: What does the work.
        options: What the stages are told.
        budget: USD for all runs together; None has no limit.
        bars: Makes a progress bar from a title and a unit.
        tell: Given a sentence when Ctrl-C is pressed and calls under way are waited for.
    """

    def __init__(
        self,
        work: WorkFolder,
        parts: BuildParts,
        options: BuildOptions,
        *,
        budget: float | None,
        bars: Bars,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.work = work
        self.parts = parts
        self.options = options
        self.budget = CostTracker(
            work.path / LEDGER_FILE,
            limit=budget,
            before=lambda: spent(work.store("generate")) + spent(work.store("analyse")),
        )
        self._bars = bars
        self._tell = tell
        self._steps: list[FunnelStep] = []
        self.sheet: Path | None = None
        self._selection: SelectionReport | None = None

    def run(self, out: Path, stages: Sequence[str] = STAGES) -> BuildReport:
        """Returns what was done; the dataset is written to `out` if the stage `shards` is among the stages.

        A stage that is not among them but before one of them hands on what it has finished.

        Raises:
            InvalidDataError: A stage has nothing to hand on, was made with other settings, or lets nothing through.
            ServiceError, BudgetSpentError: A service or the budget ended; what was finished is kept.
            RunBusyError: Another process works on this build.
        """
        self.check(out, stages)
        with self.work.locked():
            try:
                return self._run(out, stages)
            finally:
                if self._steps:
                    self.work.keep_funnel(Funnel(tuple(self._steps)))

    def check(self, out: Path, stages: Sequence[str] = STAGES) -> None:
        """Raises what can be known to be wrong before a photograph is looked at.

        That is: folders overlap, one is not a build's, or there is no such draft maker or reason to retry.
        """
        check_places(self.parts.source, self.work, out)
        check_reasons(self.options.retry, [self.work.store(stage) for stage in ("generate", "analyse")])
        if "generate" in stages:
            self.maker  # noqa: B018 -- made now, so that what is wrong with its options is said now

    def check_photos(self, photos: Sequence[Photo], out: Path, stages: Sequence[str], *, fetch: bool = True) -> None:
        """Raises what can be known to be wrong with the photographs before anything is paid for.

        That is: the split can't be made of them, the disk has no room, paid work would be made anew without a word, a
        price is not known, or there is no such encoder, key or model. Without `fetch` no weights are fetched, and
        services need not be reached.
        """
        named = [item.id for item in self.parts.source.photos()] if self.options.listed is not None else []
        again = self.options.again
        check_split(photos, named, self.options, None if "split" in again else self.work.frozen_split(out))
        if "shards" in stages:
            check_room(photos, self.options, out)
        left = self.outstanding(photos, fetch=fetch)
        for stage, settings in (("generate", self._generate_settings), ("analyse", self.parts.analyst.identity)):
            if left.remade[stage] and stage in stages and stage not in again:
                check_settings(self.work.store(stage).folder, settings())
        left.check(stages, again)
        if left.drafts and "generate" in stages:
            check_draft_price(self.maker, self.budget)
            if isinstance(self.maker, OpenAIDrafts):
                self.maker.check(reach=fetch)
        if left.answers and "analyse" in stages:
            check_price(self.parts.analyst, self.budget)
            self.parts.analyst.check(reach=fetch)
        if not {"filter", "split", "shards"}.isdisjoint(stages):
            self.parts.find_encoder(fetch)

    def outstanding(self, photos: Sequence[Photo], *, fetch: bool) -> Outstanding:
        """Returns what is left to make and to pay for."""
        return outstanding(
            photos, self.work, self.maker, self.parts.analyst, self.options.base_seed, must_describe=fetch
        )

    def _generate_settings(self) -> dict[str, Any]:
        return {"maker": self.maker.describe(), "base_seed": self.options.base_seed}

    @cached_property
    def maker(self) -> DraftMaker:
        """The draft maker."""
        return self.parts.drafts()

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder of the filter and the leak check."""
        return self.parts.embedder()

    def _run(self, out: Path, stages: Sequence[str]) -> BuildReport:
        recover_folder(out)
        last = stages[-1]
        photos = self.photos()
        if last == "photos":
            return self._report()
        self.check_photos(photos, out, stages)
        pairs = self.generate(photos, anew="generate" in stages)
        if last == "generate":
            return self._report()
        pairs = self.filter(pairs, anew="filter" in stages)
        if last == "filter":
            return self._report()
        items = self.analyse(pairs, anew="analyse" in stages)
        if last == "analyse":
            return self._report()
        samples = self.crop(items)
        if last == "crop":
            return self._report()
        split = self.split(samples, out)
        leaks = self.leaks(samples, split)
        if last == "split":
            return replace(self._report(), leaks=leaks)
        return self.shards(photos, samples, split, leaks, out)

    def listed(self) -> tuple[list[Photo], list[str]]:
        """Returns the photographs to build from, and the ids of all that the source names; looks into no picture."""
        named = self._named()
        photos = [item for item in named if isinstance(item, Photo)]
        usable = [photo for photo in photos if photo.draft is not None or (photo.caption or "").strip()]
        return usable, [item.id for item in named]

    def photos(self) -> list[Photo]:
        """Returns the photographs that can be read and have what the next stage needs."""
        store = self.work.store("photos")
        keep_settings(store.folder, self.parts.source.describe())
        with self._bars("fetching", "image") as fetching, self._bars("photos", "image") as bar:
            photos, records = check_photos(
                self._named(fetching.at), store, workers=self.options.workers, progress=bar.at
            )
        self._step("photos", records, photos, records)
        return self._need(photos, "photographs")

    def _named(self, fetching: Progress | None = None) -> list[Photo | Unusable]:
        """Returns what the source names, within the limit."""
        items, limit = self.parts.source.photos(fetching), self.options.limit
        return items if limit is None else take_spread(items, limit)

    def generate(self, photos: Sequence[Photo], *, anew: bool = True) -> list[Photo]:
        """Returns each photograph with its draft; only those that are there if the stage is not run now."""
        store = self.work.store("generate")
        if not anew:
            pairs = self._finished_drafts(photos)
        else:
            if any(photo.draft is None for photo in photos):
                keep_settings(store.folder, self._generate_settings())  # keys say what is paid for anew
            with self._bars("drafts", "image") as bar:
                pairs = generate(photos, self.maker, store, base_seed=self.options.base_seed, **self._paid(bar))
        self._step("drafts", photos, pairs, store.records())
        return self._need(pairs, "drafts")

    def _finished_drafts(self, photos: Sequence[Photo]) -> list[Photo]:
        store, kept = self.work.store("generate"), self._kept("generate", photos)
        # Ready drafts that the source does not name lie in a folder of their own.
        elsewhere = any(record.data.get("ready") and photo.draft is None for photo, record in kept)
        finder = self.maker if elsewhere else None
        pairs = []
        for photo, record in kept:
            digest = record.data["draft"]
            ready = photo.draft or (finder.find(photo.id) if isinstance(finder, DraftFinder) else None)
            pairs.append(replace(photo, draft=ready or store.image_path(digest), draft_digest=digest))
        return pairs

    def filter(self, pairs: Sequence[Photo], *, anew: bool = True) -> list[Photo]:
        """Returns the pairs that resemble each other enough; all of them where there is no limit and no selection."""
        options, store = self.options, self.work.store("filter")
        if not options.filters:
            kept = [replace(pair, clip_score=_selection_score(pair)) for pair in pairs]
        elif anew:
            with self._bars("similarity", "pair") as bar:
                kept = filter_pairs(
                    pairs,
                    self.embedder,
                    store,
                    min_similarity=options.min_similarity,
                    top_k=options.top_k,
                    selection=options.selection,
                    progress=bar.at,
                )
        else:
            kept = [
                replace(pair, clip_score=record.data["score"] if record.data.get("clip") else None)
                for pair, record in self._kept("filter", pairs)
            ]
        self._step("kept", pairs, kept, store.records())
        if anew and options.selection is not None:
            # How the ready selection differs from what the paper's limit gives on our own scores.
            ids = {pair.id for pair in pairs}
            scores = {name: score for name, score in stored_scores(store, self.embedder).items() if name in ids}
            ours = [name for name, reason in decide(scores, min_similarity=MIN_SIMILARITY).items() if reason is None]
            self._selection = compare_selections(options.selection, scores, kept_computed=ours)
            self.work.keep_selection(self._selection)
        return self._need(kept, "pairs that are similar enough")

    def analyse(self, pairs: Sequence[Photo], *, anew: bool = True) -> list[Photo]:
        """Returns the pairs with their three differences; only those that are there if the stage is not run now."""
        if anew:
            items = self._analyse(pairs)
        else:
            items = [analysed(pair, record) for pair, record in self._kept("analyse", pairs)]
        self._step("analysed", pairs, items, self.work.store("analyse").records())
        return self._need(items, "pairs with three differences")

    def _analyse(self, pairs: Sequence[Photo]) -> list[Photo]:
        store, analyst = self.work.store("analyse"), self.parts.analyst
        ready = [pair for pair in pairs if pair.answer is not None]
        asked = [pair for pair in pairs if pair.answer is None]
        # The first part holds as many as are looked at for a reason that all of them share.
        first = max(SHEET_SAMPLES, FIRST_OUTCOMES, analyst.concurrency)
        with self._bars("differences", "pair") as bar:
            items = read_answers(ready, store, bar.at)
            if asked:
                keep_settings(store.folder, analyst.identity())
            for part, before in ((asked[:first], len(ready)), (asked[first:], len(ready) + first)):
                if not part:
                    continue
                items += analyse(part, analyst, store, **self._paid(bar, before, len(pairs)))
                self._keep_sheet(items)
        return sorted(items, key=_ID)

    def _kept(self, stage: str, photos: Sequence[Photo]) -> list[tuple[Photo, StageRecord]]:
        """Returns the photographs that the stage kept when it ran last, with their records; all must have been in."""
        ids = {photo.id for photo in photos}
        records = {record.id: record for record in self.work.store(stage).records() if record.id in ids}
        if missing := len(ids) - len(records):
            raise InvalidDataError(
                f"{missing:,} of {len(ids):,} photographs have not been through the stage {stage}; run it first, with "
                f"--only {stage}"
            )
        return [(photo, record) for photo in photos if (record := records[photo.id]).status == "kept"]

    def _paid(self, bar: Bar, before: int = 0, of: int | None = None) -> PaidOptions:
        """Returns the options of a stage that costs money; its bar moves `before` items on, and shows all costs."""

        def at(done: int, total: int) -> None:
            bar.at(before + done, of or total)
            if self.budget.spent:
                bar.spend(self.budget.spent)

        return {
            "budget": self.budget,
            "retry": self.options.retry,
            "keep_going": self.options.keep_going,
            "progress": at,
            "tell": self._tell,
        }

    def _keep_sheet(self, items: Sequence[Photo]) -> None:
        """Writes the sheet of the first samples, once, so that a person can look before the rest is paid for."""
        if items and self.sheet is None:
            self.sheet = self.work.path / SHEET_FILE
            write_contact_sheet(sorted(items, key=_ID)[:SHEET_SAMPLES], self.sheet)

    def crop(self, items: Sequence[Photo]) -> list[Photo]:
        """Returns the items whose crops show something, with their sketches where these are wanted."""
        options, store = self.options, self.work.store("crop")
        with self._bars("crops", "sample") as bar:
            samples = list(cut_crops(items, store, sketches=options.sketches, workers=options.workers, progress=bar.at))
        self._step("samples", items, samples, store.records())
        return self._need(samples, "samples")

    def split(self, samples: Sequence[Photo], out: Path) -> SplitList:
        """Returns which garment or sample is in which split; what was assigned before stays where it is."""
        options, frozen = self.options, self.work.frozen_split(out)
        if "split" in options.again:
            frozen = None
        split = assign(
            [(sample.id, sample.garment) for sample in samples],
            rule=options.split_rule,
            seed=options.split_seed,
            validation=options.validation,
            listed=options.listed,
            known=() if options.listed is None else [item.id for item in self.parts.source.photos()],
            frozen=frozen,
        )
        self.work.keep_split(split)
        return split

    def leaks(self, samples: Sequence[Photo], split: SplitList) -> LeakReport:
        """Returns the garments and the near-duplicate photographs that are in both splits."""
        with self._bars("leak check", "image") as bar:
            return compare_splits(samples, split, self.embedder, bar.at)

    def shards(
        self, photos: Sequence[Photo], samples: Sequence[Photo], split: SplitList, leaks: LeakReport, out: Path
    ) -> BuildReport:
        """Writes the dataset, all of it or nothing."""
        figures = box_figures([[box for _, box in sample.differences] for sample in samples])
        report = replace(self._report(), leaks=leaks, figures=figures)
        if report.funnel.failed and not self.options.leave_failed:
            raise InvalidDataError(
                f"{report.funnel.failed:,} photographs failed and are tried again by the same command; give it again, "
                "or give --leave-failed to write the dataset without them"
            )
        drafts, answers = self.work.store("generate"), self.work.store("analyse")
        provenance = provenance_of(self.parts.source, drafts, answers, {sample.id for sample in samples})
        report = replace(report, made_with=made_with(provenance, self.options, split, self.parts.encoder_name))
        with self._bars("writing", "sample") as bar:
            sizes = write_dataset(out, photos, samples, split, report, provenance, self.options, bar.at)
        return replace(report, out=out, splits=sizes)

    def _step(
        self,
        name: str,
        came: Iterable[Photo | StageRecord],
        kept: Iterable[Photo],
        records: Iterable[StageRecord],
    ) -> None:
        self._steps.append(FunnelStep.of_records(name, map(_ID, came), map(_ID, kept), records))

    def _need(self, items: list[Photo], what: str) -> list[Photo]:
        if not items:
            funnel = Funnel(tuple(self._steps)).to_text()
            raise InvalidDataError(f"there are no {what} to go on with; this is what became of the others:\n{funnel}")
        return items

    def _report(self) -> BuildReport:
        return BuildReport(
            Funnel(tuple(self._steps)),
            selection=self._selection,
            usd=self.budget.spent,
            sheet=self.sheet,
            captions_cut=sum(
                bool(record.data.get("effective", {}).get("tokens_dropped"))
                for record in self.work.store("generate").records()
            ),
            drafts_per_second=throughput(self.work.store("generate")),
        )


def _selection_score(photo: Photo) -> float | None:
    """Returns the score that the source gives the photograph's draft, as the authors' release does."""
    text = photo.attributes.get("selection score")
    return None if text is None else float(text)
