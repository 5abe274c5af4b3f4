"""One file of the embedding cache: a batch of rows that can tell whether it is as it was written.

Safetensors with `embeddings` (N, D) float32, and in its metadata the N pixel digests, the encoder's fingerprint and a
checksum over everything. Safetensors itself would notice a short file, but not a changed byte.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]

DIGEST = re.compile(r"[0-9a-f]{64}")

_TOLERANCE = 1e-3
_HEADER_LIMIT = 1 << 24  # bytes; ours are a few kilobytes
_FILE_LIMIT = 1 << 28


def is_unit(row: NDArray[Any]) -> bool:
    """Returns whether this is a finite vector of length 1."""
    return row.ndim == 1 and bool(np.isfinite(row).all()) and abs(float(np.linalg.norm(row)) - 1) < _TOLERANCE


def pack_rows(rows: Mapping[str, Vector], fingerprint: str) -> bytes:
    """Returns the content of the file that holds these rows.

    Args:
        rows: At least one embedding (D,), by pixel digest.
        fingerprint: The encoder's, as canonical JSON.
    """
    from safetensors.numpy import save

    digests = ",".join(rows)
    matrix = np.stack(list(rows.values())).astype(np.float32)
    metadata = {"digests": digests, "fingerprint": fingerprint, "checksum": _checksum(fingerprint, digests, matrix)}
    return bytes(save({"embeddings": matrix}, metadata=metadata))


def read_digests(file: Path, fingerprint: str) -> list[str]:
    """Returns the digests that the file names, without reading its rows; none if it is another encoder's or damaged."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            metadata = _metadata(stream.read(length)) if length <= _HEADER_LIMIT else {}
    except OSError:
        return []
    return metadata["digests"].split(",") if metadata.get("fingerprint") == fingerprint else []


def read_rows(file: Path, fingerprint: str) -> dict[str, Vector]:
    """Returns the rows of the file by digest; none at all if anything about it is not as it was written."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        if file.stat().st_size > _FILE_LIMIT:
            return {}
        data = file.read_bytes()
        matrix = load(data)["embeddings"]
    except (OSError, SafetensorError, KeyError):
        return {}
    metadata = _metadata(data[8 : 8 + int.from_bytes(data[:8], "little")])
    if metadata.get("fingerprint") != fingerprint or matrix.dtype != np.float32 or matrix.ndim != 2:
        return {}
    if metadata["checksum"] != _checksum(fingerprint, metadata["digests"], matrix):
        return {}
    digests = metadata["digests"].split(",")
    if len(digests) != len(matrix):
        return {}
    return {key: row for key, row in zip(digests, matrix, strict=True) if DIGEST.fullmatch(key) and is_unit(row)}


def _metadata(header: bytes) -> dict[str, str]:
    try:
        found = json.loads(header)["__metadata__"]
    except (ValueError, KeyError, TypeError):
        return {}
    keys = ("digests", "fingerprint", "checksum")
    sound = isinstance(found, dict) and all(isinstance(found.get(key), str) for key in keys)
    return found if sound else {}


def _checksum(fingerprint: str, digests: str, matrix: Vector) -> str:
    digest = hashlib.sha256(f"{fingerprint}\n{digests}\n{matrix.shape}\n".encode())
    digest.update(np.ascontiguousarray(matrix).tobytes())
    return digest.hexdigest()
