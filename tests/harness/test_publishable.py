"""A page that may be passed on holds no original, caption or reference, nor an output that shows one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps
from scored_toys import BOXES, DrawnRun, ScoredSource, drawn_sample, stepped, toy_embedder
from written_pages import WrittenPage, read_page

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.page.pictures import WITHHELD
from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.running.records import EditorIdentity
from fashionedit.eval_harness.scores.results import build_results, merge
from fashionedit.images import crop
from fashionedit.types import Difference, Sample

SIZE = (300, 400)


@pytest.fixture(scope="module")
def source() -> ScoredSource:
    texts = {"annotation": "A caption that is not ours."}
    samples = [textured(drawn_sample(number, size=SIZE, **texts), number) for number in range(3)]
    return ScoredSource(samples, control_set=False)


def textured(sample: Sample, seed: int) -> Sample:
    """The sample with a pattern of its own on the original, so that a copy of it can be told from a drawing."""
    chance = np.random.default_rng(seed)
    cells = Image.fromarray(chance.integers(0, 256, (40, 30, 3), dtype=np.uint8)).resize(SIZE)
    original = Image.blend(sample.original, cells, 0.5)
    differences = tuple(
        type(one)(one.description, box, original.crop(box.pixels(*SIZE)))
        for one, box in zip(sample.differences, BOXES, strict=True)
    )
    return Sample(
        id=sample.id,
        annotation=sample.annotation,
        draft=sample.draft,
        original=original,
        differences=differences,
        garment_id=None,
        category=sample.category,
    )


def drawn(sample: Sample, protocol: str, round: int) -> Image.Image:
    """An honest edit: each box in another flat colour."""
    image = sample.draft.copy()
    for number in range(round):
        image.paste((40 * number + 20, 90, 160), BOXES[number].pixels(*SIZE))
    return image


def pasted(sample: Sample, protocol: str, round: int) -> Image.Image:
    """The reference pasted in round 1, a little blurred, and honest drawing on it after that."""
    image = drawn(sample, protocol, round)
    crop = sample.differences[0].reference.filter(ImageFilter.GaussianBlur(0.4))
    image.paste(crop, BOXES[0].pixels(*SIZE)[:2])
    return image


def given_away(sample: Sample, protocol: str, round: int) -> Image.Image:
    """The original, and from then on the original with something drawn on it."""
    if round == 1:
        return sample.original
    image = sample.original.copy()
    image.paste((9, 9, 9), (0, 0, 30, 10 * round))
    return image


def published(
    tmp_path: Path, source: ScoredSource, *runs: DrawnRun, measures: bool = True, **options: Any
) -> WrittenPage:
    results = merge([build_results(run, source, toy_embedder(), measures=measures) for run in runs])
    return read_page(write_report(results, runs, source, tmp_path / "report", publishable=True, **options))


def pictures_of(written: WrittenPage, row: int) -> list[list[Any]]:
    return [[step["picture"] for step in detail["rows"][row]] for detail in written.details]


def shows(picture: Image.Image, wanted: Image.Image) -> bool:
    """Whether the pixels of the wanted picture lie in the other one, at the place where they belong or as a whole."""
    small = wanted.convert("RGB").resize(picture.size)
    return float(np.asarray(ImageChops.difference(picture, small), float).mean()) < 12


@pytest.mark.parametrize("form", ["file", "folder"])
def test_no_picture_of_the_page_shows_the_original_or_a_crop_of_it(
    source: ScoredSource, tmp_path: Path, form: Any
) -> None:
    runs = [
        DrawnRun(tmp_path / name, source, does, name=name)
        for name, does in (("drawn", drawn), ("pasted", pasted), ("given", given_away), ("stepper", stepped_in))
    ]
    written = published(tmp_path, source, *runs, form=form)
    boxes = [box.pixels(*SIZE) for box in BOXES]
    for place, id in enumerate(source.ids):
        original = source.sample(id).original
        for key, encoded in enumerate(written.details[place]["pictures"]):
            assert encoded
            shown = written.shown(place, [key]).resize(SIZE)
            assert not shows(shown, original)
            assert not any(shows(shown.crop(box), original.crop(box)) for box in boxes)
            assert not any(shows(shown, original.crop(box)) for box in boxes)
    files = written.text + "".join(one.read_text() for one in tmp_path.rglob("*.js"))
    assert "not ours." not in files


def stepped_in(sample: Sample, protocol: str, round: int) -> Image.Image:
    return stepped(sample, round)


def test_their_places_say_why(source: ScoredSource, tmp_path: Path) -> None:
    written = published(tmp_path, source, DrawnRun(tmp_path / "run", source, drawn, protocols=("bug",)))
    assert written.index["publishable"] is True
    assert written.index["withheld"] == WITHHELD
    for detail in written.details:
        assert detail["original"] == "original"
        assert detail["caption"] == ""
        assert [kind["pictures"] for kind in detail["references"]] == [["reference"] * 3]
        assert isinstance(detail["draft"], list)
        assert detail["descriptions"][0].startswith("Shape 1")
    assert 'id="publishable"' in written.text
    assert "It holds no original, no caption and no part of an original." in written.text


def test_honest_edits_stay(source: ScoredSource, tmp_path: Path) -> None:
    written = published(tmp_path, source, DrawnRun(tmp_path / "run", source, drawn))
    for row in (0, 1):
        assert all(isinstance(picture, list) for strip in pictures_of(written, row) for picture in strip)


def test_a_pasted_reference_takes_the_later_rounds_with_it(source: ScoredSource, tmp_path: Path) -> None:
    written = published(tmp_path, source, DrawnRun(tmp_path / "run", source, pasted, protocols=("bug",)))
    assert pictures_of(written, 0) == [["leak"] * 3] * 3


def test_what_is_made_from_the_original_is_left_out_too(source: ScoredSource, tmp_path: Path) -> None:
    written = published(tmp_path, source, DrawnRun(tmp_path / "run", source, given_away, protocols=("vanilla",)))
    assert pictures_of(written, 0) == [["copy"] * 3] * 3


def test_what_was_not_measured_is_left_out(source: ScoredSource, tmp_path: Path) -> None:
    written = published(tmp_path, source, DrawnRun(tmp_path / "run", source, drawn, protocols=("bug",)), measures=False)
    assert pictures_of(written, 0) == [["unchecked"] * 3] * 3


def test_whatever_is_told_the_answer_is_left_out(source: ScoredSource, tmp_path: Path) -> None:
    editor = EditorIdentity(name="teller", fingerprint="teller 1", privileged=True)
    written = published(tmp_path, source, DrawnRun(tmp_path / "run", source, drawn, editor=editor, protocols=("bug",)))
    assert pictures_of(written, 0) == [["told"] * 3] * 3


def test_a_draft_that_is_returned_or_carried_forward_stays(source: ScoredSource, tmp_path: Path) -> None:
    def refuses(sample: Sample, protocol: str, round: int) -> Any:
        return sample.draft if round == 1 else Status.REFUSED

    written = published(tmp_path, source, DrawnRun(tmp_path / "run", source, refuses, protocols=("bug",)))
    for detail, (first, second, third) in zip(written.details, pictures_of(written, 0), strict=True):
        assert first == second == third == detail["draft"]


def test_a_draft_that_is_the_original_changed_is_left_out_with_what_is_made_from_it(tmp_path: Path) -> None:
    def told(change: Any, out: Path) -> tuple[Any, list[list[Any]]]:
        source = ScoredSource([_with_draft(number, change) for number in range(3)], control_set=False)
        written = published(out, source, DrawnRun(out / "run", source, _darker, protocols=("bug",)))
        return written.details[0]["draft"], pictures_of(written, 0)

    draft, pictures = told(ImageOps.mirror, tmp_path / "mirrored")
    assert (draft, pictures) == ("alike", [["alike"] * 3] * 3)
    draft, pictures = told(lambda original: _photograph(99), tmp_path / "own")
    assert isinstance(draft, list)
    assert "alike" not in {step for strip in pictures for step in strip if isinstance(step, str)}


def _darker(sample: Sample, protocol: str, round: int) -> Image.Image:
    return sample.draft.point(lambda level: level - 20 * round)


def _with_draft(number: int, change: Any) -> Sample:
    original = _photograph(number)
    differences = tuple(Difference(f"Shape {n}", box, crop(original, box)) for n, box in enumerate(BOXES, 1))
    return Sample(f"photo-{number}", f"caption of {number}", change(original), original, differences)


def _photograph(seed: int) -> Image.Image:
    """A picture with large and small shapes of its own, as a photograph has."""
    chance = random.Random(seed)
    image = Image.new("RGB", (240, 320), (150, 140, 160))
    draw = ImageDraw.Draw(image)
    for _ in range(160):
        x, y, width, height = (chance.randrange(most) for most in (240, 320, 50, 50))
        colour = tuple(chance.randrange(256) for _ in range(3))
        draw.ellipse((x - width, y - height, x + width, y + height), fill=colour)
    return image
