import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scored_toys import (
    DrawnRun,
    MeanColours,
    ScoredSource,
    drawn_baselines,
    drawn_sample,
    stepped,
    toy_embedder,
)

from fashionedit.errors import InvalidDataError, RunMismatchError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.records import EditorIdentity
from fashionedit.eval_harness.scores.comparison import compare
from fashionedit.eval_harness.scores.intervals import (
    clustered_standard_error,
    mean_interval,
    paired_difference,
    share_interval,
)
from fashionedit.eval_harness.scores.primary_scores import breakdown
from fashionedit.eval_harness.scores.result_models import Results, Row
from fashionedit.eval_harness.scores.results import (
    build_results,
    merge,
    read_results,
    to_json,
    with_columns,
    write_results,
)
from fashionedit.eval_harness.scores.scoring import described
from fashionedit.eval_harness.scores.table import caption, footnotes, to_console
from fashionedit.eval_harness.scores.timing import timing, write_timing
from fashionedit.metrics import load_metrics
from fashionedit.metrics.paper_metrics import PAPER_IDS
from fashionedit.metrics.registry import PAPER_METRICS
from fashionedit.types import Sample


@pytest.fixture
def source() -> ScoredSource:
    return ScoredSource([drawn_sample(number, garment=f"g{number // 2}") for number in range(6)])


def build(run: DrawnRun, source: ScoredSource, encoder: MeanColours | None = None) -> Results:
    return build_results(run, source, toy_embedder(encoder), baselines=drawn_baselines(source))


def row_of(results: Results, protocol: str, round: int) -> Row:
    return next(row for row in results.rows if row.run == 0 and (row.protocol, row.round) == (protocol, round))


def cosine(one: Image.Image, other: Image.Image) -> float:
    first, second = (MeanColours().vector(image).astype(np.float64) for image in (one, other))
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def failing(*places: tuple[str, int], status: Status | None = Status.REFUSED) -> Callable[..., Any]:
    return lambda sample, protocol, round: status if (sample.id, round) in places else stepped(sample, round)


def test_means_and_errors_are_those_of_the_samples(source: ScoredSource, tmp_path: Path) -> None:
    row = row_of(build(DrawnRun(tmp_path, source), source), "vanilla", 2)
    values = [100 * cosine(stepped(source.sample(id), 2), source.sample(id).original) for id in source.ids]
    assert row.scores["cosine"].mean == pytest.approx(np.mean(values), abs=1e-5)
    error = clustered_standard_error(values, [source.facts(id).garment for id in source.ids])
    assert row.scores["cosine"].standard_error == pytest.approx(error, abs=1e-5)
    assert row.scores["cosine_star"].mean == pytest.approx(100 * np.mean([value > 90 for value in values]), abs=1e-5)
    assert (row.requested, row.ok, row.failures, row.completers) == (6, 6, {}, 6)


def test_a_failure_is_a_miss_for_the_star(source: ScoredSource, tmp_path: Path) -> None:
    row = row_of(build(DrawnRun(tmp_path, source, failing(("card-03", 3))), source), "bug", 3)
    star = row.scores["cosine_star"]
    assert star.mean == pytest.approx(100 * 5 / 6, abs=1e-5)
    assert star.carry_forward == 100
    assert (star.best, star.worst) == (100, star.mean)
    assert (row.ok, row.failed, row.failures) == (5, 1, {"refused": 1})


def ranked_by(row: Row) -> set[str]:
    metrics = map(described, load_metrics(PAPER_METRICS, toy_embedder()))
    return {metric.id for metric in metrics if row.is_ranked(metric)}


