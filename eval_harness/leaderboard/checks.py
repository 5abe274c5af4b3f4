"""Checks a run before it is sent: complete, made on the benchmark, and not copied from the originals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from fashionedit.card import LAST_ROUND, LEADERBOARD_PROTOCOLS
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.primary_scores import NOT_RUN
from fashionedit.eval_harness.scores.result_models import Results, Row, RowSamples
from fashionedit.metrics.regions import copy_decibels

from .benchmark import SPLIT, Benchmark, fingerprint_differences


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
    if clauses := fingerprint_differences(results.metrics):
        yield (
            f"The scores are not the leaderboard's ({'; '.join(clauses)}); score with --encoder clip in fp32, or give "
            "--allow-encoder to send them marked, beside the ranked ones."
        )


NEAR_COPY = 22.0
"""The PSNR, dB, from which on an output is nearly the original.

Of 780 pairs of 40 different photographs of garments none was above 16.9 dB; the photographs themselves, encoded again
as JPEG of quality 10 or at half the size, had 24.7 dB and more, blurred by 2 pixels a median of 30.6."""

NEAR_COPY_STEP = 6.0
"""How much nearer than the draft it must be, dB: half the error. Where drafts are near already, edits are too."""

NEAR_COPY_COSINE = 98.5
"""The cosine × 100 from which on an output is nearly the original, where it is also half as far from it as the draft.

The released drafts reach 95.6 with CLIP; what copies have there could not be measured here."""

COPIES = 0.005
"""The share of samples that may be near copies by chance: none of 780 pairs means less than 0.4 % (95 %)."""


def copy_problems(results: Results) -> Iterator[str]:
    """Yields a sentence where more outputs of the run are nearly the original than chance allows."""
    found = near_copies(results)
    allowed = int(COPIES * len(results.samples))
    if len(found) > allowed:
        yield (
            f"{len(found):,} of {len(results.samples):,} samples have an output that is the original or nearly "
            f"({some(found)}), and chance allows {allowed}; an editor that has seen the originals can't be submitted."
        )


def near_copies(results: Results) -> list[str]:
    """Returns the ids of the samples with an output of the run that has the original's pixels or nearly so.

    Nearly: a PSNR of at least `NEAR_COPY`, and `NEAR_COPY_STEP` above the draft's; or, by the official encoder,
    a cosine of at least `NEAR_COPY_COSINE` at half the draft's distance. Mirrored and cropped copies are found by
    `disguised_copies`.
    """
    similarity, official = results.metrics[0].id, not fingerprint_differences(results.metrics)
    floor = next(
        (samples for row, samples in zip(results.rows, results.row_samples, strict=True) if row.kind == "floor"), None
    )
    own = [samples for row, samples in zip(results.rows, results.row_samples, strict=True) if row.run is not None]
    found = []
    for place, sample in enumerate(results.samples):
        draft, cosine = (
            (floor.values["psnr"][place], floor.values[similarity][place]) if floor is not None else (0.0, 0.0)
        )
        least = max(NEAR_COPY, draft + NEAR_COPY_STEP)
        nearest = max(NEAR_COPY_COSINE, (100 + cosine) / 2) if official else math.inf
        if any(
            samples.status[place] == Status.OK
            and (samples.values["psnr"][place] >= least or samples.values[similarity][place] >= nearest)
            for samples in own
        ):
            found.append(sample.id)
    return found


def disguised_problems(outcomes: Iterable[RoundOutcome], source: SampleSource) -> Iterator[str]:
    """Yields a sentence where more outputs of the last round are disguised copies than chance allows.

    Opens every output of that round.
    """
    found = disguised_copies(outcomes, source)
    allowed = int(COPIES * len(source.ids))
    if len(found) > allowed:
        yield (
            f"{len(found):,} of {len(source.ids):,} samples have an output that is the original mirrored, cropped or "
            f"framed ({some(found)}), and chance allows {allowed}; an editor that has seen the originals can't be "
            "submitted."
        )


def disguised_copies(outcomes: Iterable[RoundOutcome], source: SampleSource) -> list[str]:
    """Returns the ids of the samples whose last output is the original, mirrored or not, or a large part of it.

    By `copy_decibels`, with the limits of `near_copies`. Of 780 pairs of photographs none was above 20.2 dB; of 40
    photographs mirrored, JPEG of quality 10, cropped to 90 % and shifted by 5 % all were found, framed or cropped
    off-centre to 87 % nine of ten, cropped to 75 % half.
    """
    last = {(one.sample, one.protocol): one for one in outcomes if one.round == LAST_ROUND and one.own}
    with ThreadPoolExecutor(4, thread_name_prefix="copies") as pool:
        copied = pool.map(lambda outcome: _is_copy(outcome, source), last.values())
        return sorted({outcome.sample for outcome, is_copy in zip(last.values(), copied, strict=True) if is_copy})


def _is_copy(outcome: RoundOutcome, source: SampleSource) -> bool:
    sample = source.sample(outcome.sample)
    found = copy_decibels(outcome.current.open(), sample.original)
    return found >= NEAR_COPY and found >= copy_decibels(sample.draft, sample.original) + NEAR_COPY_STEP


def some(names: list[str]) -> str:
    """Returns the first three names and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
