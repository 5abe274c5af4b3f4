"""Draws designs with the control set's renderer; layers of earlier pictures are reused."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.synthetic.geometry import Points, coverage
from fashionedit.synthetic.layers import Button, Cloth, Ink, Layer, Tile
from fashionedit.synthetic.materials import COLOURS, Colour, Material, Palette, brightness
from fashionedit.synthetic.scene import Look, Scene, Studio
from fashionedit.synthetic.wardrobe import GARMENTS as WARDROBE

from .design import Design
from .prints import PrintedMaterial, Swatch

SIZE = (512, 768)
"""Width and height of every picture, pixels."""

MAX_TILE_BYTES = 400 * 2**20
"""The most bytes of layers that are kept for the next pictures."""


@dataclass(frozen=True)
class _Palette(Palette):
    """Colours by value: the control set's have names."""

    inks: tuple[Colour, Colour, Colour, Colour] = ((0, 0, 0),) * 4

    def rgb(self, part: str) -> Colour:
        return self.inks[("base", "second", "third", "fourth").index("second" if part == "trim" else part)]


@dataclass(frozen=True)
class _Look(Look):
    """A look in which the design makes every choice that the renderer draws by chance."""

    drawn: Design | None = None

    @property
    def _of(self) -> Design:
        assert self.drawn is not None
        return self.drawn

    def vary(self, low: float, high: float, *name: object) -> float:
        features = self._of.features
        if name == ("flare",) and self.kind == "Dress":
            return {"straight": 22.0, "A-line": 82.0}.get(features["shape"], 122.0)
        if name == ("lapel",):
            return {"narrow": 0.80, "wide": 1.18}.get(features["lapel width"], 1.0)
        if name == ("fronts",):
            return 0.0
        return super().vary(low, high, *name)

    def pick(self, values: Sequence[str], *name: object) -> str:
        shape = self._of.features.get("shape", "")
        return shape if name == ("cut",) else super().pick(values, *name)

    @property
    def base(self) -> Colour:
        """A sign on a badge, a line on a label: clear against the trim, whatever the cloth."""
        return COLOURS["ivory"] if brightness(self.trim) < 150 else COLOURS["ink"]

    @property
    def trim(self) -> Colour:
        """Colour of what is embroidered, printed or pinned on."""
        decoration = self._of.parts.get("decoration")
        return decoration.colour if decoration else self._of.trim

    def plain(self, fabric: str | None = None) -> Material:
        return Material(self._of.cloth.colour, fabric or self.cloth.fabric)

    def contrast(self, fabric: str | None = None) -> Material:
        return Material(self._of.trim, fabric or self.cloth.fabric)

    @property
    def thread(self) -> Colour:
        return COLOURS["camel"] if self.cloth.fabric == "denim" else self._of.trim

    @property
    def buttons(self) -> tuple[Colour, str]:
        swatch = self._of.parts.get("buttons")
        colour = swatch.colour if swatch else _usual_buttons(self._of)
        return colour, "metal" if colour in METALS else "pearl" if brightness(colour) > 170 else "horn"


METALS: tuple[Colour, ...] = ((196, 160, 92), (190, 192, 196))
"""Brass and silver: buttons of these colours are metal domes."""


def _usual_buttons(design: Design) -> Colour:
    """Returns the colour of buttons by the garment alone: recolouring the cloth must not recolour them."""
    return {"blazer": COLOURS["chocolate"], "coat": COLOURS["black"]}.get(design.garment, COLOURS["ivory"])


_BODY = {"inside", "body", "front", "bodice", "leg", "back hem"}
_COLLAR = {"rib", "back rib", "stand", "neckband", "leaf", "collar", "facing", "lapel"}
_PART_OF = {
    **dict.fromkeys(_BODY, "body"),
    **dict.fromkeys(_COLLAR, "collar"),
    **dict.fromkeys(("sleeve", "puff", "band"), "sleeves"),
    **dict.fromkeys(("roll", "cuff", "cuff ruffle", "turn-up", "strap", "cuffs"), "cuffs"),
    **dict.fromkeys(("pocket", "lid", "flap", "welt"), "pockets"),
    **dict.fromkeys(("hem", "hem ruffle", "lace"), "hem"),
    **dict.fromkeys(("yoke", "tape", "piping"), "yoke"),
    **dict.fromkeys(("bands", "tier"), "bands"),
    **dict.fromkeys(("belt", "sash"), "belt"),
    **dict.fromkeys(("tail", "bow loop", "bow knot"), "bow"),
    **dict.fromkeys(("cord", "drawstring knot"), "drawstring"),
    **{name: name for name in ("placket", "chest stripe", "waistband", "side stripe", "storm flap", "lining", "skirt")},
    "elbow": "elbows",
    "knee": "knees",
    "frill": "frills",
    "epaulette": "epaulettes",
    "square": "pocket square",
    "belt loop": "belt",
    "waistband loop": "waistband",
}
"""The renderer's name of a piece, without its number → the part it belongs to."""

