"""The words for colours, prints, cloth and sizes, and those that only build sentences."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from fashionedit.synthetic.materials import COLOURS as RENDERER_COLOURS
from fashionedit.synthetic.materials import Colour

COLOURS: dict[str, Colour] = {
    **RENDERER_COLOURS,
    "blue": (56, 98, 178),
    "green": (52, 124, 78),
    "yellow": (238, 206, 84),
    "orange": (226, 128, 52),
    "pink": (232, 156, 176),
    "purple": (114, 66, 142),
    "brown": (112, 76, 52),
    "beige": (222, 206, 176),
    "khaki": (156, 142, 102),
    "turquoise": (66, 176, 176),
    "mint": (178, 218, 194),
    "magenta": (186, 42, 126),
    "peach": (244, 198, 164),
    "salmon": (238, 142, 124),
    "lime": (168, 206, 74),
    "violet": (134, 92, 178),
    "gold": (196, 160, 92),
    "silver": (190, 192, 196),
    "crimson": (164, 30, 54),
    "scarlet": (206, 42, 40),
    "aqua": (128, 208, 214),
    "copper": (176, 108, 72),
    "light blue": (164, 196, 222),
    "dark blue": (38, 50, 84),
    "light green": (170, 206, 160),
    "dark green": (44, 76, 62),
    "dark red": (124, 28, 40),
    "light grey": (196, 196, 196),
    "dark grey": (76, 78, 84),
    "hot pink": (226, 70, 138),
    "royal blue": (42, 76, 164),
}
"""Every colour by name: red, green, blue, 0..255."""

COLOUR_SYNONYMS = {
    "off white": "ivory", "cream": "ivory", "ecru": "ivory", "cream coloured": "ivory", "wine": "burgundy",
    "maroon": "burgundy", "bordeaux": "burgundy", "claret": "burgundy", "lavender": "lilac", "mauve": "lilac",
    "tan": "camel", "cognac": "camel", "sky blue": "sky", "baby blue": "sky", "pale blue": "sky", "navy blue": "navy",
    "midnight blue": "ink", "midnight": "ink", "bottle green": "forest", "forest green": "forest",
    "olive green": "olive", "sage green": "sage", "emerald green": "emerald", "cobalt blue": "cobalt",
    "cornflower blue": "cornflower", "petrol": "teal", "petrol blue": "teal", "ice blue": "ice",
    "anthracite": "charcoal",
    "dusty pink": "rose", "dusty rose": "rose", "old rose": "rose", "fuchsia": "magenta", "aubergine": "plum",
    "eggplant": "plum", "lemon": "butter", "golden": "gold", "brass": "gold", "silvery": "silver", "steel": "silver",
    "metal": "silver", "pearl": "ivory", "mother of pearl": "ivory", "horn": "chocolate", "wooden": "tobacco",
    "wood": "tobacco", "apricot": "peach", "chestnut": "tobacco", "mocha": "chocolate", "stone": "oatmeal",
    "jet black": "black", "snow white": "white", "bright red": "scarlet", "lime green": "lime", "mint green": "mint",
    "bluish": "blue", "reddish": "red", "greenish": "green", "indigo blue": "indigo", "rust red": "rust",
    "light pink": "blush", "pale pink": "blush", "dark brown": "chocolate", "mustard yellow": "mustard",
}  # fmt: skip
"""Other words for these colours."""

SHADES = {"light": 0.42, "pale": 0.48, "pastel": 0.50, "soft": 0.3, "dark": -0.38, "deep": -0.30}
"""Words before a colour: the share of white (above 0) or black (below 0) that is mixed in."""


@dataclass(frozen=True)
class PrintWord:
    """A print that a word means: its kind, and the values that the word sets; None leaves a value to other words.

    `noun` words ("stripes") take the colours beside them as their ink; the others ("striped") leave them to the cloth.
    """

    kind: str
    noun: bool = True
    scale: float | None = None
    share: float | None = None
    angle: int | None = None


PRINT_WORDS: dict[str, PrintWord] = {
    "stripe": PrintWord("stripes"),
    "striped": PrintWord("stripes", noun=False),
    "stripy": PrintWord("stripes", noun=False),
    "stripey": PrintWord("stripes", noun=False),
    "breton": PrintWord("stripes", noun=False, scale=25, share=0.40, angle=0),
    "breton stripe": PrintWord("stripes", scale=25, share=0.40, angle=0),
    "pinstripe": PrintWord("stripes", scale=17, share=0.10, angle=90),
    "pinstriped": PrintWord("stripes", noun=False, scale=17, share=0.10, angle=90),
    "block stripe": PrintWord("stripes", scale=56, share=0.5),
    "candy stripe": PrintWord("stripes", scale=14, share=0.5, angle=90),
    "check": PrintWord("check"),
    "checked": PrintWord("check", noun=False),
    "checkered": PrintWord("check", noun=False),
    "chequered": PrintWord("check", noun=False),
    "gingham": PrintWord("check"),
    "vichy": PrintWord("check"),
    "gingham check": PrintWord("check"),
    "buffalo check": PrintWord("check", scale=52),
    "windowpane": PrintWord("windowpane"),
    "windowpane check": PrintWord("windowpane"),
    "tartan": PrintWord("tartan", noun=False),
    "plaid": PrintWord("tartan", noun=False),
    "dot": PrintWord("dots"),
    "spot": PrintWord("dots"),
    "polka dot": PrintWord("dots"),
    "dotted": PrintWord("dots", noun=False),
    "spotted": PrintWord("dots", noun=False),
    "spotty": PrintWord("dots", noun=False),
    "pin dot": PrintWord("dots", scale=15, share=0.35),
    "floral": PrintWord("floral", noun=False),
    "flower": PrintWord("floral"),
    "flowery": PrintWord("floral", noun=False),
    "flowered": PrintWord("floral", noun=False),
    "blossom": PrintWord("floral"),
    "ditsy": PrintWord("floral", noun=False, scale=38),
    "chevron": PrintWord("chevron"),
    "zigzag": PrintWord("chevron"),
    "zig zag": PrintWord("chevron"),
    "houndstooth": PrintWord("houndstooth", noun=False),
    "dogtooth": PrintWord("houndstooth", noun=False),
}
"""Every word for a print."""

PLAIN_WORDS = ("plain", "solid", "unpatterned", "uni", "plain coloured", "solid coloured", "one coloured")
"""Words for cloth without a print."""

WEAVES = {
    "cotton": "cotton", "poplin": "poplin", "jersey": "jersey", "pique": "pique", "oxford": "oxford", "linen": "linen",
    "twill": "twill", "denim": "denim", "wool": "wool", "woollen": "wool", "woolen": "wool", "woolly": "wool",
    "herringbone": "herringbone", "tweed": "herringbone", "boucle": "boucle", "shearling": "shearling",
    "fur": "shearling", "furry": "shearling", "fleece": "shearling", "fluffy": "shearling", "corduroy": "corduroy",
    "cord": "corduroy", "satin": "satin", "silk": "satin", "silky": "satin", "shiny": "satin", "chiffon": "chiffon",
    "knit": "knit", "knitted": "knit", "rib": "rib", "ribbed": "rib",
}  # fmt: skip
"""Every word for cloth and its weave; "cotton", "knit" and "twill" differ by garment."""

SIZES = {
    "thin": "thin", "fine": "thin", "narrow": "thin", "slim": "thin", "skinny": "thin", "delicate": "thin",
    "thick": "wide", "bold": "wide", "wide": "wide", "broad": "wide", "fat": "wide", "chunky": "wide",
    "small": "small", "tiny": "small", "little": "small", "mini": "small", "minute": "small",
    "large": "large", "big": "large", "huge": "large", "giant": "large", "oversized": "large",
    "medium": "medium", "normal": "medium", "regular": "medium",
}  # fmt: skip
"""Words for the size of a print."""

DIRECTIONS = {
    "horizontal": 0, "crosswise": 0, "sideway": 0, "vertical": 90, "upright": 90, "lengthwise": 90, "diagonal": 45,
    "slanted": 45, "slanting": 45, "bias": 45,
}  # fmt: skip
"""Words for the direction of a print, degrees."""

COMPARATIVES = {
    "longer": ("length", 1), "shorter": ("length", -1), "wider": ("width", 1), "broader": ("width", 1),
    "thicker": ("width", 1), "bolder": ("width", 1), "narrower": ("width", -1), "thinner": ("width", -1),
    "slimmer": ("width", -1), "finer": ("width", -1), "bigger": ("size", 1), "larger": ("size", 1),
    "smaller": ("size", -1), "tinier": ("size", -1), "more": ("count", 1), "additional": ("count", 1),
    "extra": ("count", 1), "another": ("count", 1), "fewer": ("count", -1), "less": ("count", -1),
    "lighter": ("shade", 1), "paler": ("shade", 1), "brighter": ("shade", 1), "darker": ("shade", -1),
    "deeper": ("shade", -1), "lengthen": ("length", 1), "shorten": ("length", -1), "widen": ("width", 1),
    "enlarge": ("size", 1), "lighten": ("shade", 1), "darken": ("shade", -1),
}  # fmt: skip
"""Words for more or less of something that is there."""

NUMBERS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "pair": "2", "couple": "2", "both": "2",
    "single": "1", "half dozen": "6",
}  # fmt: skip
"""Numbers in words."""

NEGATIONS = (
    "no", "not", "without", "remove", "delete", "drop", "lose", "minus", "omit", "erase", "take off", "take away",
    "get rid", "leave out", "leave off", "nor", "never", "lacking", "strip", "removed", "minus any", "free of",
)  # fmt: skip
"""Words that ask for the absence of what follows."""

KEEPS = (
    "keep", "leave", "retain", "preserve", "do not change", "do not touch", "do not alter", "not change", "except",
    "apart from", "other than", "but not", "not the", "save for", "excluding",
)  # fmt: skip
"""Words that ask for what follows to stay as it is."""

CHANGES = ("change", "replace", "swap", "turn", "exchange", "convert", "switch", "transform", "substitute")
"""Verbs after which "to", "into" or "with" leads from what is there to what is wanted."""

VERBS = (
    "make", "add", "put", "give", "set", "dye", "colour", "paint", "use", "apply", "draw", "sew", "attach", "recolour",
    "get", "cover", "cut", "design", "create", "show", "try", "place",
)  # fmt: skip
"""Other verbs of a request."""

NEUTRAL = (
    "colour", "pattern", "fabric", "material", "cloth", "textile", "weave", "texture", "shade", "hue", "motif", "style",
    "tone", "coloured", "patterned", "printed", "dyed", "made", "look", "design", "type", "kind", "version", "shape",
    "shaped", "size", "sized", "print",
)  # fmt: skip
"""Nouns that say of a colour or print what it is; "the pattern" alone is the whole garment's."""

