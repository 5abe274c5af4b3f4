"""The T-shirt and the shirt."""

from __future__ import annotations

from .cloth import Cloth, Shadow
from .geometry import Panel, Point, Points, joined, mirrored, moved, points, ribbon, through
from .look import Design, Look
from .motifs import badge, bow, embroidery, graphic, label, neck_label
from .parts import Sleeve, falling, radiating
from .patterns import COLOURS
from .scene import Scene
from .trims import patch_pocket, ruffle

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


def _neck(value: str) -> tuple[float, Points]:
    """Returns half the width of the neckline and its front line from left to right."""
    if value == "V":
        right = through((50, 116), (38, 150), (19, 190), (0, 226))
        return 50, joined(mirrored(right), right[::-1])
    wide, deep = {"scoop": (66, 118), "boat": (84, 22)}.get(value, (49, 38))
    top = 114 + (wide - 46) * 0.40
    half = through((wide, top), (wide * 0.92, top + deep * 0.50), (wide * 0.58, top + deep * 0.88), (0, top + deep))
    return wide, joined(mirrored(half), half[::-1])


def draw_tshirt(scene: Scene, look: Look, design: Design) -> None:
    """Draws the t-shirt."""
    wide, deep = look.vary(-6, 10, "width"), look.vary(-22, 16, "length")
    shoulder, armpit, hem = (120 + wide * 0.6, 146.0), (144.0 + wide, 276.0), 590.0 + deep
    side = through(armpit, (144 + wide, 390), (146 + wide + look.vary(-6, 6, "flare"), hem))
    long = {"cap": 0.42, "short": 0.63, "elbow": 0.83}[design["sleeves"]]
    nx, front = _neck(design["neckline"])
    ny = float(front[0, 1])
    back = through((-nx, ny), (-nx * 0.5, ny + 6), (0, ny + 8), (nx * 0.5, ny + 6), (nx, ny))
    inside = scene.cloth(
        joined(back, points((nx - 4, 250), (-nx + 4, 250))),
        look.cloth,
        "inside",
        tone=0.74,
        puff=4,
        ground=True,
        crease=0.5,
    )
    scene.cloth(
        ribbon(moved(back, 0, 5), 11), look.plain.plain(fabric="rib"), "back rib", tone=0.86, puff=3, within=None
    )
    neck_label(scene, ny + 19, 26, 15, (110, 104, 100))
    scene.seam(moved(back, 0, 13), 0.25, within=inside)
    for n in (-1, 1):
        _tshirt_sleeve(scene, look, design, n, shoulder, armpit, long)
    body = _tshirt_body(scene, look, design, shoulder, armpit, side, front, hem)
    _tshirt_front(scene, look, design, body, hem)
    _neckline(scene, look, design["neckline"], front, body)


def _tshirt_sleeve(
    scene: Scene, look: Look, design: Design, side: int, shoulder: Point, armpit: Point, long: float
) -> None:
    sleeve = Sleeve(side, shoulder, armpit, lean=look.vary(26, 34, "lean", side), reach=226, end=92, bow=4)
    end = design["sleeve end"]
    piece = sleeve.lay(scene, look, long, longest=0.96)
    if design["shoulders"] == "tape":
        scene.inlay(piece, look.contrast(), sleeve.stripe(0.13, 15, 0, long))
        for s in (0.06, 0.20):
            scene.stitch(sleeve.panel.along(s, 0, long), within=piece)
    if end == "band":
        scene.inlay(piece, look.contrast(), sleeve.band(long - 0.14, long + 0.05))
        scene.seam(sleeve.line(long - 0.14), 0.3, within=piece)
    elif end == "tipped":
        for start in (0.075, 0.145):
            scene.inlay(piece, look.contrast(), sleeve.band(long - start, long - start + 0.036))
    elif end == "rolled":
        sleeve.cuff(scene, look, long - 0.15, long + 0.012, name="roll", spread=0.035)
        scene.seam(sleeve.line(long - 0.075), 0.22)
    if end != "rolled":
        for back in (0.035, 0.050):
            scene.stitch(sleeve.line(long - back), within=piece)


