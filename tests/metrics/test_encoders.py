from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch import nn
from transformers.activations import QuickGELUActivation

from fashionedit.errors import EncoderNotFoundError, InvalidDataError, MissingExtraError, UnknownNameError
from fashionedit.metrics import ImageEncoder, fingerprint_hash, kernels, load_encoder
from fashionedit.metrics.encoder import decoder_count, thread_count
from fashionedit.metrics.kernels import KERNELS_VARIABLE, ONEDNN, TORCH, set_precision
from fashionedit.metrics.loading import CLIP_REPOSITORY, CLIP_REVISION, check_encoder


def _embed(encoder: ImageEncoder, images: list[Image.Image]) -> np.ndarray:
    return encoder.encode(np.stack([encoder.preprocess(image) for image in images]))


def _plain_features(model: Any, processor: Any, images: list[Image.Image]) -> np.ndarray:
    rows = []
    for image in images:
        with torch.no_grad():
            found = model.get_image_features(**processor(images=image, return_tensors="pt"))
        rows.append(getattr(found, "pooler_output", found)[0].numpy())
    return np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def images(picture: Any) -> list[Image.Image]:
    return [picture(seed, width, height) for seed, (width, height) in enumerate([(300, 440), (128, 128), (500, 90)])]


def _saved(model: Any, processor: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _cache() -> str:
    from huggingface_hub import constants

    return constants.HF_HUB_CACHE


def _nudge(folder: Path) -> None:
    """Changes one weight; the file keeps its size and its time."""
    file = folder / "model.safetensors"
    data, state = bytearray(file.read_bytes()), file.stat()
    data[-2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def _hub(source: Path, repository: str, commit: str, branch: str | None = None) -> None:
    """Puts a model where huggingface_hub keeps what it has fetched."""
    root = Path(_cache()) / f"models--{repository.replace('/', '--')}"
    shutil.copytree(source, root / "snapshots" / commit, dirs_exist_ok=True)
    if branch:
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / branch).write_text(commit)


def test_clip_equals_a_plain_transformers_loop(tiny_clip: Path, images: list[Image.Image]) -> None:
    encoder = load_encoder(f"clip:{tiny_clip}", device="cpu")
    expected = _plain_features(
        transformers.CLIPModel.from_pretrained(tiny_clip).eval(),
        transformers.CLIPImageProcessorPil.from_pretrained(tiny_clip),
        images,
    )
    found = _embed(encoder, images)
    assert found.dtype == np.float32
    assert found.shape == (3, encoder.dimension) == (3, 24)
    cosines, theirs = found @ found.T, expected @ expected.T
    assert np.abs(cosines - theirs).max() < 1e-5
    assert np.abs(found - expected).max() < 1e-5


def test_clip_layers_of_real_width_equal_a_plain_loop(tmp_path: Path, images: list[Image.Image]) -> None:
    torch.manual_seed(1)
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 2, "num_attention_heads": 16}
    vision |= {"patch_size": 14, "image_size": 224}
    text = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=768)
    model = transformers.CLIPModel(config).eval()
    processor = transformers.CLIPImageProcessorPil()
    encoder = load_encoder(str(_saved(model, processor, tmp_path / "wide")), device="cpu")
    assert encoder.dimension == 768
    assert np.abs(_embed(encoder, images) - _plain_features(model, processor, images)).max() < 1e-5


def test_a_tower_saved_alone_gives_the_same_features(
    tiny_clip: Path, tmp_path: Path, images: list[Image.Image]
) -> None:
    config = transformers.CLIPVisionConfig.from_pretrained(tiny_clip, projection_dim=24)
    tower = transformers.CLIPVisionModelWithProjection.from_pretrained(tiny_clip, config=config)
    folder = _saved(tower, transformers.CLIPImageProcessorPil(), tmp_path / "tower")
    whole, alone = load_encoder(str(tiny_clip)), load_encoder(str(folder))
    np.testing.assert_allclose(_embed(alone, images), _embed(whole, images), atol=1e-6)


