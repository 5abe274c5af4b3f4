from __future__ import annotations

from PIL import Image

from fashionedit.eval_harness.running.round_planner import RecentImages
from fashionedit.images import png_bytes


def test_the_oldest_are_forgotten_when_there_are_too_many() -> None:
    images = [Image.new("RGB", (10, 10), (number, 0, 0)) for number in range(4)]
    each = 300 + len(png_bytes(images[0]))
    recent = RecentImages(most_bytes=3 * each + each // 2)
    for number, image in enumerate(images):
        recent.keep(str(number), image, png_bytes(image))
    assert recent.take("0") is None
    assert recent.take("3") == (images[3], png_bytes(images[3]))
    recent.keep("1", images[1], png_bytes(images[1]))  # the same once more takes no more room
    assert recent.take("2") is not None


def test_an_image_larger_than_all_there_is_room_for_is_not_kept() -> None:
    recent = RecentImages(most_bytes=100)
    recent.keep("a", Image.new("RGB", (10, 10)), b"x")
    assert recent.take("a") is None
