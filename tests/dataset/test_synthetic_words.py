"""The wardrobe and the words of the synthetic set."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest

from fashionedit.synthetic.materials import COLOURS, contrast
from fashionedit.synthetic.samples import garment_number, slot
from fashionedit.synthetic.scene import Look
from fashionedit.synthetic.wardrobe import (
    GARMENTS,
    allowed,
    caption,
    describe,
    is_plain,
    make_look,
    original_design,
    stage,
)

LOOKS = 40
"""Garments of each kind whose words are read; no pixel is rendered here."""

LEAKS = {
    "neckline": r"neckline|collar|placket",
    "collar": r"neckline|collar|lapel",
    "lapels": r"lapel",
    "sleeves": r"sleeve",
    "length": r"length|knee|cropped",
}
"""What a caption may not say when an attribute differs; it says nothing of the others at all."""


def looks(kind: str) -> list[Look]:
    return [make_look(kind, f"garment {number}", number % 2) for number in range(LOOKS)]


@pytest.mark.parametrize("kind", GARMENTS)
def test_every_garment_has_at_least_eight_kinds_of_differences_with_words_of_their_own(kind: str) -> None:
    attributes = GARMENTS[kind].attributes
    assert len(attributes) >= 8
    for values in attributes.values():
        assert len(values) >= 2
        assert len(set(values.values())) == len(values)


@pytest.mark.parametrize("kind", GARMENTS)
def test_every_value_occurs_in_some_original(kind: str) -> None:
    worn = {(a, v) for number in range(400) for a, v in original_design(kind, f"garment {number}").items()}
    assert worn == {(a, v) for a, values in GARMENTS[kind].attributes.items() for v in values}


@pytest.mark.parametrize("kind", GARMENTS)
def test_no_original_is_crowded_or_bare(kind: str) -> None:
    for look in looks(kind):
        design = dict(look.design)
        assert allowed(kind, design)
        assert sum(not is_plain(value) for value in design.values()) >= 3


@pytest.mark.parametrize("kind", GARMENTS)
def test_every_value_changes_what_is_drawn(kind: str) -> None:
    missing = {(a, v) for a, values in GARMENTS[kind].attributes.items() for v in values}
    for look in looks(kind):
        design = dict(look.design)
        usual = {layer.key for layer in stage(look, design).layers}
        for attribute, value in sorted(missing):
            if value != design[attribute]:
                other = {layer.key for layer in stage(look, {**design, attribute: value}).layers}
                if other != usual:
                    missing -= {(attribute, value), (attribute, design[attribute])}
        if not missing:
            break
    assert not missing


@pytest.mark.parametrize("kind", GARMENTS)
def test_descriptions_are_english_and_name_the_colour(kind: str) -> None:
    for look in looks(kind):
        for attribute, values in GARMENTS[kind].attributes.items():
            for value, template in values.items():
                text = describe(look, attribute, value)
                assert text[0].isupper()
                assert "{" not in text
                assert not re.search(r"\b[Aa] [aeio]|\b[Aa]n [^aeiou]", text)
                if "{" in template:
                    assert look.palette.trim in text.lower()


@pytest.mark.parametrize("kind", GARMENTS)
def test_captions_keep_silent_about_what_differs(kind: str) -> None:
    for look in looks(kind):
        design = dict(look.design)
        for attribute in design:
            told = caption(look, design, [attribute], look.name)
            assert 4 <= len(told.split()) <= 95
            if attribute in LEAKS:
                assert not re.search(LEAKS[attribute], told)
            for value in GARMENTS[kind].attributes[attribute]:
                assert caption(look, {**design, attribute: value}, [attribute], look.name) == told


def test_captions_hold_no_colours() -> None:
    for kind in GARMENTS:
        for look in looks(kind):
            words = set(re.findall(r"[a-z]+", caption(look, dict(look.design), [], look.name).lower()))
            assert not words & (set(COLOURS) - {"denim"})


def test_captions_are_not_all_alike() -> None:
    told = {caption(look, dict(look.design), [], look.name) for kind in GARMENTS for look in looks(kind)}
    assert len(told) > 100


def test_trims_stand_out_from_the_cloth() -> None:
    for kind in GARMENTS:
        assert min(contrast(look.base, look.trim) for look in looks(kind)) > 40


def test_any_24_in_a_row_are_a_good_mix() -> None:
    kinds = [slot(index, 3, "validation").kind for index in range(400)]
    for start in range(400 - 24):
        counts = Counter(kinds[start : start + 24])
        assert set(counts) == set(GARMENTS)
        assert max(counts.values()) <= 8


def test_about_a_fifth_show_the_garment_before_in_another_colourway() -> None:
    slots = [slot(index, 0, "train") for index in range(700)]
    twins = [(a, b) for a, b in pairwise(slots) if b.colourway == 1]
    assert 0.15 <= len(twins) / len(slots) <= 0.25
    for before, after in twins:
        assert (before.kind, before.garment, before.colourway) == (after.kind, after.garment, 0)
    first = [s for s in slots if s.colourway == 0]
    assert len({s.garment for s in first}) == len(first)


def test_two_colourways_share_the_cut_but_not_always_the_colours() -> None:
    pairs = [(make_look("Dress", f"garment {n}", 0), make_look("Dress", f"garment {n}", 1)) for n in range(20)]
    assert all(one.design == two.design and one.gender == two.gender for one, two in pairs)
    assert sum(one.palette.base != two.palette.base for one, two in pairs) >= 15


def test_no_garment_is_in_both_splits() -> None:
    train = {garment_number(0, "train", number) for number in range(12_000)}
    validation = {garment_number(0, "validation", number) for number in range(2_000)}
    assert len(train) == 12_000
    assert len(validation) == 2_000
    assert not train & validation
    assert all(re.fullmatch(r"\d{8}", name) for name in train | validation)
