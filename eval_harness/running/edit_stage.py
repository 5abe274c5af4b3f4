"""The rounds of a run as a stage of the worker pool: which edit comes next, which images it shows, where it goes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from PIL import Image

from fashionedit.eval_harness.editing import CPU_SLOTS, Status
from fashionedit.eval_harness.samples import SampleSource, encoded_images
from fashionedit.images import ImageCache, png_bytes
from fashionedit.runtime.worker_pool import Outcome, Stage, Task

from .calls import Answer, EditorCalls, Work, edit_request, failed
from .chain import Chain, Ended, Step, chains, draft_record
from .limits import Limits, Spending
from .records import FailedAttempt, RoundRecord
from .remote_calls import RemoteCalls, SentImage, SentWork
from .run_folder import RunFolder
from .run_stats import RunStats

_RECENT_BYTES = 32 * 2**20  # of pixels and PNG files: seven pictures of 1024², or 57 of 256 × 384


@dataclass(slots=True, kw_only=True, eq=False)
class Job(Task):
    """One round of one sample that the editor is to be asked for.

    Its place is the round (those of a repetition come after those of the one before), the number of the sample and the
    number of the protocol. Breadth-first: round 1 of all samples comes before round 2 of any, but nobody waits for a
    round to be complete.

    Args:
        chain: Where the sample stands in this protocol; it is the job's alone until the job is done.
        step: What the editor is asked.
        earlier: Attempts that failed in earlier sessions, as `errors/` has them.
        attempts: All attempts so far, of all sessions.
        replaces: The record of a failure that is asked about again; it holds until there is another result.
    """

    chain: Chain
    step: Step
    earlier: int = 0
    attempts: int = 0
    replaces: RoundRecord | None = None


class EditStage(Stage[Job]):
    """The rounds of a run, sample by sample and protocol by protocol; a privileged editor is shown the whole sample."""

    noun = "rounds"

    def __init__(
        self,
        folder: RunFolder,
        source: SampleSource,
        calls: EditorCalls | RemoteCalls,
        privileged: bool,
        limits: Limits,
        spending: Spending,
        stats: RunStats,
    ) -> None:
        self._folder = folder
        self._source = source
        self._calls = calls
        self._privileged = privileged
        self._limits = limits
        self._spending = spending
        self._stats = stats
        self._sample = lru_cache(maxsize=4)(source.sample)  # the protocols of a sample come one after the other
        self._stored = lru_cache(maxsize=4)(partial(encoded_images, source))
        self._recent: ImageCache[tuple[Image.Image | None, bytes]] = ImageCache(_RECENT_BYTES)
        self._samples = {sample: number for number, sample in enumerate(source.ids)}
        self._protocols = {name: number for number, name in enumerate(folder.identity.protocols)}

    def open(self) -> list[Job]:
        """Returns the first round to do of each chain, and tells the stats how the run stands.

        Commits round 0, for which nobody is asked.
        """
        self._folder.request_id("")  # makes the run's secret, once, before there are threads
        jobs: list[Job] = []
        planned = reached = kept = 0
        most = self._limits.limit or math.inf
        identity = self._folder.identity
        every = (chain for repeat in range(identity.repeats) for chain in chains(identity, self._source, repeat))
        for chain in every:
            done, job = self._advance(chain, -1)
            for record in done:  # counted and let go: a long run has gigabytes of them
                self._stats.reused(record, counted=True)
            kept += len(done)
            planned += len(chain.rounds)
            reached += len(done)
            if job is not None and self._samples[chain.sample] < most:
                jobs.append(job)
                reached += len(chain.rounds) - len(done)
        self._stats.begin(reached, kept, planned)
        for job in jobs:
            if not job.chain.protocol.edits:
                record = draft_record(job.chain, job.step)
                self._folder.commit(record)
                self._stats.finished(record, asked=False)
        return [job for job in jobs if job.chain.protocol.edits]

    @property
    def batch(self) -> int:
        """How many rounds go into one call."""
        return self._calls.batch

    def spent(self) -> float | None:
        """Returns what all sessions have cost, USD; None where that is not known."""
        return self._spending.usd

    def reserve(self, tasks: Sequence[Job]) -> str:
        """Reserves the most that the edits may cost."""
        return self._spending.reserve(len(tasks))

    def charge(self, entry: str, outcomes: Sequence[Outcome]) -> None:
        """Enters what the edits have cost."""
        self._spending.charge(entry, [outcome.value for outcome in outcomes])
        self._stats.spent(self._spending.usd)

    def prepare(self, tasks: Sequence[Job]) -> tuple[Sequence[Job], Sequence[Work | SentWork]]:
        """Returns the edits to make: their images decoded, or as files where they are made on other machines.

        Raises:
            InvalidDataError: An image of the dataset or the run can't be read.
        """
        make = self._sent if isinstance(self._calls, RemoteCalls) else self._work
        works = [make(task.step) for task in tasks]
        self._calls.ready()
        return tasks, works

    def _work(self, step: Step) -> Work:
        shown: dict[str, Image.Image] = {}
        encoded: dict[str, bytes] = {}
        for role, _ in step.images:
            if role == "reference":
                shown[role] = self._reference(step)
            elif step.base is None or step.base.path is None:
                shown[role] = self._draft(step)
            elif (known := self._recent.get(step.base.digest)) is not None and known[0] is not None:
                shown[role], encoded[role] = known[0], known[1]
            else:
                with CPU_SLOTS:
                    shown[role] = self._folder.read(step.base.path, step.base.digest)
        request = edit_request(step, shown, request_id=self._folder.request_id(step.key), encoded=encoded)
        return Work(step, request, self._sample(step.sample) if self._privileged else None)

    def _sent(self, step: Step) -> SentWork:
        images = []
        for role, digest in step.images:
            if role == "reference":
                data = self._stored(step.sample).crops[step.round - 1]
                images.append(SentImage(role, data, f"reference {step.round} of sample {step.sample}"))
            elif step.base is None or step.base.path is None:
                images.append(SentImage(role, self._stored(step.sample).draft, f"the draft of sample {step.sample}"))
            else:
                known, path = self._recent.get(digest), step.base.path
                data = self._folder.encoded(path) if known is None else known[1]
                images.append(SentImage(role, data, str(self._folder.path / path), digest))
        return SentWork(step, self._folder.request_id(step.key), tuple(images))

    # A dataset that can open a sample's images one by one decodes no other.

    def _draft(self, step: Step) -> Image.Image:
        with CPU_SLOTS:
            draft = getattr(self._source, "draft", None)
            return self._sample(step.sample).draft if draft is None else draft(step.sample)

    def _reference(self, step: Step) -> Image.Image:
        crop, place = getattr(self._source, "crop", None), step.round - 1
        return self._sample(step.sample).differences[place].reference if crop is None else crop(step.sample, place)

    def call(self, prepared: tuple[Sequence[Job], Sequence[Any]]) -> list[Outcome]:
        """Asks the editor."""
        tasks, works = prepared
        return [_outcome(task, answer) for task, answer in zip(tasks, self._calls(works), strict=True)]

    def seconds(self, tasks: int) -> float | None:
        """Returns how long so many edits are waited for; None waits for ever."""
        return self._calls.seconds(tasks)

    def expired(self, tasks: Sequence[Job], seconds: float) -> list[Outcome]:
        """Returns the outcomes of edits that are waited for no longer."""
        return [_outcome(task, failed(task.step, self._calls.given_up(), seconds)) for task in tasks]

    def commit(self, finished: Sequence[tuple[Job, Outcome, bool]]) -> Iterable[Job]:
        """Writes the edits, and moves their chains on."""
        for job, outcome, again in finished:
            answer: Answer = outcome.value
            ended = answer.ended
            job.attempts += ended.attempts
            if not isinstance(ended, FailedAttempt):
                ended = ended.model_copy(update={"attempts": job.attempts})
            self._write(job, ended, answer)
            if again:
                self._stats.retried()
                continue
            self._stats.finished(ended, asked=True)
            if job.replaces is not None and isinstance(ended, FailedAttempt):
                ended = job.replaces  # it still holds
            job.chain.take(ended)
            done, following = self._advance(job.chain, job.step.round)
            for record in done:
                self._stats.reused(record, counted=False)
            if following is not None:
                yield following

    def _write(self, job: Job, ended: Ended, answer: Answer) -> None:
        """Writes down what an edit came to; safe to be killed in at any point."""
        if isinstance(ended, FailedAttempt):
            self._folder.failures.add(ended)
            return
        if job.replaces is not None:
            told = ("message", "model_version", "usage", "cost_usd", "seconds")
            fields = {name: getattr(job.replaces, name) for name in told}
            attempts = max(1, job.replaces.attempts - job.earlier)
            self._folder.failures.add(job.step.failure(job.replaces.status, **fields, attempts=attempts))
        image, encoded = answer.image, answer.encoded
        if image is not None:
            with CPU_SLOTS:
                encoded = png_bytes(image)
        if encoded is not None and ended.output is not None and ended.round < job.chain.rounds[-1]:
            pixels = 0 if image is None else image.width * image.height * 3
            self._recent.put(ended.output.digest, (image, encoded), pixels + len(encoded))
        self._folder.commit(ended, encoded)

    def _advance(self, chain: Chain, after: int) -> tuple[list[RoundRecord], Job | None]:
        """Takes the committed rounds that come next, and returns them with the first one that is to do."""
        done: list[RoundRecord] = []
        for round in (round for round in chain.rounds if round > after):
            step = chain.step(round)
            record = self._folder.record(step.key)
            if record is not None and record.status not in self._limits.retry:
                chain.take(record)
                done.append(record)
                continue
            turn = chain.repeat * self._folder.identity.rounds + round  # a repetition waits for the one before
            place = (turn, self._samples[chain.sample], self._protocols[chain.protocol.name])
            earlier = self._folder.failures.attempts(step.key)
            attempts = earlier if record is None else max(earlier, record.attempts)
            return done, Job(place=place, chain=chain, step=step, earlier=earlier, attempts=attempts, replaces=record)
        return done, None


def _outcome(job: Job, answer: Answer) -> Outcome:
    ended = answer.ended
    answered: bool | None = True
    reason = None if ended.status is Status.OK else str(ended.status)
    if isinstance(ended, FailedAttempt):
        # What failed in an earlier session too, and not in passing, may be the sample's own fault.
        answered = False if answer.again or not job.attempts else None
        came = answer.reply is not None and answer.reply.status < 300  # an answer, if one of no use
        reason = reason if came else None
    if answer.blank:
        reason = "ok with a picture of one colour"
    return Outcome(
        answered=answered,
        reason=reason,
        message=ended.message,
        kept=answer.blank,
        again=answer.again,
        alone=answer.alone,
        stop=answer.stop,
        reply=answer.reply,
        value=answer,
    )
