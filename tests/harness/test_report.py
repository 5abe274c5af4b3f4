import base64
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scored_toys import DrawnRun, ScoredSource, drawn_sample, stepped, toy_embedder

from fashionedit.errors import InvalidDataError, RunMismatchError
from fashionedit.eval_harness.curves import charts
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.merging import merge
from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.results import build_results
from fashionedit.eval_harness.strips import chosen_samples
from fashionedit.eval_harness.thumbnails import Thumbnails

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&{{ 7*7 }}"


def page(tmp_path: Path, source: ScoredSource, *runs: DrawnRun, **options: Any) -> str:
    results = merge([build_results(run, source, toy_embedder()) for run in runs])
    write_report(results, runs, source, tmp_path / "report.html", **options)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def embedded(text: str) -> list[Image.Image]:
    found = json.loads(re.search(r'<script type="application/json" id="images">(.*?)</script>', text, re.S)[1])
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in found["data"]]


@pytest.fixture
def source() -> ScoredSource:
    return ScoredSource([drawn_sample(number) for number in range(4)])


def test_page_has_a_strip_per_sample_editor_and_protocol(source: ScoredSource, tmp_path: Path) -> None:
    runs = [DrawnRun(tmp_path / "a", source, name="a"), DrawnRun(tmp_path / "b", source, name="b", protocols=("bug",))]
    text = page(tmp_path, source, *runs)
    assert text.count('class="strip"') == 4 * 3
    assert text.count('class="cell ') == 4 * 3 * 5


def test_page_needs_nothing_from_outside(source: ScoredSource, tmp_path: Path) -> None:
    text = page(tmp_path, source, DrawnRun(tmp_path, source))
    assert not re.findall(r"(?:src|href)=[\"'](?!#)", text)
    assert not re.findall(r"https?://", text)
    assert "@import" not in text
    assert "url(" not in re.search(r"<style>(.*?)</style>", text, re.S)[1]


def test_policy_allows_this_style_and_script_alone(source: ScoredSource, tmp_path: Path) -> None:
    text = page(tmp_path, source, DrawnRun(tmp_path, source))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    for kind, element in (("style", "<style>(.*?)</style>"), ("script", "<script>(.*?)</script>")):
        found = re.findall(element, text, re.S)
        assert len(found) == 1
        digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
        assert f"{kind}-src &#39;sha256-{digest}&#39;" in policy
    assert "default-src &#39;none&#39;" in policy
    assert " style=" not in text
    assert " on" + "error=" not in text


def test_equal_pictures_are_embedded_once(source: ScoredSource, tmp_path: Path) -> None:
    text = page(tmp_path, source, DrawnRun(tmp_path, source))
    # Both protocols step alike: draft, two rounds, original (which round 3 equals), three crops.
    assert len(embedded(text)) == 4 * 7
    keys = [int(key) for key in re.findall(r'data-key="(\d+)"', text)]
    assert set(keys) == set(range(4 * 7))
    assert len(keys) == 4 * 2 * 5 + 4 * 3


def test_pictures_show_what_they_should(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(3, size=(300, 400))])
    text = page(tmp_path, source, DrawnRun(tmp_path, source))
    pictures = embedded(text)
    cells = re.findall(r'class="cell (\w+)".*?data-key="(\d+)" width="(\d+)" height="(\d+)"', text, re.S)[:5]
    sample = source.sample("card-03")
    expected = [sample.draft, stepped(sample, 1), stepped(sample, 2), sample.original, sample.original]
    assert [role for role, *_ in cells] == ["draft", "round", "round", "round", "original"]
    for (_, key, width, height), wanted in zip(cells, expected, strict=True):
        shown = pictures[int(key)].convert("RGB")
        assert (int(width), int(height)) == shown.size == wanted.size
        assert np.abs(np.asarray(shown, float) - np.asarray(wanted, float)).mean() < 6


def test_hostile_text_is_shown_as_text(tmp_path: Path) -> None:
    samples = [drawn_sample(1, description=HOSTILE, annotation=HOSTILE, category=HOSTILE, garment=HOSTILE)]
    source = ScoredSource(samples, name=HOSTILE)
    run = DrawnRun(
        tmp_path, source, lambda *_: Status.REFUSED, name=HOSTILE, message=HOSTILE, params={HOSTILE: HOSTILE}
    )
    text = page(tmp_path, source, run)
    assert "<img src=x" not in text
    assert "<script>document" not in text
    assert "{{ 7*7 }}" in text
    assert text.count("&lt;script&gt;") > 5


def test_failures_show_their_status_and_message(source: ScoredSource, tmp_path: Path) -> None:
    def does(sample, protocol, round):
        return Status.INVALID_IMAGE if (sample.id, round) == ("card-02", 2) else stepped(sample, round)

    text = page(tmp_path, source, DrawnRun(tmp_path, source, does, message="the answer was no picture"))
    assert text.count('<span class="badge">invalid image</span>') == 2
    assert text.count("the answer was no picture") == 2
    assert text.count("data-failed>") == 2
    assert "How the failures of 2 rows were counted" in text


def test_control_set_and_photographs_have_their_notices(tmp_path: Path) -> None:
    for control, says in ((True, "Control set."), (False, "non-commercial research")):
        source = ScoredSource([drawn_sample(1)], control_set=control)
        text = page(tmp_path, source, DrawnRun(tmp_path, source))
        assert says in text
        assert ("Control set." in text) == control


