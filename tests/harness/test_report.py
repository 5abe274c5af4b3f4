"""The written page: what it holds, in both forms, and that it needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scored_toys import DrawnRun, ScoredSource, drawn_sample, stepped, toy_embedder
from written_pages import WrittenPage, opened, read_page

from fashionedit.errors import InvalidDataError, RunMismatchError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.page.pictures import FILE_BUDGET, SamplePictures, picture_size
from fashionedit.eval_harness.page.storyboard import chosen_samples
from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.scores.results import build_results, merge
from fashionedit.metrics.similarity import decibels

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&{{ 7*7 }}"


def page(tmp_path: Path, source: ScoredSource, *runs: DrawnRun, **options: Any) -> WrittenPage:
    results = merge([build_results(run, source, toy_embedder()) for run in runs])
    return read_page(write_report(results, runs, source, tmp_path / "report", **options))


@pytest.fixture
def source() -> ScoredSource:
    return ScoredSource([drawn_sample(number) for number in range(4)])


def test_page_has_a_strip_per_sample_editor_and_protocol(source: ScoredSource, tmp_path: Path) -> None:
    runs = [DrawnRun(tmp_path / "a", source, name="a"), DrawnRun(tmp_path / "b", source, name="b", protocols=("bug",))]
    written = page(tmp_path, source, *runs)
    shown = [(row["method"], row["prompt"], row["rounds"]) for row in written.index["rows"]]
    assert shown == [("a", "text", [1, 2, 3]), ("a", "text+image", [1, 2, 3]), ("b", "text+image", [1, 2, 3])]
    assert [len(one["rows"]) for one in written.details] == [3] * 4
    assert {len(strip) for one in written.details for strip in one["rows"]} == {3}


def test_values_and_words_are_the_samples_own(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source)
    results = build_results(run, source, toy_embedder())
    written = page(tmp_path, source, run)
    assert written.index["metrics"] == [["Cosine", "cosine × 100", 2, None], ["PSNR", "dB", 2, decibels(0.0)]]
    for place, (brief, detail) in enumerate(zip(written.index["samples"], written.details, strict=True)):
        sample = source.sample(source.ids[place])
        assert brief["id"] == sample.id
        assert brief["facts"] == [sample.category, "", ""]
        assert detail["descriptions"] == [one.description for one in sample.differences]
        assert detail["boxes"] == [list(one.box.box_2d) for one in sample.differences]
        assert detail["caption"] == sample.annotation
        assert detail["rows"][0][1]["told"] == f"Please edit: {sample.differences[1].description}"
        assert all(word in written.texts[place] for word in (sample.id, "shape 2", "with three shapes"))
        for row, samples in zip(results.rows, results.row_samples, strict=True):
            if row.run == 0:
                line = ["vanilla", "bug"].index(row.protocol)
                wanted = [samples.values[name][place] for name in ("cosine", "psnr")]
                assert brief["values"][line][row.round - 1] == pytest.approx(wanted, abs=6e-4)
            if row.kind == "floor":
                assert brief["draft"] == pytest.approx([samples.values[n][place] for n in ("cosine", "psnr")], abs=6e-4)


@pytest.mark.parametrize("form", ["file", "folder"])
def test_page_needs_nothing_from_outside(source: ScoredSource, tmp_path: Path, form: Any) -> None:
    text = page(tmp_path, source, DrawnRun(tmp_path, source), form=form).text
    assert re.findall(r"(?:src|href)=[\"'](?!#)([^\"']*)", text) == (["data/index.js"] if form == "folder" else [])
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "@import" not in text
    assert "url(" not in re.search(r"<style>(.*?)</style>", text, re.S)[1]


@pytest.mark.parametrize("form", ["file", "folder"])
def test_policy_allows_this_style_and_script_alone(source: ScoredSource, tmp_path: Path, form: Any) -> None:
    text = page(tmp_path, source, DrawnRun(tmp_path, source), form=form).text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#39;", "'")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for kind, element in (("style-src", "<style>(.*?)</style>"), ("script-src", "<script>(.*?)</script>")):
        (found,) = re.findall(element, text, re.S)
        digest = base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
        own = "'self' " if (kind, form) == ("script-src", "folder") else ""
        assert rules[kind] == f"{own}'sha256-{digest}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "http" not in rules["img-src"]
    assert " style=" not in text
    assert " on" + "error=" not in text


def test_both_forms_hold_the_same(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source)
    file, folder = (page(tmp_path / form, source, run, form=form) for form in ("file", "folder"))
    assert file.index == folder.index
    assert file.texts == folder.texts
    assert [one["rows"] for one in file.details] == [one["rows"] for one in folder.details]
    assert not (tmp_path / "file" / "report").exists()
    assert sorted(one.name for one in (tmp_path / "folder" / "report" / "data" / "samples").iterdir()) == [
        f"{place:05d}.js" for place in range(4)
    ]


def test_equal_pictures_are_kept_once(source: ScoredSource, tmp_path: Path) -> None:
    written = page(tmp_path, source, DrawnRun(tmp_path, source))
    # Both protocols step alike: draft, two rounds, original (which round 3 equals), three crops.
    assert [len(one["pictures"]) for one in written.details] == [7] * 4
    for one in written.details:
        steps = [step["picture"] for strip in one["rows"] for step in strip]
        assert steps[:3] == steps[3:]
        assert steps[2] == one["original"]


def test_pictures_show_what_they_should(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(3, size=(300, 400))])
    written = page(tmp_path, source, DrawnRun(tmp_path, source))
    sample, (detail,) = source.sample("card-03"), written.details
    steps = [step["picture"] for step in detail["rows"][0]]
    crops = detail["references"][0]["pictures"]
    for picture, wanted in zip(
        [detail["draft"], *steps, detail["original"], *crops],
        [sample.draft, stepped(sample, 1), stepped(sample, 2), sample.original, sample.original]
        + [one.reference for one in sample.differences],
        strict=True,
    ):
        shown = written.shown(0, picture)
        assert tuple(picture[1:]) == shown.size == wanted.size
        assert np.abs(np.asarray(shown, float) - np.asarray(wanted, float)).mean() < 6


@pytest.mark.parametrize("form", ["file", "folder"])
def test_hostile_text_is_shown_as_text(tmp_path: Path, form: Any) -> None:
    samples = [drawn_sample(1, description=HOSTILE, annotation=HOSTILE, category=HOSTILE, garment=HOSTILE)]
    source = ScoredSource(samples, name=HOSTILE)
    run = DrawnRun(
        tmp_path, source, lambda *_: Status.REFUSED, name=HOSTILE, message=HOSTILE, params={HOSTILE: HOSTILE}
    )
    written = page(tmp_path, source, run, form=form)
    files = [written.text, *(one.read_text() for one in tmp_path.rglob("*.js"))]
    for text in files:
        assert "<img src=x" not in text
        assert "<script>document" not in text
    assert "{{ 7*7 }}" in written.text
    assert written.text.count("&lt;script&gt;") > 5
    (detail,) = written.details
    assert detail["descriptions"] == [HOSTILE] * 3
    assert detail["rows"][0][0]["message"] == written.index["samples"][0]["facts"][0] == HOSTILE


def test_text_that_hides_or_turns_other_text_is_made_visible(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(1, description="safe\u202eelif\u0000\u200f")], name="turned\u202e")
    written = page(tmp_path, source, DrawnRun(tmp_path, source))
    assert written.details[0]["descriptions"] == ["safe\ufffdelif\ufffd\ufffd"] * 3
    assert "\u202e" not in written.text
    assert "turned\ufffd" in written.text


def test_failures_show_their_status_message_and_other_readings(source: ScoredSource, tmp_path: Path) -> None:
    def does(sample, protocol, round):
        return Status.INVALID_IMAGE if (sample.id, round) == ("card-02", 2) else stepped(sample, round)

    run = DrawnRun(tmp_path, source, does, message="the answer was no picture")
    results, written = build_results(run, source, toy_embedder()), page(tmp_path, source, run)
    assert written.index["samples"][2]["statuses"] == [["ok", "invalid_image", "ok"]] * 2
    strips = written.details[2]["rows"]
    assert [step["message"] for step in strips[0]] == ["", "the answer was no picture", ""]
    assert strips[0][1]["picture"] == strips[0][0]["picture"]
    table = re.search(r'aria-label="Failures by status".*?</table>', written.text, re.S)[0]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr")[3:]]
    (row,) = (one for one in results.rows if one.kind == "editor" and one.protocol == "bug" and one.failed)
    scores = list(row.scores.values())
    assert len(cells) == 2
    assert cells[1] == [
        *("text+image", "2", "1", "4", "25.0 %"),
        *(f"{score.carry_forward:.2f}" for score in scores),
        *("3", *(f"{score.completers:.2f}" for score in scores)),
        f"{scores[1].worst:.2f} to {scores[1].best:.2f}",
    ]
    assert "invalid image" in table
    assert "None: every round" in page(tmp_path / "b", source, DrawnRun(tmp_path, source)).text


def test_groups_of_the_breakdown_say_how_many_samples_and_garments_they_have(
    source: ScoredSource, tmp_path: Path
) -> None:
    text = page(tmp_path, source, DrawnRun(tmp_path, source)).text
    assert text.count("<small>2 samples of 2 garments</small>") == 2  # of cards, and of sheets
    assert text.count('rowspan="3"') == 2  # the draft and the last rounds of both protocols


def test_control_set_and_photographs_have_their_notices(tmp_path: Path) -> None:
    for control, says in ((True, "Control set."), (False, "non-commercial research")):
        source = ScoredSource([drawn_sample(1)], control_set=control)
        text = page(tmp_path, source, DrawnRun(tmp_path, source)).text
        assert says in text
        assert ("Control set." in text) == control


def test_reference_image_is_shown_only_where_it_was_given(source: ScoredSource, tmp_path: Path) -> None:
    told = page(tmp_path / "a", source, DrawnRun(tmp_path / "a", source, protocols=("vanilla",)))
    assert [one["references"] for one in told.details] == [[]] * 4
    shown = page(tmp_path / "b", source, DrawnRun(tmp_path / "b", source, protocols=("bug",)))
    assert [row["reference"] for row in shown.index["rows"]] == ["text+image"]
    assert [len(one["references"][0]["pictures"]) for one in shown.details] == [3] * 4


def test_a_result_that_is_the_reference_is_shown_large_and_without_a_box(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(1, size=(900, 1200))])
    run = DrawnRun(tmp_path, source, lambda sample, protocol, round: sample.differences[round - 1].reference)
    (detail,) = page(tmp_path, source, run).details
    first = detail["rows"][0][0]
    assert tuple(first["picture"][1:]) == source.sample("card-01").differences[0].reference.size
    assert all(step["cut"] for strip in detail["rows"] for step in strip)


def test_draft_runs_show_their_result_beside_the_original(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source, lambda sample, *_: stepped(sample, 1), protocols=("draft",))
    written = page(tmp_path, source, run)
    assert [(row["rounds"], row["prompt"]) for row in written.index["rows"]] == [([0], "text")]
    assert all(len(one["rows"][0]) == 1 and not one["rows"][0][0]["told"] for one in written.details)


def test_provenance_names_fingerprints(source: ScoredSource, tmp_path: Path) -> None:
    text = page(tmp_path, source, DrawnRun(tmp_path, source, params={"steps": 28})).text
    for value in ("fingerprint of toy-editor", source.manifest_hash, "mean-colours", "OpenCV INTER_LINEAR", "28"):
        assert value in text


@pytest.mark.parametrize("form", ["file", "folder"])
def test_page_has_the_same_bytes_again(source: ScoredSource, tmp_path: Path, form: Any) -> None:
    run = DrawnRun(tmp_path, source)
    for name in ("a", "b"):
        page(tmp_path / name, source, run, form=form)
    files = {one.relative_to(tmp_path / "a") for one in (tmp_path / "a").rglob("*") if one.is_file()}
    assert files == {one.relative_to(tmp_path / "b") for one in (tmp_path / "b").rglob("*") if one.is_file()}
    assert all((tmp_path / "a" / one).read_bytes() == (tmp_path / "b" / one).read_bytes() for one in files)


def test_progress_goes_through_the_samples(source: ScoredSource, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    page(tmp_path, source, DrawnRun(tmp_path, source), progress=lambda *numbers: seen.append(numbers))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_page_of_other_runs_or_data_is_refused(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path / "run", source)
    results = build_results(run, source, toy_embedder())
    with pytest.raises(RunMismatchError, match="give the run folders that were scored"):
        write_report(results, [DrawnRun(tmp_path / "run", source, name="other")], source, tmp_path / "report")
    with pytest.raises(RunMismatchError, match="give the dataset they were scored on"):
        write_report(results, [run], ScoredSource([drawn_sample(1)]), tmp_path / "report")
    with pytest.raises(InvalidDataError, match="3 or more"):
        write_report(results, [run], source, tmp_path / "report", most_samples=2)
    with pytest.raises(InvalidDataError, match=r"give a name without \.html"):
        write_report(results, [run], source, tmp_path / "report.html", form="folder")
    assert [one.name for one in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_is_no_page_is_never_replaced(source: ScoredSource, tmp_path: Path) -> None:
    out = tmp_path / "report"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(InvalidDataError, match="not a page"):
        page(tmp_path, source, DrawnRun(tmp_path / "run", source), form="folder")
    assert [one.name for one in out.iterdir()] == ["thesis.tex"]
    (out / "thesis.tex").unlink()
    page(tmp_path, source, DrawnRun(tmp_path / "run", source), form="folder")
    (out / "data" / "notes.txt").touch()
    page(tmp_path, source, DrawnRun(tmp_path / "run", source), form="folder")
    assert len(list((out / "data" / "samples").iterdir())) == 4
    assert (out / "data" / "notes.txt").exists()  # what the page did not write is not the page's
    assert sorted(one.name for one in tmp_path.iterdir()) == ["report", "run"]


def test_a_page_that_could_not_be_finished_leaves_the_old_one(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path / "run", source)
    page(tmp_path, source, run, form="folder")
    before = (tmp_path / "report" / "index.html").read_bytes()

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        page(tmp_path, source, run, form="folder", progress=stop, publishable=True)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["report", "run"]
    assert (tmp_path / "report" / "index.html").read_bytes() == before


def test_a_large_split_shows_all_in_a_folder_and_its_extremes_in_a_file(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number, size=(16, 16)) for number in range(50)])
    run = DrawnRun(tmp_path, source, lambda sample, protocol, round: stepped(sample, 1))
    results = build_results(run, source, toy_embedder())
    values = np.mean(
        [
            samples.values["cosine"]
            for row, samples in zip(results.rows, results.row_samples, strict=True)
            if row.run == 0 and row.round == 3
        ],
        axis=0,
    )
    order = [source.ids[place] for place in np.argsort(values, kind="stable")]
    chosen = chosen_samples(results, 9)
    assert len(chosen) == 9
    assert {*order[:3], *order[-3:]} <= set(chosen)
    assert list(chosen) == sorted(chosen)
    assert len(page(tmp_path, source, run).details) == 50
    assert (tmp_path / "report" / "index.html").is_file()
    file = page(tmp_path, source, run, form="file")
    assert len(file.details) == 48
    assert "48 of 50 samples are shown" in file.text


def test_pictures_stay_within_their_budget() -> None:
    random = np.random.default_rng(0)
    noise = [Image.fromarray(random.integers(0, 256, (600, 400, 3), dtype=np.uint8)) for _ in range(4)]
    size = picture_size(800)
    pictures = SamplePictures(size)
    for number, image in enumerate(noise):
        pictures.add(str(number), lambda image=image: image)
    assert max(len(text) * 3 / 4 for text in pictures.encoded) <= size.most + 2
    assert size.most * 800 <= FILE_BUDGET
    assert len({one.size for one in map(opened, pictures.encoded)}) == 1


def test_fewer_pictures_are_larger() -> None:
    sides = [picture_size(count).side for count in (10, 200, 900, 5000)]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == 720
    assert 300 <= sides[2] <= 420
    assert picture_size(13_000, folder=True).side >= 360


def test_a_page_of_somebody_else_is_not_replaced_and_an_earlier_one_is(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source, lambda sample, protocol, round: stepped(sample, round))
    theirs = tmp_path / "report.html"
    theirs.write_text("<!doctype html><title>My thesis</title>")
    with pytest.raises(InvalidDataError, match="exists and is no page of fashionedit"):
        page(tmp_path, source, run, form="file")
    assert theirs.read_text() == "<!doctype html><title>My thesis</title>"
    theirs.unlink()
    first, second = (page(tmp_path, source, run, form="file") for _ in range(2))
    assert first.text == second.text
