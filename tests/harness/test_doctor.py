"""What the doctor finds, on toys that each have one ailment."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from image_service import ImageService
from PIL import Image, ImageChops, ImageFilter
from toy_editors import ToyEditor, tint
from toy_samples import ToySource

from fashionedit.cli import main
from fashionedit.data import register_folder
from fashionedit.errors import EditorError, InvalidDataError, ServiceError
from fashionedit.eval_harness.diagnostics.doctor import drawn_person, examine
from fashionedit.eval_harness.diagnostics.findings import Diagnosis
from fashionedit.eval_harness.editing import UNDECLARED, EditRequest, EditResult, ServiceReply, Status
from fashionedit.eval_harness.editors import resolve_editor
from fashionedit.synthetic.rendering import write_synthetic


def good(request: EditRequest) -> Image.Image:
    """An edit that instruction, reference and seed decide."""
    return tint(replace(request, round=1, state=None))


def findings(diagnosis: Diagnosis) -> dict[str, tuple[str, str]]:
    return {finding.name: (finding.level, finding.sentence) for finding in diagnosis.findings}


def found(does: Callable[[EditRequest], Any] = good, *, params: dict[str, Any] | None = None, **info: Any) -> Diagnosis:
    toy = ToyEditor(does)
    toy.info = replace(toy.info, **info)
    return examine(toy, ToySource(1), params=params)


def test_a_good_editor_is_ready_after_ten_calls() -> None:
    toy = ToyEditor(good)
    promised: list[int] = []
    diagnosis = examine(toy, ToySource(1), begin=promised.append)
    assert promised == [12]  # words of other rounds are tried before a sentence of ours
    assert diagnosis.calls == len(toy.requests) == 10
    assert diagnosis.ready
    assert diagnosis.verdict == "Ready."
    assert {finding.level for finding in diagnosis.findings} == {"ok"}
    assert [(request.protocol, request.round) for request in toy.requests[:6]] == [
        (protocol, round) for protocol in ("vanilla", "bug") for round in (1, 2, 3)
    ]


def test_rounds_follow_one_another_and_variations_differ_in_one_thing() -> None:
    toy = ToyEditor(good)
    source = ToySource(1)
    examine(toy, source)
    vanilla, bug = toy.requests[:3], toy.requests[3:6]
    assert vanilla[1].base.tobytes() == good(vanilla[0]).tobytes()
    assert bug[2].base.tobytes() == good(bug[1]).tobytes()
    again, words, reference, person = toy.requests[6:]
    first = bug[0]
    assert (again.instruction, again.seed, again.base.tobytes()) == (
        first.instruction,
        first.seed,
        first.base.tobytes(),
    )
    assert words.instruction != first.instruction
    assert words.references[0].tobytes() == first.references[0].tobytes()
    assert reference.instruction == first.instruction
    assert reference.references[0].size == first.references[0].size
    assert reference.references[0].tobytes() != first.references[0].tobytes()
    assert person.base.tobytes() == drawn_person().tobytes()
    assert {request.seed for request in (again, words, reference, person)} == {first.seed}


def test_the_baselines_that_look_at_nothing_are_found_out() -> None:
    told = findings(examine(resolve_editor("identity"), ToySource(1)))
    assert told["reference"][0] == told["instruction"][0] == told["content"][0] == "problem"
    assert "6 of 6 pictures are the base image, unchanged" in told["content"][1]
    assert told["seed"][0] == "ok"
    told = findings(examine(resolve_editor("return-reference"), ToySource(1)))
    assert "3 of 3 pictures are the reference itself" in told["content"][1]
    assert (told["reference"][0], told["instruction"][0]) == ("ok", "problem")


@pytest.mark.parametrize("name", ["oracle", "paste-reference", "synthetic-stepper"])
def test_who_is_told_the_answer_is_not_examined(name: str) -> None:
    with pytest.raises(InvalidDataError, match="sees the answer"):
        examine(resolve_editor(name), ToySource(1))


def turned(request: EditRequest) -> Image.Image:
    image = good(request)
    image.getexif()[0x0112] = 6
    return image


def refuses(request: EditRequest) -> EditResult:
    return EditResult.failed(Status.REFUSED, "Not this one.")


def raises(request: EditRequest) -> Any:
    raise RuntimeError("out of luck")


AILMENTS: dict[str, tuple[Callable[[EditRequest], Any], str, str, str]] = {
    "transparent": (lambda r: good(r).convert("RGBA"), "alpha", "note", "transparency (mode RGBA), which is laid on"),
    "turned": (turned, "exif", "problem", "EXIF orientation 6"),
    "grey": (lambda r: good(r).convert("L"), "mode", "note", "has mode L"),
    "square": (lambda r: good(r).resize((40, 40)), "size", "note", "32×48 pixels come back as 40×40, another shape"),
    "doubled": (lambda r: good(r).resize((64, 96)), "size", "note", "come back as 64×96; a run keeps that size"),
    "like the reference": (
        lambda r: good(r).resize(r.references[0].size if r.references else r.base.size),
        "size",
        "problem",
        "the shape of the reference",
    ),
    "no eye for references": (
        lambda r: good(replace(r, images=r.images[:1])),
        "reference",
        "problem",
        "exactly the same picture: the reference image is ignored",
    ),
    "refuses": (refuses, "edits", "problem", "0 of 6 rounds gave a picture (6 refused); the first failure: Not"),
    "refuses once": (
        lambda r: refuses(r) if r.round == 2 else good(r),
        "edits",
        "note",
        "4 of 6 rounds gave a picture (2 refused)",
    ),
    "refuses people": (
        lambda r: refuses(r) if r.base.size == drawn_person().size else good(r),
        "people",
        "problem",
        "It refuses a drawn figure",
    ),
    "black": (lambda r: Image.new("RGB", r.base.size), "content", "problem", "6 of 6 pictures are black"),
    "red": (lambda r: Image.new("RGB", r.base.size, "red"), "content", "problem", "6 of 6 pictures are of one colour"),
    "unguided": (
        lambda r: EditResult.ok(good(r), params={"true_cfg_scale": 4.0}),
        "guidance",
        "problem",
        "true_cfg_scale is 4 without a negative prompt",
    ),
    "raises": (raises, "edits", "problem", "0 of 6 rounds gave a picture (6 error); the first failure: R"),
    "no pixels": (lambda r: Image.new("RGB", (0, 4)), "edits", "problem", "6 invalid_image"),
}


@pytest.mark.parametrize("name", AILMENTS)
def test_an_ailment_is_told_in_a_sentence(name: str) -> None:
    does, finding, level, sentence = AILMENTS[name]
    diagnosis = found(does)
    assert findings(diagnosis)[finding][0] == level
    assert sentence in findings(diagnosis)[finding][1]
    assert diagnosis.ready == all(finding.level != "problem" for finding in diagnosis.findings)
    assert diagnosis.calls == (12 if name in ("black", "red") else 10)  # words of other rounds, where nothing changes


def test_what_a_healthy_editor_is_told_where_ailing_ones_are_not() -> None:
    assert {"edits", "images", "reference", "instruction", "seed", "size", "file", "content", "people"} < set(
        findings(found())
    )
    assert "file" not in findings(found(AILMENTS["transparent"][0]))
    assert not {"size", "file", "content"} & set(findings(found(raises)))


def test_vanilla_alone_is_a_note_and_asks_no_reference() -> None:
    toy = ToyEditor(good, takes_reference=False)
    promised: list[int] = []
    told = findings(examine(toy, ToySource(1), begin=promised.append))
    assert (promised, len(toy.requests)) == ([8], 6)
    assert told["images"] == (
        "note", "It takes one image and no reference."
    )  # fmt: skip
    assert "reference" not in told
    assert told["instruction"][0] == "ok"


def test_an_editor_that_knows_the_words_of_the_dataset_alone_looks_at_them() -> None:
    source = ToySource(1)
    known = [item.description for item in source.sample(source.ids[0]).differences]

    def by_word(request: EditRequest) -> Image.Image:
        number = next((n for n, text in enumerate(known) if text in request.instruction), None)
        tone = (0, 0, 0) if number is None else (60 * number + 40, 9, 9)
        return ImageChops.add_modulo(request.base, Image.new("RGB", request.base.size, tone))

    told = findings(found(by_word))
    assert told["instruction"][0] == "ok"


@pytest.mark.parametrize("quality", [95, 60])
def test_a_base_that_is_only_encoded_anew_is_unchanged(quality: int) -> None:
    def encoded(request: EditRequest) -> Image.Image:
        buffer = io.BytesIO()
        request.base.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer)

    told = findings(found(encoded))
    assert told["content"] == ("problem", "6 of 6 pictures are the base image, unchanged but for its encoding.")


def test_a_small_edit_is_no_unchanged_base() -> None:
    def dotted(request: EditRequest) -> Image.Image:
        image = request.base.copy()
        image.paste((0, 200, 0), (6 * request.round, 5, 6 * request.round + 5, 10))
        return image

    assert findings(found(dotted))["content"][0] == "ok"


def test_stitching_and_no_version_and_conversation_are_told() -> None:
    told = findings(found(stitched=True, fingerprint=f"{UNDECLARED}1", state="conversation"))
    assert told["images"][0] == "note"
    assert "side by side" in told["images"][1]
    assert told["resume"][0] == "note"
    assert "declares no version" in told["resume"][1]
    assert told["state"][0] == "problem"


def test_chance_is_not_taken_for_influence() -> None:
    count = 0

    def shuffled(request: EditRequest) -> Image.Image:
        nonlocal count
        count += 1
        return ImageChops.offset(request.base, 3 * count, count).filter(ImageFilter.BoxBlur(1))

    told = findings(found(shuffled))
    assert told["seed"][0] == told["reference"][0] == told["instruction"][0] == "note"
    assert "tell this from chance" in told["reference"][1]


def test_time_and_money_are_extrapolated_to_the_whole_split() -> None:
    def timed(request: EditRequest) -> EditResult:
        return EditResult.ok(good(request), seconds=4.0, cost_usd=0.05, reply=ServiceReply(200))

    told = findings(found(timed, at_once=8))
    assert told["time"][1] == (
        "4.0 s an edit; 1,000 samples × 3 rounds × 2 protocols take about 50 minutes with 8 at once."
    )
    assert told["money"][1] == "$0.0500 an edit; 1,000 samples × 3 rounds × 2 protocols cost about $300.00."
    estimated = findings(found(at_once=8, usd_per_edit=0.25))["money"]
    assert "At most $0.2500 an edit by estimate" in estimated[1]
    assert findings(found(at_once=8))["money"][0] == "note"
    assert "money" not in findings(found())


def test_a_users_own_samples_stand_in_for_the_drawn_figure() -> None:
    toy = ToyEditor(good)
    promised: list[int] = []
    told = findings(examine(toy, ToySource(5, draft_size=(20, 30)), begin=promised.append))
    assert (promised, len(toy.requests)) == ([11], 9)
    assert "people" not in told
    assert "5 samples × 3 rounds × 2 protocols" in told["time"][1]


def test_params_that_were_not_used_are_told() -> None:
    def stubborn(request: EditRequest) -> EditResult:
        return EditResult.ok(good(request), params={"steps": 8})

    said = [f.sentence for f in found(stubborn, params={"steps": 4, "guidance": 2}).findings if f.name == "params"]
    assert said == ["Not what was asked for: steps is 8 and not 4.", "It does not say whether it used guidance."]
    assert findings(found(stubborn))["params"] == ("ok", "It says what it used: steps=8.")


def test_a_service_that_never_worked_is_one_sentence_and_one_that_gave_up_is_a_finding() -> None:
    calls = 0

    def no_quota(request: EditRequest) -> Any:
        nonlocal calls
        calls += 1
        if calls > 4:
            raise ServiceError("no money is left")
        return good(request)

    diagnosis = found(no_quota)
    told = findings(diagnosis)
    assert told["stopped"] == ("problem", "No further call was made: no money is left.")
    assert told["edits"][1] == "4 of 4 rounds gave a picture."
    assert diagnosis.calls == 5
    with pytest.raises(ServiceError):
        found(no_quota)
    with pytest.raises(EditorError, match="edit\\(\\) returned str"):
        found(lambda request: "a picture")


def test_an_editor_is_closed_whatever_happens() -> None:
    class Closing(ToyEditor):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    well, ill = Closing(good), Closing(lambda request: "no result")
    examine(well, ToySource(1))
    with pytest.raises(EditorError):
        examine(ill, ToySource(1))
    assert (well.closed, ill.closed) == (1, 1)


# The command


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("fashionedit_plugin_"):
            del sys.modules[name]


def code_of(*arguments: str) -> int:
    try:
        main(["doctor", *arguments, "--quiet"])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


@pytest.mark.usefixtures("_here")
def test_the_command_tells_findings_verdict_and_the_run_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(
        "from PIL import Image, ImageChops\n"
        "def edit(image, instruction, reference=None, *, depth=1):\n"
        "    tone = Image.new('RGB', image.size, (len(instruction) * depth % 256, 9, 9))\n"
        "    image = ImageChops.add_modulo(image, tone)\n"
        "    if reference is not None:\n"
        "        image.paste(reference.resize((20, 20)), (0, 0))\n"
        "    return image\n"
    )
    before = sorted(tmp_path.iterdir())
    assert code_of("mine.py:edit", "--param", "depth=3") == 0
    out, err = capsys.readouterr()
    assert err == "this makes up to 12 calls of mine.py:edit\n"
    *lines, verdict, following = out.splitlines()
    assert lines[0] == "mine:edit, 10 calls"
    assert {line.split()[0] for line in lines[1:]} == {"ok"}
    assert verdict == "Ready."
    assert following == "next: fashionedit run mine.py:edit --data synthetic --out runs/mine-edit --param depth=3"
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "__pycache__"] == before

    assert code_of("identity", "--data", "synthetic:1", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["editor"], told["ready"], told["calls"]) == ("identity", False, 12)
    assert {finding["name"] for finding in told["findings"] if finding["level"] == "problem"} == {
        "reference",
        "instruction",
        "content",
    }
    assert told["verdict"] == "Not ready: 3 problems."


@pytest.mark.usefixtures("_here")
def test_the_command_it_gives_runs_the_same_editor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-123456")
    write_synthetic(tmp_path / "data", 1, ("validation",))
    register_folder(tmp_path / "data")
    with ImageService() as service:
        given = ["openai:gpt-image-1", "--base-url", service.openai, "--option", "send_seed=true", "--param"]
        given += ["quality=low", "--timeout", "30", "--price", "input=5,output=40"]
        assert code_of(*given, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert len(service.calls) == told["calls"] == 10
        sentences = {finding["name"]: finding["sentence"] for finding in told["findings"]}
        assert sentences["money"].startswith("$0.0653 an edit")
        assert "with 8 at once" in sentences["time"]
        assert told["command"].startswith("fashionedit run openai:gpt-image-1 --data fashionedit --out runs/")
        line = shlex.split(told["command"])  # as it is printed
        done = subprocess.run(
            [sys.executable, "-m", *line, "--quiet"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "6 ok" in done.stdout, done.stderr
        assert {call.body["quality"] for call in service.calls[10:]} == {"low"}
        assert {call.body["seed"] for call in service.calls[:10]} == {call.body["seed"] for call in service.calls[10:]}


@pytest.mark.usefixtures("_here")
def test_where_no_data_is_known_the_command_it_gives_is_for_the_control_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code_of("identity", "--json")
    line = shlex.split(json.loads(capsys.readouterr().out)["command"])
    assert line[:5] == ["fashionedit", "run", "identity", "--data", "synthetic"]


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody"], "no editor is called 'nobody'"),
        (["oracle"], "sees the answer"),
        (["identity", "--data", "nowhere"], "nowhere"),
        (["identity", "--param", "steps"], "--param 'steps' is no KEY=VALUE"),
        (["identity", "--option", "dtype"], "--option 'dtype' is no KEY=VALUE"),
        (["identity", "--option", "dtype=fp16"], "identity has no option 'dtype'"),
        (["identity", "--price", "cheap"], "'cheap' is no price"),
        (["openai:gpt-image-1"], "OPENAI_API_KEY"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else None,
)
def test_a_mistake_is_one_sentence_and_code_2(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert code_of(*arguments) == 2
    error = capsys.readouterr().err.splitlines()
    assert says in error[-1]
    assert error[-1].startswith("fashionedit: ")
