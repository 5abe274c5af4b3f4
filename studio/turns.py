"""The turns of a session: a turn begins a design, or asks an editor to change it, exactly as the benchmark would."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from fashionedit.errors import EditorError, FashionEditError, InvalidDataError, InvalidImageError, UnknownNameError
from fashionedit.eval_harness.editing import Editor, EditorInfo, EditRequest, Status
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.running.calls import Answer, EditorCalls, Work, edit_request, failed, finished_image
from fashionedit.eval_harness.running.chain import Ended, Step
from fashionedit.eval_harness.running.limits import Limits, Spending, edits_at_once
from fashionedit.eval_harness.running.records import InputImage, record_key, round_seed
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.images import decode_image, pixel_digest, to_rgb
from fashionedit.metrics.registry import Metric, Picture
from fashionedit.runtime.costs import LEDGER_FILE, CostTracker
from fashionedit.runtime.worker_pool import Outcome, Stage, Task, WorkerPool

from .generators import Generator
from .sessions import ReferenceName, Session, SessionStore, Source

MOST_UPLOADED_BYTES = 32 * 2**20
MOST_UPLOADED_PIXELS = 24_000_000
MOST_WORDS = 4_000
"""The most that a person may send: bytes and pixels of a picture, characters of a sentence."""

_CANCELLED = "the edit was cancelled; the design is as it was"
_LOOK = 0.05  # seconds between two looks at whether an edit was cancelled

_LARGEST_SIDE = 1536  # pixels; a photograph that begins a session is shrunk to it


@dataclass(frozen=True, slots=True)
class Score:
    """One metric's value for one turn, and for the draft, in the metric's unit; a share is 0 or its scale."""

    metric: Metric
    value: float
    draft: float


class CancelledError(FashionEditError):
    """The person cancelled the edit; a later answer of the editor is discarded."""


class LaterSource:
    """A data set that is opened when the first person asks for it."""

    def __init__(self, open: Callable[[], SampleSource]) -> None:
        self._open = open
        self._lock = threading.Lock()
        self._source: SampleSource | None = None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._source is None:
                self._source = self._open()
        return getattr(self._source, name)


class Studio:
    """The actions of the page, for any number of people at once.

    Args:
        store: Where the sessions are kept.
        editors: The editors by the names that the page shows; the first is the default.
        generators: The generators, in the same way.
        samples: The data set whose samples a session may begin from.
        limits: Retries, time limit and budget, as of a run; the budget covers all sessions.
        metrics: The metrics that score a design when the session began from a sample.
    """

    def __init__(
        self,
        store: SessionStore,
        editors: Mapping[str, Editor],
        generators: Mapping[str, Generator],
        *,
        samples: SampleSource | LaterSource | None = None,
        limits: Limits | None = None,
        metrics: Sequence[Metric] = (),
    ) -> None:
        self.store = store
        self.editors = dict(editors)
        self.generators = dict(generators)
        self.samples = samples
        self.metrics = tuple(metrics)
        self._limits = limits or Limits(retries=1)
        self._seats = {
            name: _Seat(editor, store, self._limits) for name, editor in self.editors.items()
        }  # a budget that can't be kept is refused here, before anything is paid
        self._money = CostTracker(store.folder / LEDGER_FILE, limit=self._limits.budget)
        self._scoring = threading.Lock()

    def editor_infos(self) -> dict[str, EditorInfo]:
        """Returns the editors' descriptions of themselves, by the names that the page shows."""
        return {name: seat.info for name, seat in self._seats.items()}

    def start_words(self, words: str, generator: str | None = None, *, seed: int = 0) -> Session:
        """Returns a session whose first turn is the design that the words describe.

        Raises:
            InvalidDataError: There are no words, or too many.
            UnknownNameError: No generator has this name.
            EditorError: The generator made no design; the message says why, and no session is kept.
            BudgetSpentError: The design could exceed the budget; it was not made.
            ServiceError: The service does not work at all.
        """
        words = checked_words(words)
        name = generator or next(iter(self.generators), "")
        if name not in self.generators:
            raise UnknownNameError(f"no generator is called {name!r}; choose {', '.join(self.generators)}")
        begun = time.perf_counter()
        entry = self._money.reserve(self.generators[name].highest_cost, "design")
        result = self.generators[name].generate(words, seed)
        cost = self._money.charge(entry, result.cost_usd)
        if result.image is None:
            raise EditorError(result.message)
        seconds = result.seconds or time.perf_counter() - begun
        facts = {"state": result.state, "message": result.message, "seconds": round(seconds, 4), "cost_usd": cost}
        return self._begin("words", result.image, editor=name, words=words, **facts)

    def start_picture(self, data: bytes) -> Session:
        """Returns a session whose first turn is an uploaded picture, without its metadata.

        Raises:
            InvalidImageError: It is no picture, or too large.
        """
        image = uploaded(data, name="the picture")
        image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE), Image.Resampling.LANCZOS)
        return self._begin("picture", image)

    def start_sample(self, id: str) -> Session:
        """Returns a session whose first turn is a sample's draft; its turns are scored against the original.

        Raises:
            UnknownNameError: There is no such sample.
        """
        if self.samples is None or id not in self.samples.ids:
            raise UnknownNameError(f"the data set has no sample {id!r}; choose one from the list")
        draft = self.samples.sample(id).draft
        return self._begin("sample", draft, dataset=self.samples.name, sample=id)

    def _begin(
        self,
        source: Source,
        image: Image.Image,
        *,
        editor: str = "",
        words: str = "",
        dataset: str | None = None,
        sample: str | None = None,
        **facts: Any,
    ) -> Session:
        kept, output = finished_image(image, None)
        shown = InputImage(role="base", digest=output.digest, size=output.size)
        step = _step(sample, "draft", 0, words, {"base": output.digest}, editor=editor)
        record = step.record(Status.OK, inputs=(shown,), output=output, attempts=int(source == "words"), **facts)
        turn = {"source": source, "editor": editor, "words": words, "outcome": record}
        return self.store.add(self.store.create(dataset=dataset, sample=sample), turn, kept)

    def request(
        self,
        session: Session,
        parent: int,
        editor: str,
        words: str,
        picture: Image.Image | None = None,
    ) -> EditRequest:
        """Returns the request for the editor: the benchmark's wording, the design, and the picture as reference.

        Raises:
            InvalidDataError: There are no words, or too many.
            UnknownNameError: There is no such turn or editor.
            EditorError: The editor can't be shown a picture, or needs one.
        """
        return self._work(session, parent, editor, words, picture).request

    def edit(
        self,
        session: Session,
        parent: int,
        editor: str,
        words: str,
        picture: Image.Image | None = None,
        kind: ReferenceName | None = None,
        *,
        cancel: threading.Event | None = None,
    ) -> Session:
        """Returns the session with one more turn: the changed design, or why there is none.

        Retries, time limit and budget are those of a run. A refusal or a failure is a turn without a design; the
        design before it stands.

        Raises:
            InvalidDataError, UnknownNameError, EditorError: As `request`, before anything is paid.
            BudgetSpentError: The edit could exceed the budget; it was not made.
            CancelledError: `cancel` was set while the editor worked. Its cost is in the ledger.
        """
        if (picture is None) is not (kind is None):
            raise InvalidDataError("a picture needs its kind, and a kind its picture; give both or neither")
        work = self._work(session, parent, editor, words, picture)
        answer = self._seats[editor].ask(work, cancel)
        images = [image for image in (answer.image, picture and to_rgb(picture)) if image is not None]
        turn = {
            "parent": session.design(parent).number,
            "source": "edit",
            "editor": editor,
            "words": words.strip(),
            "reference": pixel_digest(picture) if picture is not None else None,
            "reference_kind": kind,
            "outcome": answer.ended,
        }
        return self.store.add(session, turn, *images)

    def _work(self, session: Session, parent: int, editor: str, words: str, picture: Image.Image | None) -> Work:
        words = checked_words(words)
        if editor not in self.editors:
            raise UnknownNameError(f"no editor is called {editor!r}; choose {', '.join(self.editors)}")
        info = self._seats[editor].info
        if picture is not None and not info.takes_reference:
            raise EditorError(f"{editor} can't be shown a picture; write words only, or choose another editor")
        if picture is None and info.needs_reference:
            raise EditorError(f"{editor} needs a picture; show one, or choose another editor")
        design = session.design(parent)
        base = session.image(parent)
        protocol = PROTOCOLS["vanilla" if picture is None else "bug"]
        shown = {"base": base} if picture is None else {"base": base, "reference": to_rgb(picture)}
        step = _step(
            session.identity.sample,
            protocol.name,
            sum(turn.source == "edit" for turn in session.strip(design.number)) + 1,
            protocol.instruction(words),
            {role: pixel_digest(shown[role]) for role in protocol.roles},
            editor=info.fingerprint,
            state=design.state if design.editor == editor else None,  # another's would mean nothing to it
            again=len(session.turns),
        )
        return Work(step, edit_request(step, shown, request_id=step.key[:32]))

    def scores(self, session: Session) -> dict[int, list[Score]]:
        """Returns the scores of each turn that has a design, where the session began from a sample."""
        if self.samples is None or session.identity.sample is None or session.identity.dataset != self.samples.name:
            return {}
        if not self.metrics or session.identity.sample not in self.samples.ids:
            return {}
        sample = self.samples.sample(session.identity.sample)
        original = Picture(pixel_digest(sample.original), lambda: sample.original)
        turns = [turn for turn in session.turns if turn.output is not None]
        pictures = {turn.number: session.image(turn.number) for turn in turns}
        pairs = [(Picture(pixel_digest(image), lambda image=image: image), original) for image in pictures.values()]  # type: ignore[misc]  # mypy infers no type for a default of a lambda
        raw: dict[str, Sequence[float]] = {}
        scores: dict[int, list[Score]] = {turn.number: [] for turn in turns}
        with self._scoring:  # encoders are not made for several threads
            for metric in self.metrics:
                if metric.of is None:
                    raw[metric.id] = metric.score(pairs)
                else:
                    raw[metric.id] = [float(value > (metric.threshold or 0.0)) for value in raw[metric.of]]
                values = [value * metric.scale for value in raw[metric.id]]
                for turn, value in zip(turns, values, strict=True):
                    scores[turn.number].append(Score(metric, value, values[0]))
        return scores

    def close(self) -> None:
        """Closes the editors and the folder of the sessions."""
        for seat in self._seats.values():
            seat.calls.close()
        self.store.close()


