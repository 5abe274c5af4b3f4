"""Verifies a bundle: compares what it states with what its own files, the dataset and the images give."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from fashionedit.card import LAST_ROUND, LEADERBOARD_PROTOCOLS
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.protocols import PROTOCOL_VERSION
from fashionedit.eval_harness.scores.aggregation import measure_value
from fashionedit.eval_harness.scores.intervals import INTERVALS
from fashionedit.eval_harness.scores.measures import measure_limits
from fashionedit.eval_harness.scores.primary_scores import NOT_RUN
from fashionedit.eval_harness.scores.result_models import Results, Row, RowSamples
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.encoder import ImageEncoder, Precision
from fashionedit.metrics.paper_metrics import PAPER_IDS, STAR_THRESHOLD, THRESHOLDS, Psnr
from fashionedit.metrics.similarity import PSNR_FINGERPRINT
from fashionedit.runtime.progress import Bar

from .benchmark import SPLIT, fingerprint_differences
from .bundle import (
    OUTPUTS_FILE,
    PARAMETERS_FILE,
    RESULTS_FILE,
    SCORES_FILE,
    Bundle,
    Contents,
    Outputs,
    Parameters,
    ScoreRow,
    read_contents,
    read_head,
    score_rows,
)
from .checks import copy_problems, unfinished_rounds
from .ground_truth import KnownSamples, known_problems
from .recomputing import digests_of, find_pictures, missing_pictures, place_of, rebuilt_rows, recomputed_problems

Level = Literal["consistent", "images", "scores"]
"""What was compared: the bundle with itself, the images' pixels too, the scores too."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it.

    Args:
        level: How far it was looked through.
        problems: A sentence for each thing that is not as it is stated; none where the bundle holds.
        data: The dataset whose ids, groups and manifest were compared; None where none was.
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


def check_bundle(folder: Path, known: KnownSamples | None = None) -> tuple[Verdict, Contents | None]:
    """Returns the verdict on a bundle by itself, and beside a dataset where one is known; and what is in it.

    Whatever a bundle's files say gives a verdict: one that can't be read is a problem like another.

    Raises:
        InvalidDataError: There is no `bundle.json` that can be read.
    """
    data = known.name if known is not None else None
    try:
        contents = read_contents(folder)
    except InvalidDataError as error:
        return Verdict(read_head(folder), "consistent", (f"{error}.",), data), None
    problems = consistency_problems(contents)
    if known is not None and not problems:
        problems = list(known_problems(contents.bundle, contents.results, known))
    return Verdict(contents.bundle, "consistent", tuple(problems), data), contents


def verify_bundle(
    folder: Path,
    *,
    images: Path | None = None,
    known: KnownSamples | None = None,
    encoder: Callable[[Precision], ImageEncoder] | None = None,
    bar: Callable[[str, str], Bar],
) -> Verdict:
    """Returns the verdict on a bundle, looked through as far as images, dataset and encoder allow.

    Args:
        images: A folder with the run's images.
        known: The dataset; scores are computed again only with its full form.
        encoder: Gives the encoder in the precision of the scores, once it is needed.
        bar: Makes a progress bar from a title and a unit.

    Raises:
        InvalidDataError: There is no bundle or no image, or the encoder is not the bundle's.
        EncoderNotFoundError: Its weights can't be had.
    """
    verdict, contents = check_bundle(folder, known)
    if images is None or contents is None or not verdict.holds:
        return verdict
    outputs = contents.outputs.outputs
    with bar("images", "picture") as shown:
        pictures = find_pictures(images, {one.digest for one in outputs}, progress=shown.at)
    problems = missing_pictures(outputs, pictures, images)
    level: Level = "images"
    if not problems and known is not None and known.folder is not None and encoder is not None:
        level = "scores"
        with bar("scores", "pair") as shown:
            problems = recomputed_problems(
                contents, known.folder, Embedder(encoder(_precision(contents))), pictures, progress=shown.at
            )
    return Verdict(contents.bundle, level, tuple(problems), verdict.data)


def _precision(contents: Contents) -> Precision:
    stated = contents.results.metrics[0].fingerprint.get("precision")
    return cast(Precision, stated) if stated in get_args(Precision) else "fp32"


_ONE_ROUND = {Status.TIMEOUT.value, Status.ERROR.value, NOT_RUN}  # without a record


