"""The evidence of a submission, one file: `bundle.json`.

It holds each fact once: who, on which benchmark, the run, its samples with every scored picture's digest and scores,
how every round ended, and what the edits were made with. Means, intervals, gains, counts and curves are not in it:
`Bundle.results` computes them. No photograph, no crop and no caption is in it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, FiniteFloat, NonNegativeInt, StringConstraints

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.running.records import ImageRef, RoundOutcome, RunIdentity
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.aggregation import Method, measure_value, rows_of
from fashionedit.eval_harness.scores.intervals import INTERVALS
from fashionedit.eval_harness.scores.measures import measure_limits
from fashionedit.eval_harness.scores.primary_scores import NOT_RUN
from fashionedit.eval_harness.scores.result_models import (
    DatasetFacts,
    Kind,
    Measure,
    Metric,
    Results,
    Row,
    RowSamples,
    ScoredSample,
)
from fashionedit.eval_harness.scores.results import readable_json, run_prompt
from fashionedit.eval_harness.scores.scoring import Scores
from fashionedit.files import parse_model, read_regular, write_atomically
from fashionedit.metrics.paper_metrics import THRESHOLDS
from fashionedit.owned_folders import new_folder

from .benchmark import Benchmark, Commit, Digest, RepositoryId, fingerprint_differences
from .provenance import EffectiveParameters, PackageVersions, effective_parameters, package_sets

BUNDLE_FILE = "bundle.json"

LARGEST = 64_000_000
"""The largest bundle that is read, in bytes; a thousand samples take about a twentieth of it."""

SUBMISSIONS = "submissions"
"""The folder of the results repository that holds the bundles."""

_PLACE_OF_THE_NAMELESS = "_"  # no owner on the Hub can be called so


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundledPicture(_Stored):
    """One picture of a sample: pixel digest, and its score by each metric that is no share, in the metric's unit."""

    digest: Digest
    scores: dict[str, FiniteFloat]


class BundledSample(ScoredSample):
    """One sample, with every picture that was scored against its original, the draft and the original included."""

    pictures: tuple[BundledPicture, ...]


class BundledMethod(_Stored):
    """Whose rows they are, for the rows that every table has; the fields mean what they mean in `Row`."""

    method: str
    editor: str
    fingerprint: str
    kind: Kind
    privileged: bool
    prompt: str


class BundledRow(_Stored):
    """One method in one protocol after one round.

    Args:
        method: None for the run's own rows.
        status: How the round ended, sample by sample.
        pictures: Which of the sample's pictures the round gave; None where it gave none, and the last one stands.
        measures: The measures by id, sample by sample.
        control_gaps: See `Row.control_gaps`.
        repeats: For each metric the primary scores with the other seeds.
    """

    method: BundledMethod | None
    protocol: str
    round: int
    status: tuple[str, ...]
    pictures: tuple[NonNegativeInt | None, ...]
    measures: dict[str, tuple[FiniteFloat | None, ...]] = {}
    control_gaps: dict[str, FiniteFloat] = {}
    repeats: dict[str, tuple[FiniteFloat, ...]] = {}

    @property
    def place(self) -> str:
        """Which row it is, in words."""
        return f"{self.method.method + ', ' if self.method else ''}{self.protocol} round {self.round}"


