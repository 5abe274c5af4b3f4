"""A drawn figure, for asking whether a service edits people at all; no photograph comes with the package."""

from __future__ import annotations

from PIL import Image, ImageDraw

_SKIN, _HAIR, _DRESS, _SHOES = "#d9a583", "#3b2a20", "#35527a", "#222222"


def drawn_person(size: tuple[int, int] = (512, 768)) -> Image.Image:
    """Returns a figure in a dress before a plain wall: flat colours, a face, arms and legs.

    Args:
        size: Width and height, pixels.
    """
    image = Image.new("RGB", (512, 768), "#e9e6e0")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 690, 512, 768), fill="#cfc8bd")
    draw.ellipse((196, 50, 316, 210), fill=_HAIR)
    draw.rectangle((236, 180, 276, 230), fill=_SKIN)
    draw.ellipse((208, 70, 304, 196), fill=_SKIN)
    draw.chord((206, 62, 306, 150), 180, 360, fill=_HAIR)
    for left in (230, 268):
        draw.ellipse((left, 124, left + 16, 134), fill="white")
        draw.ellipse((left + 5, 125, left + 12, 133), fill=_HAIR)
        draw.line((left - 2, 116, left + 18, 114), fill=_HAIR, width=4)
    draw.line((256, 134, 251, 156, 258, 158), fill="#b98362", width=3)
    draw.chord((240, 164, 272, 182), 0, 180, fill="#a8434a")
    for shoulder, hand in ((190, 150), (322, 362)):
        draw.line((shoulder, 250, hand, 440), fill=_SKIN, width=30)
        draw.ellipse((hand - 17, 430, hand + 17, 470), fill=_SKIN)
    for left in (214, 268):
        draw.rectangle((left, 560, left + 30, 700), fill=_SKIN)
        draw.ellipse((left - 6, 690, left + 40, 722), fill=_SHOES)
    draw.polygon([(196, 226), (236, 222), (256, 246), (276, 222), (316, 226), (344, 300), (310, 312), (304, 380),
                  (350, 580), (162, 580), (208, 380), (202, 312), (168, 300)], fill=_DRESS)  # fmt: skip
    draw.rectangle((206, 372, 306, 388), fill="#1f3350")
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
