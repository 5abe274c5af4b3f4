"""Pipelines of diffusers as editors: the real classes with tiny random weights."""

from __future__ import annotations

import inspect
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_edit_pipelines import (
    tiny_qwen_edit_plus,
    write_tiny_klein,
    write_tiny_kontext,
    write_tiny_lora,
    write_tiny_pix2pix,
    write_tiny_pix2pix_xl,
)
from tiny_pipelines import write_tiny_sd3
from toy_samples import ToySource

from fashionedit.cli import main
from fashionedit.errors import EditorError, InvalidDataError, MissingExtraError, ServiceError, UnknownNameError
from fashionedit.eval_harness import RunFolder, Status, run
from fashionedit.eval_harness.editing import EditRequest, RequestImage
from fashionedit.eval_harness.editors import EditorSettings, resolve_editor
from fashionedit.eval_harness.editors.diffusers_editor import DiffusersEditor
from fashionedit.eval_harness.editors.diffusers_pipelines import CLASSES, Shown, arguments, show
from fashionedit.eval_harness.testing import assert_conforms
from fashionedit.runtime.pipelines import find_pipeline

WRITERS: dict[str, Callable[[Path], Path]] = {
    "pix2pix": write_tiny_pix2pix,
    "pix2pix-xl": write_tiny_pix2pix_xl,
    "kontext": write_tiny_kontext,
    "klein": write_tiny_klein,
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Two threads wait for each other more than they compute where networks are this small."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each tiny pipeline, written once."""
    root = tmp_path_factory.mktemp("pipelines")
    return {name: write(root / name) for name, write in WRITERS.items()}


def editor_of(folder: Path, **options: Any) -> DiffusersEditor:
    editor = resolve_editor(f"diffusers:{folder}", EditorSettings(options=options))
    assert isinstance(editor, DiffusersEditor)
    return editor


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC)


def request(
    base: Image.Image | None = None, reference: Image.Image | None = None, *, seed: int = 7, **params: Any
) -> EditRequest:
    images = [RequestImage("base", base or picture(64, 96))]
    if reference is not None:
        images.append(RequestImage("reference", reference))
    return EditRequest(
        f"id-{seed}", "bug" if reference else "vanilla", 1, "Make it red", tuple(images), seed, {"steps": 1, **params}
    )