class Bundle(_Stored):
    """`bundle.json`.

    Args:
        name: How tables call the model: its repository, or the name of a service's model that has none.
        model: The model's repository on the Hub; None for one without.
        repository, revision: The benchmark: a dataset repository at one commit.
        mean_box_area, originals: See `DatasetFacts`.
        parameters: What the edits were made with, by protocol.
        sessions: The package versions with which the run was started.
        checksum: SHA-256 of all the rest. It tells a slip from a whole file, and stops nobody.
    """

    schema_version: Literal[2] = 2
    name: Annotated[str, StringConstraints(min_length=1, max_length=96)]
    model: RepositoryId | None
    repository: RepositoryId
    revision: Commit
    run: RunIdentity
    mean_box_area: FiniteFloat
    originals: str
    metrics: tuple[Metric, ...]
    measures: tuple[Measure, ...]
    samples: tuple[BundledSample, ...]
    rows: tuple[BundledRow, ...]
    parameters: dict[str, EffectiveParameters]
    sessions: tuple[PackageVersions, ...]
    checksum: Digest = "0" * 64

    @property
    def benchmark(self) -> Benchmark:
        """What was run."""
        return Benchmark(
            repository=self.repository,
            revision=self.revision,
            split=self.run.split,
            samples=len(self.samples),
            manifest=self.run.manifest,
        )

    @property
    def official(self) -> bool:
        """Whether the leaderboard's own encoder made the scores; others never stand among the ranked ones."""
        return not fingerprint_differences(self.metrics)

    @property
    def track(self) -> str:
        """What sets this submission apart from others of the same model, as `detail-images`."""
        editor = self.run.editor
        parts = [self.run.reference, editor.state]
        parts += ["stitched"] * editor.stitched + ["supplied"] * editor.supplied
        parts += ["other-encoder"] * (not self.official)
        return "-".join(parts)

    @property
    def outputs(self) -> Iterator[tuple[str, str, int, str]]:
        """Sample, protocol, round and pixel digest of each picture that the editor returned."""
        for row in self.rows:
            for sample, number in zip(self.samples, row.pictures, strict=True):
                if row.method is None and number is not None:
                    yield sample.id, row.protocol, row.round, sample.pictures[number].digest

    @cached_property
    def results(self) -> Results:
        """The results that follow from it, by the code that computes those of a run; `shape_problems` must be none."""
        pairs = [pair for group in _groups(self.rows) for pair in self._scored(group)]
        rows = dict(pairs)
        ordered = [rows[id(row)] for row in self.rows]
        return Results(
            protocol_version=self.run.protocol_version,
            runs=(self.run,),
            dataset=DatasetFacts(
                name=self.repository,
                split=self.run.split,
                samples=len(self.samples),
                garments=len({sample.garment for sample in self.samples}),
                manifest=self.run.manifest,
                control_set=self.run.control_set,
                mean_box_area=self.mean_box_area,
                originals=self.originals,
            ),
            metrics=self.metrics,
            measures=self.measures,
            interval=INTERVALS,
            thresholds=THRESHOLDS,
            rows=tuple(row for row, _ in ordered),
            samples=tuple(ScoredSample(**sample.model_dump(exclude={"pictures"})) for sample in self.samples),
            row_samples=tuple(samples for _, samples in ordered),
        )

    def _scored(self, group: list[BundledRow]) -> Iterator[tuple[int, tuple[Row, RowSamples]]]:
        """Yields the rows of one method in one protocol as results have them, by the `id` of the bundle's row."""
        first, editor = group[0], self.run.editor
        method, prompt = Method(0, editor.name, editor.name, editor.fingerprint, "editor", False, editor.supplied), ""
        if (shared := first.method) is not None:
            prompt = shared.prompt
            method = Method(
                None, shared.method, shared.editor, shared.fingerprint, shared.kind, shared.privileged, False
            )
        else:
            prompt = run_prompt(self.run, first.protocol)
        last = {sample.id: digest for sample, digest in zip(self.samples, self.digests("floor"), strict=True)}
        outcomes: dict[int, dict[str, RoundOutcome]] = {}
        for row in sorted(group, key=lambda row: row.round):
            for sample, status, number in zip(self.samples, row.status, row.pictures, strict=True):
                if number is not None:
                    last[sample.id] = sample.pictures[number].digest
                ended = None if status == NOT_RUN else Status(status)
                outcomes.setdefault(row.round, {})[sample.id] = RoundOutcome(
                    sample.id,
                    row.protocol,
                    row.round,
                    ended,
                    ImageRef(last[sample.id], (0, 0), _never),
                    number is not None,
                )
        source, scores = cast(SampleSource, _Source(self)), cast(Scores, _Scores(self))
        made = {
            row.round: (row, found) for row, found in rows_of(method, first.protocol, prompt, outcomes, source, scores)
        }
        garments = [sample.garment for sample in self.samples]
        limits = {metric.id: metric.control_limit for metric in self.metrics}
        for stored in group:
            computed, found = made[stored.round]
            facts = {
                "control_gaps": stored.control_gaps,
                "doubtful": tuple(id for id, gap in stored.control_gaps.items() if gap > (limits[id] or 0)),
                "measures": {
                    id: measure_value(values, garments, measure_limits(id)) for id, values in stored.measures.items()
                },
                "repeats": {id: (computed.scores[id].mean, *means) for id, means in stored.repeats.items()},
            }
            yield (
                id(stored),
                (computed.model_copy(update=facts), found.model_copy(update={"measures": stored.measures})),
            )

    def digests(self, kind: Kind) -> list[str]:
        """Returns the digest of each sample's draft (`floor`) or original (`ceiling`)."""
        row = next(row for row in self.rows if row.method is not None and row.method.kind == kind)
        return [
            sample.pictures[cast(int, number)].digest for sample, number in zip(self.samples, row.pictures, strict=True)
        ]


