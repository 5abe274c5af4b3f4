"""Embeddings on disk, so that nothing is encoded twice: keyed by pixels and by encoder.

    <cache folder>/embeddings/<hash of the fingerprint>/<hash of the content>.safetensors

A file appears whole or not at all and is never changed, so writers need no lock, and a writer killed at any moment
leaves nothing that could be taken for a result. What fails any check is treated as absent.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path

from fashionedit.errors import InvalidDataError
from fashionedit.files import write_atomically
from fashionedit.paths import cache_folder

from .embedding_file import DIGEST, Vector, is_unit, pack_rows, read_digests, read_rows
from .fingerprint import canonical_json, fingerprint_hash

BYTES_VARIABLE = "FASHIONEDIT_EMBEDDING_CACHE_BYTES"
DEFAULT_MAX_BYTES = 1 << 30
"""1 GiB: about 340,000 CLIP embeddings."""

_FOLDER = re.compile(r"[0-9a-f]{16}")
_FILE = re.compile(r"[0-9a-f]{32}\.safetensors")
_PART = re.compile(r"\.[0-9a-f]{32}\.safetensors\..+\.part")
_ABANDONED = 3600.0  # seconds after which a temporary file has no writer any more
_MANY = 128  # small files of one encoder; more are slow to open
_SMALL = 1 << 21  # bytes; merged files end between this and twice this
_OPEN_FILES = 64  # at most 256 MB; 2,000 pictures are 6 MB


class EmbeddingCache:
    """Embeddings by fingerprint and pixel digest, safe under kill -9 and with any number of writing processes.

    Args:
        folder: Where it is; `embeddings` in this package's cache folder by default.
        max_bytes: What all its files together may take; the oldest go first. `$FASHIONEDIT_EMBEDDING_CACHE_BYTES`,
            else 1 GiB, by default.

    Raises:
        InvalidDataError: The number of bytes is none.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int | None = None) -> None:
        self.folder = folder if folder is not None else cache_folder() / "embeddings"
        self.max_bytes = _bytes_from_environment() if max_bytes is None else max_bytes
        if self.max_bytes < 0:
            raise InvalidDataError(f"a cache can't hold {self.max_bytes} bytes; give 0 or more")
        self._seen: set[Path] = set()
        self._places: dict[tuple[str, str], Path] = {}
        self._open: OrderedDict[Path, dict[str, Vector]] = OrderedDict()

    def get(self, fingerprint: Mapping[str, str], digests: Iterable[str], dimension: int) -> dict[str, Vector]:
        """Returns the embeddings that are stored, by digest: (D,) float32 of length 1; the others are left out."""
        text, name = canonical_json(fingerprint), fingerprint_hash(fingerprint)
        found: dict[str, Vector] = {}
        missing = set(digests)
        for _ in range(2):  # again if another process merged or evicted a file between our look and our read
            if any((name, digest) not in self._places for digest in missing):
                self._look(name, text)
            gone = False
            for digest in sorted(missing, key=lambda key: str(self._places.get((name, key)))):
                if (file := self._places.get((name, digest))) is None:
                    continue
                row = self._rows(file, text).get(digest)
                if row is not None and row.shape == (dimension,):
                    found[digest] = row
                else:
                    del self._places[name, digest]
                    gone = True
            missing -= found.keys()
            if not gone:
                break
        return found

    def put(self, fingerprint: Mapping[str, str], embeddings: Mapping[str, Vector]) -> None:
        """Stores embeddings by pixel digest. A disk that is full or read-only gives a warning, not an error.

        Raises:
            InvalidDataError: A digest is no SHA-256, or an embedding is no finite vector of length 1.
        """
        for digest, row in embeddings.items():
            if not DIGEST.fullmatch(digest) or not is_unit(row):
                raise InvalidDataError(f"embedding {digest!r} can't be stored; give a SHA-256 and a vector of length 1")
        if not embeddings:
            return
        text, name = canonical_json(fingerprint), fingerprint_hash(fingerprint)
        try:
            self._write(name, text, embeddings)
            self._merge(name, text)
            self._evict()
        except OSError as error:
            warnings.warn(
                f"embeddings are not kept, the next run makes them again ({error.strerror or error}: {self.folder})",
                stacklevel=2,
            )

    def _look(self, name: str, text: str) -> None:
        for file, _, _ in _files(self.folder / name):
            if file not in self._seen:
                self._seen.add(file)
                self._places.update({(name, digest): file for digest in read_digests(file, text)})

    def _rows(self, file: Path, text: str) -> dict[str, Vector]:
        if file in self._open:
            self._open.move_to_end(file)
        else:
            self._open[file] = read_rows(file, text)
            while len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)
        return self._open[file]

    def _write(self, name: str, text: str, rows: Mapping[str, Vector]) -> Path:
        data = pack_rows(rows, text)
        file = self.folder / name / f"{hashlib.sha256(data).hexdigest()[:32]}.safetensors"
        write_atomically(file, data)
        self._seen.add(file)
        self._open.pop(file, None)
        self._places.update({(name, digest): file for digest in rows})
        return file

    def _merge(self, name: str, text: str) -> None:
        """Makes few files of many small ones. The old go after the new is there, so each row is always somewhere."""
        small = [entry for entry in _files(self.folder / name) if entry[2] < _SMALL]
        if len(small) <= _MANY:
            return
        group: list[Path] = []
        size = 0
        for position, (file, modified, length) in enumerate(small, start=1):
            group.append(file)
            size += length
            if size < _SMALL and position < len(small):
                continue
            rows = {digest: row for part in group for digest, row in read_rows(part, text).items()}
            if rows:
                merged = self._write(name, text, rows)
                os.utime(merged, (modified, modified))
                group = [part for part in group if part != merged]
            for part in group:
                part.unlink(missing_ok=True)
            group, size = [], 0

    def _evict(self) -> None:
        entries = []
        for folder in self.folder.iterdir():
            if _FOLDER.fullmatch(folder.name) and folder.is_dir():
                _sweep(folder)
                entries += _files(folder)
        total = sum(size for _, _, size in entries)
        for file, _, size in sorted(entries, key=lambda entry: entry[1]):
            if total <= self.max_bytes:
                return
            file.unlink(missing_ok=True)
            total -= size


def _files(folder: Path) -> list[tuple[Path, float, int]]:
    """Returns the cache's own files with time and size, oldest first."""
    found = []
    if folder.is_dir():
        for entry in folder.iterdir():
            if _FILE.fullmatch(entry.name):
                try:
                    status = entry.stat()
                except FileNotFoundError:  # merged or evicted by another process
                    continue
                found.append((entry, status.st_mtime, status.st_size))
    return sorted(found, key=lambda entry: (entry[1], entry[0]))


def _sweep(folder: Path) -> None:
    """Removes what killed writers left behind."""
    for entry in folder.iterdir():
        if _PART.fullmatch(entry.name):
            try:
                abandoned = time.time() - entry.stat().st_mtime > _ABANDONED
            except FileNotFoundError:  # its writer has just renamed it
                continue
            if abandoned:
                entry.unlink(missing_ok=True)


def _bytes_from_environment() -> int:
    text = os.environ.get(BYTES_VARIABLE)
    if text is None:
        return DEFAULT_MAX_BYTES
    if not (text.isascii() and text.isdigit()):
        raise InvalidDataError(f"${BYTES_VARIABLE} is {text!r}; set it to a number of bytes")
    return int(text)
