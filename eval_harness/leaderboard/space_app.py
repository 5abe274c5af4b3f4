"""The leaderboard of FashionEdit: a page of filters and tables over `leaderboard.json`.

`fashionedit leaderboard --space DIR` writes this file into the Space as `app.py`; it needs gradio and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

SHOWN = ("community", "imported ‡", "stitched §", "conversation ¶", "baselines")
MARKS = ["evidence", "on the Hub"]

ABOUT = """\
**FashionEdit** asks how well a model edits a fashion design, by words (*vanilla*) and by words and a picture (*bug*),
in three rounds. CLIP\\* is the share of results whose cosine with the original is above 0.9; CLIP is that cosine × 100;
PSNR is in dB. Every score counts the whole split: a round without an image is a miss for CLIP\\*, and counts elsewhere
with no more than the draft's score. That may be more than a poor edit has, so CLIP and PSNR stand in parentheses, and
rank nothing, where more than {most_failed:g} % of the samples failed.

The **draft** is the floor: what doing nothing scores; *flat grey* and the *faded draft* show how much PSNR is won by
nothing visible. **Return** and **paste the reference** † are what the reference
alone gives away. The **oracle** † is the original itself."""

EVIDENCE = """\
*verified*: the owners of the results repository computed every score again from the images. *community*: the evidence
does not contradict itself. *on the Hub*: whether the number stands in the model's repository (*merged*), in an open
pull request (*community*), or with another value (*differs*)."""


def prompts(board: dict[str, Any]) -> dict[str, str]:
    """Returns the protocols by what the page calls them."""
    return {f"{prompt} ({protocol})": protocol for protocol, prompt in board["prompts"].items()}


def columns(board: dict[str, Any], official: bool = True) -> list[dict[str, Any]]:
    """Returns the metrics of the leaderboard's own encoder, or those of others; the first is what the rows rank by."""
    return [one for one in board["columns"] if one["official"] is official]


def head(board: dict[str, Any], official: bool = True) -> list[str]:
    """Returns the headings of `main_table`."""
    scores = [text for one in columns(board, official) for text in (one["label"], f"{one['label']} 95 %")]
    return ["#", "Model", *scores, "over the draft", "n", "failed", *MARKS]


def _interval(value: dict[str, Any], sign: str = "") -> str:
    if value.get("low") is None or value.get("high") is None:
        return ""
    return f"{_fixed(value['low'], sign)} to {_fixed(value['high'], sign)}"


def _fixed(value: float, sign: str = "") -> str:
    """Returns the number with two decimals, and no minus before 0.00."""
    return f"{round(value, 2) + 0.0:{sign}.2f}"


def _name(row: dict[str, Any]) -> str:
    marks = "‡" * bool(row["supplied"]) + "§" * bool(row["stitched"]) + "¶" * bool(row["state"] == "conversation")
    name = "".join(one if one.isprintable() else " " for one in str(row["name"]))
    marks += "≠" * bool(row.get("two_pictures"))
    return name + marks + "†" * bool(row["privileged"])


def _chosen(
    board: dict[str, Any], protocol: str, reference: str, shown: Iterable[str], search: str, official: bool = True
) -> list[dict[str, Any]]:
    """Returns the rows to show, in the board's order."""
    wanted, hidden = prompts(board)[protocol], set(SHOWN) - set(shown)

    def is_shown(row: dict[str, Any]) -> bool:
        if row["official"] is not official or row["protocol"] not in (wanted, "–"):
            return False
        if row["reference"] not in (reference, "–"):
            return False
        kinds = {
            "community": row["evidence"] == "community",
            "imported ‡": row["supplied"],
            "stitched §": row["stitched"],
            "conversation ¶": row["state"] == "conversation",
            "baselines": row["kind"] in ("trivial", "baseline"),
        }
        if any(kinds[kind] for kind in hidden):
            return False
        return row["kind"] != "editor" or search.strip().casefold() in row["name"].casefold()

    return [row for row in board["rows"] if is_shown(row)]


def main_table(
    board: dict[str, Any], protocol: str, reference: str, shown: Iterable[str], search: str, official: bool = True
) -> list[list[Any]]:
    """Returns the lines of the table, floor first and ceiling last; an empty cell where there is no such number."""
    lines = []
    for row in _chosen(board, protocol, reference, shown, search, official):
        name = _name(row) if official else f"{_name(row)} ({row.get('encoder', '')})"
        cells: list[Any] = ["" if row["rank"] is None else row["rank"], name]
        for column in columns(board, official):
            value = row["scores"].get(column["id"]) or {}
            text = _fixed(value["mean"]) if value else ""
            ranked = column["is_share"] or row["failed"] <= board["most_failed"] * row["n"]
            cells += [text if ranked or not text else f"({text})", _interval(value)]
        gain = row["gain"] or {}
        over = f"{_fixed(gain['mean'], '+')} ({_interval(gain, '+')})" if gain else ""
        lines.append([*cells, over, row["n"], _failed(row), row["evidence"] or "", row["hub"] or ""])
    return lines


