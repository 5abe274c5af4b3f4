from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from fashionedit.errors import InvalidBoxError, InvalidDataError, InvalidImageError
from fashionedit.images import EncodedImage, pixel_digest, read_image
from fashionedit.rows import EncodedSample, SampleFacts, sample_of_row, stored_box
from fashionedit.schema import (
    COLUMNS,
    IMAGE_COLUMNS,
    OPTIONAL_COLUMNS,
    REFERENCE_COLUMNS,
    arrow_schema,
    features,
    features_for_card,
)


def test_columns_are_those_of_the_published_dataset():
    first = "image_id original_image annotation sd3_image differences crops sketches examples clip_score"
    assert list(COLUMNS) == [*first.split(), "gender", "category", "garment_id", "view"]
    assert {*IMAGE_COLUMNS, *OPTIONAL_COLUMNS} < set(COLUMNS)
    assert set(REFERENCE_COLUMNS) < set(IMAGE_COLUMNS)


def test_arrow_datasets_and_card_describe_the_same_columns():
    import datasets

    assert features().arrow_schema.equals(arrow_schema(), check_metadata=False)
    assert datasets.Features.from_arrow_schema(arrow_schema()) == features()
    assert datasets.Features._from_yaml_list(features_for_card()) == features()


def test_metadata_is_what_datasets_before_4_can_read():
    stored = arrow_schema().metadata[b"huggingface"].decode()
    described = json.loads(stored)["info"]["features"]
    assert '"List"' not in stored
    assert described["crops"]["_type"] == "Sequence"
    assert isinstance(described["differences"], list)
    assert described["differences"][0]["box_2d"]["_type"] == "Sequence"
    assert described["sd3_image"] == {"_type": "Image"}


def test_a_sample_comes_back_as_it_went(draw):
    sample = draw(3)
    back = sample_of_row(EncodedSample.of(sample).row())
    assert (back.id, back.annotation, back.clip_score) == (sample.id, sample.annotation, sample.clip_score)
    assert (back.gender, back.category, back.garment_id, back.view) == ("WOMEN", "Dresses", "00000001", "front")
    assert back.garment == sample.garment == SampleFacts.of_sample(sample).garment
    for one, other in zip(back.differences, sample.differences, strict=True):
        assert one.description == other.description
        assert one.box.box_2d == tuple(float(np.float32(edge)) for edge in other.box.box_2d)
        assert one.reference.tobytes() == other.reference.tobytes()
    assert pixel_digest(back.original) == pixel_digest(sample.original)
    assert pixel_digest(back.draft) == pixel_digest(sample.draft)


def test_unknown_facts_stay_unknown(draw):
    sample = draw(0, clip_score=None, gender=None, category=None, garment_id=None, view=None)
    back = sample_of_row(EncodedSample.of(sample).row())
    assert [getattr(back, name) for name in OPTIONAL_COLUMNS] == [None] * len(OPTIONAL_COLUMNS)
    assert back.garment == SampleFacts.of_sample(sample).garment == "toy-000"


