"""Whether an editor keeps the contract, for the tests of whoever writes one.

from fashionedit.eval_harness.testing import assert_conforms

def test_my_editor_keeps_the_contract():
    assert_conforms(MyEditor(), repeatable=True)

Small drawn pictures are sent, some thirty requests in all; no file is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fashionedit.errors import EditorError

from .diagnostics.conformance import CHECKS, BrokenError, Case, NotApplicableError, TriedEditor
from .editing import Editor, PrivilegedEditor
from .editors.resolve import as_editor
from .running.identity import editor_info


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """How one check ended.

    Args:
        name: Of the check, such as `tiny-references`.
        status: `not applicable` where the editor has nothing that it looks at.
        sentence: What was found, what was wanted, what to do; or why it does not apply.
    """

    name: str
    status: Literal["passed", "failed", "not applicable"]
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """What the checks of one editor came to.

    Args:
        editor: What it calls itself.
        outcomes: One for each check, in their order.
        calls: Requests that it was given.
    """

    editor: str
    outcomes: tuple[CheckOutcome, ...]
    calls: int

    @property
    def failed(self) -> tuple[CheckOutcome, ...]:
        """The checks that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    @property
    def conforms(self) -> bool:
        """Whether none failed."""
        return not self.failed

    def __str__(self) -> str:
        lines = [
            f"{outcome.name}: {outcome.status}{f': {outcome.sentence}' if outcome.sentence else ''}"
            for outcome in self.outcomes
        ]
        return "\n".join([f"{self.editor}, {self.calls} requests", *lines])


def check_editor(
    editor: Editor | PrivilegedEditor | Callable[..., Any] | str,
    *,
    repeatable: bool = False,
    params: Mapping[str, Any] | None = None,
) -> ConformanceReport:
    """Returns how the editor fares in every check; it is closed at the end.

    An editor with `edit_async` is asked on an event loop of its own, so that this is to be called outside of one.

    Args:
        editor: An editor, one that sees the answer, a function as `module:attribute` may name it, or a name as on
            the command line.
        repeatable: Whether it claims that the same request with the same seed gives the same picture; then that is
            checked too, and the answers to several requests at once are compared by their pixels.
        params: Of every request, such as a small number of steps.

    Raises:
        EditorError: It is none of these.
        ServiceError: It can't work as set up: no key, no such model.
        MissingExtraError: A package is missing.
    """
    found = as_editor(editor)
    try:
        info = editor_info(found)
    except EditorError as error:
        return ConformanceReport(type(found).__name__, (CheckOutcome("describe", "failed", str(error)),), 0)
    tried = TriedEditor(found, info)
    case = Case(tried, info, repeatable, dict(params or {}))
    outcomes = []
    try:
        for name in CHECKS:
            outcomes.append(_outcome(name, case))
            if name == "describe" and outcomes[0].status == "failed":
                break
    finally:
        tried.end()
    return ConformanceReport(info.name, tuple(outcomes), tried.calls)


def assert_conforms(
    editor: Editor | PrivilegedEditor | Callable[..., Any] | str,
    *,
    repeatable: bool = False,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Passes if the editor passes every check; arguments and exceptions are those of `check_editor`.

    Raises:
        AssertionError: It does not; the message has a sentence for each check that failed.
    """
    report = check_editor(editor, repeatable=repeatable, params=params)
    if not report.conforms:
        told = "\n".join(f"{outcome.name}: {outcome.sentence}" for outcome in report.failed)
        raise AssertionError(f"{report.editor} does not keep the contract\n{told}")


def _outcome(name: str, case: Case) -> CheckOutcome:
    try:
        CHECKS[name](case)
    except NotApplicableError as reason:
        return CheckOutcome(name, "not applicable", str(reason))
    except (BrokenError, EditorError) as error:
        return CheckOutcome(name, "failed", str(error))
    return CheckOutcome(name, "passed")
