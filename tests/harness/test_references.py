"""`bug` with another kind of reference: what is shown, who takes part, and which numbers stand side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import pytest
from PIL import Image, ImageOps
from scored_toys import drawn_sample, toy_embedder
from toy_editors import ToyEditor
from toy_runs import records
from written_pages import read_page

from fashionedit.cli import main
from fashionedit.cli.options import reference_option
from fashionedit.errors import InvalidDataError, RunMismatchError, UnknownNameError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult
from fashionedit.eval_harness.editors import resolve_editor
from fashionedit.eval_harness.page.charts import charts
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.references import REFERENCES, WithReference, left_out, reference_of, with_reference
from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.running.imported import import_images
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.run_stats import summary_lines
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.eval_harness.scores.results import build_results, merge, read_results, write_results
from fashionedit.eval_harness.scores.table import to_console, to_markdown
from fashionedit.eval_harness.scores.timing import timing
from fashionedit.folder import FashionEditFolder, open_folder, write_folder
from fashionedit.images import pixel_digest
from fashionedit.types import Sample


def sketched(sample: Sample) -> Sample:
    """The sample with a line drawing of each crop, as far as an inversion is one."""
    return replace(sample, sketches=tuple(ImageOps.invert(one.reference) for one in sample.differences))


def shown(sample: Sample, *others: int) -> Sample:
    """The sample with the originals of other samples as its examples."""
    return replace(sample, examples=tuple(drawn_sample(number).original for number in others))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> FashionEditFolder:
    """Five samples, all with sketches; three with examples: one, two, and three of them."""
    samples = [sketched(drawn_sample(number, garment=f"g{number}")) for number in range(5)]
    samples[1] = shown(samples[1], 0)
    samples[3] = shown(samples[3], 2, 4)
    samples[4] = shown(samples[4], 0, 1, 2)
    out = tmp_path_factory.mktemp("references") / "cards"
    write_folder(out, {"validation": samples})
    return open_folder(out)


def half(request: EditRequest) -> Image.Image:
    """An edit that depends on the reference, where there is one."""
    image = request.base.copy()
    for reference in request.references:
        image.paste(reference.resize((20, 20)), (0, 0))
    return image


def scored(dataset: FashionEditFolder, out: Path, reference: str) -> Results:
    run(ToyEditor(half), dataset, out, reference=reference)
    results = build_results(RunFolder.open(out), dataset, toy_embedder())
    write_results(results, out / "results.json")
    return results


@pytest.fixture(scope="module")
def home(dataset: FashionEditFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scored run of each kind of reference, by its name."""
    home = tmp_path_factory.mktemp("runs")
    for kind in REFERENCES:
        scored(dataset, home / kind, kind)
    return home


@pytest.fixture(scope="module")
def results(home: Path) -> dict[str, Results]:
    return {kind: read_results(home / kind / "results.json") for kind in REFERENCES}


# What is shown


def test_sketches_are_shown_in_the_order_of_the_differences(dataset: FashionEditFolder, tmp_path: Path) -> None:
    editor = ToyEditor(half)
    run(editor, dataset, tmp_path / "run", reference="sketch", protocols=["bug"])
    for id in dataset.ids:
        sample = dataset.sample(id)
        for number, difference in enumerate(sample.differences):
            (request,) = (one for one in editor.requests if one.instruction.endswith(difference.description))
            assert request.references[0].tobytes() == sample.sketches[number].tobytes()
            assert request.round == number + 1


@pytest.mark.parametrize(("id", "order"), [("card-01", (0, 0, 0)), ("card-03", (0, 1, 0)), ("card-04", (0, 1, 2))])
def test_examples_take_turns(dataset: FashionEditFolder, id: str, order: tuple[int, ...]) -> None:
    view = with_reference(dataset, "example")
    examples = dataset.sample(id).examples
    found = [difference.reference.tobytes() for difference in view.sample(id).differences]
    assert found == [examples[place].tobytes() for place in order]
    assert view.digests(id).crops == tuple(pixel_digest(examples[place]) for place in order)


def test_all_but_the_reference_stays_as_it_is(dataset: FashionEditFolder) -> None:
    view = with_reference(dataset, "sketch")
    for id in dataset.ids:
        mine, theirs = dataset.sample(id), view.sample(id)
        assert (mine.id, mine.annotation, mine.garment) == (theirs.id, theirs.annotation, theirs.garment)
        assert [one.description for one in mine.differences] == [one.description for one in theirs.differences]
        assert [one.box for one in mine.differences] == [one.box for one in theirs.differences]
        assert (mine.original.tobytes(), mine.draft.tobytes()) == (theirs.original.tobytes(), theirs.draft.tobytes())
        assert view.facts(id) is dataset.facts(id)
        one, other = dataset.digests(id), view.digests(id)
        assert (one.original, one.draft) == (other.original, other.draft)
        assert other.crops == one.sketches != one.crops
    assert (view.name, view.split, view.control_set) == (dataset.name, dataset.split, dataset.control_set)
    assert view.manifest_hash == dataset.manifest_hash


