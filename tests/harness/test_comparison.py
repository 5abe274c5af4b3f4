"""Which of several methods is better, on drawn cards and on the control set."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scored_toys import DrawnRun, ScoredSource, drawn_baselines, drawn_sample, stepped, toy_embedder
from statsmodels.stats.multitest import multipletests

from fashionedit.cli import cli, main
from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.editors import resolve_editor
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.scores.comparison import Comparison, Contrast, compare
from fashionedit.eval_harness.scores.comparison_text import comparison_json, comparison_text
from fashionedit.eval_harness.scores.intervals import paired_difference
from fashionedit.eval_harness.scores.primary_scores import breakdown
from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.eval_harness.scores.results import build_results, merge, write_results
from fashionedit.folder import open_folder
from fashionedit.metrics import Embedder, load_encoder
from fashionedit.synthetic.rendering import write_synthetic
from fashionedit.types import Sample

NAMES = ("identity", "paste-reference", "oracle", "synthetic-stepper")


@pytest.fixture
def source() -> ScoredSource:
    return ScoredSource([drawn_sample(number, garment=f"g{number // 2}") for number in range(24)])


@pytest.fixture
def merged(source: ScoredSource, tmp_path: Path) -> Results:
    """A run that does every step, one that is a round behind, and one that refuses a third of the last round."""

    def behind(sample: Sample, protocol: str, round: int) -> Image.Image:
        return stepped(sample, round - 1)

    def refuses(sample: Sample, protocol: str, round: int) -> Image.Image | Status:
        return Status.REFUSED if round == 3 and int(sample.id[-2:]) % 3 == 0 else stepped(sample, round)

    runs = (
        DrawnRun(tmp_path / "a", source, name="able"),
        DrawnRun(tmp_path / "b", source, behind, name="behind"),
        DrawnRun(tmp_path / "c", source, refuses, name="shy", protocols=("bug",)),
    )
    return merge([build_results(run, source, toy_embedder(), baselines=drawn_baselines(source)) for run in runs])


def index_of(results: Results, run: int, protocol: str) -> int:
    """The index of a run's row after its last round."""
    wanted = (run, protocol, 3)
    return next(at for at, row in enumerate(results.rows) if (row.run, row.protocol, row.round) == wanted)


def the(contrasts: tuple[Contrast, ...], **fields: Any) -> Contrast:
    (found,) = [one for one in contrasts if all(getattr(one, name) == value for name, value in fields.items())]
    return found


def test_a_contrast_is_the_paired_difference_of_its_rows(merged: Results) -> None:
    found = the(compare(merged, [0, 1]).last, protocol="vanilla", metric="psnr")
    first, second = (merged.row_samples[index_of(merged, run, "vanilla")].values["psnr"] for run in (0, 1))
    expected = paired_difference(first, second, [sample.garment for sample in merged.samples])
    assert found.difference == expected
    assert (found.n, found.garments, found.wins, found.losses) == (24, 12, 24, 0)
    assert found.means == pytest.approx((np.mean(first), np.mean(second)))
    most = max(range(24), key=lambda place: first[place] - second[place])
    assert found.decisive[0].sample == merged.samples[most].id
    assert found.decisive[0].difference == first[most] - second[most]
    assert [one.difference for one in found.decisive] == sorted(one.difference for one in found.decisive)[::-1]


def test_holm_goes_over_the_last_rounds_alone(merged: Results) -> None:
    found = compare(merged, [0, 1, 2, "draft"])
    assert {one.round for one in found.last} == {3}
    assert len(found.last) == 3 * (6 + 3)  # six pairs in bug, three without the shy one in vanilla
    expected = multipletests([one.difference.p for one in found.last], method="holm")[1]
    assert [one.corrected for one in found.last] == pytest.approx(list(expected))
    assert all(one.corrected is None for one in (*found.rounds, *found.breakdowns))
    assert found.family.startswith("27 tests of last rounds (6 pairs; vanilla round 3, bug round 3;")


def test_runs_of_different_lengths_meet_in_the_last_round_that_both_have(merged: Results) -> None:
    kept = [index for index, row in enumerate(merged.rows) if row.run != 1 or row.round < 3]
    shorter = merged.model_copy(
        update={
            "rows": tuple(merged.rows[index] for index in kept),
            "row_samples": tuple(merged.row_samples[index] for index in kept),
        }
    )
    found = compare(shorter, [0, 1])
    assert ({one.round for one in found.last}, {one.round for one in found.rounds}) == ({2}, {1})


