"""The authors' release becomes FashionEdit as it was released: nothing is generated, and nobody is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from lmm_server import SHAPES, differences_of
from PIL import Image
from whole_build import images

import fashionedit
from fashionedit.builders.stage_store import FUNNEL_FILE
from fashionedit.cli import main

UNUSABLE: Mapping[str, Callable[[list[dict[str, Any]]], str]] = {
    "two only": lambda found: str(found[:2]),
    "a box without area": lambda found: str([{**found[0], "box_2d": [5, 5, 5, 50]}, *found[1:]]),
    "no answer": lambda found: "I can't help with that.",
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the form of the authors' archives, one folder deeper as they unpack."""
    root = tmp_path_factory.mktemp("release")
    originals, drafts = root / "resize_orig" / "resize_orig", root / "resize_gen"
    originals.mkdir(parents=True)
    drafts.mkdir()
    shapes = {**SHAPES, **UNUSABLE}
    found = images(len(shapes) + 1)
    answers, scores = {}, {}
    for number, image in enumerate(found):
        stem = f"WOMEN-Dresses-id_{number // 2 + 1:08d}-01_{number % 2 + 1}_front"
        image.save(originals / f"{stem}.png")
        if number == len(shapes):
            continue  # the last one has no draft and no answer
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(drafts / f"{stem}.png")
        answers[f"{stem}.png"] = list(shapes.values())[number](differences_of(stem))
        scores[f"{stem}.png"] = str(85.00013 + number)
    (root / "diff.json").write_text(json.dumps(answers))
    (root / "captions_top.json").write_text(json.dumps(scores))
    return root


def test_every_shape_of_answer_becomes_a_sample(release: Path, tmp_path: Path) -> None:
    out = tmp_path / "fashionedit"
    arguments = ["build", "--source", str(release), "--out", str(out), "--encoder", "offline", "--quiet"]
    main(arguments)
    data = fashionedit.open_folder(out, "train+validation")
    scores = json.loads((release / "captions_top.json").read_text())
    assert len(data) == len(SHAPES)
    for key in data.ids:
        facts = data.facts(key)
        wanted = differences_of(key)
        assert list(facts.descriptions) == [entry["description"] for entry in wanted]
        assert [list(box.box_2d) for box in facts.boxes] == [entry["box_2d"] for entry in wanted]
        assert facts.clip_score == pytest.approx(float(scores[f"{key}.png"]))
        assert facts.gender == "WOMEN"
    steps = {step["name"]: step for step in json.loads((out / FUNNEL_FILE).read_text())["steps"]}
    assert steps["photos"]["dropped"] == {"no draft": 1}
    assert steps["analysed"]["dropped"] == {"no three valid differences": len(UNUSABLE)}
    before = {path.name: path.read_bytes() for path in (out / "data").iterdir()}
    main(arguments)
    assert {path.name: path.read_bytes() for path in (out / "data").iterdir()} == before


def test_captions_of_the_photographs_are_joined_in(release: Path, tmp_path: Path) -> None:
    names = [f"WOMEN-Dresses-id_{number:08d}-01_{view}_front.jpg" for number in range(1, 9) for view in (1, 2)]
    captions = {name: f"A dress, {number}." for number, name in enumerate(names)}
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    out = tmp_path / "fashionedit"
    arguments = ["build", "--source", str(release), "--out", str(out), "--encoder", "offline", "--quiet"]
    main([*arguments, "--captions", str(tmp_path / "captions.json")])
    data = fashionedit.open_folder(out, "train+validation")
    assert {data.facts(key).annotation for key in data.ids} <= set(captions.values())
