"""Reads cloth from a picture: its colours, and the kind and scale of its pattern, by simple analysis of pixels.

Colours are clusters in Lab. Four measures of where the ink lies decide whether there is a pattern, and which: how
much all edges run one way (stripes), how well rows and columns alone explain it (checks), how compact and alike its
spots are (dots), and how it repeats (the scale). Other spots are called flowers; any other pattern
is unknown, and only its colours are taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.synthetic.materials import Colour

from .cloth import Seen, swatch_text
from .colours import lab
from .prints import PRINTS, Print, Swatch

Field = NDArray[np.float64]
Mask = NDArray[np.bool_]

_WIDTH = 512  # larger pictures are made so wide: the scale of a print is meant for pictures of this width
_SMALL = 96  # the side of the picture on which the background is separated from the garment
_PATCH = 132
_ALIKE = 13.0  # ΔE up to which two clusters are one colour in other light
_LEAST_INK = 0.035


@dataclass(frozen=True)
class Ink:
    """Where the ink of a patch lies: `share` of each pixel, 0..1, shape (H, W)."""

    share: Field

    @property
    def area(self) -> float:
        """The share of the patch that is ink, 0..1."""
        return float((self.share > 0.5).mean())


@dataclass(frozen=True)
class Pattern:
    """A pattern and how sure it is, 0..1."""

    kind: str
    scale: float
    share: float
    angle: int
    sure: float


def read_picture(picture: Image.Image) -> Seen:
    """Returns the cloth that a picture shows, and a sentence about it.

    The picture may be a piece of cloth, a detail of a garment, or a whole garment before an even background. A sketch
    shows no cloth, and the sentence says so.
    """
    pixels = _scaled(picture)
    garment = _garment(pixels)
    if _is_sketch(pixels):
        return Seen(
            None,
            "The picture is a sketch: I read colours and patterns from pictures, not shapes; say in words what it "
            "shows, such as “short sleeves”.",
        )
    colours, shares = _colours(pixels[garment])
    pattern = _pattern(pixels, garment, colours) if len(colours) > 1 else None
    if pattern is None:
        swatch = Swatch(_level(colours[0]))
        others = zip(colours[1:], shares[1:], strict=True)
        several = any(share > 0.12 and not _is_shade(_level(colours[0]), _level(other)) for other, share in others)
        note = f"The picture shows {swatch_text(swatch)}"
        note += " with a pattern that I don't know; I take the colour." if several else ", plain."
        return Seen(swatch, note)
    base, inks = _roles(pattern, colours, shares)
    mark = Print(pattern.kind, inks, pattern.scale, pattern.share, pattern.angle)
    swatch = Swatch(base, None, mark)
    return Seen(swatch, f"The picture shows {swatch_text(swatch)}.")


def _scaled(picture: Image.Image) -> NDArray[np.uint8]:
    image = picture.convert("RGB")
    if image.width > _WIDTH:
        image = image.resize((_WIDTH, max(round(image.height * _WIDTH / image.width), 1)), Image.Resampling.LANCZOS)
    if image.height > 2 * _WIDTH:
        image = image.crop((0, 0, image.width, 2 * _WIDTH))
    if min(image.size) < 24:
        image = image.resize((max(image.width, 24), max(image.height, 24)), Image.Resampling.NEAREST)
    return np.asarray(image)


def _garment(pixels: NDArray[np.uint8]) -> Mask:
    """Returns where cloth is: all but an even background that surrounds one large thing, else everything."""
    height, width = pixels.shape[:2]
    factor = max(height, width) / _SMALL
    size = (max(round(width / factor), 8), max(round(height / factor), 8))
    small = lab(np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX)))
    everything = np.ones((height, width), bool)
    border = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    ground = np.median(border, axis=0)
    if (np.linalg.norm(border - ground, axis=1) < 12).mean() < 0.7:
        return everything
    like = np.linalg.norm((small - ground) * (0.6, 1, 1), axis=2) < 9
    outside = _reached(like)
    thing = _largest(~outside)
    share = thing.mean()
    rows, columns = np.nonzero(thing)
    if not len(rows) or not 0.06 < share < 0.92:
        return everything
    box = (rows[-1] - rows[0] + 1) * (columns.max() - columns.min() + 1)
    if thing.sum() / box < 0.36 or thing.sum() < 0.7 * (~outside).sum():
        return everything
    large = Image.fromarray(_eroded(_eroded(thing)).astype(np.uint8) * 255).resize(
        (width, height), Image.Resampling.NEAREST
    )
    mask: Mask = np.asarray(large) > 0
    return mask if mask.mean() > 0.02 else everything


def _reached(free: Mask) -> Mask:
    """Returns which free pixels hang together with the border."""
    reached = np.zeros_like(free)
    reached[0], reached[-1], reached[:, 0], reached[:, -1] = free[0], free[-1], free[:, 0], free[:, -1]
    while True:
        grown = reached.copy()
        grown[1:] |= reached[:-1]
        grown[:-1] |= reached[1:]
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown &= free
        if (grown == reached).all():
            return reached
        reached = grown


def _eroded(mask: Mask) -> Mask:
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    return inner


def _spots(mask: Mask) -> Iterator[NDArray[np.int64]]:
    """Yields the connected spots of a mask as (row, column) pairs, shape (N, 2)."""
    left = mask.copy()
    height, width = mask.shape
    for row, column in np.argwhere(mask):
        if not left[row, column]:
            continue
        left[row, column] = False
        spot, waiting = [], [(int(row), int(column))]
        while waiting:
            y, x = waiting.pop()
            spot.append((y, x))
            for b, a in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= b < height and 0 <= a < width and left[b, a]:
                    left[b, a] = False
                    waiting.append((b, a))
        yield np.array(spot)


def _largest(mask: Mask) -> Mask:
    largest = max(_spots(mask), key=len, default=None)
    alone = np.zeros_like(mask)
    if largest is not None:
        alone[largest[:, 0], largest[:, 1]] = True
    return alone


def _is_sketch(pixels: NDArray[np.uint8]) -> bool:
    """Returns whether a picture is thin lines without colour on white, and no regular pattern."""
    if (pixels.min(axis=2) > 218).mean() < 0.72:
        return False
    ink = pixels.max(axis=2) < 180
    if not 0.002 < ink.mean() < 0.22 or float(np.ptp(pixels[ink], axis=1).mean()) > 40:
        return False
    thick = _eroded(_eroded(_eroded(ink)))
    if thick.sum() > 0.2 * ink.sum():
        return False
    side = min(*ink.shape, 2 * _PATCH)
    top, left = (ink.shape[0] - side) // 2, (ink.shape[1] - side) // 2
    middle = Ink(ink[top : top + side, left : left + side].astype(np.float64))
    return middle.area < _LEAST_INK or _kind(middle) is None


def _colours(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the colours of the pixels, the most frequent first, as sRGB levels (K, 3), and their shares."""
    step = max(len(pixels) // 6000, 1)
    levels = pixels[::step].astype(np.float64)
    places = lab(levels) * (0.7, 1, 1)  # light and shade move a colour's lightness most
    centres = [np.median(places, axis=0)]
    for quantile in (0.995, 0.99, 0.985, 0.985, 0.985):
        far = np.min([np.linalg.norm(places - centre, axis=1) for centre in centres], axis=0)
        centres.append(places[np.argsort(far)[int(len(far) * quantile)]])
    middle = np.array(centres)
    for _ in range(12):
        own = np.linalg.norm(places[:, None] - middle[None], axis=2).argmin(axis=1)
        middle = np.array(
            [places[own == k].mean(axis=0) if (own == k).any() else middle[k] for k in range(len(middle))]
        )
    groups: list[list[int]] = []
    for k in np.argsort(-np.bincount(own, minlength=len(middle))):
        near = [group for group in groups if np.linalg.norm(middle[group[0]] - middle[k]) < _ALIKE]
        if not near:
            groups.append([])
        (near or groups[-1:])[0].append(int(k))
    members = [np.isin(own, group) for group in groups]
    members = sorted((member for member in members if member.mean() > 0.012), key=lambda member: -member.mean())
    colours = np.array([np.median(levels[member], axis=0) for member in members])
    return colours, np.array([member.mean() for member in members])


def _level(levels: NDArray[np.float64]) -> Colour:
    red, green, blue = (round(float(level)) for level in levels)
    return red, green, blue


def _roles(
    pattern: Pattern, colours: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[Colour, tuple[Colour, ...]]:
    """Returns the cloth's colour and the inks; a mixture of two of the colours is no colour of its own."""
    colours, shares = _unmixed(pattern.kind, colours, shares)
    every = [_level(colour) for colour in colours]
    if pattern.kind == "check":
        pale, dark = sorted(_ends(colours[shares > 0.08][:4]), key=lambda k: -float(lab(colours[k])[0]))
        ink = (
            colours[pale] + (colours[dark] - colours[pale]) / 0.8
        )  # where both threads are dark, a fifth is pale still
        return every[pale], (_level(np.clip(ink, 0, 255)),)
    inks = [colour for colour, share in zip(every[1:], shares[1:], strict=True) if share > 0.05] or every[1:2]
    clear = [ink for ink in inks if not _is_shade(every[0], ink)] or inks[:1]
    return every[0], tuple(
        ink for n, ink in enumerate(clear[:3]) if not any(_is_shade(other, ink) for other in clear[:n])
    )


def _unmixed(
    kind: str, colours: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the colours without the mixtures that pixels on an edge have, which may outnumber those of the threads.

    A houndstooth has two colours. In other prints a mixture of the cloth and an ink is rarer than the ink, and a
    mixture as frequent is taken for another ink.
    """
    if kind == "check":  # whose threads mix: see `_roles`
        return colours, shares
    if kind == "houndstooth":
        frequent = np.flatnonzero(shares > 0.05)
        pure = sorted(int(frequent[k]) for k in _ends(colours[frequent])) if len(frequent) > 1 else [0]
    else:
        pure = [
            k
            for k in range(len(colours))
            if not any(
                shares[k] < 0.6 * shares[ink] and _is_between(colours[k], colours[0], colours[ink])
                for ink in range(1, len(colours))
                if ink != k
            )
        ]
    return colours[pure], shares[pure]


def _is_between(colour: NDArray[np.float64], one: NDArray[np.float64], two: NDArray[np.float64]) -> bool:
    """Returns whether a colour is a mixture of two others, as far as rounding and noise let one tell."""
    way = two - one
    length = float(np.linalg.norm(way))
    along = float((colour - one) @ way) / max(length * length, 1.0)
    return 0.1 < along < 0.9 and float(np.linalg.norm(colour - one - along * way)) < 0.12 * length


def _is_shade(one: Colour, two: Colour) -> bool:
    """Returns whether one colour may be the other in more or less light."""
    ratios = [(b + 12) / (a + 12) for a, b in zip(one, two, strict=True)]
    return max(ratios) / min(ratios) < 1.3 and 0.6 < ratios[1] < 1.65


def _ends(colours: NDArray[np.float64]) -> tuple[int, int]:
    places = lab(colours)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    one, two = np.unravel_index(int(apart.argmax()), apart.shape)
    return int(one), int(two)


def _mixed_ends(colours: NDArray[np.float64]) -> tuple[int, int] | None:
    """Returns the two threads of a check: the colours farthest apart, where the most frequent one is their mixture."""
    one, two = _ends(colours[:4])
    if 0 in (one, two):
        return None
    way = colours[two] - colours[one]
    along = float((colours[0] - colours[one]) @ way / (way @ way))
    beside = float(np.linalg.norm(colours[0] - colours[one] - along * way))
    return (one, two) if 0.25 < along < 0.75 and beside < 0.25 * float(np.linalg.norm(way)) else None


def _pattern(pixels: NDArray[np.uint8], garment: Mask, colours: NDArray[np.float64]) -> Pattern | None:
    """Returns the pattern that most of the patches show, weighted by how sure they are; None where there is none."""
    middle = lab(colours) * (0.7, 1, 1)
    threads = _mixed_ends(colours)
    dark = [_is_shade(_level(colours[0]), _level(colour)) for colour in colours]
    shaded = all(dark)  # perhaps folds alone, perhaps two tones of a colour
    ground = [k for k in range(len(colours)) if k == 0 or (dark[k] and not shaded)]
    by_kind: dict[str, list[Pattern]] = {}
    patches = 0
    for top, left, side in _patches(garment):
        patches += 1
        places = lab(pixels[top : top + side, left : left + side]) * (0.7, 1, 1)
        if threads is None:
            apart = np.linalg.norm(places[..., None, :] - middle, axis=-1)
            base, ink = apart[..., ground].min(axis=-1), np.delete(apart, ground, axis=-1).min(axis=-1)
            share = base / (base + ink + 1e-9)
        else:
            one, way = middle[threads[0]], middle[threads[1]] - middle[threads[0]]
            share = np.clip((places - one) @ way / (way @ way), 0, 1)
        inked = Ink(share)
        pattern = _kind(inked) if inked.area > _LEAST_INK else None
        if pattern is not None and (not shaded or pattern.sure > 1.0):
            by_kind.setdefault(pattern.kind, []).append(pattern)
    if not by_kind:
        return None
    best = max(by_kind.values(), key=lambda patterns: sum(pattern.sure for pattern in patterns))
    if len(best) * 2 < patches:
        return None
    return sorted(best, key=lambda pattern: pattern.sure)[-1]


def _patches(garment: Mask) -> Iterator[tuple[int, int, int]]:
    """Yields squares (top, left, side) that lie on cloth: five of the middle, smaller where the cloth is small."""
    rows, columns = np.nonzero(garment)
    top, left, bottom, right = rows[0], columns.min(), rows[-1] + 1, columns.max() + 1
    total = np.pad(garment.astype(np.int32).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    for side in (_PATCH, 88, 56, 32):
        if side > min(bottom - top, right - left):
            continue
        squares = []
        for y in np.linspace(top, bottom - side, 9).astype(int):
            for x in np.linspace(left, right - side, 9).astype(int):
                covered = total[y + side, x + side] - total[y, x + side] - total[y + side, x] + total[y, x]
                if covered > 0.985 * side * side:
                    away = math.hypot(y + side / 2 - (top + bottom) / 2, x + side / 2 - (left + right) / 2)
                    squares.append((away, int(y), int(x)))
        if len(squares) >= 3 or (squares and side == min(bottom - top, right - left)):
            squares.sort()
            step = max(len(squares) // 6, 1)
            yield from ((y, x, side) for _, y, x in squares[::step][:6])
            return
    side = min(bottom - top, right - left)
    yield int(top + (bottom - top - side) // 2), int(left + (right - left - side) // 2), int(side)


def _kind(ink: Ink) -> Pattern | None:
    """Returns the pattern of a patch."""
    share = _smooth(ink.share)
    down, across = (np.asarray(slope) for slope in np.gradient(share))
    xx, yy, xy = (across * across).mean(), (down * down).mean(), (across * down).mean()
    if xx + yy < 2e-4:
        return None
    coherence = math.hypot(xx - yy, 2 * xy) / (xx + yy)
    if coherence > 0.62:
        return _stripes(ink, math.degrees(0.5 * math.atan2(2 * xy, xx - yy)), coherence)
    separable = _separability(share)
    dots = _dots(ink)
    if dots is not None and separable < 0.45:
        return dots
    if separable > 0.48 and (check := _check(ink, separable, spotted=dots is not None)) is not None:
        return check
    if (zigzag := _chevron(ink, down, across)) is not None:
        return zigzag
    return _flowers(ink)


def _smooth(share: Field) -> Field:
    padded = np.pad(share, 1, mode="edge")
    return (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] + 2 * padded[1:-1, 1:-1]) / 6


def _period(profile: Field) -> tuple[float, float]:
    """Returns the distance after which a profile repeats, in pixels, and how well, -1..1; 0 where it doesn't."""
    wave = profile - profile.mean()
    size = len(wave)
    spectrum = np.fft.rfft(wave, 2 * size)
    same = np.fft.irfft(spectrum * spectrum.conj())[:size] / (np.arange(size, 0, -1) / size)
    if same[0] <= 1e-12:
        return 0.0, 0.0
    same = same / same[0]
    low = next((k for k in range(1, size // 2) if same[k] <= 0.15), None)
    if low is None:
        return 0.0, 0.0
    stop = max(int(size * 0.72), low + 2)
    peak = low + int(same[low:stop].argmax())
    first = next(
        (k for k in range(low + 1, peak) if same[k] > 0.82 * same[peak] and same[k] >= same[k - 1 : k + 2].max()), peak
    )
    if not 0 < first < size - 1:
        return 0.0, 0.0
    a, b, c = same[first - 1 : first + 2]
    bent = a - 2 * b + c
    shift = 0.5 * (a - c) / bent if bent < -1e-9 else 0.0
    return first + float(np.clip(shift, -0.5, 0.5)), float(same[first])


def _turned_profile(share: Field, heading: float) -> Field:
    """Returns the mean of the patch along lines across a heading (degrees, 0 to the right, 90 down)."""
    side = min(share.shape)
    turned = np.asarray(
        Image.fromarray(share.astype(np.float32)).rotate(heading, Image.Resampling.BILINEAR), np.float64
    )
    reach = int(side * 0.68 / 2)
    middle, centre = turned.shape[0] // 2, turned.shape[1] // 2
    part = turned[middle - reach : middle + reach, centre - reach : centre + reach]
    profile: Field = part.mean(axis=0)
    return profile


def _stripes(ink: Ink, heading: float, coherence: float) -> Pattern | None:
    near = min((0, 90, -90, 45, -45), key=lambda angle: abs(heading - angle))
    straight = abs(near) != 45 and abs(heading - near) < 16
    profile = ink.share.mean(axis=0 if near == 0 else 1) if straight else _turned_profile(ink.share, heading)
    period, sure = _period(profile)
    if period < 3 or sure < 0.15:
        return None
    angle = {0: 90, 90: 0, -90: 0}.get(near, near)  # angle + heading is 90 or -90: 45 and -45 stay as they are
    return Pattern("stripes", _scale(period), _share(ink.area), angle, coherence * (0.4 + sure))


def _separability(share: Field) -> float:
    """Returns how much of the patch its rows and columns explain, 0..1, in windows small enough for bent cloth."""
    side = min(64, *share.shape)
    explained = []
    for top in range(0, share.shape[0] - side + 1, max(side // 2, 1)):
        for left in range(0, share.shape[1] - side + 1, max(side // 2, 1)):
            part = share[top : top + side, left : left + side]
            spread = part.var()
            if spread > 1e-3:
                rest = part - part.mean(axis=0) - part.mean(axis=1, keepdims=True) + part.mean()
                explained.append(1 - rest.var() / spread)
    return float(np.median(explained)) if explained else 0.0


def _check(ink: Ink, separable: float, *, spotted: bool) -> Pattern | None:
    """Returns a check; `spotted` where its ink lies in spots of their own: the pale squares between dark threads."""
    profiles = [ink.share.mean(axis=axis) for axis in (0, 1)]
    (one, first), (two, second) = each = [_period(profile) for profile in profiles]
    if min(one, two) < 4 or min(first, second) < 0.12 or not 0.8 < one / two < 1.25:
        return None
    period, sure = max(each, key=lambda repeat: repeat[1])
    lines = ink.area
    if lines < 0.30 and not spotted:
        wide = 1 - math.sqrt(max(1 - lines, 0.0))
        return Pattern("windowpane", _scale(period), min(max(wide, 0.03), 0.2), 0, separable * (0.4 + sure))
    between = float(((ink.share > 0.3) & (ink.share < 0.7)).mean())
    overtone = max(_overtone(profile, period) for profile in profiles)
    kind = "tartan" if overtone > 0.3 else "check" if spotted or between > 0.22 else "houndstooth"
    return Pattern(kind, _scale(period), PRINTS[kind][1], 0, separable * (0.4 + sure))


def _overtone(profile: Field, period: float) -> float:
    """Returns how strong the second harmonic of a profile is beside the first: even bands have none."""
    place = np.arange(len(profile)) * (2j * math.pi / period)
    wave = (profile - profile.mean()) * np.hanning(len(profile))
    return float(abs((wave * np.exp(2 * place)).sum()) / (abs((wave * np.exp(place)).sum()) + 1e-9))


def _dots(ink: Ink) -> Pattern | None:
    """Returns dots where the spots are round and alike; those cut off by the patch's edge don't count."""
    mask = ink.share > 0.5
    whole = [spot for spot in _spots(mask) if len(spot) >= 4 and _inside(spot, mask.shape)]
    if len(whole) < 3:
        return None
    areas = np.array([len(spot) for spot in whole], float)
    usual = float(np.median(areas))
    alike = float(((areas > 0.55 * usual) & (areas < 1.7 * usual)).mean())
    round_ = float(np.median([_roundness(spot) for spot in whole]))
    covered = areas.sum() / max(mask.sum(), 1)
    if alike < 0.65 or not 0.74 < round_ < 1.4 or covered < 0.2:
        return None
    centres = np.array([spot.mean(axis=0) for spot in whole])
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    near = float(np.median(apart.min(axis=1)))
    if round_ > 1.13:  # the squares between the threads of a check
        return Pattern("check", _scale(near), PRINTS["check"][1], 0, 0.6 + 0.5 * alike)
    density = ink.area / usual  # dots per pixel: a lattice of two dots in a square
    scale = (
        math.sqrt(2 / density) if 0.6 < math.sqrt(2 / density) / (near * math.sqrt(2)) < 1.5 else near * math.sqrt(2)
    )
    share = 2 * math.sqrt(usual / math.pi) / scale
    return Pattern("dots", _scale(scale), min(max(share, 0.1), 0.8), 0, 0.6 + 0.8 * alike)


def _inside(spot: NDArray[np.int64], shape: tuple[int, ...]) -> bool:
    low, high = spot.min(axis=0), spot.max(axis=0)
    return bool((low > 0).all() and (high < np.array(shape[:2]) - 1).all())


def _roundness(spot: NDArray[np.int64]) -> float:
    """Returns a spot's area as a share of the disc as wide as its diameter: 1 for a disc, 1.27 for a square."""
    tall, wide = spot.max(axis=0) - spot.min(axis=0) + 1
    return float(len(spot) / (math.pi / 4 * max(tall, wide) ** 2))


def _chevron(ink: Ink, down: Field, across: Field) -> Pattern | None:
    """Returns zigzags where edges run along both diagonals, and rows repeat less than columns."""
    strength = np.hypot(down, across)
    turn = np.degrees(np.arctan2(down, across)) % 180
    strong = strength > 0.25 * strength.max()
    if not strong.any():
        return None
    first = strength[strong & (np.abs(turn - 48) < 26)].sum() / strength[strong].sum()
    other = strength[strong & (np.abs(turn - 132) < 26)].sum() / strength[strong].sum()
    if min(first, other) < 0.28 or first + other < 0.72:
        return None
    half = ink.share.shape[1] // 8
    periods = [_period(ink.share[:, k : k + 3].mean(axis=1)) for k in range(half, ink.share.shape[1] - half, 5)]
    sure = [period for period, same in periods if same > 0.3 and period > 4]
    if len(sure) < len(periods) / 3 or not 0.15 < ink.area < 0.85:
        return None
    return Pattern("chevron", _scale(float(np.median(sure))), _share(ink.area), 0, 0.8)


def _flowers(ink: Ink) -> Pattern | None:
    """Returns flowers where there are several spots of unequal size."""
    mask = ink.share > 0.5
    spots = [len(spot) for spot in _spots(mask) if len(spot) >= 6]
    if len(spots) < 4 or not 0.04 < ink.area < 0.65 or max(spots) > 0.8 * mask.sum():
        return None
    large = float(np.percentile(spots, 85))
    scale = 38.0 if 2 * math.sqrt(large / math.pi) < 15 else 64.0
    return Pattern("floral", scale, PRINTS["floral"][1], 0, 0.5)


def _scale(period: float) -> float:
    return round(min(max(period, 6.0), 180.0), 1)


def _share(area: float) -> float:
    return round(min(max(area, 0.04), 0.85), 3)