def test_a_view_is_made_once_and_can_be_undone(dataset: FashionEditFolder) -> None:
    view = with_reference(dataset, "sketch")
    assert with_reference(dataset, "detail") is with_reference(view, "detail") is dataset
    assert with_reference(view, "sketch") is view
    other = with_reference(view, "example")
    assert isinstance(other, WithReference)
    assert (other.whole is dataset, len(other)) == (True, 3)
    assert [reference_of(one) for one in (dataset, view, other)] == ["detail", "sketch", "example"]
    assert [left_out(one) for one in (dataset, view, other)] == [0, 0, 2]


def test_the_crop_is_shown_unless_something_else_is_asked_for(dataset: FashionEditFolder, tmp_path: Path) -> None:
    for out, options in (("bare", {}), ("named", {"reference": "detail"})):
        run(ToyEditor(half), dataset, tmp_path / out, **options)
    one, other = (RunFolder.open(tmp_path / out) for out in ("bare", "named"))
    assert one.identity == other.identity
    assert one.identity.reference == "detail"


def test_a_privileged_editor_can_not_spoil_the_references(dataset: FashionEditFolder, tmp_path: Path) -> None:
    class Scribbler:
        def describe(self) -> EditorInfo:
            return EditorInfo("scribbler", "scribbler 1", privileged=True)

        def edit(self, request: EditRequest, sample: Sample) -> EditResult:
            for image in (*sample.sketches, *sample.examples, *(one.reference for one in sample.differences)):
                image.paste("red", (0, 0, *image.size))
            return EditResult.ok(request.references[0] if request.references else request.base)

    run(Scribbler(), dataset, tmp_path / "run", reference="sketch")
    for outcome in RunFolder.open(tmp_path / "run").outcomes(dataset):
        if outcome.protocol == "bug":
            assert outcome.current.digest == dataset.digests(outcome.sample).sketches[outcome.round - 1]


# Who takes part


def test_samples_without_the_kind_are_left_out_and_the_run_says_so(dataset: FashionEditFolder, tmp_path: Path) -> None:
    editor = ToyEditor(half)
    summary = run(editor, dataset, tmp_path / "run", reference="example")
    assert (summary.planned, summary.edits) == (3 * 2 * 3, 3 * 2 * 3)
    assert summary_lines(summary)[-1] == "3 of 5 samples have an example; the other 2 are left out"
    identity = RunFolder.open(tmp_path / "run").identity
    assert (identity.reference, identity.samples, identity.manifest) == ("example", 3, dataset.manifest_hash)
    assert {one.sample for one in RunFolder.open(tmp_path / "run").outcomes(dataset)} == {
        "card-01",
        "card-03",
        "card-04",
    }
    assert not run(ToyEditor(half), dataset, tmp_path / "sketch", reference="sketch").note
    write_folder(tmp_path / "pair", {"validation": [shown(drawn_sample(0), 1), drawn_sample(1)]})
    summary = run(ToyEditor(half), open_folder(tmp_path / "pair"), tmp_path / "one", reference="example")
    assert summary.note == "1 of 2 samples has an example; the other one is left out"


def test_a_dataset_without_the_kind_is_one_sentence(tmp_path: Path) -> None:
    write_folder(tmp_path / "plain", {"validation": [drawn_sample(0)]})
    plain = open_folder(tmp_path / "plain")
    for kind, says in (
        ("sketch", "has a sketch; .* column sketches"),
        ("example", "has an example; .* column examples"),
    ):
        with pytest.raises(InvalidDataError, match=f"no sample of plain validation {says}"):
            run(ToyEditor(half), plain, tmp_path / "run", reference=kind)
    with pytest.raises(
        UnknownNameError, match="no kind of reference is called 'photo'; choose detail, sketch, example"
    ):
        run(ToyEditor(half), plain, tmp_path / "run", reference="photo")
    assert not (tmp_path / "run").exists()


def test_a_run_continues_and_refuses_another_kind(dataset: FashionEditFolder, tmp_path: Path) -> None:
    asked = iter([False] * 7 + [True])
    run(ToyEditor(half), dataset, tmp_path / "run", reference="sketch", stop=lambda: next(asked))
    again = run(ToyEditor(half), dataset, tmp_path / "run", reference="sketch")
    assert (again.reused, again.edits, again.planned) == (7, 23, 30)
    with pytest.raises(RunMismatchError, match="reference: run has sketch, you asked detail"):
        run(ToyEditor(half), dataset, tmp_path / "run")
    with pytest.raises(RunMismatchError, match="reference: run has sketch, you asked example"):
        run(ToyEditor(half), dataset, tmp_path / "run", reference="example")


