"""Fixtures of the harness's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from fashionedit.eval_harness.editors import EditorSettings, resolve_editor


@pytest.fixture
def opened() -> Iterator[Callable[..., Any]]:
    """Opens an editor by its name, with settings; its connections end with the test."""
    with ExitStack() as stack:

        def open_editor(spec: str, settings: EditorSettings | None = None) -> Any:
            editor = resolve_editor(spec, settings)
            stack.callback(getattr(editor, "close", lambda: None))
            return editor

        yield open_editor