def _tshirt_body(
    scene: Scene, look: Look, design: Design, shoulder: Point, armpit: Point, side: Points, front: Points, hem: float
) -> Cloth:
    foot = float(side[-1, 0])
    value = design["hem"]
    line = through((foot, hem), (foot * 0.5, hem + 7), (0, hem + 8), (-foot * 0.5, hem + 7), (-foot, hem))
    edge = side
    if value == "curved":
        edge = side[side[:, 1] < hem - 52]
        x, y = float(edge[-1, 0]), float(edge[-1, 1])
        half = through((x, y), (x - 6, hem - 26), (foot * 0.66, hem + 4), (foot * 0.3, hem + 15), (0, hem + 17))
        line = joined(half, mirrored(half)[::-1])
    arm = through(shoulder, (shoulder[0] - 7, 176), (shoulder[0] - 4, 222), armpit)
    outline = joined(front, points(shoulder), arm, edge, line, mirrored(joined(points(shoulder), arm, edge))[::-1])
    panel = Panel(mirrored(joined(points(armpit), side)), joined(points(armpit), side))
    name = (look.name, "body")
    folds = radiating(armpit[0], armpit[1], 100, 170, 4, 130, *name, "right", height=3.6)
    folds += radiating(-armpit[0], armpit[1], 10, 80, 4, 130, *name, "left", height=3.6)
    folds += falling(panel, 4, 0.30, 1.0, *name, width=24, height=3.0, soft=6)
    if value != "ruffle":
        scene.cloth(
            joined(moved(line, 0, 5), moved(line[::-1], 0, -26)), look.cloth, "back hem", tone=0.62, puff=3, ground=True
        )
    body = scene.cloth(outline, look.cloth, "body", folds=folds, puff=8, shadow=Shadow(0, 2, 2, 0.30), ground=True)
    for n in (-1, 1):
        scene.seam(mirrored(arm, n), 0.36, within=body)
        scene.stitch(mirrored(arm - (4, 0), n), within=body)
    if value == "band":
        scene.inlay(body, look.contrast(), joined(moved(line, 0, 9), moved(line[::-1], 0, -32)))
        scene.seam(line - (0, 32), 0.3, within=body)
    if value == "ruffle":
        ruffle(scene, look, line[::-1] - (0, 8), 46, look.cloth, "hem ruffle", flare=1.05)
    else:
        for up in (12, 16):
            scene.stitch(line - (0, up), within=body)
    return body


def _tshirt_front(scene: Scene, look: Look, design: Design, body: Cloth, hem: float) -> None:
    if design["shoulders"] == "yoke":
        scene.inlay(body, look.contrast(), points((-200, 90), (200, 90), (200, 186), (-200, 186)))
        scene.seam(points((-150, 186), (150, 186)), 0.32, within=body)
    elif design["shoulders"] == "tape":
        for n in (-1, 1):
            scene.inlay(body, look.contrast(), mirrored(ribbon(points((34, 112), (130, 153)), 17), n))
    stripes = {"none": (), "one": ((430, 46),), "two": ((424, 22), (460, 22))}[design["chest stripe"]]
    for y, high in stripes:
        scene.inlay(body, look.contrast(), points((-200, y), (200, y), (200, y + high), (-200, y + high)))
    if design["graphic"] != "none":
        graphic(scene, look, design["graphic"], 330, 82, body)
    if design["chest pocket"] != "none":
        contrast, foot = design["chest pocket"] == "contrast", look.pick(("round", "pointed"), "pocket")
        patch_pocket(scene, look, 70, 232, 66, 72, contrast=contrast, foot=foot)
    value = design["waist detail"]
    if value == "patch":
        badge(scene, -76, hem - 78, 29, look.trim, look.base, look.pick(("star", "heart", "anchor", "sun"), "badge"))
    elif value == "label":
        label(scene, -78, hem - 74, 62, 36, look.trim, look.base)
    elif value == "bow":
        bow(scene, -84, hem - 92, 34, look.contrast("satin"))


