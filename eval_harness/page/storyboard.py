"""The strips of the page: which samples, and for each what every run made of it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PIL import Image

from fashionedit.errors import InvalidImageError
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.references import (
    DETAIL,
    find_reference,
    reference_of,
    shown_references,
    subset,
    with_reference,
)
from fashionedit.eval_harness.running.records import ImageRef, RoundOutcome
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.result_models import Results, Row, RowSamples
from fashionedit.eval_harness.scores.results import ScorableRun
from fashionedit.eval_harness.scores.table import method_name, short_label
from fashionedit.parallel import map_in_order
from fashionedit.perceptual_hash import FingerprintIndex, fingerprint, shows_picture
from fashionedit.types import Sample

from .charts import colours, series_key
from .pictures import (
    WITHHELD,
    SamplePictures,
    Shown,
    image_format,
    picture_size,
    withheld_output,
)

_REFERENCE_SIDE = 240
_DIGITS = 3
_NO_PROMPT = PROTOCOLS["draft"].prompt()

_AT_ONCE = 200  # samples whose records are read together

Picture = Shown | str
"""A picture, or why there is none."""

Outcomes = Mapping[int, RoundOutcome]
"""What each round of one sample came to, in one line."""


@dataclass(slots=True)
class _Line:
    """The rows of one run in one protocol; `source` has the run's own kind of reference."""

    run: int
    source: SampleSource
    rows: dict[int, Row] = field(default_factory=dict)
    samples: dict[int, RowSamples] = field(default_factory=dict)

    @property
    def first(self) -> Row:
        return self.rows[min(self.rows)]

    @property
    def kind(self) -> str:
        """The kind of reference in words; nothing where none is shown."""
        protocol, kind = PROTOCOLS[self.first.protocol], find_reference(reference_of(self.source))
        return protocol.prompt(kind.label) if protocol.shows_reference else ""


