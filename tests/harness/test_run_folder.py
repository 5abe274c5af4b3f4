from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toy_editors import ToyEditor, refusing
from toy_runs import sessions
from toy_samples import ToySource

from fashionedit.errors import InvalidDataError, InvalidImageError, RunBusyError, RunMismatchError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.calls import finished_image
from fashionedit.eval_harness.running.chain import chains
from fashionedit.eval_harness.running.identity import run_identity
from fashionedit.eval_harness.running.records import RunIdentity
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.running.sessions import git_state


def identity(source: ToySource, editor: ToyEditor | None = None, **settings: Any) -> RunIdentity:
    return run_identity((editor or ToyEditor()).describe(), source, **settings)


def events(out: Path) -> list[dict[str, Any]]:
    path = out / "events-0.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_layout_is_the_documented_one(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    run(ToyEditor(refusing([3], Status.ERROR)), ToySource(1), out)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    names = {".lock", ".request-key", "run.json", "sessions.jsonl"}
    assert {name for name in files if "/" not in name} == names
    assert sum(name.startswith("errors/") for name in files) == 2
    for name in files - names:
        folder, *rest = name.split("/")
        assert folder in ("records", "images", "errors")
        assert folder == "errors" or (rest[1].startswith(rest[0]) and len(rest[0]) == 2)