def test_a_refusal_never_counts_more_than_the_draft(source: ScoredSource, tmp_path: Path) -> None:
    """An editor whose every answer is worse than the draft gains nothing over the draft by refusing."""
    spoil = Image.new("RGB", (60, 80), (0, 255, 0))
    worse = row_of(build(DrawnRun(tmp_path / "a", source, lambda *_: spoil), source), "bug", 1)
    refuses = row_of(build(DrawnRun(tmp_path / "b", source, lambda *_: Status.REFUSED), source), "bug", 1)
    later = lambda sample, protocol, round: spoil if round == 1 else Status.REFUSED  # noqa: E731
    stops = row_of(build(DrawnRun(tmp_path / "c", source, later), source), "bug", 2)
    drafts = [100 * cosine(source.sample(id).draft, source.sample(id).original) for id in source.ids]
    assert refuses.scores["cosine"].mean == pytest.approx(np.mean(drafts), abs=1e-5)
    assert refuses.scores["cosine_star"].mean == 0
    assert stops.scores["cosine"].mean == worse.scores["cosine"].mean
    assert stops.scores["psnr"].mean == worse.scores["psnr"].mean
    assert refuses.scores["cosine"].mean > worse.scores["cosine"].mean  # it does pay against a poor edit
    assert refuses.failed_share == 1
    assert ranked_by(refuses) == {"cosine_star"}


@pytest.mark.parametrize(("count", "ranked"), [(0, True), (1, True), (2, False)])
def test_five_in_a_hundred_may_fail_where_similarity_ranks(tmp_path: Path, count: int, ranked: bool) -> None:
    source = ScoredSource([drawn_sample(number) for number in range(20)])
    places = [(f"card-{number:02d}", 3) for number in range(count)]
    row = row_of(build(DrawnRun(tmp_path, source, failing(*places)), source), "bug", 3)
    assert row.failed_share == count / 20
    assert ranked_by(row) == ({"cosine", "cosine_star", "psnr"} if ranked else {"cosine_star"})


def test_a_cosine_is_held_to_the_threshold_unrounded(source: ScoredSource, tmp_path: Path) -> None:
    """The next number above 0.9 is a hit, in the row and in whatever counts again from the file."""
    run = DrawnRun(tmp_path, source, protocols=("bug",))
    found = build(run, source)
    for file in (tmp_path / "scores").glob("cosine-*.jsonl"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for place, line in enumerate(lines[1:]):
            line["value"] = [math.nextafter(0.9, 1), 0.9, math.nextafter(0.9, 0)][place % 3]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = build(run, source)
    for row, samples in zip(again.rows, again.row_samples, strict=True):
        hits = sum(value / 100 > 0.9 for value in samples.values["cosine"])
        assert row.scores["cosine_star"].mean == pytest.approx(100 * hits / 6, abs=1e-5)
    assert {row.scores["cosine_star"].mean for row in again.rows} != {
        row.scores["cosine_star"].mean for row in found.rows
    }
    write_results(again, tmp_path / "results.json")
    assert read_results(tmp_path / "results.json").row_samples == again.row_samples


def test_a_failure_after_a_good_round_falls_back_to_the_draft(source: ScoredSource, tmp_path: Path) -> None:
    """The last good image is better than the draft here, so the draft is what counts."""
    row = row_of(build(DrawnRun(tmp_path, source, failing(("card-00", 2))), source), "vanilla", 2)
    values = [cosine(stepped(source.sample(id), 2), source.sample(id).original) for id in source.ids]
    first = source.sample("card-00")
    headline = [cosine(first.draft, first.original), *values[1:]]
    carried = [cosine(stepped(first, 1), first.original), *values[1:]]
    assert row.scores["cosine"].mean == pytest.approx(100 * np.mean(headline), abs=1e-5)
    assert row.scores["cosine"].carry_forward == pytest.approx(100 * np.mean(carried), abs=1e-5)
    assert row.scores["cosine"].completers == pytest.approx(100 * np.mean(values[1:]), abs=1e-5)


def test_completers_finished_every_round_so_far(source: ScoredSource, tmp_path: Path) -> None:
    results = build(DrawnRun(tmp_path, source, failing(("card-00", 1), ("card-01", 2))), source)
    rows = [row_of(results, "vanilla", round) for round in (1, 2, 3)]
    assert [row.completers for row in rows] == [5, 4, 4]
    assert [row.ok for row in rows] == [5, 5, 6]


def test_intervals_and_gains_are_those_of_the_samples(source: ScoredSource, tmp_path: Path) -> None:
    results = build(DrawnRun(tmp_path, source, failing(("card-01", 2))), source)
    garments = [source.facts(id).garment for id in source.ids]
    floor, row = results.rows[0], row_of(results, "vanilla", 2)
    drafts, values = (
        [100 * cosine(image, source.sample(id).original) for image, id in zip(images, source.ids, strict=True)]
        for images in (
            [source.sample(id).draft for id in source.ids],
            [source.sample(id).draft if id == "card-01" else stepped(source.sample(id), 2) for id in source.ids],
        )
    )
    found, expected = row.scores["cosine"], paired_difference(values, drafts, garments)
    assert found.gain is not None
    assert found.gain.mean == pytest.approx(found.mean - floor.scores["cosine"].mean, abs=1e-5)
    for field in ("mean", "standard_error", "low", "high"):
        assert getattr(found.gain, field) == pytest.approx(getattr(expected, field), abs=1e-5)
    assert found.detectable == pytest.approx(expected.detectable, abs=1e-5)
    ends = mean_interval(found.mean, found.standard_error, 3)
    assert (found.low, found.high) == pytest.approx((ends[0], min(ends[1], 100)), abs=1e-4)
    star = row.scores["cosine_star"]
    hits = [float(value > 90 and id != "card-01") for value, id in zip(values, source.ids, strict=True)]
    assert (star.low, star.high) == pytest.approx([100 * end for end in share_interval(hits, garments)], abs=1e-5)
    assert all(score.gain is None and score.low is not None for score in floor.scores.values())


def test_one_garment_has_no_interval(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number, garment="g") for number in range(2)])
    score = row_of(build(DrawnRun(tmp_path, source), source), "bug", 1).scores["cosine"]
    assert (score.standard_error, score.low, score.high, score.detectable) == (None, None, None, None)
    assert score.gain is not None
    assert (score.gain.standard_error, score.gain.low) == (None, None)


