"""Outputs that are the original itself, or nearly: no editor that has not seen the originals makes many of them."""

from __future__ import annotations

from collections.abc import Iterator

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.scores.result_models import Results

NEAR_COPY = 22.0
"""The PSNR, dB, from which on an output is nearly the original.

Of 780 pairs of 40 different photographs of garments none was above 16.9 dB; the photographs themselves, encoded again
as JPEG of quality 10 or at half the size, had 24.7 dB and more, blurred by 2 pixels a median of 30.6."""

NEAR_COPY_STEP = 6.0
"""How much nearer than the draft it must be, dB: half the error. Where drafts are near already, edits are too."""

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

    Nearly: a PSNR of at least `NEAR_COPY`, and `NEAR_COPY_STEP` above the draft's. A mirrored or shifted copy is not
    found by it.
    """
    floor = next(
        (samples for row, samples in zip(results.rows, results.row_samples, strict=True) if row.kind == "floor"), None
    )
    found = []
    for place, sample in enumerate(results.samples):
        draft = floor.values["psnr"][place] if floor is not None else 0.0
        least = max(NEAR_COPY, draft + NEAR_COPY_STEP)
        outputs = (
            samples.values["psnr"][place]
            for row, samples in zip(results.rows, results.row_samples, strict=True)
            if row.run is not None and samples.status[place] == Status.OK
        )
        if any(value >= least for value in outputs):
            found.append(sample.id)
    return found


def some(names: list[str]) -> str:
    """Returns the first three names and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
