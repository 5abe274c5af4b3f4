from __future__ import annotations

from pathlib import Path

import pytest
from scored_toys import toy_embedder
from toy_editors import ToyEditor, tint
from written_pages import read_page

from fashionedit.data import open_data
from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import EditRequest
from fashionedit.eval_harness.protocols import PROTOCOLS, EditingProtocol, ordered_protocols
from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.scores.results import build_results, read_results, write_results
from fashionedit.eval_harness.scores.table import to_console


@pytest.mark.parametrize(
    ("name", "roles", "prompt", "rounds", "instruction"),
    [
        ("draft", ("base",), "–", (0,), ""),
        ("vanilla", ("base",), "text", (1, 2), "Please edit the image based on the following description:a red collar"),
        (
            "bug",
            ("base", "reference"),
            "text+image",
            (1, 2),
            "Please edit the first image based on the following description and the second reference image:"
            "a red collar",
        ),
    ],
)
def test_protocols_are_those_of_table_one_and_of_the_reference_scripts(
    name: str, roles: tuple[str, ...], prompt: str, rounds: tuple[int, ...], instruction: str
) -> None:
    found = PROTOCOLS[name]
    assert (found.roles, found.prompt(), found.rounds(2)) == (roles, prompt, rounds)
    assert found.instruction("a red collar") == instruction


@pytest.mark.parametrize("count", [0, 4, -1])
def test_a_sample_has_three_differences_and_no_more_rounds(count: int) -> None:
    with pytest.raises(InvalidDataError, match=f"{count} rounds.*3 differences"):
        PROTOCOLS["bug"].rounds(count)


def test_order_of_asking_changes_nothing() -> None:
    assert ordered_protocols(["bug", "vanilla", "bug"]) == ("vanilla", "bug")


def test_unknown_protocol_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="'bugs'; choose draft, vanilla, bug"):
        ordered_protocols(["bugs"])
    with pytest.raises(UnknownNameError, match="no protocol was asked for"):
        ordered_protocols([])


def test_a_fourth_protocol_is_one_entry_from_the_run_to_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "Please edit the first image by the second reference image."
    monkeypatch.setitem(
        PROTOCOLS,
        "reference-only",
        EditingProtocol("reference-only", "{reference} alone", words, ("base", "reference")),
    )
    source, editor = open_data("synthetic:2"), ToyEditor()
    assert run(editor, source, tmp_path / "run").edits == 2 * 3 * 3
    asked = [request for request in editor.requests if request.protocol == "reference-only"]
    assert [(request.instruction, len(request.references)) for request in asked] == [(words, 1)] * 6
    with pytest.raises(
        UnknownNameError, match="takes no reference image, so it can't take part in protocol 'reference"
    ):
        run(ToyEditor(takes_reference=False), source, tmp_path / "none", protocols=["reference-only"])

    folder = RunFolder.open(tmp_path / "run")
    write_results(build_results(folder, source, toy_embedder()), tmp_path / "results.json")
    results = read_results(tmp_path / "results.json")
    prompts = {(row.editor, row.prompt, row.round) for row in results.rows if row.protocol == "reference-only"}
    assert prompts >= {(name, "image alone", 3) for name in ("toy", "return-reference", "paste-reference")}
    assert "image alone" in to_console(results)
    page = write_report(results, [folder], source, tmp_path / "page")
    assert {row["prompt"] for row in read_page(page).index["rows"]} == {"text", "text+image", "image alone"}
    assert words in page.read_text(encoding="utf-8")


def test_a_run_made_before_there_was_a_fourth_protocol_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(request: EditRequest) -> object:
        if request.round == 3:
            raise TimeoutError
        return tint(request)

    source = open_data("synthetic:1")
    run(ToyEditor(half), source, tmp_path / "run", protocols=["vanilla", "bug"])
    monkeypatch.setitem(PROTOCOLS, "other", EditingProtocol("other", "other", "Other words.", ("base",)))
    later = run(ToyEditor(), source, tmp_path / "run", protocols=["vanilla", "bug"])
    assert (later.reused, later.edits) == (4, 2)
