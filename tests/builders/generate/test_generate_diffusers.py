from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from loopback import LoopbackServer, Request
from PIL import Image
from tiny_pipelines import blacken, write_tiny_flux, write_tiny_sd2, write_tiny_sd3
from toy_drafts import write_photos

from fashionedit.builders.generate.diffusers_drafts import PRESETS, DiffusersDrafts, find_text_pipeline
from fashionedit.builders.generate.drafting import DraftRequest
from fashionedit.builders.generate.stage import generate
from fashionedit.builders.stage_store import StageStore
from fashionedit.errors import FashionEditError, InvalidDataError, MissingExtraError, ServiceError, UnknownNameError
from fashionedit.runtime.pipelines import load_pipeline

REQUESTS = [
    DraftRequest(f"p{number}", caption, number) for number, caption in enumerate(["a dress", "a coat", "a hat"])
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pipelines")
    return {
        "sd3": write_tiny_sd3(root / "sd3"),
        "sd3-t5": write_tiny_sd3(root / "sd3-t5", t5=True),
        "sd2": write_tiny_sd2(root / "sd2"),
        "flux": write_tiny_flux(root / "flux"),
    }


def maker(folder: Path, **settings: Any) -> DiffusersDrafts:
    return DiffusersDrafts(str(folder), **{"steps": 2, "width": 64, "height": 64} | settings)


def pixels(image: Image.Image | None) -> Any:
    assert image is not None
    return np.asarray(image, dtype=np.int16)


def edited(folder: Path, to: Path, **changes: Any) -> Path:
    """A copy of a pipeline with another index."""
    shutil.copytree(folder, to)
    index = json.loads((to / "model_index.json").read_text())
    (to / "model_index.json").write_text(json.dumps(index | changes))
    return to


@pytest.mark.parametrize("name", PRESETS)
def test_a_short_name_never_means_a_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / PRESETS[name].model).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match="is a folder, which has no revision"):
        DiffusersDrafts(name, device="cpu").describe()


@pytest.mark.parametrize("kind", ["sd3", "sd3-t5", "sd2", "flux"])
def test_a_seed_gives_the_same_draft_alone_and_in_a_batch(kind: str, folders: dict[str, Path]) -> None:
    drafts = maker(folders[kind])
    together = drafts.make(REQUESTS)
    alone = [drafts.make([request])[0] for request in reversed(REQUESTS)]
    for one, other in zip(together, reversed(alone), strict=True):
        assert np.abs(pixels(one.image) - pixels(other.image)).max() <= 2
        assert one.image is not None
        assert one.image.size == (64, 64)
    assert np.abs(pixels(together[0].image) - pixels(together[1].image)).max() > 2
    (other_seed,) = drafts.make([DraftRequest("p0", "a dress", 99)])
    assert np.abs(pixels(together[0].image) - pixels(other_seed.image)).max() > 2


def test_the_record_has_what_was_really_used(folders: dict[str, Path]) -> None:
    (result,) = DiffusersDrafts(str(folders["sd3"]), steps=1).make(REQUESTS[:1])
    assert result.effective == {
        "guidance_scale": 7.0,
        "height": 64,
        "max_sequence_length": 256,
        "num_inference_steps": 1,
        "skip_layer_guidance_scale": 2.8,
        "skip_layer_guidance_start": 0.01,
        "skip_layer_guidance_stop": 0.2,
        "width": 64,
    }
    assert result.seconds > 0
    assert result.provenance["batch"] == 1
    assert result.provenance["device"] == "cpu" or torch.cuda.is_available()
    assert set(result.provenance["versions"]) == {"diffusers", "torch", "transformers"}


