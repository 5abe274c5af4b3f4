"""What the drawn designer answers: sentences that say what changed, what was so already, and what can't be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from drawn_requests import changed_fields, requests
from PIL import Image

from fashionedit.errors import InvalidDataError
from fashionedit.studio.drawn import Design, generate
from fashionedit.studio.drawn.changes import Answer
from fashionedit.studio.drawn.colours import colour_name
from fashionedit.studio.drawn.editor import changed, first_design
from fashionedit.studio.drawn.garments import GARMENTS, SHOWN_BY
from fashionedit.studio.drawn.prints import Print, Swatch
from fashionedit.studio.drawn.words import COLOURS, with_article

DONE = [
    # more or less of something
    ("wide trousers", "slimmer", "features.shape", "shape: wide → straight"),
    ("straight trousers", "make them wider", "features.shape", "shape: straight → wide"),
    ("a knee length dress", "a long dress", "features.length", "length: knee → midi"),
    ("a knee length dress", "longer", "features.length", "length: knee → midi"),
    ("a shirt", "more buttons", "features.buttons", "buttons: 7 → 8"),
    ("a shirt", "fewer buttons", "features.buttons", "buttons: 7 → 6"),
    ("a shirt", "more pockets", "features.chest pockets", "chest pockets: none → one"),
    ("a blazer", "wider lapels", "features.lapel width", "lapel width: medium → wide"),
    ("a navy shirt", "darker", "cloth", "cloth: ink poplin"),
    ("a shirt with a red collar", "darker collar", "parts.collar", "collar: dark red"),
    # prints
    ("a white shirt with navy dots", "bigger", "cloth", "cloth: white poplin with navy dots"),
    ("a white shirt with navy dots", "make the dots smaller", "cloth", "cloth: white poplin with small navy dots"),
    ("a white shirt with navy dots", "thin dots", "cloth", "cloth: white poplin with small navy dots"),
    ("a white shirt with navy dots", "large", "cloth", "cloth: white poplin with large navy dots"),
    ("a red shirt with navy stripes", "wider stripes", "cloth", "cloth: red poplin with wide vertical navy stripes"),
    ("a white shirt with navy stripes", "thin stripes", "cloth", "cloth: white poplin with thin vertical navy stripes"),
    ("a red shirt with navy stripes", "thick stripes", "cloth", "cloth: red poplin with wide vertical navy stripes"),
    ("a red shirt with navy stripes", "make it horizontal", "cloth", "cloth: red poplin with horizontal navy stripes"),
    ("a red shirt with navy stripes", "white stripes", "cloth", "cloth: red poplin with vertical white stripes"),
    ("a white shirt with navy stripes", "remove the stripes", "cloth", "cloth: white poplin"),
    ("a white shirt with navy stripes", "no pattern", "cloth", "cloth: white poplin"),
    ("a white shirt with navy stripes", "plain", "cloth", "cloth: white poplin"),
    ("a white shirt with navy stripes", "make the sleeves plain", "parts.sleeves", "sleeves: white"),
    ("a white shirt with navy stripes", "no stripes on the sleeves", "parts.sleeves", "sleeves: white poplin"),
    ("a white shirt with navy stripes", "white collar", "parts.collar", "collar: white"),
    ("a shirt", "red and white stripes", "cloth", "cloth: white poplin with vertical red stripes"),
    ("a shirt", "red and white striped", "cloth", "cloth: red poplin with vertical white stripes"),
    ("a red skirt", "tartan", "cloth", "cloth: red twill with navy and dark red and butter tartan"),
    # cloth, colours, what everything lies on
    ("a white shirt", "linen", "cloth", "cloth: white linen"),
    ("a white shirt", "denim", "cloth", "cloth: denim"),
    ("a red shirt", "light", "cloth", "cloth: rose poplin"),
    ("a shirt", "a red background", "backdrop", "background: red"),
    ("a shirt", "gold trim", "trim", "trim: gold"),
    ("a t-shirt", "make the neckline red", "parts.collar", "collar: red"),
    # ways to put it
    ("a shirt", "change the collar to red", "parts.collar", "collar: red"),
    ("a shirt", "the shirt's sleeves red", "parts.sleeves", "sleeves: red"),
    ("a shirt", "the collar of the shirt white", "parts.collar", "collar: white"),
    ("a striped shirt", "replace the stripes with red dots", "cloth", "cloth: ivory poplin with red dots"),
    ("a t-shirt", "more cuffs", "features.cuffs", "cuffs: plain → band"),
    # places
    ("a shirt", "two pockets on the hip", "features.waist pockets", "waist pockets: none → two"),
    ("a shirt", "pockets on the chest", "features.chest pockets", "chest pockets: none → one"),
    # what is to go, and what stands in its place then
    ("a sleeveless shirt", "not sleeveless", "features.sleeves", "sleeves: none → long"),
    ("a pleated skirt", "not pleated", "features.shape", "shape: pleated → A-line"),
    ("a v neck t-shirt", "no v neck", "features.neckline", "neckline: V → crew"),
    ("a shirt", "no sleeves", "features.sleeves", "sleeves: long → none"),
    ("a navy shirt with a red collar", "make it white but keep the collar", "cloth", "cloth: white poplin"),
]  # fmt: skip
"""Design, words, the one field that changes, the answer."""

TWO = [
    ("a shirt", "a red hem", {"features.hem", "parts.hem"}, "hem: straight → band; hem: red"),
    ("a blazer", "red belt", {"features.belt", "parts.belt"}, "belt: none → buckle; belt: red"),
    ("a shirt", "flap pockets", {"features.chest pocket style", "features.chest pockets"},
     "chest pockets: none → one; chest pocket style: patch → flap"),
    ("a coat with toggles", "4 buttons", {"features.buttons", "features.closure"},
     "closure: toggles → buttons; buttons: 3 → 4"),
    ("a shirt", "a navy short sleeve shirt", {"cloth", "features.sleeves"},
     "sleeves: long → short; cloth: navy poplin"),
    ("a shirt", "change the cuffs into a bow", {"features.cuffs", "features.neckwear"},
     "neckwear: none → bow; cuffs: barrel → plain"),
    ("a navy shirt", "make it white but keep the collar", {"cloth", "parts.collar"},
     "cloth: white poplin; collar: navy poplin"),
]  # fmt: skip
"""The same where two fields change: a red hem needs a band, a flap needs a pocket."""

SAID = [
    ("a long dress", "longer", "The length can't be more than “midi” here."),
    ("a sleeveless shirt", "shorter sleeves", "The sleeves can't be less than “none” here."),
    ("a shirt with 10 buttons", "more buttons", "The buttons can't be more than “10” here."),
    ("a shirt", "wider collar", "I can't make the collar “wider”."),
    ("a shirt", "make it wider", "I can't tell what “wider” belongs to."),
    ("a white shirt", "make it small", "I can't tell what “small” belongs to."),
    ("a white shirt", "five", "I can't tell what “five” belongs to."),
    ("a white shirt", "wider stripes", "There is no pattern to make wider."),
    ("a white shirt", "make the stripes red", "There are no stripes to change; say “add …” to have some."),
    ("a white shirt with navy dots", "make the checks red", "There are no checks to change; say “add …” to have some."),
    ("a white shirt", "remove the stripes from the sleeves", "Already so: sleeves: plain."),
    ("a shirt", "a bow on the sleeve", "I can't put bow on the sleeve."),
    ("a shirt", "remove the bow on the sleeve", "I can't put bow on the sleeve."),
    ("a shirt", "seven collars", "I can't draw “seven” for the collars."),
    ("a shirt", "hem", "Say what the hem should be."),
    ("a shirt", "two sleeves", "Nothing in this names a change; the vocabulary lists what I can draw."),
    ("a blazer without a belt", "make the belt red", "I see no belt to change; say “add …” to have it."),
    ("a shirt", "striped buttons", "The buttons can have another colour, no pattern or cloth of its own."),
    ("a shirt", "no red", "I can't tell what to draw in place of “red”."),
    ("a t-shirt", "remove the length", "A t-shirt always has its length here."),
    ("a coat", "remove the bow", "A coat has no “bow” here."),
    ("trousers", "a collar", "A pair of trousers has no “collar” here."),
    ("a shirt", "replace the collar", "Already so: collar: point."),
    ("a shirt", "sleeves", "Already so: sleeves: long."),
    ("a shirt", "long sleeves", "Already so: sleeves: long."),
    ("a shirt", "no short sleeves", "Already so: sleeves: long."),
    ("a shirt", "not sleeveless", "Already so: sleeves: long."),
    ("a shirt", "not longline", "Already so: length: regular."),
    ("a red shirt", "make it red", "Already so: cloth: red poplin."),
    ("a shirt with a red collar", "red collar", "Already so: collar: red."),
    ("a shirt", "sleevless", "I don't know: “sleevless” (did you mean “sleeveless”?)."),
]
"""Design, words that change nothing, the answer."""


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at these designs, and a picture takes longer than all the rest."""
    monkeypatch.setattr("fashionedit.studio.drawn.editor.draw", lambda design: Image.new("RGB", (512, 768)))


