"""Photographs of a source by their ids, and real photographs where the checkout has some beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fashionedit.builders.photos import Unusable, open_source
from fashionedit.builders.stage_items import Photo


def items(place: Path | str, work: Path = Path("nowhere"), **options: Any) -> dict[str, Photo | Unusable]:
    """Returns all that the source names, which has to come in the order of the ids."""
    found = open_source(place, work=work, **options).photos()
    assert [item.id for item in found] == sorted(item.id for item in found)
    return {item.id: item for item in found}


def photos(place: Path | str, work: Path = Path("nowhere"), **options: Any) -> dict[str, Photo]:
    """Returns the photographs of the source."""
    return {key: item for key, item in items(place, work, **options).items() if isinstance(item, Photo)}


def unusable(place: Path | str, work: Path = Path("nowhere"), **options: Any) -> dict[str, Unusable]:
    """Returns what the source names and can't be built from."""
    return {key: item for key, item in items(place, work, **options).items() if isinstance(item, Unusable)}