WHOLE = (
    "it",
    "everything",
    "whole",
    "entire",
    "all",
    "garment",
    "piece",
    "them",
    "thing",
    "outfit",
    "item",
    "rest",
    "remainder",
)
"""Words for the garment as a whole."""

PLACES = (
    "chest", "hip", "waist", "side", "bottom", "edge", "middle", "front", "shoulder", "neck", "hem", "lapel", "elbow",
    "knee", "skirt", "leg", "top", "centre", "breast", "thigh",
)  # fmt: skip
"""Where something may sit; a noun after "on" or "at" says where, not what."""

PREPOSITIONS = ("on", "at", "round", "around", "along", "down", "across", "over", "onto", "above", "near")
"""Words before a place."""

REFERENCES = (
    "picture", "image", "photo", "photograph", "reference", "sample", "example", "swatch", "detail", "crop",
    "sketch", "drawing", "shown", "as shown", "second", "first", "attached", "same", "as seen", "following",
    "description", "based", "edit",
)  # fmt: skip
"""Words that point at the picture that is shown with the sentence."""

FILLERS = (
    "a", "an", "the", "of", "to", "in", "for", "from", "is", "are", "be", "being", "was", "were", "should", "shall",
    "would", "could", "can", "will", "may", "must", "please", "i", "you", "we", "my", "your", "me", "us", "its",
    "their", "his", "her", "this", "that", "these", "those", "there", "have", "has", "having", "had", "do", "does",
    "some", "any", "each", "every", "as", "so", "too", "just", "only", "now", "instead", "into", "by", "up", "out",
    "ones", "one", "d", "s", "ll", "also", "then", "which", "who", "what", "or", "and", "with", "but", "plus", "than",
    "kindly", "want", "need", "maybe", "perhaps", "thank", "thanks", "hello", "hi", "rid", "like", "it", "here", "if",
    "set", "a bit", "a little bit", "slightly", "somewhat", "new", "go", "let", "lets", "off", "away", "at", "on",
    "both", "same", "way", "been", "such", "other", "love",
)  # fmt: skip
"""Words that only build a sentence."""