@pytest.mark.parametrize(("before", "words", "field", "answer"), DONE)
def test_what_is_named_changes_and_nothing_else(before: str, words: str, field: str, answer: str) -> None:
    design = generate(before).design
    after, said = changed(design, words)
    assert changed_fields(design, after) == {field}
    assert said.text == f"Done: {answer}."


@pytest.mark.parametrize(("before", "words", "fields", "answer"), TWO)
def test_what_two_fields_say_changes_both(before: str, words: str, fields: set[str], answer: str) -> None:
    design = generate(before).design
    after, said = changed(design, words)
    assert changed_fields(design, after) == fields
    assert said.text == f"Done: {answer}."


@pytest.mark.parametrize(("before", "words", "answer"), SAID)
def test_what_can_t_be_or_is_so_already_is_one_sentence_and_changes_nothing(
    before: str, words: str, answer: str
) -> None:
    design = generate(before).design
    after, said = changed(design, words)
    assert (after, said.text) == (design, answer)


def test_buttons_have_a_colour_and_no_pattern() -> None:
    design = generate("a shirt").design
    after, said = changed(design, "red striped buttons")
    assert after.parts == {"buttons": Swatch(COLOURS["red"])}
    assert said.impossible == ("The buttons can have another colour, no pattern or cloth of its own.",)


