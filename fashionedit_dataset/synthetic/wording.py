"""Words: what the original shows where it differs, and a caption that original and draft both satisfy."""

from __future__ import annotations

import re
from collections.abc import Collection

from .chance import choose
from .fabric import FABRICS
from .look import Design, Look
from .patterns import PATTERNS
from .wardrobe import GARMENTS

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
    "knee": "of knee length",
    "midi": "of medium length",
    "thigh": "above the knee",
    "full": "of full length",
    "ankle": "cropped",
}

_NECK_ATTRIBUTES = ("neckline", "collar", "lapels")


def describe(look: Look, attribute: str, value: str) -> str:
    """Returns in words what an original with this value shows."""
    text = GARMENTS[look.kind].attributes[attribute][value]
    trim = look.palette.trim
    told = text.format(trim=trim, Trim=trim.capitalize())
    return re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", told)


def caption(look: Look, design: Design, differing: Collection[str], name: str) -> str:
    """Returns a templated caption in the manner of DeepFashion-MultiModal, silent about what differs.

    It tells sleeves, fabric, pattern, neckline and length, hardly ever a colour (FACTS.md section 4), and leaves out
    every attribute that differs, so that the draft satisfies it as well as the original.
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