def _neckline(scene: Scene, look: Look, value: str, front: Points, body: Cloth) -> None:
    wide = {"V": 9.0, "scoop": 10.0, "boat": 8.0}.get(value, 13.0)
    rib = look.contrast("rib") if look.vary(0, 1, "ringer") < 0.3 else look.plain.plain(fabric="rib")
    inward = moved(front, 0, wide * 0.42)
    if value in ("henley", "polo"):
        placket = points((-11, 146), (11, 146), (11, 246), (-11, 246))
        strip = scene.cloth(placket, look.plain, "placket", puff=3, shadow=Shadow(1, 2, 2, 0.45), tone=1.04, crease=0.4)
        scene.stitch(points((-8, 150), (-8, 243), (8, 243), (8, 150)), within=strip)
        for n in range(3):
            scene.button(0, 172 + 28 * n, 5.6, (236, 230, 218), "pearl")
    if value == "polo":
        for n in (-1, 1):
            leaf = joined(
                through((49, 112), (34, 130), (3, 152)),
                points((30, 196), (66, 168)),
                through((66, 168), (64, 132), (52, 108)),
            )
            piece = scene.cloth(
                mirrored(leaf, n), rib, f"collar {n}", puff=5, shadow=Shadow(1, 3, 3, 0.5), angle=n * 0.6
            )
            scene.stitch(mirrored(points((7, 153), (30, 190), (61, 166)), n), within=piece)
        return
    band = scene.cloth(ribbon(inward, wide), rib, "rib", puff=4, shadow=Shadow(0, 2, 2, 0.35), crease=0.3, ground=False)
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


def draw_shirt(scene: Scene, look: Look, design: Design) -> None:
    """Draws the shirt."""
    wide, deep = look.vary(-6, 8, "width"), look.vary(-16, 14, "length")
    shoulder, armpit, hem = (120 + wide * 0.6, 146.0), (148.0 + wide, 276.0), 612.0 + deep
    side = through(armpit, (145 + wide, 410), (150 + wide, hem))
    long = _LENGTHS[design["sleeves"]]
    back = through((-47, 114), (-24, 124), (0, 127), (24, 124), (47, 114))
    inside = joined(back, points((40, 270), (-40, 270)))
    scene.cloth(inside, look.cloth, "inside", tone=0.68, puff=4, ground=True, crease=0.5)
    stand = joined(through((-50, 114), (-26, 100), (0, 97), (26, 100), (50, 114)), moved(back[::-1], 0, 3))
    collar = look.contrast() if design["collar"] == "contrast" else look.cloth
    scene.cloth(stand, collar, "stand", tone=0.86, puff=4, ground=True, crease=0.4)
    neck_label(scene, 128, 30, 16, look.trim)
    for n in (-1, 1):
        _shirt_sleeve(scene, look, design, n, shoulder, armpit, long)
    body = _shirt_body(scene, look, design, shoulder, armpit, side, hem)
    _shirt_front(scene, look, design, body, hem)
    _collar(scene, look, design, body)


def _shirt_sleeve(
    scene: Scene, look: Look, design: Design, side: int, shoulder: Point, armpit: Point, long: float
) -> None:
    lean = look.vary(8, 11, "lean", side)
    sleeve = Sleeve(side, shoulder, armpit, lean=lean, reach=430, end=58, bow=5)
    piece = sleeve.lay(scene, look, long, longest=0.97)
    if design["elbows"] == "patches" and design["sleeves"] not in ("elbow", "short"):
        sleeve.elbow_patch(scene, look, piece, length=long, t=0.54)
    value = design["cuffs"]
    if value == "rolled":
        for n, start in enumerate((long - 0.135, long - 0.075)):
            sleeve.cuff(scene, look, start, start + 0.085, name=f"roll {n}", spread=0.05 + 0.02 * n)
    elif value == "ruffled":
        line = sleeve.line(long - 0.02)
        ruffle(
            scene,
            look,
            line if side > 0 else line[::-1],
            34,
            look.cloth,
            f"cuff ruffle {side}",
            wave=3,
            pitch=13,
            flare=1.35,
            middle=sleeve.panel.at(0.5, long)[0],
        )
    else:
        start = long - 0.115
        band = sleeve.cuff(scene, look, start, long + 0.006, name="cuff", spread=0.03)
        if value == "contrast":
            scene.inlay(band, look.contrast(), sleeve.panel.section(start - 0.02, long + 0.03, spread=0.2))
        scene.stitch(sleeve.line(start + 0.014), within=band)
        scene.stitch(sleeve.line(long - 0.012), within=band)
        x, y = sleeve.panel.at(0.24, (start + long) / 2)
        scene.button(x, y, 6.0, COLOURS["ivory"], "pearl")
    scene.seam(sleeve.panel.along(0.30, long - 0.14, long - 0.115), 0.30, within=piece)