def _failed(row: dict[str, Any]) -> str:
    return f"{row['failed']} ({100 * row['failed'] / row['n']:.1f} %)" if row["failed"] else "0"


def class_table(
    board: dict[str, Any], protocol: str, reference: str, shown: Iterable[str], search: str, by: str, metric: str
) -> tuple[list[str], list[list[Any]]]:
    """Returns head and lines of the scores by class: a column for each class, with its number of samples."""
    rows = _chosen(board, protocol, reference, shown, search)
    ids = {one["label"]: one["id"] for one in columns(board)}
    counts = {one["value"]: one["n"] for row in rows for one in row["classes"] if one["by"] == by}
    lines = []
    for row in rows:
        cells: list[Any] = ["" if row["rank"] is None else row["rank"], _name(row), _failed(row)]
        found = {one["value"]: one["scores"].get(ids.get(metric)) for one in row["classes"] if one["by"] == by}
        for value in counts:
            score = found.get(value)
            cells.append(" ".join(filter(None, [_fixed(score["mean"]), f"({_interval(score)})"])) if score else "")
        lines.append(cells)
    return ["#", "Model", "failed", *(f"{value} (n = {count})" for value, count in counts.items())], lines


def left_out(board: dict[str, Any]) -> list[list[str]]:
    """Returns what stands in no table, and why."""
    refused = [["refused", one["place"], " ".join(one["reasons"][:3])] for one in board["refused"]]
    bare = [
        ["without evidence", one["model"], f"{one['task']} {one['value']:g} ({one['state']} on the Hub)"]
        for one in board["unsupported"] or ()
    ]
    return [*refused, *bare]


def page(board: dict[str, Any]) -> Any:
    """Returns the app."""
    import gradio as gr

    about = board["benchmark"]
    references = sorted({row["reference"] for row in board["rows"]} - {"–"}) or ["detail"]
    kinds = list(dict.fromkeys(one["by"] for row in board["rows"] for one in row["classes"]))
    shown, first = list(SHOWN), next(iter(prompts(board)))

    show = partial(gr.Dataframe, datatype="str", interactive=False, wrap=True)

    def table(protocol: str, reference: str, shown: list[str], search: str) -> Any:
        return gr.Dataframe(value=main_table(board, protocol, reference, shown, search), headers=head(board))

    def classes(protocol: str, reference: str, shown: list[str], search: str, by: str, metric: str) -> Any:
        top, lines = class_table(board, protocol, reference, shown, search, by, metric)
        return gr.Dataframe(value=lines, headers=top, datatype="str", column_count=len(top))

    with gr.Blocks(title="FashionEdit leaderboard") as app:
        gr.Markdown("# FashionEdit leaderboard\n\n" + ABOUT.format(most_failed=100 * board["most_failed"]))
        gr.Textbox(
            f"{about['repository']} {about['split']}, revision {about['revision'][:12]}, n = {about['samples']:,} "
            f"({board['garments']:,} garments). Intervals: {board['interval']}. Evidence: "
            f"{board['results_repository']}.",
            label="What is scored",
            interactive=False,
            lines=2,
        )
        with gr.Row():
            protocol = gr.Radio(list(prompts(board)), value=first, label="Prompt")
            default = "detail" if "detail" in references else references[0]
            reference = gr.Dropdown(references, value=default, label="Reference that is shown")
            marks = gr.CheckboxGroup(list(SHOWN), value=shown, label="Show too")
            search = gr.Textbox("", label="Model's name contains", max_lines=1)
        filters: list[Any] = [protocol, reference, marks, search]
        best = next((one["label"] for one in columns(board)), "")
        with gr.Tab("Table"):
            ranked = show(
                main_table(board, first, default, shown, ""),
                headers=head(board),
                column_count=len(head(board)),
                label=f"After the third round, ranked by {best}",
            )
            gr.Markdown(EVIDENCE)
        with gr.Tab("By class", visible=bool(kinds)):
            with gr.Row():
                by = gr.Dropdown(kinds, value=kinds[0] if kinds else None, label="By")
                metric = gr.Radio([one["label"] for one in columns(board)], value=best, label="Score")
            top, lines = class_table(board, first, default, shown, "", kinds[0] if kinds else "", best)
            grouped = show(lines, headers=top, label="With 95 % intervals")
        with gr.Tab("Other encoders"):
            gr.Markdown("Scores of other encoders: not ranked, and not to be compared with the leaderboard's.")
            others = [
                line
                for name in prompts(board)
                for one in references
                for line in main_table(board, name, one, shown, "", official=False)
            ]
            once = [line for place, line in enumerate(others) if line not in others[:place]]
            show(once, headers=head(board, official=False))
        with gr.Tab("Left out"):
            show(left_out(board), headers=["what", "whose", "why"])
        gr.on([one.change for one in filters], table, filters, ranked, api_name="table")
        gr.on(
            [one.change for one in [*filters, by, metric]], classes, [*filters, by, metric], grouped, api_name="classes"
        )
    return app


if __name__ == "__main__":
    page(json.loads(Path(__file__).with_name("leaderboard.json").read_text(encoding="utf-8"))).launch()
