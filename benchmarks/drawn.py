"""Measures the drawn designer: whether it does what it says, whether it reads cloth from pictures, and how fast it is.

    python benchmarks/drawn.py                      # 200 requests, 50 with foreign words, 100 pictures
    python benchmarks/drawn.py --requests 20 --pictures 10

A request is right if the field that it names has the value that it names, no other field differs, and no pixel outside
the part's place and shadow does (`tests/studio/drawn_requests.py`). A picture is a whole drawing, a crop of one,
or a drawing as a camera might show it (another size, light, noise); it is right if the kind of its pattern is told.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "studio"))

from drawn_requests import faults, mixed, requests

from fashionedit.studio.drawn import edit
from fashionedit.studio.drawn.colours import distance
from fashionedit.studio.drawn.drawing import Drawer, draw
from fashionedit.studio.drawn.editor import changed, first_design
from fashionedit.studio.drawn.garments import GARMENTS
from fashionedit.studio.drawn.prints import PRINTS, Print, Swatch
from fashionedit.studio.drawn.reference import read_picture
from fashionedit.studio.drawn.words import COLOURS

_CLOTH_AT = {"t-shirt": (140, 330), "shirt": (150, 330), "blazer": (130, 330), "coat": (120, 330), "dress": (190, 450),
             "skirt": (170, 330), "trousers": (150, 250)}  # fmt: skip


def measure_requests(count: int, foreign: int) -> dict[str, Any]:
    """Returns how many requests were carried out rightly, and how many foreign words were named."""
    wrong = [fault for request in requests(count) for fault in faults(request)[:1]]
    missed = 0
    for request, words in mixed(foreign):
        _, answer = changed(request.before, request.words)
        named = {word.split("”")[0].strip("“") for word in answer.unknown}
        missed += named != words or bool(faults(request, pixels=False))
    return {
        "requests": count,
        "right": count - len(wrong),
        "wrong": wrong,
        "foreign": foreign,
        "named": foreign - missed,
    }


def measure_times(count: int) -> dict[str, float]:
    """Returns seconds of an edit in a conversation, and of the first picture of a garment in a fresh process."""
    took = []
    for request in requests(count, seed=7):
        draw(request.before)
        start = time.perf_counter()
        edit(request.before, request.words)
        took.append(time.perf_counter() - start)
    first = []
    for garment in GARMENTS:
        start = time.perf_counter()
        Drawer().draw(first_design(garment))
        first.append(time.perf_counter() - start)
    return {"edit_median_s": statistics.median(took), "edit_worst_s": max(took), "from_nothing_worst_s": max(first)}


def measure_pictures(count: int) -> dict[str, Any]:
    """Returns how often the pattern of a picture is told, by the kind of picture, and how near its scale is."""
    right: Counter[str] = Counter()
    every: Counter[str] = Counter()
    taken_for: Counter[str] = Counter()
    scales, apart, took = [], [], []
    chance = Random(5)
    for _ in range(count):
        mark, colour, view, picture = _picture(chance)
        start = time.perf_counter()
        seen = read_picture(picture)
        took.append(time.perf_counter() - start)
        told = seen.swatch.print if seen.swatch else None
        kind, wanted = told.kind if told else "plain", mark.kind if mark else "plain"
        every[view] += 1
        right[view] += kind == wanted
        if kind != wanted:
            taken_for[f"{wanted} for {kind}"] += 1
        elif told is not None and mark is not None and kind != "floral":
            scales.append(told.scale / mark.scale)
        if mark is None and seen.swatch is not None:
            apart.append(distance(seen.swatch.colour, colour))
    return {
        "pictures": count,
        "right": {view: f"{right[view]} of {every[view]}" for view in every},
        "taken_for": dict(taken_for.most_common()),
        "scale_ratio_10_50_90": [round(float(ratio), 3) for ratio in np.percentile(scales, (10, 50, 90))],
        "plain_colour_delta_e_median": round(statistics.median(apart), 1),
        "seconds_median": statistics.median(took),
    }


def _picture(chance: Random) -> tuple[Print | None, tuple[int, int, int], str, Image.Image]:
    garment, kind = chance.choice([*GARMENTS]), chance.choice([*PRINTS, "plain"])
    colour = chance.choice([*COLOURS.values()])
    mark = None
    if kind != "plain":
        ink = chance.choice([ink for ink in COLOURS.values() if distance(ink, colour) > 35])
        scale, share = PRINTS[kind]
        angle = chance.choice((0, 90, 45)) if kind == "stripes" else 0
        share = min(share * chance.uniform(0.7, 1.2), 0.6)
        mark = Print(kind, (ink,), round(scale * chance.uniform(0.7, 1.5), 1), share, angle)
    design = first_design(garment, chance.randrange(1000))
    image = draw(replace(design, cloth=Swatch(colour, design.cloth.weave, mark)))
    view = chance.choice(("whole", "crop", "camera"))
    if view == "crop":
        (x, y), side = _CLOTH_AT[garment], 70 if garment == "trousers" else chance.randrange(70, 170)
        image = image.crop((x, y, x + side, y + round(side * 1.2)))
    elif view == "camera":
        levels = np.asarray(image.resize((800, 1200))).astype(float) * chance.uniform(0.75, 1.1)
        levels += np.random.default_rng(chance.randrange(10**6)).normal(0, 5, levels.shape)
        image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    return mark, colour, view, image


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--foreign", type=int, default=50)
    parser.add_argument("--pictures", type=int, default=100)
    options = parser.parse_args(arguments)
    figures = {
        **measure_times(min(options.requests, 40)),
        "words": measure_requests(options.requests, options.foreign),
        "cloth": measure_pictures(options.pictures),
    }
    print(json.dumps(figures, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
