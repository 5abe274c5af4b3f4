"""What every export tells of a run: its own rows after the last round, with the score of each sample in every round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.scores.headlines import headline_values
from fashionedit.eval_harness.scores.result_models import Results, Row


@dataclass(frozen=True, slots=True)
class Exported:
    """One run in one protocol.

    Args:
        results: The file that it is of.
        protocol: `vanilla` or `bug`.
        rounds: The indexes of its rows, by round; the last one is what is reported.
        created: When the run was begun, ISO 8601.
    """

    results: Results
    protocol: str
    rounds: tuple[int, ...]
    created: str

    @property
    def row(self) -> Row:
        """The row after the last round."""
        return self.results.rows[self.rounds[-1]]

    @property
    def task(self) -> str:
        """The name of the task."""
        return f"fashionedit_{self.protocol}"

    def scores(self, place: int) -> dict[str, float]:
        """Returns what a sample adds to the means of the table after the last round; for a starred metric 1 or 0."""
        return self._scores(self.rounds[-1], place)

    def facts(self, place: int) -> dict[str, Any]:
        """Returns what is known of a sample beside its scores; no caption, no description, no picture."""
        sample, last = self.results.samples[place], self.results.row_samples[self.rounds[-1]]
        return {
            "sample": sample.id,
            "garment": sample.garment,
            "category": sample.category,
            "gender": sample.gender,
            "view": sample.view,
            "status": last.status[place],
            "digest": last.digests[place],
            "rounds": {
                str(self.results.rows[index].round): {
                    "status": self.results.row_samples[index].status[place],
                    **self._scores(index, place),
                }
                for index in self.rounds
            },
        }

    def _scores(self, index: int, place: int) -> dict[str, float]:
        return {
            metric.id: headline_values(self.results, index, metric)[place] / (100 if metric.is_share else 1)
            for metric in self.results.metrics
        }


def exported(results: Results, created: str) -> Iterator[Exported]:
    """Yields each of the run's protocols.

    Raises:
        InvalidDataError: The results are of several runs, or of none.
    """
    if len(results.runs) != 1:
        raise InvalidDataError(f"the results are of {len(results.runs)} runs; export one run at a time")
    own = [index for index, row in enumerate(results.rows) if row.run is not None]
    for protocol in dict.fromkeys(results.rows[index].protocol for index in own):
        places = [index for index in own if results.rows[index].protocol == protocol]
        yield Exported(results, protocol, tuple(sorted(places, key=lambda at: results.rows[at].round)), created)
