from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fashionedit.builders.photos.file_names import parse_file_name
from fashionedit.builders.photos.selection import compare_selections, read_selection
from fashionedit.errors import InvalidDataError
from fashionedit.types import safe_id

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "captions_top.json"


def _made_up(path: Path) -> Path:
    """A selection of the same shape, where the real one is not at hand: 23 classes, 4,849 garments, 11,546 names."""
    chance = random.Random(7)
    views = ("1_front", "2_side", "3_back", "4_full", "7_additional", "6_flat")
    classes = [f"{'MEN' if number < 9 else 'WOMEN'}-Class_{chr(65 + number)}" for number in range(23)]
    names: set[str] = set()
    for number in range(4849):
        names.add(f"{classes[number % 23]}-id_{number:08d}-01_1_front.png")
    while len(names) < 11_546:
        number = chance.randrange(4849)
        names.add(f"{classes[number % 23]}-id_{number:08d}-{chance.randrange(1, 9):02d}_{chance.choice(views)}.png")
    scores = {name: str(85 + chance.random() * 10) for name in sorted(names)}
    path.write_text(json.dumps(scores), "utf-8")
    return path


def test_the_authors_selection_is_read_and_its_names_parsed(tmp_path: Path) -> None:
    path = SHARED if SHARED.is_file() else _made_up(tmp_path / "captions_top.json")
    found = read_selection(path)
    assert len(found) == 11_546
    assert list(found) == sorted(found)
    assert min(found.values()) >= 85
    names = [parse_file_name(identity) for identity in found]
    assert None not in names
    parsed = [name for name in names if name is not None]
    assert len({(name.gender, name.category) for name in parsed}) == 23
    assert len({(name.gender, name.category, name.garment_id) for name in parsed}) == 4849
    if path == SHARED:
        assert min(found.values()) == pytest.approx(85.00013, abs=1e-5)
        assert sum(found.values()) / len(found) == pytest.approx(87.43, abs=0.005)
        assert sum(score > 90 for score in found.values()) / len(found) == pytest.approx(0.1045, abs=5e-5)
        assert Counter(name.gender for name in parsed) == {"WOMEN": 10_453, "MEN": 1_093}
        assert Counter(name.view for name in parsed) == {
            "front": 3737,
            "back": 2144,
            "side": 2060,
            "full": 1886,
            "additional": 1716,
            "flat": 3,
        }


def test_names_may_have_folders_with_either_slash_and_scores_may_be_numbers(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"gen\\b.png": "87.5", "gen/a.jpg": 90, "c": 88.25}), "utf-8-sig")
    assert read_selection(path) == {"a": 90.0, "b": 87.5, "c": 88.25}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "is no JSON object"),
        ({}, "selects nothing"),
        ({"a.png": "high"}, "the score of a.png is 'high'; it must be a finite number"),
        ({"a.png": "nan"}, "the score of a.png is 'nan'"),
        ({"a.png": True}, "the score of a.png is 'True'"),
        ({"a.png": None}, "the score of a.png is 'None'"),
        ({"a.png": 10**400}, "an integer has 401 digits"),
        ({"a.png": "1", "x/a.jpg": "2"}, "names the photograph a twice"),
    ],
)
def test_a_selection_that_is_none_is_named(tmp_path: Path, content: Any, sentence: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InvalidDataError, match=sentence):
        read_selection(path)


def test_a_selection_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("{")
    for path in (tmp_path / "s.json", tmp_path / "none.json"):
        with pytest.raises(InvalidDataError, match=f"the selection .*{path.name} can't be read"):
            read_selection(path)


def test_two_selections_are_compared() -> None:
    report = compare_selections(
        {"a": 90.0, "b": 86.0, "c": 85.5},
        {"a": 89.0, "b": 83.0, "c": 86.0, "d": 95.0},
        kept_computed={"a", "c", "d"},
    )
    assert (report.both, report.only_ready, report.only_computed, report.compared) == (2, ("b",), ("d",), 3)
    assert report.mean_difference == pytest.approx((-1 - 3 + 0.5) / 3)
    assert (report.largest_difference, report.largest_at) == (-3.0, "b")
    assert report.sentence == (
        "the ready selection and the recomputed one share 2 photographs; 1 are only in the ready one and 1 only in the "
        "recomputed one; over 3 photographs the recomputed score is 1.17 lower on average, and differs by at most 3.00 "
        "(b)"
    )


def test_selections_without_a_common_score_are_compared_by_their_ids() -> None:
    report = compare_selections({"a": 90.0, "b": 80.0}, {"c": 88.0}, kept_ready=["a"], kept_computed=["c"])
    assert (report.both, report.only_ready, report.only_computed) == (0, ("a",), ("c",))
    assert report.mean_difference is report.largest_difference is report.largest_at is None
    assert report.sentence.endswith("1 only in the recomputed one; no photograph has a score from both")


def test_names_that_are_no_safe_ids_become_those_of_the_photographs(tmp_path: Path) -> None:
    (tmp_path / "selection.json").write_text(json.dumps({"red dress (2).jpg": "88.5"}))
    assert read_selection(tmp_path / "selection.json") == {safe_id("red dress (2)"): 88.5}
