from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toy_samples import RECTANGLES, ToySource

from fashionedit.errors import EditorError, InvalidDataError, RunMismatchError, UnknownNameError
from fashionedit.eval_harness.editing import Editor, EditRequest, EditResult, RequestImage, Status
from fashionedit.eval_harness.editors import EDITORS, EditorSettings, resolve_editor
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.images import pixel_digest

PRIVILEGED = {"paste-reference", "oracle", "synthetic-stepper"}


@pytest.fixture(autouse=True)
def _own_import_path() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def request(*, reference: Image.Image | None = None, params: dict[str, object] | None = None) -> EditRequest:
    images = [RequestImage("base", Image.new("RGB", (8, 6), "blue"))]
    if reference is not None:
        images.append(RequestImage("reference", reference))
    protocol = "bug" if reference is not None else "vanilla"
    return EditRequest("id", protocol, 2, "make it red", tuple(images), 11, params or {}, {"turn": 1})


def written(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text("from PIL import Image\nfrom fashionedit.eval_harness.editing import *\n" + text)
    return path


def edited(editor: object, asked: EditRequest) -> EditResult:
    assert isinstance(editor, Editor)
    return editor.edit(asked)


def digests(out: Path, source: ToySource) -> dict[tuple[str, str, int], str]:
    return {(o.protocol, o.sample, o.round): o.current.digest for o in RunFolder.open(out).outcomes(source)}


# The editors that come with the harness


@pytest.mark.parametrize("name", EDITORS)
def test_each_built_in_editor_tells_its_name_and_privilege(name: str) -> None:
    info = resolve_editor(name).describe()
    assert (info.name, info.privileged) == (name, name in PRIVILEGED)
    assert name in info.fingerprint


@pytest.mark.parametrize(
    ("name", "rounds", "expected"),
    [
        ("identity", 12, lambda known, round: known.draft),
        ("return-reference", 6, lambda known, round: known.crops[round - 1]),
        ("oracle", 12, lambda known, round: known.original),
    ],
)
def test_what_a_baseline_answers_is_known(tmp_path: Path, name: str, rounds: int, expected: Any) -> None:
    source = ToySource(2, draft_size=(20, 30))
    run(resolve_editor(name), source, tmp_path / "run")
    answers = digests(tmp_path / "run", source)
    assert len(answers) == rounds
    for (_, sample, round), digest in answers.items():
        assert digest == expected(source.digests(sample), round)


@pytest.mark.parametrize("name", ["paste-reference", "synthetic-stepper"])
def test_after_round_k_boxes_one_to_k_are_the_originals(tmp_path: Path, name: str) -> None:
    source = ToySource(2)
    run(resolve_editor(name), source, tmp_path / "run")
    found = digests(tmp_path / "run", source)
    assert {protocol for protocol, _, _ in found} == ({"bug"} if name == "paste-reference" else {"vanilla", "bug"})
    for (_, sample, round), digest in found.items():
        expected = source.sample(sample).draft.copy()
        for rectangle in RECTANGLES[:round]:
            expected.paste(source.sample(sample).original.crop(rectangle), rectangle[:2])
        assert digest == pixel_digest(expected)
        assert (digest == source.digests(sample).original) == (round == 3)


def test_paste_reference_scales_the_crop_to_the_box_on_the_draft(tmp_path: Path) -> None:
    source = ToySource(1, draft_size=(64, 96))
    run(resolve_editor("paste-reference"), source, tmp_path / "run", rounds=1)
    sample = source.sample("toy-00")
    left, top, right, bottom = (2 * edge for edge in RECTANGLES[0])
    expected = sample.draft.copy()
    patch = sample.differences[0].reference.resize((right - left, bottom - top), Image.Resampling.LANCZOS)
    expected.paste(patch, (left, top))
    assert digests(tmp_path / "run", source)["bug", "toy-00", 1] == pixel_digest(expected)


def test_stepper_refuses_samples_that_are_not_synthetic(tmp_path: Path) -> None:
    with pytest.raises(EditorError, match=r"a draft of 20×30 and an original of 32×48 pixels; it works on the synth"):
        run(resolve_editor("synthetic-stepper"), ToySource(1, draft_size=(20, 30)), tmp_path / "run")


# Names


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        UnknownNameError, match=r"no editor is called 'flux'; choose identity, return-reference, .*oracle"
    ):
        resolve_editor("flux")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("no_such_module_here:edit", "no module is called 'no_such_module_here'"),
        ("json.no_such:edit", "no module is called 'json.no_such'"),
        ("json:edit", "json has no 'edit'; it has"),
        ("json:", "names no editor"),
        (":edit", "names no editor"),
        (".relative:edit", "is a relative name"),
        ("nowhere/mine.py:edit", "there is no file nowhere/mine.py"),
    ],
)
def test_a_name_that_leads_nowhere_is_one_sentence(spec: str, words: str) -> None:
    with pytest.raises(UnknownNameError, match=words):
        resolve_editor(spec)


