"""Tables of photographs as files: JSON lines and CSV, row by row, with the place of each for messages."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.files import open_regular, parse_json


def read_table(path: Path, *, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields where a row stands (`metadata.csv, line 3`) and its values by column.

    Args:
        path: A file whose name ends in `.jsonl` or `.csv`.
        name: How messages call the file.

    Raises:
        InvalidDataError: It can't be read, or a row is none; the message names file and line.
    """
    try:
        yield from _csv_rows(path, name) if path.suffix.lower() == ".csv" else _json_rows(path, name)
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); change its rights") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidDataError(f"{name} can't be read ({error}); save it as UTF-8 text") from error


def _json_rows(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with TextIOWrapper(open_regular(path), encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{name}, line {number}"
            try:
                row = parse_json(line, name="the line")
            except InvalidDataError as error:
                raise InvalidDataError(
                    f"{where}: it is no valid JSON ({error.__cause__}); write one object on each line"
                ) from error
            if not isinstance(row, dict):
                raise InvalidDataError(f"{where}: it is no JSON object; write one on each line")
            yield where, row


def _csv_rows(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines, strict=True)
        for row in rows:
            where = f"{name}, line {rows.line_num}"
            if None in row or None in row.values():
                raise InvalidDataError(
                    f"{where}: it has {'more' if None in row else 'fewer'} values than the first line names columns; "
                    "put texts with commas in quotes"
                )
            yield where, dict(row)
