"""Which column of somebody else's table is what we call the image, the caption and so on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.runtime.secrets import without_queries

from .file_names import parse_file_name
from .source import FIELDS

# Names that other tools and datasets give to our fields, the likeliest first.
_USUAL = {
    "image": ("image", "file_name", "original", "original_image", "filename", "file", "path", "image_path"),
    "caption": ("caption", "annotation", "text", "prompt", "description"),
    "id": ("image_id", "item_id", "id"),
    "gender": ("gender",),
    "category": ("category",),
    "garment_id": (
        *("garment_id", "garment", "product_id", "product", "product_code", "item_group_id", "sku", "style_id"),
        *("style_code", "article_id", "article_code"),
    ),
    "view": ("view",),
    "draft": ("draft", "sd3_image", "draft_file_name"),
}
_FACTS = ("gender", "category", "garment_id", "view")
_LONGEST_ATTRIBUTE = 500


def match_columns(names: Sequence[str], given: Mapping[str, str] | None, *, where: str) -> dict[str, str]:
    """Returns the column of each field that has one.

    Args:
        names: The columns that are there.
        given: Field and column, where a user names them; the others are looked for under their usual names, whatever
            their case.
        where: How messages call the table.

    Raises:
        UnknownNameError: A field or column that was named is not there.
        InvalidDataError: No column holds the image.
    """
    given = given or {}
    columns = ", ".join(names)
    for field, column in given.items():
        if field not in FIELDS:
            raise UnknownNameError(f"no field is called {field!r}; a column can be given for {', '.join(FIELDS)}")
        if column not in names:
            raise UnknownNameError(f"{where} has no column {column!r}; it has {columns}")
    free = {name.casefold(): name for name in reversed(names) if name not in given.values()}
    found = dict(given)
    for field, usual in _USUAL.items():
        likely = next((free[name] for name in usual if name in free), None)
        if field not in found and likely is not None:
            found[field] = likely
    if "image" not in found:
        raise InvalidDataError(
            f"{where} has no column with the image; it has {columns}: name one with --column image=…"
        )
    return found


def item_is_garment(
    columns: dict[str, str], given: Mapping[str, str] | None, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Turns `item_id` into the garment where several rows share a value: then it names no photograph.

    Args:
        columns: Of `match_columns`; changed.
        given: Field and column, where a user named them.
        rows: All rows of the table.
    """
    column = columns.get("id", "")
    if column.casefold() != "item_id" or "id" in (given or {}) or "garment_id" in columns:
        return
    values = [str(row[column]).strip() for row in rows if row.get(column) not in (None, "")]
    if len(values) > len(set(values)):
        columns["garment_id"] = columns.pop("id")


def photo_facts(row: Mapping[str, Any], columns: Mapping[str, str], name: str) -> dict[str, Any]:
    """Returns caption, facts and attributes of a row, as arguments of `Photo`.

    What the row does not tell, DeepFashion's form of file name may. Other columns with plain values become attributes.

    Args:
        row: The values by column.
        columns: Of `match_columns`.
        name: The photograph's file name or id.
    """
    parsed = parse_file_name(name)
    facts: dict[str, Any] = dict(parsed.facts) if parsed else {}
    for field in _FACTS:
        if (text := _text(_cell(row, columns, field))) is not None:
            facts[field] = text
    attributes = {"colourway": parsed.colourway} if parsed else {}
    for column, value in row.items():
        if column not in columns.values() and (text := _text(value)) is not None:
            attributes[column] = text[:_LONGEST_ATTRIBUTE]
    return {"caption": _text(_cell(row, columns, "caption")), "attributes": attributes, **facts}


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value}" if math.isfinite(value) else None
    return (without_queries(value).strip() or None) if isinstance(value, str) else None


def _cell(row: Mapping[str, Any], columns: Mapping[str, str], field: str) -> Any:
    return row.get(columns[field]) if field in columns else None