def test_refusals_count_against_who_refuses_and_the_furthest_apart_decide(merged: Results) -> None:
    star = the(compare(merged, [0, 2]).last, metric="cosine_star")
    assert (star.means, star.wins, star.losses) == ((100, pytest.approx(100 * 16 / 24)), 8, 0)
    able, shy = (merged.row_samples[index_of(merged, run, "bug")].values["cosine"] for run in (0, 2))
    refused = [place for place in range(24) if place % 3 == 0]
    furthest = sorted(refused, key=lambda place: shy[place] - able[place])[:5]
    assert [one.sample for one in star.decisive] == [merged.samples[place].id for place in furthest]
    assert {one.difference for one in star.decisive} == {100}


def test_breakdowns_are_contrasts_of_their_samples(merged: Results) -> None:
    found = compare(merged, [0, 1])
    assert {(one.by, one.value) for one in found.breakdowns} == {("category", "Cards"), ("category", "Sheets")}
    cards = [place for place, sample in enumerate(merged.samples) if sample.category == "Cards"]
    one = the(found.breakdowns, value="Cards", protocol="bug", metric="psnr")
    rows = [index_of(merged, run, "bug") for run in (0, 1)]
    first, second = ([merged.row_samples[row].values["psnr"][place] for place in cards] for row in rows)
    assert one.difference == paired_difference(first, second, [merged.samples[place].garment for place in cards])
    (whole,) = [part for part in breakdown(merged, "category") if (part.row, part.value) == (rows[0], "Cards")]
    assert (whole.n, whole.garments) == (one.n, one.garments) == (12, 6)
    assert whole.scores["psnr"].mean == pytest.approx(np.mean(first))


def test_results_break_down_by_what_they_know(merged: Results) -> None:
    parts = breakdown(merged, "category")
    assert [(part.value, part.row) for part in parts] == [
        (value, row) for value in ("Cards", "Sheets") for row in range(len(merged.rows))
    ]
    for row in range(len(merged.rows)):
        halves = [part for part in parts if part.row == row]
        for metric in merged.metrics:
            mean = np.mean([part.scores[metric.id].mean for part in halves])
            assert mean == pytest.approx(merged.rows[row].scores[metric.id].mean, abs=1e-5)
    assert breakdown(merged, "view") == ()
    with pytest.raises(UnknownNameError, match="choose gender, category, view"):
        breakdown(merged, "colour")


def test_one_run_against_itself_is_a_tie(source: ScoredSource, tmp_path: Path) -> None:
    results = build_results(DrawnRun(tmp_path, source), source, toy_embedder(), baselines=drawn_baselines(source))
    found = compare(results, [0, 0])
    assert found.systems == ("toy-editor (1)", "toy-editor (2)")
    assert {one.verdict for one in found.last} == {"tie"}
    assert {(one.difference.mean, one.difference.p, one.wins, one.losses) for one in found.last} == {(0, 1, 0, 0)}
    assert "the same" in comparison_text(found, results)


def test_what_can_not_be_compared_is_said(merged: Results) -> None:
    with pytest.raises(InvalidDataError, match="needs two"):
        compare(merged, [0])
    with pytest.raises(UnknownNameError, match="choose draft, flat-grey, faded-draft, return-reference"):
        compare(merged, [0, "floor"])
    with pytest.raises(InvalidDataError, match="paste-reference has no rows"):
        compare(merged, [0, "paste-reference"])
    with pytest.raises(InvalidDataError, match="run 7 has no rows"):
        compare(merged, [0, 7])
    with pytest.raises(InvalidDataError, match=r"shy and Oracle .* no protocol in common"):
        compare(merged, [2, "oracle"])


def test_ties_between_neighbours_do_not_hide_what_differs(merged: Results) -> None:
    found = compare(merged, [0, 1, 2])
    order = found.order["bug", "cosine_star"]
    assert order[0][0] == "able"
    tied = [one if {one.first, one.second} == {"able", "behind"} else replace(one, corrected=1.0) for one in found.last]
    chained = Comparison(
        found.systems, found.family, tuple(tied), (), (), {("bug", "psnr"): (("able", "shy", "behind"),)}
    )
    assert "bug, PSNR: able = shy = behind (but able > behind)" in comparison_text(chained, merged)


def test_who_failed_often_is_ranked_by_the_starred_metric_alone(merged: Results) -> None:
    """The third refuses 8 of 24 samples in the last round."""
    found = compare(merged, [0, 1, 2])
    assert {label for rank in found.order["bug", "cosine_star"] for label in rank} == {"able", "behind", "shy"}
    for metric in ("cosine", "psnr"):
        assert [label for rank in found.order["bug", metric] for label in rank] == ["able", "behind"]
    for one in found.last:
        if "shy" in (one.first, one.second):
            assert one.failed == ((0, 8) if one.second == "shy" else (8, 0))
            assert (one.verdict == "unranked") is (one.metric != "cosine_star")
    text = comparison_text(found, merged)
    assert "0 / 33.3 %" in text
    assert "at most 5 %" in text
    (line,) = (line for line in text.splitlines() if "bug, PSNR:" in line)
    assert "shy" not in line
    alone = compare(merged, [0, 2]).order["bug", "psnr"]
    assert alone == (("able",),)


