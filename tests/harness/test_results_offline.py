"""Run folders, baselines and pretrained weights together, from the edit to the page."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from scored_toys import ScoredSource, drawn_sample
from written_pages import read_page

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.editors import resolve_editor
from fashionedit.eval_harness.editors.resolve import as_editor
from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.scored_run import score_run
from fashionedit.eval_harness.scores.result_models import Gain, Results, Row, Score
from fashionedit.eval_harness.scores.results import build_results, merge
from fashionedit.eval_harness.scores.table import to_console
from fashionedit.metrics import Embedder, EmbeddingCache, load_encoder
from fashionedit.runtime.progress import Bar

pytestmark = pytest.mark.slow

NOTHING = Gain(mean=0, standard_error=0, low=None, high=None)


@dataclass
class Scored:
    folder: Path
    source: ScoredSource
    embedder: Embedder
    runs: dict[str, RunFolder]
    results: dict[str, Results]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    folder = tmp_path_factory.mktemp("offline")
    source = ScoredSource([drawn_sample(number, size=(240, 360)) for number in range(4)])
    embedder = Embedder(load_encoder("offline"), EmbeddingCache(folder / "cache"))
    runs, results = {}, {}
    for name in ("identity", "paste-reference", "oracle"):
        run(resolve_editor(name), source, folder / name)
        runs[name] = RunFolder.open(folder / name)
        results[name] = build_results(runs[name], source, embedder)
    return Scored(folder, source, embedder, runs, results)


def _without_gain(row: Row) -> list[Score]:
    return [score.model_copy(update={"gain": None}) for score in row.scores.values()]


def test_identity_stays_at_the_draft(scored: Scored) -> None:
    rows = scored.results["identity"].rows
    floor = rows[0]
    assert floor.kind == "floor"
    own = [row for row in rows if row.run == 0]
    assert [_without_gain(row) for row in own] == [_without_gain(floor)] * 6
    for row in own:
        cosine, star, psnr = (score.gain for score in row.scores.values())
        assert cosine == psnr == NOTHING
        assert (star.mean, star.low) == (0, -star.high)  # nothing changed in four samples, which is no proof of nothing
        assert 0 < star.high < 100


def test_a_run_of_a_baseline_has_the_scores_of_the_shared_row(scored: Scored) -> None:
    shared = [row for row in scored.results["identity"].rows if row.editor == "paste-reference"]
    own = [row for row in scored.results["paste-reference"].rows if row.run == 0]
    assert [row.scores for row in own] == [row.scores for row in shared]
    assert {(row.kind, row.privileged) for row in own} == {("baseline", True)}


def test_table_and_page_of_all_runs(scored: Scored) -> None:
    merged = merge(list(scored.results.values()))
    text = to_console(merged)
    assert text.count("Paste the reference†") == 3
    assert "EfficientNet-Lite2 (not CLIP" in text
    write_report(merged, list(scored.runs.values()), scored.source, scored.folder / "report.html")
    assert [len(one["rows"]) for one in read_page(scored.folder / "report.html").details] == [2 + 1 + 1] * 4


def test_a_damaged_image_is_named_and_stops_no_scoring(scored: Scored, tmp_path: Path) -> None:
    def inverted(image: Image.Image, instruction: str, reference: Image.Image | None = None) -> Image.Image:
        return ImageOps.invert(image)

    run(as_editor(inverted), scored.source, tmp_path / "run", protocols=["bug"])
    whole = RunFolder.open(tmp_path / "run")
    before = sum(one.status is Status.OK for one in whole.outcomes(scored.source))
    victims = sorted((tmp_path / "run" / "images").rglob("*.png"))[:2]
    Image.new("RGB", (24, 36), "red").save(victims[0])
    data = bytearray(victims[1].read_bytes())
    data[60:90] = bytes(30)
    victims[1].write_bytes(data)
    damaged = RunFolder.open(tmp_path / "run")
    with pytest.warns(UserWarning, match="the image of sample .* rounds count as not run") as caught:
        results, page = score_run(
            damaged, scored.source, scored.embedder, lambda title, unit: Bar(title, unit, hidden=True)
        )
    assert 1 <= len(caught) <= 2
    assert page.exists()
    assert results.rows
    assert sum(one.status is Status.OK for one in damaged.outcomes(scored.source)) < before


def test_a_damaged_image_whose_scores_are_known_is_left_out_of_the_page(scored: Scored, tmp_path: Path) -> None:
    run(resolve_editor("return-reference"), scored.source, tmp_path / "run", protocols=["bug"])
    victim = min((tmp_path / "run" / "images").rglob("*.png"))
    Image.new("RGB", (24, 36), "red").save(victim)
    damaged = RunFolder.open(tmp_path / "run")
    with pytest.warns(UserWarning, match="other pixels than were recorded.*the page leaves it out"):
        _, page = score_run(damaged, scored.source, scored.embedder, lambda title, unit: Bar(title, unit, hidden=True))
    assert "Picture left out: its file is damaged" in page.read_text(encoding="utf-8")
