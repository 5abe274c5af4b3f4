"""The T-shirt and the shirt."""

from __future__ import annotations

from .geometry import Panel, Point, Points, joined, mirrored, moved, points, rectangle, ribbon, through
from .layers import Cloth, Fold, Shadow
from .materials import COLOURS, Material
from .parts import Sleeve, falling, hem_band, radiating
from .scene import PEARL, Scene
from .trims import badge, bow, embroidery, graphic, label, neck_label, patch_pocket, ruffle

TSHIRT: dict[str, dict[str, str]] = {
    "neckline": {
        "crew": "Ribbed crew neckline that sits close to the neck",
        "V": "V-neckline with a narrow ribbed binding",
        "scoop": "Low, rounded scoop neckline",
        "boat": "Wide boat neckline from shoulder to shoulder",
        "henley": "Henley neckline with a three-button placket",
        "polo": "Polo collar with a buttoned placket",
    },
    "sleeves": {
        "cap": "Cap sleeves that just cover the shoulder",
        "short": "Short sleeves that end above the elbow",
        "elbow": "Elbow-length sleeves",
    },
    "sleeve end": {
        "plain": "Sleeves with a plain stitched hem",
        "band": "Sleeve hems finished with a wide {trim} band",
        "tipped": "Two {trim} tipping stripes round each sleeve",
        "rolled": "Rolled-up sleeve hems",
    },
    "chest pocket": {
        "none": "A clean chest without a pocket",
        "patch": "A patch pocket on the left chest",
        "contrast": "A {trim} contrast patch pocket on the left chest",
    },
    "graphic": {
        "none": "A plain front without a print",
        "sun": "A rising-sun print across the chest",
        "waves": "A print of three waves across the chest",
        "arch": "A rainbow-arch print across the chest",
        "mountain": "A mountain print across the chest",
        "leaf": "A leaf print across the chest",
    },
    "hem": {
        "straight": "A straight hem with twin-needle stitching",
        "band": "A {trim} contrast band along the hem",
        "curved": "A curved shirt-tail hem",
        "ruffle": "A gathered ruffle along the hem",
    },
    "waist detail": {
        "none": "A plain side seam at the waist",
        "bow": "A {trim} satin bow tied at the side",
        "patch": "A round embroidered badge near the hem",
        "label": "A woven {trim} label sewn on above the hem",
    },
    "shoulders": {
        "plain": "Plain shoulders",
        "tape": "{Trim} tape along both shoulders and down the sleeves",
        "yoke": "A {trim} contrast yoke across the shoulders",
    },
    "chest stripe": {
        "none": "No stripe across the body",
        "one": "One bold {trim} stripe across the body",
        "two": "Two {trim} stripes across the body",
    },
}


_LONGER = {"cropped": -104.0, "long": 62.0}
"""How much longer than in the control set a top is, in pixels, where its design tells a length."""


def draw_tshirt(scene: Scene) -> None:
    """Draws the T-shirt."""
    look, design = scene.look, scene.design
    wide, deep = look.vary(-6, 10, "width"), look.vary(-22, 16, "length")
    deep += _LONGER.get(design.get("length", ""), 0.0)
    shoulder, armpit, hem = (120 + wide * 0.6, 146.0), (144.0 + wide, 276.0), 590.0 + deep
    side = through(armpit, (144 + wide, 390), (146 + wide + look.vary(-6, 6, "flare"), hem))
    neck = _tshirt_neck(design["neckline"])
    nx, ny = (float(v) for v in neck[-1])
    back = through((-nx, ny), (-nx * 0.5, ny + 6), (0, ny + 8), (nx * 0.5, ny + 6), (nx, ny))
    opening = joined(back, points((nx - 4, 250), (-nx + 4, 250)))
    inside = scene.cloth(opening, "inside", tone=0.74, puff=4, ground=True, crease=0.5)
    scene.cloth(ribbon(moved(back, 0, 5), 11), "back rib", look.plain("rib"), tone=0.86, puff=3)
    neck_label(scene, ny + 19, 26, 15, (110, 104, 100))
    scene.seam(moved(back, 0, 13), 0.25, within=inside)
    for n in (-1, 1):
        _tshirt_sleeve(scene, n, shoulder, armpit)
    body = _tshirt_body(scene, shoulder, armpit, side, neck, hem)
    _tshirt_front(scene, body, hem)
    _neckline(scene, neck, body)


