from __future__ import annotations

import inspect
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import evaluate
import numpy as np
import pytest
from evaluate.loading import import_main_class
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file

from fashionedit.errors import InvalidDataError, InvalidImageError, UnknownNameError
from fashionedit.metrics import EVALUATE_MODULES, load, load_encoder

CHECKOUT = Path(__file__).parents[2]

# One of two processes that score half of the pairs each.
WORKER = """
import json, sys
import numpy as np
from fashionedit.metrics import load

process, experiment, name, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
options = {} if name == "psnr" else {"encoder": "given"}
options |= {"num_process": 2, "process_id": process, "experiment_id": experiment, "cache_dir": folder, "timeout": 120}
metric = load(name, **options)
values = np.load(sys.argv[5])
first, second = (side[process::2] if sys.argv[6] == "half" else side[: len(side) * (1 - process)] for side in values)
metric.add_batch(predictions=list(first), references=list(second))
print(json.dumps(metric.compute(per_image=True)))
"""


def _cosine(encoder: Any, first: Image.Image, second: Image.Image) -> float:
    one, other = encoder.encode(np.stack([encoder.preprocess(first), encoder.preprocess(second)])).astype(np.float64)
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


@pytest.fixture
def toy_metric(counting_encoder: Any) -> Any:
    """Loads a metric; those that need an encoder get one that counts."""
    encoder = counting_encoder()
    return lambda name: load(name, **({} if name == "psnr" else {"encoder": encoder}))


@pytest.fixture
def pairs(picture: Any) -> tuple[list[Image.Image], list[Image.Image]]:
    first = [picture(seed, 60, 50) for seed in range(5)]
    second = [Image.blend(image, picture(50 + seed, 60, 50), seed / 5) for seed, image in enumerate(first)]
    return first, second


@pytest.mark.parametrize("name", sorted(EVALUATE_MODULES))
def test_each_loads_from_a_checkout_by_relative_path(
    name: str, monkeypatch: pytest.MonkeyPatch, counting_encoder: Any, pairs: Any
) -> None:
    monkeypatch.chdir(CHECKOUT)
    options = {} if name == "psnr" else {"encoder": counting_encoder()}
    metric = evaluate.load(f"metrics/{name}", **options)
    assert metric.name == name
    result = metric.compute(predictions=pairs[0], references=pairs[1])
    assert result["n"] == 5


@pytest.mark.parametrize("name", sorted(EVALUATE_MODULES))
def test_each_is_the_main_class_of_its_module_in_the_package(name: str) -> None:
    module, cls = EVALUATE_MODULES[name]
    found = import_main_class(module)
    assert found is not None
    assert found.__name__ == cls
    assert type(load(name)).__name__ == cls
    assert not inspect.isabstract(found)


def test_clip_similarity_is_the_mean_cosine_times_100(tiny_clip: Path, pairs: Any) -> None:
    encoder = load_encoder(str(tiny_clip))
    expected = [_cosine(encoder, *pair) for pair in zip(*pairs, strict=True)]
    metric = load("clip_similarity", encoder=f"clip:{tiny_clip}")
    result = metric.compute(predictions=pairs[0], references=pairs[1], per_image=True)
    assert result["clip_similarity"] == pytest.approx(100 * np.mean(expected), abs=1e-3)
    assert result["per_image"] == pytest.approx([100 * value for value in expected], abs=1e-3)
    assert result["per_image"][0] == 100.0
    assert (result["n"], result["encoder"]) == (5, "CLIP (tiny-clip)")
    assert len(result["fingerprint"]) == 16


def test_clip_star_counts_what_is_strictly_above(tiny_clip: Path, pairs: Any) -> None:
    metric = load("clip_star", encoder=f"clip:{tiny_clip}")
    cosines = load("clip_similarity", encoder=f"clip:{tiny_clip}").compute(
        predictions=pairs[0], references=pairs[1], per_image=True
    )["per_image"]
    middle = sorted(cosines)[2] / 100
    result = metric.compute(predictions=pairs[0], references=pairs[1], threshold=middle)
    assert (result["clip_star"], result["threshold"]) == (40.0, middle)
    assert metric.compute(predictions=pairs[0], references=pairs[1])["threshold"] == 0.9


