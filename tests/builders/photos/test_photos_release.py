from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from photo_toys import authors_selection, items, photos, unusable
from PIL import Image

from fashionedit.builders.analyse.answers import read_answer
from fashionedit.builders.photos import open_source
from fashionedit.builders.photos.release import compare_selections, read_selection
from fashionedit.builders.photos.sources import parse_file_name
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.types import safe_id

NAMES = [f"WOMEN-Dresses-id_{number:08d}-01_1_front" for number in range(1, 7)]
ITEMS = [
    {"description": f"the {word}'s edge", "box_2d": [100 * k, 50, 100 * k + 80, 900]}
    for k, word in enumerate(("collar", "cuff", "hem"), 1)
]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A tree in the shape of the authors' release; each of the last three photographs lacks something."""
    root = tmp_path / "release"
    for folder, names in {"resize_orig": NAMES[:5], "resize_gen": [*NAMES[:3], *NAMES[4:]]}.items():
        (root / folder).mkdir(parents=True)
        for number, name in enumerate(names):
            Image.new("RGB", (96, 96), (number * 40, 100, 20)).save(root / folder / f"{name}.png")
    answers: dict[str, object] = {f"{name}.png": str(ITEMS) for name in NAMES[:4]}
    answers[f"{NAMES[1]}.png"] = str([{"discription": item["description"], "box_2d": item["box_2d"]} for item in ITEMS])
    answers[f"{NAMES[2]}.png"] = ITEMS  # not turned into text
    answers[f"resize_orig\\{NAMES[5]}.png"] = str(ITEMS)
    (root / "diff.json").write_text(json.dumps(answers))
    (root / "captions_top.json").write_text(json.dumps({f"{NAMES[0]}.png": "90.44541931152344"}))
    return root


def test_photographs_come_with_drafts_and_answers(release: Path, tmp_path: Path) -> None:
    found = photos(release, tmp_path)
    photo = found[NAMES[0]]
    assert photo.path == release / "resize_orig" / f"{NAMES[0]}.png"
    assert photo.draft == release / "resize_gen" / f"{NAMES[0]}.png"
    assert (photo.caption, photo.garment, photo.view) == ("", "WOMEN-Dresses-00000001", "front")
    assert photo.attributes == {"colourway": "01", "selection score": "90.44541931152344"}
    for name in NAMES[:3]:
        read = read_answer(found[name].answer or "").differences
    assert [words for words, _ in read] == [each["description"] for each in ITEMS]


def test_what_lacks_a_partner_is_counted_with_its_reason(release: Path, tmp_path: Path) -> None:
    reasons = {name: item.reason for name, item in unusable(release, tmp_path).items()}
    assert reasons == {NAMES[3]: "no draft", NAMES[4]: "no answer", NAMES[5]: "no original"}


def test_the_captions_of_deepfashion_are_joined_in(release: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.json"
    captions.write_text(json.dumps({f"{NAMES[0]}.jpg": "A dress."}))
    found = photos(release, tmp_path, captions=captions)
    assert [photo.caption for photo in found.values()] == ["A dress.", "", ""]


def test_archives_that_nest_once_more_are_read_too(release: Path, tmp_path: Path) -> None:
    before = items(release, tmp_path)
    for folder in ("resize_orig", "resize_gen"):
        (release / folder).rename(release / "inner")
        (release / folder).mkdir()
        (release / "inner").rename(release / folder / folder)
    (release / "json").mkdir()
    (release / "diff.json").rename(release / "json" / "diff.json")
    after = items(release, tmp_path)
    assert after.keys() == before.keys()
    assert all(type(after[name]) is type(before[name]) for name in before)
    assert open_source(release, work=tmp_path).describe() == {
        "kind": "release",
        "spec": "release",
        "captions": None,
        "scores": "captions_top.json",
    }


def test_a_missing_part_is_named(release: Path, tmp_path: Path) -> None:
    (release / "diff.json").unlink()
    (release / "resize_gen").rename(release / "gen")
    with pytest.raises(DatasetNotFoundError, match=r"has no resize_gen/ with images and no diff\.json; unpack"):
        open_source(release, work=tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[", "can't be read as JSON"),
        ("[]", "is no JSON object of file names and answers"),
        ('{"a.png": "x", "b/a.jpg": "y"}', "names the photograph a twice"),
    ],
)
def test_answers_that_are_no_answers_are_named(release: Path, tmp_path: Path, text: str, sentence: str) -> None:
    (release / "diff.json").write_text(text)
    with pytest.raises(InvalidDataError, match=f"diff.json {sentence}"):
        items(release, tmp_path)


def test_the_authors_selection_is_read_and_its_names_parsed(tmp_path: Path) -> None:
    path = authors_selection(tmp_path)
    found = read_selection(path)
    assert len(found) == 11_546
    assert list(found) == sorted(found)
    assert min(found.values()) >= 85
    parsed = [parse_file_name(identity) for identity in found]
    assert all(parsed)
    assert len({(name["gender"], name["category"]) for name in parsed}) == 23
    assert len({(name["gender"], name["category"], name["garment_id"]) for name in parsed}) == 4849
    if path.parent != tmp_path:  # it is the real one
        assert min(found.values()) == pytest.approx(85.00013, abs=1e-5)
        assert sum(found.values()) / len(found) == pytest.approx(87.43, abs=0.005)
        assert sum(score > 90 for score in found.values()) / len(found) == pytest.approx(0.1045, abs=5e-5)
        assert Counter(name["gender"] for name in parsed) == {"WOMEN": 10_453, "MEN": 1_093}
        assert Counter(name["view"] for name in parsed) == {
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
    report = compare_selections({"a": 90.0}, {"c": 88.0}, kept_computed=["c"])
    assert (report.both, report.only_ready, report.only_computed) == (0, ("a",), ("c",))
    assert report.mean_difference is report.largest_difference is report.largest_at is None
    assert report.sentence.endswith("1 only in the recomputed one; no photograph has a score from both")


def test_names_that_are_no_safe_ids_become_those_of_the_photographs(tmp_path: Path) -> None:
    (tmp_path / "selection.json").write_text(json.dumps({"red dress (2).jpg": "88.5"}))
    assert read_selection(tmp_path / "selection.json") == {safe_id("red dress (2)"): 88.5}
