"""Parses a model's answer into three descriptions and boxes, whatever text stands around them.

The form that is asked for is `{"differences": [{"description": …, "box_2d": [ymin, xmin, ymax, xmax]}, …]}`. Models
also answer with a bare list, misspelt keys, Python's quotes, code fences and prose; all of these are read. Nothing is
ever evaluated: text that is no JSON is rewritten as JSON, token by token, and anything that is no token is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from fashionedit.errors import InvalidBoxError, InvalidDataError
from fashionedit.rows import stored_box
from fashionedit.types import DIFFERENCES_PER_SAMPLE, Box

MAX_ANSWER_CHARS = 65_536
"""The longest answer that is read, in characters; one with three differences has about 600."""

_MAX_DESCRIPTION_CHARS = 2_000
_MAX_DEPTH = 16
_MAX_STARTS = 256
_MAX_TOKENS = 50_000

LEAST_SIDE = 10
"""Thousandths: the shortest side of a box; 11 pixels of a photograph of 1,101."""

MOST_AREA = 0.9
"""The largest share of the image that a box may cover, 0..1: a difference is a detail."""

MOST_OVERLAP = 0.85
"""The largest share that two boxes of a sample may have in common, of what they cover together."""

_NOTHING = re.compile(
    r"(?:n\W?a|none|nil|null|nothing|unknown|unclear|same|identical|empty|tbd|todo|not applicable|not visible"
    r"|(?:there (?:is|are) )?no(?: \w+){0,2} (?:differences?|changes?)(?: .{0,40})?|no|yes|\W*|description|wearing)",
    re.IGNORECASE,
)
_SECOND_IMAGE = re.compile(
    r"\b(?:(?:second|2nd|other|generated|draft|synthetic|edited) (?:image|picture|photo(?:graph)?)|the (?:draft|latter)"
    r"|(?:image|picture|photo) (?:2|two|b)|both images)\b",
    re.IGNORECASE,
)

_FORM = '{"differences": [{"description": "…", "box_2d": [ymin, xmin, ymax, xmax]}, …]}'
_DESCRIPTIONS = ("description", "discription", "desc")
_BOXES = ("box_2d", "bbox_2d", "box2d", "box", "bbox", "bounding_box")
_EDGES = ("ymin", "xmin", "ymax", "xmax")
_OTHER_EDGES = (_EDGES, ("y1", "x1", "y2", "x2"), ("top", "left", "bottom", "right"))
_X_FIRST = "bbox_2d"  # Qwen's own key: [x1, y1, x2, y2]
_NUMBER = re.compile(r"\s*([+-]?\d{1,30}(?:\.\d{0,30})?)\s*")

# A quoted text ends at the quote that a comma, colon or bracket follows, so that 'the model's sleeve' is one text, and
# so is "a 3" belt". Every quantifier is possessive: the time is linear in what is read.
_TOKEN = re.compile(
    r"""\s*+(?:
        (?P<quote> ["'])(?P<body>(?:[^"'\\]|\\.|(?!(?P=quote)\s*+[,:\]})])["'])*+)(?P=quote)
      | (?P<number> -?+\d++(?:\.\d++)?+(?:[eE][+-]?+\d++)?+ (?![\w.]) )
      | (?P<word> (?:true|false|null|True|False|None)\b )
      | (?P<open> [\[{(] )
      | (?P<close> ,?+\s*+[\]})] )
      | (?P<mark> [,:] )
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"True": "true", "False": "false", "None": "null"}
_CLOSING = {"[": "]", "{": "}", "(": ")"}
_ESCAPE = re.compile(r'\\x([0-9a-fA-F]{2})|\\(["\\/bfnrt]|u[0-9a-fA-F]{4})|\\(.)|"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """Description and box of each difference, and a sentence on each conversion."""

    differences: tuple[tuple[str, Box], ...]
    notes: tuple[str, ...] = ()


def read_answer(text: str, *, size: tuple[int, int] | None = None, convert: bool = False) -> ParsedAnswer:
    """Returns the description and the box of each of the three differences.

    Read are a JSON object with `differences`, a bare list, one object after another, Python's notation of these (as in
    the authors' release), and any of them in code fences or in prose; of several answers in one text the last that is
    right. `description` may be spelt `discription`, and `box_2d` may be called `box`, `bbox` or `bbox_2d`, which is
    x first and is turned round; numbers may be quoted. Descriptions come back on one line.

    Args:
        text: What the model wrote.
        size: Width and height of the original, pixels: tells boxes in pixels from boxes in thousandths.
        convert: Whether boxes in 0..1 become thousandths, where nobody can be asked again.

    Raises:
        InvalidDataError: There are not three such differences, or `difference_faults` finds something; the message
            names each fault in words that can be sent back to the model.

    >>> read_answer("[{'discription': 'a bow', 'box_2d': ['10', 20, 30, 40.5]}]")
    Traceback (most recent call last):
    fashionedit.errors.InvalidDataError: the answer has 1 difference; give exactly 3
    """
    if len(text) > MAX_ANSWER_CHARS:
        raise InvalidDataError(
            f"the answer has {len(text):,} characters, more than the {MAX_ANSWER_CHARS:,} that are read; answer only "
            f"with {_FORM}"
        )
    if not text.strip().strip("\ufeff"):
        raise InvalidDataError(f"the answer is empty; write {_FORM}")
    fault: InvalidDataError | None = None
    for items in reversed(_lists(text)):
        try:
            return _differences(items, size, convert)
        except InvalidDataError as error:
            fault = fault or error
    raise fault or InvalidDataError(f"the answer holds no list of differences; write {_FORM}")


def _lists(text: str, *, inside: bool = False) -> list[list[Any]]:
    """Returns everything in the text that is meant as a list of differences, in its order."""
    try:
        values = [json.loads(text.strip().strip("\ufeff"), strict=False)]
    except (ValueError, RecursionError):
        values = list(_values_in(text))
    found: list[list[Any]] = []
    single: list[Any] = []
    for value in values:
        if isinstance(value, str) and not inside:  # an answer that was encoded twice
            found += _lists(value, inside=True)
        elif (items := _listed(value)) is not None:
            found.append(items)
        elif _is_difference(value):
            single.append(value)
    return [*found, single] if single else found


def _listed(value: Any) -> list[Any] | None:
    while isinstance(value, dict) and not _is_difference(value):
        named = _get(value, ("differences",))
        if isinstance(named, str):  # a list that was turned into text
            named = next(_values_in(named), None)
        if named is not None:
            return named if isinstance(named, list) else None
        lists = [item for item in value.values() if isinstance(item, list)]
        if len(lists) == 1:
            value = lists[0]
        elif len(value) == 1:
            (value,) = value.values()
        else:  # {"1": {…}, "2": {…}, "3": {…}}
            value = list(value.values())
    return value if isinstance(value, list) and any(map(_is_difference, value)) else None


def _is_difference(value: Any) -> bool:
    return isinstance(value, dict) and _get(value, _DESCRIPTIONS + _BOXES) is not None


def _values_in(text: str) -> Iterator[Any]:
    """Yields each JSON or Python value in brackets that stands in the text, skipping whatever else does."""
    position, tokens = 0, _MAX_TOKENS
    for _ in range(_MAX_STARTS):
        starts = [start for start in (text.find("[", position), text.find("{", position)) if start >= 0]
        if not starts or tokens <= 0:
            return
        position = min(starts)
        written, end, used = _as_json(text, position, tokens)
        tokens -= used
        position += 1
        if written is not None:
            try:
                value = json.loads(written, strict=False)
            except ValueError:
                continue
            position = end
            yield value


def _as_json(text: str, position: int, tokens: int) -> tuple[str | None, int, int]:
    """Returns the bracketed value at the position as JSON (None where there is none), its end and the tokens read."""
    parts: list[str] = []
    closing: list[str] = []
    for used in range(1, tokens + 1):
        token = _TOKEN.match(text, position)
        if token is None:
            return None, position, used
        position, part = token.end(), token.group().strip()
        if token["quote"] is not None:
            part = f'"{_ESCAPE.sub(_escaped, token["body"])}"'
        elif token["open"] is not None:
            closing.append(_CLOSING[part])
            part = "[" if part == "(" else part
            if len(closing) > _MAX_DEPTH:
                return None, position, used
        elif token["close"] is not None:
            part = part[-1]  # without a comma before it
            if part != closing.pop():
                return None, position, used
            part = "]" if part == ")" else part
        parts.append(_WORDS.get(part, part))
        if not closing:
            return "".join(parts), position, used
    return None, position, tokens


def _escaped(match: re.Match[str]) -> str:
    byte, known, other = match.groups()
    if byte is not None:
        return f"\\u00{byte}"
    if known is not None:
        return f"\\{known}"
    if other is not None:
        return other if other == "'" else f"\\\\{other}"
    return '\\"'


def _differences(items: Sequence[Any], size: tuple[int, int] | None, convert: bool) -> ParsedAnswer:
    if len(items) != DIFFERENCES_PER_SAMPLE:
        raise InvalidDataError(
            f"the answer has {len(items)} difference{'' if len(items) == 1 else 's'}; give exactly "
            f"{DIFFERENCES_PER_SAMPLE}"
        )
    notes: list[str] = []
    boxes = [_item_edges(item, notes) for item in items]
    if unit := other_unit([values for values in boxes if values is not None], size):
        if not (convert and unit == _FRACTIONS):
            raise InvalidDataError(f"the boxes seem to be {unit}; give them in thousandths of the image, 0..1000")
        boxes = [values and [1000 * value for value in values] for values in boxes]
        notes.append("the boxes were fractions 0..1; multiplied by 1000")
    found: list[tuple[str, Box]] = []
    faults: list[str] = []
    for number, (item, values) in enumerate(zip(items, boxes, strict=True), 1):
        name = f"difference {number}"
        try:
            if not isinstance(item, dict):
                raise InvalidDataError(f"{name} is no object with description and box_2d")
            found.append((_description(item, name), _box(item, values, name)))
        except InvalidDataError as error:
            faults.append(str(error))
    if not faults:
        faults = difference_faults(found)
        for (first, (text, _)), (second, (other, _)) in combinations(enumerate(found, 1), 2):
            if text.casefold().rstrip(".") == other.casefold().rstrip("."):
                faults.append(
                    f"differences {first} and {second} have the same description; describe three different things"
                )
    if faults:
        raise InvalidDataError(". ".join(faults))
    return ParsedAnswer(tuple(found), tuple(dict.fromkeys(notes)))


def difference_faults(found: Sequence[tuple[str, Box]]) -> list[str]:
    """Returns what is wrong with the differences of one sample, in sentences that a model or a person can act on.

    Looked for are boxes of nearly nothing, of nearly the whole image, and nearly equal ones; descriptions that say
    nothing or speak of the second image. The unit is looked at before there are boxes: `other_unit`.
    """
    faults = []
    for number, (text, box) in enumerate(found, 1):
        name = f"difference {number}"
        shown = f"{name} has the box {_shown(box.box_2d)}, which"
        if min(box.ymax - box.ymin, box.xmax - box.xmin) < LEAST_SIDE:
            faults.append(
                f"{shown} covers next to nothing; give one of at least {LEAST_SIDE} on each side around the detail"
            )
        if box.area > MOST_AREA:
            faults.append(f"{shown} is the whole image; give one around the detail alone")
        if _NOTHING.fullmatch(text.strip(" .!-–—…?*\"'")):
            faults.append(f"the description of {name} says nothing ({text[:40]!r}); say what the first image shows")
        elif spoken := _SECOND_IMAGE.search(text):
            faults.append(
                f"the description of {name} speaks of the second image ({spoken[0]!r}); say only what the first image "
                "shows there"
            )
    for (first, (_, box)), (second, (_, other)) in combinations(enumerate(found, 1), 2):
        if overlap(box, other) > MOST_OVERLAP:
            nearly = "" if box == other else "nearly "
            faults.append(f"differences {first} and {second} have {nearly}the same box; give three different places")
    return faults


_FRACTIONS = "fractions of the image (0..1)"


def other_unit(boxes: Sequence[Sequence[float]], size: tuple[int, int] | None) -> str | None:
    """Returns in which other unit all boxes of a sample seem to be, in words; None for thousandths."""
    if not boxes or (highest := max(edge for box in boxes for edge in box)) <= 0:
        return None
    if highest <= 1.001 and len(boxes) > 1:
        return _FRACTIONS
    if highest <= 100 and len(boxes) > 1:
        return "percent of the image (0..100)"
    if size is None:
        return None
    width, height = size
    bottom, right = max(box[2] for box in boxes), max(box[3] for box in boxes)
    fits = right <= width + 1 and bottom <= height + 1
    pixels = f"pixels of an image of {width}×{height}"
    if highest > 1000:
        return pixels if fits else None
    # Thousandths of a small image's top left corner are rare, pixels of all of it are not.
    reaches = right >= 0.6 * width and bottom >= 0.6 * height
    return pixels if fits and reaches and max(width, height) <= 900 and len(boxes) > 1 else None


def _item_edges(item: Any, notes: list[str]) -> list[float] | None:
    """Returns the edges of an item as [ymin, xmin, ymax, xmax], None where there are not four; notes another order."""
    if not isinstance(item, dict):
        return None
    name, given = _named(item, _BOXES)
    edges = _edges(given)
    if edges is not None and name == _X_FIRST and not isinstance(given, dict):
        notes.append("bbox_2d is [xmin, ymin, xmax, ymax]; turned round")
        return [edges[1], edges[0], edges[3], edges[2]]
    return edges


def _description(item: Mapping[str, Any], name: str) -> str:
    given = _get(item, _DESCRIPTIONS)
    if not isinstance(given, str) or not (text := " ".join(given.split())):
        raise InvalidDataError(f"{name} has no description; say in words what the first image shows there")
    if len(text) > _MAX_DESCRIPTION_CHARS:
        raise InvalidDataError(
            f"the description of {name} has {len(text):,} characters; use at most {_MAX_DESCRIPTION_CHARS:,}"
        )
    if any(ord(character) < 32 or 0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise InvalidDataError(f"the description of {name} holds control characters or broken ones; write plain text")
    return text


def _box(item: Mapping[str, Any], edges: list[float] | None, name: str) -> Box:
    given = _get(item, _BOXES)
    if given is None:
        raise InvalidDataError(f"{name} has no box; give box_2d as [ymin, xmin, ymax, xmax], each 0..1000")
    if edges is None:
        raise InvalidDataError(
            f"{name} has the box {_short(given)}; box_2d must be four numbers [ymin, xmin, ymax, xmax], each 0..1000"
        )
    shown = f"{name} has the box {_shown(edges)}"
    if not all(0 <= edge <= 1000 for edge in edges):
        raise InvalidDataError(
            f"{shown}; every edge must lie in 0..1000 (thousandths of the image's height and width, "
            "[ymin, xmin, ymax, xmax])"
        )
    try:
        return stored_box(edges)
    except InvalidBoxError as error:
        ymin, xmin, ymax, xmax = edges
        order = {"ymin must be below ymax": ymin < ymax, "xmin must be below xmax": xmin < xmax}
        wanted = " and ".join(rule for rule, kept in order.items() if not kept) or "it must cover an area"
        raise InvalidDataError(f"{shown}; {wanted} ([ymin, xmin, ymax, xmax])") from error


def _edges(given: Any) -> list[float] | None:
    if isinstance(given, dict):
        named = ([_get(given, (edge,)) for edge in edges] for edges in _OTHER_EDGES)
        given = next((values for values in named if None not in values), None)
    if isinstance(given, list) and len(given) == 1:  # a box in a list of its own
        given = given[0]
    if isinstance(given, str):
        given = given.strip().strip("[]()").split(",")
    if not isinstance(given, list) or len(given) != len(_EDGES):
        return None
    edges = [_number(value) for value in given]
    return [edge for edge in edges if edge is not None] if None not in edges else None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        return float(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond any float
        return None


def overlap(first: Box, second: Box) -> float:
    """Returns the area that two boxes share, as a share of the area that they cover together, 0..1."""
    height = min(first.ymax, second.ymax) - max(first.ymin, second.ymin)
    width = min(first.xmax, second.xmax) - max(first.xmin, second.xmin)
    shared = max(height, 0) * max(width, 0) / 1e6
    return shared / (first.area + second.area - shared)


def _get(item: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Returns the value of the first of the names that is there, whatever the case of the key; None without one."""
    return _named(item, names)[1]


def _named(item: Mapping[str, Any], names: Sequence[str]) -> tuple[str, Any]:
    keys = {key.strip().casefold(): key for key in item}
    return next(((name, item[keys[name]]) for name in names if name in keys), ("", None))


def _shown(edges: Iterable[float]) -> str:
    return f"[{', '.join(f'{edge:g}' for edge in edges)}]"


def _short(value: Any) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        text = "of more levels than can be shown"
    return text if len(text) <= 60 else f"{text[:57]}…"
