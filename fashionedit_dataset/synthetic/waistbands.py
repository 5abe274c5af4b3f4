"""Waistbands of skirts and trousers, and the opening that shows above them."""

from __future__ import annotations

from .cloth import Cloth, Fold, Material, Shadow
from .geometry import Points, joined, moved, points, through
from .look import Look
from .motifs import neck_label
from .scene import Scene


def opening(scene: Scene, look: Look, waist: float, top: float) -> None:
    """Lays the inside of the back, which shows above the front, with its label."""
    back = through((-waist, top - 5), (-waist * 0.4, top - 14), (waist * 0.4, top - 14), (waist, top - 5))
    inside = joined(back, points((waist, top + 22), (-waist, top + 22)))
    scene.cloth(inside, look.plain, "inside", tone=0.55, puff=3, ground=True)
    neck_label(scene, top - 7, 24, 14)


def waistband(
    scene: Scene, material: Material, waist: float, top: float, high: float, *, gathered: bool
) -> tuple[Cloth, Points]:
    """Sews a waistband on, stitched at both edges, and returns it with its upper line."""
    lower = waist + high * 0.16
    outline = joined(
        through((-waist, top - 5), (0, top + 4), (waist, top - 5)),
        through((lower, top - 5 + high), (0, top + 4 + high), (-lower, top - 5 + high)),
    )
    folds = []
    if gathered:
        for k in range(27):
            x = -waist + 6 + k * (2 * waist - 12) / 26
            line = points((x, top - 8), (x * 1.02, top + high + 6))
            folds.append(Fold(line, 6.0, 4.0 if k % 2 else -4.0, 2))
    cast = Shadow(0, 3, 3, 0.48)
    band = scene.cloth(
        outline,
        material,
        "waistband",
        origin=(0, top),
        folds=folds,
        puff=5,
        crease=0.5,
        shadow=cast,
        tone=1.04,
        ground=True,
    )
    line = through((-waist + 1, top), (0, top + 9), (waist - 1, top))
    for down in (2.0, high - 12):
        scene.stitch(moved(line, 0, down), within=band)
    return band, line