class _Seat:
    """One editor with its costs, and a semaphore: all people together run as many edits at once as it allows."""

    def __init__(self, editor: Editor, store: SessionStore, limits: Limits) -> None:
        self.info: EditorInfo = editor.describe()
        if self.info.privileged:
            raise EditorError(f"{self.info.name} sees the answer, which no design has; choose another editor")
        self.calls = EditorCalls(editor, self.info, patience=limits.patience, batch=1)
        self._limits = limits
        self._spending = Spending(store.folder, self.info, limits.budget)
        self._places = threading.BoundedSemaphore(edits_at_once(self.info, None))

    def ask(self, work: Work, cancel: threading.Event | None) -> Answer:
        """Returns the answer to one edit, which runs in its own thread so that a person may cancel it."""
        stage = _OneEdit(work, self.calls, self._spending, self._places, cancel or threading.Event())
        pool = WorkerPool(stage, retries=self._limits.retries, backoff=self._limits.backoff, keep_going=True)
        raised: list[BaseException] = []

        def run() -> None:
            try:
                pool.run([Task(place=(0, 0, 0))])
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=run, name="studio-edit", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(_LOOK)
            stage.check_cancelled()
        if stage.answer is not None:  # also where it stopped the pool: its record says why
            return stage.answer
        raise raised[0] if raised else CancelledError(_CANCELLED)