def test_psnr_is_the_mean_of_opencvs(pairs: Any) -> None:
    expected = [
        cv2.PSNR(*(cv2.resize(np.asarray(image), (256, 256)) for image in pair)) for pair in zip(*pairs, strict=True)
    ]
    result = load("psnr").compute(predictions=pairs[0], references=pairs[1], per_image=True)
    assert result["per_image"] == pytest.approx(expected, abs=1e-9)
    assert result["psnr"] == pytest.approx(np.mean(expected), abs=1e-9)
    assert round(result["per_image"][0], 1) == 361.2


def test_another_encoder_is_never_called_clip(counting_encoder: Any, tiny_clip: Path, pairs: Any) -> None:
    for encoder in (counting_encoder(), str(tiny_clip)):
        for name in ("clip_similarity", "clip_star"):
            result = load(name, encoder=encoder).compute(predictions=pairs[0], references=pairs[1])
            assert not any(key.startswith("clip") for key in result)
            assert name.replace("clip", "cosine") in result
            assert "CLIP" not in result["encoder"]


def test_the_offline_encoder_by_name(pairs: Any) -> None:
    result = load("clip_star", encoder="offline").compute(predictions=pairs[0], references=pairs[0])
    assert (result["cosine_star"], result["encoder"]) == (100.0, "EfficientNet-Lite2")


@pytest.mark.parametrize("name", ["clip_similarity", "clip_star"])
def test_a_configuration_names_the_encoder(name: str, pairs: Any, tiny_clip: Path) -> None:
    plain = name.replace("clip", "cosine")
    for metric in (evaluate.load(name, "offline"), load(name, "offline")):
        result = metric.compute(predictions=pairs[0], references=pairs[0])
        assert (result[plain], result["encoder"]) == (100.0, "EfficientNet-Lite2")
    declared = evaluate.load(name, f"clip:{tiny_clip}")
    assert name in declared.compute(predictions=pairs[0], references=pairs[1])
    assert evaluate.load(name, "given")._encoder == "given"


@pytest.mark.parametrize("name", ["clip_similarity", "clip_star"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"config_name": "ofline"}, "no encoder is called 'ofline'; choose clip, offline"),
        ({"encoder": "clp"}, "no encoder is called 'clp'; choose clip, offline"),
        ({"config_name": "clip:nowhere"}, "names no folder"),
        ({"config_name": "offline", "encoder": "clip"}, "two encoders are named, 'offline' and 'clip'"),
        ({"encoder": 5}, "encoder is a int"),
    ],
)
def test_an_unknown_encoder_is_refused_when_the_metric_is_loaded(name: str, options: Any, words: str) -> None:
    with pytest.raises(UnknownNameError, match=words):
        evaluate.load(name, **options)


def test_psnr_has_no_configurations() -> None:
    with pytest.raises(UnknownNameError, match="Psnr has no configuration 'offline'"):
        evaluate.load("psnr", "offline")


def test_a_metric_made_after_the_weights_changed_sees_the_new_ones(tiny_clip: Path, tmp_path: Path, pairs: Any) -> None:
    folder = shutil.copytree(tiny_clip, tmp_path / "model")
    before = load("clip_similarity", encoder=str(folder)).compute(predictions=pairs[0], references=pairs[1])
    file = folder / "model.safetensors"
    weights, state = load_file(file), file.stat()
    weights["visual_projection.weight"] = weights["visual_projection.weight"].flip(0, 1)
    save_file(weights, file, metadata={"format": "pt"})
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert file.stat().st_size == state.st_size
    after = load("clip_similarity", encoder=str(folder)).compute(predictions=pairs[0], references=pairs[1])
    assert after["cosine_similarity"] != before["cosine_similarity"]
    assert after["fingerprint"] != before["fingerprint"]

    (folder / "preprocessor_config.json").write_text(
        (folder / "preprocessor_config.json").read_text().replace('"resample": 3', '"resample": 0')
    )
    third = load("clip_similarity", encoder=str(folder)).compute(predictions=pairs[0], references=pairs[1])
    assert third["fingerprint"] not in (before["fingerprint"], after["fingerprint"])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", sorted(EVALUATE_MODULES))
