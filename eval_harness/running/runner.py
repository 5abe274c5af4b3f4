"""A run: an editor over the samples of a dataset, round after round, each committed before it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fashionedit.errors import BudgetSpentError, InvalidDataError
from fashionedit.eval_harness.editing import DEFAULT_TIMEOUT, Editor, PrivilegedEditor
from fashionedit.eval_harness.references import DETAIL, with_reference
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.runtime.user_code import users_code
from fashionedit.runtime.worker_pool import FIRST_BACKOFF, Interrupted, WorkerPool
from fashionedit.types import as_names

from .calls import EditorCalls
from .edit_stage import EditStage
from .identity import SizePolicy, editor_info, run_identity
from .limits import DEFAULT_RETRIES, Limits, Spending, edits_at_once
from .remote_calls import RemoteEditor
from .run_folder import RunFolder
from .run_stats import Progress, RunStats, RunSummary
from .sessions import session


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended the run.

    Args:
        summary: How the run stands; nothing is committed after it was counted.
        at_once: Whether it came a second time, so that edits under way were not waited for.
        under_way: Edits that were under way then; they may have been paid for.
    """

    def __init__(self, summary: RunSummary, *, at_once: bool = False, under_way: int = 0) -> None:
        super().__init__("the run was interrupted; the same call continues it")
        self.summary = summary
        self.at_once = at_once
        self.under_way = under_way


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
    backoff: float = FIRST_BACKOFF,
    timeout: float | None = None,
    budget: float | None = None,
    limit: int | None = None,
    retry: Iterable[str] = (),
    keep_going: bool = False,
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
        retry: Statuses (`refused`, `no_image`, `invalid_image`) whose rounds of earlier sessions are asked for again.
            Such a record holds until there is another result, and stays visible in `errors/`.
        keep_going: Goes on although the first rounds (8, or as many as edits may be under way) all ended with the same
            failure.

    Raises:
        RunMismatchError: `out` holds another run.
        RunBusyError: Another process is writing to `out`.
        EditorError: The editor breaks its contract; what was committed before stays.
        MissingExtraError: The editor needs a package that is not installed.
        ServiceError: The editor's service won't work at all, gives no answer for 20 rounds in a row, or hangs; or the
            first rounds all ended with the same failure (`CommonFailureError`).
        RunInterrupted: Ctrl-C or SIGTERM, a `KeyboardInterrupt`; what was under way is committed. A second one ends the
            run at once.
        OSError: The run folder can't be written; no edit was asked for.
        UnknownNameError: A protocol is unknown, or not one of this editor's, or there is no such kind of reference.
        InvalidDataError: An argument is out of range, no sample has a reference of this kind, or an image of the
            dataset or the run can't be read; or there is a budget and nobody says what an edit costs.
    """
    info = editor_info(editor, name)
    remote = isinstance(editor, RemoteEditor)
    if remote and concurrency is not None:
        raise InvalidDataError("every Ray worker makes one call at a time; give workers in the place of concurrency")
    limits = Limits(
        concurrency=edits_at_once(info, concurrency),
        timeout=DEFAULT_TIMEOUT if timeout is None and info.at_once > 1 and not remote else timeout,
        batch=batch,
        retries=retries,
        backoff=backoff,
        budget=budget,
        limit=limit,
        retry=as_names(retry),
        keep_going=keep_going,
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
    if (check := getattr(editor, "check_params", None)) is not None:
        with users_code(f"check_params() of {type(editor).__name__}"):
            check(identity.params)  # before there is a folder
    stats = RunStats(progress, source)
    opened = editor.calls if isinstance(editor, RemoteEditor) else partial(EditorCalls, editor, info)
    calls = opened(size_policy, patience=limits.patience, batch=limits.batch)
    at_once = False
    try:
        with RunFolder.create_or_open(out, identity) as folder, session(folder.session, stats.counts, data) as end:
            spending = Spending(folder.path, info, limits.budget)
            stats.spent(spending.usd)
            stage = EditStage(folder, source, calls, info.privileged, limits, spending, stats)
            jobs = stage.open()
            if jobs:
                folder.check_writable(limits.concurrency)
            pool = WorkerPool(
                stage,
                concurrency=limits.concurrency,
                retries=limits.retries,
                backoff=limits.backoff,
                keep_going=limits.keep_going,
                stop=stop,
                tell=tell,
            )
            stopped = ""
            try:
                if not pool.run(jobs):
                    end["ended"] = "stopped"
            except Interrupted as error:
                at_once = error.at_once
                summary = stats.summary(folder.path)
                raise RunInterrupted(summary, at_once=at_once, under_way=error.under_way) from None
            except BudgetSpentError as error:
                end["ended"], stopped = "stopped", str(error)
            return stats.summary(folder.path, stopped=stopped)
    finally:
        if not at_once:  # an edit under way may keep it open for long
            calls.close()
