"""Editors for tests: each does one thing, and counts how often it was asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from PIL import Image, ImageChops

from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, Status


def tint(request: EditRequest) -> Image.Image:
    """An edit that depends on all that a request holds, and on nothing else."""
    told = [request.protocol, request.round, request.instruction, request.seed, dict(request.params), request.state]
    colour = tuple(hashlib.sha256(repr(told).encode()).digest()[:3])
    image = ImageChops.add_modulo(request.base, Image.new("RGB", request.base.size, colour))
    for reference in request.references:
        image.paste(reference, (0, 0))
    return image


class ToyEditor:
    """Tints the image, or does what `does` says."""

    def __init__(
        self,
        does: Callable[[EditRequest], Any] = tint,
        *,
        fingerprint: str = "toy 1",
        **info: Any,
    ) -> None:
        self.does = does
        self.info = EditorInfo("toy", fingerprint, **info)
        self.requests: list[EditRequest] = []

    def describe(self) -> EditorInfo:
        return self.info

    def edit(self, request: EditRequest) -> EditResult:
        self.requests.append(request)
        answer = self.does(request)
        return EditResult.ok(answer) if isinstance(answer, Image.Image) else answer


def refusing(rounds: Iterable[int], status: Status = Status.REFUSED) -> Callable[[EditRequest], Any]:
    """An edit that gives no image in these rounds."""

    def does(request: EditRequest) -> Any:
        if request.round in rounds:
            return EditResult.failed(status, f"no round {request.round}")
        return tint(request)

    return does
