"""Charts: marks lie where their values are, and names do not cover each other."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from scored_toys import DrawnRun, ScoredSource, drawn_sample, stepped, toy_embedder

from fashionedit.eval_harness.page.charts import (
    HEIGHT,
    Chart,
    Line,
    Mark,
    charts,
    forest,
    labels,
    series,
    threshold_chart,
    ticks,
)
from fashionedit.eval_harness.page.sections import breakdown_cells, breakdown_tables, signed
from fashionedit.eval_harness.scores.primary_scores import breakdown
from fashionedit.eval_harness.scores.result_models import Gain, Results
from fashionedit.eval_harness.scores.results import build_results, merge
from fashionedit.eval_harness.scores.scoring import described
from fashionedit.metrics.paper_metrics import Psnr


@pytest.fixture
def results(tmp_path: Path) -> Results:
    source = ScoredSource([drawn_sample(number) for number in range(4)])
    return build_results(DrawnRun(tmp_path, source), source, toy_embedder())


def value_at(chart: Chart, y: float) -> float:
    low, high = chart.y_ticks[0], chart.y_ticks[-1]
    return float(low.label) + (y - low.at) / (high.at - low.at) * (float(high.label) - float(low.label))


def with_intervals(results: Results) -> Results:
    """The same with an interval of 3 below and 1 above each mean, and a gain of 2."""
    rows = []
    for row in results.rows:
        scores = {
            name: score.model_copy(
                update={"low": score.mean - 3, "high": score.mean + 1, "gain": Gain(mean=2, standard_error=1)}
            )
            for name, score in row.scores.items()
        }
        rows.append(row.model_copy(update={"scores": scores}))
    return results.model_copy(update={"rows": tuple(rows), "interval": "made up"})


def test_psnr_of_identical_images_does_not_squash_the_axis(results: Results) -> None:
    psnr = next(chart for chart in charts(results) if chart.title == "PSNR")
    assert float(psnr.y_ticks[-1].label) < 60
    assert psnr.ceiling is None
    assert "361.20" in psnr.note
    last = psnr.lines[0].marks[-1]
    assert last.beyond == "above"
    assert last.y == psnr.top
    assert last.value == "361.2"


def test_curves_lie_where_their_values_are(results: Results) -> None:
    chart = charts(results)[0]
    for mark, row in zip(chart.lines[0].marks[1:], results.rows[1:4], strict=True):
        assert value_at(chart, mark.y) == pytest.approx(row.scores["cosine"].mean, abs=0.02)
    assert chart.lines[0].marks[0].y == chart.floor.at
    assert [tick.label for tick in chart.x_ticks] == ["draft", "round 1", "round 2", "round 3"]
    assert all(chart.top <= mark.y <= chart.bottom for line in chart.lines for mark in line.marks)


def test_bars_are_the_intervals_where_there_are_any(results: Results) -> None:
    chart = charts(with_intervals(results))[0]
    for mark, row in zip(chart.lines[0].marks[1:], results.rows[1:4], strict=True):
        mean = row.scores["cosine"].mean
        assert value_at(chart, mark.low) == pytest.approx(mean - 3, abs=0.05)
        assert value_at(chart, mark.high) == pytest.approx(min(mean + 1, 100), abs=0.05)
    table = forest(with_intervals(results))
    cell = table.rows[0][1][0]
    assert cell.gain == "+2.00"
    assert cell.low < cell.x < cell.high


def test_the_threshold_curve_passes_through_the_starred_score(results: Results) -> None:
    chart = threshold_chart(results)
    assert chart is not None
    place = results.thresholds.index(0.9)
    for line, one in zip([line for line in chart.lines if line.colour >= 0], series(results), strict=True):
        assert chart.rule.at == line.marks[place].x
        assert value_at(chart, line.marks[place].y) == pytest.approx(one.last.scores["cosine_star"].mean, abs=0.2)
        assert [mark.y for mark in line.marks] == sorted(mark.y for mark in line.marks)


def test_results_without_curves_have_no_threshold_chart(results: Results) -> None:
    rows = tuple(row.model_copy(update={"curve": ()}) for row in results.rows)
    assert threshold_chart(results.model_copy(update={"rows": rows, "thresholds": ()})) is None


def test_the_best_editor_is_marked_and_no_baseline_ever_is(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number) for number in range(4)])
    runs = [
        DrawnRun(tmp_path / "a", source, name="stepper", protocols=("bug",)),
        DrawnRun(tmp_path / "b", source, lambda sample, *_: stepped(sample, 1), name="lazy", protocols=("bug",)),
    ]
    table = forest(merge([build_results(run, source, toy_embedder()) for run in runs]))
    best = {method.name: cells[0].best for method, cells in table.rows if not method.baseline}
    assert best == {"stepper": True, "lazy": False}
    assert not any(cell.best for method, cells in table.rows if method.baseline for cell in cells)
    assert [method.baseline for method, _ in table.rows] == sorted(method.baseline for method, _ in table.rows)


def test_the_breakdown_has_the_draft_and_each_runs_last_round_by_garment(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number) for number in range(4)])
    runs = [
        DrawnRun(tmp_path / "a", source, name="stepper", protocols=("bug",)),
        DrawnRun(tmp_path / "b", source, lambda sample, *_: stepped(sample, 1), name="lazy", protocols=("bug",)),
    ]
    merged = merge([build_results(run, source, toy_embedder()) for run in runs])
    tables = breakdown_tables(merged)
    assert list(tables) == ["category"]  # all samples have one gender and one view: none
    shown = [(value, merged.rows[part.row].method) for value, parts in tables["category"].items() for part in parts]
    methods = ("Draft (do nothing)", "stepper", "lazy")
    assert shown == [(value, method) for value in ("Cards", "Sheets") for method in methods]
    for parts in tables["category"].values():
        for part in parts:
            cell = breakdown_cells(part, parts, merged)[0]
            assert cell.mean == f"{part.scores['cosine'].mean:.2f}"
            assert cell.best == (merged.rows[part.row].method == "stepper")
            assert merged.rows[part.row].round in (0, 3)


def test_groups_of_few_garments_have_no_interval_in_the_breakdown(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number) for number in range(13)])
    results = build_results(DrawnRun(tmp_path, source), source, toy_embedder(), measures=False)
    garments = {part.value: part.garments for part in breakdown(results, "category")}
    assert garments == {"Cards": 6, "Sheets": 7}
    assert intervals(results) == {("Cards", True), ("Sheets", True)}
    fewer = ScoredSource([drawn_sample(number) for number in range(11)])
    results = build_results(DrawnRun(tmp_path / "fewer", fewer), fewer, toy_embedder(), measures=False)
    assert intervals(results) == {("Cards", False), ("Sheets", True)}


def intervals(results: Results) -> set[tuple[str, bool]]:
    """Which groups have intervals in the breakdown."""
    return {
        (value, bool(cell.interval))
        for value, parts in breakdown_tables(results)["category"].items()
        for part in parts
        for cell in breakdown_cells(part, parts, results)
    }


def test_a_long_name_is_cut_and_its_prompt_is_not() -> None:
    lines = [
        Line("an editor with a name that is much too long", prompt, 0, False, False, (Mark(0, y, y, y, ""),))
        for prompt, y in (("text", 100.0), ("text+image", 140.0))
    ]
    found = [label.text for label in labels(lines)]
    assert [text.rsplit("…", 1)[1] for text in found] == [", text", ", text+image"]
    assert all(text.startswith("an editor") and len(text) <= 26 for text in found)


def test_losses_have_a_minus_as_long_as_the_plus() -> None:
    assert [signed(value, described(Psnr())) for value in (1.5, -1.5, 0.0)] == ["+1.50", "−1.50", "+0.00"]


def test_names_stay_apart_and_inside_the_canvas() -> None:
    for heights in ([100.0] * 12, [22.0, 23.0, 24.0, 250.0, 251.0], [256.0] * 5):
        lines = [
            Line(f"method {number}", "text", number, False, False, (Mark(0, y, y, y, ""),))
            for number, y in enumerate(heights)
        ]
        found = labels(lines)
        gaps = [lower.y - upper.y for upper, lower in itertools.pairwise(found)]
        assert min(gaps) >= 14.9
        assert all(0 < label.y <= HEIGHT for label in found)


@pytest.mark.parametrize(("low", "high"), [(87.2, 100.0), (0.0, 4.0), (9.29, 9.96), (-3.0, 120.0)])
def test_ticks_are_round_and_enclose_the_values(low: float, high: float) -> None:
    found = ticks(low, high)
    assert found[0] <= low
    assert found[-1] >= high
    assert 3 <= len(found) <= 9
    steps = {round(later - one, 9) for one, later in itertools.pairwise(found)}
    assert len(steps) == 1