def consistency_problems(contents: Contents) -> list[str]:
    """Returns a sentence for each thing in the bundle that another thing in it contradicts; none where it holds."""
    bundle, results = contents.bundle, contents.results
    if problems := shape_problems(results):
        return problems
    problems = [
        *_of_the_head(bundle, results),
        *_of_the_own_rows(bundle, results),
        *unfinished_rounds(results),
        *_of_the_table(results, contents.rows),
        *_of_the_outputs(results, contents.outputs),
        *_of_the_edits(results, contents.parameters),
        *two_scores(results),
        *aggregate_problems(results),
        *copy_problems(results),
    ]
    return list(dict.fromkeys(problems))


def _of_the_head(bundle: Bundle, results: Results) -> Iterator[str]:
    run, benchmark, data = bundle.run, bundle.benchmark, results.dataset
    if bundle.model not in (None, bundle.name):
        yield f"The bundle is called {bundle.name} and its model is {bundle.model}."
    if results.runs != (run,):
        yield "bundle.json and results.json tell of different runs."
    if {run.protocol_version, results.protocol_version} != {PROTOCOL_VERSION}:
        yield f"The protocol version is {run.protocol_version}; this package checks version {PROTOCOL_VERSION}."
    if len({run.manifest, benchmark.manifest, data.manifest}) > 1:
        yield "The run, the benchmark and the results name different manifests: they are not of one dataset."
    if {run.split, data.split, benchmark.split} != {SPLIT}:
        yield f"The run, the benchmark or the results are of another split than {SPLIT}."
    counts = {
        "benchmark": benchmark.samples,
        "run": run.samples,
        "results' dataset": data.samples,
        "results' list": len(results.samples),
    }
    if len(set(counts.values())) > 1 or data.left_out:
        told = ", ".join(f"{count:,} in the {name}" for name, count in counts.items())
        yield f"The samples are not the whole split, each once: {told}."
    if data.garments != len({sample.garment for sample in results.samples}):
        yield f"The results state {data.garments} garments; the samples have another number."
    if run.control_set or data.control_set:
        yield "The run was made on the control set."
    official = not fingerprint_differences(results)
    if official != bundle.official:
        yield f"bundle.json calls the scores {_official(bundle.official)}; by their fingerprint they are not."


def _official(official: bool) -> str:
    return "the leaderboard's own" if official else "those of another encoder"


def _of_the_own_rows(bundle: Bundle, results: Results) -> Iterator[str]:
    run = bundle.run
    if run.editor.privileged:
        yield f"The editor {run.editor.name} is told the answer; it can't be submitted."
    for row in results.rows:
        if row.run is None:
            continue
        who = (row.run, row.editor, row.fingerprint, row.kind, row.privileged, row.supplied)
        if who != (0, run.editor.name, run.editor.fingerprint, "editor", False, run.editor.supplied):
            yield f"A row of {row.editor}, {row.protocol} round {row.round}, is not the run's own."
        if row.requested != len(results.samples):
            yield f"{row.protocol} round {row.round} is over {row.requested:,} of {len(results.samples):,} samples."
    if not set(run.protocols) & set(LEADERBOARD_PROTOCOLS):
        yield "The run edited in no protocol of the leaderboard."
    have = {(row.protocol, row.round) for row in results.rows if row.run is not None}
    want = {(protocol, round) for protocol in run.protocols for round in _rounds(protocol)}
    if run.rounds != LAST_ROUND or have != want:
        yield f"The results do not have the {LAST_ROUND} rounds of each of the run's protocols."


def _rounds(protocol: str) -> range:
    return range(1) if protocol == "draft" else range(1, LAST_ROUND + 1)


def _of_the_table(results: Results, rows: tuple[ScoreRow, ...]) -> Iterator[str]:
    """Compares scores.parquet with results.json, row for row."""
    stated = {(row.sample, row.protocol, row.round): row for row in rows}
    if len(stated) != len(rows):
        yield f"{SCORES_FILE} has a sample, protocol and round twice."
    wanted = {(row.sample, row.protocol, row.round): row for row in score_rows(results)}
    for id, protocol, round in sorted(wanted.keys() - stated.keys()):
        yield f"Sample {id}: {protocol} round {round} is in {RESULTS_FILE} and missing from {SCORES_FILE}."
    for id, protocol, round in sorted(stated.keys() - wanted.keys()):
        yield f"Sample {id}: {protocol} round {round} is in {SCORES_FILE} and missing from {RESULTS_FILE}."
    for key, row in wanted.items():
        if (other := stated.get(key, row)) != row:
            name, have, want = next(_fields(other, row))
            yield (
                f"Sample {key[0]}: {key[1]} round {key[2]} has {name} {_short(have)} in {SCORES_FILE} and "
                f"{_short(want)} in {RESULTS_FILE}."
            )


