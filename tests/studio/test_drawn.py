"""The drawn designer: known words change what they name and nothing else; other words are named."""

from __future__ import annotations

import numpy as np
import pytest

from fashionedit.errors import EditorError
from fashionedit.eval_harness.editing import EditRequest, RequestImage, Status
from fashionedit.images import pixel_digest
from fashionedit.studio.drawn import Design, Drawing, DrawnEditor, edit, generate, vocabulary, vocabulary_markdown


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
