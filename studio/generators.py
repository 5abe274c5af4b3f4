"""Generators, which begin designs from words: the drawn designer, or any maker of drafts that the builders know."""

from __future__ import annotations

from typing import Any, Protocol

from PIL import Image

from fashionedit.builders.generate.drafting import DraftMaker, DraftRequest
from fashionedit.eval_harness.editing import EditResult, Status
from fashionedit.images import read_image

from .drawn import DrawnGenerator

DRAWN = "drawn"
"""The name of the drawn designer on the command line and on the page, as generator and as editor."""


class Generator(Protocol):
    """Begins designs from words."""

    @property
    def highest_cost(self) -> float | None:
        """The most that one design may cost, USD; 0 where nothing is paid, None where it isn't known."""
        ...

    def generate(self, words: str, seed: int) -> EditResult:
        """Returns the design, or the status that says why there is none."""
        ...


class DrawnWords:
    """The drawn designer as a generator."""

    highest_cost = 0.0

    def generate(self, words: str, seed: int) -> EditResult:
        """Returns the drawing, with the answer as its message."""
        drawing = DrawnGenerator().generate(words, seed)
        return EditResult.ok(drawing.image, message=drawing.answer.text, state=drawing.state, cost_usd=0.0)


class MakerWords:
    """A maker of drafts as a generator: the words take the place of the caption."""

    def __init__(self, maker: DraftMaker) -> None:
        self._maker = maker

    @property
    def highest_cost(self) -> float | None:
        """The most that one draft may cost, USD."""
        return self._maker.highest_cost

    def generate(self, words: str, seed: int) -> EditResult:
        """Returns the draft.

        Raises:
            ServiceError: No call can succeed: there is no key, or no such model.
        """
        (result,) = self._maker.make([DraftRequest("design", words, seed)])
        if result.stop is not None:
            raise result.stop
        facts: dict[str, Any] = {"cost_usd": result.cost, "seconds": result.seconds, "params": result.effective}
        if result.image is None:
            return EditResult.failed(Status.REFUSED, result.detail or result.reason or "no design came back", **facts)
        drawn = result.image
        return EditResult.ok(
            drawn if isinstance(drawn, Image.Image) else read_image(drawn.data, name="the draft"), **facts
        )


def load_generator(spec: str, **options: Any) -> Generator:
    """Returns the generator of this name: `drawn`, or a maker of drafts as `fashionedit build --maker` takes it.

    Raises:
        UnknownNameError: No generator has this name.
        MissingExtraError: It needs a package that is not installed.
        InvalidDataError: It does not take an option, or it finds finished drafts in a folder and makes none from words.
    """
    from fashionedit.builders.generate.drafting import DraftFinder
    from fashionedit.builders.generate.makers import make_drafts
    from fashionedit.errors import InvalidDataError

    if spec == DRAWN:
        return DrawnWords()
    maker = make_drafts(spec, **options)
    if isinstance(maker, DraftFinder):
        raise InvalidDataError(f"{spec} has finished drafts and makes none from words; choose drawn or a model")
    return MakerWords(maker)
