"""A run: an editor over the samples of a dataset, round after round, each committed before it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fashionedit.eval_harness.editing import Editor, PrivilegedEditor
from fashionedit.eval_harness.editors.settings import DEFAULT_TIMEOUT
from fashionedit.eval_harness.references import DETAIL, with_reference
from fashionedit.eval_harness.samples import SampleSource

from .asking import Asker
from .crew import Crew, Ending
from .identity import SizePolicy, editor_info, run_identity
from .interrupts import RunInterrupted, on_interrupt
from .limits import DEFAULT_RETRIES, run_limits
from .rounds import Rounds
from .run_folder import RunFolder
from .sessions import Session
from .spending import Spending
from .summary import Progress, RunSummary, Tally


def run(
    editor: Editor | PrivilegedEditor,
    source: SampleSource,
    out: Path | str,
    *,
    name: str | None = None,
    protocols: Iterable[str] | None = None,
    rounds: int = 3,
    seed: int = 0,
    repeats: int = 1,
    params: Mapping[str, Any] | None = None,
    size_policy: SizePolicy = "model",
    reference: str = DETAIL,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    tell: Callable[[str], None] | None = None,
    data: str | None = None,
    concurrency: int | None = None,
    batch: int | None = None,
    retries: int = DEFAULT_RETRIES,
    backoff: float = 1.0,
    timeout: float | None = None,
    budget: float | None = None,
    limit: int | None = None,
    retry_refused: bool = False,
) -> RunSummary:
    """Runs the editor over the samples and returns how the rounds ended; called again, it continues.

    A committed round is never repeated. What ends as `timeout` or `error` is tried again, by this call if that may help
    and by the next one; after a round without an image the next round starts from the last good image. Protocol `draft`
    asks the editor nothing: its outcome is the draft as it is.

    The rounds of a sample are done one after the other, samples side by side: with `concurrency` above 1 editor and
    dataset are used by several threads at once. Whatever `concurrency`, `batch` and the limits are, they are no part of
    the run's identity, and keys, seeds and inputs do not depend on them.

    Args:
        out: The run folder, new or of the same run.
        name: What tables call the editor; its own name by default. Part of the run's identity.
        protocols: By default all that the editor edits in.
        rounds: 1, 2 or 3.
        seed: The base that each round's seed is derived from.
        repeats: How often everything is edited, each time with other seeds; part of the run's identity.
        params: JSON for the editor to read; part of the run's identity.
        size_policy: `model` keeps results in the size the editor returned, `base` resizes each to its base image.
        reference: What `bug` shows as second image: `detail` (the crop), `sketch` or `example`. The run goes over the
            samples that have it, in all its protocols.
        progress: Told of each round that comes to an end.
        stop: Asked before each call; True ends the run there, cleanly.
        tell: Given a sentence when Ctrl-C is pressed and edits under way are waited for.
        data: Where the dataset is, noted so that scoring finds it again; no part of the run's identity.
        concurrency: Calls under way at the same time, at most; by default as many as the editor says.
        batch: Requests in one call of an editor that takes several; by default as many as it takes.
        retries: How often a call is made again whose failure may pass.
        backoff: Seconds before the first retry, doubled for each further one, 60 at most.
        timeout: Seconds that an edit may take. By default 300 for an editor that makes several at once (a service), and
            no limit for one that computes in this process.
        budget: USD for all sessions of the run together; the run ends before they could be exceeded, and the summary's
            `stopped` says so.
        limit: How many samples are edited now, the first ones of the split. The others stay to be done: the run is
            scored over what it reached, marked as unfinished, and can't be submitted.
        retry_refused: Asks again for rounds that an earlier session recorded as refused. Such a record holds until
            there is another result, and stays visible in `errors/`.

    Raises:
        RunMismatchError: `out` holds another run.
        RunBusyError: Another process is writing to `out`.
        EditorError: The editor breaks its contract; what was committed before stays.
        MissingExtraError: The editor needs a package that is not installed.
        ServiceError: The editor's service won't work at all, gives no answer for 20 rounds in a row, or hangs.
        RunInterrupted: Ctrl-C, a `KeyboardInterrupt`; what was under way is committed. A second one ends the run at
            once, with a plain `KeyboardInterrupt`.
        UnknownNameError: A protocol is unknown, or not one of this editor's, or there is no such kind of reference.
        InvalidDataError: An argument is out of range, no sample has a reference of this kind, or an image of the
            dataset or the run can't be read; or there is a budget and nobody says what an edit costs.
    """
    info = editor_info(editor, name)
    limits = run_limits(
        info,
        concurrency=concurrency,
        timeout=timeout,
        default_timeout=DEFAULT_TIMEOUT,
        batch=batch,
        retries=retries,
        backoff=backoff,
        budget=budget,
        limit=limit,
        retry_refused=retry_refused,
    )
    source = with_reference(source, reference)
    identity = run_identity(
        info,
        source,
        protocols=protocols,
        rounds=rounds,
        seed=seed,
        params=params,
        size_policy=size_policy,
        repeats=repeats,
    )
    tally = Tally(progress, source)
    asker = Asker(editor, info, limits)
    try:
        with RunFolder.create_or_open(out, identity) as folder, Session(folder, tally.counts, data) as session:
            spending = Spending(folder.path, info, limits.budget)
            tally.spent(spending.usd)
            todo = Rounds(folder, source, editor, info.privileged, limits, tally)
            crew = Crew(todo, asker, limits, spending, tally, stop)

            def interrupt() -> None:
                crew.end(Ending("interrupted"))
                if tell is not None:
                    tell("stopping; edits under way are waited for and kept (Ctrl-C again stops at once)")

            with on_interrupt(interrupt):
                crew.work(todo.open())
            ending = crew.ending
            if ending is not None and ending.kind == "interrupted":
                raise RunInterrupted(tally.summary(folder.path))
            if ending is not None:
                session.ended = "stopped"
            return tally.summary(folder.path, stopped=ending.message if ending is not None else "")
    finally:
        asker.close()