def test_one_file_has_one_score(name: str, orientation: int, toy_metric: Any, tmp_path: Path, picture: Any) -> None:
    upright = picture(7, 60, 90).resize((30, 45))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    # Of the eight orientations each is undone by itself, but for the two quarter turns, which undo each other.
    exif_of_inverse = Image.Exif()
    exif_of_inverse[0x0112] = {6: 8, 8: 6}.get(orientation, orientation)
    stored = upright.copy()
    stored.info["exif"] = exif_of_inverse.tobytes()
    stored = ImageOps.exif_transpose(stored)
    stored.save(path, exif=exif)
    forms = [path, str(path), path.read_bytes(), Image.open(path), Image.open(path).convert("RGBA"), {"path": path}]
    result = toy_metric(name).compute(predictions=forms, references=[upright] * len(forms), per_image=True)
    assert result["per_image"] == pytest.approx([361.2 if name == "psnr" else 100.0] * len(forms), abs=0.1)


def test_both_clip_metrics_share_one_encoder_and_one_cache(tiny_clip: Path, pairs: Any) -> None:
    first, second = (load(name, encoder=str(tiny_clip)) for name in ("clip_similarity", "clip_star"))
    assert first._embedder() is second._embedder()


def test_a_metric_loaded_again_encodes_nothing(counting_encoder: Any, pairs: Any) -> None:
    for times in (1, 2):
        encoder = counting_encoder()
        load("clip_star", encoder=encoder).compute(predictions=pairs[0], references=pairs[1])
        assert encoder.encoded == (9 if times == 1 else 0), "the first pair is one picture twice"


def test_add_and_add_batch_equal_compute_at_once(counting_encoder: Any, pairs: Any) -> None:
    metric = load("clip_similarity", encoder=counting_encoder())
    expected = metric.compute(predictions=pairs[0], references=pairs[1], per_image=True)
    metric.add(prediction=pairs[0][0], reference=pairs[1][0])
    metric.add_batch(predictions=pairs[0][1:4], references=iter(pairs[1][1:4]))
    assert metric.compute(predictions=pairs[0][4:], references=pairs[1][4:], per_image=True) == expected


def test_every_form_of_input_scores_the_same(toy_metric: Any, pairs: Any, tmp_path: Path) -> None:
    import torch

    paths = []
    for number, image in enumerate(pairs[0]):
        paths.append(tmp_path / f"{number}.png")
        image.save(paths[-1])
    arrays = [np.asarray(image) for image in pairs[0]]
    forms: list[Any] = [
        pairs[0],
        paths,
        [str(path) for path in paths],
        [path.read_bytes() for path in paths],
        [{"bytes": None, "path": str(path)} for path in paths],
        arrays,
        np.stack(arrays),
        torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2) / 255,
    ]
    for name in ("psnr", "clip_similarity"):
        results = [toy_metric(name).compute(predictions=form, references=pairs[1]) for form in forms]
        assert results == [results[0]] * len(forms)


def test_given_embeddings_need_no_weights() -> None:
    vectors = np.random.default_rng(0).normal(size=(4, 768))
    others = vectors + np.random.default_rng(1).normal(size=(4, 768)) * np.array([[0], [0.1], [1], [9]])
    expected = [float(a @ b / math.sqrt((a @ a) * (b @ b))) for a, b in zip(vectors, others, strict=True)]
    similarity = load("clip_similarity").compute(predictions=vectors, references=others.tolist(), per_image=True)
    assert similarity["per_image"] == pytest.approx([100 * value for value in expected], abs=1e-9)
    assert similarity["encoder"] == "CLIP ViT-L/14 (embeddings as given)"
    assert load("clip_star").compute(predictions=vectors, references=others)["clip_star"] == 50.0


