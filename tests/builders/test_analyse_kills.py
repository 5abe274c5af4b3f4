from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lmm_pairs import asked_about, make_pairs, outcomes, toy_analyst
from lmm_server import Call, Fault, LmmServer, serving

from fashionedit.builders.analyse.batches import analyse_in_batches
from fashionedit.builders.analyse.stage import analyse
from fashionedit.builders.photo import Pair
from fashionedit.builders.stage_store import StageStore
from fashionedit.errors import InvalidDataError

HERE = Path(__file__).parent
PAIRS = 12
CONCURRENCY = 4


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    return make_pairs(tmp_path / "pairs", PAIRS)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-toy-0123456789abcdef")


def drive(tmp_path: Path, url: str, *rest: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-W", "error", str(HERE / "killed_analysis.py"), str(tmp_path / "pairs"), str(PAIRS)),
            *(str(tmp_path / "killed"), url, *rest),
        ],
        env=os.environ | {"PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def answers(folder: Path) -> int:
    """Answers that are committed, repaired ones too."""
    return sum(len(json.loads(path.read_text())["data"]["turns"]) for path in folder.glob("records/*/*.json"))


def needs_repair(pairs: list[Pair]) -> set[str]:
    return {asked_about(pair) for pair in pairs[::3]}


def test_a_run_killed_in_the_middle_of_calls_pays_for_no_more_than_was_under_way(
    pairs: list[Pair], tmp_path: Path
) -> None:
    broken = needs_repair(pairs)

    def script(call: Call) -> Fault | None:
        return Fault(text="I see none.") if call.photo in broken and call.turn == 0 else None

    chance = random.Random(3)
    with serving(script, seconds=0.02) as server:
        for kills, moment in enumerate(("sent", "record", "sent"), 1):
            done = drive(tmp_path, server.url, "direct", moment, str(chance.randint(1, 3)))
            assert done.returncode == -signal.SIGKILL, done.stderr
            assert server.calls <= answers(tmp_path / "killed") + kills * CONCURRENCY
        before = answers(tmp_path / "killed")
        assert 0 < before < PAIRS + len(broken)
        done = drive(tmp_path, server.url, "direct")
        assert (done.returncode, done.stdout) == (0, f"{PAIRS}\n"), done.stderr
        assert answers(tmp_path / "killed") == PAIRS + len(broken) <= server.calls
        assert server.calls <= answers(tmp_path / "killed") + 3 * CONCURRENCY

        whole = StageStore(tmp_path / "whole")
        list(analyse(pairs, toy_analyst(server.url), whole))
    assert outcomes(StageStore(tmp_path / "killed")) == outcomes(whole)


MOMENTS = [
    ("state", 0),  # prepared, nothing sent
    ("sent", 0),  # the file is uploaded, and nobody noted its name
    ("state", 1),  # its name is noted, no batch is made
    ("sent", 1),  # the batch is made, and nobody noted its name
    ("record", 1),  # half collected
]


@pytest.mark.parametrize(("moment", "after"), MOMENTS)
def test_a_batch_is_never_submitted_twice(pairs: list[Pair], tmp_path: Path, moment: str, after: int) -> None:
    broken = needs_repair(pairs)

    def script(call: Call) -> Fault | None:
        return Fault(text="I see none.") if call.photo in broken and call.turn == 0 else None

    with serving(script, polls=2) as server:
        killed = drive(tmp_path, server.url, "batch", moment, str(after))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        store = StageStore(tmp_path / "killed")
        options = {"poll_seconds": 0.01, "max_requests": 4}
        assert len(list(analyse_in_batches(pairs, toy_analyst(server.url), store, **options))) == PAIRS
        asked = [line["custom_id"] for batch in server.batches.values() for line in _requests(server, batch)]
        assert sorted(asked) == sorted([pair.photo.id for pair in pairs] + [pair.photo.id for pair in pairs[::3]])
        assert len(server.batches) == 3 + 1
        assert not list((tmp_path / "killed" / "batches").glob("*.jsonl"))

        whole = StageStore(tmp_path / "whole")
        list(analyse_in_batches(pairs, toy_analyst(server.url), whole, **options))
    found, expected = outcomes(StageStore(tmp_path / "killed")), outcomes(whole)
    for records in (found, expected):
        for record in records.values():
            for turn in record["data"]["turns"]:
                assert turn.pop("batch").startswith("batch-")
    assert found == expected


def _requests(server: LmmServer, batch: dict[str, str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in server.files[batch["input_file_id"]].splitlines()]


def test_what_is_in_a_batch_is_not_asked_one_by_one(pairs: list[Pair], tmp_path: Path) -> None:
    with serving(polls=2) as server:
        assert drive(tmp_path, server.url, "batch", "state", "2").returncode == -signal.SIGKILL
        store = StageStore(tmp_path / "killed")
        with pytest.raises(InvalidDataError, match="go on with --batch"):
            list(analyse(pairs, toy_analyst(server.url), store))
        assert server.calls == 0


@contextmanager
def server_process(log: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(HERE / "lmm_server.py"), str(port), str(log), "0.01"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_the_server_alone_logs_every_call(pairs: list[Pair], tmp_path: Path) -> None:
    log = tmp_path / "calls"
    with server_process(log) as url:
        store = StageStore(tmp_path / "alone")
        for _ in range(50):
            try:
                socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1].split("/")[0]))).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        assert len(list(analyse(pairs, toy_analyst(url), store))) == PAIRS
    assert len(log.read_text().splitlines()) == PAIRS
