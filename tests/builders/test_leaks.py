from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import whole_build
from PIL import Image, ImageOps

from fashionedit.builders import leaks
from fashionedit.builders.leaks import LeakReport, SplitImage, find_leaks, near_threshold
from fashionedit.metrics import Embedder, load_encoder


def _set(seed: int, count: int = 120, centres: int = 25) -> tuple[dict[str, SplitImage], np.ndarray[Any, Any]]:
    """Makes images around few centres, so that many are near, some garments are shared and some pixels equal."""
    chance = np.random.default_rng(seed)
    middle = chance.normal(size=(centres, 16))
    rows = middle[chance.integers(centres, size=count)] + chance.normal(0, 0.12, (count, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    items = {
        f"i{k:03}": SplitImage(
            str(chance.choice(["train", "validation"])), f"g{chance.integers(60)}", f"d{chance.integers(count)}"
        )
        for k in chance.permutation(count)
    }
    return items, rows.astype(np.float32)


def compared(images: dict[str, SplitImage], rows: np.ndarray[Any, Any], threshold: float) -> LeakReport:
    return find_leaks(images, rows, threshold=threshold, encoder="CLIP ViT-L/14", named=len(images))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("block", [7, 64, 2048])
def test_it_finds_what_comparing_every_pair_finds(seed: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "_BLOCK", block)
    items, rows = _set(seed)
    report = compared(items, rows, 0.9)
    near, equal, garments = [], [], set()
    for (one, first), a in zip(items.items(), rows, strict=True):
        for (other, second), b in zip(items.items(), rows, strict=True):
            if (first.split, second.split) != ("train", "validation"):
                continue
            if first.garment == second.garment:
                garments.add(first.garment)
            if first.digest == second.digest:
                equal.append((one, other))
            elif (cosine := float(a @ b)) >= 0.9:
                near.append((one, other, cosine, first.garment == second.garment))
    assert len(near) > 50
    assert equal
    assert report.near_pairs == len(near)
    assert report.near_images == len({other for _, other, _, _ in near})
    assert {(p.train, p.validation, p.same_garment) for p in report.near} == {(a, b, same) for a, b, _, same in near}
    np.testing.assert_allclose(
        [p.cosine for p in report.near], sorted((c for *_, c, _ in near), reverse=True), atol=2e-6
    )
    assert report.duplicates == tuple(sorted(equal))
    assert {found.garment for found in report.garments} == garments
    held = [item.garment for item in items.values() if item.split == "validation"]
    assert report.garment_images == sum(garment in garments for garment in held)
    for found in report.garments:
        for split in ("train", "validation"):
            shown = sum((item.split, item.garment) == (split, found.garment) for item in items.values())
            assert getattr(found, split) == shown


def test_only_the_nearest_are_listed_but_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    items, rows = _set(1)
    whole = compared(items, rows, 0.5)
    monkeypatch.setattr(leaks, "_LISTED", 10)
    monkeypatch.setattr(leaks, "_BLOCK", 16)
    part = compared(items, rows, 0.5)
    assert (part.near_pairs, part.near_images) == (whole.near_pairs, whole.near_images)
    assert part.near == whole.near[:10]


def test_the_report_says_what_was_found() -> None:
    items = {
        "a": SplitImage("train", "g1", "x"),
        "b": SplitImage("validation", "g1", "x"),
        "c": SplitImage("validation", "g2", "y"),
        "d": SplitImage("train", "g3", "z"),
    }
    rows = np.eye(4, dtype=np.float32)
    rows[3] = rows[2]
    report = compared(items, rows, 0.97)
    assert report.sentences() == [
        "Garments in both splits: 1, shown by 1 of 2 validation images (such as g1).",
        "Equal pictures across the splits: 1 pair (such as b and a).",
        "Nearly equal pictures across the splits (cosine ≥ 0.97 by CLIP ViT-L/14): 1 pair, with 1 of 2 validation "
        "images (the nearest: c and d, 1.000).",
    ]
    read = json.loads(report.to_json())
    assert read["images"] == {"train": 2, "validation": 2}
    assert read["near"] == [{"cosine": 1.0, "same_garment": False, "train": "d", "validation": "c"}]


def test_a_clean_split_says_so() -> None:
    items = {"a": SplitImage("train", "g1", "x"), "b": SplitImage("validation", "g2", "y")}
    for images in (items, {"a": items["a"]}, {}):
        assert compared(images, np.eye(len(images), dtype=np.float32), 0.9).sentences()[1:] == [
            "Equal pictures across the splits: none.",
            "Nearly equal pictures across the splits (cosine ≥ 0.9 by CLIP ViT-L/14): none.",
        ]


class _Encoder:
    def __init__(self, kind: str, is_clip: bool) -> None:
        self.fingerprint, self.is_clip = {"kind": kind}, is_clip


def test_clip_needs_a_higher_threshold_than_other_encoders() -> None:
    clip, other = (near_threshold(_Encoder("CLIPModel", is_clip)) for is_clip in (True, False))  # type: ignore[arg-type]
    assert (clip, other) == (0.97, 0.95)


def test_copies_of_real_pictures_are_near_and_others_are_not() -> None:
    real, pictures = isinstance(whole_build.pictures(12)[0], bytes), whole_build.images(12)
    copies = [ImageOps.mirror(pictures[0]), pictures[1].resize((pictures[1].width // 2, pictures[1].height // 2))]
    encoder = load_encoder("offline", device="cpu")
    everything: list[Image.Image] = [*pictures, *copies]
    rows = Embedder(encoder).embed([(None, lambda picture=picture: picture) for picture in everything])
    items = {f"p{k}": SplitImage("train", f"g{k}", f"d{k}") for k in range(len(pictures))}
    items |= {f"copy{k}": SplitImage("validation", f"c{k}", f"e{k}") for k in range(len(copies))}
    report = find_leaks(items, rows, threshold=near_threshold(encoder), encoder=encoder.label, named=0)
    found = {(pair.validation, pair.train) for pair in report.near}
    assert {("copy0", "p0"), ("copy1", "p1")} <= found
    if real:  # pictures that are drawn by one hand are nearer to each other than photographs are
        assert len(found) == 2
