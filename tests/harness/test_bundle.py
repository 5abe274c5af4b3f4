"""What a bundle holds: enough to compute every number again, nothing that belongs to somebody else."""

from __future__ import annotations

import io
import json
import shutil

import pyarrow.parquet as pq
import pytest
from board_toys import (
    COUNT,
    open_benchmark,
    read_toy_results,
    slight,
    toy_benchmark,
    toy_run,
    write_benchmark,
    write_toy_bundle,
)

from fashionedit.eval_harness.leaderboard.bundle import make_bundle, read_bundle, read_contents
from fashionedit.eval_harness.leaderboard.provenance import package_sets

PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return open_benchmark(write_benchmark(tmp_path_factory.mktemp("data") / "fashion"))


@pytest.fixture(scope="module")
def scored(source, tmp_path_factory):
    return toy_run(tmp_path_factory.mktemp("runs") / "toy", source)


@pytest.fixture(scope="module")
def bundle(scored, source, tmp_path_factory):
    return write_toy_bundle(tmp_path_factory.mktemp("bundles") / "toy", scored, source)


def test_the_files_and_what_they_say(bundle, scored, source):
    contents = read_contents(bundle)
    assert sorted(path.name for path in bundle.iterdir()) == [
        ".fashionedit.json",  # whose the folder is; it is not sent
        "bundle.json",
        "outputs.json",
        "packages.json",
        "parameters.json",
        "results.json",
        "scores.parquet",
    ]
    assert (contents.bundle.name, contents.bundle.official, contents.bundle.track) == (
        "some-org/model",
        True,
        "detail-images",
    )
    assert contents.bundle.run == scored.identity
    assert contents.results == read_toy_results(scored)
    bug = contents.parameters.protocols["bug"]
    assert (bug.edits, bug.model_versions) == (3 * COUNT, ("toy-2026", None))
    assert bug.parameters == {"strength": [0.1], "seed": f"{3 * COUNT - 1} values"}
    assert contents.packages.sessions[0].packages["numpy"]
    ok = [outcome for outcome in scored.outcomes(source) if outcome.own]
    assert {(one.sample, one.protocol, one.round, one.digest) for one in contents.outputs.outputs} == {
        (one.sample, one.protocol, one.round, one.current.digest) for one in ok
    }


def test_scores_are_a_table_that_anything_reads(bundle):
    table = pq.read_table(bundle / "scores.parquet")
    assert len(table) == COUNT * 6
    assert table.column_names[-3:] == ["round", "clip", "psnr"]
    refused = [row for row in table.to_pylist() if row["status"] == "refused"]
    assert [(row["sample"], row["protocol"], row["round"]) for row in refused] == [
        ("card-03", "vanilla", 2),
        ("card-03", "bug", 2),
    ]


def test_no_picture_and_no_caption_is_in_it(bundle, source):
    for path in bundle.iterdir():
        data = path.read_bytes()
        assert not [mark for mark in PICTURES if mark in data], path.name
        for sample in source:
            assert sample.annotation.encode() not in data
            assert not [one for one in sample.differences if one.description.encode() in data]


def test_nothing_of_the_machine_is_in_it(bundle, scored):
    told = json.loads((scored.path / "sessions.jsonl").read_text().splitlines()[0])
    everything = b"".join(path.read_bytes() for path in bundle.iterdir())
    for name in (str(scored.path), told["data"], told["machine"]["system"], told["time"]):
        assert name.encode() not in everything


def test_the_same_run_made_another_way_has_the_same_bytes(bundle, source, tmp_path):
    toy_run(tmp_path / "other", source, limit=3)
    other = toy_run(tmp_path / "other", source, concurrency=4)
    again = write_toy_bundle(tmp_path / "again", other, source)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in bundle.iterdir()
    }


def test_a_file_that_is_missing_or_too_much_is_named(bundle, tmp_path):
    from fashionedit.errors import InvalidDataError

    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    (copy / "outputs.json").unlink()
    with pytest.raises(InvalidDataError, match=r"outputs\.json can't be read"):
        read_bundle(copy)
    (copy / "bundle.json").write_text('{"schema_version": 1}')
    with pytest.raises(InvalidDataError, match=r"bundle\.json can't be read \(name: "):
        read_bundle(copy)
    with pytest.raises(InvalidDataError, match=r"holds no bundle\.json"):
        read_bundle(tmp_path)


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
    bundle, files = make_bundle(
        other, source, read_toy_results(other), toy_benchmark(source), name="A service", model=None
    )
    assert not bundle.official
    assert pq.read_table(io.BytesIO(files["scores.parquet"])).column_names[-2:] == ["cosine", "psnr"]
