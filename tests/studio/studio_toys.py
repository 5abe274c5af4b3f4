"""Editors and sessions for the tests of the studio."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult
from fashionedit.studio.drawn import DrawnEditor
from fashionedit.studio.generators import DrawnWords
from fashionedit.studio.sessions import SessionStore
from fashionedit.studio.turns import Studio


class Painter:
    """Paints a square whose colour counts its edits; or does what `answer` says."""

    def __init__(self, answer: Callable[[EditRequest], EditResult] | None = None, **info: Any) -> None:
        self.requests: list[EditRequest] = []
        self._answer = answer
        self._info = {"usd_per_edit": 0.25, "at_once": 4, **info}

    def describe(self) -> EditorInfo:
        return EditorInfo("painter", "painter 1", **self._info)

    def edit(self, request: EditRequest) -> EditResult:
        self.requests.append(request)
        if self._answer is not None:
            return self._answer(request)
        image = request.base.copy()
        place = 20 * len(self.requests)
        ImageDraw.Draw(image).rectangle((place, place, place + 40, place + 40), fill=(200, 10 * len(self.requests), 0))
        return EditResult.ok(image, cost_usd=0.2, state={"edits": len(self.requests)})


class Waiting:
    """Waits until it is let go."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go = threading.Event()

    def describe(self) -> EditorInfo:
        return EditorInfo("waiting", "waiting 1", usd_per_edit=1.0)

    def edit(self, request: EditRequest) -> EditResult:
        self.began.set()
        self.go.wait(300)
        return EditResult.ok(Image.new("RGB", (300, 300), "red"), cost_usd=1.0)


def make_studio(folder: Path, editor: Any = None, **options: Any) -> Studio:
    """Returns a studio with the drawn designer and the editor, if one is given."""
    editors = {"drawn": DrawnEditor()} | ({} if editor is None else {"other": editor})
    return Studio(SessionStore(folder), editors, {"drawn": DrawnWords()}, **options)


def picture(colour: str = "white", size: tuple[int, int] = (300, 300)) -> Image.Image:
    return Image.new("RGB", size, colour)