def test_given_embeddings_of_an_unnamed_encoder() -> None:
    result = load("clip_star", encoder="given").compute(predictions=[[1.0, 0.0]], references=[[1.0, 0.1]])
    assert (result["cosine_star"], result["encoder"]) == (100.0, "given (embeddings as given)")


def test_an_embedding_can_meet_a_picture(counting_encoder: Any, pairs: Any) -> None:
    encoder = counting_encoder()
    vectors = encoder.encode(np.stack([encoder.preprocess(image) for image in pairs[1]]))
    mixed = load("clip_similarity", encoder=encoder).compute(predictions=pairs[0], references=vectors)
    plain = load("clip_similarity", encoder=encoder).compute(predictions=pairs[0], references=pairs[1])
    assert mixed["cosine_similarity"] == pytest.approx(plain["cosine_similarity"], abs=1e-4)
    assert mixed["fingerprint"] != plain["fingerprint"]


def test_a_picture_edited_after_it_was_opened_is_scored_as_edited(
    toy_metric: Any, tmp_path: Path, picture: Any
) -> None:
    path = tmp_path / "a.png"
    picture(1).save(path)
    for name in ("psnr", "clip_similarity"):
        image = Image.open(path)
        image.paste((255, 0, 0), (0, 0, 40, 30))
        metric = toy_metric(name)
        metric.add(prediction=image, reference=Image.new("RGB", (40, 30), (255, 0, 0)))
        image.paste((0, 0, 255), (0, 0, 40, 30))  # after it was added: too late to count
        found = metric.compute(per_image=True)["per_image"]
        assert found == pytest.approx([361.2 if name == "psnr" else 100.0], abs=0.01)


@pytest.mark.parametrize("name", sorted(EVALUATE_MODULES))
def test_a_failed_batch_leaves_nothing_behind(name: str, toy_metric: Any, pairs: Any) -> None:
    metric = toy_metric(name)
    metric.add_batch(predictions=pairs[0][:2], references=pairs[1][:2])
    with pytest.raises(InvalidImageError, match="prediction 1"):
        metric.add_batch(predictions=[pairs[0][2], b"broken"], references=pairs[1][2:4])
    metric.add_batch(predictions=pairs[0][2:], references=pairs[1][2:])
    assert metric.compute() == toy_metric(name).compute(predictions=pairs[0], references=pairs[1])


@pytest.mark.parametrize(
    ("predictions", "references", "words"),
    [
        (None, None, "no pairs to score"),
        ([], [], "no pictures"),
        (["a.png"], None, "references is NoneType"),
        ("a.png", ["a.png"], "predictions is str"),
        (Image.new("RGB", (4, 4)), [], "predictions is Image"),
        (3, [], "predictions is int"),
        (["a.png"] * 3, ["a.png"] * 2, "3 predictions and 2 references"),
        ([None], [None], "prediction 0 is a NoneType"),
    ],
)
@pytest.mark.parametrize("name", sorted(EVALUATE_MODULES))
def test_wrong_inputs_get_one_sentence(name: str, predictions: Any, references: Any, words: str) -> None:
    with pytest.raises(InvalidDataError, match=words):
        load(name).compute(predictions=predictions, references=references)


def test_generators_of_different_lengths_get_one_sentence(pairs: Any) -> None:
    for short, (predictions, references) in {"predictions": (2, 3), "references": (3, 2)}.items():
        with pytest.raises(InvalidDataError, match=f"the {short} end after 2"):
            load("psnr").compute(predictions=iter(pairs[0][:predictions]), references=iter(pairs[1][:references]))


def test_an_unreadable_picture_is_named(toy_metric: Any, tmp_path: Path, pairs: Any) -> None:
    for name in ("psnr", "clip_star"):
        for bad in (b"broken", str(tmp_path / "missing.png"), {"path": tmp_path / "missing.png"}, tmp_path):
            with pytest.raises(InvalidImageError, match="reference 1"):
                toy_metric(name).compute(predictions=pairs[0][:2], references=[pairs[0][0], bad])


