"""Ray workers: the same bytes as in one process, and what dies and comes back. One file, so that one cluster does."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from judge_service import write_cards
from PIL import Image
from tiny_pipelines import write_tiny_sd3
from toy_editors import ToyEditor, tint
from toy_samples import ToySource

from fashionedit.builders.generate.drafting import DraftMaker, DraftRequest, DraftResult
from fashionedit.builders.generate.ray_drafts import DraftReplica, RayDrafts
from fashionedit.builders.generate.stage import generate
from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import StageStore
from fashionedit.cli import main
from fashionedit.errors import EditorError, InvalidDataError, MissingExtraError, ServiceError, UnknownNameError
from fashionedit.eval_harness.editing import EditRequest
from fashionedit.eval_harness.editors.resolve import resolve_editor
from fashionedit.eval_harness.editors.settings import EditorSettings
from fashionedit.eval_harness.evaluation import evaluate
from fashionedit.eval_harness.running.remote_calls import RemoteEditor, on_engine
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.run_stats import RunSummary
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.scored_run import Scoring, write_scores
from fashionedit.metrics.ray_embedder import RayEmbedder
from fashionedit.runtime import ray_engine, ray_replica
from fashionedit.runtime.progress import Bar
from fashionedit.runtime.ray_engine import RayEngine, parse_engine

ONE, TWO = RayEngine(workers=1), RayEngine(workers=2)
MODEL = '''
import os, time
from pathlib import Path

import tinting
from fashionedit.eval_harness.editing import EditRequest

class Editor(tinting.Base):
    """Notes each edit, and dies or sleeps where it is told to."""

    def __init__(self, notes, dies="", times=1, sleeps="", batch=1, raises=""):
        self.notes, self.dies, self.times, self.sleeps, self.raises = Path(notes), dies, times, sleeps, raises
        self.batch_size = batch

    def edit(self, request: EditRequest):
        return self.edit_many([request])[0]

    def edit_many(self, requests):
        for request in requests:
            name = f"{request.protocol}-{request.round}-{request.seed}"
            with (self.notes / "edits").open("a") as file:
                file.write(f"{name} {len(requests)}\\n")
            if self.sleeps == f"{request.protocol}-{request.round}":
                time.sleep(60)
            if self.raises == f"{request.protocol}-{request.round}":
                raise ConnectionError("no line")
            died = self.notes / f"died-{name}"
            count = int(died.read_text()) if died.exists() else 0
            if self.dies == f"{request.protocol}-{request.round}" and count < self.times:
                died.write_text(str(count + 1))
                os._exit(1)
        return [self.made(request) for request in requests]
'''
TINTING = """
from fashionedit.eval_harness.editing import EditorInfo, EditResult
from PIL import ImageOps

class Base:
    def describe(self):
        return EditorInfo("noting", "noting 1")

    def made(self, request):
        params, state = {"seed": request.seed % 97}, {"k": request.round}
        return EditResult.ok(ImageOps.invert(request.base), params=params, state=state)
"""


@pytest.fixture
def model(tmp_path: Path, cluster: None) -> Path:
    """A file with an editor, which imports a module beside it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "tinting.py").write_text(TINTING)
    path = tmp_path / "code" / "noting.py"
    path.write_text(MODEL)
    return path


def ran(
    model: Path,
    out: Path,
    engine: RayEngine | None,
    source: ToySource | None = None,
    *,
    told: Callable[[str], None] | None = None,
    **options: Any,
) -> RunSummary:
    """Runs the editor of the file, whose own options are those that it takes."""
    own = {name: options.pop(name) for name in ("dies", "times", "sleeps", "batch", "raises") if name in options}
    settings = EditorSettings(options={"notes": str(model.parent), **own}, version="1")
    editor = on_engine(f"{model}:Editor", engine, settings, told)
    return run(editor, source or ToySource(3), out, backoff=0.01, **options)


def records(out: Path) -> dict[str, dict[str, Any]]:
    found = {path.stem: json.loads(path.read_bytes()) for path in out.glob("records/*/*.json")}
    for record in found.values():
        record.pop("seconds")
    return found


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [*out.glob("images/*/*"), out / "run.json"]}


def edits(model: Path) -> list[str]:
    return (model.parent / "edits").read_text().splitlines()


