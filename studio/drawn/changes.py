"""Applies wishes to a design: each wish changes what it names; the answer says which wishes can't be drawn."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .cloth import ClothRequest, Seen, print_noun, resized, swatch_text, with_shade
from .colours import colour_name
from .design import Design
from .drawing import drawn_cloths
from .garments import SHOWN_BY, UNPAINTED, Feature
from .prints import Swatch
from .reading import LOOKS, Reading, Token, Wish, lexicon
from .words import phrase

_COLOUR_ONLY = ("buttons", "decoration", "trim", "backdrop")
_WHOLE_FEATURES = ("length", "shape", "front")
"""Features that a word beside the garment's own name means: "a long dress", "wide trousers"."""

_SUGGESTIONS = 12
"""The number of unknown words for which the nearest known word is looked up; each look-up takes milliseconds."""

_PAIRS = ("sleeve", "cuff", "lapel", "collar", "leg", "epaulette")
_SEEN_AT = {
    "decoration": ("hip", "waist", "side", "hem", "leg", "bottom", "skirt"),
    "embroidery": ("skirt", "hem", "bottom", "side"),
    "graphic": ("chest", "front", "body"),
    "waist detail": ("waist", "side", "hem", "bottom"),
    "chest stripe": ("chest", "body", "front"),
    "chest pockets": ("chest", "front", "breast"),
    "chest pocket": ("chest", "front", "breast"),
    "buttons": ("front", "middle", "bodice", "body", "centre"),
    "belt": ("waist",),
    "neckwear": ("neck", "collar", "neckline"),
    "lapel flower": ("lapel", "collar"),
    "shoulders": ("shoulder",),
    "elbows": ("elbow", "sleeve"),
    "knees": ("knee", "leg"),
    "hem": ("hem", "bottom", "edge", "skirt", "leg", "hemline"),
    "skirt detail": ("skirt",),
    "bodice detail": ("bodice", "chest", "front", "body"),
    "bands": ("skirt", "body", "middle"),
    "side stripe": ("side", "leg"),
    "front": ("front", "middle", "centre"),
    "closure": ("front", "middle", "centre"),
    "pockets": ("front", "side", "hip", "skirt", "waist"),
    "hip pockets": ("hip", "front", "side", "waist"),
    "front pockets": ("front", "side", "hip"),
    "placket": ("front", "placket"),
    "cuffs": ("sleeve",),
    "waistband": ("waist",),
    "yoke": ("shoulder",),
}
"""Feature → the places that it is drawn at; after "on the", any other place is refused."""

_NEEDED = {
    ("coat", "buttons"): ("closure", "buttons"),
    ("shirt", "chest pocket style"): ("chest pockets", "one"),
    ("blazer", "lapel width"): None,
}  # fmt: skip
"""Feature → the other feature that it needs, and the value that this one gets where it is absent."""


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    Args:
        done: What changed, a few words each.
        unchanged: What was as requested before.
        impossible: What was understood but can't be drawn, a sentence each.
        unknown: Words that are not in the vocabulary, as they were written.
        notes: Other information, such as what was read from a picture, a sentence each.
    """

    done: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    impossible: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The answer in sentences."""
        parts = []
        if self.done:
            parts.append("Done: " + "; ".join(self.done) + ".")
        if self.unchanged:
            parts.append("Already so: " + "; ".join(self.unchanged) + ".")
        parts += self.notes
        parts += self.impossible
        if self.unknown:
            parts.append("I don't know: " + ", ".join(self.unknown) + ".")
        return " ".join(parts) or "Nothing in this names a change; the vocabulary lists what I can draw."

    def to_json(self) -> dict[str, Any]:
        """Returns the answer as plain JSON."""
        names = ("done", "unchanged", "impossible", "unknown", "notes")
        return {"text": self.text, **{name: list(getattr(self, name)) for name in names}}


