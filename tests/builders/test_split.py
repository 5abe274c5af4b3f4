from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from photo_toys import authors_selection

from fashionedit.builders.photos.release import read_selection
from fashionedit.builders.photos.sources import parse_file_name
from fashionedit.builders.split import SplitList, assign, read_split_file
from fashionedit.errors import InvalidDataError, UnknownNameError

Items = list[tuple[str, str]]


def _items(seed: int, garments: int = 60, start: int = 0) -> Items:
    """Makes garments with as many images as real ones have: most have one or two, a few have many."""
    sizes = np.random.default_rng(seed).geometric(0.42, garments)
    return [(f"i{start + g:04}-{k}", f"g{start + g:04}") for g, size in enumerate(sizes) for k in range(size)]


def _sizes(found: SplitList, items: Items) -> Counter[str]:
    return Counter(found.splits(items).values())


@pytest.mark.parametrize("seed", range(40))
def test_a_garment_is_never_in_both_splits_and_the_number_is_reached(seed: int) -> None:
    items = _items(seed)
    found = assign(items, seed=seed, validation=25)
    splits = found.splits(items)
    assert all(len({splits[i] for i, garment in items if garment == name}) == 1 for _, name in items)
    assert _sizes(found, items)["validation"] == 25  # garments with one image make every number possible
    assert {*found.train, *found.validation} == {garment for _, garment in items}
    shuffled = [items[k] for k in np.random.default_rng(seed).permutation(len(items))]
    assert assign(shuffled, seed=seed, validation=25) == found


def test_garments_enter_in_the_order_of_their_hash() -> None:
    items = [(f"i{k}", f"g{k}") for k in range(50)]
    order = sorted((f"g{k}" for k in range(50)), key=lambda name: hashlib.sha256(f"7|{name}".encode()).hexdigest())
    assert set(assign(items, seed=7, validation=12).validation) == set(order[:12])
    assert assign(items, seed=8, validation=12).validation != assign(items, seed=7, validation=12).validation


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("wanted", range(1, 30))
def test_where_the_number_cannot_be_met_whole_garments_come_nearest(size: int, wanted: int) -> None:
    items = [(f"i{g}-{k}", f"g{g}") for g in range(10) for k in range(size)]
    got = _sizes(assign(items, validation=wanted), items)["validation"]
    possible = range(size, 10 * size + 1, size)
    assert got == min(possible, key=lambda count: (abs(count - wanted), count))


@pytest.mark.parametrize("seed", range(15))
def test_the_number_is_never_missed_by_more_than_half_a_garment(seed: int) -> None:
    chance = np.random.default_rng(seed)
    items = [(f"i{g}-{k}", f"g{g}") for g, size in enumerate(chance.integers(2, 9, 40)) for k in range(size)]
    for wanted in (10, 33, 80):
        assert abs(_sizes(assign(items, seed=seed, validation=wanted), items)["validation"] - wanted) <= 4


@pytest.mark.parametrize("rule", ["garment", "random"])
@pytest.mark.parametrize("seed", range(20))
def test_adding_photographs_never_moves_an_old_one(rule: str, seed: int) -> None:
    chance = np.random.default_rng(seed)
    items = _items(seed)
    frozen = assign(items, rule=rule, seed=seed, validation=20)
    before = frozen.splits(items)
    for step in range(1, 4):
        more = [(f"{i}-again{step}", garment) for i, garment in items if chance.random() < 0.1]
        items = [*items, *more, *_items(seed + 100 * step, 15, start=1000 * step)]
        frozen = assign(items, rule=rule, seed=seed, frozen=SplitList.from_json(frozen.to_json()))
        after = frozen.splits(items)
        assert {i: after[i] for i in before} == before
        before = after
    assert frozen.wanted == 20


def test_new_garments_are_for_training_unless_validation_is_short() -> None:
    items = _items(1)
    frozen = assign(items, validation=25)
    new = _items(2, 40, start=500)
    assert set(assign([*items, *new], frozen=frozen).splits(new).values()) == {"train"}
    kept = [item for item in items if item[1] not in frozen.validation[:4]]
    short = 25 - _sizes(frozen, kept)["validation"]
    refilled = assign([*kept, *new], frozen=frozen)
    assert _sizes(refilled, new)["validation"] == short > 0
    assert _sizes(refilled, [*kept, *new])["validation"] == 25
    assert set(frozen.validation) <= set(refilled.validation)  # those that are gone keep their place
    assert _sizes(assign([*items, *new], validation=40, frozen=frozen), [*items, *new])["validation"] == 40
    assert assign([*items, *new], validation=3, frozen=frozen).validation == frozen.validation


@pytest.mark.parametrize(
    ("images", "wanted", "got"),
    [(40, None, 4), (1, None, 1), (11_546, None, 1000), (40, 1000, 40), (40, 39, 39), (40, 0, 0), (0, None, 0)],
)
def test_how_many_are_held_out(images: int, wanted: int | None, got: int) -> None:
    items = [(f"i{k}", f"g{k}") for k in range(images)]
    for rule in ("garment", "random"):
        assert len(assign(items, rule=rule, validation=wanted).validation) == got


def test_a_single_garment_is_for_validation() -> None:
    items = [(f"i{k}", "g") for k in range(9)]
    assert assign(items).validation == ("g",)
    assert assign([*items, ("j", "h")], validation=3).validation == ("h",)
    assert assign(items, validation=0).validation == ()


def test_random_takes_exactly_the_number_and_parts_garments() -> None:
    items = _items(3, 200)
    found = assign(items, rule="random", seed=3, validation=77)
    assert len(found.validation) == 77
    splits = found.splits(items)
    assert any(len({splits[i] for i, garment in items if garment == name}) == 2 for _, name in items)


