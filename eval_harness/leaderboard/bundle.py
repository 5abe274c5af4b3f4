"""The evidence of a submission, one file: `bundle.json`.

It holds each fact once: who, on which benchmark, the run, its samples with every scored picture's digest and scores,
how every round ended, and what the edits were made with. Means, intervals, gains, counts and curves are not in it:
`Bundle.results` computes them. No photograph, no crop and no caption is in it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, cast

from PIL import Image
from pydantic import BaseModel, ConfigDict, FiniteFloat, NonNegativeInt, StringConstraints, ValidationError

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import Status, canonical_json
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.references import with_reference
from fashionedit.eval_harness.running.chain import chains
from fashionedit.eval_harness.running.records import ImageRef, RoundOutcome, RunIdentity
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.aggregation import Method, measure_value, rows_of
from fashionedit.eval_harness.scores.intervals import INTERVALS
from fashionedit.eval_harness.scores.measures import grouped, measure_limits
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
from fashionedit.eval_harness.scores.stored_scores import KnownValues
from fashionedit.files import parse_model, read_json_lines, read_regular, write_atomically
from fashionedit.metrics.paper_metrics import THRESHOLDS
from fashionedit.owned_folders import new_folder
from fashionedit.runtime.secrets import masked

from .benchmark import Benchmark, Commit, Digest, RepositoryId, fingerprint_differences

BUNDLE_FILE = "bundle.json"

LARGEST = 64_000_000
"""The largest bundle that is read, in bytes; a thousand samples take about a twentieth of it."""

SUBMISSIONS = "submissions"
"""The folder of the results repository that holds the bundles."""

_PLACE_OF_THE_NAMELESS = "_"  # no owner on the Hub can be called so
_MOST_VALUES = 8  # of a parameter that are listed; above it only their number is (a seed is another each time)


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


class EffectiveParameters(_Stored):
    """What the edits in one protocol were made with.

    Args:
        model_versions: As the editor told them; None where it told none.
        parameters: The values of each, or how many there are.
    """

    model_versions: tuple[str | None, ...]
    parameters: dict[str, Any]


class PackageVersions(_Stored):
    """What one or more starts of the run had installed."""

    python: str | None
    packages: dict[str, str]


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
    def encoder(self) -> dict[str, str]:
        """The fingerprint of the encoder that made the scores; empty where none did."""
        return next((metric.fingerprint for metric in self.metrics if metric.encoder and not metric.is_share), {})

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
    def place(self) -> str:
        """Where the bundle lies in the results repository: one folder per model and track."""
        home = self.model
        if home is None:
            readable = re.sub(r"[^A-Za-z0-9.-]+", "-", self.name).strip("-.")[:40]
            home = f"{_PLACE_OF_THE_NAMELESS}/{readable}-{hashlib.sha256(self.name.encode()).hexdigest()[:6]}"
        return f"{SUBMISSIONS}/{home}/{self.track}"

    @property
    def groups(self) -> dict[tuple[BundledMethod | None, str], list[BundledRow]]:
        """The rows by method and protocol, in the order of the rounds."""
        groups: dict[tuple[BundledMethod | None, str], list[BundledRow]] = {}
        for row in sorted(self.rows, key=lambda row: row.round):
            groups.setdefault((row.method, row.protocol), []).append(row)
        return groups

    def own_outcomes(self, open_picture: Callable[[str, str], Image.Image] | None = None) -> Iterator[RoundOutcome]:
        """Yields what each round of the run came to; `open_picture` takes the sample's id and the pixel digest."""
        for (method, _), rows in self.groups.items():
            if method is None:
                yield from self._outcomes(rows, open_picture)

    def _outcomes(
        self, rows: Iterable[BundledRow], open_picture: Callable[[str, str], Image.Image] | None = None
    ) -> Iterator[RoundOutcome]:
        last = self.digests("floor")
        for row in rows:
            for place, (sample, status, number) in enumerate(zip(self.samples, row.status, row.pictures, strict=True)):
                if number is not None:
                    last[place] = sample.pictures[number].digest
                yield RoundOutcome(
                    sample.id,
                    row.protocol,
                    row.round,
                    None if status == NOT_RUN else Status(status),
                    ImageRef(last[place], (0, 0), partial(open_picture or _never, sample.id, last[place])),
                    own=number is not None,
                )

    def digests(self, kind: Kind) -> list[str]:
        """Returns the digest of each sample's draft (`floor`) or original (`ceiling`)."""
        row = next(row for row in self.rows if row.method is not None and row.method.kind == kind)
        return [
            sample.pictures[cast(int, number)].digest for sample, number in zip(self.samples, row.pictures, strict=True)
        ]

    @cached_property
    def results(self) -> Results:
        """The results that follow from it, by the code that computes those of a run; `shape_problems` must be none."""
        computed = dict(self._computed_rows())
        rows = [computed[row.method, row.protocol, row.round] for row in self.rows]
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
            rows=tuple(row for row, _ in rows),
            samples=tuple(ScoredSample(**sample.model_dump(exclude={"pictures"})) for sample in self.samples),
            row_samples=tuple(samples for _, samples in rows),
        )

    def _computed_rows(self) -> Iterator[tuple[tuple[object, ...], tuple[Row, RowSamples]]]:
        """Yields each row as results have it, by its method, protocol and round."""
        samples = {sample.id: sample for sample in self.samples}
        originals = dict(zip(samples, self.digests("ceiling"), strict=True))
        pixels = {
            id: SimpleNamespace(original=originals[id], draft=draft)
            for id, draft in zip(samples, self.digests("floor"), strict=True)
        }
        source = SimpleNamespace(ids=tuple(samples), digests=pixels.__getitem__, facts=samples.__getitem__)
        values = {
            metric.id: KnownValues(
                {
                    (picture.digest, originals[id]): picture.scores[metric.id] / metric.scale
                    for id, sample in samples.items()
                    for picture in sample.pictures
                }
            )
            for metric in self.metrics
            if not metric.is_share
        }
        scores = Scores(self.metrics, THRESHOLDS, values, controls={})
        garments = [sample.garment for sample in self.samples]
        limits = {metric.id: metric.control_limit or 0 for metric in self.metrics}
        editor = self.run.editor
        for (shared, protocol), stored_rows in self.groups.items():
            if shared is None:
                method = Method(0, editor.name, editor.name, editor.fingerprint, "editor", False, editor.supplied)
                prompt = run_prompt(self.run, protocol)
            else:
                about = (shared.method, shared.editor, shared.fingerprint, shared.kind, shared.privileged)
                method, prompt = Method(None, *about, supplied=False), shared.prompt
            rounds = grouped(self._outcomes(stored_rows), source.ids)[protocol]
            made = rows_of(method, protocol, prompt, rounds, cast(SampleSource, source), scores)
            for stored, (row, found) in zip(stored_rows, made, strict=True):
                gaps = stored.control_gaps
                facts = {
                    "control_gaps": gaps,
                    "doubtful": tuple(id for id, gap in gaps.items() if gap > limits[id]),
                    "measures": {
                        id: measure_value(column, garments, measure_limits(id))
                        for id, column in stored.measures.items()
                    },
                    "repeats": {id: (row.scores[id].mean, *means) for id, means in stored.repeats.items()},
                }
                yield (
                    (shared, protocol, stored.round),
                    (row.model_copy(update=facts), found.model_copy(update={"measures": stored.measures})),
                )


