from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.images import pixel_digest, read_image
from fashionedit.metrics import Embedder, EmbeddingCache
from fashionedit.metrics import embedder as embedder_module


def _opener(image: Image.Image) -> Any:
    return lambda: image


def _never() -> Image.Image:
    raise AssertionError("a picture whose embedding is known was opened")


def _expected(encoder: Any, images: list[Image.Image]) -> np.ndarray:
    return np.concatenate([encoder.encode(encoder.preprocess(image)[None]) for image in images])


def test_rows_follow_the_items_whatever_the_batches(counting_encoder: Any, picture: Any) -> None:
    images = [picture(seed, 20 + seed, 30) for seed in range(11)]
    expected = _expected(counting_encoder(), images)
    for batch_size in (1, 3, 11, 50):
        for decoders in (1, 4):
            embedder = Embedder(counting_encoder(), batch_size=batch_size, decoders=decoders)
            found = embedder.embed((None, _opener(image)) for image in images)
            np.testing.assert_array_equal(found, expected)
            assert max(embedder.encoder.batches) <= batch_size


def test_nothing_gives_no_rows(counting_encoder: Any) -> None:
    assert Embedder(counting_encoder()).embed([]).shape == (0, 48)


def test_equal_pictures_are_encoded_once_within_a_call(counting_encoder: Any, picture: Any) -> None:
    encoder = counting_encoder()
    first, second = picture(1), picture(2)
    digest = pixel_digest(second)
    items = [(None, _opener(first)), (None, _opener(first.copy())), (digest, _opener(second)), (digest, _never)]
    found = Embedder(encoder).embed([*items, (None, _opener(second.copy()))])
    assert encoder.encoded == 2
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2:], [found[2]] * 3)


def test_known_pictures_are_neither_opened_nor_encoded_again(counting_encoder: Any, picture: Any) -> None:
    encoder = counting_encoder()
    embedder = Embedder(encoder)
    image = picture(1)
    first = embedder.embed([(pixel_digest(image), _opener(image))])
    second = embedder.embed([(pixel_digest(image), _never), (None, _opener(image.copy()))])
    assert encoder.encoded == encoder.preprocessed == 1
    np.testing.assert_array_equal(second, np.repeat(first, 2, axis=0))


def test_the_next_run_encodes_nothing(counting_encoder: Any, picture: Any, tmp_path: Path) -> None:
    images = [picture(seed) for seed in range(40)]
    first = Embedder(counting_encoder(), EmbeddingCache(tmp_path)).embed((None, _opener(i)) for i in images)
    encoder = counting_encoder()
    again = Embedder(encoder, EmbeddingCache(tmp_path))
    np.testing.assert_array_equal(again.embed((pixel_digest(i), _never) for i in images), first)
    np.testing.assert_array_equal(again.embed((None, _opener(i)) for i in images), first)
    undigested = Embedder(encoder, EmbeddingCache(tmp_path))
    np.testing.assert_array_equal(undigested.embed((None, _opener(i)) for i in images), first)
    assert encoder.encoded == encoder.preprocessed == 0


def test_memory_is_bounded_where_a_cache_has_the_embeddings(
    counting_encoder: Any, picture: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedder_module, "_MOST_KNOWN", 2)
    images = [picture(seed) for seed in range(5)]
    items = [(pixel_digest(image), _opener(image)) for image in images]
    kept, bounded = Embedder(counting_encoder()), Embedder(counting_encoder(), EmbeddingCache(tmp_path))
    for start in (0, 1, 2, 0):
        part = items[start : start + 3]
        np.testing.assert_array_equal(bounded.embed(part), kept.embed(part))
        assert len(bounded._known) <= 3
    assert bounded.encoder.encoded == kept.encoder.encoded == len(kept._known) == 5


def test_another_fingerprint_encodes_again(counting_encoder: Any, picture: Any, tmp_path: Path) -> None:
    item = (None, _opener(picture(1)))
    Embedder(counting_encoder(weights="a"), EmbeddingCache(tmp_path)).embed([item])
    other = counting_encoder(weights="b")
    Embedder(other, EmbeddingCache(tmp_path)).embed([item])
    assert other.encoded == 1


def test_a_failure_keeps_what_was_encoded_before(counting_encoder: Any, picture: Any, tmp_path: Path) -> None:
    images = [picture(seed) for seed in range(8)]

    def broken() -> Image.Image:
        return read_image(b"no picture")

    items = [(None, _opener(image)) for image in images] + [(None, broken)]
    with pytest.raises(InvalidImageError):
        Embedder(counting_encoder(), EmbeddingCache(tmp_path), batch_size=4).embed(items)
    encoder = counting_encoder()
    Embedder(encoder, EmbeddingCache(tmp_path)).embed(items[:8])
    assert encoder.encoded == 0


def test_progress_adds_up_to_the_number_of_items(counting_encoder: Any, picture: Any) -> None:
    embedder = Embedder(counting_encoder(), batch_size=4)
    items = [(None, _opener(picture(seed % 6))) for seed in range(15)]
    for _ in range(2):
        steps: list[int] = []
        embedder.embed(items, steps.append)
        assert sum(steps) == 15
    assert steps == [1] * 15, "known pictures are finished one by one"


def test_items_are_taken_as_they_are_needed(counting_encoder: Any, picture: Any) -> None:
    encoder = counting_encoder()
    taken: list[int] = []

    def items() -> Iterator[Any]:
        for number in range(200):
            taken.append(number - encoder.encoded)
            yield None, _opener(picture(number))

    Embedder(encoder, batch_size=8, decoders=2).embed(items())
    assert max(taken) <= 3 * (8 + 2)


def test_pictures_are_opened_while_others_are_encoded(counting_encoder: Any, picture: Any) -> None:
    encoder = counting_encoder()
    encode, encoding, overlaps = encoder.encode, threading.Event(), []

    def slow_encode(batch: Any) -> Any:
        encoding.set()
        time.sleep(0.02)
        encoding.clear()
        return encode(batch)

    def opener(number: int) -> Any:
        def opens() -> Image.Image:
            overlaps.append(encoding.is_set())
            time.sleep(0.002)
            return picture(number)

        return opens

    encoder.encode = slow_encode
    Embedder(encoder, batch_size=4).embed((None, opener(number)) for number in range(40))
    assert any(overlaps)


def test_transparent_and_grey_pictures_agree_with_their_digest(counting_encoder: Any, picture: Any) -> None:
    for mode in ("RGBA", "L", "LA", "P"):
        image = picture(3, mode=mode)
        encoder = counting_encoder()
        given, found = Embedder(encoder).embed([(pixel_digest(image), _opener(image)), (None, _opener(image))])
        np.testing.assert_array_equal(given, found)
        assert encoder.encoded == 1


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"decoders": 0}])
def test_settings_below_one_are_refused(settings: dict[str, int], counting_encoder: Any) -> None:
    with pytest.raises(InvalidDataError):
        Embedder(counting_encoder(), **settings)