def test_text_markdown_and_json_say_the_same(merged: Results) -> None:
    found = compare(merged, [0, 1])
    text, markdown = (comparison_text(found, merged, ["category"], markdown=one) for one in (False, True))
    stored = json.loads(json.dumps(comparison_json(found)))
    one = the(found.last, protocol="bug", metric="psnr")
    difference = f"{one.difference.mean:+.2f}"
    assert all(difference in page for page in (text, markdown))
    assert "able against behind, bug round 3, by category (exploratory)" in text
    assert "### able against behind, bug\n" in markdown
    assert "| PSNR | 3 |" in markdown
    (last,) = [entry for entry in stored["last"] if (entry["protocol"], entry["metric"]) == ("bug", "psnr")]
    assert last["difference"]["mean"] == one.difference.mean
    assert (last["verdict"], last["decisive"][0]["sample"]) == ("higher", one.decisive[0].sample)
    assert {entry["value"] for entry in stored["breakdowns"]} == {"Cards", "Sheets"}
    assert "by category" not in comparison_text(found, merged)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders of four editors over the control set, after one round, scored with real weights."""
    folder = tmp_path_factory.mktemp("compared")
    write_synthetic(folder / "set", 24, ("validation",), workers=2)
    source, embedder = open_folder(folder / "set"), Embedder(load_encoder("offline", device="cpu"))
    for name in NAMES:
        run(resolve_editor(name), source, folder / name, rounds=1)
        results = build_results(RunFolder.open(folder / name), source, embedder, measures=False)
        write_results(results, folder / name / "results.json")
    return folder


@pytest.fixture
def command(scored: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(scored)

    def compared(*arguments: str) -> str:
        found = CliRunner().invoke(cli, ["compare", *arguments], catch_exceptions=False)
        assert found.exit_code == 0
        return found.output

    return compared


@pytest.mark.slow
def test_the_control_set_is_ordered_rightly(command: Callable[..., str]) -> None:
    found = json.loads(command(*NAMES, "--json"))
    order = {(one["protocol"], one["metric"]): one["ranks"] for one in found["order"]}
    for metric in ("cosine", "psnr"):
        oracle, middle, identity = order["bug", metric]
        assert (oracle, sorted(middle), identity) == (
            ["Oracle (the original)"],
            ["Paste the reference", "synthetic-stepper"],
            ["identity"],
        )
        assert order["vanilla", metric] == [["Oracle (the original)"], ["synthetic-stepper"], ["identity"]]
    apart = {
        (one["first"], one["second"]): one["verdict"]
        for one in found["last"]
        if (one["protocol"], one["metric"]) == ("bug", "psnr")
    }
    assert apart["Paste the reference", "synthetic-stepper"] == "tie"
    assert apart["identity", "Paste the reference"] == "lower"
    assert apart["Oracle (the original)", "synthetic-stepper"] == "higher"


@pytest.mark.slow
def test_identity_against_the_draft_is_a_tie(command: Callable[..., str]) -> None:
    against_draft = json.loads(command("identity", "draft", "--json"))
    assert {one["verdict"] for one in against_draft["last"]} == {"tie"}
    assert against_draft["systems"] == ["identity", "Draft (do nothing)"]


@pytest.mark.slow
def test_the_command_compares_with_rows_that_every_table_has(command: Callable[..., str]) -> None:
    assert "paste-reference against Draft" not in command("identity", "draft")
    page = command("synthetic-stepper", "return-reference", "--markdown", "--by", "view")
    assert "### synthetic-stepper against return-reference, bug" in page.replace(
        "Return the reference", "return-reference"
    )


@pytest.mark.slow
def test_runs_that_can_not_be_compared_are_refused_field_by_field(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = json.loads((scored / "oracle" / "results.json").read_text())
    stored["protocol_version"] = "0"
    stored["dataset"]["manifest"] = "another"
    stored["metrics"][0]["fingerprint"]["precision"] = "bf16"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.json").write_text(json.dumps(stored))
    with pytest.raises(SystemExit):
        main(["compare", str(scored / "identity"), str(tmp_path / "other")])
    said = capsys.readouterr().err
    assert "protocol version: 1 against 0" in said
    assert "dataset manifest: " in said
    assert "against another" in said
    assert "cosine fingerprint precision: fp32 against bf16" in said
    assert "Traceback" not in said
