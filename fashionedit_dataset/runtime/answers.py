"""What the body of an answer holds: a JSON object, a picture in one of the ways services send them, token counts."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, NoReturn
from urllib.parse import unquote

from fashionedit.errors import InvalidDataError, InvalidImageError

from .http_clients import MOST_PICTURE_BYTES, fetch
from .secrets import masked, whole

_DATA_URL = re.compile(r"data:[^,]{0,200}?(;base64)?,", re.I)
_LINK = re.compile(r"[a-z][a-z0-9+.-]*:|/[^\s.]*\.", re.I)  # base64 has no dot, but a JPEG in it begins with a slash
_URL_SAFE = str.maketrans("-_", "+/")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_FIELDS = ("b64_json", "url", "image", "image_url")


def json_object(body: bytes) -> dict[str, Any]:
    """Returns the JSON object in the body of an answer; halves of characters, which no file can hold, are replaced.

    Raises:
        InvalidDataError: It is none.
    """
    try:
        found = json.loads(body.decode("utf-8", "replace"), parse_constant=_no_number)
        if _SURROGATE.search(body):
            found = whole(found)
    except (ValueError, RecursionError) as error:
        start = masked(body[:2000].decode("utf-8", "replace"))[:60]  # masked before it is cut: half a key is one too
        what = "a page of HTML" if body.lstrip()[:1] == b"<" else f"no JSON; it starts with {start!r}"
        raise InvalidDataError(f"the answer is {what}") from error
    if not isinstance(found, dict):
        raise InvalidDataError(f"the answer is JSON with a {type(found).__name__} in the place of an object")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def picture_text(item: Any) -> str | None:
    """Returns what stands for the picture in an item of an answer's `data`: base64, a `data:` URL or a link."""
    if isinstance(item, str):
        return item or None
    if not isinstance(item, dict):
        return None
    found = (item.get(name) for name in _FIELDS)
    # chat services nest it: {"image_url": {"url": …}}
    texts = (value.get("url") if isinstance(value, dict) else value for value in found)
    return next((text for text in texts if isinstance(text, str) and text.strip()), None)


def picture_bytes(text: str, *, service: str, seconds: float) -> bytes:
    """Returns the picture file that a text of an answer stands for.

    Args:
        text: base64, with line breaks or url-safe or without padding too; a `data:` URL; or a link, which is fetched.
        service: Where the service is that answered.
        seconds: That a link may take.

    Raises:
        InvalidImageError: It is none of these, too long, or a link that may not be opened.
        OSError: The link could not be opened.
    """
    text = text.strip()
    if head := _DATA_URL.match(text):
        if head[1] is None:
            raise InvalidImageError(f"the answer's image is a URL of text ({text[:40]!r}); ask for base64")
        text = text[head.end() :]
        text = unquote(text) if "%" in text else text
    elif _LINK.match(text[:2048]):
        return fetch(text, service=service, seconds=seconds)
    if len(text) > MOST_PICTURE_BYTES * 3 // 2:
        raise _too_large()
    encoded = "".join(text.split()).translate(_URL_SAFE).rstrip("=")
    try:
        data = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImageError(f"the answer's image is no valid base64 ({error}); ask again") from error
    if len(data) > MOST_PICTURE_BYTES:
        raise _too_large()
    return data


def _too_large() -> InvalidImageError:
    return InvalidImageError(f"the answer's image is above {MOST_PICTURE_BYTES // 2**20} MiB; ask for a smaller one")


def token_counts(usage: Any) -> dict[str, int]:
    """Returns the token counts of an answer; what a service leaves out or fills with null is left out.

    Args:
        usage: As the answer has it: `input_tokens` and `output_tokens`, or `prompt_tokens` and `completion_tokens`.

    Returns:
        `input_tokens`, `output_tokens`, and of these `cached_tokens`, `input_image_tokens`, `output_image_tokens`.
    """
    if not isinstance(usage, dict):
        return {}
    found: dict[str, int | None] = {}
    for side, names in (("input", ("input", "prompt")), ("output", ("output", "completion"))):
        # the second spelling counts where the first says nothing
        counts = [_count(usage.get(f"{name}_tokens")) for name in names]
        details = next((part for name in names if isinstance(part := usage.get(f"{name}_tokens_details"), dict)), {})
        found[f"{side}_tokens"] = next((count for count in counts if count is not None), None)
        found[f"{side}_image_tokens"] = _count(details.get("image_tokens"))
        if side == "input":
            found["cached_tokens"] = _count(details.get("cached_tokens"))
    return {name: count for name, count in found.items() if count is not None}


def _count(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**53 else None
