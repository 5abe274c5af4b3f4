"""A scored run as logs of Inspect, read by those readers that are here."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import datasets
import pytest
from board_toys import COUNT, open_benchmark, toy_run, write_benchmark
from toy_editors import ToyEditor, tint
from toy_samples import ToySource

from fashionedit.cli import main
from fashionedit.eval_harness import Status, run
from fashionedit.eval_harness.editing import EditRequest, EditResult


def edit(request: EditRequest) -> object:
    if request.round == 3 and request.protocol == "bug" and request.seed % 2:
        return EditResult.failed(Status.REFUSED, "no")
    return tint(request)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = open_benchmark(write_benchmark(tmp_path_factory.mktemp("data") / "fashion"))
    return toy_run(tmp_path_factory.mktemp("run") / "toy", source, edit).path


def last(scored: Path, protocol: str) -> dict:
    rows = json.loads((scored / "results.json").read_text())["rows"]
    return next(row for row in rows if row["run"] == 0 and row["protocol"] == protocol and row["round"] == 3)


def test_a_log_is_read_by_datasets_and_its_samples_give_the_means(scored: Path, tmp_path: Path) -> None:
    main(["export", str(scored), "--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fashionedit_bug.eval", "fashionedit_vanilla.eval"]
    with zipfile.ZipFile(tmp_path / "fashionedit_bug.eval") as log:
        samples = [json.loads(log.read(f"samples/{n}_epoch_1.json")) for n in range(1, COUNT + 1)]
    assert [one["metadata"]["sample"] for one in samples] == [f"card-{n:02d}" for n in range(COUNT)]
    scores = [one["scores"] for one in samples]
    if "eval" in datasets.packaged_modules._PACKAGED_DATASETS_MODULES:  # the older of those that are allowed lack it
        read = datasets.load_dataset(
            "eval", data_files=str(tmp_path / "fashionedit_bug.eval"), split="train", cache_dir=str(tmp_path / "cache")
        )
        assert read["id"] == list(range(1, COUNT + 1))
        assert [json.loads(line)["sample"] for line in read["metadata"]] == [f"card-{n:02d}" for n in range(COUNT)]
        assert [json.loads(line) for line in read["scores"]] == scores
    row = last(scored, "bug")
    assert set(scores[0]) == set(row["scores"])
    for name, stated in row["scores"].items():
        factor = 100 if name.endswith("_star") else 1
        assert sum(one[name]["value"] for one in scores) / COUNT * factor == pytest.approx(stated["mean"], abs=1e-5)
    header = json.loads(zipfile.ZipFile(tmp_path / "fashionedit_bug.eval").read("header.json"))
    assert header["eval"]["task"] == "fashionedit_bug"
    stated = {one["name"]: one["metrics"]["mean"]["value"] for one in header["results"]["scores"]}
    assert stated == {name: score["mean"] for name, score in row["scores"].items()}
    assert header["results"]["metadata"]["failures"] == row["failures"]


def test_the_same_run_gives_the_same_bytes_and_nothing_of_the_pictures(scored: Path, tmp_path: Path) -> None:
    for out in ("first", "second"):
        main(["export", str(scored), "--out", str(tmp_path / out)])
    first = {path.relative_to(tmp_path / "first"): path.read_bytes() for path in (tmp_path / "first").rglob("*.*")}
    assert first == {p.relative_to(tmp_path / "second"): p.read_bytes() for p in (tmp_path / "second").rglob("*.*")}
    asked = [json.loads(path.read_text())["instruction"] for path in (scored / "records").rglob("*.json")]
    assert len(asked) == COUNT * 6
    log = zipfile.ZipFile(tmp_path / "first" / "fashionedit_bug.eval")
    text = "".join(log.read(name).decode() for name in log.namelist())
    assert not any(one in text for one in asked)


def test_a_run_that_was_not_scored_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(ToyEditor(tint), ToySource(1), tmp_path / "run", rounds=1)
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "out")])
    assert "results.json" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("theirs", [b"some words", b"", "a log of another tool"])
def test_a_file_of_somebody_else_is_not_replaced(
    scored: Path, tmp_path: Path, theirs: bytes | str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "fashionedit_bug.eval"
    if isinstance(theirs, bytes):
        log.write_bytes(theirs)
    else:
        with zipfile.ZipFile(log, "w") as archive:
            archive.writestr("_journal/start.json", json.dumps({"plan": {"name": "another"}}))
    before = log.read_bytes()
    with pytest.raises(SystemExit):
        main(["export", str(scored), "--out", str(tmp_path)])
    assert "no log of fashionedit" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {log.name: before}


def test_an_earlier_log_is_replaced(scored: Path, tmp_path: Path) -> None:
    for _ in range(2):
        main(["export", str(scored), "--out", str(tmp_path)])
    assert len(list(tmp_path.iterdir())) == 2
