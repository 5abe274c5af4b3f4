"""The names and numbers that make a run repeatable: record keys, image paths, seeds, request ids."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from fashionedit.errors import EditorError
from fashionedit.eval_harness.editing import Role
from fashionedit.eval_harness.protocols import PROTOCOL_VERSION


def canonical_json(value: Any, *, name: str) -> str:
    """Returns the one JSON text of a value: sorted keys, no spaces, no NaN.

    Args:
        value: Anything that JSON can say.
        name: How the message calls the value.

    Raises:
        EditorError: JSON can't say it.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()  # a lone surrogate is text to Python and to no file
        return text
    except (TypeError, ValueError, RecursionError) as error:
        raise EditorError(
            f"{name} can't be written as JSON ({error}); use only text, finite numbers, true, false, null, lists and "
            "mappings with text keys"
        ) from error


def plain_json(value: Any, *, name: str) -> Any:
    """Returns the value as it comes back from disk (tuples as lists), a copy that shares nothing with the first.

    Raises:
        EditorError: JSON can't say it.
    """
    return json.loads(canonical_json(value, name=name))


def record_key(
    *,
    editor: str,
    protocol: str,
    sample: str,
    round: int,
    instruction: str,
    images: Sequence[tuple[Role, str]],
    params: Mapping[str, Any],
    seed: int,
    size_policy: str,
    state: Any,
    protocol_version: str = PROTOCOL_VERSION,
) -> str:
    """Returns the key of one round, 64 hex digits: SHA-256 of everything its answer may depend on, and nothing else.

    The base image's digest is among it, so a changed round 1 gives the rounds after it other keys, and only those.

    Args:
        editor: The editor's fingerprint.
        images: Role and pixel digest of each image, in the order shown.
        size_policy: `model` or `base`: it decides the pixels of the output.
        state: What the result behind the base image returned.

    Raises:
        EditorError: `params` or `state` is no JSON.
    """
    parts = {
        "editor": editor,
        "protocol_version": protocol_version,
        "protocol": protocol,
        "sample": sample,
        "round": round,
        "instruction": instruction,
        "images": [list(image) for image in images],
        "params": dict(params),
        "seed": seed,
        "size_policy": size_policy,
        "state": state,
    }
    return hashlib.sha256(canonical_json(parts, name="a param or a state").encode()).hexdigest()


def image_path(digest: str) -> str:
    """Returns where in a run folder the image with this pixel digest lies."""
    return f"images/{digest[:2]}/{digest}.png"


def round_seed(base: int, sample: str, protocol: str, round: int, repeat: int = 0) -> int:
    """Returns the seed of one round, 0 .. 2**31 - 1, whatever was run before it or beside it.

    Args:
        repeat: Which repetition of the run, from 0 on.

    >>> round_seed(0, "a", "bug", 1) == round_seed(0, "a", "bug", 1) != round_seed(0, "a", "bug", 2)
    True
    """
    parts = [base, sample, protocol, round, *([repeat] if repeat else [])]
    digest = hashlib.sha256(canonical_json(parts, name="a seed").encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def request_id(secret: bytes, key: str) -> str:
    """Returns the opaque name of a request, 32 hex digits: without the run's secret nobody gets from it to a sample."""
    return hmac.new(secret, key.encode(), hashlib.sha256).hexdigest()[:32]