def test_the_same_records_and_bytes_as_in_one_process(model: Path, tmp_path: Path) -> None:
    ran(model, tmp_path / "here", None, batch=2)
    summary = ran(model, tmp_path / "ray", TWO, batch=2)
    assert summary.statuses == {"ok": 18}
    assert records(tmp_path / "ray") == records(tmp_path / "here")
    assert files(tmp_path / "ray") == files(tmp_path / "here")
    assert any(line.endswith(" 2") for line in edits(model)[18:])


def test_a_run_goes_on_with_the_other_engine(model: Path, tmp_path: Path) -> None:
    ran(model, tmp_path / "run", None, limit=1)
    ran(model, tmp_path / "run", TWO, limit=2)
    ran(model, tmp_path / "run", None)
    assert len(edits(model)) == len(set(edits(model))) == 18


def test_a_worker_that_dies_is_replaced_and_its_request_asked_again(model: Path, tmp_path: Path) -> None:
    told: list[str] = []
    summary = ran(model, tmp_path / "run", TWO, ToySource(2), told=told.append, dies="bug-2", times=2)
    assert summary.statuses == {"ok": 12}
    attempts = [record["attempts"] for record in records(tmp_path / "run").values()]
    assert sorted(attempts) == [1] * 10 + [3] * 2
    assert told == ["a worker died (its process ended); its request is asked again"] * 4


def test_a_request_that_kills_three_workers_ends_alone(model: Path, tmp_path: Path) -> None:
    summary = ran(model, tmp_path / "run", TWO, ToySource(1), dies="bug-2", times=99)
    assert summary.statuses == {"ok": 5, "error": 1}
    failure = json.loads(next((tmp_path / "run" / "errors").iterdir()).read_bytes())
    assert failure["attempts"] == 3
    assert "3 workers died while they computed this (its process ended)" in failure["message"]
    next(model.parent.glob("died-*")).write_text("99")
    again = ran(model, tmp_path / "run", TWO, ToySource(1), dies="bug-2", times=99)
    assert again.statuses == {"ok": 6}


def test_an_edit_that_takes_too_long_costs_its_worker_and_not_the_run(model: Path, tmp_path: Path) -> None:
    summary = ran(model, tmp_path / "run", ONE, ToySource(1), sleeps="vanilla-3", timeout=5, retries=0)
    assert summary.statuses == {"ok": 5, "timeout": 1}


def test_what_an_editor_raises_is_recorded_as_here(model: Path, tmp_path: Path) -> None:
    messages = []
    for engine in (None, ONE):
        out = tmp_path / str(engine is None)
        ran(model, out, engine, ToySource(1), raises="bug-1", retries=1)
        messages.append([json.loads(path.read_bytes())["message"] for path in sorted((out / "errors").iterdir())])
    assert messages[0] == messages[1]
    assert "ConnectionError in noting.py, line" in messages[0][0]


def _is_helper(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.name().endswith("Agent")
    return False


def test_a_driver_killed_leaves_nothing_and_the_command_goes_on(model: Path, tmp_path: Path) -> None:
    out, code = tmp_path / "run", str(model.parent)
    command = ["run", f"{model}:Editor", "--data", "synthetic:6", "--out", str(out), "--option", f"notes={code}"]
    begin = [sys.executable, "-c", "import sys; from fashionedit.cli import main; main(sys.argv[1:])", *command]
    driver = subprocess.Popen([*begin, "--engine", "ray", "--workers", "1", "--quiet"], stderr=subprocess.PIPE)
    until = time.monotonic() + 240
    while len(list(out.glob("records/*/*.json"))) < 4:
        assert driver.poll() is None, driver.stderr and driver.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.02)
    ours = psutil.Process(driver.pid).children(recursive=True)
    helpers = [process for process in ours if _is_helper(process)]  # Ray's own; they end within a minute
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    _, left = psutil.wait_procs([process for process in ours if process not in helpers], timeout=90)
    for process in helpers:
        process.kill()
    assert not left
    committed = len(list(out.glob("records/*/*.json")))
    begun = len(edits(model))
    main([*command, "--quiet"])
    assert len(list(out.glob("records/*/*.json"))) == 36
    assert len(edits(model)) == begun + 36 - committed
    assert begun <= committed + 2  # one under way, and one whose answer was there and not yet committed