def test_the_threshold_curve_falls_and_passes_through_the_star(source: ScoredSource, tmp_path: Path) -> None:
    results = build(DrawnRun(tmp_path, source, failing(("card-03", 1))), source)
    assert (results.thresholds[0], results.thresholds[-1], len(results.thresholds)) == (0.7, 0.98, 29)
    for row, samples in zip(results.rows, results.row_samples, strict=True):
        assert list(row.curve) == sorted(row.curve, reverse=True)
        assert row.curve[results.thresholds.index(0.9)] == row.scores["cosine_star"].mean
        hits = [
            value > 85 for value, status in zip(samples.values["cosine"], samples.status, strict=True) if status == "ok"
        ]
        assert row.curve[results.thresholds.index(0.85)] == pytest.approx(100 * sum(hits) / 6, abs=1e-5)


def test_each_scored_image_is_named_by_its_digest(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source, failing(("card-03", 2)))
    results = build(run, source)
    outcomes = {(one.protocol, one.round, one.sample): one.current.digest for one in run.outcomes(source)}
    for row, samples in zip(results.rows, results.row_samples, strict=True):
        if row.run == 0:
            assert samples.digests == tuple(outcomes[row.protocol, row.round, id] for id in source.ids)


def test_an_unfinished_round_is_scored_over_the_samples_that_were_asked_in_it(
    source: ScoredSource, tmp_path: Path
) -> None:
    unfinished = build(DrawnRun(tmp_path / "a", source, failing(("card-05", 3), ("card-02", 3), status=None)), source)
    finished = build(DrawnRun(tmp_path / "b", source), source)
    row = row_of(unfinished, "bug", 3)
    assert (row.requested, row.ok, row.failures) == (4, 4, {})
    whole = finished.row_samples[finished.rows.index(row_of(finished, "bug", 3))].values["psnr"]
    kept = [value for place, value in enumerate(whole) if place not in (2, 5)]
    assert row.scores["psnr"].mean == pytest.approx(sum(kept) / 4, abs=1e-5)
    assert row_of(unfinished, "bug", 2) == row_of(finished, "bug", 2)
    assert [sample.id for sample in unfinished.samples] == list(source.ids)
    assert any("Unfinished: n counts the samples edited" in note for note in footnotes(unfinished))
    assert not any("Unfinished" in note for note in footnotes(finished))
    by_category = [one for one in breakdown(unfinished, "category") if one.row == unfinished.rows.index(row)]
    assert sum(one.n for one in by_category) == 4
    with pytest.raises(InvalidDataError, match=r"a run is unfinished: .* fashionedit score --limit N"):
        compare(unfinished, [0, "draft"])