def _fields(have: ScoreRow, want: ScoreRow) -> Iterator[tuple[str, object, object]]:
    for name in ("garment", "category", "gender", "view", "status", "digest"):
        if getattr(have, name) != getattr(want, name):
            yield name, getattr(have, name), getattr(want, name)
    for metric, value in want.scores.items():
        if have.scores[metric] != value:
            yield metric, have.scores[metric], value


def _short(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)[:16]


def _of_the_outputs(results: Results, outputs: Outputs) -> Iterator[str]:
    """Compares outputs.json with the statuses and digests of the results, and follows the last good image."""
    named = {(one.sample, one.protocol, one.round): one.digest for one in outputs.outputs}
    if len(named) != len(outputs.outputs):
        yield f"{OUTPUTS_FILE} names an image twice."
    standing: dict[tuple[str, str], str] = {}
    drafts = digests_of(results, "floor")
    seen = set()
    own = [(row, found) for row, found in zip(results.rows, results.row_samples, strict=True) if row.run is not None]
    for row, found in sorted(own, key=lambda pair: (pair[0].protocol, pair[0].round)):
        for sample, status, digest in zip(results.samples, found.status, found.digests, strict=True):
            where = f"Sample {sample.id}: {row.protocol} round {row.round}"
            output = named.get((sample.id, row.protocol, row.round))
            if status == Status.OK:
                seen.add((sample.id, row.protocol, row.round))
                standing[sample.id, row.protocol] = digest
                if output is None:
                    yield f"{where} ended ok and has no image in {OUTPUTS_FILE}."
                elif output != digest:
                    yield f"{where} has image {digest[:12]}… in {RESULTS_FILE} and {output[:12]}… in {OUTPUTS_FILE}."
            elif digest != standing.get((sample.id, row.protocol), drafts[sample.id]):
                yield f"{where} ended {status} and is not scored with the last good image."
    for id, protocol, round in sorted(named.keys() - seen):
        yield f"Sample {id}: {OUTPUTS_FILE} has an image of {protocol} round {round}, which did not end ok."


def _of_the_edits(results: Results, parameters: Parameters) -> Iterator[str]:
    edits: dict[str, int] = {}
    for row, found in zip(results.rows, results.row_samples, strict=True):
        if row.run is not None:
            ended = sum(status not in _ONE_ROUND for status in found.status)
            edits[row.protocol] = edits.get(row.protocol, 0) + ended
    for protocol in sorted({*edits, *parameters.protocols}):
        stated = parameters.protocols[protocol].edits if protocol in parameters.protocols else 0
        counted = edits.get(protocol, 0)
        if stated != counted:
            yield f"{PARAMETERS_FILE} tells of {stated:,} edits in {protocol}, {RESULTS_FILE} of {counted:,}."


TOLERANCE = 5e-6
"""What the rounding of the stored scores to six decimals can move an aggregate by, with room."""


def shape_problems(results: Results) -> list[str]:
    """Returns a sentence for each way in which the parts of the results do not fit together; none where they do.

    Nothing else may be asked of results that have any.
    """
    if len(results.rows) != len(results.row_samples):
        return [f"results.json has {len(results.rows)} rows and {len(results.row_samples)} lists of their samples."]
    problems = [
        f"results.json lists sample {id} {count} times."
        for id, count in Counter(sample.id for sample in results.samples).items()
        if count > 1
    ]
    problems += _of_the_metrics(results)
    n = len(results.samples)
    unstarred = {metric.id for metric in results.metrics if not metric.is_share}
    known = {*(status.value for status in Status), NOT_RUN}
    for row, found in zip(results.rows, results.row_samples, strict=True):
        where = f"results.json: {place_of(row)}"
        lengths = {
            len(found.status),
            len(found.digests),
            *(len(values) for values in found.values.values()),
        }
        if lengths != {n} or set(found.values) != unstarred:
            problems.append(f"{where} does not have one status, digest and score for each of {n} samples.")
        elif not all(math.isfinite(value) for values in found.values.values() for value in values):
            problems.append(f"{where} has a score that is no finite number.")
        elif unknown := set(found.status) - known:
            problems.append(f"{where} has the unknown status {min(unknown)!r}.")
        if set(row.scores) != set(results.metric_ids):
            problems.append(f"{where} does not have one score for each metric.")
    places = Counter((row.run, row.editor, row.protocol, row.prompt, row.round) for row in results.rows)
    if twice := [where for where, count in places.items() if count > 1]:
        problems.append(f"results.json has a row twice: {twice[0][1]}, {twice[0][2]} round {twice[0][4]}.")
    kinds = {row.kind for row in results.rows}
    problems += [f"results.json lacks the {name}." for name in ("floor", "ceiling") if name not in kinds]
    return problems


