"""Embeddings on disk, so that nothing is encoded twice: one SQLite file, keyed by pixels and by encoder.

Any number of processes may read and write it, and one that is killed leaves whole rows only. Every row carries a
checksum over itself, its pixel digest and the encoder's fingerprint: what fails it counts as absent.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashionedit.errors import InvalidDataError
from fashionedit.files import cache_folder

from .encoder import canonical_json, fingerprint_hash

Vector = NDArray[np.float32]

BYTES_VARIABLE = "FASHIONEDIT_EMBEDDING_CACHE_BYTES"
DEFAULT_MAX_BYTES = 1 << 30
"""1 GiB: about 320,000 CLIP embeddings."""

CACHE_FILE = "embeddings.sqlite"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_TOLERANCE = 1e-3  # of a length of 1
_CHECKSUM_BYTES = 16
_AT_ONCE = 500  # parameters of a statement
_SECONDS = 60.0  # to wait for another process that writes
_EARLIER_FILE = re.compile(r"[0-9a-f]{16}/[0-9a-f]{32}\.safetensors")  # the format before this one

# A killed process loses nothing without fsync; after a power cut, checksums tell what is whole.
_TABLE = """
PRAGMA synchronous = OFF;
PRAGMA page_size = 16384;
PRAGMA auto_vacuum = FULL;
CREATE TABLE IF NOT EXISTS embeddings
    (age INTEGER PRIMARY KEY, encoder TEXT, digest TEXT, row BLOB, UNIQUE (encoder, digest));
"""


class EmbeddingCache:
    """Embeddings by fingerprint and pixel digest, safe under kill -9 and with any number of writing processes.

    Args:
        folder: Where it is; `embeddings` in this package's cache folder by default.
        max_bytes: What its file may take; the oldest rows go first. `$FASHIONEDIT_EMBEDDING_CACHE_BYTES`, else 1 GiB,
            by default.

    Raises:
        InvalidDataError: The number of bytes is none.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int | None = None) -> None:
        self.folder = folder if folder is not None else cache_folder() / "embeddings"
        self.max_bytes = _bytes_from_environment() if max_bytes is None else max_bytes
        if self.max_bytes < 0:
            raise InvalidDataError(f"a cache can't hold {self.max_bytes} bytes; give 0 or more")
        self._file = self.folder / CACHE_FILE

    def get(self, fingerprint: Mapping[str, str], digests: Iterable[str], dimension: int) -> dict[str, Vector]:
        """Returns the embeddings that are stored, by digest: (D,) float32 of length 1; the others are left out."""
        text, encoder = canonical_json(fingerprint), fingerprint_hash(fingerprint)
        wanted, found = list(digests), dict[str, Vector]()
        if not self._file.is_file():
            return found
        with suppress(sqlite3.Error), self._connection() as database:
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                places = ",".join("?" * len(part))
                query = f"SELECT digest, row FROM embeddings WHERE encoder = ? AND digest IN ({places})"
                for digest, data in database.execute(query, (encoder, *part)):
                    row = _unpacked(data, text, digest)
                    if row is not None and row.shape == (dimension,):
                        found[digest] = row
        return found

    def put(self, fingerprint: Mapping[str, str], embeddings: Mapping[str, Vector]) -> None:
        """Stores embeddings by pixel digest. A disk that is full or read-only gives a warning, not an error.

        Raises:
            InvalidDataError: A digest is no SHA-256, or an embedding is no finite vector of length 1.
        """
        for digest, row in embeddings.items():
            if not _DIGEST.fullmatch(digest) or not _is_unit(row):
                raise InvalidDataError(f"embedding {digest!r} can't be stored; give a SHA-256 and a vector of length 1")
        if not embeddings:
            return
        text, encoder = canonical_json(fingerprint), fingerprint_hash(fingerprint)
        rows = [(encoder, digest, _packed(row, text, digest)) for digest, row in embeddings.items()]
        try:
            self._store(rows)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            warnings.warn(
                f"embeddings are not kept, the next run makes them again ({reason}: {self.folder})", stacklevel=2
            )

    def _store(self, rows: list[tuple[str, str, bytes]]) -> None:
        if not self._file.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            for earlier in self.folder.glob("*/*.safetensors"):
                if _EARLIER_FILE.fullmatch(earlier.relative_to(self.folder).as_posix()):
                    earlier.unlink(missing_ok=True)
        try:
            self._insert(rows)
        except sqlite3.OperationalError:  # a disk that is full or read-only, or another process for too long
            raise
        except sqlite3.DatabaseError:  # the file is damaged: everything in it can be made again
            for file in (Path(f"{self._file}-journal"), self._file):
                file.unlink(missing_ok=True)
            self._insert(rows)

    def _insert(self, rows: list[tuple[str, str, bytes]]) -> None:
        with self._connection() as database:
            database.executescript(_TABLE)
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT OR REPLACE INTO embeddings (encoder, digest, row) VALUES (?, ?, ?)", rows)
            self._evict(database)
            database.execute("COMMIT")

    def _evict(self, database: sqlite3.Connection) -> None:
        def pragma(name: str) -> int:
            return int(database.execute(f"PRAGMA {name}").fetchone()[0])

        while (pragma("page_count") - pragma("freelist_count")) * pragma("page_size") > self.max_bytes:
            oldest, newest = database.execute("SELECT min(age), max(age) FROM embeddings").fetchone()
            if oldest is None:
                return
            database.execute("DELETE FROM embeddings WHERE age <= ?", (oldest + (newest - oldest) // 20,))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Opens the file for one call: a connection may be carried neither to another thread nor over a fork."""
        database = sqlite3.connect(self._file, timeout=_SECONDS, isolation_level=None)
        try:
            yield database
        finally:
            database.close()


def _is_unit(row: NDArray[Any]) -> bool:
    return row.ndim == 1 and bool(np.isfinite(row).all()) and abs(float(np.linalg.norm(row)) - 1) < _TOLERANCE


def _packed(row: Vector, fingerprint: str, digest: str) -> bytes:
    data = np.ascontiguousarray(row, dtype="<f4").tobytes()
    return _checksum(data, fingerprint, digest) + data


def _unpacked(data: Any, fingerprint: str, digest: str) -> Vector | None:
    """Returns the embedding; None where anything about it is not as it was written."""
    if (
        not isinstance(data, bytes)
        or len(data) % 4
        or data[:_CHECKSUM_BYTES] != _checksum(data[_CHECKSUM_BYTES:], fingerprint, digest)
    ):
        return None
    return np.frombuffer(data, dtype="<f4", offset=_CHECKSUM_BYTES).astype(np.float32)


def _checksum(data: bytes, fingerprint: str, digest: str) -> bytes:
    return hashlib.sha256(f"{fingerprint}\n{digest}\n".encode() + data).digest()[:_CHECKSUM_BYTES]


def _bytes_from_environment() -> int:
    text = os.environ.get(BYTES_VARIABLE)
    if text is None:
        return DEFAULT_MAX_BYTES
    if not (text.isascii() and text.isdigit()):
        raise InvalidDataError(f"${BYTES_VARIABLE} is {text!r}; set it to a number of bytes")
    return int(text)
