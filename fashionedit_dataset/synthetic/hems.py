"""Hems of skirts: their line, and what is sewn to it."""

from __future__ import annotations

import math

import numpy as np

from .cloth import Cloth
from .geometry import Points, joined, moved
from .look import Look
from .palette import COLOURS
from .scene import Scene
from .trims import fringe, lace, ruffle


def wavy(look: Look, half: float, y: float, swing: float) -> Points:
    """Returns a hem from left to right that sags in the middle and swings with the folds above it."""
    x = np.linspace(-half, half, 81)
    turns = look.vary(0.032, 0.046, "hem waves")
    phase = look.vary(0, 6.28, "hem phase")
    sag = 12 * (1 - (x / half) ** 2)
    return np.stack([x, y + sag + swing * np.sin(x * turns * math.pi + phase) * np.cos(x * 0.011)], axis=1)


def finish_hem(scene: Scene, look: Look, kind: str, skirt: Cloth, hem: Points) -> None:
    """Finishes a skirt's hem: `plain`, `border`, `lace`, `ruffle` or `fringe`."""
    if kind == "border":
        scene.inlay(skirt, look.contrast(), joined(moved(hem, 0, 12), hem[::-1] - (0, 36)))
        scene.seam(hem - (0, 36), 0.3, within=skirt)
    elif kind == "lace":
        pale = COLOURS["ivory"] if min(look.base) < 200 else look.trim
        lace(scene, hem * (0.992, 1) - (0, 8), 34, pale)
    elif kind == "ruffle":
        ruffle(scene, look, hem * (0.985, 1) - (0, 12), 46, look.cloth, "hem ruffle", wave=5, pitch=22, flare=1.06)
    elif kind == "fringe":
        fringe(scene, look, hem - (0, 4), 42, look.trim)
    if kind in ("plain", "border"):
        for up in (9, 13):
            scene.stitch(hem - (0, up), within=skirt)
