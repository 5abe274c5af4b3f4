"""Plans the rounds of a run: which edit comes next in each chain, which images it shows, and where its answer goes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image

from fashionedit.eval_harness.cpu_slots import cpu_slot
from fashionedit.eval_harness.editing import Editor, PrivilegedEditor
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.images import ImageCache, png_bytes
from fashionedit.runtime.worker_pool import Task

from .calls import Work, edit_request
from .chain import Chain, Ended, Step, chains, draft_record
from .limits import Limits
from .records import FailedAttempt, RoundRecord
from .run_folder import RunFolder
from .run_stats import RunStats
from .sessions import timestamp

_RECENT_BYTES = 32 * 2**20  # of pixels and PNG files: seven pictures of 1024², or 57 of 256 × 384


@dataclass(slots=True, kw_only=True, eq=False)
class Job(Task):
    """One round of one sample that the editor is to be asked for.

    Its place is the round (those of a repetition come after those of the one before), the number of the sample and the
    number of the protocol. Breadth-first: round 1 of all samples comes before round 2 of any, but nobody waits for a
    round to be complete.

    Args:
        chain: Where the sample stands in this protocol; it stays there until the job is done.
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


class Rounds:
    """The rounds of a run, sample by sample and protocol by protocol.

    Different jobs may be worked on by different threads; the chain behind a job is its thread's alone until the job is
    done.

    Args:
        folder: Open for writing.
        source: The samples.
        editor: Who is asked.
        privileged: Whether it is shown the whole sample.
        limits: Of the session.
        stats: Told of every round that ends.
    """

    def __init__(
        self,
        folder: RunFolder,
        source: SampleSource,
        editor: Editor | PrivilegedEditor,
        privileged: bool,
        limits: Limits,
        stats: RunStats,
    ) -> None:
        self._folder = folder
        self._editor = editor
        self._privileged = privileged
        self._limits = limits
        self._stats = stats
        self._source = source
        self._shown = _Shown(source)
        self._recent: ImageCache[tuple[Image.Image, bytes]] = ImageCache(_RECENT_BYTES)
        self._samples = {sample: number for number, sample in enumerate(source.ids)}
        self._protocols = {name: number for number, name in enumerate(folder.identity.protocols)}

    def open(self) -> list[Job]:
        """Returns the first round to do of each chain, and tells the stats how the run stands."""
        self._folder.request_id("")  # makes the run's secret, once, before there are threads
        jobs: list[Job] = []
        reused: list[RoundRecord] = []
        planned = reached = 0
        most = self._limits.limit or math.inf
        identity = self._folder.identity
        every = (chain for repeat in range(identity.repeats) for chain in chains(identity, self._source, repeat))
        for chain in every:
            done, job = self._advance(chain, -1)
            reused += done
            planned += len(chain.rounds)
            reached += len(done)
            if job is not None and self._samples[chain.sample] < most:
                jobs.append(job)
                reached += len(chain.rounds) - len(done)
        self._stats.begin(reached, len(reused), planned)
        for record in reused:
            self._stats.reused(record, counted=True)
        return [job for job in jobs if not self._is_draft(job)]

    def _is_draft(self, job: Job) -> bool:
        """Commits round 0, for which nobody is asked."""
        if job.chain.protocol.edits:
            return False
        record = draft_record(job.chain, job.step)
        self._folder.commit(record)
        self._stats.finished(record, asked=False)
        return True

    def work(self, job: Job) -> Work:
        """Returns the edit of a job, its images decoded.

        Raises:
            InvalidDataError: An image of the dataset or the run can't be read.
        """
        step = job.step
        shown: dict[str, Image.Image] = {}
        encoded: dict[str, bytes] = {}
        for role, _ in step.images:
            if role == "reference":
                shown[role] = self._shown.reference(step.sample, step.round)
            elif step.base is None or step.base.path is None:
                shown[role] = self._shown.draft(step.sample)
            else:
                known = self._recent.get(step.base.digest)
                if known is None:
                    with cpu_slot():
                        shown[role] = self._folder.read(step.base.path, step.base.digest)
                else:
                    shown[role], encoded[role] = known
        return Work(
            step=step,
            request=edit_request(step, shown, request_id=self._folder.request_id(step.key), encoded=encoded),
            editor=self._editor,
            size_policy=self._folder.identity.size_policy,
            sample=self._shown.sample(step.sample) if self._privileged else None,
        )

    def write(self, job: Job, ended: Ended, image: Image.Image | None) -> None:
        """Writes down what an edit came to; safe to be killed in at any point."""
        if isinstance(ended, FailedAttempt):
            self._folder.failures.add(ended)
            return
        if job.replaces is not None:
            self._folder.failures.add(_replaced(job.replaces, job.earlier))
        encoded = None
        if image is not None and ended.output is not None:
            with cpu_slot():
                encoded = png_bytes(image)
            if ended.round < job.chain.rounds[-1]:
                size = image.width * image.height * 3 + len(encoded)
                self._recent.put(ended.output.digest, (image, encoded), size)
        self._folder.commit(ended, image, encoded)

    def follow(self, job: Job, ended: Ended) -> Job | None:
        """Moves the chain of a job on, and returns its next round to do; None where there is none."""
        if job.replaces is not None and isinstance(ended, FailedAttempt):
            ended = job.replaces  # it still holds
        job.chain.take(ended)
        done, following = self._advance(job.chain, job.step.round)
        for record in done:
            self._stats.reused(record, counted=False)
        return following

    def _advance(self, chain: Chain, after: int) -> tuple[list[RoundRecord], Job | None]:
        """Takes the committed rounds that come next, and returns them with the first one that is to do."""
        done: list[RoundRecord] = []
        for round in chain.rounds:
            if round <= after:
                continue
            step = chain.step(round)
            record = self._folder.record(step.key)
            if record is not None and record.status not in self._limits.retry:
                chain.take(record)
                done.append(record)
                continue
            turn = (
                chain.repeat * self._folder.identity.rounds + round
            )  # a repetition begins when the one before is through
            place = (turn, self._samples[chain.sample], self._protocols[chain.protocol.name])
            earlier = self._folder.failures.attempts(step.key)
            attempts = earlier if record is None else max(earlier, record.attempts)
            return done, Job(place=place, chain=chain, step=step, earlier=earlier, attempts=attempts, replaces=record)
        return done, None


class _Shown:
    """The images of the samples; of a dataset that can open them one by one, no other is decoded."""

    def __init__(self, source: SampleSource) -> None:
        self.sample = lru_cache(maxsize=4)(source.sample)  # the protocols of a sample come one after the other
        self._draft: Callable[[str], Image.Image] | None = _own(source, "draft")
        self._reference: Callable[[str, int], Image.Image] | None = _own(source, "crop")

    def draft(self, id: str) -> Image.Image:
        with cpu_slot():
            return self.sample(id).draft if self._draft is None else self._draft(id)

    def reference(self, id: str, round: int) -> Image.Image:
        if self._reference is None:
            return self.sample(id).differences[round - 1].reference
        return self._reference(id, round - 1)


def _own(source: SampleSource, name: str) -> Any:
    found = getattr(source, name, None)
    return found if callable(found) else None


def _replaced(record: RoundRecord, earlier: int) -> FailedAttempt:
    return FailedAttempt(
        key=record.key,
        sample=record.sample,
        protocol=record.protocol,
        round=record.round,
        status=record.status,
        message=record.message,
        time=timestamp(),
        model_version=record.model_version,
        usage=record.usage,
        cost_usd=record.cost_usd,
        seconds=record.seconds,
        attempts=max(1, record.attempts - earlier),
    )
