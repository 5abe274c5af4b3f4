"""Verifies a bundle: by itself, against the dataset, and with the images by computing every score again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, cast, get_args

from PIL import Image

from fashionedit.card import LAST_ROUND
from fashionedit.data import Repository, find_folder, find_source
from fashionedit.errors import DatasetNotFoundError, InvalidDataError, InvalidImageError
from fashionedit.eval_harness.protocols import PROTOCOL_VERSION, PROTOCOLS
from fashionedit.eval_harness.running.records import RoundOutcome, RunIdentity
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.result_models import Kind, Measure, Results, Row, RowSamples
from fashionedit.eval_harness.scores.results import build_results
from fashionedit.eval_harness.scores.scoring import Progress
from fashionedit.folder import FashionEditFolder, open_folder
from fashionedit.images import SUFFIXES, pixel_digest, read_image
from fashionedit.manifest import read_manifest
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.encoder import ImageEncoder, Precision
from fashionedit.metrics.paper_metrics import Similarity
from fashionedit.metrics.registry import PAPER_METRICS, load_metrics
from fashionedit.parallel import map_in_order
from fashionedit.runtime.progress import Bar

from .benchmark import SPLIT, Benchmark, has_paper_columns
from .bundle import Bundle, checksum, read_bundle, shape_problems
from .checks import copy_problems, disguised_problems, run_problems, unfinished_rounds

Level = Literal["consistent", "images", "scores"]
"""What was verified: the bundle by itself, the images' pixels too, the scores too."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it.

    Args:
        problems: A sentence for each thing that is not as it is stated; none where the bundle holds.
        data: The dataset that it was compared with; None where it was with none.
    """

    bundle: Bundle
    level: Level
    problems: tuple[str, ...]
    data: str | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.problems:
            count = len(self.problems)
            return f"refused: {count:,} thing{'s are' if count > 1 else ' is'} not as stated"
        samples = f"; samples and manifest are those of {self.data}" if self.data else ""
        if self.level == "consistent":
            return f"internally consistent, not verified{samples}; to verify takes --images DIR and --data DATA"
        if self.level == "images":
            return f"internally consistent, and every image is there{samples}; the scores were not computed again"
        return f"verified: every image is there, and every score was computed again{samples}"


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The split as a dataset has it, in its full or its annotations form.

    Args:
        name: How messages call the dataset.
        revision: Its commit, where it came from the Hub.
        originals, drafts: Pixel digests by id, as far as they are known.
        full: Whether the photographs are there.
    """

    folder: FashionEditFolder
    manifest: str
    name: str
    revision: str | None
    originals: Mapping[str, str]
    drafts: Mapping[str, str]
    full: bool


def find_ground_truth(data: str | None, benchmark: Benchmark) -> GroundTruth | None:
    """Returns the benchmark's split; None where no dataset was named and this machine has no such one.

    Args:
        data: A folder, or `org/name[@revision]` on the Hub, by default at the benchmark's revision.

    Raises:
        DatasetNotFoundError: Nothing is found there.
        InvalidDataError: A file is not what it must be.
    """
    try:
        source = find_source(data, revision=benchmark.revision)
        if isinstance(source, Repository):
            path = source.folder()
            truth = _ground_truth(path, f"{source.id}@{path.name[:12]}", path.name)
        else:
            truth = _ground_truth(find_folder(data), str(data or "the dataset known on this machine"), None)
    except DatasetNotFoundError:
        if data is None:
            return None
        raise
    return truth if data is not None or truth.manifest == benchmark.manifest else None