def test_an_object_and_a_function_are_sent_by_value(cluster: None, tmp_path: Path) -> None:
    def edit(request: EditRequest) -> Any:
        return tint(request)

    edit.version = "1"  # type: ignore[attr-defined]  # as a user would declare it
    for name, editor in (("object", ToyEditor()), ("function", edit)):
        run(editor if name == "object" else on_engine(editor, None), ToySource(1), tmp_path / name)
        run(on_engine(editor, ONE), ToySource(1), tmp_path / f"{name}-ray")
        assert files(tmp_path / f"{name}-ray") == files(tmp_path / name)
    with pytest.raises(EditorError, match=r"can't be sent to Ray workers .* give it by name, as my_model.py:edit"):
        on_engine(ToyEditor(threading.Lock().acquire), TWO)


@pytest.mark.parametrize(
    ("name", "rest", "error", "says"),
    [
        ("dask", {}, UnknownNameError, "no engine is called 'dask'; choose local, ray or ray://HOST:PORT"),
        ("raybow", {}, UnknownNameError, "no engine is called 'raybow'"),
        ("ray://", {}, InvalidDataError, "write ray://HOST:PORT"),
        ("ray://head", {}, InvalidDataError, "write ray://HOST:PORT"),
        ("ray", {"workers": 0}, InvalidDataError, "workers is 0; give a whole number from 1 on"),
        ("ray", {"gpus_per_worker": 1.5}, InvalidDataError, "give a whole number, or a fraction below 1"),
        ("local", {"workers": 2}, InvalidDataError, "--workers is for a Ray cluster; give --engine ray with it"),
        ("local", {"gpus_per_worker": 1.0}, InvalidDataError, "--gpus-per-worker is for a Ray cluster"),
    ],
)
def test_an_engine_that_is_none(name: str, rest: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        parse_engine(name, **rest)


def test_an_address_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())  # as if grpcio were installed
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ServiceError, match=rf"no Ray cluster answers at ray://{address} .* 10001 by default"):
        on_engine("identity", RayEngine(f"ray://{address}", 1))
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ServiceError, match=f"no Ray cluster answers at {address} "):
        on_engine("identity", TWO)


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for editor in ("identity", ToyEditor()):
        with pytest.raises(MissingExtraError, match=r"ray is not installed; run: pip install 'ray"):
            on_engine(editor, TWO)


def test_more_gpus_than_the_cluster_has(cluster: None) -> None:
    with pytest.raises(ServiceError, match="the cluster has 0 GPUs, and --workers 2 × --gpus-per-worker 4 is 8"):
        on_engine("identity", RayEngine(workers=2, gpus_per_worker=4))


@pytest.mark.parametrize("name", ["python", "fashionedit", "numpy"])
def test_workers_of_other_versions(name: str) -> None:
    versions = ray_replica.versions()
    changed = {**versions, "host": "node-7", "packages": {**versions["packages"]}}
    ray_replica.check_versions(changed)
    (changed["packages"] if name == "numpy" else changed)[name] = "0.0"
    with pytest.raises(ServiceError, match=rf"(?i)a worker on node-7 has {name} 0.0, and this machine .*; install the"):
        ray_replica.check_versions(changed)


def test_a_model_that_can_not_be_loaded_says_why(model: Path) -> None:
    with pytest.raises(EditorError, match="its arguments are notes, dies"):
        on_engine(f"{model}:Editor", ONE, EditorSettings())
    model.write_text(model.read_text().replace("Path(notes), dies", "Path(notes) / 1, dies"))
    with pytest.raises(ServiceError, match=r"TypeError in noting.py, line \d+: unsupported operand"):
        on_engine(f"{model}:Editor", ONE, EditorSettings(options={"notes": "x"}))


def test_what_waits_for_a_service_or_sees_the_answer_stays_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "connected", None)  # nothing connects
    told: list[str] = []
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nothing")
    for name in ("openai:gpt-image-1", "oracle"):
        found = on_engine(name, TWO, tell=told.append)
        assert type(found) is type(resolve_editor(name))
    assert "waits for a service and computes nothing, so this process makes its edits" in told[0]
    assert told[1].startswith("oracle is shown the answer, so this process")


