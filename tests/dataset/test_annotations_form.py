from __future__ import annotations

import hashlib
import json

import datasets
import pyarrow.parquet as pq
import pytest
from publishing_toys import caption, encode, identity, picture, sample, write_full

from fashionedit.annotations_form import ALLOWED_COLUMNS, caption_check, write_annotations
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.folder import open_folder
from fashionedit.manifest import read_manifest
from fashionedit.schema import COLUMNS


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    rows = [sample(number, sketches=number == 0, examples=(1,) if number == 0 else ()) for number in range(6)]
    sections = [("How it was made", "By hand."), ("Private", "Not for others."), ("Citation", "A paper.")]
    folder = tmp_path_factory.mktemp("full") / "toys"
    return write_full(folder, rows, sections=sections, files={"eval.yaml": b"name: toys\n", "notes.txt": b"mine"})


@pytest.fixture(scope="module")
def annotations(full):
    out = full.with_name("annotations")
    write_annotations(full, out, workers=2)
    return out


def test_only_allowed_columns_have_values(annotations):
    for path in annotations.rglob("*.parquet"):
        table = pq.read_table(path)
        assert table.column_names == list(COLUMNS)
        for name in COLUMNS:
            assert table.column(name).null_count == (0 if name in ALLOWED_COLUMNS else len(table)), name


def test_a_plain_load_dataset_opens_it(annotations, tmp_path):
    found = datasets.load_dataset(str(annotations), cache_dir=str(tmp_path), split="train")
    assert found[0]["original_image"] is found[0]["annotation"] is found[0]["crops"] is found[0]["sketches"] is None
    assert found[0]["sd3_image"].tobytes() == picture(1000, 256, 256).tobytes()
    assert found["image_id"] == [identity(number) for number in range(4)]
    assert len(found[0]["differences"]) == 3


def test_the_manifest_names_no_picture_but_drafts_and_has_the_hashes_of_the_rest(full, annotations):
    manifest = read_manifest(annotations)
    drafts = {open_folder(full, "train+validation").digests(identity(number)).draft for number in range(6)}
    assert {image.pixels for image in manifest.images.values()} == drafts
    assert manifest.form == "annotations"
    digests = open_folder(full, "train").digests(identity(0))
    hashes = manifest.samples[identity(0)]
    assert hashes.original.pixels == digests.original
    assert hashes.original.size == (240, 320)
    assert hashes.file == hashlib.sha256(encode(picture(0), quality=92)).hexdigest()
    assert hashes.caption == caption_check(identity(0), caption(0))
    assert len(hashes.caption) == 2
    assert hashes.references == {
        "crops": digests.crops,
        "sketches": digests.sketches,
        "examples": digests.examples,
    }
    assert manifest.samples[identity(1)].references.keys() == {"crops"}
    text = (annotations / "manifest.json").read_text()
    assert text == manifest.to_json()
    assert json.loads(text)["samples"].keys() == {identity(number) for number in range(6)}


@pytest.mark.parametrize("split", ["train", "val", "train+validation", "validation+train"])
def test_its_manifest_hash_is_that_of_the_full_set(full, annotations, split):
    assert open_folder(annotations, split, facts_only=True).manifest_hash == open_folder(full, split).manifest_hash


def test_the_same_folder_gives_the_same_bytes(full, annotations, tmp_path):
    write_annotations(full, tmp_path / "annotations", workers=1)
    for path in annotations.rglob("*.*"):
        assert (tmp_path / path.relative_to(annotations.parent)).read_bytes() == path.read_bytes()


def test_the_card_says_what_is_missing_and_how_to_fill_it_in(annotations):
    card = (annotations / "README.md").read_text()
    for words in ("annotations form", "hydrate", "DeepFashion-MultiModal", "non-commercial", "By hand.", "A paper."):
        assert words in card
    assert "Not for others." not in card
    assert {path.name for path in annotations.glob("[!.]*")} == {"README.md", "manifest.json", "eval.yaml", "data"}


def test_other_photographs_are_not_called_deepfashion(toy_folder, tmp_path):
    write_annotations(toy_folder, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "DeepFashion" not in card
    assert "keep the terms" in card


def test_samples_are_refused_and_facts_are_given(annotations):
    with pytest.raises(
        InvalidDataError, match=r"annotations form.*run|annotations form.*fashionedit hydrate"
    ) as refused:
        open_folder(annotations)
    assert str(refused.value).count("\n") == 0
    opened = open_folder(annotations, facts_only=True)
    assert opened.facts(identity(4)).annotation == ""
    assert opened.facts(identity(4)).descriptions[2] == "a collar of kind 2 and number 4"
    assert opened.row(identity(4))["original_image"] is None


def test_what_has_no_annotations_form_is_refused(annotations, tmp_path):
    with pytest.raises(InvalidDataError, match="annotations form already"):
        write_annotations(annotations, tmp_path / "out")
    with pytest.raises(DatasetNotFoundError, match="does not exist"):
        write_annotations(tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_progress_ends_with_every_sample(full, tmp_path):
    seen = []
    write_annotations(full, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 6) for number in range(1, 7)]
