from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from photo_toys import items, photos, unusable
from PIL import Image

from fashionedit.builders.photos import open_source
from fashionedit.errors import DatasetNotFoundError, InvalidDataError, UnknownNameError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "p").mkdir(parents=True)
    for name in ("b.jpg", "a.png", "c d.webp"):
        Image.new("RGB", (80, 90), "teal").save(folder / "p" / name)
    return folder


def lines(path: Path, *rows: object) -> None:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")


def table(path: Path, *rows: Sequence[str], encoding: str = "utf-8-sig") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows(rows)


def test_rows_of_json_lines_are_photographs_in_the_order_of_their_ids(root: Path) -> None:
    lines(
        root / "metadata.jsonl",
        {"file_name": "p/b.jpg", "text": "a blue coat", "garment_id": 17, "season": "winter", "lined": True, "n": None},
        "",
        {"file_name": "p/a.png", "text": " ", "image_id": "z1", "view": "front", "tags": ["x"], "price": 2.5},
    )
    first, second = photos(root).values()
    assert (first.id, first.caption, first.garment_id) == ("b", "a blue coat", "17")
    assert first.attributes == {"season": "winter", "lined": "yes"}
    assert (second.id, second.caption, second.view) == ("z1", None, "front")
    assert second.attributes == {"price": "2.5"}
    assert open_source(root, work=root).describe() == {
        "kind": "folder",
        "spec": "photos",
        "tables": ["metadata.jsonl"],
        "captions": None,
        "columns": {},
    }


def test_a_csv_file_of_any_name_is_a_table(root: Path) -> None:
    rows = [("p/b.jpg", "a coat, blue", "Coat", "7"), ("p/c d.webp", "", "", "8")]
    table(root / "index.csv", ("file", "caption", "label", ""), *rows)
    found = photos(root)
    assert (found["b"].caption, found["b"].gender) == ("a coat, blue", None)
    assert found["b"].attributes == {"label": "Coat", "": "7"}
    (other,) = found.keys() - {"b"}
    assert other.startswith("c-d-")
    assert photos(root / "index.csv") == found


def test_columns_may_be_named(root: Path) -> None:
    table(root / "x.csv", ("image", "caption", "words", "who"), ("p/a.png", "wrong", "a dress", "WOMEN"))
    (photo,) = photos(root, columns={"caption": "words", "gender": "who"}).values()
    assert (photo.caption, photo.gender, photo.attributes) == ("a dress", "WOMEN", {"caption": "wrong"})
    with pytest.raises(UnknownNameError, match="no field is called 'colour'; a column can be given for image, caption"):
        items(root, columns={"colour": "who"})
    with pytest.raises(UnknownNameError, match=r"x\.csv has no column 'text'; it has image, caption, words, who"):
        items(root, columns={"caption": "text"})


def test_a_name_in_deepfashions_form_fills_in_what_the_table_does_not_say(root: Path) -> None:
    name = "MEN-Denim-id_00000089-01_7_additional.jpg"
    (root / "p" / "b.jpg").rename(root / "p" / name)
    lines(root / "metadata.jsonl", {"file_name": f"p/{name}", "caption": "jeans", "view": "front"})
    (photo,) = photos(root).values()
    assert (photo.gender, photo.category, photo.garment_id, photo.view) == ("MEN", "Denim", "00000089", "front")
    assert photo.attributes == {"colourway": "01"}


def test_a_draft_may_be_ready(root: Path) -> None:
    lines(
        root / "metadata.jsonl",
        {"original": "p/a.png", "draft": "p/b.jpg"},
        {"original": "p/b.jpg", "draft": "p/none.png"},
        {"original": "p/none.png", "draft": "p/a.png"},
        {"original": "p\\c d.webp", "draft": None, "id": 4},
    )
    found = photos(root)
    assert (found["a"].draft, found["a"].caption) == (root / "p" / "b.jpg", None)
    assert found["4"].draft is None
    assert {key: (item.reason, item.detail) for key, item in unusable(root).items()} == {
        "b": ("no draft", "metadata.jsonl, line 2: there is no file p/none.png"),
        "none": ("no image file", "metadata.jsonl, line 3: there is no file p/none.png"),
    }