ASKED = (
    "a red {}", "make the {} navy", "a darker {}", "lighter {}", "a skinny {}", "wide {}", "diagonal {}", "plain {}",
    "remove the {}", "add a {}", "the {}", "no stripes on the {}", "make the stripes on the {} wider",
    "the dots on the {} smaller", "red stripes on the {}", "a denim {}", "a striped {}", "make the {} longer", "two {}",
)  # fmt: skip
"""Wishes of all kinds about a part."""

ASKED_OF_ALL = (
    "red", "make it red", "darker", "lighter", "wider", "wider stripes", "smaller dots", "vertical", "small", "plain",
    "no stripes", "no pattern", "navy stripes", "linen", "longer", "shorter", "make it white and make it navy",
    "a red background", "a darker background", "red trim", "lighter trim", "no stripes on the trim",
)  # fmt: skip
"""Wishes of all kinds about the garment."""


def asked(garment: str) -> Iterator[tuple[Design, str]]:
    """Yields designs of a garment with wishes of all kinds; each design is also one after such wishes."""
    stripes = Print("stripes", (COLOURS["red"],), 22, 0.4, 90)
    for colour, mark in (("navy", None), ("white", stripes), ("black", Print("dots", (COLOURS["white"],), 30, 0.45))):
        design = first_design(garment)
        design = replace(design, cloth=Swatch(COLOURS[colour], design.cloth.weave, mark))
        if mark is stripes:
            for name, value in SHOWN_BY[garment].values():
                design = design.with_feature(name, value)
        words = [wish.format(noun) for nouns in design.kind.parts.values() for noun in nouns for wish in ASKED]
        for wish in Random(f"{garment} {colour}").sample([*ASKED_OF_ALL * 3, *words], 16):
            yield design, wish
            yield changed(design, wish)[0], wish


