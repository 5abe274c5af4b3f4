from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fashionedit.builders.build_options import BuildOptions
from fashionedit.builders.filter import decide, filter_pairs, stored_scores
from fashionedit.builders.photos import Photo
from fashionedit.builders.stage_store import FunnelStep, StageStore
from fashionedit.errors import InvalidDataError
from fashionedit.images import pixel_digest
from fashionedit.metrics import Embedder, EmbeddingCache, load_encoder


class ToneEncoder:
    """A real encoder in miniature: a grey picture is the angle of its level, so scores can be chosen. Counts."""

    label = "tone"
    dimension = 2
    environment: Mapping[str, str] = {}

    def __init__(self, *, is_clip: bool = False, version: str = "1") -> None:
        self.is_clip = is_clip
        self.fingerprint = {"kind": "tone", "version": version}
        self.encoded = 0

    def preprocess(self, image: Image.Image) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.full((3, 1, 1), np.asarray(image)[0, 0, 0], np.float32)

    def encode(self, batch: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.encoded += len(batch)
        angles = batch[:, 0, 0, 0] * np.pi / 510
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _pair(folder: Path, identity: str, level: int) -> Photo:
    """A black photograph and a grey draft: their score is 100 cos(level / 255 · 90°)."""
    paths, digests = [folder / f"{identity}.png", folder / f"{identity}-draft.png"], []
    for path, tone in zip(paths, (0, level), strict=True):
        image = Image.new("RGB", (4 + sum(identity.encode()), 5), (tone, tone, tone))  # each id has a size of its own
        image.save(path)
        digests.append(pixel_digest(image))
    return Photo(identity, paths[0], draft=paths[1], digest=digests[0], draft_digest=digests[1])


def _score(level: int) -> float:
    return float(100 * np.cos(level / 255 * np.pi / 2))


LEVELS = {"a": 60, "b": 100, "c": 20, "d": 95, "e": 20, "f": 0, "g": 30}
"""Scores of about 93.2, 81.6, 99.2, 83.3, 99.2, 100 and 98.3."""


@pytest.fixture
def pairs(tmp_path: Path) -> list[Photo]:
    (tmp_path / "images").mkdir()
    return [_pair(tmp_path / "images", identity, level) for identity, level in LEVELS.items()]


def _kept(pairs: Any, store: StageStore, encoder: ToneEncoder | None = None, **limits: Any) -> str:
    found = filter_pairs(pairs, Embedder(encoder or ToneEncoder()), store, **limits)
    return "".join(pair.id for pair in found)


def _reasons(store: StageStore) -> dict[str, str | None]:
    return {record.id: record.reason for record in store.records()}


def test_scores_are_kept_for_all_and_low_ones_are_dropped(pairs: list[Photo], store: StageStore) -> None:
    encoder = ToneEncoder(is_clip=True)
    embedder = Embedder(encoder)
    kept = filter_pairs(pairs, embedder, store)
    assert [pair.id for pair in kept] == list("acefg")
    for pair in kept:
        assert pair.clip_score == pytest.approx(_score(LEVELS[pair.id]), abs=1e-4)
    scores = stored_scores(store, embedder)
    assert scores == pytest.approx({identity: _score(level) for identity, level in LEVELS.items()}, abs=1e-4)
    low = [record for record in store.records() if record.status == "dropped"]
    assert {record.id: record.reason for record in low} == dict.fromkeys("bd", "similarity below 85")
    assert low[0].detail == "its similarity is 81.62; at least 85 is asked for"
    told = {"score": scores["b"], "encoder": "tone", "clip": True}
    assert low[0].data == {**told, "fingerprint": low[0].data["fingerprint"]}
    step = FunnelStep.of_records("kept", LEVELS, [pair.id for pair in kept], store.records())
    assert (step.came, step.kept, step.dropped) == (7, 5, {"similarity below 85": 2})


def test_the_limit_itself_passes(pairs: list[Photo], store: StageStore) -> None:
    assert {pair.clip_score for pair in filter_pairs(pairs, Embedder(ToneEncoder()), store)} == {None}  # it is no CLIP
    exact = stored_scores(store, Embedder(ToneEncoder()))["d"]
    assert _kept(pairs, store, min_similarity=exact) == "acdefg"
    assert _kept(pairs, store, min_similarity=np.nextafter(exact, 100)) == "acefg"


def test_the_highest_go_on_and_equal_ones_by_their_ids(pairs: list[Photo], store: StageStore) -> None:
    assert _kept(pairs, store, min_similarity=None, top_k=2) == "cf"
    assert _kept(pairs, store, min_similarity=None, top_k=3) == "cef"
    assert _kept(pairs[::-1], store, min_similarity=None, top_k=2) == "fc"
    assert _reasons(store)["g"] == "not among the top 2"
    assert _kept(pairs, store, min_similarity=None, top_k=50) == "abcdefg"
    assert _kept(pairs, store, min_similarity=None) == "abcdefg"


def test_both_limits_must_hold(pairs: list[Photo], store: StageStore) -> None:
    assert _kept(pairs, store, top_k=6) == "acefg"
    assert _kept(pairs, store, top_k=4) == "cefg"
    assert _reasons(store) == {
        **dict.fromkeys("cefg"),
        **dict.fromkeys("bd", "similarity below 85"),
        "a": "not among the top 4",
    }


@pytest.mark.parametrize("seed", range(10))
def test_deciding_from_the_scores_alone_gives_the_same(seed: int, pairs: list[Photo], tmp_path: Path) -> None:
    chance = np.random.default_rng(seed)
    limits = {"min_similarity": float(chance.uniform(75, 100)), "top_k": int(chance.integers(1, 8))}
    if seed % 3 == 2:
        limits["selection"] = set(chance.choice(list("abcdefgxyz"), 4))
    store = StageStore(tmp_path / "filter")
    kept = _kept(pairs, store, **limits)
    reasons = decide(stored_scores(store, Embedder(ToneEncoder())), **limits)
    assert kept == "".join(identity for identity, reason in reasons.items() if reason is None)
    assert _reasons(store) == reasons


def test_a_given_selection_goes_on_whatever_the_scores_are(pairs: list[Photo], store: StageStore) -> None:
    selection = {"b": 99.0, "c": 86.0, "unknown": 90.0}
    assert _kept(pairs, store, selection=selection, top_k=1) == "bc"
    assert _reasons(store) == {**dict.fromkeys("bc"), **dict.fromkeys("adefg", "not in the selection")}
    assert len(stored_scores(store, Embedder(ToneEncoder()))) == 7


def test_a_selection_needs_no_encoder(pairs: list[Photo], store: StageStore) -> None:
    for pair in pairs:
        pair.draft.unlink()
    kept = filter_pairs(pairs, None, store, selection=["a", "b"])
    assert [(pair.id, pair.clip_score) for pair in kept] == [("a", None), ("b", None)]
    assert _reasons(store)["c"] == "not in the selection"
    with pytest.raises(InvalidDataError, match="neither an encoder nor a selection"):
        filter_pairs(pairs, None, store)


def test_other_limits_open_nothing_and_write_only_what_changes(pairs: list[Photo], store: StageStore) -> None:
    _kept(pairs, store)

    def files() -> dict[str, int]:
        return {path.stem: path.stat().st_ino for path in store.folder.glob("records/*/*.json")}

    for pair in pairs:
        pair.path.unlink()
        pair.draft.unlink()
    before = files()
    encoder = ToneEncoder()
    assert _kept(pairs, store, encoder) == "acefg"
    assert files() == before
    assert _kept(pairs, store, encoder, min_similarity=95, top_k=4) == "cefg"
    assert {name for name, inode in files().items() if inode != before[name]} >= {"a", "b", "d"}
    before = files()
    assert _kept(pairs, store, encoder, min_similarity=95, top_k=4) == "cefg"
    assert files() == before
    assert _kept(pairs, store, encoder, min_similarity=95, top_k=3) == "cef"
    assert {name for name, inode in files().items() if inode != before[name]} == {"g"}
    assert encoder.encoded == 0


def test_another_encoder_or_picture_is_measured_anew(pairs: list[Photo], store: StageStore, tmp_path: Path) -> None:
    _kept(pairs, store)
    other = ToneEncoder(version="2")
    assert _kept(pairs, store, other) == "acefg"
    assert other.encoded == 13  # the draft of f is its photograph
    assert stored_scores(store, Embedder(ToneEncoder())) == {}
    again = [*pairs[:-1], _pair(tmp_path / "images", "g", 200)]
    assert _kept(again, store, other) == "acef"
    assert other.encoded == 13 + 2  # another embedder, which has to see both pictures of the pair


def test_a_picture_with_a_known_embedding_is_not_opened(pairs: list[Photo], tmp_path: Path) -> None:
    encoder = ToneEncoder()
    for run in range(2):
        embedder = Embedder(encoder, EmbeddingCache(tmp_path / "embeddings"))
        assert len(filter_pairs(pairs, embedder, StageStore(tmp_path / f"filter{run}"))) == 5
        for pair in pairs:
            pair.draft.unlink(missing_ok=True)
    assert encoder.encoded == 13


def test_a_picture_that_is_bad_fails_alone_and_is_tried_again(pairs: list[Photo], store: StageStore) -> None:
    good = pairs[1].draft.read_bytes()
    pairs[1].draft.write_bytes(good[:40])
    Image.new("RGB", (9, 9)).save(pairs[2].path)
    pairs[3].draft.unlink()
    assert _kept(pairs, store, min_similarity=0) == "aefg"
    failed = {record.id: record.detail for record in store.records() if record.status == "failed"}
    assert set(failed) == {"b", "c", "d"}
    assert "b-draft.png can't be read as an image" in str(failed["b"])
    assert "c.png is another picture than when it was first read" in str(failed["c"])
    assert "d-draft.png does not exist" in str(failed["d"])
    assert set(_reasons(store).values()) == {None, "not readable"}
    assert _kept(pairs, store, min_similarity=0, top_k=3) == "efg"
    pairs[1].draft.write_bytes(good)
    encoder = ToneEncoder()
    assert _kept(pairs, store, encoder, min_similarity=0) == "abefg"
    assert encoder.encoded == 2  # both of b; those of c and d never get so far, the good pairs are known


def test_progress_counts_the_pairs(pairs: list[Photo], store: StageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fashionedit.builders.filter._PAIRS_AT_ONCE", 3)
    seen: list[tuple[int, int]] = []
    _kept(pairs, store, progress=lambda *state: seen.append(state))
    assert seen == [(3, 7), (6, 7), (7, 7)]
    assert _kept([], store) == _kept([], store, top_k=3) == ""


@pytest.mark.parametrize("limits", [{"min_similarity": 101}, {"min_similarity": float("nan")}, {"top_k": 0}])
def test_limits_that_make_no_sense_are_refused_at_once(limits: Any) -> None:
    with pytest.raises(InvalidDataError, match="; give "):
        BuildOptions(**limits)


def test_an_id_that_comes_twice_is_named(pairs: list[Photo], store: StageStore) -> None:
    with pytest.raises(InvalidDataError, match="photograph a comes twice"):
        _kept([*pairs, pairs[0]], store)


def test_a_record_without_its_score_is_measured_again(pairs: list[Photo], store: StageStore) -> None:
    _kept(pairs, store)
    record = next(iter(store.records()))
    store.commit(record.model_copy(update={"data": {}}))
    encoder = ToneEncoder()
    assert _kept(pairs, store, encoder) == "acefg"
    assert encoder.encoded == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from fashionedit.builders import filter as stage
from fashionedit.builders.stage_store import StageStore
from fashionedit.metrics import Embedder
sys.path.insert(0, sys.argv[1])
from test_filter import LEVELS, ToneEncoder, _pair

class Dying(ToneEncoder):
    def encode(self, batch):
        rows = super().encode(batch)
        if self.encoded > int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        return rows

stage._PAIRS_AT_ONCE = 2
folder = Path(sys.argv[2])
pairs = [_pair(folder / "images", identity, level) for identity, level in LEVELS.items()]
stage.filter_pairs(pairs, Embedder(Dying()), StageStore(folder / "filter"), top_k=3)
"""


def test_after_kills_nothing_that_was_committed_is_encoded_again(pairs: list[Photo], tmp_path: Path) -> None:
    for encoded in (4, 4):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path), str(encoded)],
            env={**os.environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
    store = StageStore(tmp_path / "filter")
    assert len(list(store.records())) == 4  # one chunk before each kill
    encoder = ToneEncoder()
    assert _kept(pairs, store, encoder, top_k=3) == "cef"
    assert encoder.encoded == 5
    fresh = StageStore(tmp_path / "fresh")
    _kept(pairs, fresh, top_k=3)
    assert list(store.records()) == list(fresh.records())


def test_a_real_clip_gives_the_score_of_the_plain_computation(tiny_clip: Path, tmp_path: Path) -> None:
    import torch
    from transformers import CLIPImageProcessorPil, CLIPModel

    model, processor = CLIPModel.from_pretrained(tiny_clip).eval(), CLIPImageProcessorPil.from_pretrained(tiny_clip)
    chance = np.random.default_rng(0)
    images = [Image.fromarray(chance.integers(0, 256, (70, 50, 3), dtype=np.uint8)) for _ in range(2)]
    for number, image in enumerate(images):
        image.save(tmp_path / f"{number}.png")
    digest, draft_digest = map(pixel_digest, images)
    pair = Photo("p", tmp_path / "0.png", draft=tmp_path / "1.png", digest=digest, draft_digest=draft_digest)
    embedder = Embedder(load_encoder(f"clip:{tiny_clip}", device="cpu"))
    (kept,) = filter_pairs([pair], embedder, StageStore(tmp_path / "filter"), min_similarity=None)
    with torch.inference_mode():
        features = model.get_image_features(**processor(images=images, return_tensors="pt"))
        features = getattr(features, "pooler_output", features)
        wanted = 100 * torch.nn.functional.cosine_similarity(features[0], features[1], dim=0)
    assert kept.clip_score == pytest.approx(float(wanted), abs=1e-3)
    (record,) = StageStore(tmp_path / "filter").records()
    assert record.data["encoder"] == "CLIP (tiny-clip)"
