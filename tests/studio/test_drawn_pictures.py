"""The drawn designer and pictures: what is drawn of every part, and what is read from a picture that is shown."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fashionedit.images import pixel_digest
from fashionedit.studio.drawn import Design, generate
from fashionedit.studio.drawn.changes import Answer
from fashionedit.studio.drawn.colours import distance, shaded
from fashionedit.studio.drawn.drawing import draw, drawn_cloths
from fashionedit.studio.drawn.editor import changed, first_design
from fashionedit.studio.drawn.garments import GARMENTS, SHOWN_BY
from fashionedit.studio.drawn.prints import PRINTS, Print, PrintedMaterial, Swatch
from fashionedit.studio.drawn.reference import read_picture
from fashionedit.studio.drawn.words import COLOURS
from fashionedit.synthetic.materials import Colour

WHITE, NAVY, RED = COLOURS["white"], COLOURS["navy"], COLOURS["red"]


def cloth(colour: Colour, mark: Print | None, size: tuple[int, int] = (300, 300)) -> Image.Image:
    """A flat piece of cloth."""
    across, down = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in size))
    levels = PrintedMaterial(colour, "poplin", None, mark).dyed(across, down)
    return Image.fromarray(np.clip(np.asarray(levels) + 0.5, 0, 255).astype(np.uint8))


def printed(kind: str, ink: Colour, size: float = 1.0, angle: int = 0) -> Print:
    scale, share = PRINTS[kind]
    inks = (NAVY, COLOURS["burgundy"], COLOURS["butter"]) if kind == "tartan" else (ink,)
    return Print(kind, inks, scale * size, share, angle)


def shirt(words: str, picture: Image.Image, before: str = "a green shirt") -> tuple[Design, Design, Answer]:
    """Returns a shirt, and what the words and the picture make of it."""
    design = generate(before).design
    return design, *changed(design, words, picture)


@pytest.mark.parametrize("garment", GARMENTS)
def test_a_garment_whose_every_part_is_dyed_keeps_nothing_of_its_colour(garment: str) -> None:
    design = replace(first_design(garment), cloth=Swatch(RED, "denim"), trim=RED, backdrop=WHITE)
    for name, value in SHOWN_BY[garment].values():
        design = design.with_feature(name, value)
    for part in design.kind.parts:
        design = design.with_part(part, Swatch(COLOURS["green"]))
    levels = np.asarray(draw(design)).astype(int)
    assert (levels[..., 1] - levels[..., 0] > 20).sum() > 100_000
    assert (levels[..., 0] - levels[..., 1] > 40).sum() < 500  # seams between pieces


def with_every_part(garment: str) -> Design:
    """Returns a garment that shows all parts that it can show at the same time."""
    design = replace(first_design(garment), cloth=Swatch(NAVY, "twill", printed("dots", WHITE)), trim=RED)
    for name, value in SHOWN_BY[garment].values():
        design = design.with_feature(name, value)
    return design


@pytest.mark.parametrize("garment", GARMENTS)
def test_a_part_whose_own_cloth_is_the_one_it_is_drawn_in_looks_the_same(garment: str) -> None:
    design = with_every_part(garment)
    before = draw(design)
    several = set()
    for part in design.kind.parts:
        cloths = drawn_cloths(design, part)
        if len(cloths) == 1:
            assert pixel_digest(draw(design.with_part(part, cloths[0]))) == pixel_digest(before), part
        elif cloths:
            several.add(part)
    assert several <= {"body", "cuffs", "decoration", "yoke"}


@pytest.mark.parametrize("garment", GARMENTS)
def test_lighter_and_darker_start_from_the_colour_that_a_part_is_drawn_in(garment: str) -> None:
    design = with_every_part(garment)
    seen = {part: drawn_cloths(design, part) for part in design.kind.parts}
    assert {cloths[0].colour for cloths in seen.values() if cloths} >= {NAVY, RED}
    for part, cloths in seen.items():
        for word, share in {"lighter": 0.28, "brighter": 0.28, "darker": -0.28, "deeper": -0.28}.items():
            after, answer = changed(design, f"{word} {design.kind.parts[part][0]}")
            if not cloths:
                assert (after, answer.done) == (design, ())
                continue
            assert after == design.with_part(part, after.parts[part]), part
            assert after.parts[part] == Swatch(shaded(cloths[0].colour, share), None, cloths[0].print), part
    for word, share in {"light": 0.42, "dark": -0.38}.items() if seen["buttons"] else ():
        after, _ = changed(design, f"make the buttons {word}")
        assert after.parts["buttons"].colour == shaded(seen["buttons"][0].colour, share)


def test_a_part_that_is_kept_looks_as_before() -> None:
    shirt = generate("a navy shirt with a bow").design
    after, answer = changed(shirt, "make it white but keep the bow and the buttons")
    assert (answer.done, after.parts) == (("cloth: white poplin",), {})
    shirt = generate("a navy t-shirt with white stripes").design
    after, answer = changed(shirt, "make it red but keep the neckline")
    assert drawn_cloths(after, "collar") == drawn_cloths(shirt, "collar") == [Swatch(NAVY, "rib")]


@pytest.mark.parametrize(("colour", "ink"), [(WHITE, NAVY), (RED, WHITE)])
@pytest.mark.parametrize("kind", PRINTS)
def test_every_print_is_told_with_its_scale_and_colour(kind: str, colour: Colour, ink: Colour) -> None:
    seen = read_picture(cloth(colour, printed(kind, ink)))
    assert seen.swatch is not None
    mark = seen.swatch.print
    assert mark is not None
    assert mark.kind == kind
    assert mark.scale == pytest.approx(PRINTS[kind][0], rel=0.05)
    if kind not in ("check", "tartan", "houndstooth"):  # whose threads mix
        assert distance(seen.swatch.colour, colour) < 5


@pytest.mark.parametrize(
    ("kind", "size"),
    [*product(("houndstooth", "dots", "chevron"), (0.5, 0.7, 1, 1.4)), *product(("stripes",), (0.7, 1, 1.4))],
)
def test_a_print_of_two_colours_is_read_with_these_two_and_no_mixture(kind: str, size: float) -> None:
    for colour, ink in permutations([WHITE, NAVY, RED, COLOURS["black"], COLOURS["camel"]], 2):
        if distance(colour, ink) < 35:
            continue
        swatch = read_picture(cloth(colour, printed(kind, ink, size), (240, 240))).swatch
        assert swatch is not None
        assert swatch.print is not None
        if swatch.print.kind != kind:
            continue  # its kind is another test's matter
        assert len(swatch.print.inks) == 1, (colour, ink)
        apart = [
            distance(one, two) for one, two in zip((swatch.colour, *swatch.print.inks), (colour, ink), strict=True)
        ]
        if kind == "houndstooth":  # half is cloth, half is ink
            other = zip((swatch.colour, *swatch.print.inks), (ink, colour), strict=True)
            apart = min(apart, [distance(one, two) for one, two in other], key=max)
        assert max(apart) < 12, (colour, ink, swatch)


@pytest.mark.parametrize(("angle", "direction"), [(0, "horizontal"), (90, "vertical"), (45, "diagonal")])
def test_stripes_are_told_with_their_direction(angle: int, direction: str) -> None:
    assert f"white with {direction} navy stripes" in read_picture(cloth(WHITE, printed("stripes", NAVY, 1, angle))).note


@pytest.mark.parametrize("scale", [0.6, 1, 2])
@pytest.mark.parametrize(
    ("angle", "nearest"),
    [(-60, -45), (-45, -45), (-30, -45), (-10, 0), (10, 0), (30, 45), (45, 45), (60, 45), (80, 90), (135, -45)],
)
def test_stripes_have_the_nearest_of_four_angles(angle: int, nearest: int, scale: float) -> None:
    seen = read_picture(cloth(WHITE, printed("stripes", NAVY, scale, angle)))
    assert seen.swatch is not None
    assert seen.swatch.print is not None
    assert (seen.swatch.print.kind, seen.swatch.print.angle) == ("stripes", nearest)


@pytest.mark.parametrize("angle", [0, 45, -45, 90])
def test_stripes_of_a_drawn_garment_are_read_as_they_were_drawn(angle: int) -> None:
    design = replace(first_design("skirt"), cloth=Swatch(WHITE, "poplin", printed("stripes", NAVY, 1, angle)))
    seen = read_picture(draw(design))
    assert seen.swatch is not None
    assert seen.swatch.print is not None
    assert (seen.swatch.print.kind, seen.swatch.print.angle) == ("stripes", angle)


def test_plain_cloth_of_any_size_is_its_colour() -> None:
    for size in ((5, 5), (40, 900), (900, 1800)):
        seen = read_picture(cloth(RED, None, size))
        assert seen.note == "The picture shows red, plain."


def test_the_garment_is_told_from_its_background() -> None:
    seen = read_picture(generate("a red dress with white dots").image)
    assert seen.note == "The picture shows red with white dots."


def test_a_pattern_that_has_no_name_leaves_the_colour() -> None:
    picture = cloth(RED, None)
    picture.paste(NAVY, (0, 0, 300, 110))
    assert read_picture(picture).note == "The picture shows red with a pattern that I don't know; I take the colour."


def test_a_sketch_shows_no_cloth_and_changes_nothing() -> None:
    sketch = Image.new("RGB", (400, 500), "white")
    lines = [(60, 60), (200, 40), (340, 60), (320, 400), (80, 400), (60, 60)]
    ImageDraw.Draw(sketch).line(lines, (30, 30, 30), 3)
    before, after, answer = shirt("the sleeves like this", sketch)
    assert after == before
    assert answer.notes[0].startswith("The picture is a sketch: I read colours and patterns from pictures, not shapes")


@pytest.mark.parametrize("words", ["this fabric", "", "make it from this material", "like the picture"])
def test_this_fabric_is_the_picture_s(words: str) -> None:
    before, after, answer = shirt(words, cloth(WHITE, printed("stripes", NAVY)))
    mark = after.cloth.print
    assert mark is not None
    assert (mark.kind, mark.angle, after.cloth.colour) == ("stripes", 0, WHITE)
    assert (after.features, after.parts) == (before.features, before.parts)
    assert answer.notes == ("The picture shows white with horizontal navy stripes.",)


def test_a_part_alone_takes_the_cloth() -> None:
    before, after, _ = shirt("the sleeves", cloth(WHITE, printed("dots", NAVY)))
    assert after.parts["sleeves"].print is not None
    assert (after.cloth, list(after.parts)) == (before.cloth, ["sleeves"])


def test_this_colour_leaves_the_pattern_as_it_is() -> None:
    before, after, _ = shirt("this colour", cloth(RED, printed("dots", WHITE)), "a green shirt with white stripes")
    assert (after.cloth.colour, after.cloth.print) == (RED, before.cloth.print)
    _, _, answer = shirt("buttons in this colour", cloth(RED, None))
    assert answer.done == ("buttons: red",)


def test_words_that_say_it_all_take_nothing_from_the_picture() -> None:
    _, _, answer = shirt("short sleeves and this fabric on the collar", cloth(RED, None))
    assert answer.done == ("sleeves: long → short", "collar: red")
    _, after, answer = shirt("make the sleeves short", cloth(RED, None))
    assert answer.text == ("Done: sleeves: long → short. The words say it all, so I took nothing from the picture.")
    assert after.parts == {}
