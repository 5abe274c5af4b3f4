from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from deepfashion_tree import DeepFashionTree, write_deepfashion_tree
from photo_toys import photos
from publishing_toys import picture

from fashionedit.builders.photos import open_source
from fashionedit.builders.photos.deepfashion import read_labels
from fashionedit.builders.photos.sources import parse_file_name
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.photo_index import stem_of


@pytest.fixture
def tree(tmp_path: Path) -> DeepFashionTree:
    return write_deepfashion_tree(tmp_path / "deepfashion", [picture(number) for number in range(16)])


def test_photographs_captions_and_labels_are_found_in_a_nested_folder(tree: DeepFashionTree, tmp_path: Path) -> None:
    found = photos(tree.root, tmp_path / "work")
    assert {identity: photo.path for identity, photo in found.items()} == tree.paths
    assert {identity: photo.caption for identity, photo in found.items() if photo.caption} == tree.captions
    assert all(found[identity].caption is None for identity in tree.uncaptioned)
    groups: dict[str, list[str]] = {}
    for identity, photo in found.items():
        if identity != tree.corrupt:
            groups.setdefault(photo.garment, []).append(identity)
    assert {garment: set(ids) for garment, ids in groups.items()} == {g: set(i) for g, i in tree.garments.items()}
    assert any(len(ids) > 1 for ids in groups.values())


def test_the_name_gives_facts_and_the_labels_attributes(tree: DeepFashionTree, tmp_path: Path) -> None:
    photo = photos(tree.root, tmp_path)["WOMEN-Dresses-id_00000001-01_1_front"]
    assert (photo.gender, photo.category, photo.garment_id, photo.view) == ("WOMEN", "Dresses", "00000001", "front")
    assert photo.attributes == {
        "colourway": "01",
        "sleeve length": "sleeveless",
        "socks": "no",
        "glasses": "no",
        "neckwear": "yes",
        "wrist wearing": "no",
        "ring": "no",
        "neckline": "V-shape",
        "navel covered": "yes",
        "upper fabric": "denim",
        "upper pattern": "floral",
    }


def test_it_is_the_same_wherever_the_folder_stands_and_whatever_it_is_nested_in(
    tree: DeepFashionTree, tmp_path: Path
) -> None:
    source = open_source(tree.root, work=tmp_path)
    assert source.describe() == {
        "kind": "deepfashion",
        "spec": "deepfashion",
        "captions": "captions.json",
        "labels": ["shape_anno_all.txt", "fabric_ann.txt", "pattern_ann.txt"],
    }
    moved = tmp_path / "elsewhere" / "deepfashion"
    shutil.copytree(tree.root, moved)
    (moved / "images" / "images").rename(moved / "flat")  # the grammar alone makes them photographs
    shutil.rmtree(moved / "images")
    (moved / "__MACOSX").mkdir()
    shutil.copyfile(next((moved / "flat").iterdir()), moved / "__MACOSX" / "._x.jpg")
    assert open_source(moved, work=tmp_path).describe() == source.describe()
    assert photos(moved, tmp_path).keys() == tree.paths.keys()


def test_without_labels_and_captions_there_are_still_photographs(tree: DeepFashionTree, tmp_path: Path) -> None:
    shutil.rmtree(tree.root / "labels")
    (tree.root / "captions.json").rename(tmp_path / "mine.json")
    found = photos(tree.root, tmp_path)
    assert all(
        photo.caption is None and photo.attributes == {"colourway": photo.attributes["colourway"]}
        for photo in found.values()
    )
    assert {
        i for i, photo in photos(tree.root, tmp_path, captions=tmp_path / "mine.json").items() if photo.caption
    } == set(tree.captions)


def test_an_image_with_a_name_of_its_own_is_a_photograph_of_its_own_garment(
    tree: DeepFashionTree, tmp_path: Path
) -> None:
    picture(20).save(tree.root / "images" / "my coat (1).png")
    (photo,) = (p for p in photos(tree.root, tmp_path).values() if p.path.name == "my coat (1).png")
    assert photo.id.startswith("my-coat-1-")
    assert (photo.garment, photo.gender) == (photo.id, None)


def test_one_photograph_in_two_files_is_named(tree: DeepFashionTree, tmp_path: Path) -> None:
    path = tree.paths["WOMEN-Dresses-id_00000001-01_1_front"]
    picture(0).save(path.with_suffix(".png"))
    with pytest.raises(
        InvalidDataError, match=r"_front\.jpg and images/images/.*_front\.png in .* are both the photograph"
    ):
        photos(tree.root, tmp_path)


def test_a_label_line_with_too_few_numbers_is_named(tree: DeepFashionTree, tmp_path: Path) -> None:
    path = tree.root / "labels" / "shape" / "shape_anno_all.txt"
    path.write_text("\n" + path.read_text().replace(" 2 1\n", " 2\n", 1))
    with pytest.raises(InvalidDataError, match=r"shape_anno_all\.txt, line 2: .* is not the name of an image and 12"):
        photos(tree.root, tmp_path)
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InvalidDataError, match=r"shape_anno_all\.txt can't be read"):
        photos(tree.root, tmp_path)


def test_a_code_that_nobody_documented_is_kept_as_a_number(tmp_path: Path) -> None:
    path = tmp_path / "shape_anno_all.txt"
    path.write_text("a.jpg 9 4 3 2 4 2 2 2 4 3 2 2\n")
    assert read_labels([path]) == {"a": {"sleeve length": "unlisted (9)", "neckline": "unlisted (3)"}}


def test_captions_that_are_no_object_are_named(tree: DeepFashionTree, tmp_path: Path) -> None:
    (tree.root / "captions.json").write_text(json.dumps(["a"]))
    with pytest.raises(InvalidDataError, match=r"captions\.json"):
        photos(tree.root, tmp_path)


def test_a_folder_without_photographs_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetNotFoundError, match="holds no photographs with names like"):
        photos(tmp_path / "empty", tmp_path, kind="deepfashion")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MEN-Denim-id_00000089-01_7_additional.png", ["MEN", "Denim", "00000089", "01", "additional"]),
        ("a\\b/WOMEN-Tees_Tanks-id_00007981-03_3_back", ["WOMEN", "Tees_Tanks", "00007981", "03", "back"]),
        ("WOMEN-Tees_Tanks-id_00007981-03_3_back_segm.png", []),
        ("WOMEN-Tees_Tanks-id_0000798-03_3_back.jpg", []),
        ("WOMEN-Tees_Tanks-id_٠٠٠٠٧٩٨١-03_3_back.jpg", []),
        ("women-Dresses-id_00000001-01_1_front.jpg", []),
        ("", []),
    ],
)
def test_file_names_are_parsed_by_the_grammar(name: str, expected: list[str]) -> None:
    assert list(parse_file_name(name).values()) == expected


@pytest.mark.parametrize(
    ("name", "stem"), [("a/b.c.jpeg", "b.c"), ("v1.2", "v1.2"), (".jpg", ".jpg"), ("x\\y.PNG", "y")]
)
def test_only_endings_of_images_are_cut_off(name: str, stem: str) -> None:
    assert stem_of(name) == stem