@contextmanager
def breaking(module: Any, error: Exception, above: int = 0) -> Iterator[list[int]]:
    """Raises within a module of a pipeline where a batch is larger than `above`; yields the sizes that it was given."""
    sizes: list[int] = []

    def hook(_: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        sizes.append(len(inputs[0] if inputs else named["hidden_states"]))
        if sizes[-1] > above:
            raise error

    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield sizes
    finally:
        handle.remove()


# The table


@pytest.mark.parametrize("name", CLASSES)
def test_the_table_fits_the_classes_of_diffusers(name: str) -> None:
    import diffusers

    from fashionedit.runtime.pipelines import quiet

    kind = CLASSES[name]
    with quiet():
        known = inspect.signature(getattr(diffusers, name).__call__).parameters
    assert {"prompt", "generator", kind.argument, *kind.asked(64, 64)} <= known.keys()
    assert ("max_area" in known) == kind.area
    assert ("num_frames" in known) == kind.frames


def test_words_take_the_form_that_a_class_reads() -> None:
    assert CLASSES["Flux2Pipeline"].words("Make it red", 2) == "Make it red"
    assert json.loads(CLASSES["BriaFiboEditPipeline"].words('A "red" coat', 2)) == {"edit_instruction": 'A "red" coat'}
    expected = "<img><|image_1|></img> <img><|image_2|></img> Make it red"
    assert CLASSES["OmniGenPipeline"].words("Make it red", 2) == expected


def test_every_editing_class_of_diffusers_is_in_the_table_or_known_to_do_other_work() -> None:
    import diffusers

    other_work = {  # by masks, by inversion, or on films
        "FluxKontextInpaintPipeline",
        "LEditsPPPipelineStableDiffusion",
        "LEditsPPPipelineStableDiffusionXL",
        "LucyEditPipeline",
        "QwenImageEditInpaintPipeline",
        "StableDiffusionDiffEditPipeline",
        "StableDiffusionModelEditingPipeline",
        "StableDiffusionPix2PixZeroPipeline",
    }
    names = {name for name in dir(diffusers) if "Pipeline" in name and not name.endswith("Output")}
    words = ("Edit", "Pix2Pix", "Kontext", "I2IPipeline")
    editing = {name for name in names if any(word in name for word in words) and "Modular" not in name}
    assert editing <= CLASSES.keys() | other_work


# Edits


@pytest.mark.parametrize("name", WRITERS)
def test_each_conforms(name: str, folders: dict[str, Path]) -> None:
    assert_conforms(editor_of(folders[name]), repeatable=True, params={"steps": 1})


@pytest.mark.parametrize("name", WRITERS)
def test_three_rounds_of_both_protocols(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    editor, source = editor_of(folders[name]), ToySource(2, draft_size=(48, 64))
    summary = run(editor, source, tmp_path / "run", params={"steps": 1})
    assert summary.statuses == {Status.OK: 12}
    outcomes = list(RunFolder.open(tmp_path / "run").outcomes(source))
    assert len({(outcome.protocol, outcome.current.digest) for outcome in outcomes if outcome.own}) == 12


@pytest.fixture
def qwen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DiffusersEditor:
    """A Qwen-Image-Edit-Plus, put in place in memory: without torchvision its processor can't be loaded."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as module

    for name in ("CONDITION_IMAGE_SIZE", "VAE_IMAGE_SIZE"):  # a megapixel each
        monkeypatch.setattr(module, name, 64 * 64)
    (tmp_path / "qwen").mkdir()
    (tmp_path / "qwen" / "model_index.json").write_text(json.dumps({"_class_name": "QwenImageEditPlusPipeline"}))
    editor = editor_of(tmp_path / "qwen")
    editor.__dict__["_pipeline"] = tiny_qwen_edit_plus()
    return editor


def test_qwen_edits_three_rounds_of_both_protocols(qwen: DiffusersEditor, tmp_path: Path) -> None:
    summary = run(qwen, ToySource(1, draft_size=(48, 64)), tmp_path / "run", params={"steps": 1})
    assert summary.statuses == {Status.OK: 6}


def test_guidance_is_the_scale_that_has_an_effect_on_qwen(qwen: DiffusersEditor) -> None:
    usual, strong = (qwen.edit(request(picture(64, 96), **params)) for params in ({}, {"guidance": 9.0}))
    assert (strong.params["guidance"], strong.params["true_cfg_scale"]) == (9.0, 9.0)
    assert usual.image is not None
    assert strong.image is not None
    assert usual.image.tobytes() != strong.image.tobytes()


def test_qwen_is_shown_both_images_and_keeps_the_shape_of_the_base(qwen: DiffusersEditor) -> None:
    editor = qwen
    assert not editor.describe().stitched
    edited = editor.edit(request(picture(64, 96), picture(160, 64, 1)))
    assert edited.size == (64, 96)
    assert edited.params["negative_prompt"] == " "
    assert edited.params["true_cfg_scale"] == 4.0
    assert edited.params["shown"] == 2
    other = editor.edit(request(picture(64, 96), picture(160, 64, 2)))
    assert edited.image is not None
    assert other.image is not None
    assert edited.image.tobytes() != other.image.tobytes()
    assert editor.edit(request(picture(64, 96), true_cfg_scale=1.0)).params.get("negative_prompt") is None


@pytest.mark.parametrize(
    ("base", "asked"),
    [((64, 96), (64, 96)), ((70, 103), (64, 96)), ((73, 90), (80, 96)), ((33, 48), (64, 96))],
)
def test_a_base_is_brought_to_the_nearest_size_that_the_pipeline_takes(
    base: tuple[int, int], asked: tuple[int, int], folders: dict[str, Path]
) -> None:
    edited = editor_of(folders["klein"]).edit(request(picture(*base)))
    assert edited.size == asked
    assert (edited.params["width"], edited.params["height"]) == asked


@pytest.mark.parametrize("size", [(8, 8), (5, 300), (300, 20), (1, 1)])
def test_references_of_any_size_are_shown(size: tuple[int, int], folders: dict[str, Path]) -> None:
    editor = editor_of(folders["klein"])
    edited = editor.edit(request(picture(64, 64), picture(*size)))
    assert edited.status is Status.OK, edited.message
    plain = editor.edit(request(picture(64, 64)))
    assert edited.image is not None
    assert plain.image is not None
    assert edited.image.tobytes() != plain.image.tobytes()


@pytest.mark.parametrize("name", ["pix2pix", "pix2pix-xl", "kontext"])
def test_one_image_classes_are_shown_both_side_by_side(name: str, folders: dict[str, Path]) -> None:
    editor = editor_of(folders[name])
    assert editor.describe().stitched
    edited = editor.edit(request(picture(48, 64), picture(30, 20, 1)))
    assert edited.size == (48, 64)
    assert edited.params["stitched"] is True
    assert edited.params["shown_size"] == [112, 64]
    plain = editor.edit(request(picture(48, 64)))
    assert "stitched" not in plain.params
    assert plain.size == (48, 64)


def test_a_class_of_several_images_may_be_stitched_too(folders: dict[str, Path]) -> None:
    native, stitched = editor_of(folders["klein"]).describe(), editor_of(folders["klein"], images="stitched").describe()
    assert (native.stitched, stitched.stitched) == (False, True)
    assert native.fingerprint != stitched.fingerprint
    assert editor_of(folders["klein"], images="stitched").edit(request(picture(64, 64), picture(9, 9))).size == (64, 64)


def test_sizes_can_be_asked_for_and_limited(folders: dict[str, Path]) -> None:
    asked = editor_of(folders["klein"]).edit(request(picture(64, 96), width=96, height=128))
    assert asked.size == (96, 128)
    limited = editor_of(folders["klein"], max_pixels=128 * 128)
    assert limited.edit(request(picture(256, 256))).size == (128, 128)
    assert limited.describe().fingerprint != editor_of(folders["klein"]).describe().fingerprint
    with pytest.raises(EditorError, match="width alone; give width and height"):
        limited.edit(request(width=64))


# Batches and memory


def test_requests_of_one_size_are_made_together_and_no_more_than_fit(folders: dict[str, Path]) -> None:
    import torch

    editor = editor_of(folders["pix2pix"])
    requests = [request(picture(64, 64, seed), seed=seed) for seed in range(3)]
    requests += [request(picture(48, 64), seed=9), *(request(picture(64, 64, seed), seed=seed) for seed in (4, 5))]
    alone = [editor.edit(one) for one in requests]
    assert editor.batch_size == 4
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    with (
        breaking(editor._pipeline.unet, error, above=3) as sizes,  # guidance makes three of each
        pytest.warns(UserWarning, match="no memory for 4 edits of pix2pix at once; going on with 2") as warned,
    ):
        together = editor.edit_many(requests)
    assert len(warned) == 1
    assert editor.batch_size == 1
    assert sizes == [12, 6, *[3] * 6]
    assert [result.params["batch"] for result in together] == [1] * 6
    for one, many, asked in zip(alone, together, requests, strict=True):
        assert one.image is not None
        assert many.image is not None
        assert one.size == many.size == asked.base.size
        assert np.abs(np.asarray(one.image, int) - np.asarray(many.image, int)).max() <= 2


def test_no_memory_for_a_single_edit_ends_the_run(folders: dict[str, Path]) -> None:
    editor = editor_of(folders["klein"])
    editor.edit(request())
    with (
        breaking(editor._pipeline.transformer, RuntimeError("DefaultCPUAllocator: can't allocate memory")),
        pytest.raises(ServiceError, match="no memory for a single edit of klein in fp32; try option offload=model"),
    ):
        editor.edit(request())


def test_a_pipeline_that_fails_at_every_edit_ends_the_run(folders: dict[str, Path], tmp_path: Path) -> None:
    editor = editor_of(folders["pix2pix"])
    editor.edit(request())
    with breaking(editor._pipeline.unet, RuntimeError("expected scalar type Half")):
        first = editor.edit(request())
        assert (first.status, first.retry) == (Status.ERROR, False)
        assert first.message == "pix2pix failed (RuntimeError: expected scalar type Half)"
        with pytest.raises(ServiceError, match="fails at every edit"):
            editor.edit_many([request(seed=1), request(seed=2)])
    assert editor.edit(request()).status is Status.OK


def test_the_negative_prompt_reaches_every_edit_of_a_batch(folders: dict[str, Path]) -> None:
    editor = editor_of(folders["pix2pix"])
    requests = [request(seed=seed, negative_prompt="blue") for seed in range(2)]
    plain = editor.edit_many([request(seed=seed) for seed in range(2)])
    for one, other in zip(editor.edit_many(requests), plain, strict=True):
        assert one.params["negative_prompt"] == "blue"
        assert one.image is not None
        assert other.image is not None
        assert one.image.tobytes() != other.image.tobytes()


# What pipelines say


def test_what_the_safety_checker_takes_for_unsafe_is_refused(tmp_path: Path) -> None:
    editor = editor_of(write_tiny_pix2pix(tmp_path / "p2p", unsafe="all"))
    refused = editor.edit(request())
    assert refused.status is Status.REFUSED
    assert refused.message == "the safety checker of p2p took the picture for unsafe and blackened it"
    safe = editor_of(write_tiny_pix2pix(tmp_path / "safe", unsafe="none"))
    assert safe.edit(request()).status is Status.OK


def test_effective_params_have_the_defaults_too(folders: dict[str, Path]) -> None:
    params = editor_of(folders["pix2pix"]).edit(request(guidance=3.5)).params
    assert params["num_inference_steps"] == 1
    assert (params["guidance"], params["guidance_scale"]) == (3.5, 3.5)
    assert params["image_guidance_scale"] == 1.5
    assert params["shown_size"] == [64, 96]


def test_a_seed_may_be_given_and_the_process_s_own_random_numbers_are_left_alone(folders: dict[str, Path]) -> None:
    import torch

    editor = editor_of(folders["klein"])
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    given, own, other = (editor.edit(one) for one in (request(seed=7), request(seed=8), request(seed=9)))
    by_param = editor.edit(replace(request(seed=7), params={"steps": 1, "seed": 8}))
    assert torch.rand(1) == expected
    assert by_param.image is not None
    assert by_param.image.tobytes() == own.image.tobytes() != given.image.tobytes()  # type: ignore[union-attr]
    assert other.image.tobytes() != own.image.tobytes()  # type: ignore[union-attr]


def test_a_distilled_model_makes_few_steps_unless_told_otherwise(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["klein"], tmp_path / "klein")
    index = json.loads((folder / "model_index.json").read_text())
    for distilled, steps in ((True, 4), (False, 50)):
        (folder / "model_index.json").write_text(json.dumps(index | {"is_distilled": distilled}))
        facts = find_pipeline(str(folder), None)
        given, _ = arguments(facts, CLASSES["Flux2KleinPipeline"], {})
        assert facts.effective(given)["num_inference_steps"] == steps
        given, _ = arguments(facts, CLASSES["Flux2KleinPipeline"], {"steps": 9})
        assert given["num_inference_steps"] == 9


def test_kontext_looks_at_the_grid_that_it_paints(folders: dict[str, Path]) -> None:
    editor = editor_of(folders["kontext"])
    usual, own = (editor.edit(request(picture(48, 64), **params)) for params in ({}, {"_auto_resize": True}))
    assert (usual.params["_auto_resize"], own.params["_auto_resize"]) == (False, True)
    assert usual.size == own.size == (48, 64)
    both = show(
        request(picture(1024, 1024), picture(300, 300)),
        CLASSES["FluxKontextPipeline"],
        unit=16,
        native=False,
        max_pixels=CLASSES["FluxKontextPipeline"].pixels,
        size={},
    )
    assert 900_000 < both.size[0] * both.size[1] <= 1_100_000


def test_what_a_class_squeezed_is_drawn_out_again() -> None:
    one = Shown((picture(100, 150),), picture(100, 150), False)
    both = Shown((picture(216, 150),), picture(100, 150), True)
    assert CLASSES["Kandinsky5I2IPipeline"].squeezes
    for shown, output in ((one, (896, 1152)), (both, (1280, 768))):
        image = shown.edited(Image.new("RGB", output), squeezed=True)
        assert image.width / image.height == pytest.approx(100 / 150, rel=0.01)
        share = 100 / 216 if shown.stitched else 1
        assert image.width * image.height == pytest.approx(output[0] * output[1] * share, rel=0.01)


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        (
            "pix2pix",
            {"strenght": 0.5},
            "has no param 'strenght'; its params are width, height, seed, num_inference_steps",
        ),
        ("pix2pix", {"generator": 1}, "has no param 'generator'"),
        ("pix2pix", {"image_guidance_scale": 0.5}, "has no guidance at all while image_guidance_scale is 0.5"),
        ("pix2pix", {"steps": "many"}, "num_inference_steps is 'many'; give a number"),
        ("kontext", {"negative_prompt": "blue"}, "ignores a negative prompt while true_cfg_scale is 1.0"),
        ("klein", {"negative_prompt": "blue"}, "has no param 'negative_prompt'"),
        ("klein", {"seed": -1}, "seed is -1; give a whole number"),
        ("klein", {"steps": 1, "num_inference_steps": 1}, "num_inference_steps is given twice"),
        ("kontext", {"image_guidance": 1.5}, "has no param 'image_guidance'"),
        ("klein", {"width": 0, "height": 64}, "width is 0; give a whole number of pixels"),
    ],
)
def test_params_without_effect_end_the_run(
    name: str, params: dict[str, Any], words: str, folders: dict[str, Path]
) -> None:
    editor = editor_of(folders[name])
    with pytest.raises(EditorError, match=words):
        editor.edit(replace(request(), params=params))
    assert "_pipeline" not in editor.__dict__, "weights were loaded for nothing"


# LoRA


def test_a_lora_is_added_by_its_scale_and_named(folders: dict[str, Path], tmp_path: Path) -> None:
    plain = editor_of(folders["pix2pix"])
    before = plain.edit(request())
    file = write_tiny_lora(tmp_path, editor_of(folders["pix2pix"])._pipeline)
    images, prints = [], set()
    for lora in (str(tmp_path), f"{file}:0.5", f"{file}:0"):
        editor = editor_of(folders["pix2pix"], lora=lora)
        info = editor.describe()
        assert info.name == "pix2pix + look"
        prints.add(info.fingerprint)
        images.append(editor.edit(request()).image)
    assert len({plain.describe().fingerprint, *prints}) == 4
    assert before.image is not None
    levels = [np.abs(np.asarray(image, int) - np.asarray(before.image, int)).max() for image in images]
    assert levels[0] > 2
    assert levels[1] > 0
    assert levels[2] == 0


def test_a_lora_that_is_none_is_one_sentence(folders: dict[str, Path], tmp_path: Path) -> None:
    write_tiny_lora(tmp_path, editor_of(folders["pix2pix"])._pipeline, name="first.safetensors")
    with pytest.raises(ServiceError, match="owner/nothing-here is not on this machine and can't be fetched"):
        editor_of(folders["pix2pix"], lora="owner/nothing-here")
    (tmp_path / "second.safetensors").write_bytes((tmp_path / "first.safetensors").read_bytes())
    with pytest.raises(UnknownNameError, match=r"holds first.safetensors, second.safetensors; name the one"):
        editor_of(folders["pix2pix"], lora=str(tmp_path))
    with pytest.raises(UnknownNameError, match="is no file, folder or repository with a LoRA"):
        editor_of(folders["pix2pix"], lora="nowhere")
    (tmp_path / "third.safetensors").write_bytes(b"nothing")
    with pytest.raises(ServiceError, match="the LoRA third doesn't fit pix2pix"):
        editor_of(folders["pix2pix"], lora=str(tmp_path / "third.safetensors")).edit(request())


def test_a_lora_is_added_to_a_pipeline_that_waits_in_main_memory(folders: dict[str, Path], tmp_path: Path) -> None:
    """A CPU stands in for the GPU that the option insists on."""
    file = write_tiny_lora(tmp_path, editor_of(folders["pix2pix"])._pipeline)
    plain = editor_of(folders["pix2pix"], lora=str(file)).edit(request())
    editor = editor_of(folders["pix2pix"], lora=str(file))
    editor._options = replace(editor._options, offload="model")
    waiting = editor.edit(request())
    assert (waiting.params["offload"], waiting.params["lora"]) == ("model", str(file))
    assert plain.image is not None
    assert waiting.image is not None
    assert waiting.image.tobytes() == plain.image.tobytes()


# Names and settings


def test_repositories_are_pinned_to_their_commits(folders: dict[str, Path], tmp_path: Path) -> None:
    from huggingface_hub.constants import HF_HUB_CACHE

    style = write_tiny_lora(tmp_path, editor_of(folders["pix2pix"])._pipeline)
    local = editor_of(folders["pix2pix"], lora=f"{style}:0.5").edit(request())
    made = {
        "models--owner--editor": {"main": (folders["pix2pix"], "a" * 40), "next": (folders["klein"], "b" * 40)},
        "models--owner--style": {"main": (style.parent, "c" * 40)},
    }
    try:
        for name, refs in made.items():
            for ref, (content, commit) in refs.items():
                shutil.copytree(content, Path(HF_HUB_CACHE) / name / "snapshots" / commit)
                (Path(HF_HUB_CACHE) / name / "refs").mkdir(exist_ok=True)
                (Path(HF_HUB_CACHE) / name / "refs" / ref).write_text(commit)
        assert "a" * 40 in editor_of(Path("owner/editor")).describe().fingerprint
        for revision in ("next", "b" * 40):
            other = editor_of(Path(f"owner/editor@{revision}"))
            assert "Flux2KleinPipeline" in other.describe().fingerprint
            assert "b" * 40 in other.describe().fingerprint
        assert other.edit(request()).status is Status.OK
        styled = editor_of(Path("owner/editor"), lora="owner/style@main:0.5")
        assert "c" * 40 in styled.describe().fingerprint
        result = styled.edit(request())
        assert result.image is not None
        assert local.image is not None
        assert result.image.tobytes() == local.image.tobytes()
    finally:
        for name in made:
            shutil.rmtree(Path(HF_HUB_CACHE) / name)


def test_weights_that_can_t_be_loaded_end_the_run(tmp_path: Path) -> None:
    write_tiny_pix2pix(tmp_path / "broken")
    (tmp_path / "broken" / "unet" / "config.json").write_text("no JSON")
    with pytest.raises(ServiceError, match="broken can't be loaded"):
        run(editor_of(tmp_path / "broken"), ToySource(1), tmp_path / "run")


def test_doctor_looks_at_a_folder(folders: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(SystemExit):  # random weights are no good editor, which doctor says
        main(["doctor", f"diffusers:{folders['kontext']}", "--param", "steps=1", "--option", "max_pixels=6144"])
    said = capsys.readouterr().out
    assert "side by side" in said
    assert "fashionedit run diffusers:" in said


def index(folder: Path, class_name: str) -> Path:
    (folder / "model_index.json").write_text(json.dumps({"_class_name": class_name}))
    return folder


@pytest.mark.parametrize(
    ("class_name", "words"),
    [
        ("StableDiffusionImg2ImgPipeline", "repaints a noisy copy of the image by a strength"),
        ("StableDiffusion3Pipeline", "takes no image; choose a pipeline of BriaFibo2, "),
        ("StableDiffusionUpscalePipeline", "is none of the instruction-editing classes"),
    ],
)
def test_pipelines_that_do_other_work_are_told_from_editors(class_name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=words):
        editor_of(index(tmp_path, class_name))


def test_a_text_to_image_model_is_no_editor(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="sd3 is a StableDiffusion3Pipeline, which takes no image"):
        editor_of(write_tiny_sd3(tmp_path / "sd3"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"options": {"speed": 3}}, "has no option 'speed'; its options are dtype: fp32, bf16 or fp16"),
        ({"options": {"dtype": "int4"}}, "dtype is 'int4'; choose fp32, bf16 or fp16"),
        ({"options": {"dtype": "fp16"}}, "fp16 is slow and inexact on a CPU"),
        ({"options": {"offload": "model"}}, "offload model needs a GPU"),
        ({"options": {"device_map": "balanced", "offload": "model"}}, "leave device and offload out"),
        ({"options": {"batch_size": 0}}, "batch_size is 0; give a whole number from 1 on"),
        ({"options": {"images": "three"}}, "images is 'three'; choose native or stitched"),
        ({"base_url": "http://127.0.0.1:1"}, "diffusers runs here and has no base URL"),
        ({"state": "conversation"}, "diffusers has no conversations"),
        ({"version": "3"}, "the files of a pipeline tell its version"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_sentence(
    settings: dict[str, Any], words: str, folders: dict[str, Path]
) -> None:
    with pytest.raises((InvalidDataError, UnknownNameError), match=words):
        resolve_editor(f"diffusers:{folders['pix2pix']}", EditorSettings(**settings))


def test_the_fingerprint_follows_files_and_type(folders: dict[str, Path], tmp_path: Path) -> None:
    first = editor_of(folders["klein"])
    again = editor_of(write_tiny_klein(tmp_path / "klein"), batch_size=2)
    assert first.describe() == again.describe()
    half = editor_of(folders["klein"], dtype="bf16")
    assert half.describe().fingerprint != first.describe().fingerprint
    assert half.edit(request(picture(64, 64))).status is Status.OK


def test_a_folder_is_taken_as_it_is_named_and_a_missing_one_is_one_sentence(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    with_at = tmp_path / "klein@v1"
    with_at.symlink_to(folders["klein"])
    assert editor_of(with_at).describe().fingerprint == editor_of(folders["klein"]).describe().fingerprint
    with pytest.raises(UnknownNameError, match="is neither a folder nor a repository of the Hub"):
        editor_of(tmp_path / "nothing")


def test_device_maps_are_handed_on(folders: dict[str, Path]) -> None:
    editor = editor_of(folders["pix2pix"], device_map="cpu")
    assert editor.edit(request()).status is Status.OK
    assert editor._pipeline.hf_device_map
    assert not editor_of(folders["pix2pix"])._pipeline.hf_device_map


def test_the_extra_that_is_missing_is_named(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'diffusers>=[\d.]+'$"):
        editor_of(folders["pix2pix"])


def test_numbers_that_overflow_make_an_invalid_image_and_no_ok_edit(tmp_path: Path) -> None:
    import torch
    from diffusers import StableDiffusionInstructPix2PixPipeline

    pipeline = StableDiffusionInstructPix2PixPipeline.from_pretrained(write_tiny_pix2pix(tmp_path / "good"))
    with torch.no_grad():
        next(pipeline.unet.conv_out.parameters()).fill_(float("nan"))
    pipeline.save_pretrained(tmp_path / "broken")
    editor = editor_of(tmp_path / "broken")
    with pytest.warns(RuntimeWarning, match="invalid value"):
        result = editor.edit(request(steps=2))
    assert result.status is Status.INVALID_IMAGE
    assert "black all over" in result.message


def test_tokens_that_no_text_encoder_reads_are_counted(tmp_path: Path) -> None:
    from diffusers import StableDiffusionInstructPix2PixPipeline

    from fashionedit.runtime.pipelines import dropped_tokens

    pipeline = StableDiffusionInstructPix2PixPipeline.from_pretrained(write_tiny_pix2pix(tmp_path / "good"))
    limit = pipeline.tokenizer.model_max_length
    assert dropped_tokens(pipeline, "a red hem") == {}
    text = "a red hem " * limit
    assert dropped_tokens(pipeline, text) == {"tokens_dropped": len(pipeline.tokenizer(text)["input_ids"]) - limit}
    pipeline.components["tokenizer"].model_max_length = 10**6
    assert dropped_tokens(pipeline, text) == {}
