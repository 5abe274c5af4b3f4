import re
from pathlib import Path

import pytest
from scored_toys import DrawnRun, MeanColours, ScoredSource, drawn_baselines, drawn_sample, stepped, toy_embedder

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.page.sections import gain_cells, score_cells
from fashionedit.eval_harness.running.records import EditorIdentity
from fashionedit.eval_harness.scores.details import sections
from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.eval_harness.scores.results import build_results
from fashionedit.eval_harness.scores.table import sections_text, to_console, to_markdown


def results(tmp_path: Path, *, clip: bool = True, control_set: bool = False, **options: object) -> Results:
    source = ScoredSource([drawn_sample(number) for number in range(4)], control_set=control_set)
    run = DrawnRun(tmp_path, source, **options)
    embedder = toy_embedder(MeanColours(is_clip=clip))
    return build_results(run, source, embedder, baselines=drawn_baselines(source))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_markdown_is_shaped_like_table_1(tmp_path: Path) -> None:
    found = results(tmp_path)
    lines = [line for line in to_markdown(found).splitlines() if line.startswith("|")]
    assert cells(lines[0]) == ["Method", "Prompt", "Round", "CLIP", "CLIP\\*", "PSNR", "n", "failed"]
    assert [cells(line)[:3] for line in lines[2:]] == [
        ["Draft (do nothing)", "–", "–"],
        *[["toy-editor", "text", str(round)] for round in (1, 2, 3)],
        *[["toy-editor", "text+image", str(round)] for round in (1, 2, 3)],
        ["Oracle (the original)†", "–", "–"],
    ]
    first = cells(lines[3])
    score = found.rows[1].scores["clip"]
    assert first[3] == f"{score.mean:.2f} ± {score.standard_error:.2f}"
    assert first[6:] == ["4", "0"]


def test_every_line_of_the_console_table_is_aligned(tmp_path: Path) -> None:
    text = to_console(results(tmp_path))
    lines = text.splitlines()
    top = next(number for number, line in enumerate(lines) if line.startswith("Method"))
    table = [line for line in lines[top : lines.index("", len(lines) - 8)] if line]
    ends = {line.rindex(line.split()[-1]) + len(line.split()[-1]) for line in table[:9]}
    assert len(ends) == 1
    assert table[1].replace(" ", "").strip("─") == ""


@pytest.mark.parametrize("width", [66, 80, 100])
def test_a_narrow_terminal_gets_a_narrow_table(tmp_path: Path, width: int) -> None:
    text = to_console(results(tmp_path, name="an-editor-with-a-name-that-goes-on-for-ever"), width)
    assert max(map(len, text.splitlines())) <= width
    assert "an-editor-wi" in text


def test_caption_says_what_was_scored_against(tmp_path: Path) -> None:
    text = to_markdown(results(tmp_path, control_set=True))
    assert text.startswith("drawn validation, n = 4 (4 garments); encoder: Mean colours; mean box area")
    assert "control set: rendered garments, not photographs" in text.splitlines()[0]
    assert "control set" not in to_markdown(results(tmp_path))


def test_another_encoder_is_never_called_clip(tmp_path: Path) -> None:
    table = "\n".join(line for line in to_markdown(results(tmp_path, clip=False)).splitlines() if line.startswith("|"))
    assert "CLIP" not in table
    assert "Cosine (Mean colours)" in table


def test_marks_have_footnotes(tmp_path: Path) -> None:
    editor = EditorIdentity(name="made-elsewhere", fingerprint="f", supplied=True)
    text = to_console(results(tmp_path, editor=editor))
    assert "made-elsewhere‡" in text
    assert "‡ images made elsewhere" in text
    assert "† sees the answer" in text
    assert "‡" not in to_console(results(tmp_path / "other"))