class _Source:
    """The samples as a bundle has them, with as much as the aggregation asks for."""

    def __init__(self, bundle: Bundle) -> None:
        self.ids = tuple(sample.id for sample in bundle.samples)
        self._facts = {sample.id: sample for sample in bundle.samples}
        pictures = zip(bundle.digests("ceiling"), bundle.digests("floor"), strict=True)
        self._digests = {
            id: SimpleNamespace(original=original, draft=draft)
            for id, (original, draft) in zip(self.ids, pictures, strict=True)
        }

    def digests(self, id: str) -> Any:
        return self._digests[id]

    def facts(self, id: str) -> Any:
        return self._facts[id]


class _Scores:
    """The scores as a bundle has them, by picture and original."""

    thresholds = THRESHOLDS
    measured = None

    def __init__(self, bundle: Bundle) -> None:
        self.metrics = bundle.metrics
        scales = {metric.id: metric.scale for metric in bundle.metrics}
        self._values = {
            (metric, picture.digest, original): value / scales[metric]
            for sample, original in zip(bundle.samples, bundle.digests("ceiling"), strict=True)
            for picture in sample.pictures
            for metric, value in picture.scores.items()
        }

    def raw(self, metric: Metric, pair: tuple[str, str]) -> float:
        return self._values[(metric.of or metric.id, *pair)]

    def control(self, metric: Metric, pair: tuple[str, str]) -> None:
        return None


def _never() -> Any:
    raise AssertionError("aggregation opens no image")


def _groups(rows: tuple[BundledRow, ...]) -> list[list[BundledRow]]:
    groups: dict[tuple[BundledMethod | None, str], list[BundledRow]] = {}
    for row in rows:
        groups.setdefault((row.method, row.protocol), []).append(row)
    return list(groups.values())


def shape_problems(bundle: Bundle) -> Iterator[str]:
    """Yields a sentence for each way in which the parts of a bundle do not fit together; without any it has results."""
    n, metrics = len(bundle.samples), {metric.id: metric.range for metric in bundle.metrics if not metric.is_share}
    if len({sample.id for sample in bundle.samples}) != n or not n:
        yield "The bundle has no samples, or one twice."
    for sample in bundle.samples:
        if len({picture.digest for picture in sample.pictures}) != len(sample.pictures):
            yield f"Sample {sample.id} has one picture twice."
        for picture in sample.pictures:
            if picture.scores.keys() != metrics.keys():
                yield f"Sample {sample.id} has a picture without one score for each of {', '.join(sorted(metrics))}."
            elif any(not low <= picture.scores[id] <= high for id, (low, high) in metrics.items()):
                yield f"Sample {sample.id} has a picture with a score that is not possible."
    statuses = {*(status.value for status in Status), NOT_RUN}
    places = set()
    for row in bundle.rows:
        if {len(row.status), len(row.pictures), *map(len, row.measures.values())} != {n}:
            yield f"The row {row.place} does not have one status, picture and measure for each of {n} samples."
            continue
        if unknown := set(row.status) - statuses:
            yield f"The row {row.place} has the unknown status {min(unknown)!r}."
        for sample, status, number in zip(bundle.samples, row.status, row.pictures, strict=True):
            if (status == Status.OK) is (number is None) or (number or 0) >= len(sample.pictures):
                found = "has no" if number is None else "names a"
                yield f"Sample {sample.id}: {row.place} ended {status} and {found} picture."
        if any(all(value is None for value in values) for values in row.measures.values()):
            yield f"The row {row.place} has a measure without values."
        if not row.control_gaps.keys() <= metrics.keys() or not row.repeats.keys() <= {
            one.id for one in bundle.metrics
        }:
            yield f"The row {row.place} names a metric that the bundle does not have."
        if row.protocol not in PROTOCOLS or not row.measures.keys() <= {one.id for one in bundle.measures}:
            yield f"The row {row.place} has a protocol or a measure that there is not."
        if all(status == NOT_RUN for status in row.status):
            yield f"The row {row.place} has no round that was run."
        place = (row.method, row.protocol, row.round)
        if place in places:
            yield f"The bundle has the row {row.place} twice."
        places.add(place)
    for kind, name in (("floor", "draft"), ("ceiling", "original")):
        rows = [row for row in bundle.rows if row.method is not None and row.method.kind == kind]
        if not rows or any(None in row.pictures for row in rows[:1]):
            yield f"The bundle lacks the row of the {name}."


