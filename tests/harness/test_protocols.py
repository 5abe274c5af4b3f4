from __future__ import annotations

import pytest

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.eval_harness.protocols import PROTOCOLS, find_protocol, ordered_protocols


def test_instructions_are_those_of_the_reference_scripts() -> None:
    assert (
        PROTOCOLS["vanilla"].instruction("a red collar")
        == "Please edit the image based on the following description:a red collar"
    )
    assert (
        PROTOCOLS["bug"].instruction("a red collar")
        == "Please edit the first image based on the following description and the second reference image:a red collar"
    )
    assert PROTOCOLS["draft"].instruction("a red collar") == ""


def test_the_current_image_comes_before_the_reference() -> None:
    assert PROTOCOLS["vanilla"].roles == ("base",)
    assert PROTOCOLS["bug"].roles == ("base", "reference")


def test_prompt_column_is_that_of_table_one() -> None:
    assert [(name, protocol.prompt) for name, protocol in PROTOCOLS.items()] == [
        ("draft", "–"),
        ("vanilla", "text"),
        ("bug", "text+image"),
    ]


def test_draft_is_round_zero_whatever_the_number_of_rounds() -> None:
    assert PROTOCOLS["draft"].rounds(3) == (0,)
    assert PROTOCOLS["vanilla"].rounds(2) == (1, 2)


@pytest.mark.parametrize("count", [0, 4, -1])
def test_a_sample_has_three_differences_and_no_more_rounds(count: int) -> None:
    with pytest.raises(InvalidDataError, match=f"{count} rounds.*3 differences"):
        PROTOCOLS["bug"].rounds(count)


def test_order_of_asking_changes_nothing() -> None:
    assert ordered_protocols(["bug", "vanilla", "bug"]) == ("vanilla", "bug")


def test_unknown_protocol_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="'bugs'; choose draft, vanilla, bug"):
        find_protocol("bugs")
    with pytest.raises(UnknownNameError, match="no protocol was asked for"):
        ordered_protocols([])