def _ground_truth(path: Path, name: str, revision: str | None) -> GroundTruth:
    manifest = read_manifest(path)
    full = manifest.form == "full"
    folder = open_folder(path, SPLIT, facts_only=not full)
    identity = folder.manifest_hash  # before the digests: it learns all of them at once
    if full:
        originals = {id: folder.digests(id).original for id in folder.ids}
        drafts = {id: folder.digests(id).draft for id in folder.ids}
    else:
        originals = {id: manifest.samples[id].original.pixels for id in folder.ids if id in manifest.samples}
        stored = {id: manifest.images.get(sha256(_draft(folder, id)).hexdigest()) for id in folder.ids}
        drafts = {id: image.pixels for id, image in stored.items() if image is not None}
    return GroundTruth(folder, identity, name, revision, originals, drafts, full)


def _draft(folder: FashionEditFolder, id: str) -> bytes:
    data: bytes | None = (folder.row(id)["sd3_image"] or {}).get("bytes")
    if not data:
        raise InvalidDataError(f"{folder.path} holds no draft of sample {id}; fetch it again")
    return data


def check_bundle(folder: Path, truth: GroundTruth | None = None) -> Verdict:
    """Returns the verdict on a bundle by itself, and against a dataset where one is given.

    Raises:
        InvalidDataError: There is no `bundle.json` that can be read.
    """
    bundle = read_bundle(folder)
    problems = list(dict.fromkeys(_own_problems(bundle)))
    if truth is not None and not problems:
        problems = list(_dataset_problems(bundle, truth))
    return Verdict(bundle, "consistent", tuple(problems), truth.name if truth is not None else None)


def verify_bundle(
    folder: Path,
    *,
    images: Path | None = None,
    truth: GroundTruth | None = None,
    encoder: Callable[[Precision], ImageEncoder] | None = None,
    bar: Callable[[str, str], Bar],
) -> Verdict:
    """Returns the verdict on a bundle, verified as far as images, dataset and encoder allow.

    Args:
        truth: The dataset; scores are computed again only with its full form.
        encoder: Gives the encoder in the precision of the scores, once it is needed.

    Raises:
        InvalidDataError: There is no bundle or no image, or the encoder is not the bundle's.
        EncoderNotFoundError: Its weights can't be had.
    """
    verdict = check_bundle(folder, truth)
    bundle = verdict.bundle
    if images is None or not verdict.holds:
        return verdict
    outputs = [outcome for outcome in bundle.own_outcomes() if outcome.own]
    with bar("images", "picture") as shown:
        pictures = find_pictures(images, {outcome.current.digest for outcome in outputs}, shown.at)
    problems = [
        f"Sample {outcome.sample}: no picture in {images} has the pixels of {outcome.protocol} round {outcome.round} "
        f"({outcome.current.digest[:12]}…)."
        for outcome in outputs
        if outcome.current.digest not in pictures
    ]
    level: Level = "images"
    if not problems and truth is not None and truth.full and encoder is not None:
        level = "scores"
        stated = bundle.encoder.get("precision")
        embedder = Embedder(encoder(cast(Precision, stated) if stated in get_args(Precision) else "fp32"))
        with bar("scores", "pair") as shown:
            problems = _score_problems(bundle, truth.folder, embedder, pictures, shown.at)
    return Verdict(bundle, level, tuple(problems), verdict.data)


def _own_problems(bundle: Bundle) -> Iterator[str]:
    """Yields a sentence for each thing in a bundle that a submission can't have."""
    if checksum(bundle.model_dump(mode="json")) != bundle.checksum:
        yield "bundle.json was altered after the bundle was made: its checksum is another."
        return
    misfits = list(shape_problems(bundle))
    if not has_paper_columns(bundle.metrics):
        misfits.insert(0, "The bundle has other metrics than the leaderboard's; score the run again without --metric.")
    if misfits:
        yield from misfits
        return
    run = bundle.run
    if bundle.model not in (None, bundle.name):
        yield f"The bundle is called {bundle.name} and its model is {bundle.model}."
    if run.protocol_version != PROTOCOL_VERSION:
        yield f"The protocol version is {run.protocol_version}; this package checks version {PROTOCOL_VERSION}."
    if run.samples != len(bundle.samples):
        yield f"The samples are not the whole split: {run.samples:,} in the run, {len(bundle.samples):,} in the bundle."
    yield from run_problems(run)
    have = {(row.protocol, row.round) for row in bundle.rows if row.method is None}
    if have != {(name, round) for name in run.protocols for round in PROTOCOLS[name].rounds(LAST_ROUND)}:
        yield f"The bundle does not have the {LAST_ROUND} rounds of each of the run's protocols."
    yield from unfinished_rounds(bundle.results)
    yield from copy_problems(bundle.results)