def _tshirt_neck(value: str) -> Points:
    """Returns the neckline's front line from left to right."""
    if value == "V":
        half = through((50, 116), (38, 150), (19, 190), (0, 226))
    else:
        wide, deep = {"scoop": (66, 118), "boat": (84, 22)}.get(value, (49, 38))
        top = 114 + (wide - 46) * 0.40
        half = through((wide, top), (wide * 0.92, top + deep * 0.50), (wide * 0.58, top + deep * 0.88), (0, top + deep))
    return joined(mirrored(half), half[::-1])


def _tshirt_sleeve(scene: Scene, side: int, shoulder: Point, armpit: Point) -> None:
    design = scene.design
    end, value, lean = design["sleeve end"], design["sleeves"], scene.look.vary(26, 34, "lean", side)
    if value == "none":
        return
    long = {"cap": 0.42, "short": 0.63, "elbow": 0.83, "three-quarter": 0.74, "long": 0.97}[value]
    if value in ("three-quarter", "long"):  # the control set has neither
        sleeve = Sleeve(scene, side, shoulder, armpit, lean=lean / 3, reach=430, end=60, bow=4)
    else:
        sleeve = Sleeve(scene, side, shoulder, armpit, lean=lean, reach=226, end=92, bow=4)
    piece = sleeve.lay(long, longest=0.96)
    if design["shoulders"] == "tape":
        scene.inlay(piece, ribbon(sleeve.panel.along(0.13, 0, long), 15), name="tape")
        for s in (0.06, 0.20):
            scene.stitch(sleeve.panel.along(s, 0, long), within=piece)
    if end == "band":
        scene.inlay(piece, sleeve.band(long - 0.14, long + 0.05), name="cuffs")
        scene.seam(sleeve.line(long - 0.14), 0.3, within=piece)
    elif end == "tipped":
        for start in (0.075, 0.145):
            scene.inlay(piece, sleeve.band(long - start, long - start + 0.036), name="cuffs")
    elif end == "rolled":
        sleeve.cuff(long - 0.15, long + 0.012, name="roll", spread=0.035)
        scene.seam(sleeve.line(long - 0.075), 0.22)
    if end != "rolled":
        for back in (0.035, 0.050):
            scene.stitch(sleeve.line(long - back), within=piece)


def _tshirt_body(scene: Scene, shoulder: Point, armpit: Point, side: Points, neck: Points, hem: float) -> Cloth:
    value, foot = scene.design["hem"], float(side[-1, 0])
    edge, line = side, through((foot, hem), (foot * 0.5, hem + 7), (0, hem + 8), (-foot * 0.5, hem + 7), (-foot, hem))
    if value == "curved":
        edge, line = _shirt_tail(side, hem, 52, (6, 26), (0.66, 4), (0.3, 15), (0, 17))
    arm = through(shoulder, (shoulder[0] - 7, 176), (shoulder[0] - 4, 222), armpit)
    name = (scene.look.name, "body")
    folds = _armpit_folds(armpit, 100, 170, 130, *name)
    folds += falling(_between_sides(armpit, side), 4, 0.30, 1.0, *name, width=24, height=3.0, soft=6)
    if value != "ruffle":
        _back_hem(scene, line, 5, 0.62)
    body = _lay_body(scene, shoulder, neck, arm, edge, line, folds)
    _armholes(scene, body, arm, 0.36)
    if value == "band":
        hem_band(scene, body, line, 9, 32)
    if value == "ruffle":
        ruffle(scene, line[::-1] - (0, 8), 46, "hem ruffle", flare=1.05)
    else:
        for up in (12, 16):
            scene.stitch(line - (0, up), within=body)
    return body


def _shirt_tail(side: Points, hem: float, high: float, inset: Point, *low: Point) -> tuple[Points, Points]:
    """Returns the side seam down to where a curved hem begins, `high` pixels above the lowest line, and that hem.

    `low` gives its lower points: a share of the width at the hem, and how far below the hem.
    """
    edge = side[side[:, 1] < hem - high]
    (x, y), foot = edge[-1], side[-1, 0]
    half = through((x, y), (x - inset[0], hem - inset[1]), *((foot * share, hem + down) for share, down in low))
    return edge, joined(half, mirrored(half)[::-1])