def make_bundle(
    run: RunFolder, source: SampleSource, results: Results, benchmark: Benchmark, *, name: str, model: str | None
) -> Bundle:
    """Returns the bundle of a scored run: always the same for the same records.

    Args:
        source: The dataset that the run was made on.
        results: The run's own, as `score` wrote them.
        benchmark: The dataset as it is published.
        name: How tables call the model.
        model: Its repository on the Hub, if it has one.
    """
    pictures: list[dict[str, BundledPicture]] = [{} for _ in results.samples]
    rows = []
    for row, found in zip(results.rows, results.row_samples, strict=True):
        numbers: list[int | None] = []
        for place, (status, digest) in enumerate(zip(found.status, found.digests, strict=True)):
            if status == Status.OK:
                scores = {metric: values[place] for metric, values in found.values.items()}
                pictures[place].setdefault(digest, BundledPicture(digest=digest, scores=scores))
            numbers.append(list(pictures[place]).index(digest) if status == Status.OK else None)
        shared = BundledMethod(**{field: getattr(row, field) for field in BundledMethod.model_fields})
        rows.append(
            BundledRow(
                method=None if row.run is not None else shared,
                protocol=row.protocol,
                round=row.round,
                status=found.status,
                pictures=tuple(numbers),
                measures={id: found.measures[id] for id in row.measures},
                control_gaps=row.control_gaps,
                repeats={id: means[1:] for id, means in row.repeats.items()},
            )
        )
    return sealed(
        Bundle(
            name=name,
            model=model,
            repository=benchmark.repository,
            revision=benchmark.revision,
            run=run.identity,
            mean_box_area=results.dataset.mean_box_area,
            originals=results.dataset.originals,
            metrics=results.metrics,
            measures=results.measures,
            samples=tuple(
                BundledSample(**sample.model_dump(), pictures=tuple(found.values()))
                for sample, found in zip(results.samples, pictures, strict=True)
            ),
            rows=tuple(rows),
            parameters=effective_parameters(run, source),
            sessions=package_sets(run.path / "sessions.jsonl"),
        )
    )


def sealed(bundle: Bundle) -> Bundle:
    """Returns the bundle with the checksum of what it says."""
    return bundle.model_copy(update={"checksum": checksum(bundle.model_dump(mode="json"))})


def checksum(content: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a `bundle.json`, without the one that is in it."""
    rest = {name: value for name, value in content.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def bundle_json(bundle: Bundle) -> bytes:
    """Returns the bundle as it is written: the same text for the same content."""
    return readable_json(bundle.model_dump(mode="json")).encode()


def write_bundle(bundle: Bundle, folder: Path) -> None:
    """Writes `bundle.json` into the folder; an earlier bundle there gives way.

    Raises:
        InvalidDataError: The folder holds something else.
    """
    with new_folder(folder, "submission", replace=True) as fresh:
        write_atomically(fresh / BUNDLE_FILE, bundle_json(bundle))


def read_bundle(folder: Path) -> Bundle:
    """Returns what the `bundle.json` in a folder says, compared with nothing.

    Raises:
        InvalidDataError: It is missing, or no such file.
    """
    path = folder / BUNDLE_FILE
    if not path.is_symlink() and not path.exists():
        raise InvalidDataError(f"{folder} holds no {BUNDLE_FILE}; give a folder that `fashionedit submit` wrote")
    try:
        return parse_model(Bundle, read_regular(path, LARGEST, folder=path.parent), name=str(path))
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); the bundle is not whole") from error


def evidence_place(bundle: Bundle) -> str:
    """Returns where a bundle lies in the results repository: one folder per model and track."""
    home = bundle.model
    if home is None:
        told = re.sub(r"[^A-Za-z0-9.-]+", "-", bundle.name).strip("-.")[:40]
        home = f"{_PLACE_OF_THE_NAMELESS}/{told}-{hashlib.sha256(bundle.name.encode()).hexdigest()[:6]}"
    return f"{SUBMISSIONS}/{home}/{bundle.track}"