def _of_the_metrics(results: Results) -> Iterator[str]:
    """Yields a sentence unless the metrics are the leaderboard's: a similarity × 100, its share above 0.9, and PSNR."""
    similarity, share = results.similarity, results.share
    facts = [(one.id, one.scale, one.of, one.threshold) for one in results.metrics]
    wanted = [
        (similarity.id, 100, None, None) if similarity and similarity.id in PAPER_IDS else None,
        (share.id, 100, similarity.id, STAR_THRESHOLD) if share and similarity else None,
        (Psnr.id, 1, None, None),
    ]
    psnr = next((one.fingerprint for one in results.metrics if one.id == Psnr.id), None)
    prints = [one.fingerprint if one else None for one in (similarity, share)]
    if facts != wanted or prints[0] != prints[1] or psnr != PSNR_FINGERPRINT:
        yield "results.json has other metrics than the leaderboard's; score the run again without --metric."


def two_scores(results: Results) -> Iterator[str]:
    """Yields a sentence for each image that has two different scores against its original."""
    seen: dict[tuple[str, str, str], float] = {}
    for row, found in zip(results.rows, results.row_samples, strict=True):
        for metric, values in found.values.items():
            for sample, digest, value in zip(results.samples, found.digests, values, strict=True):
                first = seen.setdefault((sample.id, digest, metric), value)
                if abs(first - value) > TOLERANCE:
                    yield (
                        f"Sample {sample.id}: one image has {metric} {first:.4f} in one row and {value:.4f} in "
                        f"{place_of(row)}."
                    )


def aggregate_problems(results: Results) -> Iterator[str]:
    """Yields a sentence for each aggregate that its samples do not give: means, intervals, counts, curves, failures."""
    if results.thresholds != THRESHOLDS or results.interval != INTERVALS:
        yield "results.json was made with other thresholds or intervals than this version makes."
    for row, rebuilt in rebuilt_rows(results):
        for field, stated, right in _row_differences(row, rebuilt):
            yield f"{place_of(row)}: {field} is stated as {_shown(stated)}, the samples give {_shown(right)}."
    for row, samples in zip(results.rows, results.row_samples, strict=True):
        yield from _of_the_measures(results, row, samples)


def _row_differences(stated: Row, rebuilt: Row) -> Iterator[tuple[str, Any, Any]]:
    apart = {"measures", "repeats", "control_gaps", "doubtful"}
    return _differences(stated.model_dump(exclude=apart), rebuilt.model_dump(exclude=apart))


def _differences(have: Any, want: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(have, dict) and isinstance(want, dict):
        for name in sorted({*have, *want}):
            yield from _differences(have.get(name), want.get(name), f"{path}.{name}" if path else str(name))
    elif isinstance(have, list | tuple) and isinstance(want, list | tuple) and len(have) == len(want):
        for place, (one, other) in enumerate(zip(have, want, strict=True)):
            yield from _differences(one, other, f"{path}[{place}]")
    elif isinstance(have, float) and isinstance(want, float):
        if not math.isfinite(have) or abs(have - want) > TOLERANCE * max(1.0, abs(want) / 100):
            yield path, have, want
    elif have != want:
        yield path, have, want


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _of_the_measures(results: Results, row: Row, samples: RowSamples) -> Iterator[str]:
    garments = [sample.garment for sample in results.samples]
    for name in sorted({*row.measures, *samples.measures}):
        where = f"{place_of(row)}: measure {name}"
        kept = samples.measures.get(name, ())
        if len(kept) != len(garments):
            yield f"{where} does not have a value or none for each sample."
            continue
        found = [value for value in kept if value is not None]
        stated = row.measures.get(name)
        if stated is None or not found:
            if (stated is None) != (not found):
                yield f"{where} has {len(found)} values and {'no' if stated is None else 'a'} mean."
            continue
        wanted = measure_value(kept, garments, measure_limits(name)).model_dump()
        for field, have, want in _differences(stated.model_dump(), wanted, f"measure {name}"):
            yield f"{place_of(row)}: {field} is stated as {_shown(have)}, the samples give {_shown(want)}."