class Storyboard:
    """The samples of a page as plain JSON values, and the pictures they show.

    Args:
        runs: The run folders, in the order of `results.runs`.
        ids: The samples to show.
        folder: Whether the pictures are loaded one sample at a time, so that they may be larger.
        publishable: Whether to leave out what may not be passed on.
    """

    def __init__(
        self,
        results: Results,
        runs: Sequence[ScorableRun],
        source: SampleSource,
        ids: Sequence[str],
        *,
        folder: bool,
        publishable: bool,
    ) -> None:
        self._results, self._runs, self._ids, self._publishable = results, runs, tuple(ids), publishable
        self._source = with_reference(source, DETAIL)
        self._metrics = [metric for metric in results.metrics if not metric.is_share]
        self._places = {sample.id: place for place, sample in enumerate(results.samples)}
        self._lines = _lines(results, runs, self._source)
        pairs = zip(results.rows, results.row_samples, strict=True)
        self._floor = next((samples for row, samples in pairs if row.kind == "floor"), None)
        self._size = picture_size(sum(len(self._digests(id)) for id in self._ids), folder=folder)

    @property
    def index(self) -> dict[str, Any]:
        """What sorting and filtering need of all samples, without texts and pictures."""
        hues = colours(self._results)
        return {
            "type": f"image/{image_format().lower()}",
            "metrics": [
                [short_label(metric), metric.unit, metric.digits, metric.identical] for metric in self._metrics
            ],
            "measures": [[one.id, one.label, one.unit, one.better] for one in self._results.measures],
            "rows": [self._row(line, hues[series_key(line.first)]) for line in self._lines],
            "publishable": self._publishable,
            "withheld": WITHHELD if self._publishable else {"damaged": WITHHELD["damaged"]},
            "samples": [self._brief(id) for id in self._ids],
        }

    @property
    def texts(self) -> list[str]:
        """What a search goes through, a text per sample."""
        return [self._words(id) for id in self._ids]

    def details(self) -> Iterator[dict[str, Any]]:
        """Yields for each sample what its strips show, its pictures with it, base64 by their place."""
        workers = min(os.cpu_count() or 1, 4)
        yield from map_in_order(lambda sample: self._detail(*sample), self._with_outcomes(), workers=workers)

    def _with_outcomes(self) -> Iterator[tuple[str, Sequence[Outcomes]]]:
        """Yields each sample with its outcomes in each line; records are read for some samples at a time."""
        for ids in (self._ids[start : start + _AT_ONCE] for start in range(0, len(self._ids), _AT_ONCE)):
            found: dict[str, list[dict[int, RoundOutcome]]] = {id: [{} for _ in self._lines] for id in ids}
            for run in dict.fromkeys(line.run for line in self._lines):
                lines = {line.first.protocol: place for place, line in enumerate(self._lines) if line.run == run}
                source = next(line.source for line in self._lines if line.run == run)
                for outcome in self._runs[run].outcomes(subset(source, ids)):
                    if outcome.sample in found and outcome.protocol in lines:
                        found[outcome.sample][lines[outcome.protocol]][outcome.round] = outcome
            yield from ((id, found.pop(id)) for id in ids)

    def _row(self, line: _Line, colour: int) -> dict[str, Any]:
        first = line.first
        return {
            "method": method_name(first),
            "prompt": "" if first.prompt == _NO_PROMPT else first.prompt,
            "rounds": sorted(line.rows),
            "colour": colour,
            "reference": line.kind,
        }

    def _brief(self, id: str) -> dict[str, Any]:
        place, sample = self._places[id], self._results.samples[self._places[id]]
        return {
            "id": id,
            "facts": [sample.category or "", sample.gender or "", sample.view or ""],
            "draft": self._values(self._floor, place) if self._floor is not None else [],
            "values": [
                [self._values(line.samples[number], place) for number in sorted(line.rows)] for line in self._lines
            ],
            "statuses": [[line.samples[number].status[place] for number in sorted(line.rows)] for line in self._lines],
        }

    def _values(self, samples: RowSamples, place: int) -> list[float]:
        return [round(samples.values[metric.id][place], metric.digits + 1) for metric in self._metrics]

    def _words(self, id: str) -> str:
        facts = self._source.facts(id)
        told = [id, facts.category, facts.gender, facts.view, *facts.descriptions]
        if not self._publishable:
            told.append(facts.annotation)
        return " ".join(part for part in told if part).lower()

    def _digests(self, id: str) -> set[str]:
        """Returns the digests of all pictures of a sample."""
        digests, place = self._source.digests(id), self._places[id]
        found = {digests.original, digests.draft}
        for line in self._lines:
            found |= {samples.digests[place] for samples in line.samples.values() if samples.digests}
            found |= set(line.source.digests(id).crops) if line.kind else set()
        return found

    def _detail(self, id: str, outcomes: Sequence[Outcomes]) -> dict[str, Any]:
        sample, facts, digests = self._source.sample(id), self._source.facts(id), self._source.digests(id)
        pictures = SamplePictures(self._size)
        kept = {digests.original, *digests.crops, *digests.sketches, *digests.examples}
        draft: Picture = "alike"
        if not (self._publishable and (digests.draft in kept or self._shows_photograph(sample))):
            draft = pictures.add(digests.draft, lambda: sample.draft)
        original: Picture = "original"
        if not self._publishable:
            original = pictures.add(digests.original, lambda: sample.original)
        return {
            "caption": "" if self._publishable else facts.annotation,
            "descriptions": list(facts.descriptions),
            "boxes": [[round(edge, 2) for edge in box.box_2d] for box in facts.boxes],
            "draft": draft,
            "original": original,
            "rows": [
                self._strip(id, line, told, pictures, draft, kept)
                for line, told in zip(self._lines, outcomes, strict=True)
            ],
            "references": self._references(id, sample, pictures),  # last: one that is an output too is shown large
            "pictures": pictures.encoded,
        }

    def _shows_photograph(self, sample: Sample) -> bool:
        """Returns whether the draft shows the sample's photographs, tested as `publish` tests it."""
        if self._results.dataset.control_set:
            return False
        draft, photographs = sample.draft, (sample.original, *sample.examples)
        pictures = (*photographs, *(difference.reference for difference in sample.differences), *sample.sketches)
        likeness = FingerprintIndex(["it"] * len(pictures), map(fingerprint, pictures))
        return likeness.find([fingerprint(draft)]) != [None] or any(shows_picture(draft, one) for one in photographs)

    def _strip(
        self,
        id: str,
        line: _Line,
        outcomes: Outcomes,
        pictures: SamplePictures,
        draft: Picture,
        kept: Collection[str],
    ) -> list[dict[str, Any]]:
        """Returns the rounds of a strip: picture, whether it is a whole reference, instruction, message, measures."""
        place, shown = self._places[id], draft
        reason = "alike" if isinstance(draft, str) else None
        references = set(line.source.digests(id).crops)
        rounds = []
        for number in sorted(line.rows):
            outcome, samples = outcomes.get(number), line.samples[number]
            if outcome is not None and (outcome.own or number == min(line.rows)):
                image = outcome.current
                is_draft = image.digest == self._source.digests(id).draft
                if self._publishable and not is_draft:  # what is made from it in later rounds is left out with it
                    reason = reason or withheld_output(line.rows[number], samples, place, image.digest, kept)
                shown = draft if is_draft else reason or _opened(image, pictures)
            rounds.append(
                {
                    "picture": shown,
                    "cut": outcome is not None and outcome.current.digest in references,
                    "told": outcome.instruction if outcome is not None and number > 0 else "",
                    "message": outcome.message if outcome is not None else "",
                    "measures": {
                        name: round(value, _DIGITS)
                        for name, values in samples.measures.items()
                        if (value := values[place]) is not None
                    },
                }
            )
        return rounds

    def _references(self, id: str, sample: Sample, pictures: SamplePictures) -> list[dict[str, Any]]:
        """Returns the references that the rows show, once for each kind."""
        found: dict[str, list[Picture]] = {}
        for line in self._lines:
            if line.kind and line.kind not in found and id in line.source.ids:
                digests = line.source.digests(id).crops
                images = shown_references(sample, reference_of(line.source))
                found[line.kind] = [
                    "reference"
                    if self._publishable
                    else pictures.add(digest, partial(_itself, image), side=_REFERENCE_SIDE)
                    for digest, image in zip(digests, images, strict=True)
                ]
        return [{"kind": kind, "pictures": shown} for kind, shown in found.items()]