def _never(id: str, digest: str) -> Image.Image:
    raise AssertionError("aggregation opens no image")


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
    """Returns the bundle of a scored run: always the same for the same records."""
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


def effective_parameters(run: RunFolder, source: SampleSource) -> dict[str, EffectiveParameters]:
    """Returns for each protocol of the run what its edits were made with."""
    versions: dict[str, set[str]] = {}
    values: dict[str, dict[str, set[str]]] = {}
    for chain in chains(run.identity, with_reference(source, run.identity.reference)):
        for round in chain.rounds:
            record = run.record(chain.step(round).key)
            chain.take(record)
            if record is not None:
                versions.setdefault(chain.protocol.name, set()).add(json.dumps(masked(record.model_version)))
                of_protocol = values.setdefault(chain.protocol.name, {})
                for name, value in masked(record.effective_params).items():
                    of_protocol.setdefault(name, set()).add(canonical_json(value, name=name))
    return {
        protocol: EffectiveParameters(
            model_versions=tuple(map(json.loads, sorted(found))),
            parameters={
                name: list(map(json.loads, sorted(texts))) if len(texts) <= _MOST_VALUES else f"{len(texts)} values"
                for name, texts in sorted(values[protocol].items())
            },
        )
        for protocol, found in versions.items()
    }


def package_sets(path: Path) -> tuple[PackageVersions, ...]:
    """Returns the different sets of Python and package versions with which the run was started, in order.

    Args:
        path: A `sessions.jsonl`; what else its lines tell (machine, command, folders) is left out.
    """
    found: list[PackageVersions] = []
    for line in read_json_lines(path, folder=path.parent):
        if "packages" in line:
            with suppress(ValidationError):
                versions = PackageVersions(python=line.get("python"), packages=line["packages"])
                if versions not in found:
                    found.append(versions)
    return tuple(found)


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
