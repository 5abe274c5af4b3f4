"""The t-shirt."""

from __future__ import annotations

from .cloth import Cloth, Shadow
from .folds import falling, radiating
from .geometry import Panel, Points, joined, mirrored, moved, points, ribbon, through
from .look import Design, Look
from .motifs import badge, bow, graphic, label, neck_label
from .pockets import patch_pocket
from .scene import Scene
from .sleeves import Sleeve
from .trims import ruffle

ATTRIBUTES: dict[str, dict[str, str]] = {
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


def draw(scene: Scene, look: Look, design: Design) -> None:
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
        _sleeve(scene, look, design, n, shoulder, armpit, long)
    body = _body(scene, look, design, shoulder, armpit, side, front, hem)
    _front(scene, look, design, body, hem)
    _neckline(scene, look, design["neckline"], front, body)


def _sleeve(
    scene: Scene,
    look: Look,
    design: Design,
    side: int,
    shoulder: tuple[float, float],
    armpit: tuple[float, float],
    long: float,
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


def _body(
    scene: Scene,
    look: Look,
    design: Design,
    shoulder: tuple[float, float],
    armpit: tuple[float, float],
    side: Points,
    front: Points,
    hem: float,
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


def _front(scene: Scene, look: Look, design: Design, body: Cloth, hem: float) -> None:
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
        cloth = look.contrast() if design["chest pocket"] == "contrast" else look.cloth
        patch_pocket(scene, look, 70, 232, 66, 72, material=cloth, foot=look.pick(("round", "pointed"), "pocket"))
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