def _armpit_folds(armpit: Point, start: float, stop: float, length: float, *name: object) -> list[Fold]:
    folds = radiating(*armpit, start, stop, 4, length, *name, "right", height=3.6)
    return folds + radiating(*armpit, start, stop, 4, length, *name, "left", side=-1, height=3.6)


def _between_sides(armpit: Point, side: Points) -> Panel:
    edge = joined(points(armpit), side)
    return Panel(mirrored(edge), edge)


def _back_hem(scene: Scene, line: Points, down: float, tone: float) -> None:
    """Lays what shows of the back below the front's hem."""
    outline = joined(moved(line, 0, down), moved(line[::-1], 0, -26))
    scene.cloth(outline, "back hem", tone=tone, puff=3, ground=True)


def _lay_body(
    scene: Scene, shoulder: Point, neck: Points, arm: Points, edge: Points, line: Points, folds: list[Fold]
) -> Cloth:
    half = joined(points(shoulder), arm, edge)
    outline = joined(neck, half, line, mirrored(half)[::-1])
    return scene.cloth(outline, "body", folds=folds, puff=8, shadow=Shadow(0, 2, 2, 0.30), ground=True)


def _armholes(scene: Scene, body: Cloth, arm: Points, strength: float) -> None:
    for n in (-1, 1):
        scene.seam(mirrored(arm, n), strength, within=body)
        scene.stitch(mirrored(arm - (4, 0), n), within=body)


def _tshirt_front(scene: Scene, body: Cloth, hem: float) -> None:
    design = scene.design
    if design["shoulders"] == "yoke":
        scene.inlay(body, rectangle(-200, 90, 200, 186), name="yoke")
        scene.seam(points((-150, 186), (150, 186)), 0.32, within=body)
    elif design["shoulders"] == "tape":
        for n in (-1, 1):
            scene.inlay(body, mirrored(ribbon(points((34, 112), (130, 153)), 17), n), name="tape")
    stripes = {"none": (), "one": ((430, 46),), "two": ((424, 22), (460, 22))}[design["chest stripe"]]
    for y, high in stripes:
        scene.inlay(body, rectangle(-200, y, 200, y + high), name="chest stripe")
    if design["graphic"] != "none":
        graphic(scene, design["graphic"], 330, 82, body)
    value = design["chest pocket"]
    if value != "none":
        foot = scene.look.pick(("round", "pointed"), "pocket")
        for n in (1, -1) if value == "two" else (1,):
            patch_pocket(scene, n * 70, 232, 66, 72, contrast=value == "contrast", foot=foot)
    value = design["waist detail"]
    if value == "patch":
        badge(scene, -76, hem - 78, 29, ("star", "heart", "anchor", "sun"))
    elif value == "label":
        label(scene, -78, hem - 74, 62, 36)
    elif value == "bow":
        bow(scene, -84, hem - 92, 34)


def _neckline(scene: Scene, front: Points, body: Cloth) -> None:
    look, value = scene.look, scene.design["neckline"]
    rib = look.contrast("rib") if look.vary(0, 1, "ringer") < 0.3 else look.plain("rib")
    if value in ("henley", "polo"):
        placket, cast = rectangle(-11, 146, 11, 246), Shadow(1, 2, 2, 0.45)
        strip = scene.cloth(placket, "placket", look.plain(), puff=3, shadow=cast, tone=1.04, crease=0.4)
        scene.stitch(points((-8, 150), (-8, 243), (8, 243), (8, 150)), within=strip)
        for n in range(3):
            scene.button(0, 172 + 28 * n, 5.6, (236, 230, 218), "pearl")
    if value == "polo":
        leaf = joined(
            through((49, 112), (34, 130), (3, 152)),
            points((30, 196), (66, 168)),
            through((66, 168), (64, 132), (52, 108)),
        )
        for n in (-1, 1):
            cast = Shadow(1, 3, 3, 0.5)
            piece = scene.cloth(mirrored(leaf, n), f"collar {n}", rib, puff=5, shadow=cast, angle=n * 0.6)
            scene.stitch(mirrored(points((7, 153), (30, 190), (61, 166)), n), within=piece)
        return
    wide = {"V": 9.0, "scoop": 10.0, "boat": 8.0}.get(value, 13.0)
    binding, cast = ribbon(moved(front, 0, wide * 0.42), wide), Shadow(0, 2, 2, 0.35)
    band = scene.cloth(binding, "rib", rib, puff=4, shadow=cast, crease=0.3)
    scene.stitch(moved(front, 0, wide * 1.35), within=body)
    if value == "V":
        scene.seam(points((0, 222), (0, 238)), 0.35, within=band)


