from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from publishing_toys import encode, picture
from whole_build import pictures

from fashionedit.builders.pack import MetadataLine, pack
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.folder import open_folder
from fashionedit.images import crop, read_image
from fashionedit.types import safe_id

BOXES = ([100, 100, 300.5, 400], [400, 50, 600, 300], [700, 500, 950, 1000])


def _photograph(path: Path, seed: int, size: tuple[int, int] = (60, 90)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, *size).save(path)
    return path


def _line(number: int = 0, **changes: object) -> dict[str, object]:
    line: dict[str, object] = {
        "original": f"photos/p{number}.jpg",
        "draft": f"drafts/p{number}.png",
        "annotation": f"photograph {number}",
        "differences": [{"description": f"thing {k}", "box_2d": box} for k, box in enumerate(BOXES)],
    }
    return {key: value for key, value in {**line, **changes}.items() if value is not ...}


def _metadata(folder: Path, *lines: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    (folder / "metadata.jsonl").write_text(text, "utf-8")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A good image folder with four samples."""
    folder = tmp_path / "source"
    for number in range(4):
        _photograph(folder / f"photos/p{number}.jpg", number)
        _photograph(folder / f"drafts/p{number}.png", 100 + number, (64, 64))
    _metadata(folder, *map(_line, range(4)))
    return folder


def test_samples_are_what_the_line_says_and_crops_are_cut(source: Path, tmp_path: Path) -> None:
    known = {
        "image_id": "red dress (2)",
        "clip_score": 88,
        "gender": "MEN",
        "category": "Suiting",
        "garment_id": "7",
        "view": "side",
    }
    _metadata(source, _line(0, **known), _line(1))
    summary = pack(source, tmp_path / "out", name="Mine", licence="cc0-1.0")
    assert summary.rows == {"validation": 2}
    assert summary.figures.mean_area == pytest.approx((200.5 * 300 + 200 * 250 + 250 * 500) / 3e6)
    folder = open_folder(tmp_path / "out")
    assert (folder.name, folder.control_set, folder.ids) == ("Mine", False, ("red-dress-2-f6bb057f", "p1"))
    facts = folder.facts("red-dress-2-f6bb057f")
    assert (facts.clip_score, facts.garment, facts.view) == (88.0, "MEN-Suiting-7", "side")
    sample = folder[1]
    original = read_image(source / "photos/p1.jpg")
    assert sample.annotation == "photograph 1"
    assert sample.original.tobytes() == original.tobytes()
    assert sample.draft.tobytes() == read_image(source / "drafts/p1.png").tobytes()
    for number, difference in enumerate(sample.differences):
        assert difference.description == f"thing {number}"
        assert difference.box.box_2d == tuple(BOXES[number])
        assert difference.reference.tobytes() == crop(original, difference.box).tobytes()
    assert "cc0-1.0" in (tmp_path / "out/README.md").read_text("utf-8")


def test_sketches_and_examples_are_taken_along(source: Path, tmp_path: Path) -> None:
    drawings = [f"drafts/p{number}.png" for number in (3, 1, 2)]
    _metadata(
        source,
        _line(0, sketches=drawings, examples=["photos/p1.jpg"]),
        _line(1, examples_file_names=["photos/p0.jpg", "photos/p2.jpg"], sketches=None),
        _line(2, sketches=[], examples=[]),
    )
    pack(source, tmp_path / "out")
    first, second, third = open_folder(tmp_path / "out")
    assert [one.tobytes() for one in first.sketches] == [read_image(source / path).tobytes() for path in drawings]
    assert [one.tobytes() for one in first.examples] == [read_image(source / "photos/p1.jpg").tobytes()]
    assert (len(second.sketches), len(second.examples)) == (0, 2)
    assert (third.sketches, third.examples) == ((), ())
    (shard,) = (tmp_path / "out/data").iterdir()
    assert shard.read_bytes().count((source / "photos/p1.jpg").read_bytes()) == 2  # an original and an example


def test_packing_twice_gives_the_same_files(source: Path, tmp_path: Path) -> None:
    for name, workers in (("one/set", 1), ("two/set", 4)):
        pack(source, tmp_path / name, workers=workers)
    for path in (tmp_path / "one").rglob("*.*"):
        assert (
            path.is_dir() or path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
        )


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_each_split_has_a_folder(source: Path, tmp_path: Path, validation: str) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    (source / "metadata.jsonl").unlink()
    source.rename(whole / "images")
    for folder, numbers in (("train", (0, 1, 2)), (validation, (3,))):
        lines = [_line(n, original=f"../images/photos/p{n}.jpg", draft=f"../images/drafts/p{n}.png") for n in numbers]
        _metadata(whole / folder, *lines)
    seen: list[tuple[int, int]] = []
    summary = pack(whole, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert summary.rows == {"train": 3, "validation": 1}
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert open_folder(tmp_path / "out", "train").ids == ("p0", "p1", "p2")


@pytest.mark.parametrize(
    ("original", "draft"),
    [
        ("original_image", "sd3_image"),
        ("original_file_name", "draft_file_name"),
        ("file_name", "sd3_image_file_name"),
    ],
)
def test_the_names_of_other_tools_are_understood(source: Path, tmp_path: Path, original: str, draft: str) -> None:
    line = _line(0, original=..., draft=...)
    _metadata(source, {**line, original: "photos/p0.jpg", draft: "drafts/p0.png"})
    pack(source, tmp_path / "out")
    assert open_folder(tmp_path / "out").ids == ("p0",)


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_do_no_harm(source: Path, tmp_path: Path) -> None:
    lines = "\r\n\r\n".join(json.dumps(_line(number, annotation="é\u2028–"), ensure_ascii=False) for number in range(3))
    (source / "metadata.jsonl").write_bytes(b"\xef\xbb\xbf" + lines.encode() + b"\r\n  \r\n")
    pack(source, tmp_path / "out")
    folder = open_folder(tmp_path / "out")
    assert [folder.facts(key).annotation for key in folder.ids] == ["é\u2028–"] * 3


def _one_difference(**changes: object) -> list[object]:
    good: list[object] = [{"description": "d", "box_2d": [0, 0, 10, 10]} for _ in range(3)]
    good[1] = {
        key: value
        for key, value in {"description": "d", "box_2d": [0, 0, 10, 10], **changes}.items()
        if value is not ...
    }
    return good


BAD_LINES: list[tuple[object, str]] = [
    ("{", "line 2: it is no valid JSON"),
    ("[" * 100_000, "line 2: it is no valid JSON"),
    ("[1]", "line 2: it is no JSON object"),
    ('"text"', "line 2: it is no JSON object"),
    ('{"a": 1, "a": 2}', "line 2: it is no valid JSON ('a' stands there twice)"),
    (json.dumps(_line(1, clip_score=float("nan"))), "line 2: it is no valid JSON (NaN is no JSON number)"),
    (json.dumps(_line(1, differences=_one_difference(box_2d=[0, 0, float("inf"), 1]))), "(Infinity is no JSON number)"),
    (json.dumps(_line(1)).replace("300.5", "1e999"), "field differences[0].box_2d[2]: "),
    (json.dumps(_line(1, clip_score=1)).replace('"clip_score": 1', '"clip_score": 1' + "0" * 5000), "line 2"),
    (json.dumps(_line(1, annotation="\ud800")), "half of a character"),
    (_line(1, original=...), "field original: it is missing; every line needs original, draft"),
    (_line(1, draft=...), "field draft: it is missing"),
    (_line(1, annotation=...), "field annotation: it is missing"),
    (_line(1, differences=...), "field differences: it is missing"),
    (_line(1, colour="red"), "field colour: unknown column; known are original, draft, annotation, differences"),
    (_line(1, file_name="photos/p1.jpg"), "field file_name: the original is named twice"),
    (_line(1, annotation=3), "field annotation: 3 is no text"),
    (_line(1, annotation=None), "field annotation: null is no text"),
    (_line(1, image_id=7), "field image_id: 7 is no text"),
    (_line(1, clip_score="88"), 'field clip_score: "88" is no number'),
    (_line(1, clip_score=True), "field clip_score: true is no number"),
    (_line(1, differences={}), "field differences: {} is no list"),
    (_line(1, differences=[]), "field differences: 0 differences; a sample has exactly 3"),
    (_line(1, differences=[*_one_difference(), *_one_difference()]), "6 differences; a sample has exactly 3"),
    (_line(1, differences=[1, 2, 3]), "field differences[0]: 1 is no object"),
    (_line(1, differences=_one_difference(description=...)), "field differences[1].description: it is missing; a diff"),
    (_line(1, differences=_one_difference(box_2d=...)), "field differences[1].box_2d: it is missing; a difference"),
    (_line(1, differences=_one_difference(mask="m.png")), "field differences[1].mask: unknown column; known are descr"),
    (_line(1, differences=_one_difference(description="  ")), "field differences[1].description: it is empty"),
    (_line(1, differences=_one_difference(box_2d="0 0 1 1")), 'field differences[1].box_2d: "0 0 1 1" is no list'),
    (_line(1, differences=_one_difference(box_2d=[0, 0, "9", 9])), 'field differences[1].box_2d[2]: "9" is no number'),
    (
        _line(1, differences=_one_difference(box_2d=[0, 0, True, 9])),
        "field differences[1].box_2d[2]: true is no number",
    ),
    (_line(1, differences=_one_difference(box_2d=[0, 0, 9])), "field differences[1].box_2d: a box has four numbers"),
    (_line(1, differences=_one_difference(box_2d=[0, 0, 1001, 9])), "differences[1].box_2d: box edge ymax is 1001"),
    (_line(1, differences=_one_difference(box_2d=[-1, 0, 10, 9])), "differences[1].box_2d: box edge ymin is -1"),
    (
        _line(1, differences=_one_difference(box_2d=[10, 0, 10, 9])),
        "differences[1].box_2d: box [10.0, 0.0, 10.0, 9.0] is",
    ),
    (_line(1, image_id="p0"), "field image_id: p0 stands in metadata.jsonl, line 1 too"),
    (_line(0), "field image_id: p0 stands in metadata.jsonl, line 1 too"),
    (_line(1, original="photos/absent.jpg"), "field original: photos/absent.jpg does not exist"),
    (_line(1, original="photos"), "field original: photos is no file"),
    (_line(1, original=""), "field original: '' is no relative path"),
    (_line(1, original="a\0b"), "field original: 'a\\x00b' is no relative path"),
    (_line(1, original="x" * 5000), "line 2, field original: "),
    (_line(1, original="/etc/hostname"), "field original: '/etc/hostname' is no relative path"),
    (_line(1, draft="../outside.png"), "field draft: ../outside.png lies outside"),
    (_line(1, draft="photos/../../outside.png"), "lies outside"),
    (_line(1, draft="drafts/link.png"), "field draft: drafts/link.png lies outside"),
    (_line(1, draft="drafts/pipe"), "field draft: drafts/pipe is no file"),
    (_line(1, draft="drafts/empty.png"), "field draft: empty.png can't be read as an image"),
    (_line(1, draft="drafts/text.png"), "field draft: text.png can't be read as an image"),
    (_line(1, draft="drafts/cut.png"), "field draft: cut.png can't be read as an image"),
    (_line(1, draft="drafts/long.png"), "field draft: long.png has 300 MiB"),
    (_line(1, draft="drafts/deep.tif"), "field draft: deep.tif"),
    (_line(1, sketches=["drafts/p0.png"]), ": it has 1 sketch; a sample has one for each of its 3 differences"),
    (_line(1, sketches="drafts/p0.png"), 'field sketches: "drafts/p0.png" is no list'),
    (_line(1, examples=["drafts/p0.png"] * 4), ": it has 4 examples; a sample has at most 3"),
    (_line(1, examples=["drafts/p0.png", 7]), "field examples[1]: 7 is no text"),
    (_line(1, examples=["drafts/absent.png"]), "field examples[0]: drafts/absent.png does not exist"),
    (_line(1, examples=["drafts/p0.png", "../outside.png"]), "field examples[1]: ../outside.png lies outside"),
    (_line(1, sketches=["drafts/p0.png"] * 2 + ["drafts/cut.png"]), "field sketches[2]: cut.png can't be read"),
    (_line(1, examples=[], examples_file_names=[]), "field examples_file_names: the examples is named twice"),
]


@pytest.fixture
def traps(source: Path) -> None:
    _photograph(source.parent / "outside.png", 7)
    _photograph(source / "photos/my photo.jpg", 8)
    drafts = source / "drafts"
    (drafts / "link.png").symlink_to(source.parent / "outside.png")
    os.mkfifo(drafts / "pipe")
    (drafts / "empty.png").touch()
    (drafts / "text.png").write_text("no image")
    (drafts / "cut.png").write_bytes((drafts / "p0.png").read_bytes()[:2000])
    with (drafts / "long.png").open("wb") as file:
        file.truncate(300 * 2**20)
    Image.fromarray(np.full((8, 8), 40_000, np.int32)).save(drafts / "deep.tif")


@pytest.mark.usefixtures("traps")
@pytest.mark.parametrize(("line", "message"), BAD_LINES, ids=[message[-40:] for _, message in BAD_LINES])
def test_bad_input_is_one_sentence_and_leaves_nothing(source: Path, tmp_path: Path, line: object, message: str) -> None:
    _metadata(source, _line(0), line, _line(2))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(InvalidDataError) as caught:
        pack(source, tmp_path / "out")
    text = str(caught.value)
    assert text.startswith("metadata.jsonl, line 2")
    assert message in text
    assert "\n" not in text
    assert len(text) < 5400
    assert set(tmp_path.rglob("*")) == before


def test_an_image_with_too_many_pixels_is_named(source: Path, tmp_path: Path) -> None:
    Image.new("1", (9_000, 9_000)).save(source / "drafts/p1.png")
    with pytest.raises(InvalidDataError, match=r"line 2, field draft: p1\.png has 9000×9000 pixels, more than"):
        pack(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_utf8_is_named(source: Path, tmp_path: Path) -> None:
    (source / "metadata.jsonl").write_bytes(json.dumps(_line(0)).encode() + b'\n{"annotation": "caf\xe9"}\n')
    with pytest.raises(InvalidDataError, match=r"metadata\.jsonl, line 2: byte 20 is not UTF-8"):
        pack(source, tmp_path / "out")


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_named(source: Path, tmp_path: Path, text: str) -> None:
    (source / "metadata.jsonl").write_text(text, "utf-8")
    with pytest.raises(InvalidDataError, match=r"metadata\.jsonl has no line"):
        pack(source, tmp_path / "out")


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_table", ["NFC", "NFD"])
def test_names_are_found_whatever_system_wrote_them(source: Path, tmp_path: Path, on_disk: str, in_table: str) -> None:
    folder = source / unicodedata.normalize(on_disk, "été")
    folder.mkdir()
    (source / "photos/p0.jpg").rename(folder / unicodedata.normalize(on_disk, "café 1.jpg"))
    line = _line(0)
    line["original"] = unicodedata.normalize(in_table, "été\\café 1.jpg")
    _metadata(source, line)
    assert pack(source, tmp_path / "out").rows == {"validation": 1}
    (identity,) = open_folder(tmp_path / "out", "validation").ids
    assert identity == safe_id("café 1")


def test_boxes_in_another_unit_and_empty_words_are_named(source: Path, tmp_path: Path) -> None:
    for change, fault in (
        ([{"description": f"d{k}", "box_2d": [0.1 * k, 0.1, 0.1 * k + 0.2, 0.4]} for k in (1, 2, 3)], "fractions"),
        ([{"description": f"d{k}", "box_2d": [10 * k, 10, 10 * k + 20, 40]} for k in (1, 2, 3)], "percent"),
        ([{"description": "n/a", "box_2d": [0, 100, 300, 400]}, *_line(0)["differences"][1:]], "says nothing"),
        ([{"description": "a", "box_2d": [0, 0, 1000, 999]}, *_line(0)["differences"][1:]], "whole image"),
    ):
        _metadata(source, {**_line(0), "differences": change})
        with pytest.raises(InvalidDataError, match=f"line 1, field differences: .*{fault}"):
            pack(source, tmp_path / "out")


@pytest.mark.parametrize("size", [(300, 450), (1500, 2000)])
def test_boxes_in_pixels_are_known_by_the_size_of_the_upright_original(
    source: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    width, height = size
    exif = Image.Exif()
    exif[0x0112] = 6  # the file lies on its side
    Image.new("RGB", (height, width)).save(source / "photos/p1.jpg", exif=exif)
    boxes = [[k * height // 4, width // 2, (k + 1) * height // 4, width - 10] for k in (1, 2, 3)]
    pixels = [{"description": f"thing {k}", "box_2d": box} for k, box in enumerate(boxes)]
    _metadata(source, _line(), _line(1, differences=pixels))
    message = f"line 2, field differences: the boxes seem to be pixels of an image of {width}×{height}"
    with pytest.raises(InvalidDataError, match=message):
        pack(source, tmp_path / "out")


def test_a_folder_without_metadata_or_with_too_much_is_named(source: Path, tmp_path: Path) -> None:
    _metadata(source / "train", _line(0))
    with pytest.raises(InvalidDataError, match=r"has metadata\.jsonl and train/metadata\.jsonl; keep one"):
        pack(source, tmp_path / "out")
    (source / "metadata.jsonl").unlink()
    for name in ("val", "validation"):
        _metadata(source / name, _line(0))
    with pytest.raises(InvalidDataError, match=r"validation/metadata\.jsonl and val/metadata\.jsonl; keep one"):
        pack(source, tmp_path / "out")
    with pytest.raises(DatasetNotFoundError, match=r"has no metadata\.jsonl"):
        pack(source / "photos", tmp_path / "out")
    with pytest.raises(DatasetNotFoundError, match="does not exist"):
        pack(source / "absent", tmp_path / "out")
    with pytest.raises(DatasetNotFoundError, match="is no folder"):
        pack(source / "photos/p0.jpg", tmp_path / "out")


def test_an_id_in_two_splits_is_named(source: Path, tmp_path: Path) -> None:
    (source / "metadata.jsonl").unlink()
    for name in ("train", "val"):
        _metadata(source / name, _line(0, original="../photos/p0.jpg", draft="../drafts/p0.png"))
    with pytest.raises(
        InvalidDataError, match=r"val/metadata\.jsonl, line 1, .* stands in train/metadata\.jsonl, line 1 too"
    ):
        pack(source, tmp_path / "out")


def test_a_target_that_is_taken_stays_as_it_is(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(InvalidDataError, match="exists and is not an empty folder"):
        pack(source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_after_a_kill_the_same_command_works(source: Path, tmp_path: Path) -> None:
    code = """if True:
        import os, signal, sys
        from fashionedit.builders.pack import pack
        def stop(done, total):
            if done == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        pack(sys.argv[1], sys.argv[2], progress=stop)
    """
    done = subprocess.run([sys.executable, "-c", code, str(source), str(tmp_path / "out")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert [path.name.endswith(".part") for path in tmp_path.glob(".out.*")] == [True]
    assert pack(source, tmp_path / "out").rows == {"validation": 4}
    assert not list(tmp_path.glob(".out.*"))


def test_real_photographs_go_through_unchanged(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "p").mkdir(parents=True)
    photos = [source / "p" / f"{number}.jpg" for number in range(4)]
    for path, found in zip(photos, pictures(4), strict=True):
        path.write_bytes(found if isinstance(found, bytes) else encode(found))
    _metadata(
        source,
        *(
            _line(original=f"p/{photo.name}", draft=f"p/{draft.name}")
            for photo, draft in zip(photos, photos[1:] + photos[:1], strict=True)
        ),
    )
    pack(source, tmp_path / "out")
    folder = open_folder(tmp_path / "out")
    assert folder.ids == tuple(photo.stem for photo in photos)
    for sample, photo in zip(folder, photos, strict=True):
        original = read_image(photo)
        assert sample.original.tobytes() == original.tobytes()
        assert folder.sizes(sample.id).original == original.size
        for difference in sample.differences:
            assert difference.reference.tobytes() == crop(original, difference.box).tobytes()


def test_the_example_in_the_documentation_is_packed(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "build.md").read_text("utf-8")
    (example,) = [part.split("```")[0] for part in page.split("```json\n")[1:] if part.startswith('{"original"')]
    _metadata(tmp_path / "source", example.strip())
    _photograph(tmp_path / "source" / "photos" / "1.jpg", 1, (300, 440))
    _photograph(tmp_path / "source" / "drafts" / "1.png", 2, (256, 256))
    pack(tmp_path / "source", tmp_path / "out")
    (sample,) = open_folder(tmp_path / "out", "validation")
    assert (sample.gender, sample.category, sample.view) == ("WOMEN", "Blazers", "front")
    fields = re.findall(r"`(\w+)`", page.split("| field | meaning |")[1])
    assert {*MetadataLine.model_fields} <= {*fields}