def test_a_round_in_which_nobody_was_asked_yet_has_no_row(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source, lambda sample, _, round: None if round == 3 else stepped(sample, round))
    rows = [(row.protocol, row.round) for row in build(run, source).rows if row.run == 0]
    assert rows == [("vanilla", 1), ("vanilla", 2), ("bug", 1), ("bug", 2)]


def test_a_sample_that_the_run_has_not_reached_is_in_no_row(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source)
    everything = list(run.outcomes(source))
    run.outcomes = lambda source: iter(one for one in everything if one.sample != "card-02")  # type: ignore[method-assign]
    results = build_results(run, source, toy_embedder())
    assert {row.requested for row in results.rows} == {5}
    assert (results.dataset.samples, results.dataset.not_reached) == (5, 1)
    assert "n = 5 of 6 (" in caption(results)
    run.outcomes = lambda source: iter([])  # type: ignore[method-assign]
    with pytest.raises(InvalidDataError, match="has no finished round of 6 samples; run the editor first"):
        build(run, source)


def test_a_limit_scores_the_first_samples_with_their_baselines(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source)
    results = build_results(run, source, toy_embedder(), limit=2)
    assert [sample.id for sample in results.samples] == list(source.ids[:2])
    assert {row.requested for row in results.rows} == {2}
    assert (results.dataset.samples, results.dataset.not_reached) == (2, 4)


def test_of_imported_images_what_is_missing_counts_as_a_failure(source: ScoredSource, tmp_path: Path) -> None:
    editor = EditorIdentity(name="made", fingerprint="made", supplied=True)
    run = DrawnRun(tmp_path, source, failing(("card-05", 3), status=None), editor=editor)
    row = row_of(build(run, source), "bug", 3)
    assert (row.requested, row.failures) == (6, {"not_run": 1})
    assert row.scores["cosine_star"].mean == pytest.approx(100 * 5 / 6, abs=1e-5)


def test_nobody_completed_is_no_zero(source: ScoredSource, tmp_path: Path) -> None:
    row = row_of(build(DrawnRun(tmp_path, source, lambda *_: Status.NO_IMAGE), source), "bug", 3)
    assert row.completers == 0
    assert row.scores["psnr"].completers is None


def test_the_ceiling_is_the_psnr_of_identical_images(source: ScoredSource, tmp_path: Path) -> None:
    results = build(DrawnRun(tmp_path, source), source)
    ceiling = next(row for row in results.rows if row.kind == "ceiling")
    expected = 20 * math.log10(255 / np.finfo(float).eps)
    assert ceiling.scores["psnr"].mean == pytest.approx(expected, abs=1e-6)
    assert ceiling.scores["cosine"].mean == 100
    assert ceiling.identical == 6
    assert row_of(results, "vanilla", 1).identical == 0