_ALIASES = {
    ("coat", "tail"): "belt",
    ("coat", "bow loop"): "belt",
    ("coat", "bow knot"): "belt",
    ("skirt", "skirt"): "body",
    ("skirt", "frill"): "body",
    ("dress", "back hem"): "skirt",
    ("trousers", "rib"): "hem",
    ("trousers", "turn-up"): "hem",
    ("t-shirt", "placket"): "collar",
}
_NUMBER = re.compile(r"( -?\d+(\.\d+)?)+$")


@lru_cache(maxsize=1024)
def _part(garment: str, piece: str) -> str | None:
    """Returns the part that a piece belongs to; None for labels, zips and the like, which no design changes."""
    base = _NUMBER.sub("", piece)
    if base == "loop":
        base = "bow loop" if piece.endswith(".0") else "belt loop" if piece == "loop" else "waistband loop"
    elif base == "knot":
        base = "drawstring knot" if garment == "trousers" else "bow knot"
    elif piece in ("leaf", "band"):
        return None
    return _ALIASES.get((garment, base), _PART_OF.get(base))


class _Scene(Scene):
    """A scene in which the design says what every part is made of."""

    def __init__(self, look: _Look, drawn: Design, features: dict[str, str], drop: float) -> None:
        super().__init__(look, features, drop)
        self._drawn = drawn

    def _material(self, piece: str, material: Material | None) -> Material | None:
        part = _part(self._drawn.garment, piece)
        swatch = self._drawn.parts.get(part) if part else None
        if swatch is None:
            return material
        return swatch.material(material.fabric if material else self.look.cloth.fabric)

    def cloth(self, outline: Points, name: str, material: Material | None = None, **options: Any) -> Cloth:
        return super().cloth(outline, name, self._material(name, material), **options)

    def inlay(
        self, piece: Cloth, within: Points, material: Material | None = None, *, tone: float = 1.0, name: str = "trim"
    ) -> None:
        super().inlay(piece, within, self._material(name, material), tone=tone, name=name)

    def ink(self, outlines: Points | Sequence[Points], colour: Colour, **options: Any) -> None:
        if options.get("over") is not None:
            options["over"] = self._drawn.swatch("body").colour
            if self._drawn.swatch("body").print is not None:
                options["over"] = None
        super().ink(outlines, colour, **options)

    def button(self, x: float, y: float, radius: float, colour: Colour | None = None, make: str | None = None) -> None:
        if make == "metal":  # an eyelet
            super().button(x, y, radius, colour, make)
        else:
            super().button(x, y, radius, *self.look.buttons)


def _renderer_features(design: Design) -> dict[str, str]:
    """Returns the design in the renderer's own attributes and values."""
    values = dict(design.features)
    if design.garment == "t-shirt":
        waist = {"badge": "patch"}
        pocket = {"one": "patch"}
        return values | {
            "sleeve end": values["cuffs"],
            "chest pocket": pocket.get(values["chest pockets"], values["chest pockets"]),
            "waist detail": waist.get(values["waist detail"], values["waist detail"]),
        }
    if design.garment == "shirt":
        pockets = {
            ("one", "patch"): "one",
            ("one", "flap"): "flap",
            ("two", "patch"): "two patch",
            ("two", "flap"): "two",
        }
        hidden = values["buttons"] == "none"
        short = values["sleeves"] in ("short", "elbow") and values["cuffs"] == "barrel"
        return values | {
            "chest pocket": pockets.get((values["chest pockets"], values["chest pocket style"]), "none"),
            "waist pockets": {"two": "patch"}.get(values["waist pockets"], "none"),
            "placket": "ruffled" if values["placket"] == "ruffled" else "fly" if hidden else "buttoned",
            "button count": "0" if hidden else values["buttons"],
            "cuffs": "plain" if short else values["cuffs"],
        }
    if design.garment == "blazer":
        return values | {"buttons": _rows(values), "waist": {"buckle": "self"}.get(values["belt"], "none")}
    if design.garment == "coat":
        closure = values["closure"]
        return values | {"closure": _rows(values) if closure == "buttons" else closure}
    if design.garment == "dress":
        return values | {
            "waist": {"none": "seam"}.get(values["belt"], values["belt"]),
            "bodice": {"none": "plain"}.get(values["bodice detail"], values["bodice detail"]),
            "skirt": {"none": "plain"}.get(values["skirt detail"], values["skirt detail"]),
        }
    if design.garment == "trousers":
        return values | {"hems": values["hem"]}
    return values