def test_identity_holds_nothing_of_when_where_or_how_fast(tmp_path: Path) -> None:
    run(ToyEditor(), ToySource(1), tmp_path / "a", params={"steps": 3})
    run(ToyEditor(), ToySource(1), tmp_path / "b", params={"steps": 3}, protocols=("bug", "vanilla"))
    assert (tmp_path / "a" / "run.json").read_bytes() == (tmp_path / "b" / "run.json").read_bytes()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seed": 1}, "seed: run has 0, you asked 1"),
        ({"rounds": 2}, "rounds: run has 3, you asked 2"),
        ({"protocols": ["bug"]}, "protocols: run has vanilla, bug, you asked bug"),
        ({"size_policy": "base"}, "size_policy: run has model, you asked base"),
        ({"params": {"steps": 4}}, "params.steps: run has none, you asked 4"),
    ],
)
def test_another_setting_is_named_field_by_field(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    run(ToyEditor(), ToySource(1), tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(RunMismatchError, match="holds another run") as caught:
        run(ToyEditor(), ToySource(1), tmp_path / "run", **settings)
    assert words in str(caught.value)
    assert str(caught.value).count("you asked") == 1
    assert "or another folder" in str(caught.value)
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_several_differences_are_all_told(tmp_path: Path) -> None:
    run(ToyEditor(), ToySource(1), tmp_path / "run", params={"a": 1, "b": 2})
    with pytest.raises(RunMismatchError) as caught:
        run(ToyEditor(fingerprint="toy 2"), ToySource(2, seed=1), tmp_path / "run", params={"a": 1, "b": 3})
    clauses = str(caught.value).split(": ", 1)[1].split("; ")
    names = [clause.split(":")[0] for clause in clauses[:-1]]
    assert names == ["editor.fingerprint", "samples", "manifest", "params.b"]
    run(ToyEditor(fingerprint="undeclared-1"), ToySource(1), tmp_path / "undeclared")
    with pytest.raises(RunMismatchError, match="let it declare a `version`"):
        run(ToyEditor(fingerprint="undeclared-2"), ToySource(1), tmp_path / "undeclared")


def test_a_folder_with_other_files_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidDataError, match=r"holds notes.txt and no run.json"):
        run(ToyEditor(), ToySource(1), tmp_path)
    with pytest.raises(InvalidDataError, match="is no folder"):
        run(ToyEditor(), ToySource(1), tmp_path / "notes.txt")
    with pytest.raises(InvalidDataError, match=r"holds no run.json"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", '{"schema_version": 2}', "not json"])
def test_a_damaged_run_json_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InvalidDataError, match=r"run.json can't be read \("):
        RunFolder.open(tmp_path)


def test_other_samples_are_refused_when_reading(tmp_path: Path) -> None:
    run(ToyEditor(), ToySource(1), tmp_path / "run")
    with pytest.raises(
        RunMismatchError, match="was run on other samples: dataset: run has toy validation, you gave new"
    ):
        list(RunFolder.open(tmp_path / "run").outcomes(ToySource(1, seed=1, name="new")))


def test_outcomes_come_by_protocol_sample_and_round(tmp_path: Path) -> None:
    source, editor = ToySource(2), ToyEditor()
    run(editor, source, tmp_path / "run", rounds=2, stop=lambda: len(editor.requests) == 3)
    found = list(RunFolder.open(tmp_path / "run").outcomes(source))
    assert [(o.protocol, o.sample, o.round) for o in found] == [
        (protocol, sample, round) for protocol in ("vanilla", "bug") for sample in source.ids for round in (1, 2)
    ]
    assert [o.status for o in found] == [Status.OK, None, Status.OK, None, Status.OK, None, None, None]
    assert found[1].current.digest == found[0].current.digest
    assert found[7].current.digest == source.digests("toy-01").draft


def test_outcomes_decode_nothing(tmp_path: Path) -> None:
    source = ToySource(2)
    run(ToyEditor(), source, tmp_path / "run")
    source.decoded.clear()
    for path in (tmp_path / "run" / "images").glob("*/*.png"):
        path.write_bytes(b"\x89PNG" + path.read_bytes()[-8:])  # an end alone: it can't be decoded
    found = list(RunFolder.open(tmp_path / "run").outcomes(source))
    assert {o.status for o in found} == {Status.OK}
    assert source.decoded == []
    with pytest.raises(InvalidImageError, match="delete it and give the run command again"):
        found[0].current.open()


@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_record_without_a_whole_image_is_not_committed(tmp_path: Path, damage: str) -> None:
    source, out = ToySource(1), tmp_path / "run"
    run(ToyEditor(), source, out, protocols=["vanilla"])
    before = {path.name: path.read_bytes() for path in out.glob("images/*/*.png")}
    first = next(RunFolder.open(out).outcomes(source))
    path = out / "images" / first.current.digest[:2] / f"{first.current.digest}.png"
    data = path.read_bytes()
    path.unlink() if damage == "missing" else path.write_bytes(b"" if damage == "empty" else data[:-20])
    assert [o.status for o in RunFolder.open(out).outcomes(source)] == [None, None, None]
    assert events(out) == []  # reading writes nothing
    editor = ToyEditor()
    summary = run(editor, source, out, protocols=["vanilla"])
    assert [request.round for request in editor.requests] == [1]  # the same answer leads to the same later rounds
    assert (summary.edits, summary.reused) == (1, 2)
    assert {path.name: path.read_bytes() for path in out.glob("images/*/*.png")} == before
    assert [(event["event"], "missing or cut short" in event["reason"]) for event in events(out)] == [
        ("uncommitted", True)
    ]


@pytest.mark.parametrize("text", ["", "{", '{"key": "other"}', "another record"])
def test_a_record_that_cannot_be_read_is_not_committed(tmp_path: Path, text: str) -> None:
    source, out = ToySource(2), tmp_path / "run"
    run(ToyEditor(), source, out, protocols=["vanilla"], rounds=1)
    one, two = out.glob("records/*/*.json")
    one.write_text(two.read_text() if text == "another record" else text)
    assert [o.status for o in RunFolder.open(out).outcomes(source)].count(None) == 1
    editor = ToyEditor()
    run(editor, source, out, protocols=["vanilla"], rounds=1)
    assert len(editor.requests) == 1
    reason = "the record belongs to another key" if text == "another record" else "the record can't be read"
    assert events(out)[0]["reason"] == reason


def test_an_image_with_other_pixels_stops_the_next_round(tmp_path: Path) -> None:
    source, out, editor = ToySource(1), tmp_path / "run", ToyEditor()
    run(editor, source, out, protocols=["vanilla"], stop=lambda: len(editor.requests) == 1)
    Image.new("RGB", (32, 48)).save(next(out.glob("images/*/*.png")))
    with pytest.raises(InvalidImageError, match="has other pixels than were recorded; delete it"):
        run(ToyEditor(), source, out, protocols=["vanilla"])


def test_a_damaged_failed_attempt_is_one_sentence(tmp_path: Path) -> None:
    source, out = ToySource(1), tmp_path / "run"
    run(ToyEditor(refusing([1], Status.ERROR)), source, out, rounds=1, protocols=["vanilla"])
    next((out / "errors").iterdir()).write_text("{")
    with pytest.raises(InvalidDataError, match="can't be read as a failed attempt; delete it"):
        list(RunFolder.open(out).outcomes(source))


def test_the_same_pixels_are_written_once(tmp_path: Path) -> None:
    grey = Image.new("RGB", (8, 8), "grey")
    run(ToyEditor(lambda request: grey), ToySource(3), tmp_path / "run")
    assert len(list((tmp_path / "run").glob("images/*/*.png"))) == 1


def test_leftovers_of_a_killed_writer_are_swept(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(ToyEditor(), ToySource(1), out)
    folder = next(out.glob("images/*"))
    (folder / ".x.png.1.ab.part").write_bytes(b"half")
    (out / ".run.json.1.ab.part").write_bytes(b"half")
    run(ToyEditor(), ToySource(1), out)
    assert not list(out.rglob("*.part"))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".run.json.1.ab.part").write_bytes(b"half")  # killed before there was a run.json
    (tmp_path / "new" / ".lock").touch()
    assert run(ToyEditor(), ToySource(1), tmp_path / "new").edits == 6


def test_two_runs_at_once_are_refused_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    source, out = ToySource(1), tmp_path / "run"
    run(ToyEditor(), source, out)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom pathlib import Path\nfrom fashionedit.files import lock_folder\n"
            "lock_folder(Path(sys.argv[1]))\nprint('held', flush=True)\ntime.sleep(60)",
            str(out),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(
            RunBusyError, match=r"another process is writing to .*; wait for it or choose another folder"
        ):
            run(ToyEditor(), source, out)
        assert len(list(RunFolder.open(out).outcomes(source))) == 6  # reading needs no lock
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert run(ToyEditor(), source, out).reused == 6


def test_one_process_cannot_open_a_run_twice_and_gives_the_lock_back(tmp_path: Path) -> None:
    source = ToySource(1)
    with RunFolder.create_or_open(tmp_path / "run", identity(source)), pytest.raises(RunBusyError):
        RunFolder.create_or_open(tmp_path / "run", identity(source))
    with pytest.raises(RunMismatchError):
        RunFolder.create_or_open(tmp_path / "run", identity(source, seed=1))
    RunFolder.create_or_open(tmp_path / "run", identity(source)).close()


def test_a_file_system_without_locks_is_used_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert run(ToyEditor(), ToySource(1), tmp_path / "run").edits == 6


def test_sessions_tell_versions_machine_command_and_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "work"
    repository.mkdir()
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    author = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run(["git", *command], cwd=repository, check=True, env=environment)
    monkeypatch.chdir(repository)
    monkeypatch.setattr(sys, "argv", ["fashionedit", "run", "toy", "--param", "api_key=s3cret", "--token", "s3cret"])
    run(ToyEditor(), ToySource(1), tmp_path / "run")
    run(ToyEditor(), ToySource(1), tmp_path / "run")
    lines = sessions(tmp_path / "run")
    assert [line["event"] for line in lines] == ["start", "end", "start", "end"]
    assert [line["session"] for line in lines[::2]] == [line["session"] for line in lines[1::2]]
    assert lines[0]["session"] != lines[2]["session"]
    assert lines[0]["packages"]["pillow"] == Image.__version__
    assert lines[0]["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert lines[0]["machine"]["cores"] == os.cpu_count()
    assert (len(lines[0]["git"]["commit"]), lines[0]["git"]["dirty"]) == (40, False)
    assert "s3cret" not in (tmp_path / "run" / "sessions.jsonl").read_text()
    assert lines[0]["command"][:3] == ["fashionedit", "run", "toy"]
    assert (lines[1]["edits"], lines[1]["reused"], lines[3]["edits"], lines[3]["reused"]) == (6, 0, 0, 6)


def test_the_place_of_the_dataset_is_remembered_and_is_no_part_of_the_identity(tmp_path: Path) -> None:
    source, out = ToySource(1), tmp_path / "run"
    run(ToyEditor(), source, out)
    assert RunFolder.open(out).data_location() is None
    run(ToyEditor(), source, out, data="synthetic:1")
    run(ToyEditor(), source, out, data="elsewhere")
    run(ToyEditor(), source, out)
    with (out / "sessions.jsonl").open("a") as file:
        file.write('{"event": "start", "data": "to')  # a writer that was killed
    assert RunFolder.open(out).data_location() == "elsewhere"


def test_git_state_sees_a_changed_file_and_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert git_state(tmp_path) is None
    (tmp_path / "a").write_text("1")
    author = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    for command in (["init", "-q"], ["add", "a"], [*author, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "untracked").write_text("1")
    assert git_state(tmp_path)["dirty"] is False
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path)["dirty"] is True


def test_a_thousand_samples_are_indexed_in_seconds(tmp_path: Path) -> None:
    source = ToySource(1000)
    image = Image.new("RGB", (2, 2))
    with RunFolder.create_or_open(tmp_path / "run", identity(source)) as folder:
        _, output = finished_image(image, None)
        for number, chain in enumerate(chains(folder.identity, source)):
            for round in chain.rounds:
                step = chain.step(round)
                record = step.record(Status.OK, inputs=(), output=output)
                if number == 0:
                    folder.commit(record, image)
                path = folder.path / "records" / step.key[:2] / f"{step.key}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(record.model_dump_json(indent=2))  # without fsync: only reading is timed
                chain.take(record)
    start = time.process_time()
    found = list(RunFolder.open(tmp_path / "run").outcomes(source))
    assert time.process_time() - start < 10
    assert (len(found), {o.status for o in found}) == (6000, {Status.OK})


def test_an_image_that_is_gone_or_a_folder_is_one_sentence(tmp_path: Path) -> None:
    source, out = ToySource(1), tmp_path / "run"
    run(ToyEditor(), source, out, rounds=1, protocols=["vanilla"])
    path = next(out.glob("images/*/*.png"))
    name = path.relative_to(out).as_posix()
    assert RunFolder.open(out).encoded(name) == path.read_bytes()
    path.unlink()
    with pytest.raises(InvalidImageError, match=f"{name} does not exist; "):
        RunFolder.open(out).encoded(name)
    path.mkdir()
    with pytest.raises(InvalidImageError, match="is a folder; delete it and "):
        RunFolder.open(out).encoded(name)


def test_a_failed_attempt_that_is_damaged_or_gone_counts_as_one_or_none(tmp_path: Path) -> None:
    source, out = ToySource(1), tmp_path / "run"
    for _ in range(3):
        run(ToyEditor(refusing([1], Status.ERROR)), source, out, rounds=1, protocols=["vanilla"], retries=0)
    first, second, _ = sorted((out / "errors").iterdir())
    key = json.loads(first.read_bytes())["key"]

    def attempts() -> int:
        return RunFolder.open(out).failures.attempts(key)

    assert attempts() == 3
    first.write_text("{")
    assert attempts() == 3
    second.unlink()
    assert attempts() == 2