def test_vanilla_rounds_do_not_depend_on_the_kind(home: Path) -> None:
    keys = {
        (protocol, kind): {one.key for one in records(home / kind) if one.protocol == protocol}
        for protocol in ("vanilla", "bug")
        for kind in ("detail", "sketch")
    }
    assert keys["vanilla", "detail"] == keys["vanilla", "sketch"]
    assert not keys["bug", "detail"] & keys["bug", "sketch"]


def test_imported_images_say_what_their_maker_was_shown(dataset: FashionEditFolder, tmp_path: Path) -> None:
    made = tmp_path / "made" / "bug" / "1"
    made.mkdir(parents=True)
    for id in dataset.ids:
        Image.new("RGB", (30, 40), "teal").save(made / f"{id}.png")
    summary = import_images(tmp_path / "made", dataset, tmp_path / "run", name="them", reference="example", rounds=1)
    assert (summary.planned, summary.found) == (3, 3)
    assert summary.extra == ("bug/1/card-00.png", "bug/1/card-02.png")
    results = build_results(RunFolder.open(tmp_path / "run"), dataset, toy_embedder())
    assert {row.prompt for row in results.rows if row.run == 0} == {"text+example"}


# Which numbers stand side by side


def prompts(results: Results) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in results.rows:
        found.setdefault(row.editor, set()).add(row.prompt)
    return found


def test_the_baselines_get_the_runs_own_kind(
    dataset: FashionEditFolder, results: dict[str, Results], tmp_path: Path
) -> None:
    assert prompts(results["sketch"]) == {
        "identity": {"–"},
        "toy": {"text", "text+sketch"},
        "flat-grey": {"–"},
        "faded-draft": {"–"},
        "return-reference": {"text+sketch"},
        "paste-reference": {"text+sketch"},
        "oracle": {"–"},
    }
    run(resolve_editor("return-reference"), dataset, tmp_path / "returned", reference="sketch")
    own = build_results(RunFolder.open(tmp_path / "returned"), dataset, toy_embedder())
    returned, sketches, crops = (
        [row.scores for row in found.rows if row.editor == "return-reference"]
        for found in (own, results["sketch"], results["detail"])
    )
    assert returned == sketches != crops


