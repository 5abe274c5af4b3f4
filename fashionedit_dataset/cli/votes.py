"""The verb that asks a model which of two results is better."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fashionedit.errors import UnknownNameError
from fashionedit.runtime.costs import usd

from .options import (
    PATH,
    data_again_option,
    number_option,
    open_run,
    option_group,
    parameters,
    progress_bar,
    quiet_option,
    repeated_option,
)
from .printing import echo

if TYPE_CHECKING:
    from fashionedit.eval_harness.votes.judge import Judge
    from fashionedit.eval_harness.votes.judging import JudgePlan, JudgeSummary
    from fashionedit.eval_harness.votes.pairs import PairList

_ASKED = ("temperature", "structured", "max_output_tokens", "max_side", "quality", "detail")
_MAY_BE_NONE = ("temperature", "max_output_tokens")

pairs_options = option_group(
    click.option("--protocol", metavar="NAME", help="Protocol to compare in; by default each that both runs have."),
    click.option("--protocol-b", metavar="NAME", help="Protocol of RUN_B, where it differs from that of RUN_A."),
    number_option("--round", 1, "Round to compare after; by default the last one that both runs have."),
    number_option("--round-b", 1, "Round of RUN_B, where it differs from that of RUN_A."),
    click.option(
        "--seed",
        type=int,
        default=0,
        show_default=True,
        help="Seed of the order of the pairs and of the sides.",
    ),
)
"""Which pairs of results are shown; `open_pairs` reads them."""


def open_pairs(runs: tuple[Path, Path], data: str | None, quiet: bool, given: dict[str, Any]) -> PairList:
    """Returns the pairs of two runs that the options of `pairs_options` name."""
    from fashionedit.eval_harness.votes.pairs import PairList, SideChoice

    first, source = open_run(runs[0], data, quiet)
    second, _ = open_run(runs[1], data, quiet)
    sides = (
        SideChoice(given["protocol"], given["round"]),
        SideChoice(given["protocol_b"], given["round_b"]),
    )
    return PairList((first, second), source, *sides, seed=given["seed"])


@click.command(short_help="Ask a vision model which of two runs is better.")
@click.argument("run_a", type=PATH)
@click.argument("run_b", type=PATH)
@click.option(
    "--model",
    required=True,
    metavar="SPEC",
    help="The judge: openai:MODEL (chat completions) or openai-responses:MODEL.",
)
@click.option("--base-url", metavar="URL", help="Address of an OpenAI-compatible service; OpenAI's by default.")
@click.option("--votes", type=PATH, required=True, metavar="DIR", help="Folder for the votes; not a run folder.")
@click.option("--name", help="Name of the voter in tables; SPEC by default.")
@pairs_options
@number_option("--limit", 1, "Judge the first N pairs only; without --limit the same command continues with the rest.")
@click.option("--show-original", is_flag=True, help="Show the judge the original too, which no editor sees.")
@click.option("--prompt", type=PATH, metavar="FILE", help="Text file with a question of your own.")
@repeated_option(
    "--ask",
    "asked",
    "KEY=VALUE",
    f"Setting of the calls: {', '.join(_ASKED[:-1])} or {_ASKED[-1]}. Repeatable.",
)
@number_option("--concurrency", 1, "Number of concurrent calls; 8 by default.")
@number_option("--retries", 0, "Number of retries after a temporary failure; 5 by default.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Seconds to wait for one answer."
)
@click.option(
    "--budget",
    type=click.FloatRange(0),
    metavar="USD",
    help="Stop before the total cost of all judging with this folder exceeds this.",
)
@click.option("--price", metavar="PRICE", help="Price of the model: input=USD,output=USD per million tokens.")
@repeated_option(
    "--retry",
    "retry",
    "REASON",
    "Ask again where there was no answer: refused or invalid. Repeatable.",
)
@click.option("--keep-going", is_flag=True, help="Continue even if the first answers are all unusable for one reason.")
@click.option(
    "--dry-run", is_flag=True, help="Count the calls and estimate the cost, and check key and model; spend nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary, or the plan, as JSON.")
@data_again_option
@quiet_option
def judge(
    run_a: Path,
    run_b: Path,
    votes: Path,
    data: str | None,
    limit: int | None,
    budget: float | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Ask a vision model for every sample which result is better, that of RUN_A or that of RUN_B.

    The model sees the draft, the wishes with their reference images, and both results, in both orders; an answer that
    changes with the order counts as a tie. Give the same command again to continue: an answer is never paid for twice.
    Give one run twice, with --round and --round-b or with --protocol and --protocol-b, to compare two rounds or two
    protocols of it.

    What the votes say: fashionedit compare RUN_A RUN_B --votes DIR. They are no part of a score or a leaderboard.
    """
    from fashionedit.eval_harness.votes.judging import JudgeSummary, judge_pairs, plan_judging
    from fashionedit.eval_harness.votes.votes import VoteFolder, voter_name

    found = _judge(given)
    folder = VoteFolder(votes)
    pairs = open_pairs((run_a, run_b), data, quiet, given)
    same: dict[str, Any] = {
        "name": voter_name(given["name"] or given["model"]),
        "limit": limit,
        "retry": given["retry"],
    }
    if dry_run:
        plan = plan_judging(pairs, found, folder, **same)
        if plan.calls:
            found.check()
        echo(json.dumps(asdict(plan), indent=1) if as_json else _plan_text(plan, found))
        return
    summary = JudgeSummary()
    try:
        with progress_bar(quiet or as_json)(f"judging by {same['name']}", "answer") as bar:
            judge_pairs(
                pairs,
                found,
                folder,
                **same,
                summary=summary,
                budget=budget,
                keep_going=given["keep_going"],
                progress=bar.at,
                spend=bar.spend,
                tell=lambda sentence: echo(f"fashionedit: {sentence}", err=True),
            )
    finally:
        if summary.pairs:
            echo(json.dumps(asdict(summary), indent=1) if as_json else _summary_text(summary, pairs.not_run))
    echo(f"next: fashionedit compare {run_a} {run_b} --votes {votes}", err=True)