SHIRT: dict[str, dict[str, str]] = {
    "collar": {
        "point": "Classic point collar with long tips",
        "spread": "Wide cutaway collar",
        "band": "Band collar without leaves",
        "club": "Club collar with rounded tips",
        "contrast": "A {trim} contrast collar",
    },
    "sleeves": {
        "long": "Full-length sleeves",
        "bracelet": "Bracelet-length sleeves that end above the wrist",
        "three-quarter": "Three-quarter sleeves",
        "elbow": "Sleeves that reach over the elbow",
        "short": "Short sleeves that end above the elbow",
    },
    "cuffs": {
        "barrel": "Barrel cuffs with one button",
        "contrast": "{Trim} contrast cuffs",
        "rolled": "Sleeves rolled up at the end",
        "ruffled": "Ruffled cuffs",
    },
    "chest pocket": {
        "none": "A clean chest without pockets",
        "one": "One patch pocket on the left chest",
        "flap": "A buttoned flap pocket on the left chest",
        "two": "Two buttoned flap pockets on the chest",
        "contrast": "A {trim} contrast pocket on the left chest",
    },
    "placket": {
        "buttoned": "A stitched front placket with a row of buttons",
        "contrast": "A {trim} contrast placket",
        "fly": "A fly front that hides the buttons",
        "ruffled": "Ruffles down both sides of the placket",
    },
    "hem": {"straight": "A straight hem", "curved": "A curved shirt-tail hem", "band": "A {trim} band along the hem"},
    "yoke": {
        "plain": "A plain yoke",
        "contrast": "A {trim} contrast yoke",
        "western": "A pointed western yoke edged in {trim}",
    },
    "shoulders": {"plain": "Shoulders without epaulettes", "epaulettes": "Buttoned epaulettes on the shoulders"},
    "elbows": {"plain": "Plain elbows", "patches": "Oval {trim} elbow patches"},
    "decoration": {
        "none": "A plain hip without embroidery",
        "spray": "An embroidered floral spray at the hip",
        "badge": "A round embroidered badge at the hip",
    },
    "waist pockets": {
        "none": "No pockets at the waist",
        "patch": "Two patch pockets at the waist",
        "contrast": "Two {trim} patch pockets at the waist",
    },
    "neckwear": {"none": "An open neck without a tie", "bow": "A {trim} satin bow tied at the neck"},
}

_LENGTHS = {"long": 0.97, "bracelet": 0.88, "three-quarter": 0.79, "elbow": 0.59, "short": 0.50}


def draw_shirt(scene: Scene) -> None:
    """Draws the shirt."""
    look = scene.look
    wide, deep = look.vary(-6, 8, "width"), look.vary(-16, 14, "length")
    deep += _LONGER.get(scene.design.get("length", ""), 0.0)
    shoulder, armpit, hem = (120 + wide * 0.6, 146.0), (148.0 + wide, 276.0), 612.0 + deep
    back = through((-47, 114), (-24, 124), (0, 127), (24, 124), (47, 114))
    inside = joined(back, points((40, 270), (-40, 270)))
    scene.cloth(inside, "inside", tone=0.68, puff=4, ground=True, crease=0.5)
    stand = joined(through((-50, 114), (-26, 100), (0, 97), (26, 100), (50, 114)), moved(back[::-1], 0, 3))
    scene.cloth(stand, "stand", _collar_cloth(scene), tone=0.86, puff=4, ground=True, crease=0.4)
    neck_label(scene, 128, 30, 16, look.trim)
    for n in (-1, 1):
        _shirt_sleeve(scene, n, shoulder, armpit)
    body = _shirt_body(scene, shoulder, armpit, through(armpit, (145 + wide, 410), (150 + wide, hem)), hem)
    _shirt_front(scene, body, hem)
    _collar(scene)


