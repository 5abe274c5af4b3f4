"""Metrics by name: the table, files of one's own, entry points, and what a metric that breaks the rules is told."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError, MissingExtraError, UnknownNameError
from fashionedit.images import pixel_digest
from fashionedit.metrics import METRICS, Embedder, Metric, Picture, cosine_similarity, load_metrics, registry
from fashionedit.metrics.registry import checked_scores, find_metric

SHARPNESS = """
from fashionedit.metrics import Metric

class Sharpness(Metric):
    id, label, unit = "sharpness", "Sharpness", "ratio"

    def score(self, pairs):
        return [result.pixels.std() / original.pixels.std() for result, original in pairs]

def no_class(): ...
"""


def shown(image: Image.Image) -> Picture:
    return Picture(pixel_digest(image), lambda: image)


def test_the_papers_metrics_are_the_definitions(counting_encoder: Any, picture: Any) -> None:
    encoder = counting_encoder()
    clip, psnr = load_metrics(("clip", "psnr"), Embedder(encoder))
    images = [(picture(seed, 64, 64), picture(100 + seed // 3, 50, 70)) for seed in range(9)]
    pairs = [(shown(result), shown(original)) for result, original in images]
    for (result, original), cosine, decibels in zip(images, clip.score(pairs), psnr.score(pairs), strict=True):
        vectors = [encoder.encode(encoder.preprocess(image)[None]) for image in (result, original)]
        assert cosine == pytest.approx(float(cosine_similarity(*vectors)[0]), abs=1e-6)
        sizes = [cv2.resize(np.asarray(one), (256, 256)) for one in (result, original)]
        assert decibels == pytest.approx(cv2.PSNR(*sizes))


def test_a_metric_comes_from_a_file_and_its_source_is_part_of_its_fingerprint(tmp_path: Path, picture: Any) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SHARPNESS)
    (first,) = load_metrics([f"{file}:Sharpness"], None)
    assert checked_scores(first, [(shown(picture(1)), shown(picture(1)))]) == [1.0]
    file.write_text(SHARPNESS.replace("std()", "mean()"))
    (second,) = load_metrics([f"{file}:Sharpness"], None)
    assert first.fingerprint["metric"] == second.fingerprint["metric"] == "sharpness"
    assert first.fingerprint["source"] != second.fingerprint["source"]


def test_a_metric_comes_from_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_package.py").write_text(SHARPNESS)
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("sharp", "their_package:Sharpness", "fashionedit.metrics")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == entry.group else [])
    (metric,) = load_metrics(["sharp"], None)
    assert metric.id == "sharpness"


def test_a_similarity_by_another_encoder_stands_beside_the_first(counting_encoder: Any) -> None:
    named: list[str] = []

    def load(spec: str) -> Embedder:
        named.append(spec)
        return Embedder(counting_encoder())

    first, second = load_metrics(("clip", "similarity:org/other"), Embedder(counting_encoder()), load)
    assert named == ["org/other"]
    assert first.id != second.id
    assert second.id.startswith("similarity_")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("psnrr", "did you mean psnr"),
        ("nothing-like-it", "choose clip, clip_star, psnr"),
        ("similarity", "write similarity:ENCODER"),
        ("gone.py:Metric", "there is no file gone.py"),
        ("clip:somewhere", "no metric is called"),
    ],
)
def test_an_unknown_name_says_what_there_is(name: str, sentence: str) -> None:
    with pytest.raises(UnknownNameError, match=sentence):
        find_metric(name)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["psnr", "psnr"], "both the metric 'psnr'"),
        (["clip"], "needs an encoder"),
        (["mine.py:no_class"], "is no metric"),
        (["mine.py:Sharpness", "mine.py:Sharpness"], "both the metric 'sharpness'"),
    ],
)
def test_a_list_of_metrics_that_makes_no_table_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(SHARPNESS)
    with pytest.raises(InvalidDataError, match=sentence):
        load_metrics(names, None)


def test_a_share_needs_the_metric_that_it_counts(counting_encoder: Any) -> None:
    with pytest.raises(InvalidDataError, match="clip_star is a share of the metric"):
        load_metrics(["clip_star"], Embedder(counting_encoder()))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ('id = "../x"', "lowercase letters"),
        ('label = "two\\nlines"', "has the label"),
        ("scale = 0", "finite scale"),
        ("digits = 9", "0 to 6 digits"),
        ("limits = (2, 1)", "a lower and a higher limit"),
        ("def __init__(self): raise KeyError(3)", "can't be made .KeyError in odd.py"),
    ],
)
def test_a_metric_with_impossible_facts_is_refused(tmp_path: Path, change: str, sentence: str) -> None:
    file = tmp_path / "odd.py"
    file.write_text(f"{SHARPNESS}\nclass Odd(Sharpness):\n    {change}\n")
    with pytest.raises(InvalidDataError, match=sentence):
        load_metrics([f"{file}:Odd"], None)


def test_a_file_that_fails_is_one_sentence(tmp_path: Path) -> None:
    for text, sentence in (("1 / 0", "ZeroDivisionError in bad.py, line 1"), ("exit(0)", "SystemExit")):
        (tmp_path / "bad.py").write_text(text)
        with pytest.raises(InvalidDataError, match=sentence):
            find_metric(f"{tmp_path / 'bad.py'}:Anything")


def raising(error: BaseException) -> Any:
    def score(pairs: Any) -> Any:
        raise error

    return score


@pytest.mark.parametrize(
    ("score", "sentence"),
    [
        (lambda pairs: [1 / 0 for _ in pairs], "failed .ZeroDivisionError in test_registry.py, line"),
        (raising(SystemExit(0)), "failed .SystemExit"),
        (lambda pairs: [0.5], "returned 1 values for 2 pairs"),
        (lambda pairs: None, "returned a NoneType"),
        (lambda pairs: "ab", "is 'a'"),
        (lambda pairs: (one for one in pairs), "returned a generator"),
        (lambda pairs: [0.5, float("nan")], "is nan; a score is a finite number"),
        (lambda pairs: [0.5, float("inf")], "is inf"),
        (lambda pairs: [0.5, None], "is None"),
        (lambda pairs: [0.5, "0.5"], "is '0.5'"),
        (lambda pairs: [0.5, True], "is True"),
        (lambda pairs: np.array([1, 2j]), r"is np.complex128\("),
    ],
)
def test_a_metric_that_breaks_the_rules_is_one_sentence(picture: Any, score: Any, sentence: str) -> None:
    metric = type("Odd", (Metric,), {"id": "odd", "score": staticmethod(score)})()
    with pytest.raises(InvalidDataError, match=sentence):
        checked_scores(metric, [(shown(picture(1)), shown(picture(2)))] * 2)


def test_numpy_numbers_are_scores_and_a_broken_picture_stays_its_own_error(picture: Any) -> None:
    pairs = [(shown(picture(1)), shown(picture(2)))]
    metric = type("Own", (Metric,), {"id": "own", "score": lambda self, pairs: np.array([3], dtype=np.int16)})()
    assert checked_scores(metric, pairs) == [3.0]
    metric = type("Own", (Metric,), {"id": "own", "score": staticmethod(raising(InvalidImageError("broken")))})()
    with pytest.raises(InvalidImageError, match=r"^broken$"):
        checked_scores(metric, pairs)


@pytest.mark.parametrize("name", METRICS)
def test_every_line_of_the_table_is_a_metric(name: str) -> None:
    metric, _ = find_metric(f"{name}:offline" if name == "similarity" else name)
    assert issubclass(metric, Metric)


def test_ssim_is_the_papers_formula_on_averaged_pixels(picture: Any) -> None:
    """Against the definition, written with OpenCV's Gaussian filter; borders are left out."""
    images = [picture(seed, 256, 256) for seed in (1, 2)]
    mixed = Image.blend(*images, 0.3)
    (metric,) = load_metrics(["ssim"], None)
    first, second = (np.asarray(image, dtype=np.float64) for image in (mixed, images[0]))

    def blurred(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    means = blurred(first), blurred(second)
    spread = [blurred(side * side) - mean**2 for side, mean in zip((first, second), means, strict=True)]
    both = blurred(first * second) - means[0] * means[1]
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    parts = (2 * means[0] * means[1] + c1) * (2 * both + c2)
    parts /= (means[0] ** 2 + means[1] ** 2 + c1) * (spread[0] + spread[1] + c2)
    found, same = checked_scores(metric, [(shown(mixed), shown(images[0])), (shown(images[1]), shown(images[1]))])
    assert found == pytest.approx(parts[5:-5, 5:-5].mean(), abs=1e-6)
    assert same == 1


def test_ssim_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, picture: Any) -> None:
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    (metric,) = load_metrics(["ssim"], None)
    with pytest.raises(MissingExtraError, match="pip install 'scikit-image"):
        checked_scores(metric, [(shown(picture(1)), shown(picture(2)))])