class _OneEdit(Stage[Task]):
    """One edit as a stage of the worker pool; its last answer is kept for the session."""

    noun = "edits"

    def __init__(
        self,
        work: Work,
        calls: EditorCalls,
        spending: Spending,
        places: threading.BoundedSemaphore,
        cancel: threading.Event,
    ) -> None:
        self._work = work
        self._calls = calls
        self._spending = spending
        self._places = places
        self._cancel = cancel
        self.answer: Answer | None = None

    def check_cancelled(self) -> None:
        """Raises CancelledError once the person has cancelled the edit."""
        if self._cancel.is_set():
            raise CancelledError(_CANCELLED)

    def spent(self) -> float | None:
        """Returns the cost of all edits with this editor, USD."""
        return self._spending.usd

    def reserve(self, tasks: Sequence[Task]) -> str:
        """Reserves the most that the edit may cost."""
        return self._spending.reserve(1)

    def charge(self, entry: str, outcomes: Sequence[Outcome]) -> None:
        """Records the cost of the edit."""
        self._spending.charge(entry, [outcome.value for outcome in outcomes])

    def prepare(self, tasks: Sequence[Task]) -> Work:
        """Waits until the editor may run one more edit; this time does not count as the edit's."""
        while not self._places.acquire(timeout=_LOOK):
            self.check_cancelled()
        try:
            self.check_cancelled()
            self._calls.ready()
        except BaseException:
            self._places.release()
            raise
        return self._work

    def call(self, prepared: Work) -> list[Outcome]:
        """Asks the editor."""
        try:
            return [_outcome(answer) for answer in self._calls([prepared])]
        finally:
            self._places.release()

    def seconds(self, tasks: int) -> float | None:
        """Returns the edit's time limit, seconds."""
        return self._calls.seconds(tasks)

    def expired(self, tasks: Sequence[Task], seconds: float) -> list[Outcome]:
        """Returns the outcome of an edit that exceeded its time limit."""
        return [_outcome(failed(self._work.step, self._calls.given_up(), seconds))]

    def commit(self, finished: Sequence[tuple[Task, Outcome, bool]]) -> Iterable[Task]:
        """Keeps the answer that is not asked for again."""
        for _, outcome, again in finished:
            if not again:
                self.answer = outcome.value
        return ()