def test_an_async_function_of_the_users_stays_here(cluster: None, tmp_path: Path) -> None:
    (tmp_path / "waiting.py").write_text("async def edit(image, instruction):\n    return image\n")
    told: list[str] = []
    found = on_engine(f"{tmp_path / 'waiting.py'}:edit", ONE, tell=told.append)
    assert not isinstance(found, RemoteEditor)
    assert told[0].startswith("waiting:edit waits for a service")


def test_the_command_takes_workers_in_the_place_of_concurrency(cluster: None, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="give workers in the place of concurrency"):
        run(on_engine("identity", ONE), ToySource(1), tmp_path / "run", concurrency=2)


class PaintedDrafts:
    """Makes drafts; a caption may kill its worker."""

    batch_size, highest_cost = 2, 0.25

    def describe(self) -> dict[str, Any]:
        return {"kind": "painted", "version": "1"}

    def make(self, requests: Sequence[DraftRequest]) -> list[DraftResult]:
        for request in requests:
            if "deadly" in request.caption:
                os._exit(1)
        return [self._made(request) for request in requests]

    def _made(self, request: DraftRequest) -> DraftResult:
        image = Image.new("RGB", (32, 48), tuple(hashlib.sha256(request.caption.encode()).digest()[:3]))
        if "plain" not in request.caption:
            image.paste((request.seed % 256, 9, 9), (4, 4, 20, 30))
        return DraftResult(image, cost=0.25, effective={"seed": request.seed}, provenance={"batch": 2})


@pytest.fixture
def by_value(cluster: None) -> Iterator[None]:
    """Sends what this file defines as code, as the file of a user's is."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


def drafted(folder: Path, maker: DraftMaker, captions: Sequence[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Returns the records and files of a stage that made drafts of these captions."""
    photos = []
    for number, caption in enumerate(captions):
        path = folder / f"p{number}.png"
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
        photos.append(Photo(path.stem, path, caption=caption))
    store = StageStore(folder / "generate")
    generate(photos, maker, store)
    found = {record.id: record.model_dump() for record in store.records()}
    for record in found.values():
        record["data"].pop("seconds", None)
    return found, {path.name: path.read_bytes() for path in store.folder.glob("files/*/*")}


def test_drafts_are_the_same_bytes_as_in_one_process(by_value: None, tmp_path: Path) -> None:
    captions = ["a coat", "a plain dress", "a red shirt", "a skirt", "a blazer"]
    mine = drafted(tmp_path / "here", PaintedDrafts(), captions)
    maker = RayDrafts(TWO, lambda places: DraftReplica(PaintedDrafts(), places), what="painted drafts")
    assert (maker.highest_cost, maker.concurrency) == (0.25, 2)
    assert drafted(tmp_path / "ray", maker, captions) == mine
    assert mine[0]["p1"]["reason"] == "one-colour image"


def test_a_caption_that_kills_three_workers_fails_alone(by_value: None, tmp_path: Path) -> None:
    maker = RayDrafts(ONE, lambda places: DraftReplica(PaintedDrafts(), places), what="painted drafts")
    records, _ = drafted(tmp_path / "ray", maker, ["a coat", "a deadly dress"])
    assert [record["status"] for record in records.values()] == ["kept", "failed"]
    assert records["p1"]["reason"] == "worker died"
    assert "3 workers died while they computed this" in records["p1"]["detail"]


def test_a_name_or_an_option_that_is_none_is_said_before_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "connected", None)
    with pytest.raises(UnknownNameError, match="nothing called 'crayons' makes drafts"):
        RayDrafts.named("crayons", {}, TWO)
    with pytest.raises(UnknownNameError, match="take no mood"):
        RayDrafts.named("sd3", {"mood": "good"}, TWO)


