"""Photographs of a source by their ids, and the selection that the authors released."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from fashionedit.builders.photos import Photo, Unusable, open_source


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


def authors_selection(folder: Path) -> Path:
    """Returns the authors' `captions_top.json`; where it is not beside the checkout, one of the same shape.

    That is 23 classes, 4,849 garments and 11,546 names.
    """
    real = Path(__file__).parents[3] / "shared" / "data" / "captions_top.json"
    if real.is_file():
        return real
    chance = random.Random(7)
    views = ("1_front", "2_side", "3_back", "4_full", "7_additional", "6_flat")
    classes = [f"{'MEN' if number < 9 else 'WOMEN'}-Class_{chr(65 + number)}" for number in range(23)]
    names = {f"{classes[number % 23]}-id_{number:08d}-01_1_front.png" for number in range(4849)}
    while len(names) < 11_546:
        number = chance.randrange(4849)
        names.add(f"{classes[number % 23]}-id_{number:08d}-{chance.randrange(1, 9):02d}_{chance.choice(views)}.png")
    path = folder / "captions_top.json"
    path.write_text(json.dumps({name: str(85 + chance.random() * 10) for name in sorted(names)}), "utf-8")
    return path
