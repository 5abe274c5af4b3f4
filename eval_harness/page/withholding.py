"""What a page that may be passed on leaves out, and the words that stand in its place."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from fashionedit.eval_harness.scores.result_models import Row, RowSamples

LEAK_MARGIN = 25.0
"""An output is left out where it holds this many points more of the reference, %, than the picture before it does."""

_LEAK = "leak"


class Withheld(StrEnum):
    """Why a picture or a caption is not in a page that may be passed on."""

    ORIGINAL = "original"
    CAPTION = "caption"
    REFERENCE = "reference"
    TOLD = "told"
    COPY = "copy"
    ALIKE = "alike"
    LEAK = "leak"
    UNCHECKED = "unchecked"


_WORDS = {
    Withheld.ORIGINAL: "Original left out: not ours to pass on",
    Withheld.CAPTION: "Caption left out: not ours to pass on",
    Withheld.REFERENCE: "Reference left out: part of the original",
    Withheld.TOLD: "Picture left out: this method shows the reference or the original",
    Withheld.COPY: "Picture left out: pixel for pixel a picture of the dataset",
    Withheld.ALIKE: "Picture left out: shows a photograph of the dataset, or was made from a draft that does",
    Withheld.LEAK: "Picture left out: it holds pixels of the reference",
    Withheld.UNCHECKED: "Picture left out: not measured for pixels of the reference",
}


def left_out_words() -> dict[str, str]:
    """Returns what a page writes in the place of what it leaves out, by reason."""
    return {reason.value: words for reason, words in _WORDS.items()}


def withheld_output(row: Row, samples: RowSamples, place: int, digest: str, kept: Collection[str]) -> Withheld | None:
    """Returns why an output may not be passed on; None where it may.

    Whatever a baseline or a privileged editor made is left out, and so is any picture of the dataset but the draft. The
    rest must have been measured: what holds `LEAK_MARGIN` points more of its round's reference than the picture before
    it, or was never measured, stays out too. As a round is measured against the one before, a picture that is left out
    takes those of the later rounds with it; the caller sees to that. A round without a picture of its own shows an
    earlier one, which is asked about under its own round.

    Args:
        place: The sample's, in the order of the results.
        digest: The output's pixel digest.
        kept: The digests of the sample's original and references of every kind.
    """
    if row.kind != "editor" or row.privileged:
        return Withheld.TOLD
    if digest in kept:
        return Withheld.COPY
    leak = samples.measures[_LEAK][place] if _LEAK in samples.measures else None
    if leak is None:
        return Withheld.UNCHECKED
    return Withheld.LEAK if leak >= LEAK_MARGIN else None
