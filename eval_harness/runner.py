"""The round loop: round 1 of all samples, then round 2, each round committed before it counts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from fashionedit.types import Sample

from .attempts import Answer, Work, attempt, edit_request
from .chain import Step, chains, draft_record
from .editing import Editor, PrivilegedEditor
from .identity import SizePolicy, editor_info, run_identity
from .records import RoundRecord
from .references import DETAIL, with_reference
from .run_folder import RunFolder
from .samples import SampleSource
from .sessions import Session
from .summary import Progress, RunSummary, Tally

__all__ = ["run"]


def run(
    editor: Editor | PrivilegedEditor,
    source: SampleSource,
    out: Path | str,
    *,
    protocols: Iterable[str] | None = None,
    rounds: int = 3,
    seed: int = 0,
    params: Mapping[str, Any] | None = None,
    size_policy: SizePolicy = "model",
    reference: str = DETAIL,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    data: str | None = None,
) -> RunSummary:
    """Runs the editor over the samples and returns how the rounds ended; called again, it continues.

    A committed round is never repeated. `timeout` and `error` are tried again by the next call; after a round without
    an image the next round starts from the last good image. Protocol `draft` asks the editor nothing: its outcome is
    the draft as it is.

    Args:
        out: The run folder, new or of the same run.
        protocols: By default all that the editor edits in.
        rounds: 1, 2 or 3.
        seed: The base that each round's seed is derived from.
        params: JSON for the editor to read; part of the run's identity.
        size_policy: `model` keeps results in the size the editor returned, `base` resizes each to its base image.
        reference: What `bug` shows as second image: `detail` (the crop), `sketch` or `example`. The run goes over the
            samples that have it, in all its protocols.
        progress: Told of each round that comes to an end.
        stop: Asked before each edit; True ends the run there, cleanly.
        data: Where the dataset is, noted so that scoring finds it again; no part of the run's identity.

    Raises:
        RunMismatchError: `out` holds another run.
        RunBusyError: Another process is writing to `out`.
        EditorError: The editor breaks its contract; what was committed before stays.
        MissingExtraError: The editor needs a package that is not installed.
        UnknownNameError: A protocol is unknown, or not one of this editor's, or there is no such kind of reference.
        InvalidDataError: An argument is out of range, no sample has a reference of this kind, or an image of the
            dataset or the run can't be read.
    """
    info = editor_info(editor)
    source = with_reference(source, reference)
    identity = run_identity(
        info, source, protocols=protocols, rounds=rounds, seed=seed, params=params, size_policy=size_policy
    )
    tally = Tally(progress, source)
    with RunFolder.create_or_open(out, identity) as folder, Session(folder, tally.counts, data) as session:
        loop = _Loop(folder, source, editor, info.privileged, tally)
        tally.begin(*loop.extent())
        for round in loop.rounds:
            for work in loop.work(round):
                if stop is not None and stop():
                    session.ended = "stopped"
                    return tally.summary(folder.path)
                answer = attempt(work)  # the one call to hand to workers: it shares nothing and writes nothing
                with _uninterrupted():
                    loop.finish(work.step, answer)
                if answer.stop is not None:
                    raise answer.stop
    return tally.summary(folder.path)


class _Loop:
    """Where each chain of the run stands, which edits are to do, and what becomes of their answers."""

    def __init__(
        self,
        folder: RunFolder,
        source: SampleSource,
        editor: Editor | PrivilegedEditor,
        privileged: bool,
        tally: Tally,
    ) -> None:
        self._folder = folder
        self._source = source
        self._editor = editor
        self._privileged = privileged
        self._tally = tally
        self._chains = {(chain.sample, chain.protocol.name): chain for chain in chains(folder.identity, source)}
        self._continuing: set[tuple[str, str]] = set()
        self.rounds = sorted({round for chain in self._chains.values() for round in chain.rounds})

    def extent(self) -> tuple[int, int]:
        """Returns how many rounds the run has, and how many of them are committed from the start of their chain on."""
        total = done = 0
        for chain in chains(self._folder.identity, self._source):
            total += len(chain.rounds)
            for round in chain.rounds:
                record = self._folder.record(chain.step(round).key)
                if record is None:
                    break
                chain.take(record)
                done += 1
        return total, done

    def work(self, round: int) -> Iterator[Work]:
        """Yields the edits of this round that are to do; each is to be finished before the next round begins."""
        for sample in self._source.ids:
            decoded = cache(lambda sample=sample: self._source.sample(sample))
            for protocol in self._folder.identity.protocols:
                chain = self._chains[sample, protocol]
                if round not in chain.rounds:
                    continue
                step = chain.step(round)
                record = self._folder.record(step.key)
                if record is not None:
                    chain.take(record)
                    self._tally.reused(record, counted=(sample, protocol) not in self._continuing)
                    continue
                self._continuing.add((sample, protocol))
                if chain.protocol.edits:
                    yield self._edit(step, decoded)
                else:
                    self.finish(step, Answer(draft_record(chain, step)))

    def finish(self, step: Step, answer: Answer) -> None:
        """Writes down what an edit came to and moves its chain on; safe to be killed in at any point."""
        chain = self._chains[step.sample, step.protocol]
        if isinstance(answer.ended, RoundRecord):
            self._folder.commit(answer.ended, answer.image)
        else:
            self._folder.failures.add(answer.ended)
        chain.take(answer.ended)
        self._tally.finished(answer.ended, asked=chain.protocol.edits)

    def _edit(self, step: Step, decoded: Callable[[], Sample]) -> Work:
        shown: dict[str, Image.Image] = {}
        for role, _ in step.images:
            if role == "reference":
                shown[role] = decoded().differences[step.round - 1].reference
            elif step.base is None or step.base.path is None:
                shown[role] = decoded().draft
            else:
                shown[role] = self._folder.read(step.base.path, step.base.digest)
        return Work(
            step=step,
            request=edit_request(step, shown, request_id=self._folder.request_id(step.key)),
            editor=self._editor,
            size_policy=self._folder.identity.size_policy,
            sample=decoded() if self._privileged else None,
        )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Holds Ctrl-C back while an answer that may have cost money is written down."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = False

    def remember(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True

    previous = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if pressed:
        raise KeyboardInterrupt
