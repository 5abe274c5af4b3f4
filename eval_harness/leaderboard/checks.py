"""Checks a run before it is sent: complete, made on the benchmark, and not copied from the originals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from fashionedit.card import LAST_ROUND, LEADERBOARD_PROTOCOLS
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.records import RoundOutcome, RunIdentity
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.primary_scores import NOT_RUN
from fashionedit.eval_harness.scores.result_models import Results, Row, RowSamples
from fashionedit.metrics.paper_metrics import Psnr
from fashionedit.metrics.regions import copy_decibels

from .benchmark import SPLIT, Benchmark, fingerprint_differences


def check_run(run: RunFolder, source: SampleSource, results: Results, *, any_encoder: bool = False) -> None:
    """Checks whether the run can be submitted, as far as this is known without the Hub.

    Args:
        results: What `score` wrote, the leaderboard's columns alone.
        any_encoder: Whether scores of another encoder may be sent, marked as such.

    Raises:
        InvalidDataError: It may not; the message has all reasons, one a line.
    """
    copied = list(copy_problems(results))
    if not copied and run.identity.manifest == source.manifest_hash:
        copied = list(disguised_problems(run.outcomes(source), source))
    _refuse(
        run,
        *run_problems(run.identity),
        *_of_the_samples(source, results),
        *unfinished_rounds(results),
        *record_differences(run, source, results),
        *([] if any_encoder else _of_the_encoder(results)),
        *copied,
    )


def check_benchmark(run: RunFolder, results: Results, benchmark: Benchmark) -> None:
    """Checks that the run was made on this benchmark.

    Raises:
        InvalidDataError: It was not.
    """
    manifest, n = run.identity.manifest, results.dataset.samples
    if manifest != benchmark.manifest:
        _refuse(
            run,
            f"The run was made on other samples (manifest {manifest[:12]}…) than {benchmark.repository} has "
            f"at revision {benchmark.revision[:12]} (manifest {benchmark.manifest[:12]}…); run on that revision, or "
            "name the one that was run.",
        )
    if n != benchmark.samples:
        _refuse(run, f"The results are of {n:,} samples; the split has {benchmark.samples:,}.")


def _refuse(run: RunFolder, *reasons: str) -> None:
    if reasons:
        lines = "".join(f"\n  - {reason}" for reason in reasons)
        raise InvalidDataError(f"{run.path} can't be submitted:{lines}")


def run_problems(run: RunIdentity) -> Iterator[str]:
    """Yields a sentence for each setting with which a run can't be submitted."""
    if run.public() != run:
        yield "The settings of the run hold a secret; run it again with the secret in an environment variable."
    if run.editor.privileged:
        yield f"The editor {run.editor.name} sees the answer; such rows are baselines and are not submitted."
    if run.control_set:
        yield "The run was made on the control set of rendered garments; run the editor on the benchmark itself."
    if run.split != SPLIT:
        yield f"The run went over {run.split}; the leaderboard is that of {SPLIT} alone."
    if not set(run.protocols) & set(LEADERBOARD_PROTOCOLS):
        yield f"The run edited in no protocol of the leaderboard; run {' or '.join(LEADERBOARD_PROTOCOLS)}."
    if run.rounds != LAST_ROUND:
        yield f"The run has {run.rounds} of {LAST_ROUND} rounds; the scores after round {LAST_ROUND} count."


def _of_the_samples(source: SampleSource, results: Results) -> Iterator[str]:
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
    if run.identity.manifest != source.manifest_hash:
        return  # the records can't be walked on other samples, which another check tells
    scored = {
        (sample.id, row.protocol, row.round): (status, digest)
        for row, found in _own_rows(results)
        for sample, status, digest in zip(results.samples, found.status, found.digests, strict=True)
    }
    stale = []
    for outcome in run.outcomes(source):
        now = (NOT_RUN if outcome.status is None else outcome.status.value, outcome.current.digest)
        if scored.get((outcome.sample, outcome.protocol, outcome.round), now) != now:
            stale.append(f"{outcome.sample} ({outcome.protocol} round {outcome.round})")
    if stale:
        yield f"results.json is older than the records of {some(stale)}; score the run again."


