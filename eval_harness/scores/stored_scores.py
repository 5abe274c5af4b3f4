"""The values of one metric or measure, pair by pair, on disk beside a run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fashionedit.files import append_line, read_json_lines
from fashionedit.metrics.encoder import fingerprint_hash
from fashionedit.metrics.mixed_precision import Provenance, add_provenance

Pair = tuple[str, str]
"""The pixel digests of a result and of its original; for a measure the digest of all that the result is held to."""

_MOST_BYTES = 512 * 2**20
_LARGEST = 1e6  # far above any score


class StoredScores:
    """The values of one metric or measure in one file of the run's `scores/`.

    The name has the fingerprint's hash; a header with the fingerprint is followed by one line per pair.

    A line that a killed process left torn, or that holds no finite number, is passed over: its pair is scored again.
    Where a pair stands twice the first value holds, so that a number never changes once it was printed.
    """

    def __init__(self, folder: Path, metric: str, fingerprint: Mapping[str, str]) -> None:
        self.path = folder / f"{metric}-{fingerprint_hash(fingerprint)}.jsonl"
        self._header = {"schema_version": 1, "metric": metric, "fingerprint": dict(fingerprint)}
        self._values: dict[Pair, float] = {}
        self.provenance: Provenance = {}
        for entry in read_json_lines(self.path, _MOST_BYTES, folder=folder.parent):
            if (found := _pair_of(entry)) is not None:
                self._values.setdefault(*found)
            elif said := _plain(entry.get("provenance")):
                self.provenance = add_provenance(self.provenance, said)

    def __contains__(self, pair: Pair) -> bool:
        return pair in self._values

    def __getitem__(self, pair: Pair) -> float:
        return self._values[pair]

    def get(self, pair: Pair) -> float | None:
        """Returns the value of the pair, None where it has none."""
        return self._values.get(pair)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, pair: Pair, value: float) -> None:
        """Stores the value of a pair at once; one that is known stays."""
        if pair in self._values:
            return
        if not self.path.exists():
            append_line(self.path, json.dumps(self._header, sort_keys=True))
        append_line(self.path, json.dumps({"image": pair[0], "original": pair[1], "value": value}))
        self._values[pair] = value

    def add_provenance(self, provenance: Provenance) -> None:
        """Stores how values that were just added were computed, where that says anything new."""
        said = _plain(provenance)
        if (both := add_provenance(self.provenance, said)) != self.provenance:
            append_line(self.path, json.dumps({"provenance": said}, sort_keys=True))
            self.provenance = both


def _plain(provenance: Any) -> dict[str, str | int | float]:
    """Returns of a provenance what JSON can say."""
    if not isinstance(provenance, Mapping):
        return {}
    return {
        str(name): value
        for name, value in provenance.items()
        if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    }


def _pair_of(entry: Mapping[str, Any]) -> tuple[Pair, float] | None:
    image, original, value = entry.get("image"), entry.get("original"), entry.get("value")
    if not isinstance(image, str) or not isinstance(original, str) or not isinstance(value, float):
        return None
    return ((image, original), value) if abs(value) <= _LARGEST else None
