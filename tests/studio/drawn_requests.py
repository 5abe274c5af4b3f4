"""Random requests in the drawn designer's vocabulary, and a checker that knows nothing of how they are read.

A request is written from the tables of the vocabulary with the fields of the design that may change, and a test of
their new values. The checker compares the designs field by field, and the pictures outside the parts that may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fashionedit.studio.drawn import Design
from fashionedit.studio.drawn.drawing import draw
from fashionedit.studio.drawn.editor import changed as changed_design
from fashionedit.studio.drawn.editor import first_design
from fashionedit.studio.drawn.garments import GARMENTS, SHOWN_BY, UNPAINTED, Feature
from fashionedit.studio.drawn.prints import PRINTS, Print, Swatch
from fashionedit.studio.drawn.words import COLOURS, phrase

FOREIGN = (
    "sequins", "hood", "velvet", "glitter", "tassels", "fishnet", "leopard", "paisley", "peplum", "rhinestones",
    "camouflage", "asymmetrical", "feathers", "studs", "transparent", "holographic", "pompoms", "ostrich", "mesh",
    "crochet",
)  # fmt: skip
"""Words that the vocabulary has not."""

_SHOWN_IN: dict[str, tuple[str, ...]] = {
    "neckline": ("collar", "body"),
    "sleeves": ("sleeves", "cuffs", "elbows", "buttons"),
    "cuffs": ("cuffs", "sleeves", "buttons"),
    "hem": ("hem", "body", "skirt", "decoration", "placket"),
    "waist detail": ("decoration", "bow", "belt", "drawstring"),
    "belt": ("belt", "bow"),
    "graphic": ("decoration", "body"),
    "bodice detail": ("decoration", "frills", "bow"),
    "front pockets": ("pockets", "body"),
    "front": ("body", "placket", "buttons"),
    "closure": ("body", "buttons"),
    "fly": ("body", "buttons"),
    "buttons": ("placket", "body", "buttons"),
    "placket": ("placket", "frills"),
    "chest": ("storm flap", "pockets", "decoration", "buttons"),
    "chest pocket": ("pockets", "pocket square", "decoration"),
    "pockets": ("pockets", "body"),
    "knees": ("knees", "body"),
}
"""Feature → the parts in whose place and shadow it shows, where that is not its part alone."""

_MOVING = ("length", "shape", "waistband")
"""Features that move what is sewn on: all but these parts may change."""

_STILL = ("collar", "sleeves", "waistband", "belt")

_PLAIN_COLOURS = ("red", "white", "navy", "mustard", "teal", "black", "light blue", "lilac", "orange", "forest green")
_PRINT_NOUNS = {
    "stripes": "stripes",
    "check": "checks",
    "dots": "polka dots",
    "floral": "flowers",
    "chevron": "zigzags",
}


@dataclass(frozen=True)
class Request:
    """Words about a design, the fields that they may change, and whether these are then right."""

    before: Design
    words: str
    fields: frozenset[str]
    right: Callable[[Design], bool]
    parts: frozenset[str]


def requests(count: int, seed: int = 0) -> Iterator[Request]:
    """Yields requests about random designs."""
    chance = Random(seed)
    made = 0
    while made < count:
        request = _one(chance)
        if request is not None:
            yield request
            made += 1


def _design(chance: Random) -> Design:
    garment = chance.choice([*GARMENTS])
    design = first_design(garment, chance.randrange(1000))
    for name, feature in design.kind.features.items():
        if chance.random() < 0.35:
            design = design.with_feature(name, chance.choice([*feature.values]))
    mark = None
    if chance.random() < 0.4:
        kind = chance.choice([*PRINTS])
        mark = Print(kind, (chance.choice([*COLOURS.values()]),), *PRINTS[kind], chance.choice((0, 90)))
    return replace(design, cloth=replace(design.cloth, colour=chance.choice([*COLOURS.values()]), print=mark))


def _one(chance: Random) -> Request | None:
    design = _design(chance)
    make = chance.choice([_value, _value, _value, _alone, _removed, _added, _part_colour, _part_colour, _part_print,
                          _whole_colour, _whole_print, _step])  # fmt: skip
    return make(design, chance)


def _plural(noun: str) -> str:
    plurals = {"sash": "sashes", "patch": "patches", "body": "body", "embroidery": "embroidery", "flower": "flower"}
    head, _, last = noun.rpartition(" ")
    return f"{head} {plurals.get(last, last if last.endswith('s') else last + 's')}".strip()


def _features(design: Design) -> list[tuple[str, Feature]]:
    return [*design.kind.features.items()]


def _only(design: Design, noun: str, word: str, name: str) -> bool:
    """Returns whether a word beside a noun means one feature alone."""
    meant = [
        other
        for other, feature in _features(design)
        if phrase(noun) in map(phrase, feature.nouns) and phrase(word) in map(phrase, feature.beside)
    ]
    return meant[:1] == [name]


def _allowed(design: Design, name: str) -> frozenset[str]:
    parts = set(design.kind.parts)
    if name in _MOVING:
        return frozenset(parts - set(_STILL))
    if design.garment in ("blazer", "coat") and name == "front":
        return frozenset({"*"})  # a double-breasted front closes elsewhere, and so its lapels lie elsewhere
    if design.garment == "dress" and name == "sleeves":
        return frozenset({"sleeves", "body"})  # a sleeveless dress is cut narrower at the armhole
    return frozenset(parts & set(_SHOWN_IN.get(name, (design.kind.features[name].part,))))


def _needs(design: Design, name: str) -> set[str]:
    """Returns the fields that come along: a style needs the thing."""
    extra = set()
    if design.garment == "shirt" and name == "chest pocket style":
        extra.add("features.chest pockets")
    if design.garment == "coat" and name == "buttons":
        extra.add("features.closure")
    return extra


def _feature_request(design: Design, words: str, name: str, value: str) -> Request | None:
    if design.features[name] == value:
        return None
    fields = {f"features.{name}"} | _needs(design, name)
    parts = _allowed(design, name) if len(fields) == 1 else frozenset({"*"})
    return Request(design, words, frozenset(fields), lambda after: after.features[name] == value, parts)


def _value(design: Design, chance: Random) -> Request | None:
    name, feature = chance.choice(_features(design))
    if not feature.beside or not feature.nouns:
        return None
    noun, (word, value) = chance.choice([*feature.nouns]), chance.choice([*feature.beside.items()])
    if not _only(design, noun, word, name) or noun in feature.beside:
        return None
    many = _plural(noun)
    if word.isdecimal():
        words = chance.choice([f"{word} {many}", f"give it {word} {many}", f"I would like {word} {many}, please"])
    else:
        words = chance.choice([
            f"make the {many} {word}", f"change the {noun} to {word}", f"the {noun} should be {word}",
            f"{word} {many}", f"I would like {word} {many}, please", f"replace the {many} with {word} {many}",
        ])  # fmt: skip
    return _feature_request(design, words, name, value)


def _alone(design: Design, chance: Random) -> Request | None:
    name, feature = chance.choice(_features(design))
    if not feature.alone:
        return None
    word, value = chance.choice([*feature.alone.items()])
    words = chance.choice([f"make it {word}", f"please turn it into something {word}", word, f"it should be {word}"])
    return _feature_request(design, words.replace("something ", ""), name, value)


def _removed(design: Design, chance: Random) -> Request | None:
    name, feature = chance.choice(_features(design))
    nouns = [noun for noun, value in feature.nouns.items() if value is not None and value == design.features[name]]
    if feature.absent is None or not nouns or design.features[name] == feature.absent:
        return None
    noun = chance.choice(nouns)
    others = [other for other, one in _features(design) if phrase(noun) in map(phrase, one.nouns) and other != name]
    if others:
        return None
    words = chance.choice(
        [f"remove the {_plural(noun)}", f"no {noun}", f"without {_plural(noun)}", f"take off the {noun}"]
    )
    return _feature_request(design, words, name, feature.absent)


def _added(design: Design, chance: Random) -> Request | None:
    name, feature = chance.choice(_features(design))
    nouns = [(noun, value) for noun, value in feature.nouns.items() if value not in (None, feature.absent)]
    if not nouns or design.features[name] != feature.absent:
        return None
    noun, value = chance.choice(nouns)
    first = next(n for n, one in _features(design) if phrase(noun) in map(phrase, one.nouns) and one.nouns.get(noun))
    if first != name:
        return None
    words = chance.choice([f"add a {noun}", f"with a {noun}", f"please give it a {noun}"])
    return _feature_request(design, words, name, str(value))


def _shown(design: Design, part: str) -> bool:
    shown = SHOWN_BY[design.garment].get(part)
    if shown is None:
        return True
    bare = UNPAINTED.get((design.garment, shown[0]), ())
    return design.features[shown[0]] not in ("none", design.kind.features[shown[0]].absent, *bare)


def _part_request(design: Design, words: str, part: str, right: Callable[[Swatch], bool]) -> Request:
    return Request(
        design, words, frozenset({f"parts.{part}"}), lambda after: right(after.parts[part]), frozenset({part})
    )


def _part_noun(design: Design, chance: Random) -> tuple[str, str] | None:
    part, nouns = chance.choice([*design.kind.parts.items()])
    noun = chance.choice(nouns)
    values = {value for feature in design.kind.features.values() for n, value in feature.nouns.items() if n == noun}
    if not _shown(design, part) or any(
        design.features[name] != value
        for name, feature in _features(design)
        for n, value in feature.nouns.items()
        if phrase(n) == phrase(noun) and value is not None
    ):
        return None
    return (part, noun) if values or part in ("body", "sleeves", "skirt", "lining", "waistband") else None


def _part_colour(design: Design, chance: Random) -> Request | None:
    chosen = _part_noun(design, chance)
    if chosen is None:
        return None
    part, noun = chosen
    colour = chance.choice(_PLAIN_COLOURS)
    level = COLOURS["forest" if colour == "forest green" else colour]
    many = _plural(noun)
    words = chance.choice([
        f"make the {many} {colour}", f"{colour} {many}", f"dye the {many} {colour}", f"the {noun} in {colour}, please",
        f"change the colour of the {many} to {colour}",
    ])  # fmt: skip
    if design.swatch(part).colour == level:
        return None
    return _part_request(design, words, part, lambda swatch: swatch.colour == level)


def _part_print(design: Design, chance: Random) -> Request | None:
    chosen = _part_noun(design, chance)
    if chosen is None or chosen[0] in ("buttons", "decoration"):
        return None
    part, noun = chosen
    kind, colour = chance.choice([*_PRINT_NOUNS]), chance.choice(("red", "navy", "white"))
    words = chance.choice([
        f"{colour} {_PRINT_NOUNS[kind]} on the {_plural(noun)}", f"put {colour} {_PRINT_NOUNS[kind]} on the {noun}",
        f"change the pattern of the {_plural(noun)} to {colour} {_PRINT_NOUNS[kind]}",
    ])  # fmt: skip

    def right(swatch: Swatch) -> bool:
        return swatch.print is not None and swatch.print.kind == kind and swatch.print.inks == (COLOURS[colour],)

    if right(design.swatch(part)):
        return None
    return _part_request(design, words, part, right)


def _whole_colour(design: Design, chance: Random) -> Request | None:
    colour = chance.choice([*COLOURS])
    words = chance.choice([f"make it {colour}", f"change the colour to {colour}", f"dye the {design.garment} {colour}",
                           f"I want it in {colour}"])  # fmt: skip
    if design.cloth.colour == COLOURS[colour]:
        return None
    if colour == "denim":
        return None
    level = COLOURS[colour]

    def right(after: Design) -> bool:
        same = after.cloth.print == design.cloth.print and after.cloth.weave == design.cloth.weave
        return same and after.cloth.colour == level

    return Request(design, words, frozenset({"cloth"}), right, frozenset({"*"}))


def _whole_print(design: Design, chance: Random) -> Request | None:
    kind, colour, size = (
        chance.choice([*_PRINT_NOUNS]),
        chance.choice(("red", "navy", "white")),
        chance.choice(("small", "large")),
    )
    words = chance.choice([
        f"change the pattern to {size} {colour} {_PRINT_NOUNS[kind]}", f"{size} {colour} {_PRINT_NOUNS[kind]}, please",
        f"cover it with {size} {colour} {_PRINT_NOUNS[kind]}",
    ])  # fmt: skip
    usual = PRINTS[kind][0]

    def right(after: Design) -> bool:
        mark = after.cloth.print
        sized = mark is not None and ((mark.scale < usual) if size == "small" else (mark.scale > usual))
        return mark is not None and sized and mark.kind == kind and mark.inks == (COLOURS[colour],)

    if right(design):
        return None
    return Request(design, words, frozenset({"cloth"}), right, frozenset({"*"}))


def _step(design: Design, chance: Random) -> Request | None:
    name = chance.choice(("sleeves", "length"))
    feature = design.kind.features.get(name)
    if feature is None or design.features[name] == "puff":
        return None
    values = [value for value in feature.values if value != "puff"]
    up = chance.random() < 0.5
    place = values.index(design.features[name]) + (1 if up else -1)
    if not 0 <= place < len(values):
        return None
    noun = "sleeves" if name == "sleeves" else chance.choice(("hem", "length"))
    if noun not in feature.nouns and noun != "sleeves":
        return None
    word = "longer" if up else "shorter"
    words = chance.choice([f"{word} {noun}", f"make the {noun} {word}"])
    return _feature_request(design, words, name, values[place])


def mixed(count: int, seed: int = 0) -> Iterator[tuple[Request, set[str]]]:
    """Yields requests into which words are mixed that the vocabulary has not, and these words."""
    chance = Random(f"mixed {seed}")
    for request in requests(count, seed + 1):
        foreign = chance.sample(FOREIGN, chance.choice((1, 2)))
        added = chance.choice([" and add {}", ", with {}", "; it needs {}"]).format(" and ".join(foreign))
        yield replace(request, words=request.words + added), set(foreign)


def changed_fields(before: Design, after: Design) -> set[str]:
    """Returns the names of the fields in which two designs differ."""
    one, two = before.to_json(), after.to_json()
    changed = {name for name in one if name not in ("features", "parts") and one[name] != two[name]}
    for group in ("features", "parts"):
        names: set[str] = set(one[group]) | set(two[group])
        changed |= {f"{group}.{name}" for name in names if one[group].get(name) != two[group].get(name)}
    return changed


def faults(request: Request, *, pixels: bool = True) -> list[str]:
    """Returns what is wrong with the answer to a request; nothing where it is right and nothing else changed."""
    before, found = request.before, []
    after, answer = changed_design(before, request.words)
    changed = changed_fields(before, after)
    if not changed & request.fields:
        found.append(f"nothing of {sorted(request.fields)} changed")
    elif not request.right(after):
        found.append(f"{sorted(changed)} changed to something else")
    if changed - request.fields:
        found.append(f"{sorted(changed - request.fields)} changed too")
    if pixels and "*" not in request.parts and not found:
        moved = np.asarray(draw(after)) != np.asarray(draw(before))
        outside = moved.any(axis=2) & ~_region([before, after], request.parts)
        if outside.any():
            found.append(f"{int(outside.sum())} pixels outside {sorted(request.parts)} changed")
    return [f"{before.garment}: {request.words!r}: {fault}; answered {answer.text!r}" for fault in found]


def _region(designs: list[Design], parts: frozenset[str]) -> NDArray[np.bool_]:
    """Returns where these parts and their shadows lie: what changes when they are dyed in one colour or in another."""
    touched = np.zeros((768, 512), bool)
    for design in designs:
        for part in parts:
            dyed: list[Any] = []
            for colour in ((250, 20, 20), (20, 20, 250)):
                dyed.append(np.asarray(draw(design.with_part(part, Swatch(colour)))))
            touched |= (dyed[0] != dyed[1]).any(axis=2)
    small = Image.fromarray(touched.astype(np.uint8) * 255).reduce(4).point(lambda level: 255 if level else 0)
    wide = small.filter(ImageFilter.MaxFilter(19)).resize((512, 768), Image.Resampling.NEAREST)
    region: NDArray[np.bool_] = np.asarray(wide) > 0
    return region
