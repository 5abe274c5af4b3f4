"""Edits that Ray workers make: what goes to them, and what comes back.

A worker holds the editor, decodes what it is shown, judges and encodes what it returns. This process decodes nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from fashionedit.errors import EditorError, MissingExtraError, ServiceError
from fashionedit.eval_harness.editing import (
    UNDECLARED,
    Editor,
    EditorInfo,
    EditRequest,
    EditResult,
    PrivilegedEditor,
    Role,
)
from fashionedit.images import png_bytes, read_image
from fashionedit.runtime.ray_engine import RayEngine, RayWorkers, WorkersLostError, WorkerTimeoutError
from fashionedit.runtime.shipped_files import (
    ShippedPath,
    moved,
    named_as_given,
    own_module,
    shipped_code,
    shipped_options,
)
from fashionedit.runtime.user_code import users_code

from .calls import Answer, EditorCalls, OutOfTimeError, Work, edit_request, failed
from .chain import Step
from .identity import SizePolicy, editor_info
from .run_folder import decoded_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fashionedit.eval_harness.editors.settings import EditorSettings

_SERVICES = ("openai", "openai-responses", "http", "https", "hf", "space")
_AHEAD = 2  # requests that are prepared or committed, for each that is computed


@dataclass(frozen=True, slots=True)
class SentImage:
    """An image of a request as a file, how messages call it, and for one that the run made its recorded digest."""

    role: Role
    data: bytes = field(repr=False)
    name: str
    digest: str | None = None

    def decoded(self) -> Image.Image:
        """Returns the image.

        Raises:
            InvalidImageError: It can't be decoded, or is not the recorded one.
        """
        if self.digest is None:
            return read_image(self.data, name=self.name)
        return decoded_image(self.data, self.digest, name=self.name)


@dataclass(frozen=True, slots=True)
class SentWork:
    """One edit for a worker to make."""

    step: Step
    request_id: str
    images: tuple[SentImage, ...]


@dataclass(frozen=True, slots=True)
class EditorFacts:
    """What a worker tells of its editor."""

    info: EditorInfo
    batch: int
    checks_params: bool


class EditorReplica:
    """The editor in a worker."""

    def __init__(self, editor: Editor, places: Mapping[str, str]) -> None:
        self._editor = editor
        info = editor_info(editor)
        self._info = replace(info, fingerprint=named_as_given(info.fingerprint, places))

    def facts(self) -> EditorFacts:
        """Returns what is the same in all workers."""
        declared = not self._info.fingerprint.startswith(UNDECLARED)
        info = self._info if declared else replace(self._info, fingerprint=UNDECLARED)
        checks = hasattr(self._editor, "check_params")
        batch = 1 if info.privileged else EditorCalls(self._editor, info).batch
        return EditorFacts(info, batch, checks)

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Refuses params that no edit can be given."""
        with users_code(f"check_params() of {type(self._editor).__name__}"):
            self._editor.check_params(params)  # type: ignore[attr-defined]  # it is asked only of those that have it

    def edit(self, sent: Sequence[SentWork], size_policy: SizePolicy) -> list[Answer]:
        """Returns what a run makes of the edits, images as PNG.

        Raises:
            InvalidImageError: An image that was sent can't be decoded, or is not the recorded one.
        """
        works = []
        for one in sent:
            shown: dict[str, Image.Image] = {item.role: item.decoded() for item in one.images}
            works.append(Work(one.step, edit_request(one.step, shown, request_id=one.request_id)))
        calls = EditorCalls(self._editor, self._info, size_policy)
        try:
            return [_as_sent(answer) for answer in calls(works)]
        finally:
            calls.end_loop()

    def result(self, request: EditRequest) -> EditResult:
        """Returns the editor's own result of one request."""
        return self._editor.edit(request)

    def close(self) -> None:
        """Calls the editor's `close`, if it has one."""
        EditorCalls(self._editor, self._info).close()


