"""What is printed behind the table, and what the times file adds up."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scored_toys import DrawnRun, ScoredSource, drawn_baselines, drawn_sample, stepped, toy_embedder

from fashionedit.cli import cli
from fashionedit.cli.options import print_table
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.records import RoundOutcome
from fashionedit.eval_harness.scores.details import gain_section, sections
from fashionedit.eval_harness.scores.primary_scores import row_primary_scores
from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.eval_harness.scores.results import build_results, write_results
from fashionedit.eval_harness.scores.table import Section, sections_text
from fashionedit.eval_harness.scores.timing import read_timing, timing, write_timing


@pytest.fixture(scope="module")
def source() -> ScoredSource:
    return ScoredSource([drawn_sample(number, garment=f"g{number // 2}") for number in range(8)])


class TimedRun(DrawnRun):
    """Each edit takes half a second and two cents; the first sample refuses in round 2."""

    def outcomes(self, source: Any) -> Iterator[RoundOutcome]:
        for one in super().outcomes(source):
            yield replace(one, seconds=0.5, cost_usd=0.02, attempts=1)


@pytest.fixture(scope="module")
def run(source: ScoredSource, tmp_path_factory: pytest.TempPathFactory) -> TimedRun:
    def does(sample: Any, protocol: str, round: int) -> Any:
        refuses = (sample.id, round) == ("card-00", 2)
        return Status.REFUSED if refuses else stepped(sample, round)

    return TimedRun(tmp_path_factory.mktemp("timed"), source, does)


@pytest.fixture(scope="module")
def results(run: TimedRun, source: ScoredSource) -> Results:
    return build_results(run, source, toy_embedder(), baselines=drawn_baselines(source))


def found(results: Results, title: str, timings: Any = None) -> Section:
    return next(one for one in sections(results, timings) if one.title.startswith(title))


def line(section: Section, method: str, *rest: str) -> dict[str, str]:
    (cells,) = [cells for cells in section.rows if cells[: 1 + len(rest)] == (method, *rest)]
    return dict(zip(section.head, cells, strict=True))


def test_every_number_of_a_row_is_shown(results: Results) -> None:
    row = next(one for one in results.rows if (one.run, one.protocol, one.round) == (0, "bug", 2))
    place = ("toy-editor", "text+image", "2")
    score = row.scores["psnr"]
    assert line(found(results, "95 %"), *place)["PSNR"] == f"[{score.low:.2f}, {score.high:.2f}]"
    gain = line(gain_section(results), *place)
    assert gain["PSNR"] == f"{score.gain.mean:+.2f}"
    assert gain["detectable"] == f"{score.detectable:.2f}"
    assert gain["95 % interval"] == f"[{score.gain.low:+.2f}, {score.gain.high:+.2f}]"
    read = line(found(results, "Failures"), *place)
    assert read["PSNR carried"] == f"{score.carry_forward:.2f}"
    assert (read["PSNR completers"], read["completers"]) == (f"{score.completers:.2f}", "7")
    star = row.scores["cosine_star"]
    assert read["Cosine* bounds"] == f"[{star.worst:.2f}, {star.best:.2f}]" == "[87.50, 100.00]"
    curve = line(found(results, "Cosine* at other"), *place)
    assert curve["0.90"] == f"{row.curve[results.thresholds.index(0.9)]:.1f}"
    measured = line(found(results, "Did it change"), *place)
    assert measured["Inside"] == f"{row.measures['inside'].mean:.2f}"
    assert measured["n"] == "7"


def test_rows_without_failures_are_not_read_otherwise(results: Results) -> None:
    assert {cells[2] for cells in found(results, "Failures").rows} == {"2"}


def test_kinds_are_shown_for_last_rounds_alone(results: Results) -> None:
    kinds = found(results, "By category (exploratory)")
    assert {cells[0] for cells in kinds.rows} == {"Cards", "Sheets"}
    assert {cells[3] for cells in kinds.rows if cells[1] == "toy-editor"} == {"3"}
    assert not [one for one in sections(results) if one.title.startswith("By view")]


def test_an_accepted_edit_bears_the_cost_of_all_rounds_and_samples(
    run: TimedRun, source: ScoredSource, results: Results, tmp_path: Path
) -> None:
    write_timing(run, source, tmp_path / "timing.json", results)
    stored = read_timing(tmp_path / "timing.json")
    assert stored == json.loads(json.dumps(timing(run, source, results)))
    second = next(one for one in stored["rounds"] if (one["protocol"], one["round"]) == ("vanilla", 2))
    place = next(
        index for index, row in enumerate(results.rows) if (row.run, row.protocol, row.round) == (0, "vanilla", 2)
    )
    hits = sum(value == 100 for value in row_primary_scores(results, place, results.metrics[1]))
    assert hits == 7
    assert second["accepted"] == hits
    assert second["seconds_per_accepted"] == pytest.approx(2 * 8 * 0.5 / hits)
    assert second["usd_per_accepted"] == pytest.approx(2 * 8 * 0.02 / hits)
    assert (second["mean_seconds"], second["usd_per_edit"]) == (0.5, pytest.approx(0.02))
    shown = line(found(results, "Time and cost", {0: stored}), "toy-editor", "vanilla", "2")
    assert (shown["edits"], shown["s an edit"], shown["accepted"]) == ("8", "0.5", "7")


def test_a_times_file_that_is_gone_or_torn_says_nothing(results: Results, tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text("{")
    assert read_timing(tmp_path / "none.json") == read_timing(tmp_path / "torn.json") == {}
    assert found(results, "Time and cost", {0: {}}).rows == ()


def test_text_and_markdown_hold_the_same_sections(results: Results) -> None:
    text, markdown = (sections_text(sections(results), markdown=one) for one in (False, True))
    for one in sections(results):
        assert (one.title in text) == bool(one.rows)
    assert markdown.count("### ") == sum(bool(one.rows) for one in sections(results))
    assert "Time and cost" not in text
    assert sections_text([]) == ""


def test_the_command_shows_gains_always_and_the_rest_where_asked(
    run: TimedRun, source: ScoredSource, results: Results, tmp_path: Path
) -> None:
    write_results(results, tmp_path / "results.json")
    write_timing(run, source, tmp_path / "timing.json", results)

    def shown(*options: str) -> str:
        answer = CliRunner().invoke(cli, ["show", str(tmp_path), *options], catch_exceptions=False)
        assert answer.exit_code == 0
        return answer.output

    titles = ("95 % intervals", "Gain over the draft", "Did it change", "Cosine* at other", "Time and cost")
    assert [title in shown() for title in titles] == [False, True, False, False, False]
    assert all(title in shown("--details") for title in titles)
    assert "### Gain over the draft" in shown("--markdown")
    assert "### Time and cost" in shown("--markdown", "--details")


def test_a_narrow_terminal_gets_no_broken_gains(
    results: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "90")
    print_table(results)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 90
    assert "need a wider terminal" in text
