"""The values of one metric or measure, pair by pair, on disk beside a run."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fashionedit.errors import InvalidDataError
from fashionedit.files import append_line, open_regular, parse_json
from fashionedit.metrics.encoder import fingerprint_hash
from fashionedit.metrics.mixed_precision import Provenance, add_provenance

Pair = tuple[str, str]
"""The pixel digests of a result and of its original; for a measure the digest of all that the result is held to."""


class Pairs(list[Pair]):
    """Pairs that several stores are asked for: their keys are computed once."""

    @cached_property
    def keys(self) -> bytes:
        """The keys, one after the other."""
        return b"".join(map(_key, self))


Values = NDArray[np.float64]

_LONGEST = 2**16  # bytes of a line
_LARGEST = 1e6  # far above any score
_LINE = re.compile(  # as `add` writes it; whatever else a line holds is read by `parse_json`
    rb'\{"image": "([0-9A-Za-z]+)", "original": "([0-9A-Za-z]+)", "value": (-?[0-9]+\.[0-9]+(?:e-?[0-9]+)?)\}'
)
_KEY_BYTES = 16
_KEY = f"S{_KEY_BYTES}"


class PairValues(Protocol):
    """What gives values for pairs."""

    def find(self, pairs: Sequence[Pair]) -> Values:
        """Returns the value of each pair, NaN where it has none."""


class KnownValues:
    """Values that are at hand."""

    def __init__(self, values: Mapping[Pair, float]) -> None:
        self._values = values

    def find(self, pairs: Sequence[Pair]) -> Values:
        """Returns the value of each pair, NaN where it has none."""
        return np.array([self._values.get(pair, np.nan) for pair in pairs], dtype=np.float64)


class StoredScores:
    """The values of one metric or measure in one file of the run's `scores/`.

    The name has the fingerprint's hash; a header with the fingerprint is followed by one line per pair.

    A line that a killed process left torn, or that holds no finite number, is passed over: its pair is scored again.
    Where a pair stands twice the first value holds, so that a number never changes once it was printed.

    In memory a value takes 24 bytes: pairs are known by a hash of 128 bits, sorted.
    """

    def __init__(self, folder: Path, metric: str, fingerprint: Mapping[str, str]) -> None:
        self.path = folder / f"{metric}-{fingerprint_hash(fingerprint)}.jsonl"
        self._header = {"schema_version": 1, "metric": metric, "fingerprint": dict(fingerprint)}
        self._added: dict[bytes, float] = {}
        keys, values, self.provenance = _read(self.path, folder.parent)
        self._keys, first = np.unique(np.frombuffer(keys, dtype=_KEY), return_index=True)
        self._values: Values = np.array(values, dtype=np.float64)[first]

    def find(self, pairs: Sequence[Pair]) -> Values:
        """Returns the value of each pair, NaN where it has none."""
        keys = (pairs if isinstance(pairs, Pairs) else Pairs(pairs)).keys
        wanted = np.frombuffer(keys, dtype=_KEY)
        found = np.full(len(wanted), np.nan)
        if len(self._keys):
            places = np.searchsorted(self._keys, wanted)
            places[places == len(self._keys)] = 0
            there = self._keys[places] == wanted
            found[there] = self._values[places[there]]
        if self._added:
            for place in np.flatnonzero(np.isnan(found)).tolist():
                start = place * _KEY_BYTES
                found[place] = self._added.get(keys[start : start + _KEY_BYTES], np.nan)
        return found

    def __contains__(self, pair: Pair) -> bool:
        return not np.isnan(self.find([pair])[0])

    def __getitem__(self, pair: Pair) -> float:
        if pair not in self:
            raise KeyError(pair)
        return float(self.find([pair])[0])

    def __len__(self) -> int:
        return len(self._keys) + len(self._added)

    def add(self, values: Iterable[tuple[Pair, float]]) -> None:
        """Stores the values of pairs at once, with a single write; a pair that is known keeps its value."""
        values = list(values)
        fresh: dict[bytes, float] = {}
        lines = [] if self.path.exists() else [json.dumps(self._header, sort_keys=True)]
        for (pair, value), known in zip(values, self.find([pair for pair, _ in values]), strict=True):
            key = _key(pair)
            if np.isnan(known) and key not in fresh:
                fresh[key] = value
                lines.append(json.dumps({"image": pair[0], "original": pair[1], "value": value}))
        if fresh:
            append_line(self.path, "\n".join(lines))
            self._added |= fresh

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


def _key(pair: Pair) -> bytes:
    return _hashed(f"{pair[0]}\n{pair[1]}".encode())


def _hashed(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=_KEY_BYTES).digest()


def _read(path: Path, folder: Path) -> tuple[bytearray, list[float], Provenance]:
    """Returns the keys of a file's pairs, one after the other, their values, line by line, and their provenance."""
    keys, values = bytearray(), list[float]()
    provenance: Provenance = {}
    try:
        file = open_regular(path, folder=folder)
    except FileNotFoundError:
        return keys, values, provenance
    with file:
        while line := file.readline(_LONGEST):
            if found := _LINE.fullmatch(line.rstrip(b"\n")):
                key, value = _hashed(b"%b\n%b" % found.group(1, 2)), float(found[3])
                if abs(value) > _LARGEST:
                    continue
            else:
                entry = _entry_of(line)
                if (other := _pair_of(entry)) is None:
                    if said := _plain(entry.get("provenance")):
                        provenance = add_provenance(provenance, said)
                    continue
                key, value = _key(other[0]), other[1]
            keys += key
            values.append(value)
    return keys, values, provenance


def _entry_of(line: bytes) -> dict[str, Any]:
    entry: Any = None
    with suppress(InvalidDataError):
        entry = parse_json(line.decode("utf-8", "replace"), name="the line")
    return entry if isinstance(entry, dict) else {}


def _pair_of(entry: Mapping[str, Any]) -> tuple[Pair, float] | None:
    image, original, value = entry.get("image"), entry.get("original"), entry.get("value")
    if not isinstance(image, str) or not isinstance(original, str) or not isinstance(value, float):
        return None
    return ((image, original), value) if abs(value) <= _LARGEST else None
