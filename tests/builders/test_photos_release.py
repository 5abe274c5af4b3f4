from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from fashionedit.builders.answers import parse_answer
from fashionedit.builders.photo import Photo
from fashionedit.builders.photos import Unusable, open_source
from fashionedit.errors import DatasetNotFoundError, InvalidDataError

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


def items(root: Path, work: Path, **options: object) -> dict[str, Photo | Unusable]:
    found = list(open_source(root, work=work, **options).photos())  # type: ignore[arg-type]
    assert [item.id for item in found] == sorted(item.id for item in found)
    return {item.id: item for item in found}


def test_photographs_come_with_drafts_and_answers(release: Path, tmp_path: Path) -> None:
    found = items(release, tmp_path)
    photo = found[NAMES[0]]
    assert isinstance(photo, Photo)
    assert photo.path == release / "resize_orig" / f"{NAMES[0]}.png"
    assert photo.draft == release / "resize_gen" / f"{NAMES[0]}.png"
    assert (photo.caption, photo.garment, photo.view) == ("", "WOMEN-Dresses-00000001", "front")
    assert photo.attributes == {"colourway": "01", "selection score": "90.44541931152344"}
    for name in NAMES[:3]:
        item = found[name]
        assert isinstance(item, Photo)
        assert [words for words, _ in parse_answer(item.answer or "")] == [each["description"] for each in ITEMS]


def test_what_lacks_a_partner_is_counted_with_its_reason(release: Path, tmp_path: Path) -> None:
    reasons = {name: item.reason for name, item in items(release, tmp_path).items() if isinstance(item, Unusable)}
    assert reasons == {NAMES[3]: "no draft", NAMES[4]: "no answer", NAMES[5]: "no original"}


def test_the_captions_of_deepfashion_are_joined_in(release: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.json"
    captions.write_text(json.dumps({f"{NAMES[0]}.jpg": "A dress."}))
    found = items(release, tmp_path, captions=captions)
    assert [item.caption for item in found.values() if isinstance(item, Photo)] == ["A dress.", "", ""]


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