def test_an_error_inside_the_users_module_is_theirs_to_see(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        resolve_editor(f"{written(tmp_path, '1 / 0')}:edit")
    with pytest.raises(ModuleNotFoundError, match="no_such_thing") as caught:
        resolve_editor(f"{written(tmp_path, 'import no_such_thing')}:edit")
    assert not isinstance(caught.value, UnknownNameError)


def test_a_module_of_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "def edit(image, instruction): return image", "module_here.py")
    monkeypatch.chdir(tmp_path)
    assert resolve_editor("module_here:edit").describe().name == "module_here:edit"


def test_a_file_may_import_its_neighbours_and_its_name_tells_no_folder(tmp_path: Path) -> None:
    written(tmp_path, "COLOUR = 'red'", "neighbour_module.py")
    path = written(
        tmp_path,
        "from neighbour_module import COLOUR\ndef edit(image, instruction): return Image.new('RGB', (2, 2), COLOUR)",
    )
    editor = resolve_editor(f"{path}:edit")
    assert editor.describe().name == "mine:edit"
    assert edited(editor, request()).image.getpixel((0, 0)) == (255, 0, 0)


# Functions


def test_a_function_is_given_what_it_asks_for_by_name(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "SEEN = []\n"
        "def edit(image, instruction, reference=None, *, seed, strength=1):\n"
        "    SEEN.append((image.size, instruction, reference and reference.size, seed, strength))\n"
        "    return image\n",
    )
    editor = resolve_editor(f"{path}:edit")
    assert editor.describe().takes_reference is True
    edited(editor, request(params={"strength": 4}))
    edited(editor, request(reference=Image.new("RGB", (3, 3))))
    module = sys.modules[editor._function.__module__]
    assert module.SEEN == [((8, 6), "make it red", None, 11, 4), ((8, 6), "make it red", (3, 3), 11, 1)]


def test_a_function_with_any_keywords_is_given_all(tmp_path: Path) -> None:
    path = written(tmp_path, "def edit(picture, words, **kw):\n    return EditResult.ok(picture, state=sorted(kw))\n")
    answer = edited(resolve_editor(f"{path}:edit"), request(params={"steps": 1}))
    assert answer.state == ["protocol", "reference", "round", "seed", "state", "steps"]


def test_a_function_without_reference_takes_part_in_vanilla_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "def edit(image, instruction): return image")
    assert resolve_editor(f"{path}:edit").describe().takes_reference is False


@pytest.mark.parametrize(
    "signature", ["asked: EditRequest", "asked: 'EditRequest'", "request", "request, more=1", "request, **kw"]
)
def test_a_function_of_a_request_is_given_the_request(tmp_path: Path, signature: str) -> None:
    name = signature.split(":")[0].split(",")[0]
    path = written(tmp_path, f"def edit({signature}):\n    return EditResult.ok({name}.base, state={name}.round)")
    editor = resolve_editor(f"{path}:edit")
    assert editor.describe().takes_reference is True
    assert edited(editor, request()).state == 2


@pytest.mark.parametrize(
    ("returned", "status", "words"),
    [
        ("None", Status.NO_IMAGE, "mine:edit returned None; return the edited picture"),
        ("'a.png'", Status.INVALID_IMAGE, "returned the path 'a.png', where there is no file"),
        ("[image]", Status.INVALID_IMAGE, "returned a list, which is no picture; return the edited picture"),
        ("{'image': image}", Status.INVALID_IMAGE, "returned a dict"),
        ("numpy.zeros((2, 8, 6))", Status.INVALID_IMAGE, "an array of float64 and shape (2, 8, 6)"),
        ("numpy.full((6, 8, 3), 300)", Status.INVALID_IMAGE, "levels outside 0..255"),
        ("numpy.full((6, 8, 3), 200.0)", Status.INVALID_IMAGE, "numbers outside 0..1"),
        ("__file__", Status.INVALID_IMAGE, "can't be read as an image"),
    ],
)
def test_what_is_no_picture_has_a_status(tmp_path: Path, returned: str, status: Status, words: str) -> None:
    path = written(tmp_path, f"import numpy\ndef edit(image, instruction): return {returned}")
    answer = edited(resolve_editor(f"{path}:edit"), request())
    assert (answer.status, words in answer.message) == (status, True)