def _shirt_body(
    scene: Scene, look: Look, design: Design, shoulder: Point, armpit: Point, side: Points, hem: float
) -> Cloth:
    foot = float(side[-1, 0])
    edge, half = side, through((foot, hem), (foot * 0.5, hem + 6), (0, hem + 7))
    if design["hem"] == "curved":
        edge = side[side[:, 1] < hem - 58]
        x, y = float(edge[-1, 0]), float(edge[-1, 1])
        half = through((x, y), (x - 8, hem - 30), (foot * 0.64, hem + 6), (foot * 0.3, hem + 17), (0, hem + 18))
    line = joined(half, mirrored(half)[::-1])
    arm = through(shoulder, (shoulder[0] - 8, 180), (shoulder[0] - 4, 228), armpit)
    neck = through((-48, 116), (-34, 138), (0, 168), (34, 138), (48, 116))
    outline = joined(neck, points(shoulder), arm, edge, line, mirrored(joined(points(shoulder), arm, edge))[::-1])
    panel = Panel(mirrored(joined(points(armpit), side)), joined(points(armpit), side))
    name = (look.name, "body")
    folds = radiating(armpit[0], armpit[1], 95, 165, 4, 140, *name, "right", height=3.6)
    folds += radiating(-armpit[0], armpit[1], 15, 85, 4, 140, *name, "left", height=3.6)
    folds += falling(panel, 4, 0.25, 1.0, *name, width=22, height=3.2, soft=5)
    scene.cloth(
        joined(moved(line, 0, 4), moved(line[::-1], 0, -26)), look.cloth, "back hem", tone=0.60, puff=3, ground=True
    )
    body = scene.cloth(outline, look.cloth, "body", folds=folds, puff=8, shadow=Shadow(0, 2, 2, 0.30), ground=True)
    for n in (-1, 1):
        scene.seam(mirrored(arm, n), 0.38, within=body)
        scene.stitch(mirrored(arm - (4, 0), n), within=body)
    if design["yoke"] != "plain":
        for n in (-1, 1):
            low = (
                through((-6, 214), (40, 196), (76, 230), (110, 192), (150, 190))
                if design["yoke"] == "western"
                else points((-6, 192), (150, 186))
            )
            top = points((150, 90), (-6, 90))
            cloth = look.contrast() if design["yoke"] == "contrast" else look.cloth
            scene.inlay(body, cloth, mirrored(joined(low, top), n), tone=1.04)
            if design["yoke"] == "western":
                piped = mirrored(ribbon(low, 5.0), n)
                scene.cloth(
                    piped, look.contrast("satin"), "piping", puff=2, shadow=Shadow(1, 2, 1, 0.4), within=outline
                )
            else:
                scene.seam(mirrored(low, n), 0.34, within=body)
    if design["hem"] == "band":
        scene.inlay(body, look.contrast(), joined(moved(line, 0, 9), moved(line[::-1], 0, -36)))
        scene.seam(line - (0, 36), 0.3, within=body)
    scene.stitch(line - (0, 9), within=body)
    return body


