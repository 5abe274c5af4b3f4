"""Scores a run while it is being made, in a process of its own with a low priority.

    python -m fashionedit.eval_harness.live_scoring RUN DATA SPLIT '{"encoder": "offline", …}'

The process loads the encoder, prints `ready`, and scores whatever rounds are committed, again and again, until it reads
`finish`: then it scores what is left, writes the results, prints `scored`, makes the page and prints its path. When its
standard input ends without that word (the run failed, or its process was killed), it ends too. Scores lie in the run
folder pair by pair, so nothing is computed twice and nothing is lost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from fashionedit.data import open_data
from fashionedit.errors import FashionEditError, InvalidDataError
from fashionedit.runtime.progress import Bar

from .running.run_folder import RunFolder
from .scored_run import Scoring, score_run
from .scores.results import build_results

_PAUSE = 0.5  # seconds between two looks for new rounds, at least
_NICE = 10


class LiveScoring:
    """The scoring process beside a run, as the run's own process sees it; it ends with the block.

    The run folder need not exist yet; `data` is a text that `open_data` reads.
    """

    def __init__(self, run: Path, data: str, split: str, scoring: Scoring) -> None:
        line = [sys.executable, "-m", __name__, str(run), data, split, json.dumps(asdict(scoring))]
        # A session of its own, so that Ctrl-C reaches the run alone.
        self._process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def __enter__(self) -> LiveScoring:
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.terminate()
        with suppress(BrokenPipeError):
            self._process.communicate()

    def ready(self) -> bool:
        """Waits until the encoder is loaded; returns False where the process ended in its place."""
        return self._said("ready") is not None

    def finish(self) -> bool:
        """Has the rest scored and waits for the results; returns False where there are none."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("finish\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return self._said("scored") is not None

    def page(self) -> Path | None:
        """Waits for the page; returns None where there is none."""
        path = self._said("page ")
        return None if path is None else Path(path)

    def _said(self, word: str) -> str | None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(word):
                return line.removeprefix(word).rstrip("\n")
        return None


def _follow(path: Path, data: str, split: str, scoring: Scoring) -> None:
    embedder, metrics = scoring.load()
    print("ready", flush=True)
    words: list[str] = []
    threading.Thread(target=lambda: words.append(sys.stdin.readline().strip()), daemon=True).start()
    source, seen = open_data(data, split), 0
    while not words:
        began = time.monotonic()
        count = sum(1 for _ in path.glob("records/*/*.json"))
        if count > seen:
            seen = count
            with suppress(InvalidDataError):  # the last pass names what is wrong
                build_results(RunFolder.open(path), source, embedder, metrics=metrics, measures=scoring.measures)
        while not words and time.monotonic() - began < _PAUSE:
            time.sleep(0.02)
    if words == ["finish"]:
        _, page = score_run(
            RunFolder.open(path),
            source,
            embedder,
            partial(Bar, hidden=True),
            metrics=metrics,
            measures=scoring.measures,
            scored=lambda _: print("scored", flush=True),
        )
        print(f"page {page}", flush=True)


def main(run: str, data: str, split: str, scoring: str) -> None:
    """Follows a run; an error that the run's own process will raise itself ends it without a word."""
    if hasattr(os, "nice"):
        os.nice(_NICE)
    settings = json.loads(scoring)
    try:
        _follow(Path(run), data, split, Scoring(**{**settings, "metrics": tuple(settings["metrics"])}))
    except FashionEditError:
        sys.exit(2)


if __name__ == "__main__":
    main(*sys.argv[1:])