_SPELLINGS = {
    "color": "colour", "colors": "colour", "colored": "coloured", "recolor": "recolour", "gray": "grey",
    "center": "centre", "cannot": "can not",
    "miniskirt": "mini skirt", "minidress": "mini dress", "tees": "t shirt", "buttonless": "no button",
    "pocketless": "no pocket", "beltless": "no belt", "cuffless": "no cuff", "patternless": "no pattern",
    "fitandflare": "fit and flare", "flyfront": "fly front", "polkadot": "polka dot", "polkadots": "polka dot",
    "pinstripes": "pinstripe", "necked": "neck",
    "dont": "do not", "isnt": "is not", "leaves": "leaf",
    "scarves": "scarf", "patches": "patch", "dresses": "dress", "blouses": "blouse", "sashes": "sash",
    "cropt": "cropped", "zippers": "zipper", "bows": "bow", "ties": "tie", "trouser": "trousers", "pant": "pants",
    "jean": "jeans", "legging": "leggings", "midlength": "mid length", "kneelength": "knee length", "vneck": "v neck",
    "crewneck": "crew neck", "turnup": "turn up", "turnups": "turn up", "ups": "up",
}  # fmt: skip
_UNCHANGED = {"shorts", "trousers", "pants", "jeans", "leggings", "slacks", "chinos", "less", "ones", "its", "is",
              "this", "was", "as", "has", "does", "us", "his", "dress", "plus", "bias", "canvas", "thanks", "cross",
              "ladies", "lets", "across", "revers", "brass", "always"}  # fmt: skip

