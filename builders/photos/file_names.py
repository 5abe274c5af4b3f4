"""What the file names of DeepFashion tell: gender, category, garment, colourway and view."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fashionedit.photographs import stem_of

_NAME = re.compile(
    r"(?P<gender>MEN|WOMEN)-(?P<category>[A-Za-z_]+)-id_(?P<garment_id>\d{8})-(?P<colourway>\d{2})_\d+_"
    r"(?P<view>front|side|back|full|flat|additional)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class PhotoName:
    """The parts of a name such as `WOMEN-Dresses-id_00000002-02_1_front`.

    Args:
        gender: `MEN` or `WOMEN`.
        category: Such as `Tees_Tanks`; 23 pairs of gender and category are in the paper's selection.
        garment_id: Eight digits, unique within gender and category.
        colourway: Two digits: the garment in another colour.
        view: `front`, `side`, `back`, `full`, `flat` or `additional`.
    """

    gender: str
    category: str
    garment_id: str
    colourway: str
    view: str

    @property
    def facts(self) -> dict[str, Any]:
        """The parts that are columns of the dataset."""
        return {
            "gender": self.gender,
            "category": self.category,
            "garment_id": self.garment_id,
            "view": self.view,
        }


def parse_file_name(name: str) -> PhotoName | None:
    """Returns what the name tells, with or without folder and ending; None where it is not in DeepFashion's form.

    >>> parse_file_name("images/MEN-Tees_Tanks-id_00007981-03_3_back.jpg").view
    'back'
    >>> parse_file_name("holiday.jpg") is None
    True
    """
    match = _NAME.fullmatch(stem_of(name))
    return PhotoName(**match.groupdict()) if match else None