def test_a_box_that_32_bits_make_empty_is_refused():
    assert stored_box([100.1, 0, 200, 1000]).ymin == float(np.float32(100.1))
    with pytest.raises(InvalidBoxError, match="is empty"):
        stored_box([500, 0, 500.00000001, 10])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": None}, "image_id is empty"),
        ({"image_id": "../up"}, "no safe file name"),
        ({"annotation": None}, "annotation is empty"),
        ({"differences": None}, "differences is empty"),
        ({"differences": []}, "has 0 differences; a sample has exactly 3"),
        ({"differences": [None] * 3}, "difference 1 lacks"),
        ({"differences": [{"description": None, "box_2d": [0.0, 0, 1, 1]}] * 3}, "difference 1 lacks"),
        ({"differences": [{"description": " ", "box_2d": [0.0, 0, 1, 1]}] * 3}, "without description"),
        ({"differences": [{"description": "a", "box_2d": [0.0, 0, 1]}] * 3}, "four numbers"),
        ({"differences": [{"description": "a", "box_2d": [0.0, 0, None, 1]}] * 3}, "must be a number"),
        ({"differences": [{"description": "a", "box_2d": [0.0, 0, 1001, 1]}] * 3}, "0..1000"),
        ({"differences": [{"description": "a", "box_2d": [0.0, 0, float("nan"), 1]}] * 3}, "must be a number"),
        ({"crops": None}, "crops has 0 images"),
        ({"crops": [None] * 3}, "the crop 1 holds no bytes"),
        ({"original_image": {"bytes": None, "path": "a.png"}}, "the original holds no bytes"),
        ({"sd3_image": {"bytes": b"no image", "path": None}}, "the draft of sample toy-000 can't be read"),
        ({"sketches": [{"bytes": b"x", "path": None}]}, "has 1 sketch; a sample has one for each"),
        ({"examples": [{"bytes": b"x", "path": None}] * 4}, "has 4 examples"),
        ({"examples": [None]}, "the example 1 holds no bytes"),
        ({"sketches": [{"bytes": b"", "path": "a.png"}] * 3}, "the sketch 1 holds no bytes"),
        ({"examples": [{"bytes": b"no image", "path": None}]}, "the example 1 of sample toy-000 can't be read"),
    ],
)
def test_a_row_that_breaks_a_rule_is_named(draw, change, message):
    row = {**EncodedSample.of(draw(0)).row(), **change}
    with pytest.raises(InvalidDataError, match=message):
        sample_of_row(row)


def _file(path, image, kind, **options):
    image.save(path, kind, **options)
    return path


def test_upright_rgb_files_keep_their_bytes(tmp_path, draw):
    image = draw(0).original
    for path in (
        _file(tmp_path / "a.jpg", image, "JPEG", quality=80),
        _file(tmp_path / "b.png", image, "PNG", compress_level=9),
    ):
        stored, decoded = EncodedImage.from_file(path, name="it")
        assert stored.data == path.read_bytes()
        assert f".{stored.suffix}" == path.suffix
        assert stored.digest == pixel_digest(decoded) == pixel_digest(read_image(path))
        assert stored.size == (64, 96)


def test_other_files_become_png_without_losing_a_pixel(tmp_path, draw):
    image = draw(0).original
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = image.convert("RGBA")
    clear.putalpha(100)
    files = [
        _file(tmp_path / "turned.jpg", image, "JPEG", exif=turned),
        _file(tmp_path / "turned.png", image, "PNG", exif=turned),
        _file(tmp_path / "palette.png", image.quantize(16), "PNG"),
        _file(tmp_path / "grey.png", image.convert("L"), "PNG"),
        _file(tmp_path / "clear.png", clear, "PNG"),
        _file(tmp_path / "frames.png", image, "PNG", save_all=True, append_images=[image.rotate(90)]),
        _file(tmp_path / "lossless.webp", image, "WEBP", lossless=True),
        _file(tmp_path / "cmyk.jpg", image.convert("CMYK"), "JPEG"),
        _file(tmp_path / "key.png", image, "PNG", transparency=(1, 2, 3)),
    ]
    for path in files:
        stored, decoded = EncodedImage.from_file(path, name="it")
        with Image.open(io.BytesIO(stored.data)) as again:
            assert (again.format, again.mode) == ("PNG", "RGB"), path.name
            assert not again.getexif()
        assert pixel_digest(read_image(stored.data)) == stored.digest == pixel_digest(read_image(path)), path.name
        assert stored.size == decoded.size
    assert EncodedImage.from_file(files[0], name="it")[0].size == (96, 64)


def test_files_that_are_none_or_too_large_are_named(tmp_path, monkeypatch):
    with pytest.raises(InvalidImageError, match="line 1 does not exist"):
        EncodedImage.from_file(tmp_path / "absent.png", name="line 1")
    with pytest.raises(InvalidImageError, match="line 1 is no file"):
        EncodedImage.from_file(tmp_path, name="line 1")
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(300 * 2**20)
    with pytest.raises(InvalidImageError, match="line 1 has 300 MiB, more than the 256 MiB"):
        EncodedImage.from_file(large, name="line 1")
