"""A bundle compared with itself: its files, the run and the benchmark that it names, statuses, images, scores."""

from __future__ import annotations

from collections.abc import Iterator

from fashionedit.card import LAST_ROUND, LEADERBOARD_PROTOCOLS
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.protocols import PROTOCOL_VERSION
from fashionedit.eval_harness.scores.primary_scores import NOT_RUN
from fashionedit.eval_harness.scores.result_models import Results

from .aggregates import aggregate_problems, shape_problems, two_scores
from .benchmark import SPLIT
from .bundle import OUTPUTS_FILE, PARAMETERS_FILE, RESULTS_FILE, SCORES_FILE, Bundle, Outputs, Parameters
from .checks import unfinished_rounds
from .contents import Contents
from .copies import copy_problems
from .official import fingerprint_differences
from .rebuilding import digests_of
from .score_rows import ScoreRow, score_rows

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