def test_the_shared_rows_are_there_without_being_asked_for(source: ScoredSource, tmp_path: Path) -> None:
    results = build_results(DrawnRun(tmp_path, source), source, toy_embedder())
    found = {(row.kind, row.editor, row.privileged) for row in results.rows if row.run is None}
    assert found == {
        ("floor", "identity", False),
        ("trivial", "flat-grey", False),
        ("trivial", "faded-draft", False),
        ("baseline", "return-reference", False),
        ("baseline", "paste-reference", True),
        ("ceiling", "oracle", True),
    }


def test_a_run_of_a_baseline_is_not_shown_twice(source: ScoredSource, tmp_path: Path) -> None:
    oracle = EditorIdentity(name="oracle", fingerprint="oracle 1", privileged=True)
    run = DrawnRun(tmp_path, source, lambda sample, protocol, round: sample.original, editor=oracle)
    rows = build(run, source).rows
    assert [row.run for row in rows] == [None, *[0] * 6]
    assert {row.kind for row in rows[1:]} == {"ceiling"}


def test_what_is_told_the_answer_is_a_baseline(source: ScoredSource, tmp_path: Path) -> None:
    editor = EditorIdentity(name="stepper", fingerprint="s", privileged=True)
    rows = build(DrawnRun(tmp_path, source, editor=editor), source).rows
    assert {(row.kind, row.privileged) for row in rows if row.run == 0} == {("baseline", True)}


def test_draft_runs_are_rows_of_a_text_to_image_model(source: ScoredSource, tmp_path: Path) -> None:
    editor = EditorIdentity(name="sd2", fingerprint="f", supplied=True)
    run = DrawnRun(tmp_path, source, lambda sample, *_: sample.original, editor=editor, protocols=("draft",))
    row = row_of(build(run, source), "draft", 0)
    assert (row.kind, row.prompt, row.supplied, row.scores["cosine"].mean) == ("editor", "text", True, 100)


def test_dataset_facts(source: ScoredSource, tmp_path: Path) -> None:
    facts = build(DrawnRun(tmp_path, source), source).dataset
    areas = [box.area for id in source.ids for box in source.facts(id).boxes]
    assert (facts.samples, facts.garments, facts.originals) == (6, 3, "as packed, 60×80 pixels")
    assert facts.mean_box_area == pytest.approx(100 * np.mean(areas), abs=1e-6)


def test_an_empty_dataset_gives_no_table(tmp_path: Path) -> None:
    empty = ScoredSource([])
    with pytest.raises(InvalidDataError, match="has no samples"):
        build(DrawnRun(tmp_path, empty), empty)


