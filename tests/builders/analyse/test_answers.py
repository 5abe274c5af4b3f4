from __future__ import annotations

import json
import random
from typing import Any

import pytest

from fashionedit.builders.analyse.answers import MAX_ANSWER_CHARS, read_answer
from fashionedit.errors import InvalidDataError
from fashionedit.types import Box

TEXTS = ("a bow at the model's waist", 'buttons marked "B"', "striped cuffs")
BOXES = ([100, 200, 300, 400], [310, 50, 600, 300.5], [700, 500, 950, 1000])
ITEMS: list[dict[str, Any]] = [{"description": text, "box_2d": box} for text, box in zip(TEXTS, BOXES, strict=True)]
EXPECTED = tuple((text, Box.from_box_2d(map(float, box))) for text, box in zip(TEXTS, BOXES, strict=True))


def _renamed(text: str, **names: str) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
    return text


SHAPES = {
    "object": json.dumps({"differences": ITEMS}),
    "bare list": json.dumps(ITEMS),
    "misspelt": _renamed(json.dumps({"differences": ITEMS}), description="discription"),
    "other keys": _renamed(json.dumps({"Differences": ITEMS}), description="Description", box_2d="BBox"),
    "bbox_2d, x first": json.dumps(
        [{"description": item["description"], "bbox_2d": [item["box_2d"][k] for k in (1, 0, 3, 2)]} for item in ITEMS]
    ),
    "corners": json.dumps(
        [{**item, "box_2d": dict(zip(("y1", "x1", "y2", "x2"), item["box_2d"], strict=True))} for item in ITEMS]
    ),
    "a box in a list": json.dumps([{**item, "box_2d": [item["box_2d"]]} for item in ITEMS]),
    "box": _renamed(json.dumps(ITEMS), box_2d="box"),
    "python object": str({"differences": ITEMS}),
    "python list, as released": str(ITEMS),
    "released and misspelt": _renamed(str(ITEMS), description="discription"),
    "tuples": str([{**item, "box_2d": tuple(item["box_2d"])} for item in ITEMS]),
    "fence": f"```json\n{json.dumps({'differences': ITEMS}, indent=2)}\n```",
    "fence in prose": f"I've compared [them].\n\n```\n{json.dumps(ITEMS)}\n```\nIt's {{done}}!",
    "prose": f"The boxes are [ymin, xmin, ymax, xmax]: {json.dumps(ITEMS)} - that's all.",
    "python in a fence": f"```python\n{ITEMS}\n```",
    "lines": "\n".join(json.dumps(item) for item in ITEMS),
    "quoted numbers": json.dumps([{**item, "box_2d": list(map(str, item["box_2d"]))} for item in ITEMS]),
    "box as text": json.dumps([{**item, "box_2d": str(item["box_2d"])} for item in ITEMS]),
    "named edges": json.dumps(
        [{**item, "box_2d": dict(zip(("ymin", "xmin", "ymax", "xmax"), item["box_2d"], strict=True))} for item in ITEMS]
    ),
    "encoded twice": json.dumps(json.dumps({"differences": ITEMS})),
    "a list as text": json.dumps({"differences": str(ITEMS)}),
    "one deeper": json.dumps({"answer": {"differences": ITEMS}}),
    "another name": json.dumps({"thought": "well", "changes": ITEMS}),
    "numbered": json.dumps({str(number): item for number, item in enumerate(ITEMS, 1)}),
    "trailing commas": json.dumps(ITEMS).replace("}]", "},]").replace("]}", "],}"),
    "broken off at the end": json.dumps({"differences": ITEMS})[:-2],
    "byte order mark": "\ufeff" + json.dumps(ITEMS),
    "further keys": json.dumps([{**item, "confidence": None, "sure": True} for item in ITEMS]),
    "python words": str([{**item, "confidence": None, "sure": True} for item in ITEMS]),
    "a first try before": f"{json.dumps(ITEMS[:2])}\nNo, three:\n{json.dumps(ITEMS)}",
    "a raw line break": json.dumps(ITEMS).replace("at the model's", "at the\n model's"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_answer_is_read(shape: str) -> None:
    assert read_answer(SHAPES[shape]).differences == EXPECTED


def test_naive_quotes_inside_a_text_are_part_of_it() -> None:
    naive = "[{'description': 'the model's sleeve', 'box_2d': [1, 2, 30, 40]}, " + str(ITEMS[1:])[1:]
    assert read_answer(naive).differences[0][0] == "the model's sleeve"
    inches = '[{"description": "a 3" belt, worn", "box_2d": [1, 2, 30, 40]}, ' + json.dumps(ITEMS[1:])[1:]
    assert read_answer(inches).differences[0][0] == 'a 3" belt, worn'


def test_escapes_of_python_are_those_of_python() -> None:
    text = r"[{'description': 'caf\xe9 \u2014 d\'or \\ \d', 'box_2d': [1, 2, 30, 40]}, " + str(ITEMS[1:])[1:]
    assert read_answer(text).differences[0][0] == "café — d'or \\ \\d"


def _with(number: int = 2, **changes: Any) -> str:
    items = [dict(item) for item in ITEMS]
    items[number - 1] = {key: value for key, value in {**items[number - 1], **changes}.items() if value is not ...}
    return json.dumps({"differences": items})


FAULTS = {
    "": "the answer is empty",
    " \n\ufeff": "the answer is empty",
    "I'm sorry, I can't compare people.": "the answer holds no list of differences",
    "null": "the answer holds no list of differences",
    "[1, 2, 3]": "the answer holds no list of differences",
    '{"differences": null}': "the answer holds no list of differences",
    '{"differences": 3}': "the answer holds no list of differences",
    '{"differences": []}': "the answer has 0 differences; give exactly 3",
    '{"differences": ["a", "b", "c"]}': "difference 3 is no object with description and box_2d",
    json.dumps(ITEMS[0]): "the answer has 1 difference; give exactly 3",
    json.dumps(ITEMS[:2]): "the answer has 2 differences; give exactly 3",
    json.dumps(ITEMS + ITEMS): "the answer has 6 differences; give exactly 3",
    _with(box_2d=[900, 100, 300, 400]): "difference 2 has the box [900, 100, 300, 400]; ymin must be below ymax",
    _with(box_2d=[100, 400, 300, 400]): "difference 2 has the box [100, 400, 300, 400]; xmin must be below xmax",
    _with(box_2d=[9, 8, 7, 6]): "ymin must be below ymax and xmin must be below xmax",
    _with(box_2d=[0, 0, 500, 1200]): "difference 2 has the box [0, 0, 500, 1200]; every edge must lie in 0..1000",
    _with(box_2d=[-1, 0, 500, 120]): "difference 2 has the box [-1, 0, 500, 120]; every edge must lie in 0..1000",
    _with(box_2d=[0, 0, 1e-60, 120]): "it must cover an area",
    _with(box_2d=[1, 2, 3]): "difference 2 has the box [1, 2, 3]; box_2d must be four numbers",
    _with(box_2d=[1, 2, 3, True]): "box_2d must be four numbers",
    _with(box_2d=[1, 2, 3, "4 px"]): 'difference 2 has the box [1, 2, 3, "4 px"]',
    _with(box_2d=[1, 2, 3, "1_0"]): "box_2d must be four numbers",
    _with(box_2d=[1, 2, 3, float("nan")]): "difference 2 has the box [1, 2, 3, NaN]",
    _with(box_2d=[1, 2, 3, float("inf")]): "box_2d must be four numbers",
    _with(box_2d=[1, 2, 3, 10**400]): "box_2d must be four numbers",
    _with(box_2d={"ymin": 1}): "box_2d must be four numbers",
    _with(box_2d="somewhere"): 'difference 2 has the box "somewhere"',
    _with(box_2d=...): "difference 2 has no box",
    _with(description=...): "difference 2 has no description",
    _with(description=" \n"): "difference 2 has no description",
    _with(description=7): "difference 2 has no description",
    _with(description="x" * 2001): "the description of difference 2 has 2,001 characters; use at most 2,000",
    _with(description="a\0b"): "the description of difference 2 holds control characters",
    _with(description="\ud800"): "the description of difference 2 holds control characters",
    _with(box_2d=BOXES[0]): "differences 1 and 2 have the same box",
    _with(number=3, description="  A bow at the MODEL'S  waist."): "differences 1 and 3 have the same description",
    _with(number=1, box_2d=[]) + "?": "difference 1 has the box []",
    **{
        _with(box_2d=box): fault
        for box, fault in (
            ((300, 300, 304, 304), "covers next to nothing"),
            ((300, 300, 900, 305), "covers next to nothing"),
            ((0, 0, 1000, 1000), "is the whole image"),
            ((2, 1, 998, 999), "is the whole image"),
            ((101, 200, 301, 400), "differences 1 and 2 have nearly the same box"),
        )
    },
    **{
        _with(description=words): "difference 2 says nothing"
        for words in ("n/a", "N.A.", "none", "No difference", "no visible differences here", "-", "Same.")
    },
    **{
        _with(description=words): "difference 2 speaks of the second image"
        for words in (
            "a round collar, while the second image has a v-neck",
            "Image 2 shows a longer hem",
            "the draft has no buttons",
            "the same in both images",
        )
    },
}


@pytest.mark.parametrize("text", FAULTS, ids=range(len(FAULTS)))
def test_a_fault_is_named_so_that_the_model_can_mend_it(text: str) -> None:
    with pytest.raises(InvalidDataError) as caught:
        read_answer(text)
    assert type(caught.value) is InvalidDataError
    assert FAULTS[text] in str(caught.value)
    assert len(str(caught.value)) < 600
    str(caught.value).encode()


def _scaled(factor: float) -> str:
    return json.dumps([{**item, "box_2d": [edge * factor for edge in item["box_2d"]]} for item in ITEMS])


def _in_pixels(width: int, height: int) -> str:
    sides = (height, width, height, width)
    return json.dumps(
        [
            {**item, "box_2d": [round(edge * side / 1000) for edge, side in zip(item["box_2d"], sides, strict=True)]}
            for item in ITEMS
        ]
    )


@pytest.mark.parametrize(
    ("text", "size", "unit"),
    [
        (_scaled(0.001), None, "fractions of the image"),
        (_scaled(0.1), None, "percent of the image"),
        (_in_pixels(400, 533), (400, 533), "pixels of an image of 400×533"),
        (_in_pixels(3000, 4000), (3000, 4000), "pixels of an image of 3000×4000"),
        (_in_pixels(750, 1101), (750, 1101), "pixels of an image of 750×1101"),
    ],
)
def test_boxes_in_another_unit_are_named(text: str, size: tuple[int, int] | None, unit: str) -> None:
    with pytest.raises(InvalidDataError, match=unit):
        read_answer(text, size=size)


def test_thousandths_of_any_picture_are_read() -> None:
    for size in ((400, 533), (750, 1101), (3000, 4000), (64, 64)):
        assert read_answer(json.dumps(ITEMS), size=size).notes == ()


def test_what_is_converted_is_noted() -> None:
    ready = read_answer(_scaled(0.001), convert=True)
    assert [words for words, _ in ready.differences] == list(TEXTS)
    for (_, box), wanted in zip(ready.differences, BOXES, strict=True):
        assert box.box_2d == pytest.approx(wanted, abs=1e-3)
    assert ready.notes == ("the boxes were fractions 0..1; multiplied by 1000",)
    assert "turned round" in read_answer(SHAPES["bbox_2d, x first"]).notes[0]


@pytest.mark.parametrize(
    "words", ["no sleeves", "the second button is larger", "a draped front", "None of the buttons is closed", "圆领"]
)
def test_descriptions_that_say_something_are_read(words: str) -> None:
    assert read_answer(_with(description=words)).differences[1][0] == words


def test_all_faults_of_an_answer_are_named_at_once() -> None:
    with pytest.raises(InvalidDataError) as caught:
        read_answer(json.dumps([{"description": "a"}, ITEMS[1], {"box_2d": [0, 0, 9, 9]}]))
    assert str(caught.value) == (
        "difference 1 has no box; give box_2d as [ymin, xmin, ymax, xmax], each 0..1000. "
        "difference 3 has no description; say in words what the first image shows there"
    )


HOSTILE = {
    "a hundred megabytes": "[" * 100_000_000,
    "deep": "[" * MAX_ANSWER_CHARS,
    "deep objects": '{"a":' * (MAX_ANSWER_CHARS // 5),
    "deep box": json.dumps(ITEMS).replace("[100,", "[" * 900).replace("400]", "]" * 900),
    "open texts": "['[ " * (MAX_ANSWER_CHARS // 4),
    "open double texts": '["' * (MAX_ANSWER_CHARS // 2),
    "many lists": "[1]," * (MAX_ANSWER_CHARS // 4),
    "quotes": "[" + "'" * (MAX_ANSWER_CHARS - 1),
    "backslashes": "['" + "\\" * (MAX_ANSWER_CHARS - 2),
    "digits": "[" + "9" * (MAX_ANSWER_CHARS - 1),
    "spaces": "[" + "' " + " " * (MAX_ANSWER_CHARS - 3),
    "surrogates": "\ud800" * 1000,
    "nul": "\0" * 1000,
    "code": "__import__('os').system('true')",
    "an expression": "[{'description': 'a' * 10**9, 'box_2d': [1, 2, 3, 4]}]",
    "wrong brackets": "[{'description': 'a'], 'box_2d': [1, 2, 3, 4]}",
    "a set": "{1, 2}",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(20)
def test_hostile_answers_are_refused(name: str) -> None:
    with pytest.raises(InvalidDataError):
        read_answer(HOSTILE[name])


def test_mutated_answers_are_read_or_refused() -> None:
    chance = random.Random(20250911)
    pieces = [*"[]{}()'\",:\\ \n0-.e", "\\u", "\\x", "None", "NaN", "1e999", "```", "\0", "\ud83d", "é", "'[", '"}']
    read = 0
    for _ in range(4000):
        text = chance.choice(list(SHAPES.values()))
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(text) + 1)
            length = chance.choice((0, 0, 1, 1, 3, 40))
            text = text[:place] + chance.choice(["", *pieces]) + text[place + length :]
        try:
            found = read_answer(text).differences
        except InvalidDataError:
            continue
        read += 1
        assert len(found) == 3
        assert len({box for _, box in found}) == 3
        assert all(words == " ".join(words.split()) != "" for words, _ in found)
    assert read > 200
