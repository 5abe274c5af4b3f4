"""The strips of a page: what each picture is, what was asked, what came of it, and what it scored."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from fashionedit.types import Box

from .aggregation import NOT_RUN
from .editing import Status
from .notes import DECIMALS, method_name, short_label
from .protocols import PROTOCOLS
from .records import RoundOutcome
from .references import DETAIL, reference_of, shown_references, with_reference
from .result_models import Metric, Results, Row
from .results import DescribedSource, ScorableRun
from .scoring import Progress
from .thumbnails import Thumbnail, Thumbnails

__all__ = ["Cell", "Outline", "SampleStrips", "Strip", "chosen_samples", "sample_strips"]

_CROP_SIDE = 168


@dataclass(frozen=True, slots=True)
class Outline:
    """A box in the pixels of a thumbnail."""

    number: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture of a strip.

    Args:
        role: `draft`, `round` or `original`.
        image: The picture: for a failed round the last good one.
        outlines: The boxes to draw on it.
        status: How the round ended; empty for draft and original.
        failed: Whether the round has no picture of its own.
        scores: Label and value of each unstarred metric.
        description, instruction: What the editor was asked, without and with the protocol's lead.
        crop: The reference image, where the editor was shown one.
    """

    role: str
    title: str
    image: Thumbnail
    alt: str
    outlines: tuple[Outline, ...] = ()
    status: str = ""
    failed: bool = False
    message: str = ""
    scores: tuple[tuple[str, str], ...] = ()
    description: str = ""
    instruction: str = ""
    crop: Thumbnail | None = None


@dataclass(frozen=True, slots=True)
class Strip:
    """One method in one protocol on one sample; `final` has the last round's value of each unstarred metric."""

    method: str
    prompt: str
    protocol: str
    cells: tuple[Cell, ...]
    final: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SampleStrips:
    """One sample and all that was made of it."""

    id: str
    annotation: str
    category: str
    facts: tuple[str, ...]
    strips: tuple[Strip, ...]


def chosen_samples(results: Results, most: int) -> tuple[str, ...]:
    """Returns the ids of the samples to show, in the dataset's order.

    All of them, or else `most`: a third with the lowest, a third with the highest score after the last round (mean over
    the runs' rows, first metric), and the rest evenly spaced between.
    """
    ids = [sample.id for sample in results.samples]
    if len(ids) <= most:
        return tuple(ids)
    last = max(row.round for row in results.rows if row.run is not None)
    metric = results.metrics[0].id
    columns = [
        samples.values[metric]
        for row, samples in zip(results.rows, results.row_samples, strict=True)
        if row.run is not None and row.round == last
    ]
    order = sorted(range(len(ids)), key=lambda place: (sum(column[place] for column in columns), place))
    third = most // 3
    middle = order[third : len(order) - third]
    count = most - 2 * third
    spaced = [middle[number * len(middle) // count] for number in range(count)]
    return tuple(ids[place] for place in sorted({*order[:third], *spaced, *order[len(order) - third :]}))


@dataclass(slots=True)
class _Shown:
    """The outcomes of one run in one protocol; `source` has the run's own kind of reference."""

    source: DescribedSource
    rows: dict[int, Row]
    values: dict[int, Mapping[str, tuple[float, ...]]]
    outcomes: dict[str, dict[int, RoundOutcome]] = field(default_factory=dict)

    def references(self, id: str) -> tuple[str, ...]:
        """Returns the digests of the references that the editor was shown."""
        protocol = PROTOCOLS[next(iter(self.rows.values())).protocol]
        return self.source.digests(id).references if "reference" in protocol.roles else ()


def sample_strips(
    results: Results,
    runs: Sequence[ScorableRun],
    source: DescribedSource,
    ids: Sequence[str],
    make: Callable[[Sequence[str]], Thumbnails],
    *,
    progress: Progress | None = None,
) -> tuple[list[SampleStrips], Thumbnails]:
    """Returns the strips of these samples, and the pictures they show.

    Args:
        runs: In the order of `results.runs`.
        make: Called with the digests of all the pictures, each once.
        progress: Called with the samples done and the samples in all.
    """
    source = with_reference(source, DETAIL)
    shown = _shown(results, runs, source, set(ids))
    large = dict.fromkeys(digest for id in ids for digest in _large(id, shown, source))
    small = (digest for id in ids for one in shown for digest in one.references(id))
    thumbnails = make(list(dict.fromkeys([*large, *small])))
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4), thread_name_prefix="thumbnails") as pool:
        embedded = pool.map(lambda id: _embed(id, shown, source, large, thumbnails), ids)
        for done, _ in enumerate(embedded, start=1):
            if progress is not None:
                progress(done, len(ids))
    places = {sample.id: place for place, sample in enumerate(results.samples)}
    made = []
    for id in ids:
        facts = source.facts(id)
        made.append(
            SampleStrips(
                id=id,
                annotation=facts.annotation,
                category=facts.category or "",
                facts=tuple(part for part in (facts.category, facts.gender, facts.view) if part),
                strips=tuple(_strip(id, places[id], one, results, thumbnails) for one in shown),
            )
        )
    return made, thumbnails