def test_captions_of_another_file_fill_in_where_the_table_has_none(root: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.json"
    captions.write_text(json.dumps({"a.png": "from the file", "b.jpg": "too"}))
    table(root / "index.csv", ("file", "text"), ("p/a.png", ""), ("p/b.jpg", "from the table"))
    assert [photo.caption for photo in photos(root, captions=captions).values()] == ["from the file", "from the table"]
    table(root / "index.csv", ("file",), ("p/a.png",))
    assert [photo.caption for photo in photos(root, captions=captions).values()] == ["from the file"]
    (root / "index.csv").unlink()
    assert photos(root, captions=captions).keys() >= {"a", "b"}


def test_tables_of_several_folders_are_one_source(root: Path) -> None:
    for split, name in {"train": "a.png", "validation": "b.jpg"}.items():
        (root / split).mkdir()
        (root / "p" / name).rename(root / split / name)
        lines(root / split / "metadata.jsonl", {"file_name": name, "caption": split})
    assert {i: photo.caption for i, photo in photos(root).items()} == {"a": "train", "b": "validation"}


def test_text_files_beside_the_images_are_their_captions(root: Path) -> None:
    (root / "p" / "a.txt").write_text("\ufeffa dress\nof silk\n", "utf-8")
    found = photos(root)
    assert len(found) == 3
    assert (found["a"].caption, found["b"].caption) == ("a dress of silk", None)
    (root / "p" / "b.txt").write_bytes(b"\xff\xff")
    with pytest.raises(InvalidDataError, match=r"b\.txt can't be read"):
        photos(root)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"file_name": "../secret.png", "text": "a"}, "column file_name: ../secret.png lies outside"),
        ({"file_name": "link.png", "text": "a"}, "column file_name: link.png lies outside"),
        ({"file_name": "/etc/passwd", "text": "a"}, "'/etc/passwd' is no relative path"),
        ({"file_name": "a\0b", "text": "a"}, "is no relative path"),
        ({"file_name": 7, "text": "a"}, "7 is no relative path"),
        ({"file_name": "circle/a.png", "text": "a"}, "circle/a.png can't be looked up|lies outside"),
        ({"text": "a"}, "metadata.jsonl has no column with the image; it has text"),
        ({"file_name": "p/a.png", "x": "a"}, "has no column with a caption .*; it has file_name, x: name one"),
        ("{", "line 1: it is no valid JSON"),
        ("[1]", "line 1: it is no JSON object"),
        ("", "metadata.jsonl has no row"),
    ],
)
def test_a_row_that_is_none_is_named(root: Path, row: object, sentence: str) -> None:
    Image.new("RGB", (80, 90)).save(root.parent / "secret.png")
    (root / "link.png").symlink_to(root.parent / "secret.png")
    (root / "circle").symlink_to(root / "circle")
    lines(root / "metadata.jsonl", row)
    with pytest.raises(InvalidDataError, match=sentence):
        items(root)


def test_two_rows_with_one_id_are_named(root: Path) -> None:
    rows = [{"file_name": "p/a.png", "text": "a"}, {"file_name": "p/b.jpg", "text": "b", "id": "a"}]
    lines(root / "metadata.jsonl", *rows)
    with pytest.raises(InvalidDataError, match=r"line 2: the photograph a stands in metadata\.jsonl, line 1 too"):
        items(root)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"file,text\np/a.png,a coat, blue\n", "line 2: it has more values than the first line names columns"),
        (b"file,text\np/a.png\n", "line 2: it has fewer values"),
        (b'file,text\np/a.png,"a\n', "can't be read .*save it as UTF-8"),
        (b"file,text\np/a.png,\xff\n", "can't be read .*save it as UTF-8"),
        (b"file,text\n", "x.csv has no row"),
    ],
)
def test_a_csv_file_that_is_none_is_named(root: Path, content: bytes, sentence: str) -> None:
    (root / "x.csv").write_bytes(content)
    with pytest.raises(InvalidDataError, match=sentence):
        items(root)


