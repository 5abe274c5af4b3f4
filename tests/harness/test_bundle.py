"""What a bundle holds: enough to compute every number again, nothing that belongs to somebody else."""

from __future__ import annotations

import json
import shutil

import pytest
from board_toys import (
    COUNT,
    REPOSITORY,
    read_toy_results,
    slight,
    toy_benchmark,
    toy_run,
    write_toy_bundle,
)

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.leaderboard.bundle import make_bundle, package_sets, read_bundle

PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")


def test_one_file_from_which_the_results_follow(whole, scored, source):
    found = read_bundle(whole)
    assert sorted(path.name for path in whole.iterdir()) == [
        ".fashionedit.json",  # whose the folder is; it is not sent
        "bundle.json",
    ]
    assert (found.name, found.official, found.track) == ("some-org/model", True, "detail-images")
    assert found.run == scored.identity
    assert found.benchmark == toy_benchmark(source)
    stated, computed = read_toy_results(scored), found.results
    assert computed.rows == stated.rows
    assert computed.samples == stated.samples
    assert (computed.metrics, computed.measures, computed.thresholds) == (
        stated.metrics,
        stated.measures,
        stated.thresholds,
    )
    assert computed.dataset == stated.dataset.model_copy(update={"name": REPOSITORY})
    for mine, theirs in zip(computed.row_samples, stated.row_samples, strict=True):
        assert (mine.status, mine.digests, mine.measures) == (theirs.status, theirs.digests, theirs.measures)
        for metric, values in theirs.values.items():
            assert mine.values[metric] == pytest.approx(values, abs=1e-9)
    assert found.parameters["bug"].model_versions == ("toy-2026", None)
    assert found.parameters["bug"].parameters == {"strength": [0.1], "seed": f"{3 * COUNT - 1} values"}
    assert found.sessions[0].packages["numpy"]
    mine, theirs = (
        [(one.sample, one.protocol, one.round, one.status, one.current.digest, one.own) for one in outcomes]
        for outcomes in (found.own_outcomes(), scored.outcomes(source))
    )
    assert sorted(mine) == sorted(theirs)


def test_measures_and_other_seeds_follow_too(source, tmp_path):
    run = toy_run(tmp_path / "run", source, measures=True, repeats=2)
    stated = read_toy_results(run)
    bundle = write_toy_bundle(tmp_path / "bundle", run, source)
    assert read_bundle(bundle).results.rows == stated.rows
    assert any(row.measures and row.repeats for row in stated.rows)


def test_no_picture_and_no_caption_is_in_it(whole, source):
    for path in whole.iterdir():
        data = path.read_bytes()
        assert not [mark for mark in PICTURES if mark in data], path.name
        for sample in source:
            assert sample.annotation.encode() not in data
            assert not [one for one in sample.differences if one.description.encode() in data]


def test_nothing_of_the_machine_is_in_it(whole, scored):
    told = json.loads((scored.path / "sessions.jsonl").read_text().splitlines()[0])
    everything = b"".join(path.read_bytes() for path in whole.iterdir())
    for name in (str(scored.path), told["data"], told["machine"]["system"], told["time"]):
        assert name.encode() not in everything


def test_the_same_run_made_another_way_has_the_same_bytes(whole, source, tmp_path):
    toy_run(tmp_path / "other", source, limit=3)
    other = toy_run(tmp_path / "other", source, concurrency=4)
    again = write_toy_bundle(tmp_path / "again", other, source)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in whole.iterdir()
    }


def test_a_file_that_is_missing_or_another_is_named(whole, tmp_path):
    copy = shutil.copytree(whole, tmp_path / "copy")
    (copy / "bundle.json").write_text('{"schema_version": 2}')
    with pytest.raises(InvalidDataError, match=r"bundle\.json can't be read \(name: "):
        read_bundle(copy)
    (copy / "bundle.json").unlink()
    with pytest.raises(InvalidDataError, match=r"holds no bundle\.json"):
        read_bundle(copy)


def test_package_sets_are_told_once_and_torn_lines_passed_over(tmp_path):
    lines = [
        {"event": "start", "python": "3.11.7", "packages": {"numpy": "2.1"}, "command": ["secret"]},
        {"event": "end"},
        {"event": "start", "python": "3.11.7", "packages": {"numpy": "2.1"}},
        {"event": "start", "python": "3.12.1", "packages": {"numpy": "2.2"}},
    ]
    path = tmp_path / "sessions.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"event": "st')
    assert [(one.python, one.packages) for one in package_sets(path)] == [
        ("3.11.7", {"numpy": "2.1"}),
        ("3.12.1", {"numpy": "2.2"}),
    ]
    assert package_sets(tmp_path / "none") == ()


def test_scores_of_another_encoder_are_marked(source, tmp_path):
    from scored_toys import MeanColours

    other = toy_run(tmp_path / "run", source, slight(0.2), encoder=MeanColours())
    bundle = make_bundle(other, source, read_toy_results(other), toy_benchmark(source), name="A service", model=None)
    assert not bundle.official
    assert bundle.track == "detail-images-other-encoder"
    assert [metric.id for metric in bundle.metrics] == ["cosine", "cosine_star", "psnr"]