def test_reference_image_is_shown_only_where_it_was_given(source: ScoredSource, tmp_path: Path) -> None:
    assert 'class="crop"' not in page(tmp_path, source, DrawnRun(tmp_path / "a", source, protocols=("vanilla",)))
    text = page(tmp_path, source, DrawnRun(tmp_path / "b", source, protocols=("bug",)))
    assert text.count('class="crop"') == 4 * 3


def test_a_result_that_is_the_reference_is_shown_large_and_without_a_box(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(1, size=(900, 1200))])
    run = DrawnRun(tmp_path, source, lambda sample, protocol, round: sample.differences[round - 1].reference)
    text = page(tmp_path, source, run)
    rounds = re.findall(r'class="cell round".*?data-key="\d+" width="(\d+)" height="(\d+)"', text, re.S)
    assert max(map(int, rounds[0])) == max(source.sample("card-01").differences[0].reference.size)
    assert 'class="boxes faint"' not in text


def test_draft_runs_show_their_result_beside_the_original(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source, lambda sample, *_: stepped(sample, 1), protocols=("draft",))
    text = page(tmp_path, source, run)
    assert re.findall(r'class="cell (\w+)"', text)[:2] == ["round", "original"]
    assert text.count('class="cell ') == 4 * 2


def test_provenance_names_fingerprints(source: ScoredSource, tmp_path: Path) -> None:
    text = page(tmp_path, source, DrawnRun(tmp_path, source, params={"steps": 28}))
    for value in ("fingerprint of toy-editor", source.manifest_hash, "mean-colours", "OpenCV INTER_LINEAR", "28"):
        assert value in text


def test_page_has_the_same_bytes_again(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source)
    assert page(tmp_path / "a", source, run) == page(tmp_path / "b", source, run)


def test_progress_goes_through_the_samples(source: ScoredSource, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    page(tmp_path, source, DrawnRun(tmp_path, source), progress=lambda *numbers: seen.append(numbers))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_page_of_other_runs_or_data_is_refused(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source)
    results = build_results(run, source, toy_embedder())
    with pytest.raises(RunMismatchError, match="give the run folders that were scored"):
        write_report(results, [DrawnRun(tmp_path, source, name="other")], source, tmp_path / "report.html")
    with pytest.raises(RunMismatchError, match="give the dataset they were scored on"):
        write_report(results, [run], ScoredSource([drawn_sample(1)]), tmp_path / "report.html")
    with pytest.raises(InvalidDataError, match="3 or more"):
        write_report(results, [run], source, tmp_path / "report.html", most_samples=2)


def test_a_large_split_shows_its_extremes(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number, size=(16, 16)) for number in range(30)])
    run = DrawnRun(tmp_path, source, lambda sample, protocol, round: stepped(sample, 1))
    results = build_results(run, source, toy_embedder())
    chosen = chosen_samples(results, 9)
    values = np.mean(
        [
            samples.values["cosine"]
            for row, samples in zip(results.rows, results.row_samples, strict=True)
            if row.run == 0 and row.round == 3
        ],
        axis=0,
    )
    order = [source.ids[place] for place in np.argsort(values, kind="stable")]
    assert len(chosen) == 9
    assert {*order[:3], *order[-3:]} <= set(chosen)
    assert list(chosen) == sorted(chosen)
    assert "9 of 30 samples are shown" in page(tmp_path, source, run, most_samples=9)


@pytest.mark.slow
def test_pictures_stay_within_their_budget() -> None:
    random = np.random.default_rng(0)
    digests = [str(number) for number in range(60)]
    thumbnails = Thumbnails(digests, budget=300_000)
    for digest in digests:
        thumbnails.add(digest, Image.fromarray(random.integers(0, 256, (900, 600, 3), dtype=np.uint8)))
    assert sum(len(text) * 3 / 4 for text in thumbnails.encoded()["data"]) <= 300_000


def test_fewer_pictures_are_larger() -> None:
    sides = [Thumbnails([str(number) for number in range(count)]).side for count in (10, 200, 900, 5000)]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == 720
    assert 300 <= sides[2] <= 420


def test_psnr_of_identical_images_does_not_squash_the_axis(source: ScoredSource, tmp_path: Path) -> None:
    results = build_results(DrawnRun(tmp_path, source), source, toy_embedder())
    psnr = next(chart for chart in charts(results) if chart.title == "PSNR")
    assert float(psnr.y_ticks[-1].label) < 60
    assert psnr.ceiling is None
    assert "361.20" in psnr.note
    last = psnr.curves[0].marks[-1]
    assert last.above
    assert last.y == psnr.top
    assert last.value == "361.2"


def test_curves_lie_where_their_values_are(source: ScoredSource, tmp_path: Path) -> None:
    results = build_results(DrawnRun(tmp_path, source), source, toy_embedder())
    chart = charts(results)[0]
    low, high = chart.y_ticks[0], chart.y_ticks[-1]
    for mark, row in zip(chart.curves[0].marks[1:], results.rows[1:4], strict=True):
        share = (mark.y - low.at) / (high.at - low.at)
        value = float(low.label) + share * (float(high.label) - float(low.label))
        assert value == pytest.approx(row.scores["cosine"].mean, abs=0.02 * (float(high.label) - float(low.label)))
    assert chart.curves[0].marks[0].y == chart.floor.at
    assert [tick.label for tick in chart.x_ticks] == ["draft", "round 1", "round 2", "round 3"]
    assert all(chart.top <= mark.y <= chart.bottom for curve in chart.curves for mark in curve.marks)