def test_a_text_that_can_not_be_opened_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "beside"
    folder.mkdir()
    for name in ("a", "b"):
        Image.effect_noise((64, 64), 40).convert("RGB").save(folder / f"{name}.png")
    (folder / "a.txt").write_text("a coat")
    (folder / "b.txt").symlink_to("b.txt")  # in a circle: for root, too, it can't be opened
    with pytest.raises(InvalidDataError, match=r"b\.txt can't be read \(Too many levels of symbolic links\)"):
        items(folder)


def test_several_tables_are_named(root: Path) -> None:
    for name in ("x.csv", "y.csv"):
        table(root / name, ("file", "text"), ("p/a.png", "a"))
    with pytest.raises(InvalidDataError, match=r"has several tables \(x\.csv, y\.csv\); call the one that counts"):
        items(root)


def test_a_place_that_is_nothing_gets_one_sentence(root: Path, tmp_path: Path) -> None:
    four = (
        r"DeepFashion-MultiModal folder .* authors' release .* metadata\.jsonl, a CSV table or a \.txt beside each "
        r"image, or a dataset on the Hub"
    )
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "images.zip").write_bytes(b"PK")
    (tmp_path / "notes.md").write_text("hello")
    for spec, sentence in {
        root: f"nothing in .*photos was understood; .*{four}",
        tmp_path / "none": f"none does not exist; .*{four}",
        tmp_path / "notes.md": f"notes.md is a file that is no table; .*{four}",
        tmp_path / "archives": r"holds images\.zip, but no photographs; unpack it there",
        tmp_path / "archives" / "images.zip": r"images\.zip is an archive; unpack it and give the folder",
    }.items():
        with pytest.raises(DatasetNotFoundError, match=sentence):
            open_source(spec, work=tmp_path)
    (tmp_path / "archives" / "labels.zip").write_bytes(b"PK")
    with pytest.raises(
        DatasetNotFoundError, match=r"holds images\.zip and other archives, but no photographs; unpack them"
    ):
        open_source(tmp_path / "archives", work=tmp_path)


def test_options_that_do_not_fit_are_refused(root: Path, tmp_path: Path) -> None:
    (root / "p").rename(root / "images")
    (root / "captions.json").write_text('{"a.png": "a dress"}')
    for options, sentence in (
        ({"columns": {"caption": "x"}}, "--column means nothing for a source of the kind deepfashion"),
        ({"split": "train"}, "--source-split means nothing for a source of the kind deepfashion"),
    ):
        with pytest.raises(InvalidDataError, match=sentence):
            open_source(root, work=tmp_path, **options)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="no kind of source is called 'zip'; choose deepfashion, folder, hub"):
        open_source(root, work=tmp_path, kind="zip")
    with pytest.raises(DatasetNotFoundError, match=r"there is no file .*none\.json with captions"):
        open_source(root, work=tmp_path, captions=tmp_path / "none.json")
    assert open_source(root, work=tmp_path, kind="folder").describe()["kind"] == "folder"


def test_an_empty_folder_has_no_photographs(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match="holds no photographs; add images"):
        items(tmp_path, kind="folder")


def test_links_that_lead_back_are_followed_once(root: Path) -> None:
    (root / "p" / "a.txt").write_text("a dress")
    (root / "p" / "again").symlink_to(root)
    assert len(photos(root)) == 3


def test_pictures_in_formats_that_are_not_read_are_counted(root: Path) -> None:
    folder = root / "mixed"
    folder.mkdir()
    Image.new("RGB", (80, 80), "red").save(folder / "a.bmp")
    (folder / "a.txt").write_text("a coat")
    for name in ("b.HEIC", "c.avif", "notes.pdf"):
        (folder / name).write_bytes(b"?")
    assert list(photos(folder)) == ["a"]
    assert {key: item.reason for key, item in unusable(folder).items()} == dict.fromkeys("bc", "format not read")