def _judge(given: dict[str, Any]) -> Judge:
    from fashionedit.eval_harness.votes.judge import Judge, judge_model, read_prompt
    from fashionedit.runtime.costs import parse_price

    model, api = judge_model(given["model"])
    asked = parameters(given["asked"], "--ask")
    for key in asked:
        if key not in _ASKED:
            raise UnknownNameError(f"--ask takes no {key}; it takes {', '.join(_ASKED)}")
    asked |= {key: None for key in _MAY_BE_NONE if asked.get(key) == "none"}
    if given["prompt"] is not None:
        asked["prompt"] = read_prompt(given["prompt"])
    if given["price"] is not None:
        asked["price_given"] = parse_price(given["price"])
    options = {"concurrency": "concurrency", "retries": "max_retries", "timeout": "timeout"}
    asked |= {name: given[option] for option, name in options.items() if given[option] is not None}
    return Judge(model=model, api=api, base_url=given["base_url"], show_original=given["show_original"], **asked)


def _plan_text(plan: JudgePlan, judge: Judge) -> str:
    cost = "no price is known; give --price" if plan.usd is None else f"about {usd(plan.usd)}"
    return "\n".join(
        [
            f"{plan.pairs:,} pairs: {plan.alike:,} of the same picture twice (ties), {plan.judged:,} judged already",
            f"{plan.calls:,} calls of {judge.model} at {judge.host}, each pair in both orders",
            f"about {plan.input_tokens:,} tokens in and {plan.output_tokens:,} out: {cost}",
        ]
    )


def _summary_text(summary: JudgeSummary, not_run: int) -> str:
    lines = [f"{summary.pairs:,} pairs in both orders: {summary.asked:,} answers now, {summary.before:,} before"]
    if summary.alike:
        lines.append(f"{summary.alike:,} pairs are the same picture twice: ties, not asked")
    if summary.cached:
        lines.append(f"{summary.cached:,} answers taken over from the same pictures in another pair")
    lines += [f"{count:,} without an answer: {reason}" for reason, count in summary.failures.items() if count]
    if not_run:
        lines.append(f"{not_run:,} pairs left out: a run has not come to them")
    if summary.usd:
        lines.append(f"spent with this folder: {usd(summary.usd)}")
    return "\n".join(lines)