def _shirt_front(scene: Scene, look: Look, design: Design, body: Cloth, hem: float) -> None:
    value = design["placket"]
    foot = hem + (15 if design["hem"] == "curved" else 5)
    if value == "ruffled":
        for n in (-1, 1):
            for k in range(11):
                y = 196.0 + k * 36
                if y < foot - 20:
                    high, low = through((10, y - 12), (30, y - 20), (37, y + 2)), through((31, y + 26), (10, y + 20))
                    fan, cast = mirrored(joined(high, low), n), Shadow(1, 3, 2, 0.42)
                    scene.cloth(fan, look.cloth, f"frill {n} {k}", puff=4, shadow=cast, angle=n * 0.9, tone=1.03)
    cloth = look.contrast() if value == "contrast" else look.cloth
    strip = points((-13, 160), (13, 160), (13, foot), (-13, foot))
    piece = scene.cloth(
        strip, cloth, "placket", puff=3, shadow=Shadow(1, 2, 2, 0.45), crease=0.6, origin=(0, 120), tone=1.03
    )
    for x in (-10, 10):
        scene.stitch(points((x, 164), (x, foot - 4)), within=piece)
    if value == "fly":
        scene.stitch(points((-26, 170), (-26, foot - 34), (-14, foot - 22)), within=body)
    else:
        button = COLOURS["ivory"] if look.vary(0, 1, "buttons") < 0.7 else COLOURS["chocolate"]
        for n in range(7):
            scene.button(0, 190 + n * (foot - 262) / 6, 6.4, button, "pearl")
    pocket = design["chest pocket"]
    if pocket != "none":
        for n in (1, -1) if pocket == "two" else (1,):
            patch_pocket(
                scene,
                look,
                n * 70,
                242,
                62,
                70,
                contrast=pocket == "contrast",
                foot="pointed" if pocket in ("two", "flap") else "round",
                flap=pocket in ("two", "flap"),
                button=COLOURS["ivory"] if pocket in ("two", "flap") else None,
            )
    if design["waist pockets"] != "none":
        for n in (-1, 1):
            patch_pocket(scene, look, n * 76, 470, 78, 88, contrast=design["waist pockets"] == "contrast")
    if design["decoration"] == "spray":
        embroidery(scene, -76, hem - 96, 38, look.trim)
    elif design["decoration"] == "badge":
        badge(scene, -78, hem - 90, 29, look.trim, look.base, look.pick(("star", "heart", "anchor", "sun"), "badge"))
    if design["shoulders"] == "epaulettes":
        for n in (-1, 1):
            strap = mirrored(points((116, 140), (62, 124), (50, 138), (60, 154), (108, 172)), n)
            flat = scene.cloth(
                strap, look.cloth, f"epaulette {n}", puff=4, shadow=Shadow(2, 3, 2, 0.5), angle=n * 0.3, tone=1.08
            )
            scene.stitch(strap * 0.88 + (n * 84 * 0.12, 146 * 0.12), within=flat)
            scene.button(n * 68, 140, 6.0, COLOURS["ivory"], "pearl")


def _collar(scene: Scene, look: Look, design: Design, body: Cloth) -> None:
    value = design["collar"]
    cloth = look.contrast() if value == "contrast" else look.cloth
    base = joined(through((50, 110), (38, 138), (2, 168)), through((-2, 158), (30, 130), (43, 106)))
    for n in (-1, 1):
        scene.cloth(mirrored(base, n), cloth, f"neckband {n}", puff=4, shadow=Shadow(1, 2, 2, 0.4), angle=n * 0.5)
    if value == "band":
        scene.button(0, 164, 5.6, COLOURS["ivory"], "pearl")
        for n in (-1, 1):
            scene.stitch(mirrored(through((47, 112), (35, 137), (2, 164)), n))
    else:
        tips = {
            "point": through((30, 226), (52, 190), (66, 164), (66, 130), (48, 101)),
            "contrast": through((34, 220), (56, 186), (67, 162), (66, 130), (48, 101)),
            "spread": through((60, 206), (72, 182), (78, 158), (69, 128), (48, 101)),
            "club": through((14, 196), (30, 208), (54, 198), (70, 166), (67, 130), (48, 101)),
        }[value]
        leaf = joined(through((47, 100), (36, 130), (5, 158)), tips)
        for n in (-1, 1):
            piece = scene.cloth(
                mirrored(leaf, n),
                cloth,
                f"leaf {n}",
                puff=6,
                shadow=Shadow(1, 4, 3, 0.55),
                angle=n * 0.55,
                tone=1.07,
                crease=0.5,
            )
            inner = mirrored(joined(points((6, 162)), tips[: len(tips) * 2 // 3]) * 0.94 + (2.2, 9.5), n)
            scene.stitch(inner, within=piece)
    if design["neckwear"] == "bow":
        bow(scene, 0, 180, 46, look.contrast("satin"), tails=0.9)
