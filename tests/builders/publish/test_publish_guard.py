"""What must not be sent is planted wherever it could be, and the guard that looks at the files finds it."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from publishing_toys import caption, encode, identity, photographs, picture, sample, toy_sketch, write_full

from fashionedit import perceptual_hash
from fashionedit.annotations_form import write_annotations
from fashionedit.builders.publish.dataset import publish_dataset
from fashionedit.builders.publish.guard import CaptionSearch, check_files, files_to_send
from fashionedit.errors import InvalidDataError
from fashionedit.images import EncodedImage, crop
from fashionedit.perceptual_hash import FingerprintIndex, fingerprint

TRAIN = "data/train-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    rows = [sample(number, sketches=number == 1, examples=(4,) if number == 0 else ()) for number in range(6)]
    return write_full(tmp_path_factory.mktemp("full") / "toys", rows, files={"eval.yaml": b"name: toys\n"})


@pytest.fixture
def staged(full, tmp_path):
    write_annotations(full, tmp_path / "staged")
    return tmp_path / "staged"


def change_rows(path, change, *, schema=None):
    """Writes the Parquet file anew with other rows."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema or table.schema), path)


def dry_run(tmp_path, rows, **options):
    return publish_dataset(write_full(tmp_path / "full", rows, **options), "org/name", dry_run=True)