def _shown(results: Results, runs: Sequence[ScorableRun], source: DescribedSource, ids: set[str]) -> list[_Shown]:
    sources = [with_reference(source, run.identity.reference) for run in runs]
    found: dict[tuple[int, str], _Shown] = {}
    for row, samples in zip(results.rows, results.row_samples, strict=True):
        if row.run is not None:
            one = found.setdefault((row.run, row.protocol), _Shown(sources[row.run], {}, {}))
            one.rows[row.round] = row
            one.values[row.round] = samples.values
    for index, run in enumerate(runs):
        for outcome in run.outcomes(sources[index]):
            if outcome.sample in ids:
                by_round = found[index, outcome.protocol].outcomes.setdefault(outcome.sample, {})
                by_round[outcome.round] = outcome
    return list(found.values())


def _large(id: str, shown: Sequence[_Shown], source: DescribedSource) -> Iterator[str]:
    digests = source.digests(id)
    yield from (digests.original, digests.draft)
    for one in shown:
        yield from (outcome.current.digest for outcome in one.outcomes.get(id, {}).values())


def _embed(
    id: str, shown: Sequence[_Shown], source: DescribedSource, large: Collection[str], thumbnails: Thumbnails
) -> None:
    sample, digests = source.sample(id), source.digests(id)
    thumbnails.add(digests.original, sample.original)
    thumbnails.add(digests.draft, sample.draft)
    for one in shown:
        for outcome in one.outcomes.get(id, {}).values():
            if outcome.current.digest not in thumbnails:
                thumbnails.add(outcome.current.digest, outcome.current.open())
    for one in shown:
        references = shown_references(sample, reference_of(one.source))
        for digest, reference in zip(one.references(id), references, strict=False):  # none where none was shown
            # An example may be the original of another sample, and a crop a result: those are shown large elsewhere.
            thumbnails.add(digest, reference, side=None if digest in large else _CROP_SIDE)


def _strip(id: str, place: int, one: _Shown, results: Results, thumbnails: Thumbnails) -> Strip:
    metrics = [metric for metric in results.metrics if not metric.is_share]
    first, last = one.rows[min(one.rows)], max(one.rows)
    digests, facts, references = one.source.digests(id), one.source.facts(id), one.references(id)
    floor = next(
        samples.values for row, samples in zip(results.rows, results.row_samples, strict=True) if row.kind == "floor"
    )
    draft, original = thumbnails[digests.draft], thumbnails[digests.original]
    cells = []
    if first.round > 0:
        scores = _scores(metrics, floor, place)
        cells.append(Cell("draft", "Draft", draft, f"Draft of {id}: where editing starts", scores=scores))
    outcomes = one.outcomes.get(id, {})
    for number in sorted(one.rows):
        outcome = outcomes.get(number)
        image = draft if outcome is None else thumbnails[outcome.current.digest]
        cut = outcome is not None and outcome.current.digest in digests.references  # a reference: boxes mean nothing
        status = NOT_RUN if outcome is None or outcome.status is None else outcome.status.value
        failed = status != Status.OK
        asked = number > 0
        title = f"Round {number}" if asked else "Result"
        cells.append(
            Cell(
                role="round",
                title=title,
                image=image,
                alt=f"{title} by {first.method} ({first.prompt}) on {id}"
                + (f": {status.replace('_', ' ')}, the last good image is shown" if failed else ""),
                outlines=_outlines(facts.boxes[number - 1 : number], image, number) if asked and not cut else (),
                status=status,
                failed=failed,
                message=outcome.message if outcome is not None else "",
                scores=_scores(metrics, one.values[number], place),
                description=facts.descriptions[number - 1] if asked else "",
                instruction=outcome.instruction if outcome is not None else "",
                crop=thumbnails[references[number - 1]] if asked and references else None,
            )
        )
    cells.append(
        Cell(
            "original",
            "Original",
            original,
            f"Original of {id}: the target, with its {len(facts.boxes)} boxes",
            _outlines(facts.boxes, original, 1),
        )
    )
    final = {metric.id: one.values[last][metric.id][place] for metric in metrics}
    return Strip(method_name(first), first.prompt, first.protocol, tuple(cells), final)


def _scores(
    metrics: Sequence[Metric], values: Mapping[str, tuple[float, ...]], place: int
) -> tuple[tuple[str, str], ...]:
    return tuple((short_label(metric), f"{values[metric.id][place]:.{DECIMALS}f}") for metric in metrics)


def _outlines(boxes: Sequence[Box], image: Thumbnail, first: int) -> tuple[Outline, ...]:
    return tuple(
        Outline(
            number,
            round(box.xmin * image.width / 1000, 2),
            round(box.ymin * image.height / 1000, 2),
            round((box.xmax - box.xmin) * image.width / 1000, 2),
            round((box.ymax - box.ymin) * image.height / 1000, 2),
        )
        for number, box in enumerate(boxes, start=first)
    )
