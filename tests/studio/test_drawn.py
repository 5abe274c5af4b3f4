"""The drawn designer: known words change what they name and nothing else; other words are named."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_requests import faults, mixed, requests

from fashionedit.errors import EditorError
from fashionedit.eval_harness.editing import EditRequest, RequestImage, Status
from fashionedit.images import pixel_digest
from fashionedit.studio.drawn import Design, Drawing, DrawnEditor, edit, generate, vocabulary, vocabulary_markdown
from fashionedit.studio.drawn.editor import changed


def asked(drawing: Drawing, words: str) -> EditRequest:
    return EditRequest("id", "vanilla", 1, words, (RequestImage("base", drawing.image),), 0, state=drawing.state)


def test_words_become_a_garment_and_the_same_words_the_same_picture() -> None:
    drawing = generate("a navy shirt with short sleeves and two chest pockets")
    assert drawing.design.garment == "shirt"
    assert drawing.design.cloth.colour == (38, 50, 84)
    assert drawing.design.features["sleeves"] == "short"
    assert drawing.design.features["chest pockets"] == "two"
    again = generate("a navy shirt with short sleeves and two chest pockets")
    assert pixel_digest(again.image) == pixel_digest(drawing.image)
    assert Design.from_json(drawing.state["drawn"]) == drawing.design


def test_an_edit_keeps_the_contract_of_an_editor() -> None:
    drawing = generate("a white shirt")
    result = DrawnEditor().edit(asked(drawing, "Please edit the image based on the following description:red collar"))
    assert result.status is Status.OK
    assert result.message == "Done: collar: red."
    assert result.state["answer"]["done"] == ["collar: red"]
    assert np.array_equal(np.asarray(result.image)[400:], np.asarray(drawing.image)[400:])


def test_what_it_has_not_drawn_is_refused_with_a_reason() -> None:
    drawing = generate("a white shirt")
    unknown = EditRequest("id", "vanilla", 1, "red collar", (RequestImage("base", drawing.image),), 0)
    assert DrawnEditor().edit(unknown).status is Status.REFUSED
    changed = drawing.image.copy()
    changed.putpixel((0, 0), (0, 0, 0))
    other = EditRequest("id", "vanilla", 1, "red", (RequestImage("base", changed),), 0, state=drawing.state)
    assert "changed since I drew it" in DrawnEditor().edit(other).message


def test_it_is_not_offered_in_the_benchmark() -> None:
    with pytest.raises(EditorError, match="can't be run on the benchmark"):
        DrawnEditor().check_params({})


def test_unknown_words_are_named() -> None:
    answer = edit(generate("a white shirt").design, "make it sparkly with sequins").answer
    assert answer.unknown == ("“sparkly”", "“sequins”")
    assert not answer.done


def test_the_vocabulary_is_shown() -> None:
    assert "three-quarter" in vocabulary()["shirt"]["sleeves"]
    assert "### Trousers" in vocabulary_markdown()


def test_200_random_requests_change_the_right_field_and_no_other() -> None:
    """Pixels too: `benchmarks/drawn.py`."""
    assert [fault for request in requests(200) for fault in faults(request, pixels=False)] == []


def test_random_requests_change_no_pixel_outside_their_part() -> None:
    assert [fault for request in requests(4, seed=3) for fault in faults(request)] == []


def test_50_requests_with_foreign_words_are_carried_out_and_name_these_words() -> None:
    for request, foreign in mixed(50):
        assert faults(request, pixels=False) == []
        _, answer = changed(request.before, request.words)
        assert {word.split("”")[0].strip("“") for word in answer.unknown} == foreign


TALK = {
    "make the sleeves long": {"features.sleeves": "long"},
    "add two chest pockets and remove the buttons": {"features.chest pockets": "two", "features.buttons": "none"},
    "longer hem": {"features.length": "long"},
    "a mandarin collar instead of the point collar": {"features.collar": "band"},
    "no buttons or cuffs": {"features.buttons": "none", "features.cuffs": "plain"},
    "without cuffs, and make it sleeveless": {"features.cuffs": "plain", "features.sleeves": "none"},
    "turn it into something longline": {"features.length": "long"},
    "I'd like the sleeves a bit longer, please!": {"features.sleeves": "elbow"},
    "5 buttons": {"features.buttons": "5"},
    "shorten it": {"features.length": "cropped"},
    "roll up the sleeves": {"features.cuffs": "rolled"},
    "no buttons, a bow at the neck": {"features.buttons": "none", "features.neckwear": "bow"},
    "no buttons and a bow tie": {"features.buttons": "none", "features.neckwear": "bow"},
    "remove the cuffs and the buttons": {"features.buttons": "none", "features.cuffs": "plain"},
    "Replace the plain placket with a ruffled placket": {"features.placket": "ruffled"},
}


@pytest.mark.parametrize("words", TALK)
def test_a_person_s_sentence_changes_what_it_names(words: str) -> None:
    before = generate("a white shirt with short sleeves").design
    after, _ = changed(before, words)
    differing = {f"features.{name}": value for name, value in after.features.items() if before.features[name] != value}
    assert differing == TALK[words]
    assert after.parts == before.parts
    assert after.cloth == before.cloth


def test_what_is_not_there_is_not_removed_with_what_stands_in_its_place() -> None:
    blazer = generate("a navy blazer").design
    after, answer = changed(blazer, "remove the pocket square")
    assert (after, answer.unchanged) == (blazer, ("no pocket square",))
    zipped = generate("a denim skirt with a zip").design
    assert changed(zipped, "no buttons")[0] == zipped
    assert changed(zipped, "buttons instead of the zip")[0].features["front"] == "buttons"


def test_colours_share_and_stay() -> None:
    shirt = generate("a white shirt").design
    both, _ = changed(shirt, "make the collar and cuffs red")
    assert both.swatch("collar").colour == both.swatch("cuffs").colour == (184, 44, 48)
    rest, _ = changed(shirt, "don't change the sleeves but make the rest green")
    assert (rest.cloth.colour, rest.swatch("sleeves").colour) == ((52, 124, 78), (244, 242, 237))
    striped, _ = changed(shirt, "change the pattern to thin red stripes")
    mark = striped.cloth.print
    assert mark is not None
    assert (mark.kind, mark.inks, mark.share < 0.3) == ("stripes", ((184, 44, 48),), True)


def test_what_a_garment_has_not_is_said_and_nothing_changes() -> None:
    skirt = generate("a navy skirt").design
    after, answer = changed(skirt, "make the collar white")
    assert after == skirt
    assert answer.impossible == ("I left out “white”, which you say of “collar”.", "A skirt has no “collar” here.")
    after, answer = changed(skirt, "make the hood white")
    assert (after, answer.unknown) == (skirt, ("“hood”",))
    after, answer = changed(skirt, "a red coat")
    assert (after, answer.impossible) == (skirt, ("This is a skirt; start anew from words to have a coat.",))
