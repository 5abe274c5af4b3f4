"""Mixed precision decides as fp32 does, and says what it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fashionedit import metrics
from fashionedit.errors import InvalidDataError
from fashionedit.images import pixel_digest
from fashionedit.metrics import Embedder, EmbeddingCache, Metric, Picture, load_encoder, load_metrics
from fashionedit.metrics.encoder import unit_vectors
from fashionedit.metrics.mixed_precision import PICTURES, SAFETY, Margin, MixedEncoder, add_provenance

Pairs = list[tuple[Picture, Picture]]


@pytest.fixture(scope="module")
def images() -> list[tuple[Image.Image, Image.Image]]:
    """Pictures in all degrees of likeness."""
    random = np.random.default_rng(0)
    found = []
    for number in range(60):
        first = random.integers(0, 256, (40, 30, 3))
        second = first + (random.integers(0, 256, first.shape) - first) * number / 60
        found.append(tuple(Image.fromarray(np.rint(side).astype(np.uint8)) for side in (first, second)))
    return found


@pytest.fixture(scope="module")
def pairs(images: list[tuple[Image.Image, Image.Image]]) -> Pairs:
    return [tuple(Picture(pixel_digest(image), lambda image=image: image) for image in both) for both in images]


class NoisyEncoder:
    """An encoder in miniature, whose numbers are off by some noise that its pixels determine."""

    label, is_clip, dimension = "noisy", True, 192

    def __init__(self, noise: float, bias: float = 0.0) -> None:
        self.noise, self.bias = noise, bias
        self.fingerprint = {"kind": "toy", "precision": "bf16" if noise or bias else "fp32"}
        self.environment = {"kernels": "toy"}
        self.encoded = 0

    def preprocess(self, image: Image.Image) -> Any:
        return np.moveaxis(np.asarray(image.resize((8, 8), Image.Resampling.BOX), dtype=np.float32), -1, 0)

    def encode(self, batch: Any) -> Any:
        self.encoded += len(batch)
        rows = unit_vectors(batch.reshape(len(batch), -1) + 1, "toy").astype(np.float64)
        for row, pixels in zip(rows, batch, strict=True):
            seed = int(pixels.sum())
            row += np.random.default_rng(seed).normal(0, self.noise, len(row))
            row += self.bias * (-1) ** seed
        return unit_vectors(rows, "toy")


def _mixed(noise: float = 2e-5, bias: float = 0.0) -> MixedEncoder:
    return MixedEncoder(NoisyEncoder(noise, bias), NoisyEncoder(0))


def _similarity(encoder: Any, *thresholds: float, cache: EmbeddingCache | None = None) -> Metric:
    (metric,) = load_metrics(["clip"], Embedder(encoder, cache))
    for threshold in thresholds:
        metric.count_above(threshold)
    return metric


def _above(values: Any, thresholds: Any) -> Any:
    return np.asarray(values)[:, None] > np.asarray(thresholds)


@pytest.mark.parametrize("block", [1, 7, 60])
def test_every_pair_is_on_fp32s_side_of_thresholds_among_the_cosines(pairs: Pairs, block: int) -> None:
    exact = _similarity(NoisyEncoder(0)).score(pairs)
    quick = _similarity(NoisyEncoder(2e-5)).score(pairs)
    thresholds = sorted([*exact, *quick])  # each exactly a cosine, of fp32 or of bf16
    assert (_above(exact, thresholds) != _above(quick, thresholds)).any()
    metric = _similarity(_mixed(), *thresholds)
    found = [value for at in range(0, 60, block) for value in metric.score(pairs[at : at + block])]
    np.testing.assert_array_equal(_above(found, thresholds), _above(exact, thresholds))


def test_clip_star_of_a_real_model_equals_fp32s(tiny_clip: Path, pairs: Pairs) -> None:
    pairs = pairs[::3]
    exact, quick = (load_encoder(f"clip:{tiny_clip}", device="cpu", precision=name) for name in ("fp32", "bf16"))
    wanted = np.array(_similarity(exact).score(pairs))
    thresholds = list(wanted[::2])
    metric = _similarity(MixedEncoder(quick, exact), *thresholds)
    found = np.array(metric.score(pairs))
    np.testing.assert_array_equal(_above(found, thresholds), _above(wanted, thresholds))
    assert abs(100 * (found.mean() - wanted.mean())) < 0.02


def test_only_pairs_near_the_threshold_are_computed_in_fp32(pairs: Pairs) -> None:
    encoder = _mixed()
    exact = np.array(_similarity(NoisyEncoder(0)).score(pairs))
    threshold = float(np.median(exact)) + 1e-6
    metric = _similarity(encoder, threshold)
    values = np.array(metric.score(pairs))
    margin, largest = (metric.provenance[name] for name in ("margin", "largest deviation of bf16"))
    assert margin == pytest.approx(SAFETY * largest, rel=0.01)
    again = np.abs(values - threshold) <= margin
    assert metric.provenance["pairs computed again in fp32"] == again.sum() > 0
    assert metric.provenance["pairs"] == 60
    np.testing.assert_array_equal(values[again], exact[again])
    assert np.abs(values - exact).max() <= largest * 2
    assert encoder.exact.encoded <= PICTURES + 2 * again.sum() < 60


def test_few_pictures_are_all_computed_in_fp32(pairs: Pairs) -> None:
    metric, exact = _similarity(_mixed(), 0.9), _similarity(NoisyEncoder(0))
    few = pairs[: PICTURES // 2 - 1]
    assert metric.score(few) == exact.score(few)
    assert "margin" not in metric.provenance


def test_bf16_that_strays_too_far_is_not_used(pairs: Pairs) -> None:
    metric, exact = _similarity(_mixed(noise=3e-3)), _similarity(NoisyEncoder(0))
    assert metric.score(pairs) == exact.score(pairs)
    assert metric.provenance["margin"] == "all pairs: bf16 strays too far"
    assert metric.provenance["pairs computed again in fp32"] == 60


def test_the_mean_deviation_is_taken_off() -> None:
    exact = unit_vectors(np.random.default_rng(0).random((PICTURES, 40)) + 1, "toy").astype(np.float64)
    apart = 0.01 * np.eye(PICTURES)  # as rounding does: each vector in a direction of its own
    quick = np.concatenate([exact, apart], axis=1)
    quick /= np.linalg.norm(quick, axis=1, keepdims=True)
    margin = Margin()
    margin.add(list(quick), list(np.pad(exact, ((0, 0), (0, PICTURES)))))
    cosines, wanted = quick[:-1] @ quick[-1], exact[:-1] @ exact[-1]
    assert (wanted - cosines).min() > 8e-5
    assert np.abs(margin.corrected(cosines) - wanted).max() < 1e-5
    assert margin.corrected(np.ones(1)) == 1


def test_a_pair_that_deviates_more_than_any_before_widens_the_margin(pairs: Pairs) -> None:
    embedder = Embedder(_mixed())
    embedder.similarities([((a.digest, a.open), (b.digest, b.open)) for a, b in pairs], [0.9])
    before = embedder._margin.value
    embedder._margin.saw(np.array([before]))
    assert embedder._margin.value == SAFETY * before


def test_each_precision_has_its_own_embeddings_in_the_cache(tmp_path: Path, pairs: Pairs) -> None:
    cache = EmbeddingCache(tmp_path)
    first = _mixed()
    values = _similarity(first, 0.9, cache=cache).score(pairs)
    again = _mixed()
    assert _similarity(again, 0.9, cache=cache).score(pairs) == values
    assert (again.quick.encoded, again.exact.encoded) == (0, 0)
    alone = NoisyEncoder(0)
    _similarity(alone, cache=cache).score(pairs)
    assert first.exact.encoded + alone.encoded == len({picture.digest for pair in pairs for picture in pair})


def test_the_fingerprint_says_mixed_and_where_it_is_exact(tiny_clip: Path) -> None:
    exact, mixed = (load_encoder(f"clip:{tiny_clip}", device="cpu", precision=name) for name in ("fp32", "mixed"))
    clip, star = load_metrics(["clip", "clip_star"], Embedder(mixed))
    assert clip.fingerprint == star.fingerprint == exact.fingerprint | {"precision": "mixed", "as fp32 at": "0.9"}
    assert "bf16" in mixed.environment["kernels"]


def test_a_share_of_any_similarity_is_decided_as_in_fp32(tmp_path: Path, pairs: Pairs) -> None:
    (tmp_path / "share.py").write_text(
        "from fashionedit.metrics import Metric\n"
        "class Share(Metric):\n"
        "    id, label, unit, of, threshold = 'often', 'Often', '%', 'similarity_noisy', 0.8\n"
    )
    embedder = Embedder(_mixed())
    named, _ = load_metrics(["similarity:toy", f"{tmp_path / 'share.py'}:Share"], None, lambda spec: embedder)
    assert named.counted_at == (0.8,)
    assert named.fingerprint["as fp32 at"] == "0.8"
    exact = _similarity(NoisyEncoder(0)).score(pairs)
    np.testing.assert_array_equal(_above(named.score(pairs), [0.8]), _above(exact, [0.8]))


def test_an_encoder_without_bf16_is_used_as_it_is() -> None:
    assert load_encoder("offline", precision="mixed").fingerprint["precision"] == "fp32"


def test_evaluate_decides_as_fp32_at_the_threshold_of_loading(
    tiny_clip: Path, images: list[tuple[Image.Image, Image.Image]]
) -> None:
    predictions, references = map(list, zip(*images[::3], strict=True))
    spec = f"clip:{tiny_clip}"

    def star(threshold: float, precision: str) -> Any:
        return metrics.load("clip_star", encoder=spec, device="cpu", precision=precision, threshold=threshold)

    found = star(0.9, "fp32").compute(predictions=predictions, references=references, per_image=True)
    threshold = sorted(found["per_image"])[10] / 100
    exact, mixed = (
        star(threshold, name).compute(predictions=predictions, references=references) for name in ("fp32", "mixed")
    )
    assert exact["clip_star"] == mixed["clip_star"]
    assert mixed["provenance"]["pairs"] == 20
    assert "provenance" not in exact
    metric = star(0.9, "mixed")
    metric.add_batch(predictions=predictions[:3], references=references[:3])
    with pytest.raises(InvalidDataError, match=r"load the metric with threshold=0\.8"):
        metric.compute(threshold=0.8)


def test_what_several_calls_say_is_added_up() -> None:
    said: dict[str, str | int | float] = {}
    for one in ({"n": 2, "most": 0.1, "on": "cpu"}, {"n": 2, "most": 0.3, "on": "cuda"}, {"n": 1, "on": "cpu"}):
        said = dict(add_provenance(said, one))
    assert said == {"n": 5, "most": 0.3, "on": "cpu; cuda"}