def _dataset_problems(bundle: Bundle, truth: GroundTruth) -> Iterator[str]:
    """Yields a sentence for each way in which the bundle is not about the dataset's samples."""
    if truth.revision not in (None, bundle.revision):
        yield f"The bundle is of revision {bundle.revision[:12]}; {truth.name} is another revision."
    if truth.manifest != bundle.run.manifest:
        yield (
            f"The bundle was made on manifest {bundle.run.manifest[:12]}…; {truth.name} has {truth.manifest[:12]}…: "
            "other samples, or the same ones changed."
        )
    stated = {sample.id: sample for sample in bundle.results.samples}
    for id in truth.folder.ids:
        facts = truth.folder.facts(id)
        groups = (facts.garment, facts.category, facts.gender, facts.view)
        if id not in stated:
            yield f"Sample {id} of the dataset is missing from the bundle."
        elif groups != (stated[id].garment, stated[id].category, stated[id].gender, stated[id].view):
            yield f"Sample {id}: garment, category, gender or view are not the dataset's."
    for id in stated:
        if id not in truth.folder.ids:
            yield f"Sample {id} of the bundle is not in the dataset."
    digests: dict[str, tuple[Kind, Mapping[str, str]]] = {
        "original": ("ceiling", truth.originals),
        "draft": ("floor", truth.drafts),
    }
    for name, (kind, there) in digests.items():
        for id, digest in zip(stated, bundle.digests(kind), strict=True):
            if there.get(id, digest) != digest:
                yield f"Sample {id}: the {name} is another picture than the dataset's."


