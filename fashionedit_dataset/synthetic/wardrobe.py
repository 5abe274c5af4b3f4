"""The seven garments: what each is made of, who wears it, and what it may look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import blazer, coat, dress, shirt, skirt, trousers, tshirt
from .chance import choose, shuffled, uniform, weighted
from .cloth import Material
from .geometry import Frame
from .look import Design, Look
from .palette import palette
from .patterns import Pattern
from .scene import Scene

PLAIN = ("none", "plain", "straight", "seam")
"""Values that show nothing."""

_BRIGHT = (
    "white",
    "ivory",
    "butter",
    "mustard",
    "coral",
    "sage",
    "sky",
    "cornflower",
    "cobalt",
    "navy",
    "emerald",
    "forest",
    "raspberry",
    "red",
    "burgundy",
    "lilac",
    "black",
    "rust",
    "teal",
    "blush",
)
_QUIET = (
    "white",
    "ivory",
    "sky",
    "ice",
    "cornflower",
    "navy",
    "sage",
    "olive",
    "blush",
    "rose",
    "burgundy",
    "butter",
    "denim",
    "terracotta",
    "dove",
    "forest",
    "lilac",
)
_TAILORED = (
    "navy",
    "charcoal",
    "camel",
    "grey",
    "forest",
    "burgundy",
    "tobacco",
    "ivory",
    "sand",
    "olive",
    "cobalt",
    "plum",
    "black",
    "oatmeal",
    "teal",
    "rose",
    "rust",
    "dove",
)
_LOWER = (
    "navy",
    "denim",
    "indigo",
    "black",
    "charcoal",
    "camel",
    "olive",
    "sand",
    "tobacco",
    "burgundy",
    "ivory",
    "rust",
    "forest",
    "grey",
    "sage",
    "cobalt",
    "rose",
    "teal",
    "mustard",
)


@dataclass(frozen=True)
class Garment:
    """One kind of garment.

    Args:
        noun: How captions call it.
        attributes: Attribute → value → what an original with that value shows.
        draw: Draws it.
        genders: `WOMEN`, `MEN`, as likely as they are often given.
        fabrics, bases: What it is made of, and in which colours.
        patterns: Its patterns and how likely each is; None is plain.
        exclusive: Attributes of which one at most shows something, because they share a place.
        drop: By how many pixels it lies lower on the picture than it is drawn.
    """

    noun: str
    attributes: Mapping[str, Mapping[str, str]]
    draw: Callable[[Scene, Look, Design], None]
    genders: tuple[str, ...]
    fabrics: tuple[str, ...]
    bases: tuple[str, ...]
    patterns: tuple[tuple[str | None, float], ...]
    exclusive: tuple[tuple[str, ...], ...]
    drop: float


GARMENTS: dict[str, Garment] = {
    "Tshirt": Garment(
        "T-shirt",
        tshirt.ATTRIBUTES,
        tshirt.draw,
        ("WOMEN", "WOMEN", "MEN"),
        ("jersey", "pique", "jersey", "knit", "linen"),
        _BRIGHT,
        ((None, 5), ("breton", 3), ("bengal", 0.6), ("polka", 0.8), ("ditsy", 1), ("pindot", 0.8)),
        (("graphic", "chest pocket", "chest stripe"), ("shoulders", "graphic")),
        34,
    ),
    "Shirt": Garment(
        "shirt",
        shirt.ATTRIBUTES,
        shirt.draw,
        ("WOMEN", "MEN"),
        ("poplin", "oxford", "linen", "denim", "twill"),
        _QUIET,
        (
            (None, 4),
            ("bengal", 2),
            ("gingham", 1.4),
            ("tartan", 1.4),
            ("windowpane", 1),
            ("pindot", 1),
            ("ditsy", 1),
            ("bloom", 0.6),
            ("pinstripe", 1),
        ),
        (("waist pockets", "decoration"), ("yoke", "shoulders")),
        22,
    ),
    "Blazer": Garment(
        "blazer",
        blazer.ATTRIBUTES,
        blazer.draw,
        ("WOMEN", "MEN"),
        ("twill", "wool", "linen", "herringbone", "corduroy"),
        _TAILORED,
        ((None, 6), ("pinstripe", 2), ("windowpane", 1.6), ("tartan", 1.2), ("gingham", 0.6), ("bengal", 0.5)),
        (("waist", "ticket pocket"), ("chest pocket", "lapel flower")),
        30,
    ),
    "Coat": Garment(
        "coat",
        coat.ATTRIBUTES,
        coat.draw,
        ("WOMEN", "WOMEN", "MEN"),
        ("wool", "boucle", "herringbone", "twill", "wool"),
        _TAILORED,
        ((None, 7), ("tartan", 2), ("windowpane", 1.4), ("pinstripe", 0.6)),
        (("chest", "shoulders"),),
        -14,
    ),
    "Dress": Garment(
        "dress",
        dress.ATTRIBUTES,
        dress.draw,
        ("WOMEN",),
        ("poplin", "linen", "satin", "chiffon", "jersey"),
        _BRIGHT,
        (
            (None, 3.5),
            ("bloom", 2),
            ("ditsy", 2),
            ("polka", 1.6),
            ("gingham", 1.2),
            ("bengal", 0.8),
            ("pindot", 0.8),
            ("tartan", 0.6),
            ("breton", 0.6),
        ),
        (("buttons", "bodice"), ("embroidery", "skirt")),
        -6,
    ),
    "Skirt": Garment(
        "skirt",
        skirt.ATTRIBUTES,
        skirt.draw,
        ("WOMEN",),
        ("twill", "denim", "satin", "wool", "poplin", "corduroy"),
        (*_LOWER, "red", "cornflower", "blush", "butter"),
        (
            (None, 4),
            ("tartan", 2),
            ("bloom", 1.2),
            ("ditsy", 1.2),
            ("polka", 1),
            ("gingham", 1),
            ("pinstripe", 0.8),
            ("windowpane", 0.8),
        ),
        (("waistband", "waist detail"), ("decoration", "bands")),
        12,
    ),
    "Trousers": Garment(
        "trousers",
        trousers.ATTRIBUTES,
        trousers.draw,
        ("WOMEN", "MEN"),
        ("twill", "denim", "wool", "linen", "corduroy", "denim"),
        _LOWER,
        ((None, 6), ("pinstripe", 1.4), ("windowpane", 1), ("tartan", 1.2), ("gingham", 0.8), ("ditsy", 0.5)),
        (("waist detail", "fly"),),
        -8,
    ),
}
"""Every garment by its category."""


def is_plain(value: str) -> bool:
    """Returns whether a value shows nothing where others show something."""
    return value in PLAIN


def allowed(kind: str, design: Design) -> bool:
    """Returns whether no two features of the design share a place."""
    groups = GARMENTS[kind].exclusive
    return all(sum(not is_plain(design[attribute]) for attribute in group) < 2 for group in groups)


def original_design(kind: str, name: str) -> Design:
    """Returns the original's value of every attribute: rich enough that three can differ, without crowding."""
    garment = GARMENTS[kind]
    design: Design = {}
    for attribute, values in garment.attributes.items():
        shown = [value for value in values if not is_plain(value)]
        quiet = [value for value in values if is_plain(value)]
        bare = quiet and uniform(0, 1, name, attribute, "bare") < 0.42
        design[attribute] = choose(quiet if bare else shown, name, attribute)
    for group in garment.exclusive:
        full = [attribute for attribute in group if not is_plain(design[attribute])]
        for attribute in shuffled(full, name, group)[1:]:
            quiet = [value for value in garment.attributes[attribute] if is_plain(value)]
            design[attribute] = quiet[0] if quiet else design[attribute]
    return design


