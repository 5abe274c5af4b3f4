"""A comparison in words: for a terminal, as Markdown, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from fashionedit.runtime.secrets import printable
from fashionedit.runtime.tables import escaped

from .comparison import Comparison, Contrast
from .intervals import LEVEL, SIGNIFICANCE
from .primary_scores import FEWEST_GARMENTS, By
from .result_models import Metric, Results
from .table import Section, caption, ranking_note, sections_text, short_label

_NUMBERS = ("First", "Second", "Failed", "Difference", f"{LEVEL} interval", "Detectable", "p")
_HEAD = ("Metric", "Round", *_NUMBERS, "p (Holm)", "First is")
_KINDS_HEAD = ("Kind", "Metric", "n", "Garments", *_NUMBERS)


def comparison_text(comparison: Comparison, results: Results, by: Sequence[By] = (), *, markdown: bool = False) -> str:
    """Returns the comparison as aligned plain text or in GitHub's Markdown, with the breakdowns named in `by`."""
    item = "- {}" if markdown else "  {}"

    def shown(text: str) -> str:
        return escaped(printable(text)) if markdown else printable(text)

    sections: list[Section] = []
    for title, contrasts in _pairs(comparison):
        decisive = tuple(item.format(line) for line in _decisive(contrasts, comparison, results))
        sections.append(Section(title, _HEAD, _cells(contrasts, comparison, results), decisive))
    for title, contrasts in _kinds(comparison, results, by):
        sections.append(Section(title, _KINDS_HEAD, _kind_cells(contrasts, results)))
    orders = [item.format(shown(line)) for line in _orders(comparison, results)]
    notes = "\n\n".join(map(shown, _notes(comparison, results.metrics, by)))
    text = sections_text(sections, markdown=markdown)
    return "\n".join([shown(caption(results)), "", text, *orders, "", notes]) + "\n"


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Returns the comparison as plain JSON: every contrast with its difference, p-values, verdict, decisive samples."""
    found: dict[str, Any] = {
        "systems": list(comparison.systems),
        "family": comparison.family,
        "order": [
            {"protocol": protocol, "metric": metric, "ranks": [list(rank) for rank in ranks]}
            for (protocol, metric), ranks in comparison.order.items()
        ],
    }
    for name in ("last", "rounds", "breakdowns"):
        found[name] = [asdict(one) | {"verdict": one.verdict} for one in getattr(comparison, name)]
    return found


def _pairs(comparison: Comparison) -> Iterator[tuple[str, list[Contrast]]]:
    every = [*comparison.rounds, *comparison.last]
    for key in dict.fromkeys(map(_pair, comparison.last)):
        yield _title(key), [one for one in every if _pair(one) == key]


def _pair(one: Contrast) -> tuple[str, str, str]:
    return one.first, one.second, one.protocol


def _title(pair: tuple[str, str, str]) -> str:
    return f"{pair[0]} against {pair[1]}, {pair[2]}"


def _kinds(comparison: Comparison, results: Results, by: Sequence[By]) -> Iterator[tuple[str, list[Contrast]]]:
    """Yields what has enough garments to say something and is not the whole split."""
    for key in dict.fromkeys(map(_pair, comparison.last)):
        for one_by in by:
            found = [
                one
                for one in comparison.breakdowns
                if _pair(one) == key
                and one.by == one_by
                and one.garments >= FEWEST_GARMENTS
                and one.n < len(results.samples)
            ]
            if found:
                yield f"{_title(key)} round {found[0].round}, by {one_by} (exploratory)", found


def _cells(contrasts: Sequence[Contrast], comparison: Comparison, results: Results) -> tuple[tuple[str, ...], ...]:
    last = set(map(id, comparison.last))
    return tuple(
        (
            _label(one, results),
            str(one.round) if one.round else "–",
            *_numbers(one, metric),
            _p(one.corrected),
            _verdict(one) if id(one) in last else "–",
        )
        for metric in results.metrics
        for one in contrasts
        if one.metric == metric.id
    )


def _kind_cells(contrasts: Sequence[Contrast], results: Results) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (one.value, _label(one, results), str(one.n), str(one.garments), *_numbers(one, results.metric(one.metric)))
        for one in sorted(contrasts, key=lambda one: one.value)
    )


def _label(one: Contrast, results: Results) -> str:
    return short_label(results.metric(one.metric))


def _numbers(one: Contrast, metric: Metric) -> list[str]:
    found = one.difference
    ends = "–"
    if found.low is not None and found.high is not None:
        ends = f"[{metric.text(found.low, '+')}, {metric.text(found.high, '+')}]"
    first, second = (
        metric.text(mean) if ranked else f"({metric.text(mean)})"
        for mean, ranked in zip(one.means, one.ranked, strict=True)
    )
    detectable = metric.text(found.detectable)
    failed = " / ".join(f"{100 * count / one.n:.1f} %" if count else "0" for count in one.failed)
    return [first, second, failed, metric.text(found.mean, "+"), ends, detectable, _p(found.p)]


def _p(p: float | None) -> str:
    if p is None:
        return "–"
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def _verdict(one: Contrast) -> str:
    return "the same" if not one.wins and not one.losses else one.verdict


def _decisive(contrasts: Sequence[Contrast], comparison: Comparison, results: Results) -> Iterator[str]:
    """Yields for each metric of the last round which samples the difference comes from."""
    last = set(map(id, comparison.last))
    for one in contrasts:
        if id(one) in last and (one.wins or one.losses):
            text = results.metric(one.metric).text
            most = ", ".join(f"{sample.sample} ({text(sample.difference, '+')})" for sample in one.decisive)
            counts = f"{_label(one, results)}: higher in {one.wins}, lower in {one.losses} of {one.n}"
            yield f"{counts}; most in {most}" if most else counts


def _orders(comparison: Comparison, results: Results) -> Iterator[str]:
    names = {metric.id: short_label(metric) for metric in results.metrics}
    for (protocol, metric), ranks in comparison.order.items():
        apart = [
            f"{first} > {second}"
            for rank in ranks
            for place, first in enumerate(rank)
            for second in rank[place + 1 :]
            if any(
                one.verdict in ("higher", "lower") and {one.first, one.second} == {first, second}
                for one in comparison.last
                if (one.protocol, one.metric) == (protocol, metric)
            )
        ]
        exceptions = f" (but {', '.join(apart)})" if apart else ""
        if ranks:
            yield f"{protocol}, {names[metric]}: " + " > ".join(" = ".join(rank) for rank in ranks) + exceptions


def _notes(comparison: Comparison, metrics: Sequence[Metric], by: Sequence[By]) -> Iterator[str]:
    yield (
        "Differences are first minus second, sample by sample; intervals and p are clustered by garment. p (Holm) is "
        f"corrected for {comparison.family}; what it does not tell apart at {SIGNIFICANCE:g} is a tie. Detectable is "
        "the smallest true difference that shows in 80 % of repetitions, before correction."
    )
    yield ranking_note(metrics)
    explored = [*(["Earlier rounds"] if comparison.rounds else []), *(["breakdowns"] if by else [])]
    if explored:
        few = f" Kinds with fewer than {FEWEST_GARMENTS} garments stand in the JSON alone." if by else ""
        named = " and ".join(explored)
        yield f"{named[0].upper()}{named[1:]} are not corrected: they explore and prove nothing.{few}"