def _own_rows(results: Results) -> list[tuple[Row, RowSamples]]:
    pairs = zip(results.rows, results.row_samples, strict=True)
    return [(row, samples) for row, samples in pairs if row.run is not None]


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
    yield from _more_than_chance(near_copies(results), len(results.samples), "the original or nearly")


def _more_than_chance(copies: list[str], n: int, what: str) -> Iterator[str]:
    allowed = int(COPIES * n)
    if len(copies) > allowed:
        yield (
            f"{len(copies):,} of {n:,} samples have an output that is {what} ({some(copies)}), and chance allows "
            f"{allowed}; an editor that has seen the originals can't be submitted."
        )


def near_copies(results: Results) -> list[str]:
    """Returns the ids of the samples with an output of the run that has the original's pixels or nearly so.

    Nearly: a PSNR of at least `NEAR_COPY`, and `NEAR_COPY_STEP` above the draft's; or, by the official encoder,
    a cosine of at least `NEAR_COPY_COSINE` at half the draft's distance. Mirrored and cropped copies are found by
    `disguised_copies`.
    """
    pairs = zip(results.rows, results.row_samples, strict=True)
    floor = next((samples.values for row, samples in pairs if row.kind == "floor"), {})
    zeros = [0.0] * len(results.samples)
    limits: dict[str, list[float]] = {}  # of each metric that tells a copy, by sample
    if Psnr.id in results.metric_ids:
        limits[Psnr.id] = [max(NEAR_COPY, draft + NEAR_COPY_STEP) for draft in floor.get(Psnr.id, zeros)]
    if results.similarity is not None and not fingerprint_differences(results.metrics):
        cosines = floor.get(results.similarity.id, zeros)
        limits[results.similarity.id] = [max(NEAR_COPY_COSINE, (100 + draft) / 2) for draft in cosines]
    own = [samples for _, samples in _own_rows(results)]
    return [
        sample.id
        for place, sample in enumerate(results.samples)
        if any(
            samples.status[place] == Status.OK
            and any(samples.values[id][place] >= least[place] for id, least in limits.items())
            for samples in own
        )
    ]


def disguised_problems(outcomes: Iterable[RoundOutcome], source: SampleSource) -> Iterator[str]:
    """Yields a sentence where more outputs of the last round are disguised copies than chance allows.

    Opens every output of that round.
    """
    copies = disguised_copies(outcomes, source)
    yield from _more_than_chance(copies, len(source.ids), "the original mirrored, cropped or framed")


def disguised_copies(outcomes: Iterable[RoundOutcome], source: SampleSource) -> list[str]:
    """Returns the ids of the samples whose last output is the original, mirrored or not, or a large part of it.

    By `copy_decibels`, with the limits of `near_copies`. Of 780 pairs of photographs none was above 20.2 dB; of 40
    photographs mirrored, JPEG of quality 10, cropped to 90 % and shifted by 5 % all were found, framed or cropped
    off-centre to 87 % nine of ten, cropped to 75 % half.
    """
    last = [outcome for outcome in outcomes if outcome.round == LAST_ROUND and outcome.own]
    with ThreadPoolExecutor(4, thread_name_prefix="copies") as pool:
        copied = pool.map(lambda outcome: _is_copy(outcome, source), last)
        return sorted({outcome.sample for outcome, is_copy in zip(last, copied, strict=True) if is_copy})


def _is_copy(outcome: RoundOutcome, source: SampleSource) -> bool:
    sample = source.sample(outcome.sample)
    found = copy_decibels(outcome.current.open(), sample.original)
    return found >= NEAR_COPY and found >= copy_decibels(sample.draft, sample.original) + NEAR_COPY_STEP


def some(names: list[str]) -> str:
    """Returns the first three names and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
