"""The values of one metric or measure, pair by pair, on disk beside a run."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from array import array
from binascii import hexlify, unhexlify
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
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
        """The keys, one after the other, `KEY_BYTES` each."""
        return keys_of(self)


Values = NDArray[np.float64]

_CHUNK = 2**20  # bytes of a file that are read at once
_LONGEST = 2**16  # bytes of a line
_LARGEST = 1e6  # far above any score
_LINES = re.compile(  # as `add` writes the scores of pictures; whatever else a line holds is read by `parse_json`
    rb'\{"image": "([0-9a-f]{32})[0-9a-f]{32}", "original": "([0-9a-f]{32})[0-9a-f]{32}", '
    rb'"value": (-?(?:0|[1-9][0-9]*+)\.[0-9]++(?:e-?[0-9]++)?)\}\n|(.++\n?|\n)'
)
_DIGEST_BYTES = 32
_HALF = _DIGEST_BYTES // 2

KEY_BYTES = 2 * _HALF
"""A pair is known by the first 128 bits of each of its digests."""


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

    In memory a value takes 48 bytes: its pair's key, and the hash of the key, by which they are sorted.
    """

    def __init__(self, folder: Path, metric: str, fingerprint: Mapping[str, str]) -> None:
        self.path = folder / f"{metric}-{fingerprint_hash(fingerprint)}.jsonl"
        self._header = {"schema_version": 1, "metric": metric, "fingerprint": dict(fingerprint)}
        self._added: dict[bytes, float] = {}
        keys, values, self.provenance = _read(self.path, folder.parent)
        hashes = _hashes(keys)
        order = np.argsort(hashes, kind="stable")  # of equal ones the first in the file comes first
        self._hashes, self._keys, self._values = hashes[order], _words(keys)[order], values[order]

    def find(self, pairs: Sequence[Pair]) -> Values:
        """Returns the value of each pair, NaN where it has none."""
        return self.find_keys((pairs if isinstance(pairs, Pairs) else Pairs(pairs)).keys)

    def find_keys(self, keys: bytes) -> Values:
        """Returns the value of the pair with each key, NaN where it has none."""
        wanted = _words(keys)
        found = np.full(len(wanted), np.nan)
        hashes = _hashes(keys)
        places = np.searchsorted(self._hashes, hashes)
        left = np.arange(len(wanted))
        while len(left := left[places[left] < len(self._hashes)]):
            left = left[self._hashes[places[left]] == hashes[left]]
            same = (self._keys[places[left]] == wanted[left]).all(axis=1)
            found[left[same]] = self._values[places[left[same]]]
            left = left[~same]  # another pair has the same hash: the next one may be it
            places[left] += 1
        if self._added:
            for place in np.flatnonzero(np.isnan(found)).tolist():
                start = place * KEY_BYTES
                found[place] = self._added.get(keys[start : start + KEY_BYTES], np.nan)
        return found

    def __contains__(self, pair: Pair) -> bool:
        return not np.isnan(self.find([pair])[0])

    def __getitem__(self, pair: Pair) -> float:
        if pair not in self:
            raise KeyError(pair)
        return float(self.find([pair])[0])

    def __len__(self) -> int:
        return len(np.unique(self._keys, axis=0)) + len(self._added)

    def add(self, values: Iterable[tuple[Pair, float]]) -> None:
        """Stores the values of pairs at once, with a single write; a pair that is known keeps its value."""
        values = list(values)
        fresh: dict[bytes, float] = {}
        lines = [] if self.path.exists() else [json.dumps(self._header, sort_keys=True)]
        for (pair, value), known in zip(values, self.find([pair for pair, _ in values]), strict=True):
            key = keys_of([pair])
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


def keys_of(pairs: Iterable[Pair]) -> bytes:
    """Returns the keys of pairs, one after the other."""
    names = list(chain.from_iterable(pairs))
    text = "".join(names)
    if {*map(len, names)} <= {2 * _DIGEST_BYTES} and text == text.lower():
        with suppress(ValueError):
            digests = np.frombuffer(unhexlify(text), dtype=np.uint8).reshape(-1, _DIGEST_BYTES)
            return digests[:, :_HALF].tobytes()
    return b"".join(map(_half, names))


def _words(keys: bytes | bytearray) -> NDArray[np.uint64]:
    """Returns a row of words for each key."""
    return np.frombuffer(keys, dtype=np.uint64).reshape(-1, KEY_BYTES // 8)


_SECRET = np.frombuffer(os.urandom(KEY_BYTES), dtype=np.uint32)


def _hashes(keys: bytes | bytearray) -> NDArray[np.uint64]:
    """Returns 64 bits for each key; two keys have the same ones by a chance of 1 in 2³², whoever chose them.

    The hash NH with words of 32 bits and a secret of this process (Black et al., UMAC, CRYPTO 1999).
    """
    words = (_words(keys).view(np.uint32) + _SECRET).astype(np.uint64)
    hashes: NDArray[np.uint64] = (words[:, 0::2] * words[:, 1::2]).sum(axis=1)
    return hashes


_DIGEST = re.compile("[0-9a-f]{64}")


def _half(name: str) -> bytes:
    """Returns half of a digest, or of the hash of a name that is none."""
    if _DIGEST.fullmatch(name):
        return bytes.fromhex(name)[:_HALF]
    return hashlib.blake2b(name.encode(), digest_size=_HALF).digest()


def _read(path: Path, folder: Path) -> tuple[bytearray, Values, Provenance]:
    """Returns the keys of a file's pairs, their values, line by line, and their provenance."""
    keys, values = bytearray(), array("d")
    provenance: Provenance = {}
    for chunk in _chunks(path, folder):
        halves: list[bytes] = []
        for image, original, number, other in _LINES.findall(chunk):
            if not other:
                value = float(number)
                if abs(value) <= _LARGEST:
                    halves += (image, original)
                    values.append(value)
            elif (found := _pair_of(entry := _entry_of(other))) is not None:
                halves.append(hexlify(keys_of([found[0]])))
                values.append(found[1])
            elif said := _plain(entry.get("provenance")):
                provenance = add_provenance(provenance, said)
        keys += unhexlify(b"".join(halves))
    return keys, np.frombuffer(values), provenance


def _chunks(path: Path, folder: Path) -> Iterator[bytes]:
    """Yields the lines of a file, many at once; nothing where there is none."""
    try:
        file = open_regular(path, folder=folder)
    except FileNotFoundError:
        return
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk + file.readline(_LONGEST)


def _entry_of(line: bytes) -> dict[str, Any]:
    entry: Any = None
    with suppress(InvalidDataError):
        entry = parse_json(line[:_LONGEST].decode("utf-8", "replace"), name="the line")
    return entry if isinstance(entry, dict) else {}


def _pair_of(entry: Mapping[str, Any]) -> tuple[Pair, float] | None:
    image, original, value = entry.get("image"), entry.get("original"), entry.get("value")
    if not isinstance(image, str) or not isinstance(original, str) or not isinstance(value, float):
        return None
    return ((image, original), value) if abs(value) <= _LARGEST else None