def apply(
    design: Design, reading: Reading, *, creating: bool = False, seen: Seen | None = None
) -> tuple[Design, Answer]:
    """Returns the changed design, and an answer that says what became of each wish.

    Args:
        design: The design before the change.
        reading: The wishes.
        creating: Whether the design is new, so that "the pockets" may name pockets that it does not have.
        seen: The cloth of the picture that is shown with the words.
    """
    work = _Work(design, creating, seen)
    for wish in reading.wishes:
        work.wish(wish)
    if not creating:
        work.pin()
        work.keep(reading.kept)
    if seen is not None and not work.notes:
        work.notes.append("The words say it all, so I took nothing from the picture.")
    after = work.design
    unknown = tuple(_with_suggestion(word, design.garment) for word in reading.unknown[:_SUGGESTIONS])
    unknown += tuple(f"“{word}”" for word in reading.unknown[_SUGGESTIONS:])
    impossible = [*work.impossible]
    garment = design.kind.one(design.garment).capitalize()
    for word in reading.elsewhere:
        impossible.append(f"{garment} has no “{word}” here.")
    done = _differences(design, after)
    unchanged = tuple(dict.fromkeys(work.already_so(done)))
    return after, Answer(tuple(done.values()), unchanged, tuple(dict.fromkeys(impossible)), unknown, tuple(work.notes))


def _with_suggestion(word: str, garment: str) -> str:
    known = [" ".join(stems) for stems, senses in lexicon(garment).items() if set(senses) - {"filler"}]
    close = difflib.get_close_matches(" ".join(phrase(word)), known, n=1, cutoff=0.8)
    return f"“{word}” (did you mean “{close[0]}”?)" if close else f"“{word}”"