def _as_sent(answer: Answer) -> Answer:
    encoded = None if answer.image is None else png_bytes(answer.image)
    stop = answer.stop
    if stop is not None and type(stop) not in (EditorError, MissingExtraError, ServiceError):
        stop = (EditorError if isinstance(stop, EditorError) else ServiceError)(str(stop))  # a class of the user's own
    return replace(answer, image=None, encoded=encoded, stop=stop)


class RemoteEditor:
    """An editor whose replicas are in workers."""

    def __init__(self, workers: RayWorkers, info: EditorInfo | None = None) -> None:
        self._workers = workers
        self._facts: EditorFacts = workers.facts
        self._own = info

    def describe(self) -> EditorInfo:
        """Returns what the editor says of itself, so that the run is the same one wherever it is made."""
        from fashionedit.eval_harness.editors.settings import undeclared

        info = self._own or self._facts.info
        if info.fingerprint == UNDECLARED:
            info = replace(info, fingerprint=undeclared())
        return replace(info, at_once=_AHEAD * self._workers.count, most_at_once=None)

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Refuses params that no edit can be given, if the editor does."""
        if self._facts.checks_params:
            self._workers.ask("check_params", params)

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the result of one edit."""
        result: EditResult = self._workers.ask("result", request)[0]
        return result

    def calls(self, size_policy: SizePolicy, *, patience: float | None, batch: int | None) -> RemoteCalls:
        """Returns what makes the calls of a run."""
        return RemoteCalls(self._workers, size_policy, patience, min(self._facts.batch, batch or self._facts.batch))

    def close(self) -> None:
        """Ends the workers."""
        self._workers.close()


class RemoteCalls:
    """Has workers make edits, from any number of threads; stands where `EditorCalls` stands.

    A worker that dies is an attempt that failed; the request is asked again, and ends as `error` when it has cost
    several of them.
    """

    def __init__(self, workers: RayWorkers, size_policy: SizePolicy, patience: float | None, batch: int) -> None:
        self._workers = workers
        self._size_policy = size_policy
        self._patience = patience
        self.batch = batch

    def ready(self) -> None:
        """Waits for a free worker, so that a run that is stopped has nothing more begun."""
        self._workers.take()

    def seconds(self, requests: int) -> float | None:
        """Returns None: a worker whose time is over is ended here, and its place taken by another."""
        return None

    def given_up(self) -> OutOfTimeError:
        """Returns the error of an edit that is waited for no longer."""
        return OutOfTimeError(self._patience or 0.0)

    def __call__(self, works: Sequence[SentWork]) -> list[Answer]:
        """Returns what the edits came to, in their order.

        Raises:
            InvalidImageError: An image that is shown can't be decoded, or is not the recorded one.
        """
        start = time.perf_counter()
        seconds = None if self._patience is None else self._patience * len(works)
        try:
            answers, kills = self._workers.ask("edit", works, self._size_policy, seconds=seconds)
        except WorkersLostError as error:
            answers, kills = _failed(works, error, start, alone=len(works) > 1), error.kills - 1
        except WorkerTimeoutError:
            answers, kills = _failed(works, self.given_up(), start), 0
        except ServiceError as error:
            answers, kills = _failed(works, error, start), 0
        return [_attempted(answer, kills) for answer in answers]

    def close(self) -> None:
        """Ends the workers."""
        self._workers.close()


def _failed(works: Sequence[SentWork], error: Exception, start: float, *, alone: bool = False) -> list[Answer]:
    seconds = (time.perf_counter() - start) / len(works)
    return [replace(failed(work.step, error, seconds), alone=alone) for work in works]


def _attempted(answer: Answer, more: int) -> Answer:
    """Returns the answer with so many attempts more."""
    if not more:
        return answer
    ended = answer.ended
    return replace(answer, ended=ended.model_copy(update={"attempts": ended.attempts + more}))