def test_the_description_has_what_moves_a_pixel_and_nothing_else(folders: dict[str, Path], tmp_path: Path) -> None:
    told = maker(folders["sd2"], negative_prompt="hats", device="cpu").describe()
    assert told == {
        "kind": "diffusers",
        "files": told["files"],
        "pipeline": "StableDiffusionPipeline",
        "scheduler": "DDIMScheduler",
        "dtype": "fp32",
        "t5": False,
        "arguments": {
            "guidance_scale": 7.5,
            "height": 64,
            "negative_prompt": "hats",
            "num_inference_steps": 2,
            "width": 64,
        },
    }
    assert json.loads(json.dumps(told)) == told
    moved = shutil.copytree(folders["sd2"], tmp_path / "moved")
    (moved / "README.md").write_text("a card")
    assert maker(moved, negative_prompt="hats", device="cpu", batch_size=1).describe() == told
    weights = next((moved / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert maker(moved, negative_prompt="hats", device="cpu").describe()["files"] != told["files"]


def test_settings_move_pixels(folders: dict[str, Path]) -> None:
    usual = pixels(maker(folders["sd2"]).make(REQUESTS[:1])[0].image)
    for settings in ({"steps": 4}, {"guidance": 1.0}, {"negative_prompt": "a dress"}):
        changed = pixels(maker(folders["sd2"], **settings).make(REQUESTS[:1])[0].image)
        assert np.abs(usual - changed).max() > 0, settings
    flux = maker(folders["flux"], negative_prompt="hats", arguments={"true_cfg_scale": 4.0, "max_sequence_length": 16})
    (result,) = flux.make(REQUESTS[:1])
    assert result.effective["true_cfg_scale"] == 4.0
    assert result.effective["max_sequence_length"] == 16


def test_t5_is_left_away_where_a_pipeline_can_do_without(folders: dict[str, Path]) -> None:
    with_t5, without = maker(folders["sd3-t5"]), maker(folders["sd3-t5"], t5=False)
    assert with_t5.describe()["t5"]
    assert not without.describe()["t5"]
    one, other = (drafts.make(REQUESTS[:1])[0].image for drafts in (with_t5, without))
    assert np.abs(pixels(one) - pixels(other)).max() > 0
    assert not maker(folders["sd2"], t5=False).describe()["t5"]
    with pytest.raises(UnknownNameError, match=r"flux \(FluxPipeline\) can't do without T5"):
        maker(folders["flux"], t5=False).describe()


def test_bfloat16_runs_on_a_cpu_and_half_does_not(folders: dict[str, Path]) -> None:
    half = maker(folders["sd3"], dtype="bf16", device="cpu")
    assert half.describe()["dtype"] == "bf16"
    assert half.make(REQUESTS[:1])[0].image is not None
    with pytest.raises(UnknownNameError, match="fp16 is slow and inexact on a CPU"):
        maker(folders["sd3"], dtype="fp16", device="cpu").describe()


def hungry(drafts: DiffusersDrafts, most: int, error: Exception | None = None) -> list[int]:
    """Lets the transformer run out of memory above `most` prompts; returns the sizes that it is called with."""
    sizes: list[int] = []

    def before(module: Any, given: Any, named: Any) -> None:
        rows = len(named["hidden_states"])
        sizes.append(rows)
        if rows > most:
            if error is not None:
                raise error
            torch.empty(2**60)  # the CPU's allocator says so itself

    drafts._pipeline.transformer.register_forward_pre_hook(before, with_kwargs=True)
    return sizes


@pytest.mark.parametrize(
    "error",
    [
        None,
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
)
def test_out_of_memory_halves_the_batch_and_stays_there(error: Exception | None, folders: dict[str, Path]) -> None:
    requests = [DraftRequest(f"p{number}", "a dress", number) for number in range(8)]
    usual = maker(folders["sd3"], steps=1, guidance=1.0, batch_size=8).make(requests)
    drafts = maker(folders["sd3"], steps=1, guidance=1.0, batch_size=8)
    sizes = hungry(drafts, 3, error)
    made = drafts.make(requests)
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert drafts.batch_size == 2
    for one, other in zip(usual, made, strict=True):
        assert np.abs(pixels(one.image) - pixels(other.image)).max() <= 2
    assert [result.provenance["batch"] for result in made] == [2] * 8
    drafts.make(requests[:5])
    assert sizes[6:] == [2, 2, 1]


def test_the_stage_goes_on_in_smaller_batches(folders: dict[str, Path], tmp_path: Path) -> None:
    drafts = maker(folders["sd3"], steps=1, guidance=1.0, batch_size=4)
    sizes = hungry(drafts, 2)
    pairs = generate(write_photos(tmp_path / "photos", 6), drafts, StageStore(tmp_path / "generate"))
    assert len(pairs) == 6
    assert sizes == [4, 2, 2, 2]


def test_no_memory_for_a_single_draft_ends_the_stage_with_advice(folders: dict[str, Path]) -> None:
    drafts = maker(folders["sd3"], steps=1, guidance=1.0)
    hungry(drafts, 0)
    with pytest.raises(ServiceError, match="no memory for a single draft of sd3 in fp32; try offload model"):
        drafts.make(REQUESTS)


def test_one_caption_that_the_pipeline_fails_at_does_not_take_the_others_along(folders: dict[str, Path]) -> None:
    drafts = maker(folders["sd3"])
    encode = drafts._pipeline.encode_prompt

    def picky(prompt: list[str], **settings: Any) -> Any:
        if "a coat" in prompt:
            raise IndexError("index out of range in self")
        return encode(prompt=prompt, **settings)

    drafts._pipeline.encode_prompt = picky
    results = drafts.make(REQUESTS)
    assert [result.reason for result in results] == [None, "pipeline error", None]
    assert results[1].retry
    assert results[1].detail == "sd3 failed (IndexError: index out of range in self)"
    with pytest.raises(ServiceError, match="fails at every caption"):
        drafts.make([REQUESTS[1]] * 3)


def test_settings_that_the_pipeline_can_t_work_with_are_one_sentence(folders: dict[str, Path]) -> None:
    with pytest.raises(ServiceError, match="divisible by"):
        maker(folders["sd3"], width=72, height=72).make(REQUESTS)


def test_what_the_safety_checker_flags_and_what_is_black_is_dropped(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 2)
    unsafe, black = write_tiny_sd2(tmp_path / "unsafe", unsafe="all"), blacken(write_tiny_sd3(tmp_path / "black"))
    for folder, reason in ((unsafe, "safety filter"), (black, "black image")):
        store = StageStore(tmp_path / reason)
        assert not generate(photos, maker(folder), store)
        assert {(record.status, record.reason) for record in store.records()} == {("dropped", reason)}
    safe = maker(write_tiny_sd2(tmp_path / "safe", unsafe="none"))
    assert safe.make(REQUESTS[:1])[0].image is not None


def test_presets_are_what_the_paper_and_the_cards_say() -> None:
    sd3 = PRESETS["sd3"]
    size = {"width": 1024, "height": 1024}
    assert sd3.arguments == {"num_inference_steps": 28, "guidance_scale": 7.0, "negative_prompt": "", **size}
    assert sd3.dtype == "fp16"
    assert {"sd2.1", "sd3.5-medium", "sd3.5-large", "flux-dev", "flux-schnell"} < set(PRESETS)


def test_a_preset_is_found_by_its_repository_too_and_what_is_given_wins(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fashionedit.builders.generate import diffusers_drafts

    asked = []

    def here(place: str, revision: str | None) -> Any:
        asked.append((place, revision))
        return find_text_pipeline(str(folders["sd3"]), None)

    monkeypatch.setattr(diffusers_drafts, "find_text_pipeline", here)
    for name in ("sd3", "stabilityai/stable-diffusion-3-medium-diffusers"):
        told = DiffusersDrafts(name, guidance=5.0, device="cpu").describe()
        assert told["arguments"] == {
            "guidance_scale": 5.0,
            "height": 1024,
            "negative_prompt": "",
            "num_inference_steps": 28,
            "width": 1024,
        }
        assert told["dtype"] == "fp32"
    assert len(set(asked)) == 1
    assert asked[0][1] == PRESETS["sd3"].revision
    DiffusersDrafts("sd3", revision="v1").describe()
    assert asked[-1][1] == "v1"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"arguments": {"clip_jump": 1}}, "takes no clip_jump"),
        ({"arguments": {"prompt": "a"}}, "prompt is set elsewhere"),
        ({"arguments": {"guidance_scale": 2}}, "guidance_scale is set elsewhere"),
        ({"arguments": {"mu": {1, 2}}}, "mu can't be written as JSON"),
        ({"arguments": {"mu": float("nan")}}, "mu can't be written as JSON"),
        ({"device": "toaster"}, "device 'toaster' can't be used"),
        ({"revision": "v1"}, "has no revision 'v1'"),
        ({"negative_prompt": "hats"}, "ignores a negative prompt while true_cfg_scale is"),
    ],
)
def test_arguments_that_the_pipeline_does_not_take_are_refused(
    settings: dict[str, Any], sentence: str, folders: dict[str, Path]
) -> None:
    with pytest.raises(UnknownNameError, match=sentence):
        maker(folders["flux" if "negative_prompt" in settings else "sd3"], **settings).describe()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"width": 100}, "width is 100"),
        ({"dtype": "int8"}, "no dtype is called 'int8'"),
        ({"offload": "disk"}, "no offloading is called 'disk'"),
    ],
)
def test_impossible_settings_are_refused_at_once(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FashionEditError, match=sentence):
        DiffusersDrafts("sd3", **settings)