def test_siglip_features_equal_a_plain_loop(tmp_path: Path, images: list[Image.Image]) -> None:
    torch.manual_seed(2)
    layers = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.SiglipConfig(
        vision_config={**layers, "image_size": 32, "patch_size": 16}, text_config={**layers, "vocab_size": 9}
    )
    model = transformers.SiglipModel(config).eval()
    processor = transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32})
    encoder = load_encoder(str(_saved(model, processor, tmp_path / "my-siglip")))
    np.testing.assert_allclose(_embed(encoder, images), _plain_features(model, processor, images), atol=1e-5)
    assert (encoder.label, encoder.is_clip) == ("my-siglip", False)


def test_dino_gives_its_pooled_output(tmp_path: Path, images: list[Image.Image]) -> None:
    torch.manual_seed(3)
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    model = transformers.Dinov2Model(config).eval()
    processor = transformers.BitImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}, do_center_crop=True
    )
    encoder = load_encoder(str(_saved(model, processor, tmp_path / "dino")))
    with torch.no_grad():
        pooled = model(**processor(images=images, return_tensors="pt")).pooler_output.numpy()
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(_embed(encoder, images), expected, atol=1e-5)


def test_vit_without_a_pooler_gives_its_first_token(tmp_path: Path, images: list[Image.Image]) -> None:
    torch.manual_seed(4)
    config = transformers.ViTConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16
    )
    model = transformers.ViTModel(config, add_pooling_layer=False).eval()
    processor = transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})
    encoder = load_encoder(str(_saved(model, processor, tmp_path / "vit")))
    with torch.no_grad():
        token = model(**processor(images=images, return_tensors="pt")).last_hidden_state[:, 0].numpy()
    expected = token / np.linalg.norm(token, axis=1, keepdims=True)
    np.testing.assert_allclose(_embed(encoder, images), expected, atol=1e-5)


def test_the_official_model_alone_is_called_clip(tiny_clip: Path) -> None:
    _hub(tiny_clip, CLIP_REPOSITORY, CLIP_REVISION, "main")
    _hub(tiny_clip, "someone/else", "c" * 40, "main")
    for spec in ("clip", CLIP_REPOSITORY, f"{CLIP_REPOSITORY}@{CLIP_REVISION}", f"{CLIP_REPOSITORY}@main"):
        encoder = load_encoder(spec)
        assert (encoder.label, encoder.is_clip) == ("CLIP ViT-L/14", True)
        assert encoder.fingerprint["model"] == CLIP_REPOSITORY
        assert encoder.fingerprint["revision"] == CLIP_REVISION
    other = load_encoder("someone/else")
    assert (other.label, other.is_clip) == ("someone/else", False)


def test_a_folder_with_the_name_of_the_official_model_is_not_taken_for_it(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_clip, tmp_path / CLIP_REPOSITORY)
    monkeypatch.chdir(tmp_path)
    for use in (load_encoder, check_encoder):
        with pytest.raises(UnknownNameError, match="is a folder, which has no revision"):
            use("clip")


def test_the_weights_of_a_snapshot_are_named_by_their_hash(tiny_clip: Path) -> None:
    _hub(tiny_clip, "someone/changed", "e" * 40, "main")
    before = load_encoder("someone/changed").fingerprint
    assert before["weights"] == hashlib.sha256((tiny_clip / "model.safetensors").read_bytes()).hexdigest()
    assert before["config"] == hashlib.sha256((tiny_clip / "config.json").read_bytes()).hexdigest()
    snapshot = Path(_cache(), "models--someone--changed", "snapshots", "e" * 40)
    _nudge(snapshot)
    after = load_encoder("someone/changed").fingerprint
    assert {key for key in before if before[key] != after[key]} == {"weights"}


