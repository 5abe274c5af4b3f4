"""Draws docs/storyboard.png, the picture of the README: one sample of the control set through three rounds.

python docs/storyboard.py [ID]     # wants the extra `offline`
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

import fashionedit
import fashionedit.metrics
from fashionedit.types import Sample

OUT = Path(__file__).with_name("storyboard.png")
SAMPLE = "synthetic-0-validation-00000"
WIDTH, HEIGHT, GAP, MARGIN = 264, 396, 44, 24  # of one picture, between two, and around all; px
TITLE, WORDS, CROP, SCORE = 34, 60, 120, 40  # heights of the parts of a column, px
PICTURES = MARGIN + TITLE + WORDS + CROP + 14  # their top
INK, FAINT, ACCENT = "#1d1d1f", "#6e6e73", "#b3261e"


def main(id: str) -> None:
    """Draws the sample and writes the picture."""
    sample = fashionedit.open_data("synthetic:24").sample(id)
    images = [*rounds(sample), sample.original]
    titles = ("Draft", "Round 1", "Round 2", "Round 3", "Original")
    picture = Image.new("RGB", (2 * MARGIN + 5 * WIDTH + 4 * GAP, PICTURES + HEIGHT + SCORE + MARGIN), "white")
    draw = ImageDraw.Draw(picture)
    for column, (title, image) in enumerate(zip(titles, images, strict=True)):
        left = MARGIN + column * (WIDTH + GAP)
        draw.text((left, MARGIN), title, INK, font(24))
        picture.paste(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS), (left, PICTURES))
        if 1 <= column <= 3:
            difference = sample.differences[column - 1]
            words = textwrap.fill(difference.description, 28)
            draw.multiline_text((left, MARGIN + TITLE), words, INK, font(19), spacing=3)
            crop = ImageOps.contain(difference.reference, (WIDTH, CROP), Image.Resampling.LANCZOS)
            picture.paste(crop, (left, MARGIN + TITLE + WORDS + CROP - crop.height))
            box = difference.box.pixels(WIDTH, HEIGHT)
            corners = [(left + box[0] - 3, PICTURES + box[1] - 3), (left + box[2] + 2, PICTURES + box[3] + 2)]
            draw.rectangle(corners, outline=ACCENT, width=3)
        else:
            what = ("made from the photograph's caption", "what every round is compared with")[column == 4]
            draw.multiline_text((left, MARGIN + TITLE), textwrap.fill(what, 28), FAINT, font(19), spacing=3)
        if column < 4:
            draw.text((left, PICTURES + HEIGHT + 10), scores(image, sample.original), FAINT, font(18))
            arrow(draw, left + WIDTH + GAP // 2, PICTURES + HEIGHT // 2, "=" if column == 3 else "")
    picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(OUT, optimize=True)
    print(f"{OUT}: {picture.width}×{picture.height}, {OUT.stat().st_size // 1024} kB")


def rounds(sample: Sample) -> Iterator[Image.Image]:
    """Yields the draft, and what a perfect editor makes of it in each round: what the original has in the box."""
    image = sample.draft
    yield image
    for difference in sample.differences:
        image = image.copy()
        box = difference.box.pixels(image.width, image.height)
        image.paste(sample.original.crop(box), box[:2])
        yield image


def scores(image: Image.Image, original: Image.Image) -> str:
    """Returns both numbers of a picture against the original, in words."""
    pair = {"predictions": [image], "references": [original]}
    cosine = fashionedit.metrics.load("clip_similarity", "offline").compute(**pair)["cosine_similarity"]
    psnr = fashionedit.metrics.load("psnr").compute(**pair)["psnr"]
    return f"cosine {cosine:.1f} · PSNR {'max.' if psnr > 300 else f'{psnr:.1f} dB'}"


def arrow(draw: ImageDraw.ImageDraw, x: int, y: int, sign: str) -> None:
    """Draws a sign between two pictures, or an arrow where there is none."""
    if sign:
        draw.text((x, y), sign, FAINT, font(30), anchor="mm")
        return
    draw.line([(x - 12, y), (x + 8, y)], FAINT, 3)
    draw.polygon([(x + 4, y - 8), (x + 14, y), (x + 4, y + 8)], FAINT)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns the typeface that comes with Pillow."""
    return ImageFont.load_default(size)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else SAMPLE)
