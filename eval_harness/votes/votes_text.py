"""The statistics of the votes as text: for a terminal, as Markdown, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from fashionedit.eval_harness.scores.intervals import LEVEL
from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.eval_harness.scores.table import Section, method_name, round_text, sections_text, short_label
from fashionedit.runtime.secrets import printable
from fashionedit.runtime.tables import escaped

from .agreement import Kappa, Share, VoteReport
from .verdicts import Contest

_NONE = "–"
_INTERVAL = f"{LEVEL} interval"


def votes_text(report: VoteReport, results: Results, *, markdown: bool = False) -> str:
    """Returns the statistics of the votes as aligned plain text or in GitHub's Markdown."""
    sections = [*_wins(report, results), _voters(report), _agreements(report), _predictions(report, results)]
    text = sections_text(sections, markdown=markdown)
    notes = "\n\n".join(escaped(note) if markdown else note for note in map(printable, _notes(report)))
    return f"{text}\n{notes}\n" if text else f"{notes}\n"


def votes_json(report: VoteReport, results: Results) -> dict[str, Any]:
    """Returns the statistics of the votes as plain JSON, with each verdict."""
    samples = [sample.id for sample in results.samples]
    verdicts = [
        {
            "voter": verdict.voter[0],
            "kind": verdict.voter[1],
            **_sides(verdict.contest, results),
            "sample": samples[verdict.place],
            "answer": verdict.answer,
            "asked": verdict.asked,
            "flipped": verdict.flipped,
        }
        for verdict in report.ballots.verdicts
    ]
    return {
        "wins": [asdict(rate) | {"contest": _sides(rate.contest, results)} for rate in report.wins],
        "voters": [asdict(voter) for voter in report.voters],
        "agreements": [asdict(agreement) for agreement in report.agreements],
        "predictions": [asdict(prediction) for prediction in report.predictions],
        "not_counted": {name: getattr(report.ballots, name) for name in ("elsewhere", "outdated", "incomplete")},
        "verdicts": verdicts,
    }


def _sides(contest: Contest, results: Results) -> dict[str, Any]:
    rows = {"first": results.rows[contest.first], "second": results.rows[contest.second]}
    named = {side: {"method": row.method, "protocol": row.protocol, "round": row.round} for side, row in rows.items()}
    return {**named, "original_shown": contest.original_shown}


def _wins(report: VoteReport, results: Results) -> Iterator[Section]:
    for contest in dict.fromkeys(rate.contest for rate in report.wins):
        rows = tuple(
            (
                rate.voter,
                rate.kind if rate.voters == 1 else f"{rate.voters} of them",
                str(rate.pairs),
                str(rate.wins.yes),
                str(rate.wins.half),
                str(rate.wins.no),
                _percent(rate.wins.share),
                _ends(rate.wins),
                _p(rate.wins.p),
            )
            for rate in report.wins
            if rate.contest == contest
        )
        yield Section(
            _title(contest, results),
            ("Votes of", "", "Pairs", "First", "Tie", "Second", "First wins", _INTERVAL, "p"),
            rows,
        )


def _title(contest: Contest, results: Results) -> str:
    first, second = (results.rows[place] for place in (contest.first, contest.second))
    shown = [[method_name(row), row.prompt, f"round {round_text(row)}"] for row in (first, second)]
    same = {place for place, texts in enumerate(zip(*shown, strict=True)) if place and texts[0] == texts[1]}
    names = [" ".join(text for place, text in enumerate(texts) if place not in same) for texts in shown]
    common = [shown[0][place] for place in sorted(same)]
    seen = ["with the original shown"] if contest.original_shown else []
    return ", ".join([f"Preferred: {names[0]} or {names[1]}", *common, *seen])


def _voters(report: VoteReport) -> Section:
    rows = tuple(
        (
            voter.voter,
            voter.kind,
            str(voter.showings),
            _percent(voter.ties / voter.showings) if voter.showings else _NONE,
            _NONE if voter.left is None else _percent(voter.left.share),
            _NONE if voter.left is None else _ends(voter.left),
            _NONE if voter.flipped is None else _percent(voter.flipped),
            str(voter.unanswered),
        )
        for voter in report.voters
    )
    return Section(
        "Voters",
        ("Voter", "Kind", "Answers", "Ties", "Left chosen", _INTERVAL, "Flipped", "Unanswered"),
        rows,
        (
            "Left chosen: of the answers that are no ties; far from 50 % is a position bias. Flipped: of a model's "
            "pairs, those whose answer changed with the order of the two; they count as ties.",
        ),
    )


def _agreements(report: VoteReport) -> Section:
    rows = tuple(
        (
            agreement.first,
            agreement.second,
            str(agreement.kappa.n),
            _percent(agreement.kappa.agreement),
            *_kappa(agreement.kappa),
        )
        for agreement in report.agreements
    )
    return Section(
        "Agreement of voters",
        ("Voter", "And", "Pairs", "Same answer", "Kappa", _INTERVAL),
        rows,
        (
            "Cohen's kappa of first, second or tie over the pairs that both were asked about: 0 is chance, 1 is "
            "perfect agreement.",
        ),
    )


def _predictions(report: VoteReport, results: Results) -> Section:
    rows = tuple(
        (
            prediction.voters,
            short_label(results.metric(prediction.metric)),
            str(prediction.share.n),
            str(prediction.share.garments),
            str(prediction.share.half),
            _percent(prediction.share.share),
            _ends(prediction.share),
        )
        for prediction in report.predictions
    )
    return Section(
        "How well the metrics predict the votes",
        ("Votes of", "Metric", "Votes", "Garments", "Equal", "Predicted", _INTERVAL),
        rows,
        (
            "Predicted: of the votes that are no ties, those in which the preferred result has the higher score; equal "
            "scores count half. 50 % is a coin.",
        ),
    )


def _notes(report: VoteReport) -> Iterator[str]:
    if not report.wins:
        yield "No vote is about these runs."
    else:
        yield (
            "First wins: the share of the pairs in which the first was preferred, ties half. Intervals are clustered "
            "by garment; p is not corrected for the number of rows. Votes are no part of any score."
        )
    counts = {
        "about other runs or samples": report.ballots.elsewhere,
        "about pictures that these runs no longer have": report.ballots.outdated,
    }
    left_out = [f"{count:,} {what}" for what, count in counts.items() if count]
    if left_out:
        yield f"Not counted: {' and '.join(left_out)}."
    if report.ballots.incomplete:
        yield (
            f"{report.ballots.incomplete:,} pairs that a model did not answer in both orders are left out; fashionedit "
            "judge goes on with them."
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _ends(share: Share) -> str:
    if share.low is None or share.high is None:
        return _NONE
    return f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _kappa(kappa: Kappa) -> tuple[str, str]:
    if kappa.kappa is None:
        return _NONE, _NONE
    ends = _NONE if kappa.low is None or kappa.high is None else f"[{kappa.low:z.2f}, {kappa.high:z.2f}]"
    return f"{kappa.kappa:z.2f}", ends


def _p(p: float | None) -> str:
    if p is None:
        return _NONE
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"
