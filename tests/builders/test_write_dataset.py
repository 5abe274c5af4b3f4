from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import Funnel, FunnelStep
from fashionedit.builders.write_dataset import card_sections, eval_yaml, find_examples
from fashionedit.card import LEADERBOARD_TASKS


def _photo(
    identity: str,
    garment: str | None = "g",
    view: str | None = "front",
    colourway: str = "01",
    digest: str | None = None,
) -> Photo:
    return Photo(
        identity,
        Path(f"{identity}.jpg"),
        gender="WOMEN",
        category="Dresses",
        garment_id=garment,
        view=view,
        attributes={"colourway": colourway},
        digest=identity if digest is None else digest,
    )


def _examples(photos: list[Photo], **options: Any) -> dict[str, list[str]]:
    found = find_examples(photos, **{"splits": {}, **options})
    return {identity: [photo.id for photo in examples] for identity, examples in found.items()}


def test_the_same_colourway_goes_before_the_better_view_and_front_before_the_others() -> None:
    photos = [
        _photo("a", view="back"),
        _photo("b", view="additional"),
        _photo("c", view=None),
        _photo("d", view="side"),
        _photo("e", view="front", colourway="02"),
        _photo("f", view="full"),
        _photo("g", view="front"),
        _photo("h", view="flat"),
    ]
    found = _examples(photos, limit=9)
    assert found["a"] == ["g", "f", "d", "h", "b", "c", "e"]
    assert found["e"] == ["g", "f", "d", "a", "h", "b", "c"]
    assert _examples(photos)["a"] == ["g", "f", "d"]
    assert _examples(photos[::-1]) == _examples(photos)


def test_garments_do_not_mix_and_one_photograph_alone_has_no_example() -> None:
    photos = [_photo("a"), _photo("b"), _photo("c", "other"), _photo("d", None), _photo("e", None)]
    assert _examples(photos) == {"a": ["b"], "b": ["a"]}


def test_the_same_pixels_are_no_example_and_come_once() -> None:
    photos = [_photo(name, digest=digest) for name, digest in {"a": "1", "b": "1", "c": "2", "d": "2"}.items()]
    assert _examples(photos) == {"a": ["c"], "b": ["c"], "c": ["a"], "d": ["a"]}
    assert _examples([*photos[:3], _photo("d")])["a"] == ["c", "d"]


def test_a_photograph_of_another_split_is_no_example() -> None:
    photos = [_photo(name) for name in "abcd"]
    splits = {"a": "train", "b": "validation", "c": "validation"}
    found = _examples(photos, splits=splits)
    assert found["a"] == ["d"]
    assert found["b"] == ["c", "d"]


@pytest.mark.parametrize("seed", range(20))
def test_no_example_is_itself_of_another_garment_or_split(seed: int) -> None:
    chance = np.random.default_rng(seed)
    photos = [
        _photo(f"p{k}", f"g{chance.integers(12)}", colourway=str(chance.integers(3)), digest=str(chance.integers(40)))
        for k in range(60)
    ]
    digests = {photo.id: photo.digest for photo in photos}
    splits = {photo.id: str(chance.choice(["train", "validation"])) for photo in photos}
    garments = {photo.id: photo.garment for photo in photos}
    found = find_examples(photos, splits=splits)
    assert found
    for identity, examples in found.items():
        pixels = [digests[identity], *(digests[example.id] for example in examples)]
        assert len(set(pixels)) == len(pixels) <= 4
        assert {garments[example.id] for example in examples} == {garments[identity]}
        assert {splits[example.id] for example in examples} == {splits[identity]}


def test_the_card_says_how_the_set_was_made_and_what_is_unclear() -> None:
    funnel = Funnel((FunnelStep("photos", 5, 1, {"no caption": 4}),))
    sections = dict(card_sections(funnel, {"drafts": "a|b"}, ["No garment is in both splits."], deepfashion=True))
    assert list(sections) == ["How it was made", "Splits", "Getting the photographs", "What is unclear", "Citation"]
    assert "| drafts | a/b |" in sections["How it was made"]
    assert "4,849 garments" in sections["What is unclear"]
    assert "Getting the photographs" not in dict(card_sections(funnel, {}, [], deepfashion=False))


def test_eval_yaml_names_one_number_a_task() -> None:
    content = yaml.safe_load(eval_yaml("My set"))
    assert content["name"] == "My set"
    assert [task["id"] for task in content["tasks"]] == list(LEADERBOARD_TASKS)
    assert set(LEADERBOARD_TASKS) == {
        f"{protocol}_{metric}" for protocol in ("vanilla", "bug") for metric in ("clip", "clip_star", "psnr")
    }
    assert all(task["split"] == "validation" and task["config"] == "default" for task in content["tasks"])