def _outcome(answer: Answer) -> Outcome:
    ended: Ended = answer.ended
    answered = None if ended.status.transient else True
    return Outcome(
        answered=answered, message=ended.message, again=answer.again, stop=answer.stop, reply=answer.reply, value=answer
    )


def _step(
    sample: str | None,
    protocol: str,
    round: int,
    instruction: str,
    shown: Mapping[str, str],
    *,
    editor: str,
    state: Any = None,
    again: int = 0,
) -> Step:
    """Returns a turn as a step of a run; `shown` has the digest of each role, `again` gives another seed."""
    name = sample or "design"
    asked: dict[str, Any] = {
        "sample": name,
        "protocol": protocol,
        "round": round,
        "instruction": instruction,
        "images": tuple(shown.items()),
        "seed": round_seed(0, name, protocol, round, again),
        "params": {},
        "state": state,
    }
    return Step(key=record_key(**asked, editor=editor, size_policy="model"), base=None, **asked)


def checked_words(words: str) -> str:
    """Returns the words without the spaces around them.

    Raises:
        InvalidDataError: There are no words, or more than 4,000 characters.
    """
    words = words.strip()
    if not words:
        raise InvalidDataError("there are no words; say in a sentence what the design is or what to change")
    if len(words) > MOST_WORDS:
        raise InvalidDataError(f"the text has {len(words):,} characters; give at most {MOST_WORDS:,}")
    return words


def uploaded(data: bytes, *, name: str) -> Image.Image:
    """Returns an uploaded picture, upright, mode RGB, without metadata.

    Raises:
        InvalidImageError: The data is no picture, or has more than 32 MiB or 24 megapixels.
    """
    if len(data) > MOST_UPLOADED_BYTES:
        raise InvalidImageError(
            f"{name} has {len(data) / 2**20:,.0f} MiB; give one of at most {MOST_UPLOADED_BYTES // 2**20} MiB"
        )
    image, _ = decode_image(data, name=name)
    if image.width * image.height > MOST_UPLOADED_PIXELS:
        raise InvalidImageError(
            f"{name} has {image.width} × {image.height} pixels; give one of at most "
            f"{MOST_UPLOADED_PIXELS // 1_000_000} megapixels"
        )
    image.info = {}
    return image
