"""Reads wishes from a sentence: which part of a garment is to become what; and finds the unknown words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from fashionedit.eval_harness.protocols import PROTOCOLS

from . import words as vocabulary
from .garments import GARMENTS
from .words import phrase, split_words, stem

Senses = Mapping[str, Any]
"""The meanings of a phrase: kind of word → meaning."""

LOOKS = ("colour", "shade", "print", "plain", "weave", "size", "direction", "picture")
"""Kinds of words that describe the look of cloth."""

_MODIFIERS = (*LOOKS, "alone", "beside", "more", "number")
_LONGEST_PHRASE = 4
_JOINS = {"and", "with", "but", "plus", "also", "then", "or"}
_MARKS = ",;.:!?()"
_COLOUR_NOUNS = {"colour", "color", "colours", "colors", "shade", "tone", "hue"}
_CLOTH_NOUNS = {"pattern", "print", "fabric", "material", "cloth", "textile", "motif"}
_PATTERNS = {"pattern", "patterns", "print", "prints", "motif", "motifs"}


@dataclass(frozen=True)
class Token:
    """A phrase of the vocabulary in a sentence, or a word that is not in it (no senses)."""

    text: str
    senses: Senses = field(default_factory=dict, compare=False)

    def __contains__(self, kind: object) -> bool:
        return kind in self.senses


@dataclass(frozen=True)
class Wish:
    """One change that a sentence asks for.

    Args:
        nouns: The nouns of the garment that it is about; empty for the garment as a whole.
        modifiers: The words that say what the nouns are to become.
        removed: Whether the nouns are to be removed.
        definite: Whether the sentence takes for granted that they are there ("the pockets").
        text: The words of the sentence.
        foreign: The word that the modifiers describe, where the garment has no such thing.
    """

    nouns: tuple[Token, ...]
    modifiers: tuple[Token, ...]
    removed: bool = False
    definite: bool = False
    text: str = ""
    foreign: str = ""


@dataclass(frozen=True)
class Reading:
    """The content of a sentence.

    Args:
        wishes: The changes that it asks for, in its order.
        kept: Nouns that are to stay as they are.
        unknown: Words that are not in the vocabulary, as they were written.
        elsewhere: Words that only other garments know.
    """

    wishes: tuple[Wish, ...]
    kept: tuple[Token, ...]
    unknown: tuple[str, ...]
    elsewhere: tuple[str, ...]


EVERYWHERE = {"trim": "trim", "trimming": "trim", "background": "backdrop", "backdrop": "backdrop"}
"""Nouns of every garment: the trim (details without a colour of their own) and the background."""

GARMENT_MEANINGS: dict[str, dict[str, str]] = {
    "polo shirt": {"neckline": "polo"},
    "henley": {"neckline": "henley"},
    "short": {"length": "short"},
    "duffle coat": {"closure": "toggles"},
    "trench coat": {"front": "double", "buttons": "6", "belt": "buckle", "shoulders": "epaulettes"},
    "trench": {"front": "double", "buttons": "6", "belt": "buckle", "shoulders": "epaulettes"},
    "peacoat": {"front": "double", "buttons": "6", "length": "hip"},
    "legging": {"shape": "slim"},
    "sundress": {"sleeves": "none"},
}
"""Names of garments that say more than the garment."""


@lru_cache(maxsize=1)
def _garment_nouns() -> dict[tuple[str, ...], str]:
    nouns = {phrase(noun): name for name, garment in GARMENTS.items() for noun in garment.nouns}
    return nouns | {phrase("shorts"): "trousers"}


def garment_in(text: str) -> str | None:
    """Returns the garment that a sentence names, None where it names none."""
    stems = [part for word in split_words(text) for part in stem(word)]
    nouns, place, named, after = _garment_nouns(), 0, None, -1
    while place < len(stems):
        for size in range(_LONGEST_PHRASE, 0, -1):
            garment = nouns.get(tuple(stems[place : place + size]))
            if garment is not None:
                if named is None or after == place:
                    named = garment  # "shirt dress" is a dress
                place, after = place + size, place + size
                break
        else:
            place += 1
    return named


@lru_cache(maxsize=16)
def lexicon(garment: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """Returns every phrase that means something for a garment, by its stems."""
    table: dict[tuple[str, ...], dict[str, Any]] = {}

    def add(words: str, kind: str, value: Any) -> None:
        table.setdefault(phrase(words), {}).setdefault(kind, value)

    own = GARMENTS[garment]
    for name, feature in own.features.items():
        for noun in feature.nouns:
            table.setdefault(phrase(noun), {}).setdefault("noun", []).append(name)
        for word, value in feature.beside.items():
            table.setdefault(phrase(word), {}).setdefault("beside", {}).setdefault(name, value)
        for word, value in feature.alone.items():
            add(word, "alone", (name, value))
    for part, nouns in own.parts.items():
        for noun in nouns:
            add(noun, "part", part)
            table[phrase(noun)].setdefault("noun", [])
    for noun, part in EVERYWHERE.items():
        add(noun, "part", part)
        table[phrase(noun)].setdefault("noun", [])
    for stems, name in _garment_nouns().items():
        table.setdefault(stems, {}).setdefault("garment", name)
    _add_general(add)
    for name, other in GARMENTS.items():
        for feature in other.features.values() if name != garment else ():
            for word in [*feature.nouns, *feature.beside, *feature.alone]:
                if phrase(word) not in table:
                    add(word, "elsewhere", name)
    return table


def _add_general(add: Any) -> None:
    for word, colour in vocabulary.COLOURS.items():
        add(word, "colour", colour)
    for word, name in vocabulary.COLOUR_SYNONYMS.items():
        add(word, "colour", vocabulary.COLOURS[name])
    for table, kind in (
        (vocabulary.SHADES, "shade"),
        (vocabulary.PRINT_WORDS, "print"),
        (vocabulary.WEAVES, "weave"),
        (vocabulary.SIZES, "size"),
        (vocabulary.DIRECTIONS, "direction"),
        (vocabulary.COMPARATIVES, "more"),
        (vocabulary.NUMBERS, "number"),
    ):
        for word, value in table.items():
            add(word, kind, value)
    for listed, kind in (
        (vocabulary.PLAIN_WORDS, "plain"),
        (vocabulary.NEGATIONS, "not"),
        (vocabulary.KEEPS, "keep"),
        (vocabulary.CHANGES, "change"),
        (vocabulary.VERBS, "verb"),
        (vocabulary.NEUTRAL, "neutral"),
        (vocabulary.WHOLE, "whole"),
        (vocabulary.PLACES, "place"),
        (vocabulary.PREPOSITIONS, "preposition"),
        (vocabulary.REFERENCES, "reference"),
        (vocabulary.FILLERS, "filler"),
    ):
        for word in listed:
            add(word, kind, True)


def tokens(text: str, garment: str) -> list[Token]:
    """Returns the phrases of a sentence, the longest that the vocabulary has; marks are tokens of their own."""
    table = lexicon(garment)
    stems: list[tuple[str, str]] = []
    for word in split_words(text):
        parts = stem(word)
        stems += [(part, word if len(parts) == 1 else part) for part in parts]
    phrases, place = [], 0
    while place < len(stems):
        if stems[place][0] in _MARKS:
            phrases.append(Token(stems[place][0], {"mark": True}))
            place += 1
            continue
        size, senses = _match(table, [part for part, _ in stems[place : place + _LONGEST_PHRASE]])
        text = " ".join(word for _, word in stems[place : place + size])
        if not senses and text.isdecimal():
            senses = {"number": text}
        if "number" in senses and "beside" not in senses:
            senses = {**senses, "beside": table.get((senses["number"],), {}).get("beside", {})}
        if "noun" in senses and "print" in senses:  # "red flowers" are a print, "a red flower" is pinned on
            wanted = "noun" if text == " ".join(part for part, _ in stems[place : place + size]) else "print"
            senses = {kind: meant for kind, meant in senses.items() if kind not in {"noun", "part", "print"} - {wanted}}
            if wanted == "noun":
                senses["part"] = table[tuple(phrase(text))].get("part")
        phrases.append(Token(text, senses))
        place += size
    return phrases


def _match(table: Mapping[tuple[str, ...], dict[str, Any]], stems: Sequence[str]) -> tuple[int, dict[str, Any]]:
    elsewhere: tuple[int, dict[str, Any]] = (1, {})
    for size in range(len(stems), 0, -1):
        senses = table.get(tuple(stems[:size]))
        if senses is None:
            continue
        if set(senses) != {"elsewhere"}:
            return size, dict(senses)
        if not elsewhere[1]:
            elsewhere = size, dict(senses)
    return elsewhere


@dataclass
class _Segment:
    """A part of a sentence between two joins."""

    join: str
    words: list[Token] = field(default_factory=list)
    verb: str = ""
    negated: bool = False
    removal: bool = False  # whether a verb negates ("remove"), which goes on over a list
    indefinite: bool = False
    kept: bool = False
    ignored: bool = False  # "instead of" what is there
    definite: bool = False
    article: bool = False
    to: int = -1  # where "to" stands after "change"
    aside: int = -1  # where a preposition of place stands
    points: bool = False  # "this", "that"

    def __bool__(self) -> bool:
        return bool(self.words)

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def garments(self) -> list[Token]:
        """Names of garments that are no part of this one: a dress has a skirt."""
        return [word for word in self.words if "garment" in word and "noun" not in word]

    @property
    def foreign(self) -> str:
        """Words that this garment has not, where nothing else here could be meant."""
        if any({"noun", "garment", "whole", "neutral"} & set(word.senses) for word in self.words):
            return ""
        return " ".join(word.text for word in self.words if set(word.senses) <= {"elsewhere"})

    def of(self, kind: str) -> list[Token]:
        return [word for word in self.words if kind in word]


def read(text: str, garment: str, *, picture: bool = False) -> Reading:
    """Returns what a sentence says about a garment.

    Args:
        text: In the person's words, or as a protocol of the benchmark words it.
        garment: A key of `GARMENTS`.
        picture: Whether a picture is shown with it, so that "this fabric" is the picture's.
    """
    for protocol in PROTOCOLS.values():
        lead = protocol.words.partition("{description}")[0]
        if lead and text.startswith(lead):
            text = text[len(lead) :]
    every = tokens(text, garment)
    unknown = tuple(dict.fromkeys(token.text for token in every if not token.senses))
    elsewhere = tuple(dict.fromkeys(token.text for token in every if set(token.senses) == {"elsewhere"}))
    segments = [segment for segment in _segments(every, picture) if segment]
    kept: list[Token] = []
    wanted: list[_Segment] = []
    for segment in segments:
        if segment.kept:
            kept += segment.of("noun")
        elif not segment.ignored:
            wanted.append(segment)
    wishes = [wish for wish in _wishes(wanted, garment) if wish.nouns or wish.modifiers]
    if picture and not any("picture" in word for wish in wishes for word in wish.modifiers):
        wishes = _pointing(wishes)
    return Reading(tuple(wishes), tuple(kept), unknown, elsewhere)


def _pointing(wishes: list[Wish]) -> list[Wish]:
    """Returns the wishes with the picture for those that say no more than a part ("sleeves", or nothing at all)."""
    shown = Token("picture", {"picture": "all"})
    if not wishes:
        return [Wish((), (shown,), text="picture")]
    return [
        wish if wish.modifiers or wish.removed else replace(wish, modifiers=(shown,), definite=True) for wish in wishes
    ]


def _segments(every: Sequence[Token], picture: bool) -> Iterator[_Segment]:
    current = _Segment("")
    for n, token in enumerate(every):
        word = token.text
        if "mark" in token or (word in _JOINS and "noun" not in token):
            join = "." if word in ".;!?:" else word
            if current or current.verb or current.negated:
                yield current
                carried = current.negated and not current and join in ("and", "or", "with")
                current = _Segment(join, negated=carried)
            else:
                current.join = join
        elif "keep" in token:
            yield current
            current = _Segment(current.join if not current else "", kept=True)
        elif "not" in token:
            if current:
                yield current
                current = _Segment("")
            current.negated, current.removal = True, word not in ("no", "not", "without", "never", "nor")
        elif _is_verb(token, current):
            if current:
                yield current
                current = _Segment("")
            current.verb = word if "verb" in token else "change"
        elif word == "instead" and _next_is(every, n, "of"):
            yield current
            current = _Segment("", ignored=True)
        elif word in ("to", "into", "for", "by") and current.verb == "change" and current:
            current.to = len(current.words)
        else:
            _place(current, token, picture)
    yield current


def _is_verb(token: Token, segment: _Segment) -> bool:
    """Returns whether a word is a verb here: "colour it red" and not "this colour"."""
    if not ("verb" in token or "change" in token) or {"noun", "garment"} & set(token.senses):
        return False
    return "neutral" not in token or not (segment or segment.article or segment.points or segment.verb)


def _next_is(every: Sequence[Token], n: int, word: str) -> bool:
    return n + 1 < len(every) and every[n + 1].text == word


def _place(segment: _Segment, token: Token, picture: bool) -> None:
    word = token.text
    if word in ("the", "its", "their", "his", "her"):
        segment.definite = segment.definite or not segment.words
        segment.article = True
    elif word in ("a", "an", "some") or "number" in token:
        segment.article = True
        segment.indefinite = segment.indefinite or "number" not in token
    if picture and (word in ("this", "that", "these", "those", "such", "same") or "reference" in token):
        segment.points = True
        if not any("picture" in other for other in segment.words):
            segment.words.append(Token(word, {"picture": "all"}))
        return
    if "preposition" in token or (word == "to" and segment.verb in ("add", "attach", "sew", "apply")):
        segment.aside = len(segment.words)
    content = {"noun", "alone", "beside", "garment", "neutral", "whole", "more", "number", "elsewhere", *LOOKS}
    if not token.senses or content & set(token.senses) or ("place" in token and segment.aside >= 0):
        segment.words.append(token)


def _wishes(segments: Sequence[_Segment], garment: str) -> Iterator[Wish]:
    target: tuple[Token, ...] = ()
    waiting: list[Token] = []  # modifiers whose noun comes later
    negated = False
    for n, segment in enumerate(segments):
        if not segment:
            continue
        follows = segments[n + 1] if n + 1 < len(segments) else None
        if segment.verb or segment.join in (".", "but"):
            target = ()
        nouns, modifiers = _sorted(segment)
        negated = _is_negated(segments, n, negated, bool(modifiers))
        if segment.verb == "change" and not negated:
            yield from _changed(segment, follows, garment)
            if segment.to < 0 and follows is not None and follows.join == "with":
                follows.verb = follows.verb or "add"
            target = nouns
            continue
        if negated:
            if any(word.text in _PATTERNS for word in segment.of("neutral")):
                modifiers += (Token("pattern", {"print": None}),)
            yield Wish(nouns, modifiers, removed=True, definite=segment.definite, text=segment.text)
            continue
        if segment.foreign:
            yield Wish((), modifiers, text=segment.text, foreign=segment.foreign)
            target = ()
            continue
        if not nouns and not segment.garments and not segment.of("whole") and not segment.of("neutral"):
            if _goes_with_next(segment, follows):
                waiting += modifiers
                continue
            yield Wish(target, (*waiting, *modifiers), definite=bool(target) or segment.definite, text=segment.text)
            waiting = []
            continue
        shared = _shared(segments, n, nouns, modifiers)
        if segment.garments and nouns:
            yield from _compound(segment, nouns, (*waiting, *modifiers))
        else:
            yield Wish(nouns, (*waiting, *modifiers, *shared), definite=segment.definite, text=segment.text)
        waiting = []
        # "the sleeves short and red" goes on about the sleeves, "short sleeves and red stripes" about the shirt.
        goes_on = nouns and not segment.garments and "noun" not in segment.words[-1]
        target = nouns if goes_on else ()


def _sorted(segment: _Segment) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
    """Returns the nouns and the modifiers; a noun after "on the" is a place where another stands before."""
    printed = bool(segment.of("print"))
    nouns: list[Token] = []
    modifiers: list[Token] = []
    for place, token in enumerate(segment.words):
        if "noun" in token and not ("neutral" in token and printed) and not _is_modifier(segment, place):
            if segment.aside >= 0 and place >= segment.aside and nouns:
                nouns[-1] = replace(nouns[-1], senses={**nouns[-1].senses, "at": token})
            else:
                nouns.append(token)
        elif any(kind in token for kind in _MODIFIERS):
            modifiers.append(token)
        elif "place" in token and segment.aside >= 0 and place >= segment.aside and nouns:
            nouns[-1] = replace(nouns[-1], senses={**nouns[-1].senses, "at": token})
    said = {word.text for word in segment.of("neutral")}
    if said & _COLOUR_NOUNS and not said & _CLOTH_NOUNS and not segment.of("print"):
        modifiers = [Token(word.text, {"picture": "colour"}) if "picture" in word else word for word in modifiers]
    return tuple(nouns), tuple(modifiers)


def _is_modifier(segment: _Segment, place: int) -> bool:
    """Returns whether a word that is a noun too stands before the noun that it describes ("flap pockets")."""
    token = segment.words[place]
    if not any(kind in token for kind in ("beside", "alone", *LOOKS)):
        return False
    others = segment.words[place + 1 :]
    if place == len(segment.words) - 1 and segment.aside < 0:
        others = segment.words[:place]  # "the sleeve should be elbow"
    names = {name for word in others if "noun" in word for name in word.senses["noun"]}
    return bool(names & set(token.senses.get("beside", {}))) or ("print" in token and not token.senses["noun"])


def _is_negated(segments: Sequence[_Segment], n: int, before: bool, modified: bool) -> bool:
    """Returns whether a segment asks for removal: "remove the collar, the cuffs", "no pockets, buttons or cuffs"."""
    segment = segments[n]
    if segment.negated:
        return True
    if not before or segment.verb or segment.join not in ("and", ",", "or"):
        return False
    first = next(other for other in reversed(segments[:n]) if other.negated)
    if segment.join == "or" or (segment.join == "," and any(other.join == "or" for other in segments[n + 1 : n + 4])):
        return True
    return not modified and not segment.indefinite and (first.removal or segment.join == "and")


def _goes_with_next(segment: _Segment, follows: _Segment | None) -> bool:
    """Returns whether colours that stand alone belong to what comes after the join: "red and white stripes"."""
    if follows is None or follows.join not in ("and", ",", "or") or follows.verb or follows.negated or follows.kept:
        return False
    looks = all(any(kind in word for kind in LOOKS) for word in segment.words)
    first = follows.words[0]
    return looks and "colour" in first and (bool(follows.of("print")) or (segment.article and not follows.article))


def _shared(
    segments: Sequence[_Segment], n: int, nouns: Sequence[Token], modifiers: Sequence[Token]
) -> tuple[Token, ...]:
    """Returns what a noun without a word of its own shares: "white collar and cuffs", "the collar and cuffs white"."""
    if modifiers or not nouns or segments[n].negated:
        return ()
    for m in (n + 1, n + 2):
        if m >= len(segments) or segments[m].join not in ("and", ",") or segments[m].verb or segments[m].negated:
            break
        words = segments[m].words
        last = max((k for k, word in enumerate(words) if "noun" in word), default=-1)
        after = tuple(word for word in words[last + 1 :] if any(kind in word for kind in _MODIFIERS))
        if after:
            return after
    if n and segments[n].join in ("and", ",") and not segments[n].verb:
        _, before = _sorted(segments[n - 1])
        alone = not segments[n].article or segments[n - 1].aside >= 0  # "a white collar and a belt": the belt is any
        return tuple(word for word in before if "picture" in word or (alone and any(kind in word for kind in LOOKS)))
    return ()


def _compound(segment: _Segment, nouns: tuple[Token, ...], modifiers: tuple[Token, ...]) -> Iterator[Wish]:
    """Yields the wishes of "a navy short sleeve shirt": words that fit the noun describe it, the others the shirt."""
    words = segment.words
    first = words.index(segment.garments[0])
    after = any("noun" in word for word in words[first + 1 :])
    names = {name for noun in nouns for name in noun.senses["noun"]}
    fits = tuple(word for word in modifiers if names & set(word.senses.get("beside", {})))
    if after:  # "the shirt's sleeves red", "the collar of the shirt white"
        yield Wish(nouns, modifiers, definite=segment.definite, text=segment.text)
        return
    if segment.definite or (segment.verb and not fits):
        yield Wish(nouns, modifiers, definite=segment.definite, text=segment.text)
        return
    if fits or any(word in segment.words for word in nouns):
        yield Wish(nouns, fits, text=segment.text)
    yield Wish((), tuple(word for word in modifiers if word not in fits), text=segment.text)


def _changed(segment: _Segment, follows: _Segment | None, garment: str) -> Iterator[Wish]:
    """Yields the wishes of "change X to Y" and "replace X with Y"."""
    if segment.to < 0:
        nouns, modifiers = _sorted(segment)
        if follows is not None and follows.join == "with" and not follows.verb:
            after_nouns, after = _sorted(follows)
            follows.words = []
            yield from _from_to(nouns, segment, after_nouns, after, follows.text or segment.text)
        else:
            yield Wish(nouns, modifiers, definite=True, text=segment.text)
        return
    before = replace(segment, words=segment.words[: segment.to], to=-1)
    later = replace(segment, words=segment.words[segment.to :], to=-1)
    nouns, _ = _sorted(before)
    after_nouns, after = _sorted(later)
    yield from _from_to(nouns, before, after_nouns, after, segment.text)


def _from_to(
    nouns: tuple[Token, ...], before: _Segment, after_nouns: tuple[Token, ...], after: tuple[Token, ...], text: str
) -> Iterator[Wish]:
    own = {name for noun in nouns for name in noun.senses["noun"]}
    if nouns and not after and all(own & set(word.senses.get("beside", {})) for word in after_nouns):
        after_nouns, after = (), (*after, *after_nouns)  # "change the cuffs to ruffles"
    if not after_nouns:
        yield Wish(nouns, after, definite=bool(nouns), text=text)
        return
    names = {name for noun in after_nouns for name in noun.senses["noun"]}
    gone = tuple(noun for noun in nouns if not names & set(noun.senses["noun"]))
    if gone:
        yield Wish(gone, (), removed=True, definite=True, text=before.text)
    yield Wish(after_nouns, after, text=text)