@dataclass
class _Work:
    """A design under change."""

    design: Design
    creating: bool
    seen: Seen | None
    impossible: list[str] = field(default_factory=list)
    unchanged: list[tuple[str, str]] = field(default_factory=list)  # field, and what to say of it
    touched: set[str] = field(default_factory=set)  # fields that a wish changed, perhaps for another one to restore
    pinned: dict[str, list[Swatch]] = field(default_factory=dict)  # part → the cloth that it has and is to have
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.before = self.design
        self.coloured = False  # whether the words named the garment's colour

    @property
    def features(self) -> Mapping[str, Feature]:
        return self.design.kind.features

    def wish(self, wish: Wish) -> None:
        """Applies one wish."""
        if wish.foreign:
            words = " ".join(word.text for word in wish.modifiers)
            self.impossible.append(f"I left out “{words}”, which you say of “{wish.foreign}”.")
        elif not wish.nouns:
            self._change(self._remove if wish.removed else self._whole, wish)
        else:
            for noun in wish.nouns:
                self._change(self._remove if wish.removed else self._noun, replace(wish, nouns=(noun,)))

    def _change(self, change: Callable[[Wish], None], wish: Wish) -> None:
        """Applies one wish about one noun; it is "already so" only if it leaves the design as it is."""
        before, count = self.design, len(self.unchanged)
        change(wish)
        if self.design != before:
            del self.unchanged[count:]
            self.touched |= _differences(before, self.design).keys()

    def already_so(self, done: Mapping[str, str]) -> list[str]:
        """Returns what is as it was before and as requested; `done` has the fields that changed in the end."""
        said = dict(self.unchanged)
        said |= {name: _field_text(self.design, name) for name in sorted(self.touched) if name not in said}
        return [text for name, text in said.items() if name not in done]

    def _at_place(self, noun: Token) -> Token:
        """Returns the noun that stands for "X on the Y": "Y X" where there is one."""
        at = noun.senses.get("at")
        if at is None:
            return noun
        both = lexicon(self.design.garment).get((*phrase(at.text), *phrase(noun.text)))
        if both and "noun" in both:
            return Token(f"{at.text} {noun.text}", both)
        place, names = " ".join(phrase(at.text)), noun.senses["noun"]
        fits = [name for name in names if place in _SEEN_AT.get(name, ())]
        if fits:
            return replace(noun, senses={**noun.senses, "noun": [*fits, *(name for name in names if name not in fits)]})
        self.impossible.append(f"I can't put {noun.text} on the {at.text}.")
        return replace(noun, senses={"noun": [], "nowhere": True})

    # Whole garment

    def _whole(self, wish: Wish) -> None:
        looks: list[Token] = []
        printed = any("print" in word for word in wish.modifiers)
        patterned = self.design.cloth.print is not None or any("picture" in word for word in wish.modifiers)
        for word in wish.modifiers:
            beside = word.senses.get("beside", {})
            general = next((name for name in _WHOLE_FEATURES if name in beside), None)
            if "alone" in word:
                self._set(*word.senses["alone"])
            elif printed if _is_of_a_print(word) else any(kind in word for kind in LOOKS):
                looks.append(word)
            elif general is not None:
                self._set(general, beside[general])
            elif "more" in word:
                self._more_of_all(word, printed)
            elif _is_of_a_print(word) and patterned:
                looks.append(word)
            elif word.senses.get("number") != "1":
                self.impossible.append(f"I can't tell what “{word.text}” belongs to.")
        if looks and not _is_stepped_print(wish, looks) and self._has_print(wish, looks):
            self._look(None, looks, wish)

    def _has_print(self, wish: Wish, looks: Sequence[Token]) -> bool:
        """Returns whether the design has the print that "the stripes" names; if not, the answer says so."""
        mark = next((word.senses["print"] for word in looks if "print" in word), None)
        if self.creating or not wish.definite or mark is None or not mark.noun or wish.nouns:
            return True
        if self.design.cloth.print is not None and self.design.cloth.print.kind == mark.kind:
            return True
        self.impossible.append(f"There are no {print_noun(mark.kind)} to change; say “add …” to have some.")
        return False

    def _more_of_all(self, word: Token, printed: bool) -> None:
        kind, step = word.senses["more"]
        mark = self.design.cloth.print
        if kind in ("width", "size") and (printed or (mark is not None and "shape" not in self.features)):
            if mark is None:
                self.impossible.append(f"There is no pattern to make {word.text}.")
            else:
                self._give_other(None, replace(self.design.cloth, print=resized(mark, kind, step)), word)
        elif kind == "shade":
            self._give_other(None, with_shade(self.design.cloth, step), word)
        elif kind in ("length", "size") and "length" in self.features:
            self._step("length", step)
        elif kind == "width" and "shape" in self.features:
            self._step("shape", step)
        else:
            self.impossible.append(f"I can't tell what “{word.text}” belongs to.")

    # Parts and features

    def _noun(self, wish: Wish) -> None:
        noun = self._at_place(wish.nouns[0])
        if "nowhere" in noun:
            return
        names: list[str] = list(noun.senses["noun"])
        part: str | None = noun.senses.get("part") or (self.features[names[0]].part if names else None)
        looks: list[Token] = []
        named = False
        marked = any("print" in word and word.senses["print"] and word.senses["print"].noun for word in wish.modifiers)
        for word in wish.modifiers:
            beside = word.senses.get("beside", {})
            fitting = next((name for name in names if name in beside), None)
            if fitting is not None and not ("size" in word and marked):
                self._set(fitting, beside[fitting])
                named = True
            elif "alone" in word and word.senses["alone"][0] in names:
                self._set(*word.senses["alone"])
                named = True
            elif "more" in word:
                named = self._more(word, names, part, noun) or named
            elif any(kind in word for kind in LOOKS):
                looks.append(word)
            elif "alone" in word:
                self._set(*word.senses["alone"])
            elif "number" not in word or not _natural(word, noun):
                self.impossible.append(f"I can't draw “{word.text}” for the {noun.text}.")
        looks = self._with_print(looks, part, noun)
        if not named and not self._shown(noun, names, part, looks, wish):
            return
        if looks and part and not _is_stepped_print(wish, looks):
            self._look(part, looks, wish)

    def _with_print(self, looks: list[Token], part: str | None, noun: Token) -> list[Token]:
        """Returns the looks without the sizes and directions of a print where there is none, and says so of these."""
        patterned = any("print" in word or "picture" in word for word in looks)
        if part is None or part in _COLOUR_ONLY or patterned or self._current(part).print is not None:
            return looks
        for word in filter(_is_of_a_print, looks):
            self.impossible.append(f"I can't draw “{word.text}” for the {noun.text}.")
        return [word for word in looks if not _is_of_a_print(word)]

    def _shown(self, noun: Token, names: Sequence[str], part: str | None, looks: Sequence[Token], wish: Wish) -> bool:
        """Adds what a noun means where the design lacks it; returns whether the design has it then."""
        key = _key(noun)
        present = [(name, value) for name in names if (value := _noun_value(self.features[name], key)) is not None]
        shown = SHOWN_BY[self.design.garment].get(part or "") if looks else None
        if shown and (not present or shown[0] in names):
            unpainted = UNPAINTED.get((self.design.garment, shown[0]), (self.features[shown[0]].absent,))
            own = next((value for name, value in present if name == shown[0] and value not in unpainted), shown[1])
            if self.design.features[shown[0]] in unpainted and not (present and wish.definite and not self.creating):
                self._set(shown[0], own)
                return True
        if not present:
            if not looks and not any("more" in word for word in wish.modifiers) and not wish.modifiers:
                self.impossible.append(f"Say what the {noun.text} should be.")
            return bool(looks)
        there = [name for name, value in present if self._is_there(name) or self.design.features[name] == value]
        if there:
            name = there[0]
            wanted = dict(present)[name]
            current = self.design.features[name]
            self._need(name)
            if not looks and not wish.modifiers:
                if (
                    key in self.features[name].nouns
                    and current != wanted
                    and _specific(self.features[name], wanted, key)
                ):
                    self._set(name, wanted)
                elif not self.creating:
                    self._say_so(name)
            return True
        name, value = present[0]
        if looks and part is not None and part not in SHOWN_BY[self.design.garment]:
            return True  # always there, whatever it is called: a neckline is the T-shirt's collar
        if wish.definite and looks and not self.creating:
            self.impossible.append(f"I see no {noun.text} to change; say “add …” to have it.")
            return False
        self._set(name, value)
        return True

    def _is_there(self, name: str) -> bool:
        feature = self.features[name]
        return feature.absent is None or self.design.features[name] != feature.absent

    def _say_so(self, feature: str) -> None:
        self.unchanged.append((f"features.{feature}", f"{feature}: {self.design.features[feature]}"))

    def _set(self, name: str, value: str) -> None:
        if self.design.features[name] == value:
            if not self.creating:
                self._say_so(name)
        else:
            self.design = self.design.with_feature(name, value)
        if value != self.features[name].absent:
            self._need(name)

    def _need(self, name: str) -> None:
        needed = _NEEDED.get((self.design.garment, name))
        if needed:
            other, wanted = needed
            if self.design.features[other] in ("none", self.features[other].absent) or other == "closure":
                self.design = self.design.with_feature(other, wanted)

    def _more(self, word: Token, names: Sequence[str], part: str | None, noun: Token) -> bool:
        kind, step = word.senses["more"]
        drawn = self._drawn(part) if part and kind in ("shade", "width", "size") else []
        if kind == "shade" and part:
            if drawn:
                self._give_other(part, with_shade(self._current(part), step), word)
            else:
                self.impossible.append(f"I see no {noun.text} to change; say “add …” to have it.")
            return True
        wanted = {"length": ("sleeves", "length"), "count": ("buttons", "chest pockets", "waist pockets")}
        wanted |= {"width": ("lapel width", "shape", "waistband"), "size": ("lapel width", "length", "sleeves")}
        name = next((name for name in names if name in wanted[kind]), None)
        if name is not None:
            self._step(name, step)
            return True
        mark = drawn[0].print if drawn else None
        if kind in ("width", "size") and part and mark is not None and part not in _COLOUR_ONLY:
            self._give_other(part, replace(drawn[0], print=resized(mark, kind, step)), word)
            return True
        if kind == "count" and step > 0:
            return False
        self.impossible.append(f"I can't make the {noun.text} “{word.text}”.")
        return False

    def _step(self, name: str, step: int) -> None:
        values = [value for value in self.features[name].values if value != "puff"]
        current = self.design.features[name]
        place = (values.index(current) if current in values else values.index("short")) + step
        if 0 <= place < len(values):
            self.design = self.design.with_feature(name, values[place])
        else:
            self.impossible.append(f"The {name} can't be {'more' if step > 0 else 'less'} than “{current}” here.")

    # Removal

    def _remove(self, wish: Wish) -> None:
        prints = [word for word in wish.modifiers if "print" in word]
        if prints:
            self._unprint(wish.nouns[0].senses.get("part") if wish.nouns else None)
            return
        if not wish.nouns:
            for word in wish.modifiers:
                self._remove_value(word)
            return
        self._remove_noun(self._at_place(wish.nouns[0]), wish)

    def _unprint(self, part: str | None) -> None:
        if part is None:
            parts = {name: replace(swatch, print=None) for name, swatch in self.design.parts.items()}
            plain = replace(self.design, cloth=replace(self.design.cloth, print=None), parts=parts)
            if plain == self.design:
                self.unchanged.append(("cloth", "cloth: plain"))
            self.design = plain
        elif any(swatch.print is not None for swatch in self._drawn(part)):
            self._give(part, replace(self._drawn(part)[0], print=None))
        else:
            self.unchanged.append((_field(part), f"{part}: plain"))

    def _remove_value(self, word: Token) -> None:
        choices = [word.senses["alone"]] if "alone" in word else []
        for name, value in choices:
            feature = self.features[name]
            if self.design.features[name] != value:
                self._say_so(name)
                return
            other = feature.absent if feature.absent not in (None, value) else feature.default
            if other != value:
                self._set(name, str(other))
                return
        self.impossible.append(f"I can't tell what to draw in place of “{word.text}”.")

    def _remove_noun(self, noun: Token, wish: Wish) -> None:
        if "nowhere" in noun:
            return
        names: list[str] = noun.senses["noun"]
        removable = [name for name in names if self.features[name].absent is not None]
        for word in wish.modifiers:  # "no short sleeves"
            for name in names:
                value = word.senses.get("beside", {}).get(name)
                if (
                    value not in (None, self.design.features[name])
                    and "number" not in word
                    and not name.endswith("style")
                ):
                    self._say_so(name)
                    return
        key = _key(noun)
        there = [
            name
            for name in removable
            if self._is_there(name)
            and (_noun_value(self.features[name], key) is not None or name in _ALWAYS_REMOVED)
            and _means(self.features[name], self.design.features[name], key)
        ]
        specific = [name for name in there if self.design.features[name] == _noun_value(self.features[name], key)]
        for name in specific or there:
            self.design = self.design.with_feature(name, str(self.features[name].absent))
        if not there:
            if removable:
                self.unchanged.append((f"features.{removable[0]}", f"no {noun.text}"))
            else:
                garment = self.design.kind.one(self.design.garment).capitalize()
                self.impossible.append(f"{garment} always has its {noun.text} here.")

    def keep(self, nouns: Iterable[Token]) -> None:
        """Restores the parts that the words ask to keep."""
        for noun in nouns:
            for name in noun.senses["noun"]:
                self.design = self.design.with_feature(name, self.before.features[name])
            part = noun.senses.get("part")
            if part and part in self.design.parts and part not in self.before.parts:
                self.design = self.design.without_part(part)
            if part and (before := _drawn(self.before, part)) and self._drawn(part) != before:
                self._give(part, before[0])

    def pin(self) -> None:
        """Gives its own cloth to a part that had the right one before a wish changed the cloth of the garment."""
        for part, cloths in [*self.pinned.items()]:
            if self._drawn(part) != cloths:
                self._give(part, cloths[0])

    # Looks

    def _drawn(self, part: str) -> list[Swatch]:
        return _drawn(self.design, part)

    def _current(self, part: str) -> Swatch:
        """Returns the cloth of a part as a person sees it; without a weave where the part keeps its usual one."""
        if part in self.design.parts:
            return self.design.parts[part]
        drawn = self._drawn(part)
        return replace(drawn[0] if drawn else self.design.cloth, weave=None)

    def _give_other(self, part: str | None, swatch: Swatch, word: Token) -> None:
        """Gives a part more or less of something; says where there is no more or less of it."""
        if swatch in ([self.design.cloth] if part is None else [self._current(part), *self._drawn(part)]):
            self.impossible.append(f"I can't make the {part or 'cloth'} “{word.text}”.")
        else:
            self._give(part, swatch)

    def _give(self, part: str | None, swatch: Swatch) -> None:
        self.pinned.pop(part or "", None)
        if part is None:
            self.design = replace(self.design, cloth=replace(swatch, weave=swatch.weave or self.design.cloth.weave))
        elif part == "trim":
            self.design = replace(self.design, trim=swatch.colour)
        elif part == "backdrop":
            self.design = replace(self.design, backdrop=swatch.colour)
        else:
            self.design = self.design.with_part(part, swatch)

    def _look(self, part: str | None, words: Sequence[Token], wish: Wish) -> None:
        old = self.design.cloth if part is None else self._current(part)
        fresh = part is not None and part not in self.design.parts
        look = ClothRequest(words, self._weave, picture=self.seen.swatch if self.seen else None)
        if look.picture_wanted and self.seen is not None:
            self.notes = [*dict.fromkeys([*self.notes, self.seen.note])]
            if self.seen.swatch is None and not (look.colours or look.mark or look.weave):
                return
        if part in _COLOUR_ONLY and (look.mark or look.weave or look.size or look.direction is not None):
            self.impossible.append(f"The {part} can have another colour, no pattern or cloth of its own.")
            if not look.colours and not look.picture_wanted:
                return
        given = self.creating and self.coloured
        new = look.over(old, stripes=self.design.kind.stripes, fresh=fresh, creating=self.creating, coloured=given)
        if part in _COLOUR_ONLY:
            new = Swatch(new.colour)
        if part is None and (look.colours or look.picture_wanted):
            self.coloured = True
        if not self.creating and self._has_look(part, new):
            self.unchanged.append((_field(part), f"{part or 'cloth'}: {swatch_text(old)}"))
            if part is not None:
                self.pinned[part] = self._drawn(part)
        else:
            self._give(part, new)

    def _has_look(self, part: str | None, new: Swatch) -> bool:
        """Returns whether a part, or the garment, is in this cloth already."""
        if part is not None and new == self.design.parts.get(part):
            return True
        drawn = [self.design.cloth] if part is None else self._drawn(part)
        return bool(drawn) and all(swatch == replace(new, weave=new.weave or swatch.weave) for swatch in drawn)

    def _weave(self, word: str) -> str:
        weaves = self.design.kind.weaves
        return weaves.get(word, word)


