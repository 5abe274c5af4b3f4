"""What does not differ between draft and original: cut, cloth, colours of one garment in one colourway."""

from __future__ import annotations

from dataclasses import dataclass

from .cloth import Material
from .patterns import COLOURS, Colour, Palette
from .rng import choose, uniform

Design = dict[str, str]
"""Attribute → value: everything that may differ."""


@dataclass(frozen=True)
class Look:
    """One garment's unchanging side.

    Args:
        kind: `Tshirt`, `Shirt`, `Blazer`, `Coat`, `Dress`, `Skirt` or `Trousers`.
        name: Names every chance of its cut; two colourways of one garment share it.
        gender: `WOMEN` or `MEN`.
        palette: Its colours.
        cloth: What it is made of.
        design: The original's value of every attribute, which the cut may suit (never the draft's).
    """

    kind: str
    name: str
    gender: str
    palette: Palette
    cloth: Material
    design: tuple[tuple[str, str], ...]

    def vary(self, low: float, high: float, *name: object) -> float:
        """Returns a measure of the cut in low..high."""
        return uniform(low, high, self.name, *name)

    def pick(self, values: tuple[str, ...], *name: object) -> str:
        """Returns one of the values for the cut."""
        return choose(values, self.name, *name)

    def original(self, attribute: str) -> str:
        """Returns the original's value of an attribute."""
        return dict(self.design)[attribute]

    @property
    def base(self) -> Colour:
        """Colour of the cloth."""
        return self.palette.rgb("base")

    @property
    def trim(self) -> Colour:
        """Colour of details that stand out."""
        return self.palette.rgb("trim")

    @property
    def plain(self) -> Material:
        """The cloth without its pattern."""
        return self.cloth.plain()

    def contrast(self, fabric: str | None = None) -> Material:
        """Returns cloth in the trim colour."""
        return self.cloth.plain(self.trim, fabric)

    @property
    def thread(self) -> Colour:
        """Colour of contrast stitching."""
        return COLOURS["camel"] if self.cloth.fabric == "denim" else self.trim
