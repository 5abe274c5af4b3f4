"""Did it change only what was asked: on drawn cards, whose every pixel is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops
from scored_toys import DrawnRun, MeanColours, ScoredSource, drawn_baselines, drawn_sample, stepped, toy_embedder

from fashionedit.errors import RunMismatchError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.scores.measures import measure_limits, measures_of
from fashionedit.eval_harness.scores.result_models import Results, Row, RowSamples
from fashionedit.eval_harness.scores.results import build_results, merge, to_json
from fashionedit.metrics.regions import compare_outside, inside, outside_replaced, verbatim_share
from fashionedit.metrics.similarity import cosine_similarity
from fashionedit.types import Sample

IDS = ("inside", "outside", "outside_similarity", "drift", "leak")


def source(count: int = 6) -> ScoredSource:
    return ScoredSource([drawn_sample(number, size=(120, 160), garment=f"g{number // 2}") for number in range(count)])


def scored(tmp_path: Path, does: Any = None, *, samples: ScoredSource | None = None, **options: Any) -> Results:
    found = samples or source()
    run = DrawnRun(tmp_path, found, *([does] if does else []))
    return build_results(run, found, toy_embedder(), baselines=drawn_baselines(found), **options)


def row(results: Results, protocol: str = "bug", round: int = 1) -> tuple[Row, RowSamples]:
    place = next(
        index for index, one in enumerate(results.rows) if (one.run, one.protocol, one.round) == (0, protocol, round)
    )
    return results.rows[place], results.row_samples[place]


def washed(sample: Sample, protocol: str, round: int) -> Image.Image:
    """The steps, with everything else a shade darker each round."""
    return ImageChops.subtract(stepped(sample, round), Image.new("RGB", (120, 160), (7 * round,) * 3))


def test_an_edit_inside_its_box_alone_is_measured_so(tmp_path: Path) -> None:
    for round in (1, 2, 3):
        found = row(scored(tmp_path), round=round)[0].measures
        assert tuple(found) == IDS
        assert found["inside"].mean == pytest.approx(100, abs=1e-4)
        assert found["outside"].mean == 60
        assert found["outside_similarity"].mean == 100
        assert found["drift"].mean > 0
        assert {one.n for one in found.values()} == {6}


def test_the_values_are_those_of_the_pure_functions(tmp_path: Path) -> None:
    samples = source()
    _, found = row(scored(tmp_path, washed, samples=samples), round=2)
    encoder = MeanColours()

    def cosine(first: Image.Image, second: Image.Image) -> float:
        return float(cosine_similarity(encoder.vector(first), encoder.vector(second)))

    for place, id in enumerate(samples.ids):
        sample = samples.sample(id)
        after, before, asked = washed(sample, "bug", 2), washed(sample, "bug", 1), sample.differences[1]
        shares = [verbatim_share(one, asked.reference, asked.box) for one in (after, before)]
        expected = {
            "inside": 100 * cosine(inside(after, asked.box), inside(sample.original, asked.box)),
            "outside": compare_outside(after, before, asked.box).decibels,
            "outside_similarity": 100 * cosine(after, outside_replaced(after, before, asked.box)),
            "drift": 100 * (1 - cosine(after, sample.draft)),
            "leak": 100 * max(0, shares[0] - shares[1]),
        }
        assert {name: column[place] for name, column in found.measures.items()} == pytest.approx(expected, abs=1e-4)


def test_doing_nothing_changes_nothing_and_leaks_nothing(tmp_path: Path) -> None:
    found = row(scored(tmp_path, lambda sample, protocol, round: sample.draft))[0].measures
    means = {name: value.mean for name, value in found.items()}
    assert means == {"inside": means["inside"], "outside": 60, "outside_similarity": 100, "drift": 0, "leak": 0}
    assert means["inside"] < 99.9


def test_only_rounds_with_an_image_are_measured_and_the_next_starts_from_the_last_good(tmp_path: Path) -> None:
    def shy(sample: Sample, protocol: str, round: int) -> Image.Image | Status:
        return Status.REFUSED if round == 2 and sample.id == "card-01" else washed(sample, protocol, round)

    samples = source()
    results = scored(tmp_path, shy, samples=samples)
    kept, columns = row(results, round=2)
    assert {name: column[1] for name, column in columns.measures.items()} == dict.fromkeys(IDS)
    assert {value.n for value in kept.measures.values()} == {5}
    sample = samples.sample("card-01")
    expected = compare_outside(washed(sample, "bug", 3), washed(sample, "bug", 1), sample.differences[2].box).decibels
    assert row(results, round=3)[1].measures["outside"][1] == pytest.approx(expected, abs=1e-5)


def test_means_have_clustered_intervals(tmp_path: Path) -> None:
    kept, columns = row(scored(tmp_path, washed), round=3)
    for name, value in kept.measures.items():
        values = np.array(columns.measures[name])
        assert value.mean == pytest.approx(values.mean(), abs=1e-5)
        sums = (values - values.mean()).reshape(3, 2).sum(axis=1)
        error = np.sqrt(3 / 2 * (sums**2).sum()) / 6
        assert value.standard_error == pytest.approx(error, abs=1e-5)
        low, high = measure_limits(name)
        ends = max(value.mean - 4.302653 * error, low), min(value.mean + 4.302653 * error, high)
        assert (value.low, value.high) == pytest.approx(ends, abs=1e-4)


def test_the_same_records_give_the_same_bytes_and_open_nothing(tmp_path: Path) -> None:
    samples = source()
    first = to_json(scored(tmp_path, washed, samples=samples))
    run, embedder = DrawnRun(tmp_path, samples, washed), toy_embedder()
    assert to_json(build_results(run, samples, embedder, baselines=drawn_baselines(samples))) == first
    assert embedder.encoder.encoded == 0
    assert to_json(scored(tmp_path / "new", washed)) == first


def test_what_is_not_wanted_is_not_measured(tmp_path: Path) -> None:
    results = scored(tmp_path, washed, measures=False)
    assert results.measures == ()
    assert all(one.measures == {} for one in (*results.rows, *results.row_samples))
    assert not list((tmp_path / "scores").glob("leak*"))


def test_runs_with_and_without_measures_stand_side_by_side(tmp_path: Path) -> None:
    samples = source()
    pair = [scored(tmp_path / str(one), washed, samples=samples, measures=one) for one in (False, True)]
    merged = merge(pair)
    assert [one.id for one in merged.measures] == list(IDS)
    assert {one.run: bool(one.measures) for one in merged.rows if one.run is not None} == {0: False, 1: True}


def test_other_definitions_are_refused_side_by_side(tmp_path: Path) -> None:
    samples = source()
    first = scored(tmp_path, washed, samples=samples)
    other = first.model_copy(
        update={
            "measures": tuple(
                one.model_copy(update={"fingerprint": {**one.fingerprint, "measure": f"{one.id} 0"}})
                for one in first.measures
            )
        }
    )
    with pytest.raises(RunMismatchError, match="leak fingerprint measure: leak 1 against leak 0"):
        merge([first, other])


def test_fingerprints_name_the_encoder_where_one_is_used() -> None:
    found = {one.id: one.fingerprint for one in measures_of(MeanColours())}
    assert {name for name in IDS if found[name].get("encoder model") == "mean-colours"} == {
        "inside",
        "outside_similarity",
        "drift",
    }
    assert len({tuple(sorted(one.items())) for one in found.values()}) == 5