@pytest.mark.parametrize(
    "returned",
    [
        "numpy.asarray(image)",
        "numpy.asarray(image) / 255",
        "(numpy.asarray(image) / 255).astype('float32')",
        "numpy.asarray(image).astype('int64')",
        "numpy.asarray(image.convert('RGBA'))",
        "saved(image)",
        "str(saved(image))",
    ],
)
def test_arrays_and_paths_are_pictures(tmp_path: Path, returned: str) -> None:
    path = written(
        tmp_path,
        "import numpy, pathlib\n"
        "def saved(image):\n"
        "    path = pathlib.Path(__file__).with_name('out.png')\n"
        "    image.save(path)\n"
        "    return path\n"
        f"def edit(image, instruction): return {returned}",
    )
    answer = edited(resolve_editor(f"{path}:edit"), request())
    assert answer.image is not None, answer.message
    assert answer.image.convert("RGB").tobytes() == request().base.tobytes()


def test_a_wrong_param_leaves_no_run_folder(tmp_path: Path) -> None:
    path = written(tmp_path, "def edit(image, instruction, steps=1): return image")
    with pytest.raises(EditorError, match="takes no 'stepps'"):
        run(resolve_editor(f"{path}:edit"), ToySource(1), tmp_path / "run", params={"stepps": 4})
    assert not (tmp_path / "run").exists()


def test_a_changed_source_names_version_as_the_way_on(tmp_path: Path) -> None:
    path = written(tmp_path, "def edit(image, instruction): return image")
    run(resolve_editor(f"{path}:edit"), ToySource(1), tmp_path / "run")
    written(tmp_path, "def edit(image, instruction): return image  # as before")
    with pytest.raises(RunMismatchError, match=r"source has changed; .* declare a `version`"):
        run(resolve_editor(f"{path}:edit"), ToySource(1), tmp_path / "run")


@pytest.mark.parametrize(
    ("signature", "params", "words"),
    [
        ("image, instruction", {"steps": 4}, "takes no 'steps'; leave the param out"),
        ("image, instruction, **kw", {"seed": 4}, "param 'seed' is set by the harness"),
        ("image, instruction, mask", {}, "can't be called .*mask"),
    ],
)
def test_params_that_do_not_fit_are_one_sentence(
    tmp_path: Path, signature: str, params: dict[str, object], words: str
) -> None:
    path = written(tmp_path, f"def edit({signature}): return image")
    with pytest.raises(EditorError, match=words):
        edited(resolve_editor(f"{path}:edit"), request(params=params))


def test_a_type_error_of_the_function_itself_is_not_taken_for_a_wrong_call(tmp_path: Path) -> None:
    path = written(tmp_path, "def edit(image, instruction): return len(3)")
    with pytest.raises(TypeError, match="has no len") as caught:
        edited(resolve_editor(f"{path}:edit"), request())
    assert not isinstance(caught.value, EditorError)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def edit(): return None", "takes no image and instruction; write edit"),
        ("def edit(image): return None", "takes no image and instruction"),
        ("edit = min", "does not tell what it takes; write edit"),
        ("edit = int", "is a int and no editor"),  # a class that tells no signature
        ("edit = 3", "mine:edit is a int and no editor"),
        ("class edit:\n    def edit(self, request): return None", r"has edit\(\) and no describe\(\)"),
        ("class edit:\n    def __init__(self, model): pass", "can't be called without arguments"),
    ],
)
def test_what_is_no_editor_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(EditorError, match=words):
        resolve_editor(f"{written(tmp_path, text)}:edit")


# Classes and instances

CLASS = """
class Mine:
    def describe(self): return EditorInfo("mine", "mine 1", privileged=PRIVILEGED)
    def edit(self, request, *sample): return EditResult.ok(request.base, state=[type(s).__name__ for s in sample])
mine = Mine()
class Called:
    def __call__(self, image, instruction): return image
"""


@pytest.mark.parametrize("attribute", ["Mine", "mine"])
def test_classes_and_instances_say_themselves_who_they_are(tmp_path: Path, attribute: str) -> None:
    editor = resolve_editor(f"{written(tmp_path, 'PRIVILEGED = False' + CLASS)}:{attribute}")
    assert (editor.describe().name, editor.describe().fingerprint) == ("mine", "mine 1")


def test_an_own_privileged_editor_is_given_the_sample(tmp_path: Path) -> None:
    editor = resolve_editor(f"{written(tmp_path, 'PRIVILEGED = True' + CLASS)}:mine")
    run(editor, ToySource(1), tmp_path / "run", rounds=1)
    folder = RunFolder.open(tmp_path / "run")
    assert folder.identity.editor.privileged
    assert '"Sample"' in next((tmp_path / "run").glob("records/*/*.json")).read_text()