def _shirt_sleeve(scene: Scene, side: int, shoulder: Point, armpit: Point) -> None:
    design = scene.design
    if design["sleeves"] == "none":
        return
    long = _LENGTHS[design["sleeves"]]
    lean = scene.look.vary(8, 11, "lean", side)
    sleeve = Sleeve(scene, side, shoulder, armpit, lean=lean, reach=430, end=58, bow=5)
    piece = sleeve.lay(long, longest=0.97)
    if design["elbows"] == "patches" and design["sleeves"] not in ("elbow", "short"):
        sleeve.elbow_patch(piece, 0.54)
    value = design["cuffs"]
    if value == "rolled":
        for n, start in enumerate((long - 0.135, long - 0.075)):
            sleeve.cuff(start, start + 0.085, name=f"roll {n}", spread=0.05 + 0.02 * n)
    elif value == "ruffled":
        line, middle = sleeve.line(long - 0.02)[::side], sleeve.panel.at(0.5, long)[0]
        ruffle(scene, line, 34, f"cuff ruffle {side}", wave=3, pitch=13, flare=1.35, middle=middle)
    elif value == "plain":
        for back in (0.022, 0.030):
            scene.stitch(sleeve.line(long - back), within=piece)
        return
    else:
        start = long - 0.115
        band = sleeve.cuff(start, long + 0.006, name="cuff", spread=0.03)
        if value == "contrast":
            scene.inlay(band, sleeve.panel.section(start - 0.02, long + 0.03, spread=0.2))
        scene.stitch(sleeve.line(start + 0.014), within=band)
        scene.stitch(sleeve.line(long - 0.012), within=band)
        scene.button(*sleeve.panel.at(0.24, (start + long) / 2), 6.0, *PEARL)
    scene.seam(sleeve.panel.along(0.30, long - 0.14, long - 0.115), 0.30, within=piece)


def _shirt_body(scene: Scene, shoulder: Point, armpit: Point, side: Points, hem: float) -> Cloth:
    design, foot = scene.design, float(side[-1, 0])
    if design["hem"] == "curved":
        edge, line = _shirt_tail(side, hem, 58, (8, 30), (0.64, 6), (0.3, 17), (0, 18))
    else:
        half = through((foot, hem), (foot * 0.5, hem + 6), (0, hem + 7))
        edge, line = side, joined(half, mirrored(half)[::-1])
    arm = through(shoulder, (shoulder[0] - 8, 180), (shoulder[0] - 4, 228), armpit)
    neck = through((-48, 116), (-34, 138), (0, 168), (34, 138), (48, 116))
    name = (scene.look.name, "body")
    folds = _armpit_folds(armpit, 95, 165, 140, *name)
    folds += falling(_between_sides(armpit, side), 4, 0.25, 1.0, *name, width=22, height=3.2, soft=5)
    _back_hem(scene, line, 4, 0.60)
    body = _lay_body(scene, shoulder, neck, arm, edge, line, folds)
    _armholes(scene, body, arm, 0.38)
    _yoke(scene, body)
    if design["hem"] == "band":
        hem_band(scene, body, line, 9, 36)
    scene.stitch(line - (0, 9), within=body)
    return body


def _yoke(scene: Scene, body: Cloth) -> None:
    look, value = scene.look, scene.design["yoke"]
    if value == "plain":
        return
    western = value == "western"
    low = through((-6, 214), (40, 196), (76, 230), (110, 192), (150, 190)) if western else points((-6, 192), (150, 186))
    half = joined(low, points((150, 90), (-6, 90)))
    for n in (-1, 1):
        scene.inlay(body, mirrored(half, n), look.cloth if western else look.contrast(), tone=1.04, name="yoke")
        if western:
            piping, cast = mirrored(ribbon(low, 5.0), n), Shadow(1, 2, 1, 0.4)
            scene.cloth(piping, "piping", look.contrast("satin"), puff=2, shadow=cast, within=body)
        else:
            scene.seam(mirrored(low, n), 0.34, within=body)


