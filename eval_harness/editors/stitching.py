"""Two images in one, for models that take a single image: base left, reference right, on white."""

from __future__ import annotations

from PIL import Image

GAP = 16
"""White pixels between the two."""


def stitch(base: Image.Image, reference: Image.Image) -> Image.Image:
    """Returns base and reference side by side: twice the base's width and the gap, the reference fitted into its half.

    Bicubic, the reference's aspect kept. The size depends on the base alone, so that `unstitch` needs nothing else.
    """
    canvas = Image.new("RGB", (2 * base.width + GAP, base.height), "white")
    canvas.paste(base, (0, 0))
    scale = min(base.width / reference.width, base.height / reference.height)
    size = max(1, round(reference.width * scale)), max(1, round(reference.height * scale))
    fitted = reference.resize(size, Image.Resampling.BICUBIC)
    left = base.width + GAP + (base.width - fitted.width) // 2
    canvas.paste(fitted, (left, (base.height - fitted.height) // 2))
    return canvas


def unstitch(output: Image.Image, base: Image.Image) -> Image.Image:
    """Returns the base's part of an edited side-by-side image of any size, in proportion."""
    share = base.width / (2 * base.width + GAP)
    return output.crop((0, 0, max(1, round(output.width * share)), output.height))