def find_pictures(folder: Path, digests: Collection[str], progress: Progress) -> dict[str, Path]:
    """Returns the file of each pixel digest that the folder, of any layout, holds.

    A run folder's images bear their digest as name; they are looked at first, all others only where some are missing.
    No name is trusted: every file that is returned was decoded.

    Raises:
        InvalidDataError: There is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise InvalidDataError(f"{folder} is no folder; give the folder of the images, such as RUN/images")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise InvalidDataError(f"{folder} holds no pictures; give the folder of the images, such as RUN/images")
    wanted = set(digests)
    named = [path for path in files if path.stem in wanted]
    others = [path for path in files if path.stem not in wanted]
    found: dict[str, Path] = {}
    done = 0
    for paths in (named, others):
        if wanted <= found.keys():
            break
        for path, digest in zip(paths, map_in_order(_digest, paths), strict=True):
            done += 1
            if digest in wanted:
                found.setdefault(digest, path)
            progress(done, len(files))
    return found


def _digest(path: Path) -> str | None:
    try:
        return pixel_digest(read_image(path))
    except InvalidImageError:
        return None


@dataclass(frozen=True)
class _ClaimedRun:
    """The run as a bundle tells of it, with its images found: the first repetition, which is the one in the table."""

    path: Path
    bundle: Bundle
    source: SampleSource
    pictures: Mapping[str, Path]

    @property
    def identity(self) -> RunIdentity:
        return self.bundle.run.model_copy(update={"repeats": 1})

    def outcomes(self, source: SampleSource, repeat: int = 0) -> Iterator[RoundOutcome]:
        return self.bundle.own_outcomes(self._open)

    def _open(self, id: str, digest: str) -> Image.Image:
        if digest not in self.pictures:
            return self.source.sample(id).draft  # of a round that ended without an image, as those before it did
        image = read_image(self.pictures[digest])
        if pixel_digest(image) != digest:
            raise InvalidImageError(
                f"{self.pictures[digest]} was changed while the bundle was verified; give the same command again"
            )
        return image


def _score_problems(
    bundle: Bundle, source: SampleSource, embedder: Embedder, pictures: Mapping[str, Path], progress: Progress
) -> list[str]:
    """Returns a sentence for each score, digest and fact of the results that is another when computed again.

    The rows that every table has (floor, leaks, ceiling) are made again too. No score of an earlier time is taken over.

    Raises:
        InvalidDataError: The encoder is not the bundle's.
    """
    metrics = load_metrics(PAPER_METRICS, embedder)
    stated, have = bundle.encoder, metrics[0].fingerprint
    if other := [field for field in sorted({*stated, *have}) if stated.get(field) != have.get(field)]:
        fields = "; ".join(f"{field}: {stated.get(field)}, yours {have.get(field)}" for field in other)
        raise InvalidDataError(f"the scores were made with another encoder ({fields}); name that one with --encoder")
    half = stated.get("precision", "fp32") != "fp32"
    tolerances = {metric.id: metric.tolerance[half] for metric in metrics}
    with tempfile.TemporaryDirectory(prefix="fashionedit-verify-") as folder:
        run = _ClaimedRun(Path(folder), bundle, source, pictures)
        measures = bool(bundle.measures)
        found = build_results(run, source, embedder, metrics=metrics, measures=measures, progress=progress)
        tolerances |= {measure.id: _tolerance(measure, half) for measure in found.measures}
        return [
            *_differences(bundle.results, found, tolerances),
            *disguised_problems(run.outcomes(source), source),
        ]


def _tolerance(measure: Measure, half: bool) -> float:
    """Returns by how much a measure may differ: twice what a similarity may where two embeddings are in it."""
    encoded = any(field.startswith("encoder ") for field in measure.fingerprint)
    return 2 * Similarity.tolerance[half] if encoded else 1e-3


def _differences(stated: Results, found: Results, tolerances: Mapping[str, float]) -> Iterator[str]:
    have, want = stated.dataset.model_dump(), found.dataset.model_dump()
    for field in have:
        if have[field] != want[field] and field != "name":
            yield f"The bundle tells of a dataset with {field} {have[field]}; it is {want[field]}."
    mine, theirs = _by_place(stated), _by_place(found)
    for place, (row, _) in theirs.items():
        if place not in mine:
            yield f"The bundle lacks a row: {_words(row)}."
    for place, (row, claimed) in mine.items():
        if place not in theirs:
            yield f"The bundle has a row that the run does not give: {_words(row)}."
            continue
        remade, again = theirs[place]
        if row.doubtful != remade.doubtful:
            yield (
                f"{_words(row)}: the scores lie {remade.control_gaps} above those of their controls, not "
                f"{row.control_gaps}."
            )
        computed = {**again.values, **again.measures}
        for number, sample in enumerate(stated.samples):
            where = f"Sample {sample.id}: {_words(row)}"
            if claimed.digests[number] != again.digests[number]:
                yield f"{where} is stated with another image than it has."
                continue
            for name, values in {**claimed.values, **claimed.measures}.items():
                value, right = values[number], computed[name][number] if name in computed else None
                if not _agree(value, right, tolerances[name]):
                    yield f"{where} is stated with {name} {_number(value)}; computed again it is {_number(right)}."


def _agree(one: float | None, other: float | None, tolerance: float) -> bool:
    return one is other if one is None or other is None else abs(one - other) <= tolerance


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _words(row: Row) -> str:
    return f"{row.method}, {row.protocol} round {row.round}"


def _by_place(results: Results) -> dict[tuple[object, ...], tuple[Row, RowSamples]]:
    return {
        (row.run, row.editor, row.protocol, row.round): (row, found)
        for row, found in zip(results.rows, results.row_samples, strict=True)
    }
