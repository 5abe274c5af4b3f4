"""From photographs to a benchmark that is loaded, run through the harness, published, fetched and filled in again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from datasets import load_dataset
from hub_server import HubServer
from lmm_server import Call, Fault, LmmServer
from whole_build import BuildGround, prepare

import fashionedit
from fashionedit.builders.split import SPLIT_FILE
from fashionedit.builders.stage_store import FUNNEL_FILE, StageStore
from fashionedit.cli import main
from fashionedit.images import crop, pixel_digest

PHOTOGRAPHS = 24
WHOLE = ("--min-similarity", "none", "--top-k", "18", "--sketches", "--examples")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> BuildGround:
    return prepare(tmp_path_factory.mktemp("ground"), PHOTOGRAPHS)


@pytest.fixture(scope="module")
def server() -> Iterator[LmmServer]:
    def script(call: Call) -> Fault | None:
        if call.photo[0] in "01":  # about one in eight
            return Fault(refusal="I can't look at this.")
        return Fault(text="Two differences: []") if call.photo[0] in "23" and call.turn == 0 else None

    with LmmServer(script) as found:
        yield found


@pytest.fixture(scope="module")
def built(ground: BuildGround, server: LmmServer) -> Path:
    out = ground.folder / "fashionedit"
    main(ground.arguments(out, server.url, *WHOLE))
    return out


def funnel(out: Path) -> dict[str, dict[str, object]]:
    return {step["name"]: step for step in json.loads((out / FUNNEL_FILE).read_text())["steps"]}


def test_every_photograph_is_accounted_for(ground: BuildGround, built: Path) -> None:
    steps = funnel(built)
    tree = ground.tree
    assert list(steps) == ["photos", "drafts", "kept", "analysed", "samples"]
    assert steps["photos"]["came"] == tree.images
    assert steps["photos"]["dropped"] == {"no caption": len(tree.uncaptioned), "not readable": 1}
    for before, step in zip(list(steps.values()), list(steps.values())[1:], strict=False):
        assert step["came"] == before["kept"]
    for step in steps.values():
        assert step["came"] == step["kept"] + sum(step["dropped"].values())
        assert step["failed"] == {}
    assert steps["kept"]["kept"] == 18
    assert steps["analysed"]["dropped"].keys() == {"refused"}


def test_the_folder_is_what_datasets_and_the_package_open(built: Path) -> None:
    steps = funnel(built)
    rows = load_dataset(str(built))
    assert sum(len(split) for split in rows.values()) == steps["samples"]["kept"]
    data = fashionedit.open_folder(built, "train+validation")
    assert len(data) == steps["samples"]["kept"]
    for sample in data:
        assert [pixel_digest(difference.reference) for difference in sample.differences] == [
            pixel_digest(crop(sample.original, difference.box)) for difference in sample.differences
        ]
        assert len(sample.sketches) == 3
        assert sample.annotation
        assert sample.draft.size == (64, 64)
    assert any(sample.examples for sample in data)
    card = (built / "README.md").read_text()
    for words in ("How it was made", "no caption", "What is unclear", "not to be copied", "fashionedit hydrate"):
        assert words in card


def test_no_garment_is_in_both_splits(built: Path) -> None:
    garments = {
        split: {data.facts(key).garment for key in data.ids}
        for split in ("train", "validation")
        for data in (fashionedit.open_folder(built, split),)
    }
    assert garments["train"].isdisjoint(garments["validation"])
    assert json.loads((built / SPLIT_FILE).read_text())["rule"] == "garment"
    assert json.loads((built / "leaks.json").read_text())["garments"] == []


def test_the_same_command_again_makes_nothing_again(ground: BuildGround, server: LmmServer, built: Path) -> None:
    calls, before = server.calls, {path.name: path.read_bytes() for path in (built / "data").iterdir()}
    main(ground.arguments(built, server.url, *WHOLE))
    assert server.calls == calls
    assert {path.name: path.read_bytes() for path in (built / "data").iterdir()} == before


def test_a_dry_run_tells_what_is_left_and_spends_nothing(
    ground: BuildGround, server: LmmServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = server.calls
    main(ground.arguments(tmp_path / "out", server.url, "--min-similarity", "none", "--top-k", "18", "--dry-run"))
    table = capsys.readouterr().out
    assert "Nothing was spent by this look." in table
    main(ground.arguments(tmp_path / "out", server.url, "--min-similarity", "none", "--dry-run", "--json"))
    plan = {stage["stage"]: stage for stage in json.loads(capsys.readouterr().out)["stages"]}
    usable = ground.tree.images - len(ground.tree.uncaptioned)
    assert plan["photos"]["items"] == ground.tree.images
    assert plan["generate"]["todo"] == plan["analyse"]["calls"] == usable
    assert plan["analyse"]["usd"] > 0
    assert plan["generate"]["gpu_hours"] is None
    assert server.calls == calls
    assert not (tmp_path / "out").exists()


def test_other_settings_are_refused_before_anything_is_paid_for(
    ground: BuildGround, server: LmmServer, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = server.calls
    arguments = ground.arguments(built, server.url, *WHOLE, "--model", "other")
    with pytest.raises(SystemExit):
        main([*arguments, "--price", "input=1,output=4"])
    assert 'model: "toy-lmm" → "other"' in capsys.readouterr().err
    assert server.calls == calls


def test_stages_run_alone_one_after_another(
    ground: BuildGround, server: LmmServer, built: Path, tmp_path: Path
) -> None:
    out = tmp_path / "fashionedit"
    rest = WHOLE
    with pytest.raises(SystemExit):
        main(ground.arguments(out, server.url, *rest, "--only", "filter"))
    for stage in ("generate", "filter", "analyse", "crop", "split", "shards"):
        main(ground.arguments(out, server.url, *rest, "--only", stage))
    assert {path.name: path.read_bytes() for path in (out / "data").iterdir()} == {
        path.name: path.read_bytes() for path in (built / "data").iterdir()
    }


def test_a_budget_stops_in_time_and_a_higher_one_goes_on(
    ground: BuildGround, server: LmmServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fashionedit"
    rest = ("--min-similarity", "none", "--limit", "12", "--validation", "0")
    with pytest.raises(SystemExit):
        main([*ground.arguments(out, server.url, *rest), "--budget", "0.025"])
    assert "of the budget of $0.0250 is spent" in capsys.readouterr().err
    spent = sum(record.data.get("usd") or 0 for record in StageStore(tmp_path / "fashionedit.build/analyse").records())
    assert 0 < spent <= 0.025
    main(ground.arguments(out, server.url, *rest))
    assert 0 < len(fashionedit.open_folder(out, "train")) <= 12


def test_the_benchmark_runs_through_the_harness(built: Path, tmp_path: Path) -> None:
    for editor, reference in (("identity", "detail"), ("paste-reference", "sketch")):
        run = str(tmp_path / editor)
        more = ["--protocol", "bug", "--reference", reference]
        main(["run", editor, "--data", str(built), "--out", run, "--quiet", *more])
        main(["score", run, "--encoder", "offline", "--quiet"])
        results = json.loads((Path(run) / "results.json").read_text())
        assert results["dataset"]["samples"] == len(fashionedit.open_folder(built))


def _in_a_process(hub: HubServer, code: str, *arguments: str) -> str:
    """Runs code as a user would who is logged in to this Hub; it is set before anything is imported."""
    import os

    environment = {**os.environ, **hub.environment()}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


COMMAND = "import sys; from fashionedit.cli import main; main(sys.argv[1:])"
LOAD = (
    "import sys, datasets; rows = datasets.load_dataset(sys.argv[1]); "
    "print({name: (len(split), split[0]['original_image'], split[0]['annotation']) for name, split in rows.items()})"
)
FETCH = "import sys, huggingface_hub as hub; print(hub.snapshot_download(sys.argv[1], repo_type='dataset'))"


def test_it_is_published_fetched_and_filled_in_again(ground: BuildGround, built: Path, tmp_path: Path) -> None:
    with HubServer() as hub:
        _in_a_process(hub, COMMAND, "publish", str(built), "--repo", "tester/mine", "--quiet")
        assert hub.repository("datasets", "tester/mine").private
        assert "None, None" in _in_a_process(hub, LOAD, "tester/mine")
        fetched = _in_a_process(hub, FETCH, "tester/mine").strip()
        out = tmp_path / "filled"
        _in_a_process(hub, COMMAND, "hydrate", fetched, str(ground.tree.root), str(out), "--quiet")
    for split in ("train", "validation"):
        wanted, found = (fashionedit.open_folder(path, split) for path in (built, out))
        assert found.ids == wanted.ids
        assert found.manifest_hash == wanted.manifest_hash
        for key in wanted.ids:
            assert found.digests(key).original == wanted.digests(key).original
            assert found.digests(key).crops == wanted.digests(key).crops
            assert found.facts(key).annotation == wanted.facts(key).annotation
