"""Telling a picture from none: what a safety filter or overflowing numbers leave behind is black all over."""

from __future__ import annotations

from PIL import Image

from fashionedit.images import to_rgb

_SPREAD = 2  # levels of 0..255; what JPEG makes of one colour


def blank_reason(image: Image.Image) -> tuple[str, str] | None:
    """Returns why the image shows nothing, as reason and sentence; None for an image with something in it.

    One colour is one within 2 of 255 levels in each channel.

    >>> blank_reason(Image.new("RGB", (8, 8)))[0]
    'black image'
    """
    lows, highs = zip(*to_rgb(image).getextrema(), strict=True)
    if any(high - low > _SPREAD for low, high in zip(lows, highs, strict=True)):
        return None
    if max(highs) <= _SPREAD:
        return "black image", "the draft is black all over, as safety filters and overflowing half precision leave it"
    return "one-colour image", f"the draft has one colour all over, about rgb{lows}"
