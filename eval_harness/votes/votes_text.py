"""What the votes say, in words: for a terminal, as Markdown, and as JSON."""

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
    """Returns what the votes say as aligned plain text or in GitHub's Markdown."""
    sections = [*_wins(report, results), _voters(report), _agreements(report), _predictions(report, results)]
    text = sections_text(sections, markdown=markdown)
    notes = "\n\n".join(escaped(note) if markdown else note for note in map(printable, _notes(report)))
    return f"{text}\n{notes}\n" if text else f"{notes}\n"


def votes_json(report: VoteReport, results: Results) -> dict[str, Any]:
    """Returns what the votes say as plain JSON; each verdict stands there too."""
    samples = [sample.id for sample in results.samples]
    verdicts = [
        {
            "voter": one.voter[0],
            "kind": one.voter[1],
            **_sides(one.contest, results),
            "sample": samples[one.place],
            "answer": one.answer,
            "asked": one.asked,
            "flipped": one.flipped,
        }
        for one in report.ballots.verdicts
    ]
    return {
        "wins": [asdict(one) | {"contest": _sides(one.contest, results)} for one in report.wins],
        "voters": [asdict(one) for one in report.voters],
        "agreements": [asdict(one) for one in report.agreements],
        "predictions": [asdict(one) for one in report.predictions],
        "not_counted": {name: getattr(report.ballots, name) for name in ("elsewhere", "outdated", "incomplete")},
        "verdicts": verdicts,
    }


def _sides(contest: Contest, results: Results) -> dict[str, Any]:
    rows = {"first": results.rows[contest.first], "second": results.rows[contest.second]}
    named = {side: {"method": row.method, "protocol": row.protocol, "round": row.round} for side, row in rows.items()}
    return {**named, "original_shown": contest.original_shown}


def _wins(report: VoteReport, results: Results) -> Iterator[Section]:
    for contest in dict.fromkeys(one.contest for one in report.wins):
        rows = tuple(
            (
                one.voter,
                one.kind if one.voters == 1 else f"{one.voters} of them",
                str(one.pairs),
                str(one.wins.yes),
                str(one.wins.half),
                str(one.wins.no),
                _percent(one.wins.share),
                _ends(one.wins),
                _p(one.wins.p),
            )
            for one in report.wins
            if one.contest == contest
        )
        yield Section(
            _title(contest, results),
            ("Votes of", "", "Pairs", "First", "Tie", "Second", "First wins", _INTERVAL, "p"),
            rows,
        )


def _title(contest: Contest, results: Results) -> str:
    first, second = (results.rows[place] for place in (contest.first, contest.second))
    shown = [[method_name(row), row.prompt, f"round {round_text(row)}"] for row in (first, second)]
    same = {place for place, (one, other) in enumerate(zip(*shown, strict=True)) if one == other and place}
    names = [" ".join(text for place, text in enumerate(texts) if place not in same) for texts in shown]
    common = [shown[0][place] for place in sorted(same)]
    seen = ["with the original shown"] if contest.original_shown else []
    return ", ".join([f"Preferred: {names[0]} or {names[1]}", *common, *seen])


def _voters(report: VoteReport) -> Section:
    rows = tuple(
        (
            one.voter,
            one.kind,
            str(one.showings),
            _percent(one.ties / one.showings) if one.showings else _NONE,
            _NONE if one.left is None else _percent(one.left.share),
            _NONE if one.left is None else _ends(one.left),
            _NONE if one.flipped is None else _percent(one.flipped),
            str(one.unanswered),
        )
        for one in report.voters
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
        (one.first, one.second, str(one.kappa.n), _percent(one.kappa.agreement), *_kappa(one.kappa))
        for one in report.agreements
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
            one.voters,
            short_label(results.metric(one.metric)),
            str(one.share.n),
            str(one.share.garments),
            str(one.share.half),
            _percent(one.share.share),
            _ends(one.share),
        )
        for one in report.predictions
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


def _kappa(found: Kappa) -> tuple[str, str]:
    if found.kappa is None:
        return _NONE, _NONE
    ends = _NONE if found.low is None or found.high is None else f"[{found.low:z.2f}, {found.high:z.2f}]"
    return f"{found.kappa:z.2f}", ends


def _p(p: float | None) -> str:
    if p is None:
        return _NONE
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"