def _rows(values: dict[str, str]) -> str:
    count = 0 if values["buttons"] == "none" else int(values["buttons"])
    if values["front"] == "double":
        return f"double {count + count % 2}"
    return f"single {count}"


def _stage(design: Design) -> Scene:
    wardrobe = WARDROBE[design.kind.kind]
    features = _renderer_features(design)
    decoration = design.parts["decoration"].colour if "decoration" in design.parts else design.trim
    inks = (design.cloth.colour, decoration, COLOURS["mustard"], COLOURS["ivory"])
    palette = _Palette("", "", "", "", "", design.backdrop, inks)
    cloth = design.cloth.material(design.cloth.weave or "poplin")
    name = f"drawn {design.garment} {design.cut}"
    scene = _Scene(
        _Look(design.kind.kind, name, "WOMEN", palette, cloth, features, design), design, features, wardrobe.drop
    )
    wardrobe.draw(scene)
    return scene


_MARKER: Colour = (-999, -999, -999)
"""A colour that no design has, and that differs from each of its shades."""


def drawn_cloths(design: Design, part: str) -> list[Swatch]:
    """Returns the different cloths that the pieces of a part are drawn in, the one that is seen most first.

    Empty where the picture has no such part. Buttons and what is printed or embroidered have a colour alone.
    """
    before, after = (_stage(changed).layers for changed in (design, design.with_part(part, Swatch(_MARKER))))
    pieces = [piece for piece, marked in zip(before, after, strict=True) if _cloth(marked).colour == _MARKER]
    cloths = list(dict.fromkeys(map(_cloth, pieces)))
    if len(cloths) < 2:
        return cloths
    top = np.zeros(SIZE[::-1], int)  # of each pixel: 1 + the cloth of the piece on top
    for piece in pieces:
        if isinstance(piece, Cloth | Ink):
            top[_covered(piece)] = 1 + cloths.index(_cloth(piece))
    return sorted(cloths, key=lambda swatch: -int((top == 1 + cloths.index(swatch)).sum()))


def _cloth(layer: Layer) -> Swatch:
    if isinstance(layer, Cloth):
        material = layer.material
        mark = material.print if isinstance(material, PrintedMaterial) else None
        return Swatch(material.colour, material.fabric, mark)
    return Swatch(layer.colour if isinstance(layer, Ink | Button) else (0, 0, 0))


def _covered(piece: Cloth | Ink) -> NDArray[np.bool_]:
    """Returns which pixels a piece covers, shape (768, 512)."""
    parts = [outlines for outlines in (piece.outlines, piece.within) if outlines]
    covered: NDArray[np.bool_] = np.all([coverage(outlines, (0, 0, *SIZE)) > 127 for outlines in parts], axis=0)
    return covered


class _Tiles(OrderedDict[object, Tile]):
    """The tiles used last, within `MAX_TILE_BYTES`."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def get(self, key: object, default: Any = None) -> Any:
        if key not in self:
            return default
        self.move_to_end(key)
        return self[key]

    def __setitem__(self, key: object, tile: Tile) -> None:
        super().__setitem__(key, tile)
        self.bytes += tile.keep.nbytes + tile.add.nbytes
        while self.bytes > MAX_TILE_BYTES and len(self) > 1:
            _, old = self.popitem(last=False)
            self.bytes -= old.keep.nbytes + old.add.nbytes


class Drawer:
    """Draws designs; what two pictures share is drawn once. Thread-safe: one picture is drawn at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._studio = Studio()
        self._studio._tiles = _Tiles()

    def draw(self, design: Design) -> Image.Image:
        """Returns the picture of a design, 512 × 768: the same for the same design, whatever was drawn before."""
        with self._lock:
            canvas = self._studio.canvas(_stage(design))
        return Image.fromarray(np.clip(canvas + np.float32(0.5), 0, 255).astype(np.uint8))


_DRAWER = Drawer()


def draw(design: Design) -> Image.Image:
    """Returns the picture of a design, 512 × 768, mode RGB: the same for the same design, byte for byte."""
    return _DRAWER.draw(design)