def make_look(kind: str, name: str, colourway: int, again: int = 0) -> Look:
    """Returns one garment in one colourway; the cut depends on the name alone.

    Where no three differences fit on a garment, `again` gives it other colours and another design.
    """
    garment = GARMENTS[kind]
    drawn = f"{name} again {again}" if again else name
    way = (drawn, "colourway", colourway)
    colours = palette(garment.bases, *way)
    figure = weighted([p for p, _ in garment.patterns], [w for _, w in garment.patterns], name, "pattern")
    fabric = choose(garment.fabrics, name, "fabric")
    pattern = None
    if figure:
        inks = (colours.rgb("second"), colours.rgb("third"), colours.rgb("fourth"))
        pattern = Pattern(figure, inks, round(uniform(0.82, 1.18, name, "scale"), 2), name)
    cloth = Material(colours.rgb("base"), fabric, pattern)
    design = original_design(kind, drawn)
    return Look(kind, name, choose(garment.genders, name, "gender"), colours, cloth, tuple(design.items()))


def stage(look: Look, design: Design) -> Scene:
    """Returns the scene of a garment with this design."""
    garment = GARMENTS[look.kind]
    frame = Frame(256.0, 384.0, look.vary(-0.022, 0.022, "tilt"), look.vary(0.965, 1.03, "size"), garment.drop)
    scene = Scene(frame, look.palette.backdrop, look.name)
    garment.draw(scene, look, design)
    return scene
