"""The vocabulary as people read it, by topic: as data for a page and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import words
from .garments import GARMENTS, Feature, Garment
from .prints import PRINTS

Table = dict[str, dict[str, str]]
"""Heading → a thing that can be named → the words for it."""


def vocabulary() -> Table:
    """Returns all that the drawn designer understands: for each heading, rows of a thing and its words.

    The first headings are the garments, whose rows are their features and `parts`; the others go for all garments.
    """
    table: Table = {}
    for name, garment in GARMENTS.items():
        table[name] = {
            "also called": ", ".join(garment.nouns[1:]),
            **{feature: _values(garment.features[feature]) for feature in garment.features},
            "parts that can have a colour, pattern or cloth of their own": _parts(garment),
        }
    table["every garment"] = {
        "colours": ", ".join(words.COLOURS),
        "also": _grouped(words.COLOUR_SYNONYMS),
        "before a colour": ", ".join(words.SHADES),
        **{
            f"pattern: {kind}": ", ".join(w for w, mark in words.PRINT_WORDS.items() if mark.kind == kind)
            for kind in PRINTS
        },
        "no pattern": ", ".join(words.PLAIN_WORDS),
        "size of a pattern": ", ".join(words.SIZES),
        "direction of a pattern": ", ".join(words.DIRECTIONS),
        "cloth": ", ".join(words.WEAVES),
        "more or less": ", ".join(words.COMPARATIVES),
        "numbers": "0, 1, 2, … or " + ", ".join(words.NUMBERS),
        "away": ", ".join(words.NEGATIONS),
        "as it is": ", ".join(words.KEEPS),
    }
    return table


def vocabulary_markdown() -> str:
    """Returns the vocabulary as Markdown: a heading and a table for each garment, and one for all."""
    lines = []
    for heading, rows in vocabulary().items():
        lines += [f"### {heading.capitalize()}", "", "| What | Words |", "|---|---|"]
        lines += [f"| {thing} | {said} |" for thing, said in rows.items() if said]
        lines.append("")
    return "\n".join(lines)


def _values(feature: Feature) -> str:
    """Returns the nouns and the values of a feature: "collar: point (pointed, classic), spread (cutaway)"."""
    values = []
    for value in feature.values:
        others = [word for word, meant in [*feature.beside.items(), *feature.alone.items()] if meant == value]
        others += [noun for noun, meant in feature.nouns.items() if meant == value]
        more = ", ".join(word for word in dict.fromkeys(others) if word != value)
        values.append(f"{value} ({more})" if more else value)
    return "; ".join(values)


def _parts(garment: Garment) -> str:
    return "; ".join(_said(part, nouns) for part, nouns in garment.parts.items())


def _said(part: str, nouns: Sequence[str]) -> str:
    others = ", ".join(noun for noun in nouns if noun != part)
    return f"{part} ({others})" if others else part


def _grouped(synonyms: Mapping[str, str]) -> str:
    groups: dict[str, list[str]] = {}
    for word, name in synonyms.items():
        groups.setdefault(name, []).append(word)
    return "; ".join(f"{', '.join(said)} for {name}" for name, said in groups.items())
