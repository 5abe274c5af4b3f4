"""One short name for everything that may move a number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def canonical_json(fingerprint: Mapping[str, str]) -> str:
    """Returns the mapping as JSON that is the same text for the same content: sorted keys, no spaces.

    >>> canonical_json({"b": "2", "a": "1"})
    '{"a":"1","b":"2"}'
    """
    return json.dumps(dict(fingerprint), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint_hash(fingerprint: Mapping[str, str]) -> str:
    """Returns 16 hex digits: the start of the SHA-256 of the canonical JSON.

    >>> fingerprint_hash({"a": "1"})
    '9afeb0f2b203f254'
    """
    return hashlib.sha256(canonical_json(fingerprint).encode()).hexdigest()[:16]