def test_a_callable_object_is_a_function(tmp_path: Path) -> None:
    for attribute in ("Called", "Called()"):
        path = written(tmp_path, f"PRIVILEGED = False{CLASS}\nfound = {attribute}\n")
        editor = resolve_editor(f"{path}:found")
        assert edited(editor, request()).status is Status.OK
        assert "source" in editor.describe().fingerprint


def test_an_attribute_of_an_attribute_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, "class Box:\n    @staticmethod\n    def edit(image, instruction): return image")
    assert resolve_editor(f"{path}:Box.edit").describe().name == "mine:Box.edit"


# Fingerprints


def test_changed_source_is_another_editor_and_the_run_says_so(tmp_path: Path) -> None:
    text = "def edit(image, instruction): return image"
    source, out = ToySource(1), tmp_path / "run"
    run(resolve_editor(f"{written(tmp_path, text)}:edit"), source, out)
    assert run(resolve_editor(f"{written(tmp_path, text)}:edit"), source, out).reused == 3
    with pytest.raises(
        RunMismatchError, match=r"editor.fingerprint: run has mine:edit source \w+, you asked mine:edit"
    ):
        run(resolve_editor(f"{written(tmp_path, text + '  # changed')}:edit"), source, out)


def test_a_declared_version_stands_for_the_source(tmp_path: Path) -> None:
    text = "def edit(image, instruction): return image\nedit.version = '3'"
    first = resolve_editor(f"{written(tmp_path, text)}:edit").describe()
    second = resolve_editor(f"{written(tmp_path, text + '  # changed')}:edit").describe()
    assert first.fingerprint == second.fingerprint == "mine:edit version 3"


@pytest.mark.parametrize(
    ("attribute", "fingerprint"),
    [("edit", "mine:edit version 7"), ("Mine", "mine 1 version 7"), ("Called", "mine:Called version 7")],
)
def test_the_version_of_the_command_line_is_part_of_the_identity(
    tmp_path: Path, attribute: str, fingerprint: str
) -> None:
    text = f"PRIVILEGED = False{CLASS}\ndef edit(image, instruction): return image\nedit.version = '3'"
    for end in ("", "  # changed"):
        editor = resolve_editor(f"{written(tmp_path, text + end)}:{attribute}", EditorSettings(version="7"))
        assert editor.describe().fingerprint == fingerprint


def test_a_run_by_the_source_is_not_continued_with_a_version(tmp_path: Path) -> None:
    spec = f"{written(tmp_path, 'def edit(image, instruction): return image')}:edit"
    run(resolve_editor(spec), ToySource(1), tmp_path / "run", rounds=1)
    with pytest.raises(RunMismatchError, match="give none where none was given"):
        run(resolve_editor(spec, EditorSettings(version="7")), ToySource(1), tmp_path / "run", rounds=1)


def test_a_version_is_refused_where_something_else_tells_it(tmp_path: Path) -> None:
    path = written(tmp_path, f"PRIVILEGED = False{CLASS}")
    with pytest.raises(EditorError, match=r"mine:mine is made already and tells its version in describe\(\)"):
        resolve_editor(f"{path}:mine", EditorSettings(version="7"))
    for version in ("7", "images"):
        with pytest.raises(InvalidDataError, match="identity has a version of its own; leave --version out"):
            resolve_editor("identity", EditorSettings(version=version))


def test_a_function_from_elsewhere_is_known_by_the_file_that_defines_it(tmp_path: Path) -> None:
    written(tmp_path, "def edit(image, instruction): return image", "defining_module.py")
    path = written(tmp_path, "from functools import partial\nfrom defining_module import edit\npart = partial(edit)")
    before = resolve_editor(f"{path}:edit").describe().fingerprint
    assert resolve_editor(f"{path}:part").describe().fingerprint.split()[-1] == before.split()[-1]
    written(tmp_path, "def edit(image, instruction): return image.copy()", "defining_module.py")
    assert resolve_editor(f"{path}:edit").describe().fingerprint != before


def test_code_without_a_source_can_be_run_and_not_continued(tmp_path: Path) -> None:
    path = written(
        tmp_path, "space = {}\nexec('def edit(image, instruction): return image', space)\nedit = space['edit']"
    )
    source, out = ToySource(1), tmp_path / "run"
    run(resolve_editor(f"{path}:edit"), source, out)
    with pytest.raises(RunMismatchError, match="let it declare a `version`"):
        run(resolve_editor(f"{path}:edit"), source, out)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"status": Status.OK}, "with status ok has NoneType as image"),
        ({"status": Status.REFUSED, "image": Image.new("RGB", (4, 4)), "message": "no"}, "has an image; only ok has"),
        ({"status": Status.REFUSED, "message": "no", "retry": True}, "asks for a retry; only timeout and error may"),
        ({"status": Status.ERROR}, "with status error has no message; say what happened"),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(EditorError, match=sentence):
        EditResult(**values)
