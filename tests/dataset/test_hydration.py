from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace

import datasets
import pytest
from hub_server import HubServer
from PIL import Image
from publishing_toys import (
    caption,
    encode,
    identity,
    photograph,
    picture,
    python,
    sample,
    toy_sketch,
    write_full,
    write_photographs,
)

import fashionedit
from fashionedit.annotations_form import write_annotations
from fashionedit.cli import main
from fashionedit.data import register_folder
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.folder import open_folder
from fashionedit.hydration import check_hydration, hydrate
from fashionedit.images import EncodedImage

BOTH = "train+validation"


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return write_full(tmp_path_factory.mktemp("full") / "toys", files={"eval.yaml": b"name: toys\n"})


@pytest.fixture(scope="module")
def annotations(full):
    write_annotations(full, full.with_name("annotations"))
    return full.with_name("annotations")


@pytest.fixture
def photos(tmp_path):
    return write_photographs(tmp_path / "photos")


def refused(*arguments, **options):
    with pytest.raises(InvalidDataError) as error:
        hydrate(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_full_set_comes_back(full, annotations, photos, tmp_path):
    report = hydrate(annotations, photos, tmp_path / "out")
    assert report.identical
    assert (report.wanted, report.filled, report.problems, report.re_encoded) == (6, 6, {}, ())
    for split in ("train", "validation", BOTH):
        assert open_folder(tmp_path / "out", split).manifest_hash == open_folder(full, split).manifest_hash
    for path in full.rglob("*.parquet"):
        assert (tmp_path / "out" / path.relative_to(full)).read_bytes() == path.read_bytes()
    assert (tmp_path / "out" / "eval.yaml").read_bytes() == b"name: toys\n"
    assert open_folder(tmp_path / "out").name == "toys"
    assert "Do not pass this folder on" in (tmp_path / "out" / "README.md").read_text()


def test_everything_that_can_be_wrong_is_counted_at_once(annotations, photos, tmp_path):
    photograph(photos, 0).unlink()
    with Image.open(photograph(photos, 1)) as image:
        lossy = encode(image, quality=60)
    photograph(photos, 1).write_bytes(lossy)
    photograph(photos, 2).write_bytes(b"no picture")
    texts = json.loads((photos / "captions.json").read_text())
    texts[f"{identity(3)}.jpg"] = "Something else."
    del texts[f"{identity(4)}.jpg"]
    (photos / "captions.json").write_text(json.dumps(texts))
    message = refused(annotations, photos, tmp_path / "out")
    for words in ("5 of 6", "missing: 1", "can't be read: 1", "different: 1", "no caption: 1", "caption different: 1"):
        assert words in message
    report = hydrate(annotations, photos, tmp_path / "out", partial=True)
    assert report.filled == 1
    assert not report.identical
    assert {kind: len(ids) for kind, ids in report.problems.items()} == Counter(
        ["missing", "different", "unreadable", "no caption", "caption different"]
    )
    assert open_folder(tmp_path / "out", "validation").ids == (identity(5),)
    assert "the set is not the published one" in "\n".join(report.sentences())


def test_a_photograph_re_encoded_without_loss_is_the_same(full, annotations, photos, tmp_path):
    with Image.open(photograph(photos, 1)) as image:
        pixels = image.convert("RGB")
    photograph(photos, 1).unlink()
    photograph(photos, 1).with_suffix(".png").write_bytes(encode(pixels, "PNG"))
    report = hydrate(annotations, photos, tmp_path / "out")
    assert report.identical
    assert report.re_encoded == (identity(1),)
    assert open_folder(tmp_path / "out", BOTH).manifest_hash == open_folder(full, BOTH).manifest_hash


def test_the_right_one_of_several_files_of_one_name_is_taken(annotations, photos, tmp_path):
    photograph(photos, 0).with_suffix(".png").write_bytes(encode(picture(5), "PNG"))
    (photos / f"{identity(1)}.jpg").write_bytes(b"a torn download")
    assert hydrate(annotations, photos, tmp_path / "out").identical


def test_captions_come_from_any_usual_file(annotations, photos, tmp_path):
    (photos / "captions.json").unlink()
    assert "no captions.json" in refused(annotations, photos, tmp_path / "out")
    lines = [{"file_name": f"images/{identity(n)}.jpg", "text": f" {caption(n)} "} for n in range(6)]
    (photos / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert hydrate(annotations, photos, tmp_path / "jsonl").identical
    (photos / "metadata.jsonl").unlink()
    (photos / "garments.csv").write_text("label,colour\n1,red\n")
    rows = "".join(f'{identity(n)}.jpg,"{caption(n)}"\n' for n in range(6))
    (photos / "texts.csv").write_text(f"image,caption\n{rows}", encoding="utf-8-sig")
    assert hydrate(annotations, photos, tmp_path / "csv").identical
    shutil.move(photos / "texts.csv", tmp_path / "texts.csv")
    assert hydrate(annotations, photos, tmp_path / "given", captions=tmp_path / "texts.csv").identical


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("captions.json", "{", "can't be read"),
        ("captions.json", "[1]", "no JSON object of captions"),
        ("captions.json", '{"a.jpg": 3}', "no JSON object of captions"),
        ("lines.jsonl", "3\n", "no JSON object"),
        ("lines.jsonl", '{"image": "a.jpg"}\n', "has no captions"),
        ("table.csv", "image,label\na.jpg,3\n", "has no captions"),
        ("absent.csv", None, "can't be read"),
    ],
)
def test_captions_that_can_not_be_read_are_one_sentence(annotations, photos, tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_text(content)
    assert says in refused(annotations, photos, tmp_path / "out", captions=tmp_path / name)


def test_captions_and_ids_come_from_any_column(annotations, photos, tmp_path):
    (photos / "captions.json").unlink()
    for number in range(6):
        (path,) = photos.rglob(f"{identity(number)}.*")
        path.rename(photos / f"IMG_{number}{path.suffix}")
    rows = "".join(f'IMG_{n},"{caption(n)}",{identity(n)},7\n' for n in range(6))
    (photos / "metadata.csv").write_text(f"datei,legende,artikel,zahl\n{rows}")
    assert hydrate(annotations, photos, tmp_path / "out").identical


def test_captions_come_from_a_text_beside_each_photograph(annotations, photos, tmp_path):
    (photos / "captions.json").unlink()
    for number in range(6):
        (path,) = photos.rglob(f"{identity(number)}.*")
        path.with_suffix(".txt").write_text(f"{caption(number)}\n")
    assert hydrate(annotations, photos, tmp_path / "out").identical


def test_what_could_not_be_filled_in_is_found_out_before_it_is_published(tmp_path):
    rows = [sample(n) for n in range(3)]
    write_full(tmp_path / "good", rows)
    write_annotations(tmp_path / "good", tmp_path / "good-annotations")
    check_hydration(tmp_path / "good-annotations", tmp_path / "good")
    rows[1] = replace(rows[1], images=replace(rows[1].images, crops=rows[0].images.crops))
    write_full(tmp_path / "bad", rows)
    write_annotations(tmp_path / "bad", tmp_path / "bad-annotations")
    with pytest.raises(InvalidDataError, match=f"sample {identity(1)} could not be filled in again"):
        check_hydration(tmp_path / "bad-annotations", tmp_path / "bad")


def test_a_set_without_captions_needs_none(tmp_path):
    rows = [replace(sample(n), facts=replace(sample(n).facts, annotation="")) for n in range(3)]
    write_annotations(write_full(tmp_path / "full", rows), tmp_path / "annotations")
    photos = write_photographs(tmp_path / "photos", range(3))
    (photos / "captions.json").unlink()
    assert hydrate(tmp_path / "annotations", photos, tmp_path / "out").identical


def test_crops_that_were_not_cut_by_the_box_are_found_out(tmp_path):
    images = sample(1).images
    other = replace(images, crops=(EncodedImage.of(picture(50)), *images.crops[1:]))
    rows = [sample(0), replace(sample(1), images=other)]
    write_annotations(write_full(tmp_path / "full", rows), tmp_path / "annotations")
    photos = write_photographs(tmp_path / "photos", range(2))
    message = refused(tmp_path / "annotations", photos, tmp_path / "out")
    assert f"crops were not cut from the photograph by the box: 1 ({identity(1)})" in message
    assert not list(tmp_path.glob(".out*"))


def test_sketches_are_drawn_again_and_examples_found_again(tmp_path):
    rows = [sample(n, sketches=True, examples=(n ^ 1,)) for n in range(6)]
    full = write_full(tmp_path / "full", rows)
    write_annotations(full, tmp_path / "annotations")
    photos = write_photographs(tmp_path / "photos")
    report = hydrate(tmp_path / "annotations", photos, tmp_path / "out", sketch=toy_sketch)
    assert report.identical
    assert open_folder(tmp_path / "out", BOTH).manifest_hash == open_folder(full, BOTH).manifest_hash

    report = hydrate(tmp_path / "annotations", photos, tmp_path / "plain")
    assert (report.filled, report.identical) == (6, False)
    assert len(report.without["sketches"]) == 6
    assert "left without sketches: 6" in "\n".join(report.sentences())
    assert "examples" not in report.without
    assert open_folder(tmp_path / "plain").sample(identity(5)).examples[0].size == (240, 320)

    lacking = write_photographs(tmp_path / "lacking", (0, 2, 4))
    report = hydrate(tmp_path / "annotations", lacking, tmp_path / "less", partial=True, sketch=toy_sketch)
    assert report.without == {"examples": (identity(0), identity(2), identity(4))}


def test_places_that_are_not_what_they_must_be_are_one_sentence(full, annotations, photos, tmp_path):
    assert "is not the annotations form" in refused(full, photos, tmp_path / "out")
    assert "not an empty folder" in refused(annotations, photos, photos)
    (tmp_path / "empty").mkdir()
    for place, says in ((tmp_path / "nowhere", "does not exist"), (tmp_path / "empty", "holds no photographs")):
        with pytest.raises(DatasetNotFoundError, match=says):
            hydrate(annotations, place, tmp_path / "out")
    (tmp_path / "empty" / "cat.jpg").write_bytes(encode(picture(0)))
    with pytest.raises(InvalidDataError, match="check that these are the photographs"):
        hydrate(annotations, tmp_path / "empty", tmp_path / "out", partial=True, captions=photos / "captions.json")
    broken = shutil.copytree(annotations, tmp_path / "broken")
    manifest = json.loads((broken / "manifest.json").read_text())
    del manifest["samples"][identity(3)]
    (broken / "manifest.json").write_text(json.dumps(manifest))
    assert f"no hashes for 1 samples ({identity(3)})" in refused(broken, photos, tmp_path / "out")


def test_load_dataset_fills_in_from_a_folder_of_photographs(full, annotations, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("FASHIONEDIT_DATA", str(annotations))
    options = {"data_dir": str(photos), "cache_dir": str(tmp_path / "datasets")}
    found = datasets.load_dataset("fashionedit", split="validation", **options)
    assert found["annotation"] == [caption(4), caption(5)]
    assert found[0]["original_image"].size == (240, 320)
    assert len(found[0]["crops"]) == 3
    streamed = datasets.load_dataset("fashionedit", split="train", streaming=True, **options)
    assert [row["annotation"] for row in streamed] == [caption(number) for number in range(4)]
    assert fashionedit.open_data(photos, BOTH).manifest_hash == open_folder(full, BOTH).manifest_hash
    copies = [path for path in (fashionedit.files.cache_folder() / "hydrated").iterdir() if path.is_dir()]
    assert len(copies) == 1

    photograph(photos, 0).write_bytes(encode(picture(3), quality=92))
    with pytest.raises(InvalidDataError, match="photograph different: 1"):
        fashionedit.open_data(photos)


def test_the_registered_folder_is_filled_in_too(full, annotations, photos):
    register_folder(annotations)
    assert fashionedit.open_data(str(photos)).manifest_hash == open_folder(full).manifest_hash
    register_folder(full)
    with pytest.raises(InvalidDataError, match="is not the annotations form"):
        fashionedit.open_data(str(photos))


def test_photographs_without_annotations_are_one_sentence(photos):
    with pytest.raises(DatasetNotFoundError, match=r"holds photographs and no FashionEdit files.*FASHIONEDIT_REPO"):
        fashionedit.open_data(photos)


@pytest.mark.slow
def test_by_name_from_the_hub_and_filled_in(full, annotations, photos, tmp_path):
    with HubServer() as hub:
        repository = hub.create("datasets", "some-org/fashion-set", private=True)
        files = {path.relative_to(annotations).as_posix(): path.read_bytes() for path in annotations.rglob("*.*")}
        repository.commit("main", files)
        code = f"""
import datasets, fashionedit
plain = datasets.load_dataset("fashionedit", split="train")
print(plain[0]["original_image"], plain[0]["annotation"], plain[0]["sd3_image"].size)
found = datasets.load_dataset("fashionedit", data_dir={str(photos)!r}, split="train")
print(found[0]["original_image"].size, found[0]["annotation"] is not None)
print(fashionedit.open_data({str(photos)!r}, "train").manifest_hash)
"""
        environment = {**hub.environment(), "FASHIONEDIT_REPO": "some-org/fashion-set"}
        done = python(environment=environment, home=tmp_path, code=code)
    assert done.stdout.splitlines() == [
        "None None (256, 256)",
        "(240, 320) True",
        open_folder(full, "train").manifest_hash,
    ], done.stderr


def test_the_command_prints_what_was_found(annotations, photos, tmp_path, capsys):
    main(["hydrate", str(annotations), str(photos), str(tmp_path / "out"), "--quiet"])
    assert "6 of 6 samples are filled in\nthe set is the published one" in capsys.readouterr().out
    main(["hydrate", str(annotations), str(photos), str(tmp_path / "again"), "--json", "--quiet"])
    assert json.loads(capsys.readouterr().out)["identical"] is True
    photograph(photos, 2).unlink()
    with pytest.raises(SystemExit):
        main(["hydrate", str(annotations), str(photos), str(tmp_path / "third"), "--json", "--quiet"])
    told = capsys.readouterr()
    assert json.loads(told.out)["problems"] == {"missing": [identity(2)]}
    assert told.err.startswith("fashionedit: 1 of 6 samples can't be filled in: ")
    assert f"photograph missing: 1 ({identity(2)})" in told.err
    assert "--partial" in told.err
    assert not (tmp_path / "third").exists()