def test_scores_are_the_same_results_as_in_one_process(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = tmp_path / "brightness.py"
    metric.write_text(
        "import numpy as np\nfrom fashionedit.metrics import Metric\n"
        "class Brightness(Metric):\n    id, label, unit = 'brightness', 'Brightness', 'levels'\n"
        "    def score(self, pairs):\n        return [float(np.mean(result.pixels)) for result, _ in pairs]\n"
    )
    scoring = Scoring(("clip", "clip_star", "psnr", f"{metric}:Brightness"), encoder="offline")
    source = ToySource(2)
    texts = []
    for engine in (None, TWO):
        monkeypatch.setenv("FASHIONEDIT_CACHE", str(tmp_path / f"cache of {engine}"))
        out = tmp_path / str(engine is None)
        run(resolve_editor("synthetic-stepper"), source, out)
        with scoring.loaded(engine) as (embedder, loaded):
            bar = partial(Bar, hidden=True)
            write_scores(RunFolder.open(out), source, embedder, bar, metrics=loaded)
            assert isinstance(embedder, RayEmbedder) is (engine is not None)
        texts.append((out / "results.json").read_text())
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_a_build_makes_the_same_drafts_and_scores_as_in_one_process(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_sd3(tmp_path / "tiny-sd3")
    photos = tmp_path / "photos"
    photos.mkdir()
    lines = []
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (288, 192, 3), dtype=np.uint8)
        Image.fromarray(noise).save(photos / f"p{number}.png")
        lines.append(json.dumps({"file_name": f"p{number}.png", "caption": f"dress {number}"}))
    (photos / "metadata.jsonl").write_text("\n".join(lines))
    command = ["build", "--source", str(photos), "--drafts", f"diffusers:{tmp_path / 'tiny-sd3'}", "--draft", "steps=1"]
    command += ["--draft", "width=64", "--draft", "height=64", "--draft", "batch_size=1", "--device", "cpu", "--quiet"]
    command += ["--encoder", "offline", "--min-similarity", "none", "--top-k", "2", "--only", "photos,generate,filter"]
    found = []
    for more in ([], ["--engine", "ray", "--workers", "1"]):
        monkeypatch.setenv("FASHIONEDIT_CACHE", str(tmp_path / f"cache {len(more)}"))
        out = tmp_path / f"set-{len(more)}"
        main([*command, "--out", str(out), *more])
        stores = [StageStore(tmp_path / f"{out.name}.build" / stage) for stage in ("generate", "filter")]
        records = {record.key: record.model_dump() for store in stores for record in store.records()}
        for record in records.values():
            record["data"].pop("seconds", None)
        found.append((records, {path.name: path.read_bytes() for path in stores[0].folder.glob("files/*/*")}))
    assert found[0] == found[1]
    assert len(found[0][1]) == 3


def test_an_evaluation_by_workers_is_that_of_this_process(cluster: None, tmp_path: Path) -> None:
    data, scoring = write_cards(tmp_path / "cards", 2).path, Scoring(metrics=("psnr",))
    found = []
    for engine, workers in (("local", None), ("ray", 1)):
        out = tmp_path / engine
        evaluation = evaluate("identity", data=data, out=out, scoring=scoring, engine=engine, workers=workers)
        assert evaluation.page == out / "report.html"
        found.append((out / "results.json").read_bytes())
    assert found[0] == found[1]


class _OwnError(EditorError):
    """An error of the user's, which no other machine knows."""


class _Served:
    def facts(self) -> str:
        warnings.warn("slow to load", UserWarning, stacklevel=1)
        return "ready"

    def double(self, number: int) -> int:
        warnings.warn("slow to load", UserWarning, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return 2 * number

    def fail(self, error: Exception) -> None:
        raise error


def test_a_worker_answers_with_errors_and_warnings_that_every_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    replica = ray_replica.Replica()
    loaded = replica.load(lambda places: _Served(), (), 1)
    assert (loaded.value, loaded.warnings) == ("ready", (("slow to load", UserWarning),))
    doubled = replica.ask("double", 4)
    assert (doubled.value, doubled.warnings) == (8, ())  # the one was told before, the other is the developer's
    for error, kind in (
        (EditorError("no"), EditorError),
        (_OwnError("no"), EditorError),
        (KeyError("no"), RuntimeError),
    ):
        reply = replica.ask("fail", error)
        assert (type(reply.error), "no" in str(reply.error)) == (kind, True)
        assert "in fail" in reply.trace
    assert type(ray_replica.called(lambda: 1 // 0).error) is RuntimeError


def test_a_cluster_that_can_not_be_joined_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    def refuse(**options: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Ray sets handlers of its own
        raise ConnectionError("version mismatch\nmore of it")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", refuse)
    with pytest.raises(ServiceError, match=r"the Ray cluster on this machine can't be joined \(version mismatch\); "):
        on_engine("identity", TWO)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
