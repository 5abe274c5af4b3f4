"""A design: all that determines a drawn garment, as one value with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.synthetic.materials import Colour

from .garments import GARMENTS, Garment
from .prints import Print, Swatch

FORMAT = 1
"""The version of a design's JSON."""


@dataclass(frozen=True)
class Design:
    """A garment as it is drawn.

    Args:
        garment: A key of `GARMENTS`.
        features: Feature → value; every feature of the garment.
        cloth: The cloth of all that `parts` does not name.
        parts: Part → its own cloth. `buttons` and `decoration` have a colour alone.
        trim: The colour of details without a colour of their own.
        backdrop: The colour of the background.
        cut: The seed of its cut and folds; another number gives another piece of the same design.

    Raises:
        InvalidDataError: The garment has no such feature, value or part.
    """

    garment: str
    features: Mapping[str, str]
    cloth: Swatch
    trim: Colour
    backdrop: Colour
    parts: Mapping[str, Swatch] = field(default_factory=dict)
    cut: int = 0

    def __post_init__(self) -> None:
        if self.garment not in GARMENTS:
            raise InvalidDataError(f"no garment is called {self.garment!r}; choose {', '.join(GARMENTS)}")
        features = GARMENTS[self.garment].features
        if unequal := set(features) ^ set(self.features):
            raise InvalidDataError(
                f"{self.kind.one(self.garment)} has the features {', '.join(features)}; {min(unequal)!r} is missing or "
                "unknown"
            )
        for name, value in self.features.items():
            if value not in features[name].values:
                raise InvalidDataError(f"{name} is {value!r}; choose {', '.join(features[name].values)}")
        for part in self.parts:
            if part not in GARMENTS[self.garment].parts:
                raise InvalidDataError(
                    f"{self.kind.one(self.garment)} has no part {part!r}; its parts are {', '.join(self.kind.parts)}"
                )
        if self.cloth.weave is None:
            raise InvalidDataError("the cloth of a design has no weave; name one")

    @property
    def kind(self) -> Garment:
        """The garment that it is a design of."""
        return GARMENTS[self.garment]

    def swatch(self, part: str) -> Swatch:
        """Returns the cloth of a part: its own, or the garment's."""
        return self.parts.get(part, self.cloth)

    def with_feature(self, name: str, value: str) -> Design:
        """Returns the design with another value of one feature."""
        return replace(self, features={**self.features, name: value})

    def with_part(self, part: str, swatch: Swatch) -> Design:
        """Returns the design with a part in a cloth of its own."""
        return replace(self, parts={**self.parts, part: swatch})

    def without_part(self, part: str) -> Design:
        """Returns the design with a part in the cloth that it has unless it has its own."""
        return replace(self, parts={name: swatch for name, swatch in self.parts.items() if name != part})

    def to_json(self) -> dict[str, Any]:
        """Returns the design as plain JSON."""
        return {
            "format": FORMAT,
            "garment": self.garment,
            "features": dict(self.features),
            "cloth": _swatch_json(self.cloth),
            "parts": {part: _swatch_json(swatch) for part, swatch in self.parts.items()},
            "trim": list(self.trim),
            "backdrop": list(self.backdrop),
            "cut": self.cut,
        }

    @classmethod
    def from_json(cls, value: Any) -> Design:
        """Returns the design that `to_json` wrote.

        Raises:
            InvalidDataError: The JSON is no design, or has another format.
        """
        try:
            if value["format"] != FORMAT:
                raise InvalidDataError(f"a design of format {value['format']!r}; this version reads format {FORMAT}")
            return cls(
                str(value["garment"]),
                {str(name): str(chosen) for name, chosen in value["features"].items()},
                _swatch(value["cloth"]),
                _colour(value["trim"]),
                _colour(value["backdrop"]),
                {str(part): _swatch(swatch) for part, swatch in value["parts"].items()},
                int(value["cut"]),
            )
        except InvalidDataError:
            raise
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise InvalidDataError(
                f"the JSON is no design of the drawn designer ({error!r}); start from words"
            ) from error


def _swatch_json(swatch: Swatch) -> dict[str, Any]:
    mark = swatch.print
    printed = None if mark is None else {
        "kind": mark.kind, "inks": [list(ink) for ink in mark.inks], "scale": mark.scale, "share": mark.share,
        "angle": mark.angle,
    }  # fmt: skip
    return {"colour": list(swatch.colour), "weave": swatch.weave, "print": printed}


def _swatch(value: Any) -> Swatch:
    mark, weave = value["print"], value["weave"]
    printed = None
    if mark is not None:
        inks = tuple(_colour(ink) for ink in mark["inks"])
        printed = Print(str(mark["kind"]), inks, float(mark["scale"]), float(mark["share"]), int(mark["angle"]))
    return Swatch(_colour(value["colour"]), None if weave is None else str(weave), printed)


def _colour(value: Any) -> Colour:
    red, green, blue = (int(level) for level in value)
    if not all(0 <= level <= 255 for level in (red, green, blue)):
        raise InvalidDataError(f"a colour has three levels of 0..255; found {red}, {green}, {blue}")
    return red, green, blue