_ALWAYS_REMOVED = ("buttons",)


def _drawn(design: Design, part: str) -> list[Swatch]:
    """Returns the cloths that a part is drawn in, the one that is seen most first; none where the design lacks it."""
    if part == "trim":
        return [Swatch(design.trim)]
    if part == "backdrop":
        return [Swatch(design.backdrop)]
    return drawn_cloths(design, part)


def _key(noun: Token) -> str:
    return " ".join(phrase(noun.text))


def _noun_value(feature: Feature, key: str) -> str | None:
    return next((value for noun, value in feature.nouns.items() if " ".join(phrase(noun)) == key), None)


def _means(feature: Feature, value: str, key: str) -> bool:
    """Returns whether a noun may mean this value: a pocket square is no chest pocket, a side pocket is a pocket."""
    own = [" ".join(phrase(noun)) for noun, meant in feature.nouns.items() if meant == value]
    return not own or any(noun.endswith(key.split()[-1]) for noun in own)


def _specific(feature: Feature, wanted: str, key: str) -> bool:
    """Returns whether a noun means this value and no other of the feature ("zip" beside "buttons")."""
    others = {value for noun, value in feature.nouns.items() if value is not None}
    return len(others) > 1 and wanted in others and _noun_value(feature, key) == wanted


def _natural(word: Token, noun: Token) -> bool:
    """Returns whether a number says nothing new: one collar, two sleeves."""
    return str(word.senses["number"]) in ("1", "2" if _key(noun) in _PAIRS else "1")