@pytest.mark.parametrize(
    ("encoder", "prediction", "reference", "words"),
    [
        ("given", [1.0, math.nan], [1.0, 2.0], "prediction 0 is an embedding with NaN"),
        ("given", [1.0, 2.0], [0.0, 0.0], "length zero"),
        ("given", [1.0, 2.0], [1.0, 2.0, 3.0], "2 and 3 numbers"),
        ("clip", [1.0] * 512, [1.0] * 512, "512 numbers, but CLIP ViT-L/14 gives 768"),
        ("given", Image.new("RGB", (4, 4)), [1.0, 2.0], "embeddings only"),
    ],
)
def test_wrong_embeddings_get_one_sentence(encoder: str, prediction: Any, reference: Any, words: str) -> None:
    with pytest.raises(InvalidDataError, match=words):
        load("clip_star", encoder=encoder).compute(predictions=[prediction], references=[reference])


def test_psnr_takes_no_embeddings() -> None:
    with pytest.raises(InvalidDataError, match="vector of 2 numbers"):
        load("psnr").compute(predictions=[[1.0, 2.0]], references=[[1.0, 2.0]])


@pytest.mark.parametrize("threshold", [math.nan, 1.5, "0.9", True, None])
def test_a_threshold_that_no_cosine_can_meet_is_refused_before_anything_is_lost(threshold: Any) -> None:
    metric = load("clip_star", encoder="given")
    metric.add(prediction=[1.0, 0.0], reference=[1.0, 0.0])
    with pytest.raises(InvalidDataError, match="threshold"):
        metric.compute(threshold=threshold)
    assert metric.compute()["n"] == 1


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="choose clip_similarity, clip_star, psnr"):
        load("clip")
    with pytest.raises(UnknownNameError, match="encodr"):
        load("clip_star", encodr="offline")
    with pytest.raises(UnknownNameError, match="treshold"):
        load("clip_star", encoder="given").compute(predictions=[[1.0]], references=[[1.0]], treshold=0.5)
    with pytest.raises(InvalidDataError, match="masks"):
        load("psnr").add_batch(predictions=[], references=[], masks=[])


def test_they_combine(pairs: Any, counting_encoder: Any) -> None:
    both = evaluate.combine([load("psnr"), load("clip_star", encoder=counting_encoder())])
    both.add(predictions=pairs[0][0], references=pairs[1][0])
    both.add_batch(predictions=pairs[0][1:], references=pairs[1][1:])
    result = both.compute()
    assert {"psnr", "cosine_star"} <= result.keys()


def test_scores_can_be_kept_in_memory(pairs: Any) -> None:
    expected = load("psnr").compute(predictions=pairs[0], references=pairs[1])
    assert load("psnr", keep_in_memory=True).compute(predictions=pairs[0], references=pairs[1]) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "share"), [("psnr", "half"), ("clip_star", "half"), ("clip_star", "all to the first")]
)
def test_two_processes_give_one_score(name: str, share: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    if name == "psnr":
        values = random.integers(0, 256, (2, 7, 20, 30, 3), dtype=np.uint8)
    else:
        values = random.normal(size=(2, 7, 32)) + 3
    np.save(tmp_path / "values.npy", values)
    arguments = [share.replace(" ", "-"), name, str(tmp_path / "cache"), str(tmp_path / "values.npy"), share]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(process), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for process in (0, 1)
    ]
    outputs = [worker.communicate(timeout=180) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], [error.decode()[-2000:] for _, error in outputs]
    first, second = (json.loads(output.splitlines()[-1]) for output, _ in outputs)
    assert second is None
    options = {} if name == "psnr" else {"encoder": "given"}
    whole = load(name, **options).compute(predictions=list(values[0]), references=list(values[1]), per_image=True)
    assert first["n"] == 7
    assert first[name.replace("clip", "cosine")] == pytest.approx(whole[name.replace("clip", "cosine")], abs=1e-12)
    assert sorted(first["per_image"]) == sorted(whole["per_image"])
