"""One line of `metadata.jsonl`: from text to checked values, or a sentence that names the field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from fashionedit.errors import InvalidDataError
from fashionedit.rows import stored_box
from fashionedit.types import DIFFERENCES_PER_SAMPLE, Box, check_references

from .answers import difference_faults, other_unit

# Names that other tools give to our fields, the last two groups being those of `datasets`' own image folders.
_OTHER_NAMES = {
    "original_image": "original",
    "original_file_name": "original",
    "original_image_file_name": "original",
    "file_name": "original",
    "sd3_image": "draft",
    "draft_file_name": "draft",
    "sd3_image_file_name": "draft",
    "sketches_file_names": "sketches",
    "examples_file_names": "examples",
}


class MetadataDifference(BaseModel):
    """One difference as it is written down; `box` is its `box_2d` as the dataset will store it."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    description: str
    box_2d: list[float]

    @property
    def box(self) -> Box:
        """The box, checked.

        Raises:
            InvalidBoxError: `box_2d` makes no box.
        """
        return stored_box(self.box_2d)


class MetadataLine(BaseModel):
    """One line as it is written down."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    original: str
    draft: str
    annotation: str
    differences: list[MetadataDifference]
    image_id: str | None = None
    clip_score: float | None = None
    gender: str | None = None
    category: str | None = None
    garment_id: str | None = None
    view: str | None = None
    sketches: list[str] | None = None
    examples: list[str] | None = None


def parse_line(text: str, where: str) -> MetadataLine:
    """Returns the values of the line.

    Args:
        text: A JSON object. `original` and `draft` may have the names that other tools give them.
        where: How messages call the line.

    Raises:
        InvalidDataError: It is no JSON object, or a field is missing, unknown, of the wrong type or out of range.
    """
    values = _named(_parsed(text, where), where)
    try:
        line = MetadataLine.model_validate(values)
    except ValidationError as error:
        raise InvalidDataError(f"{where}, {_sentence(error)}") from error
    if len(line.differences) != DIFFERENCES_PER_SAMPLE:
        raise InvalidDataError(
            f"{where}, field differences: {len(line.differences)} differences; a sample has exactly "
            f"{DIFFERENCES_PER_SAMPLE}"
        )
    check_references(f"{where}: it", sketches=len(line.sketches or ()), examples=len(line.examples or ()))
    return line


def check_differences(line: MetadataLine, where: str, size: tuple[int, int] | None) -> None:
    """Checks descriptions and boxes.

    Args:
        line: What `parse_line` returned.
        where: How messages call the line.
        size: Width and height of the original, pixels; None where its header can't be read.

    Raises:
        InvalidDataError: A description is empty, or the boxes are none or in another unit.
    """
    edges = [difference.box_2d for difference in line.differences if len(difference.box_2d) == 4]
    if unit := other_unit(edges, size):
        raise InvalidDataError(
            f"{where}, field differences: the boxes seem to be {unit}; give them in thousandths of the image, 0..1000"
        )
    for number, difference in enumerate(line.differences):
        field = f"{where}, field differences[{number}]"
        if not difference.description.strip():
            raise InvalidDataError(f"{field}.description: it is empty; say in words what the original shows there")
        try:
            _ = difference.box
        except InvalidDataError as error:
            raise InvalidDataError(f"{field}.box_2d: {error}") from error
    if faults := difference_faults([(one.description, one.box) for one in line.differences]):
        raise InvalidDataError(f"{where}, field differences: {'. '.join(faults)}")


def _parsed(text: str, where: str) -> dict[str, Any]:
    def no_constant(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    def no_repetition(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ValueError(f"{key!r} stands there twice")
            found[key] = value
        return found

    try:
        values = json.loads(text, parse_constant=no_constant, object_pairs_hook=no_repetition)
        text.encode()
        json.dumps(values, ensure_ascii=False).encode()  # escapes may hide halves of characters
    except UnicodeEncodeError as error:
        raise InvalidDataError(f"{where}: it holds half of a character (a lone surrogate); write valid text") from error
    except (ValueError, RecursionError) as error:
        raise InvalidDataError(f"{where}: it is no valid JSON ({error}); write one JSON object on each line") from error
    if not isinstance(values, dict):
        raise InvalidDataError(f'{where}: it is no JSON object; write {{"original": …, "draft": …, …}}')
    return values


def _named(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for key, value in values.items():
        name = _OTHER_NAMES.get(key, key)
        if name in named:
            raise InvalidDataError(f"{where}, field {key}: the {name} is named twice; keep one of the two")
        named[name] = value
    return named


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    given = json.dumps(first["input"], ensure_ascii=False, default=str)
    given = given if len(given) <= 60 else given[:57] + "…"
    kinds = {
        "missing": "it is missing; every line needs original, draft, annotation and differences",
        "extra_forbidden": f"unknown column; known are {', '.join(_known(first['loc']))}",
        "string_type": f"{given} is no text; write a string",
        "float_type": f"{given} is no number; write one without quotes",
        "finite_number": f"{given} is no finite number; write one",
        "list_type": f"{given} is no list; write [...]",
        "model_type": f'{given} is no object; write {{"description": …, "box_2d": [ymin, xmin, ymax, xmax]}}',
    }
    if first["type"] == "missing" and len(first["loc"]) > 1:
        return f"field {field}: it is missing; a difference has description and box_2d"
    return f"field {field}: {kinds.get(first['type'], first['msg'])}"


def _known(location: tuple[int | str, ...]) -> list[str]:
    return list(MetadataLine.model_fields if len(location) == 1 else MetadataDifference.model_fields)