def _is_of_a_print(word: Token) -> bool:
    """Returns whether a word says of a print how large it is or which way it runs, and means nothing else of cloth."""
    return {"size", "direction"} >= {kind for kind in LOOKS if kind in word} > set()


def _is_stepped_print(wish: Wish, looks: Sequence[Token]) -> bool:
    """Returns whether a wish asks for more or less of a print ("wider stripes"), which the print then only names."""
    return any("more" in word for word in wish.modifiers) and all("print" in word for word in looks)


def _field(part: str | None) -> str:
    return "cloth" if part is None else part if part in ("trim", "backdrop") else f"parts.{part}"


def _field_text(design: Design, name: str) -> str:
    """Returns a field of a design, such as "features.sleeves", in a few words."""
    group, _, member = name.partition(".")
    if group == "features":
        return f"{member}: {design.features[member]}"
    if group == "parts":
        return f"{member}: {swatch_text(design.swatch(member))}"
    if group == "cloth":
        return f"cloth: {swatch_text(design.cloth)}"
    return f"trim: {colour_name(design.trim)}" if group == "trim" else f"background: {colour_name(design.backdrop)}"


def _differences(before: Design, after: Design) -> dict[str, str]:
    """Returns each field in which two designs of a garment differ, with what it is now in a few words."""
    texts = {
        f"features.{name}": f"{name}: {value} → {after.features[name]}"
        for name, value in before.features.items()
        if after.features[name] != value
    }
    names = ["cloth"] if before.cloth != after.cloth else []
    names += [f"parts.{part}" for part in after.kind.parts if before.parts.get(part) != after.parts.get(part)]
    names += ["trim"] if before.trim != after.trim else []
    names += ["backdrop"] if before.backdrop != after.backdrop else []
    return texts | {name: _field_text(after, name) for name in names}
