"""A ready selection of photographs with their scores, such as the authors' `captions_top.json`, against our own."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.files import parse_json, read_regular
from fashionedit.photographs import stem_of
from fashionedit.types import safe_id


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """How two selections differ.

    Args:
        both: Photographs in both, as a number.
        only_ready: Ids only in the ready selection, sorted.
        only_computed: Ids only in the computed one, sorted.
        compared: Photographs with a score from both, selected or not.
        mean_difference: Computed less ready score, mean over these; None where there are none.
        largest_difference: The largest such difference in size, with its sign; None where there are none.
        largest_at: Where it is.
    """

    both: int
    only_ready: tuple[str, ...]
    only_computed: tuple[str, ...]
    compared: int
    mean_difference: float | None
    largest_difference: float | None
    largest_at: str | None

    @property
    def sentence(self) -> str:
        """What a reader of the funnel should know, in a sentence."""
        kept = (
            f"the ready selection and the recomputed one share {self.both:,} photographs; "
            f"{len(self.only_ready):,} are only in the ready one and {len(self.only_computed):,} only in the "
            "recomputed one"
        )
        if self.mean_difference is None or self.largest_difference is None:
            return f"{kept}; no photograph has a score from both"
        return (
            f"{kept}; over {self.compared:,} photographs the recomputed score is {abs(self.mean_difference):.2f} "
            f"{'higher' if self.mean_difference >= 0 else 'lower'} on average, and differs by at most "
            f"{abs(self.largest_difference):.2f} ({self.largest_at})"
        )


def read_selection(path: Path) -> dict[str, float]:
    """Returns the score of each selected photograph by its id, in the order of the ids.

    Args:
        path: A JSON object {name: score}. Names may have folders, with either slash, and an ending; scores may be
            quoted.

    Raises:
        InvalidDataError: The file is none of these, a score is no finite number, or a photograph is named twice.
    """
    try:
        values = parse_json(read_regular(path), name=str(path))
    except (OSError, InvalidDataError) as error:
        raise InvalidDataError(
            f"the selection {path} can't be read ({str(error) or type(error).__name__}); give a JSON object of file "
            "names and scores, as captions_top.json is"
        ) from error
    if not isinstance(values, dict):
        raise InvalidDataError(f'{path} is no JSON object; write {{"photograph.png": "87.4", …}}')
    if not values:
        raise InvalidDataError(f"{path} selects nothing; give a JSON object of file names and scores")
    found: dict[str, float] = {}
    for name, value in values.items():
        if (identity := safe_id(stem_of(name))) in found:
            raise InvalidDataError(f"{path} names the photograph {identity} twice; keep one of the two")
        found[identity] = _score(path, name, value)
    return dict(sorted(found.items()))


def compare_selections(
    ready: Mapping[str, float],
    computed: Mapping[str, float],
    *,
    kept_ready: Collection[str] | None = None,
    kept_computed: Collection[str],
) -> SelectionReport:
    """Returns how a ready selection differs from a computed one.

    Args:
        ready: Scores of the ready one by id.
        computed: Scores of ours by id, of those not kept too.
        kept_ready: What the ready one selects; everything it has a score for by default.
        kept_computed: What ours selects.
    """
    theirs, ours = set(ready if kept_ready is None else kept_ready), set(kept_computed)
    differences = {
        identity: computed[identity] - ready[identity] for identity in sorted(ready.keys() & computed.keys())
    }
    largest = max(differences, key=lambda identity: abs(differences[identity]), default=None)
    return SelectionReport(
        both=len(theirs & ours),
        only_ready=tuple(sorted(theirs - ours)),
        only_computed=tuple(sorted(ours - theirs)),
        compared=len(differences),
        mean_difference=math.fsum(differences.values()) / len(differences) if differences else None,
        largest_difference=differences[largest] if largest is not None else None,
        largest_at=largest,
    )


def _score(path: Path, name: str, value: Any) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        score = float(value)
        if not math.isfinite(score):
            raise ValueError
    except (ValueError, OverflowError):
        raise InvalidDataError(
            f"{path}: the score of {name} is {str(value)[:40]!r}; it must be a finite number"
        ) from None
    return score