def test_offloading_needs_a_gpu(folders: dict[str, Path]) -> None:
    with pytest.raises(InvalidDataError, match="offload model needs a GPU"):
        maker(folders["sd3"], device="cpu", offload="model").describe()


def test_an_offloaded_pipeline_makes_the_same_draft(folders: dict[str, Path]) -> None:
    usual, offloaded = maker(folders["sd3"], device="cpu"), maker(folders["sd3"], device="cpu")
    offloaded.__dict__["_pipeline"] = load_pipeline(  # a CPU can stand in for the GPU that the maker insists on
        find_text_pipeline(str(folders["sd3"]), None),
        dtype="fp32",
        device=torch.device("cpu"),
        offload="model",
        t5=True,
    )
    one, other = (drafts.make(REQUESTS[:1])[0].image for drafts in (usual, offloaded))
    assert np.array_equal(pixels(one), pixels(other))


def test_a_pipeline_too_large_for_the_memory_is_one_sentence(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusers.DiffusionPipeline.to", lambda *ignored: torch.empty(2**60))
    with pytest.raises(ServiceError, match="sd3 doesn't fit into the memory of cpu in fp32; offload"):
        maker(folders["sd3"], device="cpu").make(REQUESTS)


def test_what_gives_no_images_is_no_text_to_image_pipeline(folders: dict[str, Path]) -> None:
    for images, sentence in ((None, "gave no images"), ([Image.new("RGB", (8, 8))], "1 images of 3 captions")):
        drafts = maker(folders["sd3"])
        drafts.__dict__["_pipeline"] = lambda images=images, **settings: SimpleNamespace(images=images)
        with pytest.raises(ServiceError, match=sentence):
            drafts.make(REQUESTS)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("StableDiffusionInstructPix2PixPipeline", "takes no height"),
        ("StableDiffusion3Img2ImgPipeline", "works with strength"),
        ("FluxInpaintPipeline", "works with mask_image"),
        ("QwenImageEditPlusPipeline", "as the Edit in its name says"),
        ("FluxPriorReduxPipeline", "can't work without image"),
        ("StableVideoDiffusionPipeline", "can't work without image"),
        ("WanPipeline", "works with num_frames"),
        ("DDPMPipeline", "takes no"),
    ],
)
def test_pipelines_for_other_work_are_refused(name: str, why: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = edited(folders["sd3"], tmp_path / "other", _class_name=name)
    with pytest.raises(UnknownNameError, match=f"other is no text-to-image pipeline \\({name} .*{why}"):
        maker(folder).describe()


@pytest.mark.parametrize(
    "name", ["StableDiffusionXLPipeline", "Flux2Pipeline", "SanaPipeline", "QwenImagePipeline", "PixArtSigmaPipeline"]
)
def test_other_text_to_image_pipelines_are_taken(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = edited(folders["sd3"], tmp_path / "other", _class_name=name)
    assert maker(folder).describe()["pipeline"] == name


def test_a_pipeline_that_diffusers_does_not_know_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = edited(folders["sd3"], tmp_path / "other", _class_name="NextYearPipeline")
    with pytest.raises(UnknownNameError, match=r"NextYearPipeline, which diffusers .* doesn't have"):
        maker(folder).describe()
    folder = edited(folders["sd3"], tmp_path / "own", _class_name=["pipeline", "OwnPipeline"])
    with pytest.raises(UnknownNameError, match="code of its own, which is never run"):
        maker(folder).describe()


def test_folders_that_hold_no_safe_pipeline_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match=r"has no model_index\.json"):
        maker(tmp_path).describe()
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(InvalidDataError, match="is no JSON"):
        maker(tmp_path).describe()
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(InvalidDataError, match="names no pipeline class"):
        maker(tmp_path).describe()
    pickled = edited(folders["sd3"], tmp_path / "pickled")
    weights = next((pickled / "vae").glob("*.safetensors"))
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(InvalidDataError, match="no safetensors; other weight files can run code"):
        maker(pickled).describe()
    with pytest.raises(UnknownNameError, match="neither a folder nor a repository"):
        DiffusersDrafts("no such folder").describe()


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_folder_whose_weights_can_t_be_loaded_is_one_sentence(
    damage: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    broken = edited(folders["sd3"], tmp_path / "broken")
    weights = next((broken / "transformer").glob("*.safetensors"))
    if damage == "missing":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InvalidDataError, match=r"broken (can't be loaded|lacks safetensors)"):
        maker(broken).make(REQUESTS)


def test_without_diffusers_the_extra_is_named(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'diffusers>=[\d.]+'$"):
        maker(folders["sd3"]).describe()


class Hub(LoopbackServer):
    """A Hub that has one gated repository, one without a pipeline, and nothing else."""

    def get(self, request: Request) -> None:
        status, code = 404, "RepoNotFound"
        if request.path.startswith("/owner/gated/"):
            status, code = 403, "GatedRepo"
        elif request.path.startswith("/owner/plain/resolve/main/"):
            code = "EntryNotFound"
        elif request.path.startswith("/owner/plain/"):
            code = "RevisionNotFound"
        request.send(status, b"", {"X-Error-Code": code, "X-Repo-Commit": "0" * 40})


def test_repositories_that_can_t_be_had_are_one_sentence_each(tmp_path: Path) -> None:
    ask = """
import sys
from fashionedit.builders.generate.diffusers_drafts import find_text_pipeline
from fashionedit.errors import FashionEditError
for name in sys.argv[1:]:
    place, _, revision = name.partition("@")
    try:
        print(find_text_pipeline(place, revision or None))
    except FashionEditError as error:
        print(f"{type(error).__name__}: {error}")
"""
    asked = ["owner/gated", "owner/nothing", "owner/plain", "owner/plain@v9", "owner/.."]
    with Hub() as hub:
        address = {"HF_ENDPOINT": hub.url.removesuffix("/v1"), "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path)}
        ended = subprocess.run(
            [sys.executable, "-c", ask, *asked],
            env=os.environ | address,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    gated, nothing, plain, version, dots = ended.stdout.splitlines()
    assert gated == (
        "ServiceError: owner/gated is gated; accept its licence on https://huggingface.co/owner/gated, then log in "
        "with: hf auth login"
    )
    assert nothing.startswith("ServiceError: the Hub has no repository owner/nothing")
    assert plain.startswith("UnknownNameError: owner/plain has no model_index.json")
    assert version == "ServiceError: owner/plain has no revision 'v9'; check the name"
    assert dots.startswith("UnknownNameError: 'owner/..' can't be the name of a repository")


def test_without_a_network_a_repository_is_one_sentence() -> None:
    with pytest.raises(ServiceError, match="not on this machine and can't be fetched"):
        DiffusersDrafts("sd3").describe()


def test_a_repository_is_known_by_its_commit(folders: dict[str, Path]) -> None:
    from huggingface_hub.constants import HF_HUB_CACHE

    commit = "a" * 40
    home = Path(HF_HUB_CACHE) / "models--owner--tiny"
    shutil.copytree(folders["sd3"], home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    try:
        drafts = DiffusersDrafts("owner/tiny", steps=1)
        assert drafts.describe()["model"] == "owner/tiny"
        assert drafts.describe()["revision"] == commit
        assert drafts.make(REQUESTS[:1])[0].image is not None
    finally:
        shutil.rmtree(home)