def test_n_is_told_wherever_it_is_not_the_split(
    dataset: FashionEditFolder, home: Path, results: dict[str, Results], tmp_path: Path
) -> None:
    examples = results["example"]
    assert (examples.dataset.samples, examples.dataset.left_out) == (3, 2)
    assert {row.requested for row in examples.rows} == {3}
    assert [sample.id for sample in examples.samples] == ["card-01", "card-03", "card-04"]
    for text in (to_console(examples), to_markdown(examples)):
        assert "cards validation, n = 3 of 5 samples, those that have an example (3 garments)" in text
        assert "n is the samples that have this reference. A failed round" in text
        assert "text+example shows another photograph of the same garment." in text
        assert "whole split" not in text
    write_report(examples, [RunFolder.open(home / "example")], dataset, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("n = 3 of 5 samples, those that have an example") == 2
    assert "text+example: “Please edit the first image" in page
    assert "card-00" not in page


def test_where_all_have_it_nothing_more_is_said(results: dict[str, Results]) -> None:
    text = to_console(results["sketch"])
    assert "cards validation, n = 5 (5 garments)" in text
    assert "n is the whole split" in text
    assert "text+sketch shows a line drawing of the crop." in text
    assert "shows" not in to_console(results["detail"])


def test_kinds_over_the_same_samples_stand_apart_in_one_table(results: dict[str, Results]) -> None:
    parts = [results["detail"], results["sketch"]]
    merged = merge(parts)
    assert prompts(merged)["return-reference"] == prompts(merged)["paste-reference"] == {"text+image", "text+sketch"}
    assert {row.method for row in merged.rows if row.run is not None} == {
        "toy (reference detail)",
        "toy (reference sketch)",
    }
    for editor, count in (("identity", 1), ("return-reference", 6), ("paste-reference", 6), ("oracle", 6)):
        assert sum(row.editor == editor for row in merged.rows) == count
    for kind, part in zip(("text+image", "text+sketch"), parts, strict=True):
        mine = [row for row in merged.rows if row.kind == "baseline" and row.prompt == kind]
        assert mine == [row for row in part.rows if row.kind == "baseline"]
    text = to_console(merged)
    assert "Compare a row with the baselines of its own prompt." in text
    assert merge([merge(parts[:1]), parts[1]]) == merged
    lines = [line for line in charts(merged)[0].lines if line.baseline]
    assert len({(line.name, line.prompt) for line in lines}) == len({line.colour for line in lines}) == 4
    assert all(len(line.marks) == 4 for line in lines)


def test_a_baseline_run_replaces_the_shared_rows_of_its_kind_alone(
    dataset: FashionEditFolder, results: dict[str, Results], tmp_path: Path
) -> None:
    run(resolve_editor("return-reference"), dataset, tmp_path / "returned", reference="sketch")
    own = build_results(RunFolder.open(tmp_path / "returned"), dataset, toy_embedder())
    merged = merge([results["detail"], results["sketch"], own])
    found = [(row.prompt, row.run) for row in merged.rows if row.editor == "return-reference"]
    assert sorted(found, key=str) == [("text+image", None)] * 3 + [("text+sketch", 2)] * 3


def test_kinds_over_other_samples_are_never_put_in_one_table(results: dict[str, Results]) -> None:
    parts = [results["detail"], results["example"]]
    with pytest.raises(RunMismatchError) as caught:
        merge(parts)
    message = str(caught.value)
    for clause in ("dataset samples: 5 against 3", "reference shown: detail against example", "not the same ones"):
        assert clause in message
    moved = parts[1].model_copy(update={"samples": tuple(reversed(parts[1].samples))})
    with pytest.raises(RunMismatchError, match="samples: not the same ones"):
        merge([parts[1], moved])


def test_a_page_shows_to_each_run_what_it_was_shown(
    dataset: FashionEditFolder, home: Path, results: dict[str, Results], tmp_path: Path
) -> None:
    kinds = ("detail", "sketch")
    merged = merge([results[kind] for kind in kinds])
    write_report(merged, [RunFolder.open(home / kind) for kind in kinds], dataset, tmp_path / "page.html")
    page = read_page(tmp_path / "page.html")
    assert [len(one["rows"]) for one in page.details] == [4] * 5
    for one in page.details:
        assert [kind["kind"] for kind in one["references"]] == ["text+image", "text+sketch"]
        places = [picture[0] for kind in one["references"] for picture in kind["pictures"]]
        assert len(places) == len(set(places)) == 3 * 2
    assert "text+image, text+sketch: “Please edit the first image" in page.text


def test_an_example_that_is_another_samples_original_is_small_beside_the_words(tmp_path: Path) -> None:
    first, second = drawn_sample(0, size=(300, 400)), drawn_sample(1, size=(300, 400))
    samples = [replace(first, examples=(second.original,)), replace(second, examples=(first.original,))]
    write_folder(tmp_path / "pair", {"validation": samples})
    dataset = open_folder(tmp_path / "pair")
    results = scored(dataset, tmp_path / "run", "example")
    write_report(results, [RunFolder.open(tmp_path / "run")], dataset, tmp_path / "page.html")
    for one in read_page(tmp_path / "page.html").details:
        assert one["original"][1:] == [300, 400]
        assert [picture[1:] for picture in one["references"][0]["pictures"]] == [[180, 240]] * 3


def test_times_are_those_of_the_runs_own_samples(dataset: FashionEditFolder, home: Path) -> None:
    assert {one["edits"] for one in timing(RunFolder.open(home / "example"), dataset)["rounds"]} == {3}


# On the command line


def test_the_option_offers_the_kinds_there_are() -> None:
    @click.command()
    @reference_option
    def verb(reference: str) -> None:
        """Nothing."""

    (option,) = verb.params
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == tuple(REFERENCES)


def test_the_command_runs_scores_and_shows_each_kind(
    dataset: FashionEditFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: object) -> str:
        main([*map(str, arguments)])
        return capsys.readouterr().out

    runs = {kind: tmp_path / kind for kind in REFERENCES}
    for kind, out in runs.items():
        text = told("run", "identity", "--data", dataset.path, "--out", out, "--reference", kind, "--quiet")
        assert ("the other 2 are left out" in text) == (kind == "example")
    for kind, out in runs.items():
        scored = told("score", out, "--encoder", "offline", "--device", "cpu", "--quiet")
        assert PROTOCOLS["bug"].prompt(REFERENCES[kind].label) in scored
    both = told("show", runs["detail"], runs["sketch"])
    assert "identity (reference detail)" in both
    assert "identity (reference sketch)" in both
    page = tmp_path / "both.html"
    assert told("report", runs["detail"], runs["sketch"], "--out", page, "--quiet") == f"{page}\n"
    with pytest.raises(SystemExit):
        told("show", runs["detail"], runs["example"])