def test_failures_are_listed_by_status_with_the_other_readings(tmp_path: Path) -> None:
    def does(sample, protocol, round):
        if (sample.id, round) == ("card-01", 2):
            return Status.REFUSED
        return Status.TIMEOUT if (sample.id, round) == ("card-02", 2) else stepped(sample, round)

    text = to_console(results(tmp_path, does=does))
    assert "toy-editor, text, round 2: 1 refused, 1 timeout of 4. Carry-forward: CLIP" in text
    assert "Completers only (n = 2)" in text
    assert "CLIP* lies between 50.00 and 100.00" in text
    assert "Completers" not in to_console(results(tmp_path / "other"))


def test_identical_pairs_are_counted(tmp_path: Path) -> None:
    text = to_console(results(tmp_path))
    assert "PSNR of identical images is 361.2 dB" in text
    assert "toy-editor, text, round 3: 4" in text


def test_names_can_neither_break_the_table_nor_drive_the_terminal(tmp_path: Path) -> None:
    found = results(tmp_path, name="a|b\x1b[2J\n**c** <img>")
    assert "\x1b" not in to_console(found) + to_markdown(found)
    lines = [line for line in to_markdown(found).splitlines() if line.startswith("|")]
    assert len(lines) == 10
    assert r"a\|b \[2J \*\*c\*\* \<img>" in lines[3]


def test_the_failed_share_stands_in_every_table_and_limits_the_ranking(tmp_path: Path) -> None:
    def does(sample, protocol, round):
        return Status.REFUSED if (sample.id, round) == ("card-02", 3) else stepped(sample, round)

    found = results(tmp_path, does=does)
    text, markdown = to_console(found), to_markdown(found)
    (line,) = (line for line in markdown.splitlines() if line.startswith("| toy-editor | text | 3 "))
    score = found.rows[3].scores
    assert cells(line)[3:] == [
        f"({score['clip'].mean:.2f} ± {score['clip'].standard_error:.2f})",
        f"{score['clip_star'].mean:.2f} ± {score['clip_star'].standard_error:.2f}",
        f"({score['psnr'].mean:.2f} ± {score['psnr'].standard_error:.2f})",
        "4",
        "1 (25.0 %)",
    ]
    assert "1 (25.0 %)" in text
    assert "CLIP and PSNR rank only methods that failed on at most 5 % of the samples" in " ".join(text.split())
    for section in sections(found):
        assert not section.rows or "failed" in section.head
        column = section.head.index("failed") if section.rows else 0
        assert {row[column] for row in section.rows} <= {"0", "1 (25.0 %)", "1 (50.0 %)"}


def test_no_number_is_minus_zero(tmp_path: Path) -> None:
    found = results(tmp_path)
    (row,) = (row for row in found.rows if row.round == 2 and row.protocol == "bug")
    score = row.scores["clip"]
    assert score.gain is not None
    tiny = score.model_copy(
        update={"mean": -0.001, "gain": score.gain.model_copy(update={"mean": -0.001, "low": -0.004})}
    )
    rows = tuple(
        one.model_copy(update={"scores": one.scores | {"clip": tiny}}) if one is row else one for one in found.rows
    )
    altered = found.model_copy(update={"rows": rows})
    for text in (
        to_console(altered),
        sections_text(sections(altered)),
        *(str(cells(row, altered)) for row in rows for cells in (gain_cells, score_cells)),
    ):
        assert not re.search(r"[-−]0\.00(?!\d)", text)


def test_trivial_rows_are_explained(tmp_path: Path) -> None:
    source = ScoredSource([drawn_sample(number) for number in range(4)])
    found = build_results(DrawnRun(tmp_path, source), source, toy_embedder())
    lines = to_console(found).splitlines()
    for name in ("Flat grey", "Faded draft"):
        assert sum(line.startswith(name + "  ") for line in lines) == 1
    assert "Faded draft the draft at 40 % contrast" in " ".join(lines)
    grey = next(row for row in found.rows if row.editor == "flat-grey")
    assert grey.scores["psnr"].gain is not None
    assert (grey.run, grey.kind, grey.prompt, grey.round) == (None, "trivial", "–", 0)
