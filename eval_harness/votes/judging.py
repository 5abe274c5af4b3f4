"""The stage `judge`: pairs go in, two votes for each come out, one for each order of the two results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from fashionedit.errors import InvalidDataError, InvalidImageError, MissingExtraError, ServiceError, UnknownNameError
from fashionedit.runtime import openai_client
from fashionedit.runtime.costs import CostTracker
from fashionedit.runtime.vision_model import CallFailedError, Promises, Reply, failed_call
from fashionedit.runtime.worker_pool import Outcome, Stage, Task, WorkerPool

from .judge import INVALID, OUTPUT_TOKENS, REFUSED, Judge, read_answer, request_body, request_tokens
from .pairs import Pair, PairList
from .votes import Answer, ModelAnswer, SideName, Vote, VotedPair, VoteFolder, Voter, answer_of, other, voter_key

if TYPE_CHECKING:
    from openai import OpenAI

LEFTS: tuple[SideName, SideName] = ("first", "second")
"""The side that is shown on the left, in the two showings of a pair."""


@dataclass(frozen=True, slots=True)
class JudgePlan:
    """The calls and the cost of a judge, estimated before anything is spent.

    Args:
        pairs: The number of pairs to judge.
        alike: Pairs of equal pictures: ties, which nobody is asked about.
        judged: Other pairs that are judged already.
        calls: The calls that are left, two for each pair.
        input_tokens, output_tokens: Estimates for all calls.
        usd: None where no price of the model is known.
    """

    pairs: int
    alike: int
    judged: int
    calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None


@dataclass(slots=True)
class JudgeSummary:
    """The counts of one session; updated while it runs, so that they are right when it is stopped.

    Args:
        pairs: The number of pairs to judge.
        before: Showings that were settled before.
        asked: Calls of this session that were answered.
        cached: Votes that were taken over from the same pictures in another pair.
        alike: Pairs of equal pictures: ties, which nobody was asked about.
        failures: By reason, the showings that are without an answer after this session.
        usd: USD spent by all sessions with this folder.
    """

    pairs: int = 0
    before: int = 0
    asked: int = 0
    cached: int = 0
    alike: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    usd: float = 0.0


@dataclass(slots=True, kw_only=True, eq=False)
class _Showing(Task):
    pair: Pair
    left: SideName
    tokens: int


class _Showings:
    """The showings of the first pairs of a list, with what the judge has answered so far."""

    def __init__(
        self, pairs: PairList, judge: Judge, folder: VoteFolder, name: str, limit: int | None, retry: Sequence[str]
    ) -> None:
        for reason in retry:
            if reason not in (REFUSED, INVALID):
                raise UnknownNameError(f"no comparison ends as {reason!r}; choose {REFUSED} or {INVALID}")
        self.pairs = pairs.pairs[:limit]
        self._source, self._judge = pairs.source, judge
        self._answers: dict[tuple[str, str, str], Vote] = {}
        self._settled: set[tuple[Any, ...]] = set()
        for vote in folder.votes():
            if voter_key(vote) == (name, "model", judge.settings) and vote.failure not in retry:
                self.take(vote)

    def take(self, vote: Vote) -> None:
        if vote.answer is not None:
            self._answers.setdefault(vote.shown, vote)
        self._settled.add(_place(vote.pair, vote.left, vote.question))

    def left(self) -> Iterator[_Showing]:
        """Yields the showings that have no vote, in the order of the pairs."""
        for number, pair in enumerate(self.pairs):
            question, tokens = pair.asked(self._judge.show_original), 0
            for order, left in enumerate(LEFTS):
                if _place(pair.voted, left, question) not in self._settled:
                    tokens = tokens or request_tokens(self._judge, pair, self._source)
                    yield _Showing(place=(0, number, order), pair=pair, left=left, tokens=tokens)

    def same(self, showing: _Showing) -> Vote | None:
        """Returns the answer to the same pictures in the same order, asked about another pair."""
        pair, left = showing.pair, showing.left
        shown = (pair.asked(self._judge.show_original), pair.image(left).digest, pair.image(other(left)).digest)
        return self._answers.get(shown)


def _place(pair: VotedPair, left: SideName, question: str) -> tuple[Any, ...]:
    # The same two results may be named in the other order; what counts is who is on the left.
    shown = [(*side.place, side.digest) for side in (pair.side(left), pair.side(other(left)))]
    return (pair.manifest, pair.sample, question, *shown)


def plan_judging(
    pairs: PairList, judge: Judge, folder: VoteFolder, *, name: str, limit: int | None = None, retry: Sequence[str] = ()
) -> JudgePlan:
    """Returns the calls that `judge_pairs` would make with the same arguments, and their cost."""
    showings = _Showings(pairs, judge, folder, name, limit, retry)
    left = [showing for showing in showings.left() if not showing.pair.voted.alike and showings.same(showing) is None]
    tokens, output = sum(showing.tokens for showing in left), len(left) * OUTPUT_TOKENS
    price = judge.price
    alike = sum(pair.voted.alike for pair in showings.pairs)
    return JudgePlan(
        pairs=len(showings.pairs),
        alike=alike,
        judged=len(showings.pairs) - alike - len({id(showing.pair) for showing in left}),
        calls=len(left),
        input_tokens=tokens,
        output_tokens=output,
        usd=None if price is None else price.cost(input_tokens=tokens, output_tokens=output),
    )


def judge_pairs(
    pairs: PairList,
    judge: Judge,
    folder: VoteFolder,
    *,
    name: str,
    summary: JudgeSummary | None = None,
    budget: float | None = None,
    limit: int | None = None,
    retry: Sequence[str] = (),
    keep_going: bool = False,
    progress: Callable[[int, int], None] | None = None,
    spend: Callable[[float], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> JudgeSummary:
    """Judges pairs, each of which the judge sees twice with the sides swapped, and returns the counts.

    Every answer is a vote in the folder before its worker makes the next call: answers are never paid for twice, and
    calls ≤ votes + kills × `concurrency`. A call that is not answered after `max_retries` leaves its showing without a
    vote, and the next session asks again.

    Args:
        name: The name of the voter.
        summary: Updated while the session runs; a new one by default.
        budget: USD for all sessions with this folder together.
        limit: Only this many pairs are judged, the first ones.
        retry: `refused` or `invalid`: the showings that ended so are asked about anew.
        keep_going: Whether to go on although none of the first answers can be used, for the same reason.
        progress: Called with the showings done and those in all.
        spend: Called with the USD that all sessions have spent.
        tell: Given a sentence when Ctrl-C is pressed and calls under way are waited for.

    Raises:
        ServiceError: No call can succeed: there is no key, no quota or no such model, or the service is down.
        BudgetSpentError: A further call could exceed the budget.
        InvalidDataError: A budget is given but no price of the model is known, or a vote is damaged.
        MissingExtraError: The client is not installed.
        UnknownNameError: `retry` names something else.
        RunBusyError: The same judge is at work in another process.
    """
    if budget is not None and judge.price is None:
        raise InvalidDataError(
            f"no price of {judge.model} is known, so that a budget can't be kept; give --price input=USD,output=USD "
            "(per million tokens)"
        )
    folder.check_writable()
    with folder.locked(judge.settings):
        showings = _Showings(pairs, judge, folder, name, limit, retry)
        costs = CostTracker(folder.ledger, limit=budget)
        stage = _Judging(pairs, judge, folder, name, costs, summary or JudgeSummary(), progress, spend)
        try:
            if tasks := stage.open(showings):
                judge.check()
                folder.keep_prompt(judge.prompt_digest, judge.prompt)
            pool = WorkerPool(
                stage, concurrency=judge.concurrency, retries=judge.max_retries, keep_going=keep_going, tell=tell
            )
            pool.run(tasks)
        finally:
            stage.close()
        return stage.summary


class _Judging(Stage[_Showing]):
    """The stage of the worker pool; the value of an outcome is a vote, or why there is none."""

    noun = "comparisons"

    def __init__(
        self,
        pairs: PairList,
        judge: Judge,
        folder: VoteFolder,
        name: str,
        costs: CostTracker,
        summary: JudgeSummary,
        progress: Callable[[int, int], None] | None,
        spend: Callable[[float], None] | None,
    ) -> None:
        self.summary = summary
        self._pairs, self._judge, self._folder, self._costs = pairs, judge, folder, costs
        self._voter = Voter(name=name, kind="model")
        self._promises = Promises(judge.price, judge.max_output_tokens)
        self._progress, self._spend = progress, spend
        self._lock = Lock()
        self._client: OpenAI | None = None
        self._done = 0

    def open(self, showings: _Showings) -> list[_Showing]:
        """Returns the showings that are left to ask about, and writes the votes of those that need no call."""
        summary = self.summary
        summary.pairs = len(showings.pairs)
        summary.alike = sum(pair.voted.alike for pair in showings.pairs)
        summary.usd = self._costs.spent
        tasks, left = [], list(showings.left())
        for showing in left:
            if showing.pair.voted.alike:
                self._folder.add(self._vote(showing, "tie", self._answer()))
            elif (same := showings.same(showing)) is not None and same.model is not None:
                model = same.model.model_copy(update={"cached": True, "usd": 0.0})
                self._folder.add(self._vote(showing, answer_of(same.choice or "tie", showing.left), model))
                summary.cached += 1
            else:
                tasks.append(showing)
        summary.before = 2 * summary.pairs - len(left)
        self._done = 2 * summary.pairs - len(tasks)
        return tasks

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def spent(self) -> float | None:
        return self._costs.spent or None

    def reserve(self, tasks: Sequence[_Showing]) -> str:
        return self._costs.reserve(self._promises.usd(tasks[0].tokens), "judge")

    def charge(self, entry: str, outcomes: Sequence[Outcome]) -> None:
        value = outcomes[0].value if outcomes else None
        usd: float | None = 0.0
        if isinstance(value, Vote) and value.model is not None:
            usd = value.model.usd
        elif isinstance(value, CallFailedError) and value.paid:
            usd = None
        self._costs.charge(entry, usd)
        self.summary.usd = self._costs.spent
        if self._spend is not None and self.summary.usd:
            self._spend(self.summary.usd)

    def prepare(self, tasks: Sequence[_Showing]) -> tuple[_Showing, Any, dict[str, Any] | InvalidImageError]:
        """Returns the request; a client is opened only once there is something to ask."""
        (task,) = tasks
        with self._lock:
            if self._client is None:
                self._client = openai_client.open_client(base_url=self._judge.base_url, timeout=self._judge.timeout)
        try:
            pictures = self._pairs.pictures(task.pair)
        except InvalidImageError as error:
            return task, self._client, error
        return task, self._client, request_body(self._judge, task.pair, pictures, task.left)

    def call(self, prepared: tuple[_Showing, Any, dict[str, Any] | InvalidImageError]) -> list[Outcome]:
        task, client, body = prepared
        if isinstance(body, InvalidImageError):
            return [failed_call(body)]
        start = time.monotonic()
        try:
            reply, limits = self._judge.endpoint.ask(client, body)
        except (CallFailedError, ServiceError, MissingExtraError) as error:
            if isinstance(error, CallFailedError) and error.refused:
                vote = self._vote(task, None, self._answer(text=error.detail), failure=REFUSED)
                return [Outcome(reason=REFUSED, message=error.detail, reply=error.reply, value=vote)]
            return [failed_call(error)]
        self._promises.learn(task.tokens, reply.input_tokens)
        vote = self._read(task, reply, time.monotonic() - start)
        said = vote.model.text if vote.model is not None else ""
        return [Outcome(reason=vote.failure, message=said[:200], reply=limits, value=vote)]

    def _read(self, task: _Showing, reply: Reply, seconds: float) -> Vote:
        answer, failure = read_answer(reply, task.left)
        model = self._answer(
            version=reply.model,
            system_fingerprint=reply.system_fingerprint,
            response_id=reply.response_id,
            text=reply.refusal if reply.refusal is not None else reply.text,
            finish=reply.finish,
            input_tokens=reply.input_tokens,
            cached_tokens=reply.cached_tokens,
            output_tokens=reply.output_tokens,
            usd=reply.usd(self._judge.price),
            attempts=task.tries + 1,
        )
        return self._vote(task, answer, model, failure=failure, seconds=round(seconds, 3))

    def _answer(self, **fields: Any) -> ModelAnswer:
        judge = self._judge
        return ModelAnswer(
            model=judge.model, host=judge.host, settings=judge.settings, prompt=judge.prompt_digest, **fields
        )

    def _vote(self, showing: _Showing, answer: Answer | None, model: ModelAnswer, **fields: Any) -> Vote:
        return Vote(
            voter=self._voter,
            pair=showing.pair.voted,
            left=showing.left,
            answer=answer,
            original_shown=self._judge.show_original,
            question=showing.pair.asked(self._judge.show_original),
            seed=self._pairs.seed,
            model=model,
            **fields,
        )

    def commit(self, finished: Sequence[tuple[_Showing, Outcome, bool]]) -> Iterable[_Showing]:
        """Writes the vote."""
        for _, outcome, again in finished:
            if again or outcome.stop is not None:
                continue
            failure = outcome.value.reason if isinstance(outcome.value, CallFailedError) else None
            if isinstance(outcome.value, Vote):
                self._folder.add(outcome.value)
                failure = outcome.value.failure
            with self._lock:
                self.summary.asked += isinstance(outcome.value, Vote)
                if failure is not None:
                    self.summary.failures[failure] = self.summary.failures.get(failure, 0) + 1
                self._done += 1
                if self._progress is not None:
                    self._progress(self._done, 2 * self.summary.pairs)
        return ()
