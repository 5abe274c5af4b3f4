"""From what an editor answered to what is to be said about it; no call is made here."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator

from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.identity import UNDECLARED
from fashionedit.types import DIFFERENCES_PER_SAMPLE as ROUNDS

from .examination import Examination
from .findings import Finding, Level
from .picture_findings import content, file, influence, size

FULL_SPLIT = 1_000
"""Samples of the paper's validation split, which time and money are extrapolated to from the control set."""


def diagnosed(found: Examination) -> Iterator[Finding]:
    """Yields the findings, in the order in which a person reads them."""
    yield from _edits(found)
    yield _images(found)
    yield from influence(found)
    yield from size(found)
    yield from file(found)
    yield from content(found)
    yield from _parameters(found)
    yield from _people(found)
    yield from _time(found)
    yield from _money(found)
    yield from _continuing(found)


def _edits(found: Examination) -> Iterator[Finding]:
    rounds = found.all_rounds
    good = sum(observed.status is Status.OK for observed in rounds)
    told = f"{good} of {len(rounds)} rounds gave a picture"
    if good == len(rounds):
        yield Finding("edits", "ok", f"{told}.")
    else:
        counts = Counter(observed.status for observed in rounds if observed.status is not Status.OK)
        said = next(observed.message for observed in rounds if observed.status is not Status.OK)
        level: Level = "note" if good and set(counts) == {Status.REFUSED} else "problem"
        listed = ", ".join(f"{count} {status}" for status, count in counts.items())
        yield Finding("edits", level, f"{told} ({listed}); the first of the others: {_ended(said)}")
    if found.stopped:
        yield Finding("stopped", "problem", f"No further call was made: {_ended(found.stopped)}")


def _images(found: Examination) -> Finding:
    if "bug" not in found.protocols:
        return Finding("images", "note", "It takes one image and no reference, so that it takes part in vanilla alone.")
    if found.info.stitched:
        return Finding(
            "images",
            "note",
            "It takes one image, so that base and reference are shown side by side in one picture; tables keep such "
            "rows apart.",
        )
    return Finding("images", "ok", "It is shown base and reference as images of their own.")


def _parameters(found: Examination) -> Iterator[Finding]:
    told = next((dict(observed.given.params) for observed in found.answered if observed.given is not None), {})
    used = {**found.params, **told}
    scale = used.get("true_cfg_scale")
    if isinstance(scale, int | float) and scale > 1 and used.get("negative_prompt") is None:
        yield Finding(
            "guidance",
            "problem",
            f"true_cfg_scale is {scale:g} and there is no negative prompt, so that guidance is off; give --param "
            "negative_prompt=' '.",
        )
    other = [f"{name} is {told[name]!r} and not {value!r}" for name, value in found.params.items()
             if name in told and told[name] != value]  # fmt: skip
    silent = [name for name in found.params if told and name not in told]
    if other:
        yield Finding("params", "note", f"Not what was asked for: {', '.join(other)}.")
    if silent:
        yield Finding("params", "note", f"It does not say whether it used {', '.join(silent)}.")
    if told and not other and not silent:
        listed = ", ".join(f"{name}={value!r}" for name, value in told.items())
        yield Finding("params", "ok", f"It says what it used: {listed[:300]}.")


def _people(found: Examination) -> Iterator[Finding]:
    person = found.person
    if person is None:
        return
    what = "a drawn figure in a dress (no photograph)"
    if person.status is Status.OK:
        yield Finding("people", "ok", f"It does not refuse {what}; photographs of people may fare otherwise.")
    elif person.status is Status.REFUSED:
        yield Finding("people", "problem", f"It refuses {what}: {_ended(person.message)}")
    else:
        yield Finding("people", "note", f"{what.capitalize()} ended with {person.status}: {_ended(person.message)}")


def _time(found: Examination) -> Iterator[Finding]:
    if not found.answered:
        return
    edits, whole = _whole(found)
    seconds = statistics.median(observed.seconds for observed in found.answered)
    at_once = found.info.at_once
    how = f"with {at_once} at once" if at_once > 1 else "one after another"
    yield Finding(
        "time", "ok", f"{_seconds(seconds)} an edit; {whole} take about {_duration(edits * seconds / at_once)} {how}."
    )


def _money(found: Examination) -> Iterator[Finding]:
    edits, whole = _whole(found)
    costs = [observed.given.cost_usd for observed in found.answered if observed.given is not None]
    known = [cost for cost in costs if cost is not None]
    if known:
        mean = statistics.fmean(known)
        yield Finding("money", "ok", f"{_usd(mean)} an edit; {whole} cost about {_usd(mean * edits)}.")
    elif found.info.usd_per_edit is not None:
        estimate = found.info.usd_per_edit
        yield Finding(
            "money", "ok", f"At most {_usd(estimate)} an edit by estimate; {whole} at most {_usd(estimate * edits)}."
        )
    elif found.info.at_once > 1:
        yield Finding("money", "note", "It does not say what an edit costs, so that no budget can be kept.")


def _continuing(found: Examination) -> Iterator[Finding]:
    if found.info.fingerprint.startswith(UNDECLARED):
        yield Finding(
            "resume",
            "note",
            "It declares no version and its code can't be read, so that an interrupted run can't be continued; declare "
            "a version (an attribute `version`, or --version where the editor takes it).",
        )
    else:
        yield Finding("resume", "ok", "A run can be continued after an interruption.")
    good = [observed for observed in found.all_rounds if observed.status is Status.OK and observed.given is not None]
    if found.info.state == "conversation" and any(item.given and item.given.state is None for item in good):
        yield Finding("state", "problem", "It keeps a conversation and returned no state to continue it by.")


def _whole(found: Examination) -> tuple[int, str]:
    samples, protocols = FULL_SPLIT if found.control_set else found.samples, len(found.protocols)
    of = f"{protocols} protocols" if protocols > 1 else "1 protocol"
    return samples * ROUNDS * protocols, f"{samples:,} samples × {ROUNDS} rounds × {of}"


def _ended(message: str) -> str:
    line = " ".join(message.split())
    line = line if len(line) <= 300 else f"{line[:299]}…"
    return line if line.endswith((".", "…", "!", "?")) else f"{line}."


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return _seconds(seconds)
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.4f}"