@pytest.mark.parametrize("place", ["top", "vision_config", "both"])
@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_fp32_is_fp32_whatever_type_the_config_names(
    place: str, key: str, tiny_clip: Path, tmp_path: Path, images: list[Image.Image]
) -> None:
    folder = shutil.copytree(tiny_clip, tmp_path / "named")
    config = json.loads((folder / "config.json").read_text())
    for name in ("dtype", "torch_dtype"):
        config.pop(name, None)
        config["vision_config"].pop(name, None)
    for part in [config] * (place != "vision_config") + [config["vision_config"]] * (place != "top"):
        part[key] = "bfloat16"
    (folder / "config.json").write_text(json.dumps(config))
    found, expected = load_encoder(str(folder)), load_encoder(str(tiny_clip))
    np.testing.assert_array_equal(_embed(found, images), _embed(expected, images))
    assert found.fingerprint == expected.fingerprint


def test_weights_stored_in_halves_are_computed_in_fp32(
    tiny_clip: Path, tmp_path: Path, images: list[Image.Image]
) -> None:
    from safetensors.torch import load_file, save_file

    folder, exact = (shutil.copytree(tiny_clip, tmp_path / name) for name in ("halves", "exact"))
    halves = {name: weight.bfloat16() for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    save_file(
        {name: half.float() for name, half in halves.items()}, exact / "model.safetensors", metadata={"format": "pt"}
    )
    found, expected = load_encoder(str(folder)), load_encoder(str(exact))
    np.testing.assert_array_equal(_embed(found, images), _embed(expected, images))
    assert found.fingerprint != expected.fingerprint


def test_a_branch_is_recorded_as_its_commit(tiny_clip: Path) -> None:
    _hub(tiny_clip, CLIP_REPOSITORY, "d" * 40, "experiment")
    encoder = load_encoder(f"{CLIP_REPOSITORY}@experiment")
    assert encoder.fingerprint["revision"] == "d" * 40


def test_a_folder_is_clip_only_if_it_is_declared(tiny_clip: Path) -> None:
    plain, declared = load_encoder(str(tiny_clip)), load_encoder(f"clip:{tiny_clip}")
    assert (plain.label, plain.is_clip) == ("tiny-clip", False)
    assert (declared.label, declared.is_clip) == ("CLIP (tiny-clip)", True)
    assert plain.fingerprint == declared.fingerprint


def test_a_changed_weight_or_setting_changes_the_fingerprint(tiny_clip: Path, tmp_path: Path) -> None:
    names = {fingerprint_hash(load_encoder(str(tiny_clip)).fingerprint)}
    names.add(fingerprint_hash(load_encoder(str(tiny_clip), precision="bf16").fingerprint))

    folder = shutil.copytree(tiny_clip, tmp_path / "weights")
    model = transformers.CLIPModel.from_pretrained(folder)
    with torch.no_grad():
        model.visual_projection.weight[0, 0] += 1e-3
    model.save_pretrained(folder)
    names.add(fingerprint_hash(load_encoder(str(folder)).fingerprint))

    for file, key, value in (
        ("preprocessor_config.json", "resample", 2),
        ("config.json", "vision_config", {"layer_norm_eps": 1e-3}),
    ):
        folder = shutil.copytree(tiny_clip, tmp_path / key)
        content = json.loads((folder / file).read_text())
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
        (folder / file).write_text(json.dumps(content))
        names.add(fingerprint_hash(load_encoder(str(folder)).fingerprint))
    assert len(names) == 5


def test_a_copy_elsewhere_has_the_same_fingerprint(tiny_clip: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_clip, tmp_path / "another-name")
    assert load_encoder(str(copy)).fingerprint == load_encoder(str(tiny_clip)).fingerprint


def test_bf16_is_near_and_says_so(tiny_clip: Path, images: list[Image.Image]) -> None:
    exact, coarse = load_encoder(str(tiny_clip)), load_encoder(str(tiny_clip), precision="bf16")
    assert coarse.fingerprint["precision"] == "bf16"
    assert 0 < np.abs(_embed(exact, images) - _embed(coarse, images)).max() < 0.05


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("clip:nowhere", UnknownNameError, "names no folder"),
        ("owner/name@", UnknownNameError, "without a revision"),
        ("owner/unknown", EncoderNotFoundError, "not on this machine"),
        ("owner/unknown@v1", EncoderNotFoundError, "owner/unknown@v1"),
        ("../escape/x", UnknownNameError, "no encoder"),
    ],
)
def test_specs_that_name_nothing_are_refused(spec: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        load_encoder(spec)


@pytest.mark.parametrize(
    ("failure", "error", "words"),
    [
        ("RepositoryNotFoundError", EncoderNotFoundError, "or it is private"),
        ("GatedRepoError", EncoderNotFoundError, "is gated; accept its licence"),
        ("RevisionNotFoundError", EncoderNotFoundError, "no revision 'v9'"),
        ("HfHubHTTPError", EncoderNotFoundError, "can't be fetched"),
        ("HFValidationError", UnknownNameError, "can't be the name"),
    ],
)
def test_what_the_hub_answers_becomes_one_sentence(
    failure: str, error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub import errors

    kind = getattr(errors, failure)

    def fails(*args: Any, **options: Any) -> None:
        raised = kind.__new__(kind)
        raise raised

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fails)
    with pytest.raises(error, match=words):
        load_encoder("owner/name@v9")


def test_weights_that_could_run_code_are_not_loaded(tiny_clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_clip, tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InvalidDataError, match="no safetensors"):
        load_encoder(str(folder))


def test_missing_weights_are_never_random(tiny_clip: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_clip, tmp_path / "holed")
    weights = load_file(folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InvalidDataError, match="visual_projection"):
        load_encoder(str(folder))


def test_weights_of_another_shape_are_refused(tiny_clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_clip, tmp_path / "reshaped")
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["intermediate_size"] = 96
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidDataError, match="fc1"):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", "{", "no JSON"),
        ("config.json", '{"model_type": "nobody"}', "no known model"),
        ("config.json", None, "no config.json"),
        ("preprocessor_config.json", None, "no preprocessor_config.json"),
        ("model.safetensors", "garbage", "can't be loaded"),
    ],
)
def test_broken_folders_are_refused(
    file: str, content: str | None, words: str, tiny_clip: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_clip, tmp_path / "broken")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(InvalidDataError, match=words):
        load_encoder(str(folder))


