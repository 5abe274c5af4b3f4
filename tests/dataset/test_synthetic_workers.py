"""Worker processes of the synthetic set: same samples, same order, no hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from fashionedit.images import pixel_digest
from fashionedit.synthetic import synthetic_samples, workers

COUNT = 5


def digests(processes: int) -> list[tuple[str, str, str]]:
    return [
        (s.id, pixel_digest(s.draft), pixel_digest(s.original)) for s in synthetic_samples(COUNT, workers=processes)
    ]


def test_the_number_of_workers_changes_nothing() -> None:
    alone = digests(1)
    assert [name for name, _, _ in alone] == [f"synthetic-0-validation-{index:05d}" for index in range(COUNT)]
    assert digests(2) == alone


def test_no_more_workers_than_samples_and_none_for_none() -> None:
    assert list(synthetic_samples(0, workers=4)) == []
    assert 1 <= workers.default_workers() <= workers.MOST_WORKERS


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Returns the worker processes, as they are started."""
    started: list[subprocess.Popen[bytes]] = []
    start = workers._start

    def recording(*arguments: Any) -> subprocess.Popen[bytes]:
        started.append(start(*arguments))
        return started[-1]

    monkeypatch.setattr(workers, "_start", recording)
    return started


def test_what_a_dead_worker_leaves_is_rendered_here(crew: list[subprocess.Popen[bytes]]) -> None:
    stream = synthetic_samples(4, workers=2)
    names = [next(stream).id]
    for worker in crew:
        worker.kill()
    names += [sample.id for sample in stream]
    assert names == [f"synthetic-0-validation-{index:05d}" for index in range(4)]


def test_leaving_early_leaves_no_process_behind(crew: list[subprocess.Popen[bytes]]) -> None:
    stream = synthetic_samples(50, workers=2)
    next(stream)
    assert [worker.poll() for worker in crew] == [None, None]
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert all(worker.returncode is not None for worker in crew)


def test_a_script_without_main_guard_works_and_an_interrupt_ends_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            from fashionedit.synthetic import synthetic_samples
            for sample in synthetic_samples(100_000, workers=2):
                print(sample.id, flush=True)
            """
        )
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "synthetic-0-validation-00000"
        os.killpg(process.pid, signal.SIGINT)
        start = time.monotonic()
        _, told = process.communicate(timeout=60)
    assert time.monotonic() - start < 30
    assert told.count("Traceback") == 1
    assert "KeyboardInterrupt" in told
