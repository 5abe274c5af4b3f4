"""Turns what an editor answered to the doctor into findings, in plain sentences; makes no call."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image

from fashionedit.eval_harness.editing import UNDECLARED, EditorInfo, EditRequest, EditResult, Status
from fashionedit.eval_harness.running.calls import Answer
from fashionedit.images import pixel_digest
from fashionedit.runtime.costs import usd
from fashionedit.types import DIFFERENCES_PER_SAMPLE as ROUNDS


@dataclass(frozen=True, slots=True)
class Observed:
    """One request, as it was before the editor had it, and what a run would make of the answer.

    `given` is what the editor returned; None where it raised.
    """

    request: EditRequest
    answer: Answer
    given: EditResult | None = None

    @property
    def status(self) -> Status:
        """As a run would record it."""
        return self.answer.ended.status

    @property
    def message(self) -> str:
        """Why there is no picture."""
        return self.answer.ended.message

    @property
    def image(self) -> Image.Image | None:
        """The picture as a run would keep it."""
        return self.answer.image


@dataclass(slots=True)
class Examination:
    """All that was asked and answered.

    `again` is the first request once more, `other_words` and `other_reference` differ from it in one thing, `person`
    shows a drawn figure. `stopped` says why no further call was made.
    """

    info: EditorInfo
    control_set: bool
    samples: int
    protocols: tuple[str, ...]
    params: Mapping[str, Any]
    rounds: dict[str, list[Observed]] = field(default_factory=dict)
    again: Observed | None = None
    other_words: Observed | None = None
    other_reference: Observed | None = None
    person: Observed | None = None
    stopped: str = ""

    @property
    def first(self) -> Observed:
        """Round 1 in the last protocol, the one with a reference where there is one."""
        return list(self.rounds.values())[-1][0]

    @property
    def all_rounds(self) -> list[Observed]:
        """The rounds of all protocols."""
        return [observed for rounds in self.rounds.values() for observed in rounds]

    @property
    def answered(self) -> list[Observed]:
        """Every request that did not end with an exception."""
        several = (self.again, self.other_words, self.other_reference, self.person)
        return [one for one in (*self.all_rounds, *several) if one is not None and one.given is not None]


Level = Literal["ok", "note", "problem"]
"""As it should be; worth knowing; to be mended before a run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, such as `reference`: what was found, and what is to be done, if anything is."""

    name: str
    level: Level
    sentence: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings about one editor, after so many requests, and the command of the run to start."""

    editor: str
    calls: int
    findings: tuple[Finding, ...]
    command: str = ""

    @property
    def ready(self) -> bool:
        """Whether no problem was found."""
        return not self._count("problem")

    @property
    def verdict(self) -> str:
        """One sentence."""
        problems, notes = self._count("problem"), self._count("note")
        if problems:
            return f"Not ready: {problems} {'problem' if problems == 1 else 'problems'}."
        return f"Ready; {notes} {'note' if notes == 1 else 'notes'} to read." if notes else "Ready."

    def to_text(self) -> str:
        """Returns the findings, one a line, the verdict, and the command."""
        width = max((len(finding.name) for finding in self.findings), default=0)
        lines = [
            f"{finding.level:<8} {finding.name:<{width}}  {' '.join(finding.sentence.split())}"
            for finding in self.findings
        ]
        lead = "next" if self.ready else "after fixing this"
        return "\n".join([f"{self.editor}, {self.calls} calls", *lines, self.verdict, f"{lead}: {self.command}"])

    def to_json(self) -> str:
        """Returns the same as JSON: `editor`, `calls`, `ready`, `verdict`, `findings`, `command`."""
        told = {
            "editor": self.editor,
            "calls": self.calls,
            "ready": self.ready,
            "verdict": self.verdict,
            "findings": [asdict(finding) for finding in self.findings],
            "command": self.command,
        }
        return json.dumps(told, indent=2, ensure_ascii=False)

    def _count(self, level: Level) -> int:
        return sum(finding.level == level for finding in self.findings)


FULL_SPLIT = 1_000
"""Samples of the paper's validation split, which time and money are extrapolated to from the control set."""


def diagnosed(found: Examination) -> Iterator[Finding]:
    """Yields the findings, in the order in which a person reads them."""
    yield from _edits(found)
    yield _images(found)
    yield from _influence(found)
    yield from _size(found)
    yield from _file(found)
    yield from _content(found)
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
        yield Finding("edits", level, f"{told} ({listed}); the first failure: {_ended(said)}")
    if found.stopped:
        yield Finding("stopped", "problem", f"No further call was made: {_ended(found.stopped)}")