def on_engine(
    editor: Editor | PrivilegedEditor | Callable[..., Any] | str,
    engine: RayEngine | None,
    settings: EditorSettings | None = None,
    tell: Callable[[str], None] | None = None,
) -> Editor | PrivilegedEditor:
    """Returns the editor, its replicas in workers where there is an engine.

    What only waits for a service, and what is shown the answer, is this process's own work whatever the engine is.

    Args:
        editor: An editor, a function, or a name as `resolve_editor` takes it.
        engine: None for this process alone.
        settings: What is said about a named editor beside its name.
        tell: Given a sentence where the engine is of no use, and about workers that are missing or lost.

    Raises:
        FashionEditError: What `resolve_editor` and `RayWorkers` raise, or an editor that can't be sent.
    """
    from fashionedit.eval_harness.editors.resolve import EDITORS, as_editor, resolve_editor

    tell = tell or (lambda sentence: None)

    def here() -> Editor | PrivilegedEditor:
        return resolve_editor(editor, settings) if isinstance(editor, str) else as_editor(editor)

    if engine is None or isinstance(editor, RemoteEditor):
        return here()
    own = None
    if isinstance(editor, str):
        if editor.partition(":")[0] in _SERVICES or editor in EDITORS:
            found = here()
            if editor not in EDITORS or editor_info(found).privileged:
                tell(_stays(editor_info(found)))
                return found
        options = {} if settings is None else settings.options
        shipped = (*shipped_code(editor), *_shipped_folder(editor), *shipped_options(options))
        load: Callable[..., EditorReplica] = partial(_load_named, editor, settings)
        what = editor
    else:
        found = as_editor(editor)
        own = editor_info(found)
        if own.privileged or own.at_once > 1:
            tell(_stays(own))
            return found
        shipped, load, what = (), partial(_load_pickled, _pickled(found, own.name)), own.name
    workers = RayWorkers(engine, load, shipped, what=what, tell=tell)
    info: EditorInfo = workers.facts.info
    if info.privileged or info.at_once > 1:
        workers.close()
        tell(_stays(info))
        return here()
    return RemoteEditor(workers, own)


def _stays(info: EditorInfo) -> str:
    why = "is shown the answer" if info.privileged else "waits for a service and computes nothing"
    return f"{info.name} {why}, so this process makes its edits, and no Ray worker does"


def _shipped_folder(spec: str) -> tuple[ShippedPath, ...]:
    """Returns the folder of a model that a name such as `diffusers:FOLDER` names."""
    _, colon, rest = spec.partition(":")
    return (ShippedPath.of_path(rest, Path(rest)),) if colon and rest and Path(rest).is_dir() else ()


def _load_named(spec: str, settings: EditorSettings | None, places: Mapping[str, str]) -> EditorReplica:
    """Runs in a worker."""
    from fashionedit.eval_harness.editors.resolve import resolve_editor

    for given, place in places.items():
        if spec.startswith(f"{given}:"):
            if given.endswith(".py"):
                spec = place + spec.removeprefix(given)
            elif place not in sys.path:
                sys.path.append(place)
        elif spec.endswith(f":{given}"):
            spec = spec.removesuffix(given) + place
    if settings is not None:
        options = {name: moved(value, places) for name, value in settings.options.items()}
        settings = replace(settings, options=options)
    return EditorReplica(resolve_editor(spec, settings), places)  # type: ignore[arg-type]  # privileged ones go back


def _load_pickled(data: bytes, places: Mapping[str, str]) -> EditorReplica:
    """Runs in a worker."""
    from ray import cloudpickle

    return EditorReplica(cloudpickle.loads(data), places)


def _pickled(editor: Any, name: str) -> bytes:
    """Returns the editor as bytes that a machine can load that has none of the user's modules.

    Raises:
        EditorError: It holds something that can't be sent.
        MissingExtraError: Ray is not installed.
    """
    try:
        from ray import cloudpickle
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    with _by_value(cloudpickle):
        try:
            data: bytes = cloudpickle.dumps(editor)
        except Exception as error:  # what an object's own __reduce__ raises
            raise EditorError(
                f"{name} can't be sent to Ray workers ({error}); give it by name, as my_model.py:edit, so that each of "
                "them makes its own"
            ) from error
    return data


@contextmanager
def _by_value(cloudpickle: Any) -> Iterator[None]:
    """Has whatever the user's own modules define sent as code."""
    own = [module for name, module in list(sys.modules.items()) if name != "__main__" and own_module(module)]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)