def named(answer: Answer) -> set[str]:
    """Returns what an answer says of each change before the colon, such as "sleeves"."""
    return {text.partition(":")[0] for text in answer.done}


def answer_faults(design: Design, words: str) -> list[str]:
    """Returns in what the answer to one wish differs from what the wish did to the design."""
    after, answer = changed(design, words)
    differing = changed_fields(design, after)
    faults = []
    if named(answer) != {name.rpartition(".")[2].replace("backdrop", "background") for name in differing}:
        faults.append(f"it changed {sorted(differing)}")
    if len(answer.done) != len(differing):
        faults.append("a change is missing or is said twice")
    if answer.unchanged and after != design:
        faults.append("it says “Already so” and the design differs")
    reasons = answer.unchanged or answer.impossible or answer.unknown or answer.text.startswith("Nothing in this")
    if after == design and not reasons:
        faults.append("nothing changed, and it does not say so")
    return [f"{design.garment}: {words!r}: {fault}; answered {answer.text!r}" for fault in faults]


@pytest.mark.parametrize("garment", GARMENTS)
def test_an_answer_says_exactly_what_changed_and_already_so_only_if_nothing_did(garment: str) -> None:
    assert [fault for design, words in asked(garment) for fault in answer_faults(design, words)] == []


def test_random_requests_are_answered_with_exactly_what_changed_and_are_already_so_the_second_time() -> None:
    for request in requests(60, seed=11):
        assert answer_faults(request.before, request.words) == []
        after, _ = changed(request.before, request.words)
        again, answer = changed(after, request.words)
        assert answer_faults(after, request.words) == []
        if again == after and not answer.impossible:
            assert answer.text.startswith("Already so: "), request.words


@pytest.mark.parametrize(
    ("before", "words", "answer"),
    [
        ("a white shirt with navy stripes", "make the stripes on the sleeves wider",
         "Done: sleeves: white poplin with wide vertical navy stripes."),
        ("a shirt", "a skinny collar", "I can't draw “skinny” for the collar."),
        ("a shirt", "make it vertical", "I can't tell what “vertical” belongs to."),
        ("a white shirt", "no stripes", "Already so: cloth: plain."),
        ("a white shirt", "navy collar and white cuffs", "Done: collar: navy. Already so: cuffs: white."),
        ("a navy shirt", "make it white and make it navy", "Already so: cloth: navy poplin."),
        ("a red shirt", "make it navy and make it navy", "Done: cloth: navy poplin."),
        ("a white shirt", "white sleeves, and make it red", "Done: cloth: red poplin; sleeves: white poplin."),
        ("a white shirt", "plain sleeves", "Already so: sleeves: white."),
        ("a navy dress with a sash", "a navy belt", "Done: belt: navy."),
        ("a shirt", "ivory buttons", "Already so: buttons: ivory."),
        ("a shirt", "make the sleeves red but keep the sleeves", "Already so: sleeves: {colour} poplin."),
    ],
)  # fmt: skip
def test_each_wish_of_a_sentence_is_answered_by_what_became_of_it(before: str, words: str, answer: str) -> None:
    design = generate(before).design
    after, said = changed(design, words)
    assert said.text == answer.format(colour=colour_name(design.cloth.colour))
    assert (after == design) == (not said.done)


@pytest.mark.parametrize(
    ("words", "summary"),
    [
        ("a shirt with navy stripes", "a shirt in white poplin with vertical navy stripes"),
        ("a shirt with white stripes", "a shirt in navy poplin with vertical white stripes"),
        ("a red shirt with navy stripes", "a shirt in red poplin with vertical navy stripes"),
        ("navy jeans", "navy denim trousers"),
        ("a white sundress", "a white poplin dress, no sleeves"),
        ("a navy trench coat", "a navy wool coat, double front, 6 buttons, buckle belt, epaulettes shoulders"),
        ("a white shirt dress", "a white poplin dress"),
    ],
)
def test_a_design_begins_as_it_is_described(words: str, summary: str) -> None:
    assert generate(words).answer.text == f"Done: {summary}."


