from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from fashionedit.builders.inspection import box_figures, write_contact_sheet
from fashionedit.builders.photos import Photo
from fashionedit.types import Box


def garments(count: int = 20, *, factor: float = 1.0, swap: bool = False) -> list[list[Box]]:
    """Boxes as they lie on garments: around the middle across, from top to bottom."""
    random = Random(1)
    sets = []
    for _ in range(count):
        boxes = []
        for top in (50, 380, 700):
            left, height, width = random.uniform(300, 420), random.uniform(120, 250), random.uniform(150, 280)
            edges = [factor * edge for edge in (top, left, top + height, left + width)]
            boxes.append(Box(*([edges[1], edges[0], edges[3], edges[2]] if swap else edges)))
        sets.append(boxes)
    return sets


def test_boxes_of_garments_are_nothing_to_warn_of() -> None:
    figures = box_figures(garments())
    assert figures.warnings() == []
    assert 0.01 < figures.mean_area < 0.1
    assert figures.mean_overlap == 0


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (garments(factor=0.5), "the unit is another one"),
        (garments(swap=True), "order of the edges"),
        ([[Box(0, 0, 900, 900), Box(10, 5, 920, 960), Box(30, 0, 940, 910)]] * 20, "shows most of the answer"),
        ([[Box(5 * k, 500, 5 * k + 12, 512) for k in (3, 60, 120)]] * 20, "show next to nothing"),
        ([garments(1)[0]] * 20, "in several samples alike"),
        (
            [[Box(0, 100 + k, 200, 400), Box(300, 0, 500, 400 + k), Box(600, 500, 1000, 900 + k)] for k in range(20)],
            "touch the border",
        ),
    ],
)
def test_a_set_that_looks_wrong_is_warned_of(sets: list[list[Box]], words: str) -> None:
    figures = box_figures(sets)
    assert any(words in sentence for sentence in figures.warnings())
    assert json.loads(figures.to_json())["warnings"] == figures.warnings()


def test_a_few_samples_say_nothing_about_a_set() -> None:
    assert box_figures(garments(3, swap=True)).warnings() == []


def test_the_sheet_is_one_page_with_pictures_and_escaped_words(tmp_path: Path) -> None:
    original, draft = tmp_path / "a.png", tmp_path / "b.png"
    Image.new("RGB", (90, 120), "red").save(original)
    Image.new("RGB", (64, 64), "blue").save(draft)
    words = ("<b>cuffs</b>", "a hem", "a bow")
    differences = tuple(zip(words, garments(1)[0], strict=True))
    sample = Photo("a", original, "a <i>coat</i>", draft=draft, differences=differences)
    write_contact_sheet([sample], tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 5
    assert "&lt;b&gt;cuffs" in page
    assert "a &lt;i&gt;coat" in page
    assert "<b>" not in page
