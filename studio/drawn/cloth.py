"""Cloth and words: the cloth that words ask for, and cloth described in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fashionedit.synthetic.materials import Colour, brightness

from .colours import colour_name, ink_for, shaded
from .prints import PRINTS, Print, Swatch
from .reading import Token
from .words import COLOURS, PrintWord


@dataclass(frozen=True)
class Seen:
    """The cloth that was read from a picture, and a sentence that describes it."""

    swatch: Swatch | None
    note: str


def with_shade(swatch: Swatch, step: int) -> Swatch:
    """Returns the cloth in a lighter colour for a step above 0, else in a darker one."""
    return replace(swatch, colour=shaded(swatch.colour, 0.28 if step > 0 else -0.28))


def resized(mark: Print, kind: str, step: int) -> Print:
    """Returns the print larger for a step above 0, else smaller; with the kind "width", its lines alone."""
    factor = 1.4 if step > 0 else 1 / 1.4
    share = mark.share
    if kind == "width" and mark.kind in ("stripes", "windowpane", "chevron"):
        return replace(mark, share=round(min(max(share * factor, 0.04), 0.8), 3))
    return replace(mark, scale=_scale(mark.scale * factor))


def _scale(value: float) -> float:
    return round(min(max(value, 6.0), 180.0), 1)


class ClothRequest:
    """The colours, print, weave and size that words ask for, of any cloth."""

    def __init__(self, words: Sequence[Token], weave: Callable[[str], str], *, picture: Swatch | None) -> None:
        self.colours: list[Colour] = []
        self.mark: PrintWord | None = None
        self.size, self.direction, self.weave = "", None, ""
        self.plain = self.picture_wanted = False
        self.picture, self.colour_alone = picture, False
        shade = 0.0
        only_colours = [word for word in words if "colour" in word and "weave" not in word]
        for word in words:
            if "shade" in word:
                shade = word.senses["shade"]
            elif "picture" in word:
                self.picture_wanted = True
                self.colour_alone = word.senses["picture"] == "colour"
            elif "colour" in word:
                if not ("weave" in word and only_colours):
                    colour = word.senses["colour"]
                    self.colours.append(shaded(colour, shade) if shade else colour)
                shade = 0.0
                if "weave" in word:
                    self.weave = weave(word.senses["weave"])
            elif "print" in word:
                self.mark = word.senses["print"]
            elif "weave" in word:
                self.weave = weave(word.senses["weave"])
            elif "plain" in word:
                self.plain = True
            elif "size" in word:
                self.size = word.senses["size"]
            elif "direction" in word:
                self.direction = word.senses["direction"]
        self.shade = shade

    def over(self, old: Swatch, *, stripes: int, fresh: bool, creating: bool, coloured: bool) -> Swatch:
        """Returns the cloth changed so; `fresh` says that the part had the garment's cloth before."""
        colour, mark = old.colour, old.print
        if self.shade and not self.colours:
            colour = shaded(colour, self.shade)
        if self.picture_wanted and self.picture is not None:
            colour, mark = self._from_picture(old)
        elif self.colours and fresh and self.mark is None and not self.size and self.direction is None:
            mark = None  # "a white collar" on a striped shirt is plain
        inks: list[Colour] = []
        if self.mark is None:
            if self.colours:
                colour, inks = self.colours[0], self.colours[1:]
        elif self.mark.noun:
            inks = [*self.colours]
            if len(inks) > 1 and not coloured:
                pale = max(inks, key=brightness)
                colour, inks = pale, [ink for ink in inks if ink != pale] or inks[:1]
            elif inks and creating and not coloured:
                colour = COLOURS["white"] if brightness(inks[0]) < 205 else COLOURS["navy"]
        elif self.colours:
            colour, inks = self.colours[0], self.colours[1:]
        if self.mark is not None:
            mark = self._printed(mark, colour, inks, stripes)
        elif mark is not None:
            mark = self._adjusted(mark, inks, stripes)
        if self.plain:
            mark = None
        return Swatch(colour, self.weave or old.weave, mark)

    def _from_picture(self, old: Swatch) -> tuple[Colour, Print | None]:
        assert self.picture is not None
        if self.colour_alone:
            return self.picture.colour, old.print
        return self.picture.colour, self.picture.print

    def _printed(self, old: Print | None, colour: Colour, inks: Sequence[Colour], stripes: int) -> Print:
        assert self.mark is not None
        same = old is not None and old.kind == self.mark.kind
        scale, share = PRINTS[self.mark.kind]
        angle = stripes if self.mark.kind == "stripes" else 0
        if same and old is not None:
            scale, share, angle = old.scale, old.share, old.angle
        if self.size:
            scale, share = PRINTS[self.mark.kind]
        scale, share = self.mark.scale or scale, self.mark.share or share
        angle = angle if self.mark.angle is None else self.mark.angle
        if self.mark.kind == "tartan" and not inks and not same:
            dark = COLOURS["navy" if brightness(colour) > 62 else "forest"]
            inks = (dark, shaded(colour, -0.4), COLOURS["butter"])
        ink = tuple(inks[:3]) or (old.inks if old is not None and colour not in old.inks else (ink_for(colour),))
        return self._adjusted(Print(self.mark.kind, ink, scale, share, angle), (), stripes)

    def _adjusted(self, mark: Print, inks: Sequence[Colour], stripes: int) -> Print:
        scale, share, angle = mark.scale, mark.share, mark.angle
        if self.size and self.mark is None:
            scale, share = PRINTS[mark.kind]
        lines = mark.kind in ("stripes", "windowpane", "chevron")
        if self.size == "thin":
            scale, share = (scale * 0.75, share * 0.5) if lines else (scale * 0.6, share)
        elif self.size == "wide":
            scale, share = (scale * 1.8, min(max(share, 0.04) * 1.25, 0.6)) if lines else (scale * 1.7, share)
        elif self.size in ("small", "large"):
            scale *= 0.6 if self.size == "small" else 1.7
        if self.direction is not None:
            angle = self.direction
        return Print(mark.kind, tuple(inks[:3]) or mark.inks, _scale(scale), round(share, 3), angle)


def swatch_text(swatch: Swatch) -> str:
    """Returns cloth in words: "white poplin with thin red stripes"."""
    words = colour_name(swatch.colour)
    if swatch.weave and swatch.weave != words:
        words += f" {swatch.weave}"
    if swatch.print is None:
        return words
    return f"{words} with {print_text(swatch.print)}"


_NOUNS = {"check": "checks", "windowpane": "windowpane checks", "floral": "flowers", "chevron": "zigzags"}


def print_noun(kind: str) -> str:
    """Returns the plural noun of a kind of print."""
    return _NOUNS.get(kind, kind)


def print_text(mark: Print) -> str:
    """Returns a print in words."""
    usual, share = PRINTS[mark.kind]
    size = "small " if mark.scale < usual * 0.72 else "large " if mark.scale > usual * 1.4 else ""
    if mark.kind == "stripes":
        broad = mark.scale > usual * 1.4 or mark.share > share * 1.3
        size = "thin " if mark.share < share * 0.75 else "wide " if broad else size
        turn = {0: "horizontal ", 90: "vertical "}.get(abs(mark.angle), "diagonal ")
    else:
        turn = ""
    inks = " and ".join(dict.fromkeys(colour_name(ink) for ink in mark.inks))
    return f"{size}{turn}{inks} {print_noun(mark.kind)}"