def test_the_file_has_the_same_bytes_for_the_same_records(source: ScoredSource, tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        results = build(DrawnRun(tmp_path / name, source, failing(("card-01", 2))), source)
        write_results(results, tmp_path / name / "results.json")
        written.append((tmp_path / name / "results.json").read_bytes())
    assert written[0] == written[1]
    assert read_results(tmp_path / "one" / "results.json") == results
    assert to_json(results).encode() == written[1]


def test_the_file_is_sorted_json_without_times(source: ScoredSource, tmp_path: Path) -> None:
    write_results(build(DrawnRun(tmp_path, source), source), tmp_path / "results.json")
    text = (tmp_path / "results.json").read_text()
    found = json.loads(text)
    assert list(found) == sorted(found)
    assert found["schema_version"] == 2
    assert not {"seconds", "time", "sessions"} & set(text.replace('"', " ").split())


def test_columns_can_be_left_out_and_ordered(source: ScoredSource, tmp_path: Path) -> None:
    results = build(DrawnRun(tmp_path, source), source)
    fewer = with_columns(results, ("psnr", "cosine", "not there"))
    assert fewer.metric_ids == ("psnr", "cosine")
    write_results(fewer, tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == fewer
    assert fewer.rows[1].scores["psnr"] == results.rows[1].scores["psnr"]
    assert with_columns(fewer, PAPER_IDS).metric_ids == ("cosine", "psnr")


def test_every_primary_score_can_be_recomputed_from_the_file(source: ScoredSource, tmp_path: Path) -> None:
    results = build(DrawnRun(tmp_path, source, failing(("card-01", 2), ("card-04", 3))), source)
    floor = results.row_samples[0].values["cosine"]
    for row, samples in zip(results.rows, results.row_samples, strict=True):
        values = samples.values["cosine"]
        ok = [status == "ok" for status in samples.status]
        headline = [value if good else min(value, draft) for value, draft, good in zip(values, floor, ok, strict=True)]
        assert row.scores["cosine"].mean == pytest.approx(np.mean(headline), abs=1e-5)
        hits = [good and value > 90 for value, good in zip(values, ok, strict=True)]
        assert row.scores["cosine_star"].mean == pytest.approx(100 * np.mean(hits), abs=1e-5)


@pytest.mark.parametrize(("text", "says"), [("{}", "protocol_version"), ("{", "can.t be read .*; it is no valid JSON")])
def test_a_damaged_file_gets_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InvalidDataError, match=says):
        read_results(tmp_path / "results.json")
    with pytest.raises(InvalidDataError, match="does not exist"):
        read_results(tmp_path / "other.json")


def test_merged_runs_share_floor_and_ceiling(source: ScoredSource, tmp_path: Path) -> None:
    parts = [build(DrawnRun(tmp_path / name, source, name=name), source) for name in ("one", "two")]
    merged = merge(parts)
    assert [row.kind for row in merged.rows] == ["floor"] + ["editor"] * 12 + ["ceiling"] * 3
    assert [row.run for row in merged.rows if row.run is not None] == [0] * 6 + [1] * 6
    assert [run.editor.name for run in merged.runs] == ["one", "two"]
    assert len(merged.row_samples) == len(merged.rows)
    assert merge([merge(parts[:1]), parts[1]]) == merged


def test_a_merged_baseline_run_takes_the_place_of_the_shared_row(source: ScoredSource, tmp_path: Path) -> None:
    oracle = EditorIdentity(name="oracle", fingerprint="oracle 1", privileged=True)
    parts = [
        build(DrawnRun(tmp_path / "a", source), source),
        build(DrawnRun(tmp_path / "b", source, lambda sample, *_: sample.original, editor=oracle), source),
    ]
    assert {row.run for row in merge(parts).rows if row.kind == "ceiling"} == {1}


def test_runs_of_one_name_are_told_apart(source: ScoredSource, tmp_path: Path) -> None:
    parts = [
        build(DrawnRun(tmp_path / str(seed), source, seed=seed, params={"steps": 4 + seed}), source) for seed in (0, 1)
    ]
    methods = {row.method for row in merge(parts).rows if row.run is not None}
    assert methods == {"toy-editor (seed 0, params steps=4)", "toy-editor (seed 1, params steps=5)"}
    same = {row.method for row in merge([parts[0], parts[0]]).rows if row.run is not None}
    assert same == {"toy-editor (run 1)", "toy-editor (run 2)"}


def test_what_may_not_stand_in_one_table_is_named_field_by_field(source: ScoredSource, tmp_path: Path) -> None:
    one = build(DrawnRun(tmp_path / "a", source), source)
    other = ScoredSource([drawn_sample(9)], name="others")
    with pytest.raises(
        RunMismatchError,
        match=r"dataset manifest: manifest of 6 drawn against manifest of 1 others; .*; run and score both on the same",
    ):
        merge([one, build(DrawnRun(tmp_path / "b", other), other)])
    newer = MeanColours({"model": "mean-colours", "revision": "2"})
    with pytest.raises(RunMismatchError, match="cosine fingerprint revision: 1 against 2"):
        merge([one, build(DrawnRun(tmp_path / "c", source), source, newer)])
    with pytest.raises(RunMismatchError, match="metrics: cosine, cosine_star, psnr against clip, clip_star, psnr"):
        merge([one, build(DrawnRun(tmp_path / "d", source), source, MeanColours(is_clip=True))])
    with pytest.raises(RunMismatchError, match="protocol version: 1 against 2"):
        merge([one, one.model_copy(update={"protocol_version": "2"})])
    lacking = one.dataset.model_copy(update={"samples": 2, "not_reached": 4})
    unfinished = one.model_copy(update={"dataset": lacking, "samples": one.samples[:2]})
    with pytest.raises(
        RunMismatchError, match="has come to 2 of 6 samples, so give its run command again and score it"
    ):
        merge([one, unfinished])
    with pytest.raises(RunMismatchError, match="score both with one encoder on the same samples"):
        merge([unfinished, unfinished.model_copy(update={"protocol_version": "2"})])
    with pytest.raises(InvalidDataError, match="no results"):
        merge([])
    with pytest.raises(InvalidDataError, match="nowhere does not exist; give the folder of a scored run"):
        read_results(tmp_path / "nowhere" / "results.json")


def test_times_and_sessions_stand_in_a_file_of_their_own(source: ScoredSource, tmp_path: Path) -> None:
    run = DrawnRun(tmp_path, source, failing(("card-01", 2), status=None))
    (tmp_path / "sessions.jsonl").write_text('{"machine": "m"}\n{"torn')
    write_timing(run, source, tmp_path / "timing.json")
    found = json.loads((tmp_path / "timing.json").read_text())
    assert found == timing(run, source)
    assert found["sessions"] == [{"machine": "m"}]
    assert [one["edits"] for one in found["rounds"]] == [6, 5, 6, 6, 5, 6]
    assert found["rounds"][0]["seconds"] is None


def test_a_run_whose_pixels_between_the_samples_show_something_else_is_marked(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number, size=(512, 512)) for number in range(3)])

    def hides(sample: Sample, protocol: str, round: int) -> Image.Image:
        original, shown = np.asarray(sample.original), np.asarray(sample.draft).copy()
        shown[:] = 255 - shown
        large = np.repeat(np.repeat(shown, 2, axis=0), 2, axis=1)
        for row in (1, 2):
            for column in (1, 2):
                large[row::4, column::4] = original[::2, ::2]
        return Image.fromarray(large)

    results = build_results(DrawnRun(tmp_path / "a", source, hides, protocols=("bug",)), source, toy_embedder())
    row = row_of(results, "bug", 3)
    assert row.control_gaps["psnr"] > 1
    assert row.doubtful == ("psnr",)
    assert "toy-editor≠" in to_console(results)
    assert "lower with antialiasing" in to_console(results)
    honest = build_results(DrawnRun(tmp_path / "b", source), source, toy_embedder())
    assert "≠" not in to_console(honest)
    assert all(one.control_gaps.get("psnr", 0) < 0.5 for one in honest.rows)


def _rows(found: dict[str, Any]) -> None:
    found["row_samples"].pop()


def _metrics(found: dict[str, Any]) -> None:
    found["metrics"] = [metric for metric in found["metrics"] if metric["of"] is not None]


def _status(found: dict[str, Any]) -> None:
    found["row_samples"][1]["status"].pop()


def _run(found: dict[str, Any]) -> None:
    next(row for row in found["rows"] if row["run"] is not None)["run"] = 7


def _protocol(found: dict[str, Any]) -> None:
    found["rows"][1]["protocol"] = "guess"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_rows, r"\d+ rows, \d+ lists of samples, 6 samples"),
        (_metrics, "one is a share of another that is not there"),
        (_status, "row 1 has not one status and score for each sample"),
        (_run, "is of run 7, which it does not have"),
        (_protocol, "row 1 has another protocol or curve than there are"),
    ],
)
def test_a_file_whose_parts_do_not_go_together_is_refused(
    source: ScoredSource, tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    path = tmp_path / "results.json"
    write_results(build(DrawnRun(tmp_path / "run", source), source), path)
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    with pytest.raises(InvalidDataError, match=f"does not fit together .*{says}.*; score the run again"):
        read_results(path)
