"""The seven garments: what each is made of, who wears it, what it may look like, and the words for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from .dresses import DRESS, SKIRT, draw_dress, draw_skirt
from .jackets import BLAZER, COAT, draw_blazer, draw_coat
from .materials import FABRICS, PATTERNS, Material, Pattern, palette
from .rng import choose, shuffled, uniform, weighted
from .scene import Design, Look, Scene
from .tops import SHIRT, TSHIRT, draw_shirt, draw_tshirt
from .trousers import TROUSERS, draw_trousers

PLAIN = ("none", "plain", "straight", "seam")
"""Values that show nothing."""

_BRIGHT = (
    "white", "ivory", "butter", "mustard", "coral", "sage", "sky", "cornflower", "cobalt", "navy", "emerald",
    "forest", "raspberry", "red", "burgundy", "lilac", "black", "rust", "teal", "blush",
)  # fmt: skip
_QUIET = (
    "white", "ivory", "sky", "ice", "cornflower", "navy", "sage", "olive", "blush", "rose", "burgundy", "butter",
    "denim", "terracotta", "dove", "forest", "lilac",
)  # fmt: skip
_TAILORED = (
    "navy", "charcoal", "camel", "grey", "forest", "burgundy", "tobacco", "ivory", "sand", "olive", "cobalt",
    "plum", "black", "oatmeal", "teal", "rose", "rust", "dove",
)  # fmt: skip
_LOWER = (
    "navy", "denim", "indigo", "black", "charcoal", "camel", "olive", "sand", "tobacco", "burgundy", "ivory",
    "rust", "forest", "grey", "sage", "cobalt", "rose", "teal", "mustard",
)  # fmt: skip

_SHIRT_PATTERNS = {
    None: 4, "bengal": 2, "gingham": 1.4, "tartan": 1.4, "windowpane": 1, "pindot": 1, "ditsy": 1,
    "bloom": 0.6, "pinstripe": 1,
}  # fmt: skip
_DRESS_PATTERNS = {
    None: 3.5, "bloom": 2, "ditsy": 2, "polka": 1.6, "gingham": 1.2, "bengal": 0.8, "pindot": 0.8,
    "tartan": 0.6, "breton": 0.6,
}  # fmt: skip
_SKIRT_PATTERNS = {
    None: 4, "tartan": 2, "bloom": 1.2, "ditsy": 1.2, "polka": 1, "gingham": 1, "pinstripe": 0.8,
    "windowpane": 0.8,
}  # fmt: skip


@dataclass(frozen=True)
class Garment:
    """One kind of garment; what is given more than once in a tuple is that much likelier."""

    noun: str  # how captions call it
    attributes: Mapping[str, Mapping[str, str]]  # attribute → value → what an original with that value shows
    draw: Callable[[Scene], None]
    genders: tuple[str, ...]
    fabrics: tuple[str, ...]
    bases: tuple[str, ...]  # the colours of its cloth
    patterns: Mapping[str | None, float]  # how likely each is; None is plain
    exclusive: tuple[tuple[str, ...], ...]  # attributes of which one at most shows something: they share a place
    drop: float  # by how many pixels it lies lower on the picture than it is drawn


GARMENTS: dict[str, Garment] = {
    "Tshirt": Garment(
        "T-shirt",
        TSHIRT,
        draw_tshirt,
        ("WOMEN", "WOMEN", "MEN"),
        ("jersey", "pique", "jersey", "knit", "linen"),
        _BRIGHT,
        {None: 5, "breton": 3, "bengal": 0.6, "polka": 0.8, "ditsy": 1, "pindot": 0.8},
        (("graphic", "chest pocket", "chest stripe"), ("shoulders", "graphic")),
        34,
    ),
    "Shirt": Garment(
        "shirt",
        SHIRT,
        draw_shirt,
        ("WOMEN", "MEN"),
        ("poplin", "oxford", "linen", "denim", "twill"),
        _QUIET,
        _SHIRT_PATTERNS,
        (("waist pockets", "decoration"), ("yoke", "shoulders")),
        22,
    ),
    "Blazer": Garment(
        "blazer",
        BLAZER,
        draw_blazer,
        ("WOMEN", "MEN"),
        ("twill", "wool", "linen", "herringbone", "corduroy"),
        _TAILORED,
        {None: 6, "pinstripe": 2, "windowpane": 1.6, "tartan": 1.2, "gingham": 0.6, "bengal": 0.5},
        (("waist", "ticket pocket"), ("chest pocket", "lapel flower")),
        30,
    ),
    "Coat": Garment(
        "coat",
        COAT,
        draw_coat,
        ("WOMEN", "WOMEN", "MEN"),
        ("wool", "boucle", "herringbone", "twill", "wool"),
        _TAILORED,
        {None: 7, "tartan": 2, "windowpane": 1.4, "pinstripe": 0.6},
        (("chest", "shoulders"),),
        -14,
    ),
    "Dress": Garment(
        "dress",
        DRESS,
        draw_dress,
        ("WOMEN",),
        ("poplin", "linen", "satin", "chiffon", "jersey"),
        _BRIGHT,
        _DRESS_PATTERNS,
        (("buttons", "bodice"), ("embroidery", "skirt")),
        -6,
    ),
    "Skirt": Garment(
        "skirt",
        SKIRT,
        draw_skirt,
        ("WOMEN",),
        ("twill", "denim", "satin", "wool", "poplin", "corduroy"),
        (*_LOWER, "red", "cornflower", "blush", "butter"),
        _SKIRT_PATTERNS,
        (("waistband", "waist detail"), ("decoration", "bands")),
        12,
    ),
    "Trousers": Garment(
        "trousers",
        TROUSERS,
        draw_trousers,
        ("WOMEN", "MEN"),
        ("twill", "denim", "wool", "linen", "corduroy", "denim"),
        _LOWER,
        {None: 6, "pinstripe": 1.4, "windowpane": 1, "tartan": 1.2, "gingham": 0.8, "ditsy": 0.5},
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
    figure = weighted(garment.patterns, name, "pattern")
    fabric = choose(garment.fabrics, name, "fabric")
    pattern = None
    if figure:
        inks = (colours.rgb("second"), colours.rgb("third"), colours.rgb("fourth"))
        pattern = Pattern(figure, inks, round(uniform(0.82, 1.18, name, "scale"), 2), name)
    cloth = Material(colours.rgb("base"), fabric, pattern)
    return Look(kind, name, choose(garment.genders, name, "gender"), colours, cloth, original_design(kind, drawn))


def stage(look: Look, design: Design) -> Scene:
    """Returns the scene of a garment with this design."""
    garment = GARMENTS[look.kind]
    scene = Scene(look, design, garment.drop)
    garment.draw(scene)
    return scene


_FIGURES = {None: "solid color", "stripe": "striped", "check": "plaid", "dot": "dotted", "floral": "floral"}

_SLEEVES = {
    "cap": "cap sleeves", "short": "short sleeves", "elbow": "medium sleeves", "long": "long sleeves",
    "three-quarter": "three-quarter sleeves", "bracelet": "seven-eighths sleeves", "none": "no sleeves",
    "puff": "short puff sleeves",
}  # fmt: skip

_NECKS = {
    "crew": "a crew neckline", "V": "a v-shape neckline", "scoop": "a round neckline", "boat": "a boat neckline",
    "henley": "a round neckline with a placket", "polo": "a lapel neckline", "square": "a square neckline",
    "collar": "a round neckline with a collar", "point": "a lapel neckline", "spread": "a lapel neckline",
    "band": "a stand collar", "club": "a lapel neckline", "contrast": "a lapel neckline", "notch": "notched lapels",
    "peak": "peak lapels", "shawl": "a shawl lapel", "satin": "a shawl lapel", "fur": "a shawl collar",
    "funnel": "a high collar", "round": "a round collar",
}  # fmt: skip

_LENGTHS = {
    "knee": "of knee length", "midi": "of medium length", "thigh": "above the knee", "full": "of full length",
    "ankle": "cropped",
}  # fmt: skip

_NECK_ATTRIBUTES = ("neckline", "collar", "lapels")


def describe(look: Look, attribute: str, value: str) -> str:
    """Returns in words what an original with this value shows."""
    text = GARMENTS[look.kind].attributes[attribute][value]
    trim = look.palette.trim
    told = text.format(trim=trim, Trim=trim.capitalize())
    return re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", told)


def caption(look: Look, design: Design, differing: Collection[str], name: str) -> str:
    """Returns a templated caption in the manner of DeepFashion-MultiModal, silent about what differs.

    It names sleeves, fabric, pattern, neckline and length, hardly ever a colour, and leaves out every attribute that
    differs, so that the draft satisfies it as well as the original.
    """
    noun = GARMENTS[look.kind].noun
    whose = choose(
        ("Her", "The", "This woman's") if look.gender == "WOMEN" else ("His", "The", "This man's"), name, "whose"
    )
    plural = look.kind == "Trousers"
    figure = _FIGURES[PATTERNS[look.cloth.pattern.kind] if look.cloth.pattern else None]
    parts = []
    if look.kind in ("Blazer", "Coat"):
        parts.append("long sleeves")
    elif "sleeves" in design and "sleeves" not in differing:
        parts.append(_SLEEVES[design["sleeves"]])
    parts.append(f"{FABRICS[look.cloth.fabric].word} fabric")
    told = ", ".join(parts) + f" and {figure} patterns"
    sentences = [f"{whose} {noun} {'have' if plural else 'has'} {told}."]
    necks = [attribute for attribute in _NECK_ATTRIBUTES if attribute in design and attribute not in differing]
    if necks:
        sentences.append(f"It has {_NECKS[design[necks[0]]]}.")
    if "length" in design and "length" not in differing:
        sentences.append(f"{'They are' if plural else f'The {noun} is'} {_LENGTHS[design['length']]}.")
    return " ".join(sentences)