def _images(found: Examination) -> Finding:
    if not found.info.takes_reference:
        return Finding("images", "note", "It takes one image and no reference.")
    if found.info.stitched:
        return Finding(
            "images",
            "note",
            "It takes one image, so base and reference are sent side by side in one picture; tables keep such "
            "rows apart.",
        )
    return Finding("images", "ok", "It receives base and reference as separate images.")


def _parameters(found: Examination) -> Iterator[Finding]:
    told = next((dict(observed.given.params) for observed in found.answered if observed.given is not None), {})
    used = {**found.params, **told}
    scale = used.get("true_cfg_scale")
    if isinstance(scale, int | float) and scale > 1 and used.get("negative_prompt") is None:
        yield Finding(
            "guidance",
            "problem",
            f"true_cfg_scale is {scale:g} without a negative prompt, so guidance is off; give --param "
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
        yield Finding("people", "ok", f"It does not refuse {what}; photographs of people may be treated differently.")
    elif person.status is Status.REFUSED:
        yield Finding("people", "problem", f"It refuses {what}: {_ended(person.message)}")
    else:
        yield Finding("people", "note", f"{what.capitalize()} ended with {person.status}: {_ended(person.message)}")


def _time(found: Examination) -> Iterator[Finding]:
    if not found.answered:
        return
    edits, whole = _whole(found)
    seconds = statistics.median(observed.answer.ended.seconds or 0.0 for observed in found.answered)
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
        yield Finding("money", "ok", f"{usd(mean)} an edit; {whole} cost about {usd(mean * edits)}.")
    elif found.info.usd_per_edit is not None:
        estimate = found.info.usd_per_edit
        yield Finding(
            "money", "ok", f"At most {usd(estimate)} an edit by estimate; {whole} at most {usd(estimate * edits)}."
        )
    elif found.info.at_once > 1:
        yield Finding("money", "note", "It does not say what an edit costs, so --budget can't be used.")


def _continuing(found: Examination) -> Iterator[Finding]:
    if found.info.fingerprint.startswith(UNDECLARED):
        yield Finding(
            "resume",
            "note",
            "It declares no version and its code can't be read, so an interrupted run can't be continued; declare "
            "a version (an attribute `version`, or --version where the editor takes it).",
        )
    else:
        yield Finding("resume", "ok", "A run can be continued after an interruption.")
    good = [observed for observed in found.all_rounds if observed.status is Status.OK and observed.given is not None]
    if found.info.state == "conversation" and any(item.given and item.given.state is None for item in good):
        yield Finding("state", "problem", "It keeps a conversation but returned no state to continue it.")


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


_SHAPE = 0.05  # how far apart two aspects are that are not the same, as a share
_CHANCE = 1.5  # so many times the difference of a mere repetition is no chance
_DARK = 8  # levels, 0..255
_CELLS, _SAME = 64, 8  # cells a side, and levels


def _influence(found: Examination) -> Iterator[Finding]:
    """Yields the findings about what reference and instruction change, and whether a seed repeats."""
    if found.again is None:
        return
    first = found.first
    repeated = apart(first, found.again)
    for name, other, what in (
        ("reference", found.other_reference, "reference image"),
        ("instruction", found.other_words, "instruction"),
    ):
        if other is not None:
            yield _changes(name, what, apart(first, other), repeated)
    if repeated is None:
        yield Finding("seed", "note", "Can't tell whether a seed repeats: one of the two answers has no picture.")
    elif repeated == 0:
        yield Finding("seed", "ok", "The same request with the same seed gives the same picture.")
    else:
        yield Finding(
            "seed",
            "note",
            f"The same request with the same seed gives another picture ({repeated:.1f} of 255 levels apart on "
            "average), so a run can't be repeated exactly; --repeats measures the spread.",
        )


def _changes(name: str, what: str, apart: float | None, repeated: float | None) -> Finding:
    if apart is None or repeated is None:
        return Finding(name, "note", f"Can't tell whether the {what} matters: one of the answers has no picture.")
    if apart == 0:
        return Finding(name, "problem", f"Another {what} gives exactly the same picture: the {what} is ignored.")
    if repeated and apart < _CHANCE * repeated:
        return Finding(
            name,
            "note",
            f"Another {what} changes the picture by {apart:.1f} levels on average, the same request again by "
            f"{repeated:.1f}: one sample can't tell this from chance.",
        )
    return Finding(name, "ok", f"Another {what} changes the picture ({_levels(apart)}).")


def _size(found: Examination) -> Iterator[Finding]:
    """Yields the findings about the pictures' size beside that of their bases."""
    pictures = [
        (observed.given.size, observed.request)
        for observed in found.all_rounds
        if observed.given is not None and observed.given.size is not None and observed.image is not None
    ]
    if not pictures:
        return
    other = [(returned, request) for returned, request in pictures if returned != request.base.size]
    if not other:
        width, height = pictures[0][0]
        yield Finding("size", "ok", f"Pictures come back in the size of their base ({width}×{height}).")
        return
    returned, request = max(other, key=lambda picture: _off(picture[0], picture[1].base.size))
    base = request.base.size
    told = f"{base[0]}×{base[1]} pixels come back as {returned[0]}×{returned[1]}"
    if _off(returned, base) <= _SHAPE:
        yield Finding("size", "note", f"{told}; a run keeps that size, or resizes with --size base.")
    elif any(_off(returned, reference.size) <= _SHAPE for reference in request.references):
        yield Finding(
            "size", "problem", f"{told}, the shape of the reference; give the model the base image's width and height."
        )
    else:
        yield Finding(
            "size",
            "note",
            f"{told}, another shape: cut or squeezed pictures score lower. A run keeps that size, or squeezes back "
            "with --size base.",
        )


def _file(found: Examination) -> Iterator[Finding]:
    """Yields the findings about transparency, other modes and EXIF orientation."""
    surprises: dict[str, Finding] = {}
    for observed in found.answered:
        image = observed.given.image if observed.given is not None else None
        if image is None:
            continue
        turned = image.getexif().get(ExifTags.Base.Orientation, 1)
        if turned not in (0, 1):
            surprises["exif"] = Finding(
                "exif",
                "problem",
                f"The picture carries EXIF orientation {turned}, which nobody applies to an image that an editor "
                "returns; return PIL.ImageOps.exif_transpose(image).",
            )
        if observed.image is not None and image.has_transparency_data:
            surprises["alpha"] = Finding(
                "alpha",
                "note",
                f"The picture has transparency (mode {image.mode}), which is laid on white; return RGB if something "
                "else is meant.",
            )
        elif observed.image is not None and image.mode != "RGB":
            surprises["mode"] = Finding("mode", "note", f"The picture has mode {image.mode}; it is made RGB.")
    if surprises:
        yield from surprises.values()
    elif any(observed.image for observed in found.answered):
        yield Finding("file", "ok", "Pictures come as RGB, without transparency or EXIF orientation.")


def _content(found: Examination) -> Iterator[Finding]:
    """Yields the findings about pictures that are black, of one colour, unchanged, or the reference."""
    good = [(observed, observed.image) for observed in found.all_rounds if observed.image is not None]
    kinds: Counter[str] = Counter()
    for observed, image in good:
        digest, base, references = pixel_digest(image), observed.request.base, observed.request.references
        ranges: Any = image.getextrema()
        if all(high <= _DARK for _, high in ranges):
            kinds["black"] += 1
        elif all(low == high for low, high in ranges):
            kinds["of one colour"] += 1
        elif digest == pixel_digest(base):
            kinds["the base image, unchanged"] += 1
        elif digest in map(pixel_digest, references):
            kinds["the reference itself"] += 1
        elif _shows_the_same(image, base):
            kinds["the base image, unchanged but for its encoding"] += 1
        elif any(_shows_the_same(image, reference) for reference in references):
            kinds["the reference itself, encoded anew"] += 1
    for kind, count in kinds.items():
        yield Finding("content", "problem", f"{count} of {len(good)} pictures {'is' if count == 1 else 'are'} {kind}.")
    if good and not kinds:
        yield Finding("content", "ok", "No picture is black, of one colour, its base unchanged, or its reference.")


def _shows_the_same(image: Image.Image, other: Image.Image) -> bool:
    """Returns whether two pictures differ by no more than a codec or a resizing makes them differ.

    Means of up to 64 × 64 cells are compared: a codec moves them by a few levels, an edit moves some of them by more.
    """
    width, height = (
        max(1, min(_CELLS, *(side // 8 for side in sides))) for sides in zip(image.size, other.size, strict=True)
    )
    small = (picture.resize((width, height), Image.Resampling.BOX) for picture in (image, other))
    one, two = (np.asarray(picture, np.int16) for picture in small)
    return int(np.abs(one - two).max()) <= _SAME


def apart(one: Observed, other: Observed) -> float | None:
    """Returns the mean difference in levels; infinite for other sizes, None where a picture is missing."""
    return None if one.image is None or other.image is None else levels_apart(one.image, other.image)


def levels_apart(one: Image.Image, other: Image.Image) -> float:
    """Returns the mean difference of two pictures' values, 0..255; infinite where their sizes differ."""
    if one.size != other.size:
        return float("inf")
    values = [np.asarray(image.convert("RGB"), dtype=np.int16) for image in (one, other)]
    return float(np.abs(values[0] - values[1]).mean())


def _levels(apart: float) -> str:
    return "another size" if apart == float("inf") else f"by {apart:.1f} of 255 levels on average"


def _off(one: tuple[int, int], other: tuple[int, int]) -> float:
    ratio = (one[0] * other[1]) / (one[1] * other[0])
    return max(ratio, 1 / ratio) - 1