def test_settings_inside_a_processor_config_are_found(tiny_clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_clip, tmp_path / "nested")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    assert load_encoder(str(folder)).fingerprint == load_encoder(str(tiny_clip)).fingerprint


@pytest.mark.parametrize("module", ["torch", "transformers"])
@pytest.mark.parametrize("spec", ["", "clip", "owner/unknown@v1"])
def test_a_missing_library_is_named_with_its_requirement_before_the_hub_is_asked(
    spec: str, module: str, tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"run: pip install '{module}>=[\d.]+'$"):
        load_encoder(spec or str(tiny_clip))


@pytest.mark.parametrize(
    ("spec", "settings", "words"),
    [
        ("clp", {}, "no encoder is called 'clp'; choose clip, offline"),
        ("owner/unknown", {"device": "abacus"}, "device 'abacus'"),
        ("owner/unknown", {"precision": "fp8"}, "no precision is called 'fp8'"),
        ("owner/unknown", {"precision": "fp16", "device": "cpu"}, "slow and inexact on a CPU"),
    ],
)
def test_what_is_wrong_on_this_machine_is_said_before_the_hub_is_asked(
    spec: str, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(UnknownNameError, match=words):
        load_encoder(spec, **settings)


def test_a_loose_process_does_not_loosen_the_arithmetic(tiny_clip: Path, images: list[Image.Image]) -> None:
    encoder = load_encoder(str(tiny_clip))
    expected = _embed(encoder, images)
    torch.set_float32_matmul_precision("medium")
    try:
        np.testing.assert_array_equal(_embed(encoder, images), expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_an_encoder_that_gives_nan_is_refused(tiny_clip: Path) -> None:
    encoder = load_encoder(str(tiny_clip))
    with pytest.raises(InvalidDataError, match="NaN"):
        encoder.encode(np.full((1, 3, 224, 224), np.nan, dtype=np.float32))


def test_loading_leaves_transformers_logging_as_it_was(tiny_clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_encoder(str(tiny_clip))
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr().err == ""


class _Mlp(nn.Module):
    """Two layers with CLIP's activation between them, named as transformers names them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.activation_fn, self.fc2 = nn.Linear(48, 96), QuickGELUActivation(), nn.Linear(96, 48, bias=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.activation_fn(self.fc1(rows)))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_packed_layers_agree_with_the_plain_ones(
    dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KERNELS_VARIABLE, "onednn")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(48, 48), nn.ReLU(), _Mlp(), nn.Linear(48, 16))
    rows = torch.randn(5, 48)
    wanted = model(rows).detach()
    assert set_precision(model, dtype) == ONEDNN
    with torch.inference_mode():
        found = model(rows.to(dtype))
    assert found.dtype == dtype
    assert (found.float() - wanted).abs().max() <= tolerance * wanted.abs().max()
    assert not any(type(layer) in (nn.Linear, _Mlp, QuickGELUActivation) for layer in model.modules())


def test_a_model_without_linear_layers_is_not_packed() -> None:
    assert set_precision(nn.Sequential(nn.ReLU()), torch.float32) == TORCH


@pytest.mark.parametrize("fault", ["wrong", "missing"])
def test_layers_that_onednn_computes_wrong_or_not_at_all_stay(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KERNELS_VARIABLE, "onednn")
    real = kernels._PackedLinear.forward

    def forward(layer: Any, rows: torch.Tensor) -> torch.Tensor:
        if fault == "missing":
            raise AttributeError("no such operator")
        return real(layer, rows) + (0.1 if layer.after == "swish" else 0)

    monkeypatch.setattr(kernels._PackedLinear, "forward", forward)
    model = nn.Sequential(nn.Linear(48, 48), _Mlp())
    rows = torch.randn(3, 48)
    wanted = model(rows).detach()
    assert set_precision(model, torch.float32) == TORCH
    assert type(model[1]) is _Mlp
    with torch.inference_mode():
        assert torch.allclose(model(rows), wanted, atol=1e-5)


@pytest.mark.parametrize(("onednn", "expected"), [(3e-3, ONEDNN), (8e-3, TORCH)])
def test_the_faster_kernels_are_taken(onednn: float, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_FEWEST_WEIGHTS", 0)
    monkeypatch.setattr(kernels, "_timed", lambda runs: iter([[4e-3, onednn], [5e-3, 9e-3]]))
    assert set_precision(nn.Sequential(nn.Linear(48, 48), _Mlp()), torch.float32) == expected


def test_kernels_can_be_named_and_are_recorded(
    tiny_clip: Path, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {}
    for name, said in (("torch", TORCH), ("onednn", ONEDNN)):
        monkeypatch.setenv(KERNELS_VARIABLE, name)
        made[name] = load_encoder(str(tiny_clip), device="cpu")
        assert made[name].environment["kernels"] == said
    assert made["torch"].fingerprint == made["onednn"].fingerprint
    np.testing.assert_allclose(*(_embed(encoder, images) for encoder in made.values()), atol=1e-6)
    monkeypatch.setenv(KERNELS_VARIABLE, "cuda")
    with pytest.raises(UnknownNameError, match="choose auto, torch or onednn"):
        load_encoder(str(tiny_clip), device="cpu")


@pytest.mark.parametrize(
    ("told", "threads", "decoders"), [("1", 1, 1), ("2", 2, 2), ("7", 7, 2), ("0", 5, 2), ("", 5, 2), ("-1", 5, 2)]
)
def test_threads_are_those_that_the_environment_allows(
    told: str, threads: int, decoders: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(5), raising=False)
    assert (thread_count(), decoder_count()) == (threads, decoders)
