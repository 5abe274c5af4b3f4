from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from fashionedit.images import pixel_digest
from fashionedit.metrics import Embedder, EmbeddingCache, cosine_similarity, score_pairs


def _opencv_psnr(first: Image.Image, second: Image.Image) -> float:
    return cv2.PSNR(*(cv2.resize(np.asarray(image), (256, 256)) for image in (first, second)))


def test_scores_equal_the_definitions_and_open_each_picture_once(counting_encoder: Any, picture: Any) -> None:
    originals = [picture(seed, 50, 70) for seed in range(5)]
    results = [picture(100 + seed, 64, 64) for seed in range(15)]
    opened: Counter[str] = Counter()

    def item(image: Image.Image, name: str) -> Any:
        def opens() -> Image.Image:
            opened[name] += 1
            return image

        return pixel_digest(image), opens

    pairs = [(item(results[n], f"result {n}"), item(originals[n // 3], f"original {n // 3}")) for n in range(15)]
    encoder = counting_encoder()
    steps: list[int] = []
    scores = list(score_pairs(pairs, Embedder(encoder, batch_size=4), steps.append))
    assert sum(steps) == 15
    assert max(steps) <= 3, "a long wait is not one step"
    assert encoder.encoded == 20
    assert len(opened) == 20
    assert set(opened.values()) == {1}
    for number, score in enumerate(scores):
        first, second = results[number], originals[number // 3]
        assert abs(score.psnr - _opencv_psnr(first, second)) < 1e-9
        vectors = [encoder.encode(encoder.preprocess(image)[None]) for image in (first, second)]
        assert abs(score.cosine_similarity - float(cosine_similarity(*vectors)[0])) < 1e-6


def test_cached_originals_are_opened_for_psnr_alone(counting_encoder: Any, picture: Any, tmp_path: Path) -> None:
    original, result = picture(1), picture(2)
    Embedder(counting_encoder(), EmbeddingCache(tmp_path)).embed([(None, lambda: original)])
    encoder = counting_encoder()
    pair = ((None, lambda: result), (pixel_digest(original), lambda: original))
    (score,) = score_pairs([pair], Embedder(encoder, EmbeddingCache(tmp_path)))
    assert encoder.encoded == encoder.preprocessed == 1
    assert abs(score.psnr - _opencv_psnr(result, original)) < 1e-9


def test_more_pairs_than_are_remembered_keep_their_order(counting_encoder: Any, picture: Any) -> None:
    images = [picture(seed, 6, 5) for seed in range(300)]
    pairs = [((None, lambda image=image: image), (None, lambda: images[0])) for image in images]
    scores = list(score_pairs(iter(pairs), Embedder(counting_encoder())))
    assert len(scores) == 300
    assert (scores[0].cosine_similarity, round(scores[0].psnr, 1)) == (1.0, 361.2)
    assert scores[299].psnr == _opencv_psnr(images[299], images[0])


def test_no_pairs_give_no_scores(counting_encoder: Any) -> None:
    assert list(score_pairs([], Embedder(counting_encoder()))) == []