def test_a_given_list_is_the_validation_split() -> None:
    items = _items(4)
    listed = {identity for identity, _ in items[::5]}
    found = assign(items, rule="file", listed=listed)
    assert set(found.validation) == listed
    assert found.wanted == len(listed)
    assert assign(items, rule="file", listed=listed, frozen=found) == found
    new = _items(5, 5, start=900)
    more = assign([*items, *new], rule="file", listed={*listed, new[0][0]}, frozen=found)
    assert set(more.validation) == {*listed, new[0][0]}
    with_dropped = assign(items, rule="file", listed={*listed, "dropped"}, known={"dropped"})
    assert "dropped" in with_dropped.validation
    with pytest.raises(InvalidDataError, match=r"names a, b, c and 1 more \(4 in all\), which are no images of this"):
        assign(items, rule="file", listed={*listed, "a", "b", "c", "d"})
    with pytest.raises(InvalidDataError, match=f"would move {min(listed)} to another split"):
        assign(items, rule="file", listed=listed - {min(listed)}, frozen=found)


def test_the_file_is_the_same_text_for_the_same_split() -> None:
    found = assign(_items(6), seed=6, validation=10)
    assert SplitList.from_json(found.to_json()) == found
    assert assign(_items(6)[::-1], seed=6, validation=10).to_json() == found.to_json()
    assert json.loads(found.to_json())["rule"] == "garment"


@pytest.mark.parametrize("text", ["", "[]", "{}", b"\xff", '{"rule": "garment"}'])
def test_a_file_that_is_no_split_list_is_named(text: str | bytes) -> None:
    with pytest.raises(InvalidDataError, match=r"^old\.json is no split list \(.*\); restore it"):
        SplitList.from_json(text, name="old.json")


def test_a_list_that_names_something_twice_is_refused() -> None:
    text = SplitList(rule="garment", seed=0, wanted=1, train=("a", "b"), validation=("c",)).to_json()
    with pytest.raises(InvalidDataError, match="a stand there more than once"):
        SplitList.from_json(text.replace('"c"', '"a"'))


def test_what_makes_no_sense_is_one_sentence() -> None:
    items = _items(7)
    frozen = assign(items)
    with pytest.raises(UnknownNameError, match="no split rule is called 'half'; choose garment, random, file"):
        assign(items, rule="half")  # type: ignore[arg-type]
    with pytest.raises(InvalidDataError, match="-1 images are wanted"):
        assign(items, validation=-1)
    with pytest.raises(InvalidDataError, match=r"no list of validation images was given"):
        assign(items, rule="file")
    with pytest.raises(InvalidDataError, match=r"a list was given to the rule garment"):
        assign(items, listed=["i0000-0"])
    with pytest.raises(InvalidDataError, match="i0000-0 come more than once"):
        assign([*items, items[0]])
    with pytest.raises(InvalidDataError, match=r"split before by rule garment, seed 0, and rule random, seed 0 is"):
        assign(items, rule="random", frozen=frozen)
    with pytest.raises(InvalidDataError, match=r"rule garment, seed 0, and rule garment, seed 1 is"):
        assign(items, seed=1, frozen=frozen)
    with pytest.raises(InvalidDataError, match="does not know x; have it extended first"):
        frozen.splits([("x", "x")])


def test_the_papers_selection_splits_into_its_own_numbers(tmp_path: Path) -> None:
    names = {key: parse_file_name(key) for key in read_selection(authors_selection(tmp_path))}
    items = [(key, f"{name['gender']}-{name['category']}-{name['garment_id']}") for key, name in names.items()]
    assert (len(items), len({garment for _, garment in items})) == (11_546, 4849)
    for seed in range(3):
        assert _sizes(assign(items, seed=seed), items) == {"train": 10_546, "validation": 1000}


@pytest.mark.parametrize(
    "text",
    [
        "a-1_front\nb.2\n",
        "\ufeff# held out\r\n\r\n  images/a-1_front.jpg \r\nC:\\photos\\b.2.PNG\r\n",
        json.dumps(["a-1_front.png", "x/b.2.webp", "a-1_front"]),
        json.dumps({"validation": ["a-1_front.png", "b.2"], "train": ["c"]}),
        json.dumps({"val": ["a-1_front", "b.2"]}),
        json.dumps({"a-1_front": "val", "b.2.jpeg": "validation", "c": "train"}),
        json.dumps({"a-1_front.jpg": "A caption.", "b.2.jpg": "Another."}),
        json.dumps({"a-1_front.png": 91.5, "b.2.png": "85.1"}),
    ],
)
def test_every_form_names_the_same_images(tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text, "utf-8", newline="")
    assert read_split_file(tmp_path / "list") == {"a-1_front", "b.2"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"^list names no image for validation; write a name on each line"),
        (b"# nothing\n", "names no image"),
        (b"{}", "names no image"),
        (b'{"train": ["a"]}', "names no image"),
        (b"[1]", r"^list: 1 is no name of an image"),
        (b"[[", r"^list is no valid JSON \(.*\); write"),
        (b"[" * 100_000, r"^list is no valid JSON"),
        (b"caf\xe9\n", r"^list: byte 3 is not UTF-8"),
    ],
)
def test_a_file_that_is_no_list_is_one_sentence(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "list").write_bytes(data)
    with pytest.raises(InvalidDataError, match=message):
        read_split_file(tmp_path / "list")


def test_a_file_that_is_missing_or_far_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match=r"absent can't be read \(No such file or directory\)"):
        read_split_file(tmp_path / "absent")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InvalidDataError, match="has more than the 67,108,864 bytes"):
        read_split_file(tmp_path / "large")