def _shirt_front(scene: Scene, body: Cloth, hem: float) -> None:
    design = scene.design
    _placket(scene, body, hem)
    value = design["chest pocket"]
    buttoned = value in ("two", "flap")
    for n in {"none": (), "two": (1, -1), "two patch": (1, -1)}.get(value, (1,)):
        patch_pocket(
            scene,
            n * 70,
            242,
            62,
            70,
            contrast=value == "contrast",
            foot="pointed" if buttoned else "round",
            flap=buttoned,
            button=COLOURS["ivory"] if buttoned else None,
        )
    value = design["waist pockets"]
    if value != "none":
        for n in (-1, 1):
            patch_pocket(scene, n * 76, min(470, hem - 120), 78, 88, contrast=value == "contrast")
    if design["decoration"] == "spray":
        embroidery(scene, -76, hem - 96, 38)
    elif design["decoration"] == "badge":
        badge(scene, -78, hem - 90, 29, ("star", "heart", "anchor", "sun"))
    if design["shoulders"] == "epaulettes":
        for n in (-1, 1):
            strap = mirrored(points((116, 140), (62, 124), (50, 138), (60, 154), (108, 172)), n)
            cast = Shadow(2, 3, 2, 0.5)
            flat = scene.cloth(strap, f"epaulette {n}", puff=4, shadow=cast, angle=n * 0.3, tone=1.08)
            scene.stitch(strap * 0.88 + (n * 84 * 0.12, 146 * 0.12), within=flat)
            scene.button(n * 68, 140, 6.0, *PEARL)


def _placket(scene: Scene, body: Cloth, hem: float) -> None:
    design, look = scene.design, scene.look
    value, foot = design["placket"], hem + (15 if design["hem"] == "curved" else 5)
    if value == "ruffled":
        for n in (-1, 1):
            for k in range(11):
                y = 196.0 + k * 36
                if y < foot - 20:
                    high, low = through((10, y - 12), (30, y - 20), (37, y + 2)), through((31, y + 26), (10, y + 20))
                    fan, cast = mirrored(joined(high, low), n), Shadow(1, 3, 2, 0.42)
                    scene.cloth(fan, f"frill {n} {k}", puff=4, shadow=cast, angle=n * 0.9, tone=1.03)
    strip, cloth = rectangle(-13, 160, 13, foot), look.contrast() if value == "contrast" else None
    piece = scene.cloth(strip, "placket", cloth, puff=3, shadow=Shadow(1, 2, 2, 0.45), crease=0.6, tone=1.03)
    for x in (-10, 10):
        scene.stitch(points((x, 164), (x, foot - 4)), within=piece)
    if value == "fly":
        scene.stitch(points((-26, 170), (-26, foot - 34), (-14, foot - 22)), within=body)
        return
    colour = COLOURS["ivory"] if look.vary(0, 1, "buttons") < 0.7 else COLOURS["chocolate"]
    count, last = int(design.get("button count", 7)), foot if "button count" not in design else hem + 5
    for n in range(count):
        scene.button(0, 190 + n * (last - 262) / max(count - 1, 1), 6.4, colour, "pearl")


def _collar_cloth(scene: Scene) -> Material:
    return scene.look.contrast() if scene.design["collar"] == "contrast" else scene.look.cloth


_COLLAR_TIPS = {
    "point": through((30, 226), (52, 190), (66, 164), (66, 130), (48, 101)),
    "contrast": through((34, 220), (56, 186), (67, 162), (66, 130), (48, 101)),
    "spread": through((60, 206), (72, 182), (78, 158), (69, 128), (48, 101)),
    "club": through((14, 196), (30, 208), (54, 198), (70, 166), (67, 130), (48, 101)),
}
"""Outer edge of one leaf of the shirt's collar, from its tip to the back of the neck."""


def _collar(scene: Scene) -> None:
    value, cloth = scene.design["collar"], _collar_cloth(scene)
    base = joined(through((50, 110), (38, 138), (2, 168)), through((-2, 158), (30, 130), (43, 106)))
    for n in (-1, 1):
        cast = Shadow(1, 2, 2, 0.4)
        scene.cloth(mirrored(base, n), f"neckband {n}", cloth, puff=4, shadow=cast, angle=n * 0.5)
    if value == "band":
        scene.button(0, 164, 5.6, *PEARL)
        for n in (-1, 1):
            scene.stitch(mirrored(through((47, 112), (35, 137), (2, 164)), n))
    else:
        tips, cast = _COLLAR_TIPS[value], Shadow(1, 4, 3, 0.55)
        leaf = joined(through((47, 100), (36, 130), (5, 158)), tips)
        inner = joined(points((6, 162)), tips[: len(tips) * 2 // 3]) * 0.94 + (2.2, 9.5)
        for n in (-1, 1):
            piece = scene.cloth(
                mirrored(leaf, n), f"leaf {n}", cloth, shadow=cast, angle=n * 0.55, tone=1.07, crease=0.5
            )
            scene.stitch(mirrored(inner, n), within=piece)
    if scene.design["neckwear"] == "bow":
        bow(scene, 0, 180, 46, tails=0.9)