def refusal(staged, full):
    with pytest.raises(InvalidDataError) as error:
        check_files(staged, full)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_annotations_form_passes(staged, full):
    seen = []
    check_files(staged, full, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (12, 12)
    names = [path.as_posix() for path in files_to_send(staged)]
    assert names == ["README.md", TRAIN, "data/validation-00000-of-00001.parquet", "eval.yaml", "manifest.json"]


@pytest.mark.parametrize("name", ["photo.jpg", "data/extra.parquet", "data/.hidden", "data/train-1.parquet/x.jpg"])
def test_another_file_is_refused(staged, full, name):
    (staged / name).parent.mkdir(exist_ok=True)
    (staged / name).write_bytes(encode(picture(0)))
    assert f"{name} must not be sent" in refusal(staged, full)


def test_a_link_is_refused(staged, full):
    (staged / "eval.yaml").unlink()
    (staged / "eval.yaml").symlink_to(full / "README.md")
    assert "eval.yaml must not be sent" in refusal(staged, full)


@pytest.mark.parametrize("file", ["README.md", "manifest.json", "eval.yaml"])
@pytest.mark.parametrize(
    "form",
    [
        str,
        str.upper,
        lambda text: json.dumps(text).replace(" ", "\\u0020"),
        lambda text: text.replace(" ", "\n> "),
        lambda text: text.replace(" ", " - ").replace(",", ""),
        lambda text: " ".join(text.split()[5:20]),
    ],
    ids=["as it is", "capitals", "escaped", "quoted", "with dashes", "a part of it"],
)
def test_a_caption_in_a_text_is_refused(staged, full, file, form):
    with (staged / file).open("a", encoding="utf-8") as text:
        text.write(f"\n{form(caption(3))}\n")
    assert f"{file} holds the caption of sample {identity(3)}" in refusal(staged, full)


SMALL_PICTURE = base64.b64encode(encode(picture(0).resize((48, 64)), quality=60)).decode()
PROFILED = encode(picture(1000, 256, 256), "PNG", icc_profile=b"a profile")

PLANTED_IN_ROWS = {
    "a caption": (
        lambda rows: rows[1]["differences"][2].update(description=f"sleeves; {caption(5).lower()}!"),
        f"sample {identity(1)} holds the caption of sample {identity(5)}",
    ),
    **{
        f"a caption as {column}": (
            lambda rows, column=column: rows[0].update({column: caption(0)}),
            "holds the caption",
        )
        for column in ("gender", "category", "garment_id", "view")
    },
    "a caption as a path": (lambda rows: rows[0]["sd3_image"].update(path=caption(0)), "holds the caption"),
    "an encoded file": (
        lambda rows: rows[0]["differences"][0].update(description=f"look: data:image/jpeg;base64,{SMALL_PICTURE}"),
        "may be an encoded file",
    ),
    **{
        column: (lambda rows, column=column, value=value: rows[2].update({column: value}), f"{column} is not null")
        for column, value in {
            "annotation": "short",
            "original_image": {"bytes": b"x", "path": None},
            "crops": [{"bytes": b"x", "path": None}],
            "sketches": [],
            "examples": [{"bytes": b"x", "path": None}],
        }.items()
    },
    "another row's draft": (
        lambda rows: rows[0].update(sd3_image=rows[1]["sd3_image"]),
        "is not the draft of this sample",
    ),
    "a torn picture": (lambda rows: rows[0]["sd3_image"].update(bytes=b"torn"), "can't be read as an image"),
    "metadata": (lambda rows: rows[0]["sd3_image"].update(bytes=PROFILED), "holds more than the picture"),
}


@pytest.mark.parametrize(("plant", "sentence"), PLANTED_IN_ROWS.values(), ids=PLANTED_IN_ROWS)
def test_what_is_planted_in_a_row_is_refused(staged, full, plant, sentence):
    change_rows(staged / TRAIN, plant)
    assert sentence in refusal(staged, full)


def test_a_further_column_is_refused(staged, full):
    table = pq.read_table(staged / TRAIN)
    pq.write_table(table.append_column("note", pa.array(["x"] * len(table))), staged / TRAIN)
    assert "has the column note" in refusal(staged, full)


def test_a_further_field_of_a_difference_is_refused(staged, full):
    table = pq.read_table(staged / TRAIN)
    field = pa.list_(
        pa.struct([("description", pa.string()), ("box_2d", pa.list_(pa.float32())), ("why", pa.string())])
    )
    schema = table.schema.set(table.schema.get_field_index("differences"), pa.field("differences", field))
    change_rows(staged / TRAIN, lambda rows: rows[0]["differences"][0].update(why="x"), schema=schema)
    assert "differences have the field why" in refusal(staged, full)


def test_a_caption_in_the_metadata_of_parquet_is_refused(staged, full):
    table = pq.read_table(staged / TRAIN)
    pq.write_table(table.replace_schema_metadata({"note": caption(2)}), staged / TRAIN)
    assert "the metadata note" in refusal(staged, full)


PLANTED_PICTURES = {
    "an original": lambda image: encode(image, "PNG"),
    "an original, small": lambda image: encode(image.resize((60, 80)), "PNG"),
    "an original, large": lambda image: encode(image.resize((512, 512)), "PNG"),
    "an original, poor": lambda image: encode(image, quality=25),
    "an original, small and poor": lambda image: encode(image.resize((120, 160)), "WEBP", quality=40),
    "a crop": lambda image: encode(crop(image, sample(0).facts.boxes[2]), "PNG"),
    "a crop, large": lambda image: encode(crop(image, sample(0).facts.boxes[2]).resize((512, 512)), quality=70),
    "a sketch": lambda image: encode(toy_sketch(crop(image, sample(0).facts.boxes[1])), quality=85),
}


@pytest.mark.parametrize("name", PLANTED_PICTURES)
def test_a_draft_that_shows_a_photograph_is_refused(name, tmp_path):
    images = photographs(4)
    rows = [sample(number, original=image, sketches=True) for number, image in enumerate(images)]
    rows[2] = sample(2, original=images[2], draft=PLANTED_PICTURES[name](images[1]))
    with pytest.raises(InvalidDataError, match=rf"sample {identity(2)}.*must not be sent"):
        dry_run(tmp_path, rows)


def test_an_example_as_a_draft_is_refused(tmp_path):
    rows = [sample(0, examples=(9,)), sample(1, draft=encode(picture(9).resize((200, 200)), quality=60))]
    with pytest.raises(InvalidDataError, match=f"the draft shows the example 1 of sample {identity(0)}"):
        dry_run(tmp_path, rows)


def test_drafts_that_were_generated_pass_beside_their_photographs(tmp_path):
    images = photographs(8)
    rows = [
        sample(number, original=image, draft=encode(images[number + 4].resize((256, 256)), "PNG"))
        for number, image in enumerate(images[:4])
    ]  # other garments of the same kind on the same grounds: nearer to the originals than a draft has to be
    assert dry_run(tmp_path, rows).files


def test_the_control_set_passes_though_its_drafts_are_drawn_like_its_originals(tmp_path):
    rows = [sample(n, draft=encode(picture(n).resize((200, 260)), "PNG")) for n in range(3)]
    assert dry_run(tmp_path, rows, control_set=True, renderer="toys 1").files
    rows = [sample(n, draft=rows[n].images.original.data) for n in range(3)]
    shutil.rmtree(tmp_path / "full")
    with pytest.raises(InvalidDataError, match="the very picture"):
        dry_run(tmp_path, rows, control_set=True)


def test_short_captions_are_not_looked_for():
    search = CaptionSearch({"a": "Long black dress.", "b": "Long black dress, red"})
    assert search.find("a long black dress") is None
    assert search.find("A LONG black-dress (red) with a belt") == "b"
    assert search.find("") is None


def test_the_search_agrees_with_looking_for_every_run_of_words():
    chance = np.random.default_rng(0)
    words = [f"w{number}" for number in range(3)]
    captions = {str(k): " ".join(chance.choice(words, chance.integers(2, 20))) for k in range(7)}
    search = CaptionSearch(captions)
    found = 0
    for _ in range(300):
        text = " ".join(chance.choice(words, 30))
        held = [
            key
            for key, one in captions.items()
            if (parts := one.split()) and (length := min(len(parts), 12)) >= 4
            if any(
                f" {' '.join(parts[start : start + length])} " in f" {text} "
                for start in range(len(parts) - length + 1)
            )
        ]
        assert (search.find(text) is not None) == bool(held)
        assert search.find(text) in [*held, None]
        found += bool(held)
    assert 20 < found < 280


def test_flat_pictures_are_like_nothing():
    flat = [fingerprint(Image.new("RGB", (40, 40), colour)) for colour in ("white", "black", "red")]
    known = FingerprintIndex(["white", "black", "photograph"], [*flat[:2], fingerprint(picture(0))])
    assert known.find(flat) == [None, None, None]
    assert known.find([fingerprint(picture(0).resize((99, 99)))]) == ["photograph"]
    assert known.find([]) == FingerprintIndex([], []).find([]) == []
    assert FingerprintIndex([], []).find(flat) == [None] * 3


def test_likeness_in_blocks_agrees_with_one_by_one(monkeypatch):
    known = [fingerprint(picture(seed)) for seed in range(30)]
    asked = [fingerprint(picture(seed).resize((100, 100))) for seed in range(0, 60, 7)]
    names = [str(seed) for seed in range(30)]
    expected = [
        next((n for n, one in zip(names, known, strict=True) if FingerprintIndex([n], [one]).find([a])[0]), None)
        for a in asked
    ]
    monkeypatch.setattr(perceptual_hash, "_BLOCK", 7)
    assert FingerprintIndex(names, known).find(asked) == expected
    assert expected == [str(seed) if seed < 30 else None for seed in range(0, 60, 7)]


def test_a_caption_that_a_model_repeated_names_the_sample(tmp_path):
    rows = [sample(0), sample(1, descriptions=[caption(1), "two", "three"])]
    with pytest.raises(InvalidDataError, match=f"holds the caption of sample {identity(1)}"):
        dry_run(tmp_path, rows)


def test_the_draft_of_a_row_may_be_any_picture_format(tmp_path):
    rows = [sample(n, draft=encode(picture(500 + n), "WEBP")) for n in range(3)]
    assert dry_run(tmp_path, rows).files


def _framed(image):
    return ImageOps.expand(image, image.width // 5, "white")


def _beside(image):
    both = Image.new("RGB", (2 * image.width, image.height), "grey")
    both.paste(picture(99).resize(image.size), (0, 0))
    both.paste(image, (image.width, 0))
    return both


@pytest.mark.parametrize(
    "change",
    [
        ImageOps.mirror,
        ImageOps.flip,
        ImageOps.invert,
        lambda image: image.rotate(90, expand=True),
        lambda image: image.rotate(6),
        lambda image: image.crop((20, 24, image.width - 20, image.height - 24)),
        lambda image: ImageEnhance.Brightness(image).enhance(1.4),
        lambda image: ImageEnhance.Contrast(image).enhance(0.4),
        lambda image: image.resize((256, 256)),
        _framed,
        _beside,
    ],
)
def test_a_draft_that_is_the_original_changed_is_refused(tmp_path, change):
    original = _photograph(3)
    with pytest.raises(InvalidDataError, match=f"the draft shows the original of sample {identity(0)}"):
        dry_run(tmp_path, [_sample_with_draft(original, change(original)), sample(1)])


def test_a_draft_of_its_own_passes(tmp_path):
    assert dry_run(tmp_path, [_sample_with_draft(_photograph(3), _photograph(4)), sample(1)]).files


def _photograph(seed):
    """A picture with large and small shapes of its own, as a photograph has."""
    chance = np.random.default_rng(seed)
    image = Image.new("RGB", (240, 320), tuple(chance.integers(90, 200, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(160):
        x, y = chance.integers(0, 240), chance.integers(0, 320)
        width, height = chance.integers(4, 50, 2)
        draw.ellipse((x - width, y - height, x + width, y + height), fill=tuple(chance.integers(0, 255, 3).tolist()))
    return image


def _sample_with_draft(original, draft):
    whole = sample(0)
    crops = tuple(EncodedImage.of(crop(original, box)) for box in whole.facts.boxes)
    images = replace(whole.images, original=EncodedImage.of(original), draft=EncodedImage.of(draft), crops=crops)
    return replace(whole, images=images)


@pytest.mark.parametrize(
    ("captions", "text", "found"),
    [
        ({"a": "Crimson quilted parka"}, "crimson, quilted PARKA!", "a"),
        ({"a": "Crimson quilted parka"}, "A crimson quilted parka, hooded", "a"),
        ({"a": "Crimson quilted parka"}, "Round collar of the crimson quilted parka, with two rows of stitches", None),
        ({"b": "Long black dress"}, "Long black dress", "b"),
        ({"b": "Long black dress"}, "A long black dress", None),
        ({"a": "Dress"}, "Dress", None),
        ({"b": "红色长裙"}, "红色长裙", "b"),
        ({"a": "赤いドレス"}, "赤いドレスです", "a"),
    ],
)
def test_a_short_caption_is_found_where_it_is_the_text(captions, text, found):
    assert CaptionSearch(captions).find(text) is None
    assert CaptionSearch(captions).find_short(text, "a") == found


@pytest.mark.parametrize(
    "caption",
    [
        "这位女士穿着的上衣是长袖的棉质面料带有纯色图案领口是圆形的",
        "この女性は長袖のコットンシャツを着ていて、襟は丸いです",
        "ผู้หญิงคนนี้สวมเสื้อแขนยาวผ้าฝ้าย",
    ],
)
def test_a_caption_in_a_script_without_spaces_is_found(caption):
    search = CaptionSearch({"a": caption})
    assert search.find(f"x {caption} y") == "a"
    assert search.find("、".join(caption)) == "a"
    assert search.find(caption[3:18]) == "a"
    assert search.find(caption[:5]) is None