@pytest.mark.parametrize("garment", GARMENTS)
def test_the_article_follows_the_sound_of_the_colour(garment: str) -> None:
    for colour in COLOURS:
        text = generate(f"{garment} in {colour}").answer.text
        name = colour_name(COLOURS[colour])
        article = "" if garment == "trousers" else "an " if name[0] in "aeiou" else "a "
        assert text.startswith(f"Done: {article}{name} "), text


def test_the_article_follows_the_sound_of_other_words() -> None:
    assert [with_article(word) for word in ("A-line skirt", "undyed shirt", "uniform", "one-piece", "used coat")] == [
        "an A-line skirt", "an undyed shirt", "a uniform", "a one-piece", "a used coat",
    ]  # fmt: skip


def test_trousers_are_a_pair_in_every_answer() -> None:
    trousers, skirt = generate("navy trousers").design, generate("a navy skirt").design
    refusals = [
        changed(trousers, "a red skirt")[1].text,
        changed(skirt, "red trousers")[1].text,
        changed(trousers, "remove the length")[1].text,
    ]
    assert refusals == [
        "This is a pair of trousers; start anew from words to have a skirt.",
        "This is a skirt; start anew from words to have a pair of trousers.",
        "A pair of trousers always has its length here.",
    ]


def test_words_without_a_garment_become_a_shirt_and_that_is_said() -> None:
    drawing = generate("red and cheerful")
    assert drawing.design.garment == "shirt"
    assert drawing.answer.text == (
        "Done: a red poplin shirt. You name no garment that I can draw, so this is a shirt. "
        "I don't know: “cheerful”."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"garment": "kilt"}, "no garment is called 'kilt'; choose t-shirt, shirt"),
        ({"features": {}}, "'buttons' is missing or unknown"),
        ({"features.collar": "none"}, "collar is 'none'; choose point, spread"),
        ({"parts": {"wings": None}}, "a shirt has no part 'wings'; its parts are body"),
        ({"cloth.weave": None}, "the cloth of a design has no weave"),
        ({"cloth.weave": "paper"}, "no weave is called 'paper'"),
        ({"cloth.print.kind": "runes"}, "no print is called 'runes'; choose stripes"),
        ({"cloth.print.inks": []}, "a print has 1 to 3 inks; found 0"),
        ({"cloth.print.scale": 900}, "found 900, 0.4 and 90"),
        ({"trim": [0, 0, 256]}, "three levels of 0..255; found 0, 0, 256"),
        ({"format": 7}, "a design of format 7; this version reads format 1"),
        ({"cut": "deep"}, "the JSON is no design of the drawn designer"),
    ],
)
def test_a_design_that_can_t_be_drawn_is_refused(change: dict[str, Any], sentence: str) -> None:
    value = generate("a white shirt with navy stripes").design.to_json()
    assert Design.from_json(value).to_json() == value
    ((path, wrong),) = change.items()
    *way, last = path.split(".")
    place = value
    for name in way:
        place = place[name]
    place[last] = {"wings": value["cloth"]} if path == "parts" else wrong
    with pytest.raises(InvalidDataError, match=sentence):
        Design.from_json(value)


def test_a_print_of_several_inks_is_told_with_all_of_them() -> None:
    mark = Print("stripes", (COLOURS["red"], COLOURS["navy"]), 22, 0.4, 45)
    design = generate("a white shirt").design
    after, said = changed(design.with_part("sleeves", Swatch(COLOURS["white"], None, mark)), "darker sleeves")
    assert said.text.startswith("Done: sleeves: ")
    assert said.text.endswith(" with diagonal red and navy stripes.")
    assert after.parts["sleeves"].print == mark
