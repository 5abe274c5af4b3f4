"""Fixtures of the harness's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from board_toys import open_benchmark, toy_run, write_benchmark, write_toy_bundle

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


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """The toy benchmark of bundles, submissions and boards, in its full form."""
    return open_benchmark(write_benchmark(tmp_path_factory.mktemp("data") / "fashion"))


@pytest.fixture(scope="session")
def scored(source, tmp_path_factory):
    """A scored run over it, which could be submitted."""
    return toy_run(tmp_path_factory.mktemp("runs") / "toy", source)


@pytest.fixture(scope="session")
def whole(scored, source, tmp_path_factory):
    """The folder of the run's bundle."""
    return write_toy_bundle(tmp_path_factory.mktemp("bundles") / "toy", scored, source)
