"""Outputs that are the original itself, or nearly: no editor that has not seen the originals makes many of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from fashionedit.card import LAST_ROUND
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.metrics.regions import copy_decibels

from .official import fingerprint_differences

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
    similarity, official = results.metrics[0].id, not fingerprint_differences(results)
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

    By `copy_decibels`, with the limits of `near_copies`. Of 780 pairs of photographs none was above 20.0 dB; of 40
    photographs mirrored, JPEG of quality 10 and cropped to 90 % all were found, framed or cropped off-centre to 87 %
    nine of ten, cropped to 75 % half.
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
