"""The garments that can be drawn: their features with all values, their parts, and the words for both.

In the tables a feature is its part, its nouns and its values: `_feature("hem", "hem, border:band", {"plain": "plain",
"band": "banded"})`. A noun that means a value names it after a colon ("with a border"). A value's words stand beside a
noun ("a plain hem"); words after `=` mean the value alone ("sleeveless"). Lengths, widths and numbers go from less to
more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .words import with_article


@dataclass(frozen=True)
class Feature:
    """One thing that may differ between two designs of a garment.

    Args:
        nouns: Noun → the value that it means without another word ("with a belt"); None where it means no value.
        values: Value → its words, separated by commas.
        default: The value of a design whose words don't name the feature.
        absent: The value of "no …", "without …"; None where the garment always has it.
        part: The part whose look changes with it.
    """

    nouns: Mapping[str, str | None]
    values: Mapping[str, str]
    default: str
    absent: str | None
    part: str

    @cached_property
    def beside(self) -> dict[str, str]:
        """Word beside a noun → value."""
        return {word: value for value, words in self.values.items() for word in _split(words) if word[0] != "="}

    @cached_property
    def alone(self) -> dict[str, str]:
        """Phrase that needs no noun → value."""
        return {word[1:]: value for value, words in self.values.items() for word in _split(words) if word[0] == "="}


def _split(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


@dataclass(frozen=True)
class Garment:
    """One kind of garment.

    Args:
        kind: The renderer's name.
        nouns: Its names; the first is the usual one.
        plural: Whether its name is a plural.
        features: Name → feature.
        parts: Part → its nouns.
        weaves: Word for a cloth ("cotton") → the weave that it means for this garment, where the weave has another
            name; "" → the usual weave.
        stripes: The direction of stripes whose words name none, degrees (0 across, 90 down).
    """

    kind: str
    nouns: tuple[str, ...]
    plural: bool
    features: Mapping[str, Feature]
    parts: Mapping[str, tuple[str, ...]]
    weaves: Mapping[str, str]
    stripes: int

    def one(self, words: str) -> str:
        """Returns words for one of it, such as its name, with the article: "a shirt", "a pair of trousers"."""
        return f"a pair of {words}" if self.plural else with_article(words)


def _feature(part: str, nouns: str, values: Mapping[str, str], *, default: str = "", absent: str = "") -> Feature:
    """Returns a feature that a design may lack; the default is the first value, and absent is "none" or the default."""
    default = default or next(iter(values))
    return Feature(_nouns(nouns), values, default, absent or ("none" if "none" in values else default), part)


def _always(part: str, nouns: str, values: Mapping[str, str], *, default: str = "") -> Feature:
    """Returns a feature that every design has, such as a length; the default is the first value."""
    return Feature(_nouns(nouns), values, default or next(iter(values)), None, part)


def _nouns(nouns: str) -> dict[str, str | None]:
    pairs = (noun.partition(":") for noun in _split(nouns))
    return {noun: value or None for noun, _, value in pairs}


def _garment(
    kind: str,
    nouns: str,
    *,
    features: Mapping[str, Feature],
    parts: Mapping[str, str],
    weaves: Mapping[str, str],
    stripes: int,
    plural: bool = False,
) -> Garment:
    part_nouns = {part: tuple(_split(words)) for part, words in parts.items()}
    return Garment(kind, tuple(_split(nouns)), plural, features, part_nouns, weaves, stripes)


def _sleeves(*values: str, default: str) -> Feature:
    return _feature("sleeves", "sleeve:long", {value: _SLEEVE_WORDS[value] for value in values}, default=default)


def _counts(*counts: str) -> dict[str, str]:
    return dict(zip(counts, counts, strict=True))


# fmt: off
_SLEEVE_WORDS = {
    "none": "=sleeveless",
    "cap": "cap, capped, =cap sleeved",
    "short": "short, =short sleeved",
    "elbow": "elbow length, elbow, half, half length, medium, mid length, =half sleeved",
    "three-quarter": "three quarter, three quarter length, 3 4, =three quarter sleeved",
    "bracelet": "bracelet, bracelet length, seven eighths",
    "long": "long, full, full length, wrist length, =long sleeved",
    "puff": "puff, puffed, puffy, gathered, =puff sleeved",
}
_SKIRT_LENGTHS = {
    "mini": "mini, short, thigh length, =mini, =thigh length",
    "knee": "knee length, medium, =knee length",
    "midi": "midi, long, calf length, =midi, =calf length, =mid length",
}
_HEM_NOUNS = (
    "hem, hemline, hem band:border, border:border, lace:lace, lace edging:lace, lace trim:lace, ruffle:ruffle, "
    "hem ruffle:ruffle, flounce:ruffle"
)
_HEMS = {
    "plain": "plain, straight",
    "border": "band, banded, contrast, bordered",
    "lace": "lace, lacy, scalloped",
    "ruffle": "ruffle, ruffled, frill, frilled, flounced",
}
_DECORATION = {"none": "", "spray": "embroidered, floral", "badge": "round"}
_EPAULETTES = _feature("epaulettes", "epaulette:epaulettes, shoulder strap:epaulettes, shoulder",
    {"plain": "plain", "epaulettes": "=military"})
_ELBOWS = _feature("elbows", "elbow patch:patches, elbow", {"plain": "plain", "patches": "patched"})
_BREASTED = _always("body", "front, breast",
    {"single": "single, =single breasted", "double": "double, =double breasted"})
_TOP_LENGTH = _always("body", "length, hem, hemline", {
    "cropped": "short, cropped, crop, waist length, =cropped, =crop",
    "regular": "regular, hip length, normal, medium",
    "long": "long, tunic length, =tunic length, =longline",
}, default="regular")
_CHEST_POCKETS = _feature("pockets", "chest pocket:one, breast pocket:one, pocket:one",
    {"none": "", "one": "1, single, left", "two": "2, both, pair"})

_T_SHIRT = _garment(
    "Tshirt", "t shirt, tshirt, tee, tee shirt, polo shirt, henley, top, jersey top",
    features={
        "neckline": _feature("collar", "neckline, neck, collar:polo", {
            "crew": "crew, round, high, plain, =crew neck, =crewneck, =round neck",
            "V": "v, v shaped, v shape, =v neck, =vneck",
            "scoop": "scoop, scooped, low, =scoop neck",
            "boat": "boat, bateau, wide, =boat neck, =bateau",
            "henley": "henley, =henley",
            "polo": "polo, =polo shirt, =polo neck",
        }),
        "sleeves": _sleeves("none", "cap", "short", "elbow", "three-quarter", "long", default="short"),
        "length": _TOP_LENGTH,
        "cuffs": _feature("cuffs", "cuff:band, sleeve end, sleeve hem, sleeve band:band", {
            "plain": "plain, stitched",
            "band": "band, banded, contrast",
            "tipped": "tipped, =tipping stripe, =tipped",
            "rolled": "rolled, rolled up, turned up, =rolled up, =roll up",
        }),
        "chest pockets": _CHEST_POCKETS,
        "graphic": _feature("decoration", "print:sun, graphic:sun, picture print:sun", {
            "none": "",
            "sun": "sun, =sun, =sunrise",
            "waves": "wave, =wave",
            "arch": "rainbow, arch, =rainbow",
            "mountain": "mountain, =mountain",
            "leaf": "leaf, leaves, =leaf print",
        }),
        "hem": _feature("hem", "hem, hemline, hem band:band, border:band, ruffle:ruffle, frill:ruffle", {
            "straight": "straight, plain",
            "band": "band, banded, contrast, bordered",
            "curved": "curved, rounded, shirt tail",
            "ruffle": "ruffle, ruffled, frill, frilled, gathered",
        }),
        "waist detail": _feature("decoration", "bow:bow, side bow:bow, badge:badge, patch:badge, label:label",
            {"none": "", "bow": "satin, =bow", "badge": "round, embroidered", "label": "woven"}),
        "shoulders": _feature("yoke", "shoulder tape:tape, tape:tape, yoke:yoke, shoulder",
            {"plain": "plain", "tape": "taped", "yoke": "contrast"}),
        "chest stripe": _feature("chest stripe", "chest stripe:one, chest band:one",
            {"none": "", "one": "1, single, bold", "two": "2, pair, double"}),
    },
    parts={
        "body": "body, front, torso",
        "sleeves": "sleeve, arm",
        "collar": "collar, neckline, neck, neck rib, neckband, binding",
        "cuffs": "cuff, sleeve end, sleeve hem, sleeve band",
        "pockets": "pocket, chest pocket, breast pocket",
        "hem": "hem, hem band, border, ruffle, frill",
        "yoke": "yoke, shoulder tape, tape, shoulder",
        "chest stripe": "chest stripe, chest band",
        "bow": "bow, side bow",
        "decoration": "print, graphic, badge, label, decoration",
        "buttons": "button",
    },
    weaves={"": "jersey", "cotton": "jersey"}, stripes=0,
)

_SHIRT = _garment(
    "Shirt", "shirt, blouse, button up, button down, dress shirt, button up shirt",
    features={
        "collar": _feature("collar", "collar:point, neck, neckline", {
            "point": "point, pointed, classic, long, =point collar",
            "spread": "spread, cutaway, wide, =cutaway collar",
            "band": "band, mandarin, stand, stand up, grandad, =mandarin collar, =band collar, =collarless",
            "club": "club, rounded, round, =club collar",
        }, absent="band"),
        "neckwear": _feature("bow", "bow:bow, bow tie:bow, tie:bow, neck bow:bow", {"none": "", "bow": "satin"}),
        "sleeves": _sleeves("none", "short", "elbow", "three-quarter", "bracelet", "long", default="long"),
        "cuffs": _feature("cuffs", "cuff:barrel, sleeve end", {
            "plain": "plain, stitched",
            "barrel": "barrel, buttoned, button",
            "rolled": "rolled, rolled up, turned up, =rolled up, =roll up",
            "ruffled": "ruffle, ruffled, frill, frilled",
        }, default="barrel", absent="plain"),
        "length": _TOP_LENGTH,
        "chest pockets": _CHEST_POCKETS,
        "chest pocket style": _feature("pockets", "chest pocket, breast pocket, pocket, pocket flap:flap",
            {"patch": "patch, patched, open", "flap": "flap, flapped, buttoned, =flap"}),
        "waist pockets": _feature("pockets",
            "waist pocket:two, hip pocket:two, front pocket:two, side pocket:two, lower pocket:two",
            {"none": "", "two": "2, patch, pair, both"}),
        "buttons": _feature("placket", "button:7, front button:7",
            {"none": "hidden, =fly front", **_counts("3", "4", "5", "6", "7", "8", "9", "10")}, default="7"),
        "placket": _feature("placket", "placket:plain, button band:plain, front, ruffle:ruffled, frill:ruffled",
            {"plain": "plain, stitched", "ruffled": "ruffle, ruffled, frill, frilled"}),
        "hem": _feature("hem", "hem, hemline, hem band:band, border:band", {
            "straight": "straight, plain",
            "curved": "curved, rounded, shirt tail",
            "band": "band, banded, contrast, bordered",
        }),
        "yoke": _feature("yoke", "yoke:contrast",
            {"plain": "plain", "contrast": "contrast", "western": "western, pointed, =western"}),
        "shoulders": _EPAULETTES,
        "elbows": _ELBOWS,
        "decoration": _feature("decoration", "embroidery:spray, spray:spray, badge:badge", _DECORATION),
    },
    parts={
        "body": "body, front, torso",
        "sleeves": "sleeve, arm",
        "collar": "collar, neckline, neck",
        "cuffs": "cuff, sleeve end",
        "pockets": "pocket, chest pocket, breast pocket, waist pocket, hip pocket, front pocket",
        "placket": "placket, button band",
        "hem": "hem, hem band, border",
        "yoke": "yoke, shoulder",
        "epaulettes": "epaulette, shoulder strap",
        "elbows": "elbow patch, elbow",
        "bow": "bow, bow tie, tie, neck bow",
        "frills": "ruffle, frill",
        "decoration": "embroidery, spray, badge, decoration",
        "buttons": "button",
    },
    weaves={"": "poplin", "cotton": "poplin", "knit": "pique"}, stripes=90,
)

_BLAZER = _garment(
    "Blazer", "blazer, jacket, suit jacket, sport coat, sports jacket",
    features={
        "lapels": _always("collar", "lapel:notch, collar:notch, revers:notch", {
            "notch": "notch, notched, =notch collar",
            "peak": "peak, peaked, pointed",
            "shawl": "shawl, rounded, smooth, =shawl collar, =tuxedo",
        }),
        "lapel width": _always("collar", "lapel, collar, revers",
            {"narrow": "narrow, slim, thin", "medium": "medium", "wide": "wide, broad, bold"}, default="medium"),
        "front": _BREASTED,
        "buttons": _feature("body", "button:2, front button:2",
            {"none": "", **_counts("1", "2", "3", "4", "6")}, default="2"),
        "length": _TOP_LENGTH,
        "hip pockets": _feature("pockets",
            "hip pocket:flap, pocket:flap, front pocket:flap, side pocket:flap, waist pocket:flap",
            {"none": "", "flap": "flap, flapped, 2", "patch": "patch, open"}, default="flap"),
        "chest pocket": _feature("pockets",
            "chest pocket:welt, breast pocket:welt, pocket square:square, handkerchief:square, crest:crest, "
            "badge:crest",
            {"none": "", "welt": "welt, plain, 1", "square": "", "crest": "round, embroidered"}, default="welt"),
        "ticket pocket": _feature("pockets", "ticket pocket:flap", {"none": "", "flap": "flap, small"}),
        "lapel flower": _feature("decoration",
            "lapel flower:rose, flower:rose, corsage:rose, fabric rose:rose, lapel rose:rose, boutonniere:rose",
            {"none": "", "rose": "fabric"}),
        "cuffs": _feature("cuffs", "cuff:buttons, cuff button:buttons, sleeve button:buttons, sleeve end", {
            "buttons": "buttoned, button",
            "plain": "plain",
            "turned": "turned back, turned, turned up, contrast",
        }, absent="plain"),
        "belt": _feature("belt", "belt:buckle", {"none": "unbelted", "buckle": "buckled, leather, =belted"}),
        "shoulders": _EPAULETTES,
        "elbows": _ELBOWS,
        "hem": _feature("hem", "hem, hemline, hem band:border, border:border",
            {"plain": "plain", "border": "band, banded, contrast, bordered"}),
    },
    parts={
        "body": "body, front, torso",
        "sleeves": "sleeve, arm",
        "collar": "collar, lapel, revers",
        "cuffs": "cuff, sleeve end",
        "pockets": "pocket, hip pocket, chest pocket, breast pocket, front pocket, side pocket, ticket pocket",
        "pocket square": "pocket square, handkerchief",
        "belt": "belt",
        "hem": "hem, hem band, border",
        "epaulettes": "epaulette, shoulder strap",
        "elbows": "elbow patch, elbow",
        "lining": "lining, inside",
        "decoration": "flower, lapel flower, corsage, fabric rose, crest, badge, decoration",
        "buttons": "button",
    },
    weaves={"": "twill", "cotton": "twill"}, stripes=90,
)

_COAT = _garment(
    "Coat", "coat, overcoat, trench coat, trench, winter coat, peacoat, duffle coat",
    features={
        "collar": _always("collar", "collar:notch, lapel:notch, revers:notch, neck", {
            "notch": "notch, notched, wide, =notch collar",
            "peak": "peak, peaked, pointed",
            "shawl": "shawl, smooth, =shawl collar",
            "fur": "fur, furry, shearling, fluffy, =fur collar",
            "funnel": "funnel, high, stand, stand up, =funnel neck",
            "round": "round, rounded, flat, peter pan",
        }),
        "front": _BREASTED,
        "closure": _feature("body", "toggle:toggles, zip:zip, zipper:zip, fastening, closure, button",
            {"buttons": "button, buttoned", "toggles": "toggle, =duffle", "zip": "zip, zipped, zipper"}),
        "buttons": _feature("body", "button:3, front button:3",
            {"none": "", **_counts("1", "2", "3", "4", "6", "8")}, default="3"),
        "length": _always("body", "length, hem, hemline", {
            "hip": "hip length, short, cropped, =hip length, =cropped",
            "thigh": "thigh length, medium, mid length, =thigh length, =mid length",
            "knee": "knee length, long, =knee length, =longline",
        }, default="knee"),
        "pockets": _feature("pockets",
            "pocket:flap, hip pocket:flap, side pocket:welt, front pocket:flap, waist pocket:flap", {
            "none": "",
            "flap": "flap, flapped, 2",
            "welt": "welt, slanted, slant",
            "patch": "patch, open, large",
        }, default="flap"),
        "chest": _feature("body",
            "storm flap:storm flap, gun flap:storm flap, chest pocket:welt, breast pocket:welt, flower:rose, "
            "corsage:rose, fabric rose:rose, chest",
            {"none": "plain", "storm flap": "", "welt": "welt, 1", "rose": ""}),
        "belt": _feature("belt", "belt:buckle, sash:tied",
            {"none": "unbelted", "buckle": "buckled, leather, =belted", "tied": "tied, sash, knotted"}),
        "shoulders": _EPAULETTES,
        "cuffs": _feature("cuffs", "cuff:turned, sleeve end, cuff strap:strap, sleeve strap:strap", {
            "plain": "plain",
            "strap": "strap, strapped, buttoned",
            "turned": "turned back, turned, turned up, contrast",
            "fur": "fur, furry, shearling, fluffy",
        }),
        "hem": _feature("hem", "hem, hemline, hem band:border, border:border, fringe:fringe", {
            "plain": "plain",
            "border": "band, banded, contrast, bordered",
            "fur": "fur, furry, shearling, fluffy",
            "fringe": "fringed",
        }),
    },
    parts={
        "body": "body, front, torso",
        "sleeves": "sleeve, arm",
        "collar": "collar, lapel, revers",
        "cuffs": "cuff, sleeve end, cuff strap, sleeve strap",
        "pockets": "pocket, hip pocket, side pocket, front pocket, chest pocket, breast pocket",
        "storm flap": "storm flap, gun flap",
        "belt": "belt, sash",
        "hem": "hem, hem band, border",
        "epaulettes": "epaulette, shoulder strap",
        "lining": "lining, inside",
        "decoration": "flower, corsage, fabric rose, fringe, decoration",
        "buttons": "button",
    },
    weaves={"": "wool", "cotton": "twill"}, stripes=90,
)

_DRESS = _garment(
    "Dress", "dress, frock, gown, sundress, summer dress",
    features={
        "neckline": _feature("collar", "neckline, neck, collar:collar", {
            "V": "v, v shaped, v shape, deep, =v neck, =vneck",
            "scoop": "scoop, scooped, low, round, =scoop neck, =round neck",
            "square": "square, =square neck",
            "boat": "boat, bateau, wide, high, =boat neck, =bateau",
            "collar": "peter pan, =peter pan collar",
        }, default="scoop"),
        "sleeves": _sleeves("none", "cap", "short", "elbow", "three-quarter", "long", "puff", default="short"),
        "length": _always("skirt", "length, hem, hemline, skirt", _SKIRT_LENGTHS, default="knee"),
        "shape": _always("skirt", "shape, cut, skirt", {
            "straight": "straight, narrow, slim, =sheath, =pencil",
            "A-line": "a line, =a line",
            "full": "full, flared, wide, swing, =fit and flare, =flared, =skater",
        }, default="A-line"),
        "belt": _feature("belt", "belt:belt, sash:sash, waist bow:bow, waist, waist sash:sash",
            {"none": "plain, unbelted", "sash": "sash, satin", "belt": "belt, buckled, leather, =belted", "bow": ""}),
        "hem": _feature("hem", _HEM_NOUNS, _HEMS),
        "buttons": _feature("buttons", "button:bodice, front button:bodice, bodice button:bodice, skirt button:skirt",
            {"none": "", "bodice": "", "skirt": ""}),
        "pockets": _feature("pockets", "pocket:patch, skirt pocket:patch", {"none": "", "patch": "patch, 2, pair"}),
        "bodice detail": _feature("decoration",
            "flower:corsage, corsage:corsage, fabric rose:corsage, frill:frill, bodice frill:frill, bow:bow, "
            "chest bow:bow, bodice bow:bow, bodice",
            {"none": "plain", "corsage": "", "frill": "frilled, ruffled", "bow": ""}),
        "skirt detail": _feature("bands", "skirt band:bands, tier:tier, band:bands",
            {"none": "", "bands": "2", "tier": "tiered, =tiered"}),
        "embroidery": _feature("decoration", "embroidery:spray, spray:spray",
            {"none": "", "spray": "floral, embroidered"}),
    },
    parts={
        "body": "bodice, body, top, upper part, torso",
        "skirt": "skirt, lower part, bottom",
        "sleeves": "sleeve, arm",
        "collar": "collar, peter pan collar",
        "pockets": "pocket, skirt pocket",
        "belt": "belt, sash, waist sash",
        "bow": "bow, waist bow, chest bow, bodice bow",
        "hem": "hem, hem band, border, lace, lace edging, lace trim, ruffle, hem ruffle, flounce",
        "bands": "band, skirt band, tier",
        "frills": "frill, bodice frill",
        "decoration": "flower, corsage, fabric rose, embroidery, spray, decoration",
        "buttons": "button",
    },
    weaves={"": "poplin", "cotton": "poplin"}, stripes=0,
)

_SKIRT = _garment(
    "Skirt", "skirt",
    features={
        "shape": _always("body", "shape, cut", {
            "straight": "straight, narrow, slim, =pencil, =straight",
            "A-line": "a line, =a line",
            "flared": "flared, full, wide, =flared, =circle, =skater",
            "pleated": "pleated, =pleated",
        }, default="A-line"),
        "length": _always("body", "length, hem, hemline", {
            "mini": "mini, short, thigh length, =mini, =thigh length",
            "knee": "knee length, medium, =knee length",
            "midi": "midi, long, calf length, =midi, =calf length, =mid length",
        }, default="knee"),
        "waistband": _always("waistband", "waistband:plain, waist", {
            "plain": "plain, narrow, thin",
            "wide": "wide, broad, high",
            "elastic": "elastic, elasticated, gathered, stretchy",
            "corset": "corset, laced, lace up",
        }),
        "waist detail": _feature("belt", "belt:belt, bow:bow, waist bow:bow",
            {"none": "", "belt": "leather, buckled, =belted", "bow": "satin"}),
        "front": _feature("placket", "button:buttons, front button:buttons, zip:zip, zipper:zip, front, wrap:wrap",
            {"plain": "plain", "buttons": "buttoned", "zip": "zipped", "wrap": "wrap, wrapped, =wrap, =wrap around"}),
        "pockets": _feature("pockets", "pocket:patch, front pocket:patch, side pocket:slant",
            {"none": "", "patch": "patch, 2, open", "flap": "flap, flapped", "slant": "slant, slanted, diagonal"}),
        "hem": _feature("hem", _HEM_NOUNS + ", fringe:fringe", {**_HEMS, "fringe": "fringed"}),
        "bands": _feature("bands", "band:two, tier:tier", {"none": "", "two": "2", "tier": "tiered, =tiered"}),
        "decoration": _feature("decoration", "embroidery:spray, spray:spray, badge:badge, label:label",
            {**_DECORATION, "label": "woven"}),
        "slit": _feature("body", "slit:side, side slit:side, split:side", {"none": "", "side": "1"}),
    },
    parts={
        "body": "body, front",
        "waistband": "waistband, waist",
        "belt": "belt",
        "bow": "bow, waist bow",
        "placket": "placket, button band",
        "pockets": "pocket, front pocket, side pocket",
        "hem": "hem, hem band, border, lace, lace edging, lace trim, ruffle, hem ruffle, flounce",
        "bands": "band, tier",
        "decoration": "embroidery, spray, badge, label, fringe, decoration",
        "buttons": "button",
    },
    weaves={"": "twill", "cotton": "poplin"}, stripes=90,
)

_TROUSERS = _garment(
    "Trousers", "trousers, pants, jeans, slacks, chinos, leggings",
    features={
        "shape": _always("body", "shape, cut, leg, fit", {
            "slim": "slim, skinny, narrow, tapered, =skinny, =slim",
            "straight": "straight, regular, =straight",
            "wide": "wide, loose, flared, =wide, =flared, =loose",
        }, default="straight"),
        "length": _always("body", "length, leg, hem", {
            "short": "short, =shorts, =short",
            "knee": "knee length, =knee length, =bermuda",
            "calf": "calf length, three quarter, =calf length, =capri",
            "ankle": "ankle length, cropped, =ankle length, =cropped, =seven eighths",
            "full": "full length, long, full, =full length, =long",
        }, default="full"),
        "waistband": _always("waistband", "waistband:button, waist",
            {"button": "plain, buttoned", "elastic": "elastic, elasticated, gathered, stretchy"}),
        "waist detail": _feature("belt", "belt:belt, drawstring:drawstring, cord:drawstring",
            {"none": "", "belt": "leather, buckled, =belted", "drawstring": "tied"}),
        "front pockets": _feature("pockets", "pocket:slant, front pocket:slant, side pocket:slant, hip pocket:slant", {
            "none": "",
            "slant": "slant, slanted, diagonal, 2",
            "patch": "patch",
            "zip": "zip, zipped, zippered",
        }, default="slant"),
        "leg pockets": _feature("pockets", "cargo pocket:cargo, leg pocket:cargo, thigh pocket:cargo",
            {"none": "", "cargo": "cargo, patch, 2, =cargo", "flap": "flap, flapped"}),
        "knees": _feature("knees", "knee patch:patches, knee, knee panel:quilted",
            {"plain": "plain", "patches": "patched", "quilted": "quilted"}),
        "side stripe": _feature("side stripe", "side stripe:one", {"none": "", "one": "1"}),
        "hem": _feature("hem", "hem, leg hem, turn up:turn-up, hem band:band, border:band, cuff:turn-up", {
            "plain": "plain, stitched",
            "turn-up": "turned up, =turned up",
            "band": "band, banded, contrast",
            "ribbed": "rib, ribbed",
            "zip": "zipped, zip",
        }),
        "fly": _feature("buttons", "fly:plain, fly button:buttons, button fly:buttons, button:buttons",
            {"plain": "plain, stitched, zip", "buttons": "button, buttoned"}),
        "decoration": _feature("decoration", "embroidery:spray, spray:spray, badge:badge, label:label",
            {**_DECORATION, "label": "woven"}),
    },
    parts={
        "body": "leg, body",
        "waistband": "waistband, waist",
        "belt": "belt",
        "drawstring": "drawstring, cord",
        "pockets": "pocket, front pocket, side pocket, cargo pocket, leg pocket, thigh pocket",
        "knees": "knee patch, knee, knee panel",
        "side stripe": "side stripe",
        "hem": "hem, leg hem, turn up, hem band, border, cuff",
        "decoration": "embroidery, spray, badge, label, decoration",
        "buttons": "button, fly button",
    },
    weaves={"": "twill", "cotton": "twill"}, stripes=90, plural=True,
)
# fmt: on

GARMENTS: dict[str, Garment] = {
    "t-shirt": _T_SHIRT,
    "shirt": _SHIRT,
    "blazer": _BLAZER,
    "coat": _COAT,
    "dress": _DRESS,
    "skirt": _SKIRT,
    "trousers": _TROUSERS,
}
"""Every garment by its usual name."""

SHOWN_BY: dict[str, dict[str, tuple[str, str]]] = {
    "t-shirt": {
        "hem": ("hem", "band"), "cuffs": ("cuffs", "band"), "yoke": ("shoulders", "yoke"),
        "chest stripe": ("chest stripe", "one"), "pockets": ("chest pockets", "one"), "bow": ("waist detail", "bow"),
    },
    "shirt": {
        "hem": ("hem", "band"), "yoke": ("yoke", "contrast"), "pockets": ("chest pockets", "one"),
        "epaulettes": ("shoulders", "epaulettes"), "elbows": ("elbows", "patches"), "bow": ("neckwear", "bow"),
        "frills": ("placket", "ruffled"), "decoration": ("decoration", "spray"), "buttons": ("buttons", "7"),
    },
    "blazer": {
        "hem": ("hem", "border"), "cuffs": ("cuffs", "turned"), "pockets": ("hip pockets", "flap"),
        "pocket square": ("chest pocket", "square"), "belt": ("belt", "buckle"), "elbows": ("elbows", "patches"),
        "epaulettes": ("shoulders", "epaulettes"), "decoration": ("lapel flower", "rose"), "buttons": ("buttons", "2"),
    },
    "coat": {
        "hem": ("hem", "border"), "cuffs": ("cuffs", "turned"), "pockets": ("pockets", "flap"),
        "belt": ("belt", "buckle"), "epaulettes": ("shoulders", "epaulettes"), "storm flap": ("chest", "storm flap"),
        "decoration": ("chest", "rose"), "buttons": ("buttons", "3"),
    },
    "dress": {
        "collar": ("neckline", "collar"), "hem": ("hem", "border"), "pockets": ("pockets", "patch"),
        "belt": ("belt", "sash"), "bow": ("bodice detail", "bow"), "bands": ("skirt detail", "bands"),
        "frills": ("bodice detail", "frill"), "decoration": ("bodice detail", "corsage"),
        "buttons": ("buttons", "bodice"),
    },
    "skirt": {
        "hem": ("hem", "border"), "belt": ("waist detail", "belt"), "bow": ("waist detail", "bow"),
        "placket": ("front", "buttons"), "pockets": ("pockets", "patch"), "bands": ("bands", "two"),
        "decoration": ("decoration", "spray"), "buttons": ("front", "buttons"),
    },
    "trousers": {
        "hem": ("hem", "band"), "belt": ("waist detail", "belt"), "drawstring": ("waist detail", "drawstring"),
        "knees": ("knees", "patches"), "side stripe": ("side stripe", "one"), "decoration": ("decoration", "badge"),
        "pockets": ("front pockets", "patch"), "buttons": ("fly", "buttons"),
    },
}  # fmt: skip
"""Garment → part → the feature and the value that add it where a design lacks it."""

UNPAINTED: dict[tuple[str, str], tuple[str, ...]] = {
    ("t-shirt", "hem"): ("straight", "curved"),
    ("shirt", "hem"): ("straight", "curved"),
    ("blazer", "cuffs"): ("plain", "buttons"),
    ("skirt", "pockets"): ("none", "slant"),
    ("trousers", "front pockets"): ("none", "slant", "zip"),
    ("trousers", "hem"): ("plain", "zip"),
}
"""Values of a feature of `SHOWN_BY` that show no cloth of their own, besides the absent one."""