WORD = re.compile(r"[^\W\d_]+|\d+|[,;.:!?()]")
"""A word, a number or a mark that ends a part of a sentence."""


@lru_cache(maxsize=4096)
def stem(word: str) -> tuple[str, ...]:
    """Returns a word in the form of the tables: lower case, British, singular; some are two words."""
    if word in _SPELLINGS:
        return tuple(_SPELLINGS[word].split())
    if word in _UNCHANGED or len(word) < 4 or word.endswith(("ss", "less")):
        return (word,)
    if word.endswith("ies") and len(word) > 4:
        return (word[:-3] + "y",)
    if word.endswith(("shes", "ches", "xes")):
        return (word[:-2],)
    return (word[:-1],) if word.endswith("s") else (word,)


def split_words(text: str) -> list[str]:
    """Returns the words and marks of a text, lower case; hyphens and apostrophes divide words."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("&", " and ")
    return WORD.findall(plain.replace("can't", "can not").replace("won't", "will not").replace("n't", " not"))


_CONSONANT_SOUND = re.compile(r"one\b|once\b|eu|ew|u(ni|s[aeiu]|k)")


def with_article(words: str) -> str:
    """Returns words after the indefinite article that their first sound asks for.

    >>> with_article("ivory shirt"), with_article("navy shirt"), with_article("uniform")
    ('an ivory shirt', 'a navy shirt', 'a uniform')
    """
    lower = words.lower()
    vowel = lower.startswith(tuple("aeiou")) and not _CONSONANT_SOUND.match(lower)
    return f"{'an' if vowel else 'a'} {words}"


def phrase(words: str) -> tuple[str, ...]:
    """Returns a phrase of the tables as the stems that it is looked up by."""
    return tuple(part for word in split_words(words) for part in stem(word))