def _itself(image: Image.Image) -> Image.Image:
    return image


def _opened(image: ImageRef, pictures: SamplePictures) -> Picture:
    """Returns the picture; its scores may be known although its file is damaged, and then the page says so."""
    try:
        return pictures.add(image.digest, image.open)
    except InvalidImageError as error:
        warnings.warn(f"{error}; the page leaves it out", stacklevel=2)
        return "damaged"


def _lines(results: Results, runs: Sequence[ScorableRun], source: SampleSource) -> list[_Line]:
    sources = [with_reference(source, run.identity.reference) for run in runs]
    found: dict[tuple[int, str], _Line] = {}
    ceilings: dict[int, str] = {}
    for row, samples in zip(results.rows, results.row_samples, strict=True):
        # The original is the same in every protocol; one strip of it is enough.
        if row.run is not None and (
            row.kind != "ceiling" or ceilings.setdefault(row.run, row.protocol) == row.protocol
        ):
            line = found.setdefault((row.run, row.protocol), _Line(row.run, sources[row.run]))
            line.rows[row.round] = row
            line.samples[row.round] = samples
    return list(found.values())


def chosen_samples(results: Results, most: int | None) -> tuple[str, ...]:
    """Returns the ids of the samples to show, in the dataset's order.

    All of them, or else `most`: a third with the lowest, a third with the highest score after the last round (mean over
    the runs' rows, first metric), and the rest evenly spaced between.
    """
    ids = [sample.id for sample in results.samples]
    if most is None or len(ids) <= most:
        return tuple(ids)
    last = max(row.round for row in results.rows if row.run is not None)
    metric = next(one.id for one in results.metrics if not one.is_share)
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
