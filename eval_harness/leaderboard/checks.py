"""What a run must be before it is sent to a leaderboard: each check that fails is one sentence, and all are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fashionedit.card import LAST_ROUND, LEADERBOARD_PROTOCOLS
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.primary_scores import NOT_RUN
from fashionedit.eval_harness.scores.result_models import Results, Row, RowSamples

from .benchmark import SPLIT
from .bundle import Benchmark
from .copies import copy_problems, disguised_problems, some
from .official import fingerprint_differences


def failed_checks(
    run: RunFolder, source: SampleSource, results: Results, benchmark: Benchmark | None, *, any_encoder: bool = False
) -> list[str]:
    """Returns one sentence for each check that the run fails; none where it may be sent.

    Args:
        source: The dataset that the run was made on.
        results: What `score` wrote.
        benchmark: The dataset as it is published; None, before it is asked for, checks what this machine knows.
        any_encoder: Whether scores of another encoder may be sent, marked as such.
    """
    return [
        *_of_the_run(run, benchmark),
        *_of_the_samples(source, results, benchmark),
        *unfinished_rounds(results),
        *record_differences(run, source, results),
        *([] if any_encoder else _of_the_encoder(results)),
        *(copied := list(copy_problems(results))),
        *(
            []
            if copied or run.identity.manifest != source.manifest_hash
            else disguised_problems(run.outcomes(source), source)
        ),
    ]


def _of_the_run(run: RunFolder, benchmark: Benchmark | None) -> Iterator[str]:
    identity = run.identity
    if identity.public() != identity:
        yield "The settings of the run hold a secret; run it again with the secret in an environment variable."
    if identity.editor.privileged:
        yield f"The editor {identity.editor.name} is told the answer; such rows are baselines and are not submitted."
    if identity.control_set:
        yield "The run was made on the control set of rendered garments; run the editor on the benchmark itself."
    if identity.split != SPLIT:
        yield f"The run went over {identity.split}; the leaderboard is that of {SPLIT} alone."
    elif benchmark is not None and identity.manifest != benchmark.manifest:
        yield (
            f"The run was made on other samples (manifest {identity.manifest[:12]}…) than {benchmark.repository} has "
            f"at revision {benchmark.revision[:12]} (manifest {benchmark.manifest[:12]}…); run on that revision, or "
            "name the one that was run."
        )
    if not set(identity.protocols) & set(LEADERBOARD_PROTOCOLS):
        yield f"The run edited in no protocol of the leaderboard; run {' or '.join(LEADERBOARD_PROTOCOLS)}."
    if identity.rounds != LAST_ROUND:
        yield f"The run has {identity.rounds} of {LAST_ROUND} rounds; the scores after round {LAST_ROUND} count."


def _of_the_samples(source: SampleSource, results: Results, benchmark: Benchmark | None) -> Iterator[str]:
    data = results.dataset
    if data.left_out:
        yield (
            f"{data.left_out:,} of {data.samples + data.left_out:,} samples were left out, because they have no such "
            "reference; a submission goes over the whole split."
        )
    elif data.not_reached:
        yield (
            f"The results are over {data.samples:,} of {data.samples + data.not_reached:,} samples; run and score the "
            "whole split, without --limit."
        )
    elif benchmark is not None and data.samples != benchmark.samples:
        yield f"The results are of {data.samples:,} samples; the split has {benchmark.samples:,}."
    scored = {sample.id for sample in results.samples}
    missing = [id for id in source.ids if id not in scored]
    if missing and not data.left_out and not data.not_reached:
        yield f"The results lack {some(missing)}; score the run again."


def unfinished_rounds(results: Results) -> Iterator[str]:
    """Yields a sentence for each status that trying again may mend, where rounds of the run ended with it."""
    left: dict[str, Counter[str]] = {}
    for row in results.rows:
        if row.run is not None:
            counts = Counter(row.failures)
            counts[NOT_RUN] += len(results.samples) - row.requested
            for status in (NOT_RUN, Status.TIMEOUT.value, Status.ERROR.value):
                if count := counts[status]:
                    left.setdefault(status, Counter())[f"{row.protocol} round {row.round}"] += count
    for status, places in left.items():
        where = ", ".join(f"{count:,} in {place}" for place, count in places.items())
        how = "were not run" if status == NOT_RUN else f"ended with status {status}"
        yield (
            f"{sum(places.values()):,} rounds {how} ({where}); the same run command tries them again, then score again."
        )


def record_differences(run: RunFolder, source: SampleSource, results: Results) -> Iterator[str]:
    """Yields a sentence where the results are not those of the records that the run folder holds now."""
    if results.runs != (run.identity,):
        yield "results.json is not of this run, or of several; score the run again."
        return
    told: dict[tuple[str, int], tuple[Row, RowSamples]] = {
        (row.protocol, row.round): (row, samples)
        for row, samples in zip(results.rows, results.row_samples, strict=True)
        if row.run is not None
    }
    places = {sample.id: place for place, sample in enumerate(results.samples)}
    if run.identity.manifest != source.manifest_hash:
        return  # the records can't be walked on other samples, which another check tells
    stale = []
    for outcome in run.outcomes(source):
        found, place = told.get((outcome.protocol, outcome.round)), places.get(outcome.sample)
        if found is None or place is None:
            continue
        status = outcome.status.value if outcome.status is not None else NOT_RUN
        if (status, outcome.current.digest) != (found[1].status[place], found[1].digests[place]):
            stale.append(f"{outcome.sample} ({outcome.protocol} round {outcome.round})")
    if stale:
        yield f"results.json is older than the records of {some(stale)}; score the run again."


def _of_the_encoder(results: Results) -> Iterator[str]:
    if clauses := fingerprint_differences(results):
        yield (
            f"The scores are not the leaderboard's ({'; '.join(clauses)}); score with --encoder clip in fp32, or give "
            "--allow-encoder to send them marked, beside the ranked ones."
        )
