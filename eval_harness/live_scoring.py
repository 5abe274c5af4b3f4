"""Scores a run while it is being made, in a process of its own with a low priority.

    python -m fashionedit.eval_harness.live_scoring RUN DATA SPLIT '{"encoder": "offline", …}'

The process loads the encoder, prints `ready`, and scores whatever rounds are committed, again and again, until it reads
`finish FILE`: then it scores what is left, writes what the table shows to that file, and prints `scored`. The measures,
which no table shows, take as long as the scores: they are computed while there is nothing to score, and what is left of
them after `scored`. Then the run's results are written, the page is made, and its path printed. When its standard input
ends without `finish` (the run failed, or its process was killed), it ends too. Scores lie in the run folder pair by
pair, so nothing is computed twice and nothing is lost.
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
from tempfile import TemporaryDirectory

from fashionedit.data import open_data
from fashionedit.errors import FashionEditError, InvalidDataError
from fashionedit.runtime.progress import Bar

from .running.run_folder import RunFolder
from .scored_run import Scoring, results_of, score_run
from .scores.result_models import Results
from .scores.results import build_results, read_results, write_results

_PAUSE = 0.5  # seconds between two looks for new rounds, at least
_NICE = 10
_MEASURING = 2.0  # seconds after which the measures let the scores have their turn, at least


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

    def finish(self) -> Results | None:
        """Has the rest scored, and returns the results without measures; None where there are none."""
        assert self._process.stdin is not None
        with TemporaryDirectory(prefix="fashionedit-") as folder:  # the run's own results are written once, whole
            table = Path(folder) / "results.json"
            try:
                self._process.stdin.write(f"finish {table}\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                return None
            return None if self._said("scored") is None else read_results(table)

    def page(self) -> Path | None:
        """Waits for the run's results and its page; returns None where there is none."""
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
    measures = scoring.measures and embedder is not None
    source, scored, measured = open_data(data, split), 0, 0
    while not words:
        began = time.monotonic()
        count = sum(1 for _ in path.glob("records/*/*.json"))
        with suppress(InvalidDataError):  # the last pass names what is wrong
            if count > scored:
                scored = count
                build_results(RunFolder.open(path), source, embedder, metrics=metrics, measures=False)
            elif measures and scored > measured:
                with suppress(_TurnOver):
                    turn = _Turn(words)
                    build_results(RunFolder.open(path), source, embedder, metrics=metrics, progress=turn.check)
                    measured = scored
        while not words and time.monotonic() - began < _PAUSE:
            time.sleep(0.02)
    word, _, table = words[0].partition(" ")
    if word == "finish":
        run, bar = RunFolder.open(path), partial(Bar, hidden=True)
        results, _ = results_of(run, source, embedder, bar, metrics=metrics, measures=False)
        write_results(results, Path(table))
        print("scored", flush=True)
        _, page = score_run(run, source, embedder, bar, metrics=metrics, measures=measures)
        print(f"page {page}", flush=True)


class _TurnOver(Exception):
    """The measures stop for now; what they came to is kept."""


class _Turn:
    """The time that a pass of measures has: as long as it took to begin, `_MEASURING` at least, none after a word."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._began = time.monotonic()
        self._end: float | None = None

    def check(self, done: int, total: int) -> None:
        """Raises _TurnOver when the time is over; called after each part."""
        now = time.monotonic()
        if self._end is None:
            self._end = now + max(_MEASURING, now - self._began)
        if self._words or now > self._end:
            raise _TurnOver


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
