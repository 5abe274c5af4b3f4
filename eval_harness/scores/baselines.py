"""The rows that every table has beside the editor's: the draft, no edit at all, what a reference leaks, the ceiling."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance

from fashionedit.card import LEADERBOARD_PROTOCOLS
from fashionedit.eval_harness.editing import Editor, EditorInfo, PrivilegedEditor, Status
from fashionedit.eval_harness.editors.baselines import Identity, Oracle, PasteReference, ReturnReference
from fashionedit.eval_harness.protocols import PROTOCOLS, ordered_protocols
from fashionedit.eval_harness.running.calls import Answer, Work, ask, edit_request
from fashionedit.eval_harness.running.chain import Chain, Ended, Step, draft_record, round_outcome
from fashionedit.eval_harness.running.identity import SizePolicy, can_take_part, editor_info, run_identity
from fashionedit.eval_harness.running.records import ImageRef, RoundOutcome, RunIdentity
from fashionedit.eval_harness.samples import SampleImage, SampleSource
from fashionedit.files import append_line, read_json_lines
from fashionedit.images import pixel_digest
from fashionedit.types import Sample

Drawn = list[tuple[str, int, int]]
"""Digest, width and height of each image that the baselines make of a sample, in the order of their rounds."""


def baseline_outcomes(
    source: SampleSource,
    *,
    protocols: Iterable[str] = LEADERBOARD_PROTOCOLS,
    rounds: int = 3,
    size_policy: SizePolicy = "model",
    run: Path | None = None,
    draw: DrawElsewhere | None = None,
) -> Iterator[tuple[EditorInfo, RoundOutcome]]:
    """Yields the outcomes of the draft, the trivial rows, return-reference, paste-reference and oracle.

    Those of editors are what `run` would give, pixel for pixel. Samples come in the source's order, each with all its
    baselines. No image is held: each is drawn anew when it is opened.

    Args:
        protocols: The protocols of the table; a baseline takes part in those that it can. The draft and
            the trivial rows, in protocol `draft`, are always there.
        rounds: 1, 2 or 3.
        size_policy: As in the run that they stand beside.
        run: The run's folder, whose `scores/` then says what they come to for a sample with these pictures and boxes,
            so that its pictures are opened once and not each time the run is scored.
        draw: Has other processes draw what `scores/` does not say.

    Raises:
        InvalidDataError: `rounds` is not 1..3, or an image can't be read.
        UnknownNameError: A protocol is unknown.
    """
    asked = ordered_protocols(protocols)
    rows = []
    for editor in (Identity(), ReturnReference(), PasteReference(), Oracle()):
        info = editor_info(editor)
        own = (
            ["draft"]
            if isinstance(editor, Identity)
            else [name for name in asked if can_take_part(info, PROTOCOLS[name])]
        )
        if own:
            identity = run_identity(info, source, protocols=own, rounds=rounds, size_policy=size_policy)
            rows.append(_Editor(editor, info, identity))
    baselines = Baselines(tuple(rows))
    known = None if run is None else _KnownBaselines(run, source, baselines)
    if known is not None and draw is not None:
        unknown = [name for name in source.ids if known.outcomes(name) is None]
        for name, drawn in draw(source, baselines, unknown):
            known.add(name, drawn)
        known.write()
        known = _KnownBaselines(known.run, source, baselines)
    for name in source.ids:
        if known is not None and (stored := known.outcomes(name)) is not None:
            yield from stored
            continue
        made = list(baselines.outcomes(source, name))
        yield from made
        if known is not None:
            known.add(name, _drawn(outcome for _, outcome in made))
    if known is not None:
        known.write()


def flat_grey(draft: Image.Image) -> Image.Image:
    """Returns one grey, 128 of 255, in the draft's size: what a picture of nothing scores."""
    return Image.new("RGB", draft.size, (128, 128, 128))


def faded_draft(draft: Image.Image) -> Image.Image:
    """Returns the draft at 40 % of its contrast around its mean brightness: a higher PSNR for no edit at all."""
    return ImageEnhance.Contrast(draft.convert("RGB")).enhance(0.4)


TRIVIAL: dict[EditorInfo, Callable[[Image.Image], Image.Image]] = {
    EditorInfo("flat-grey", "flat-grey 1"): flat_grey,
    EditorInfo("faded-draft", "faded-draft 1"): faded_draft,
}
"""What each of the trivial rows makes of a draft: nothing that was asked for."""


@dataclass(frozen=True, slots=True)
class _Trivial:
    info: EditorInfo

    def image(self, source: SampleSource, sample: Sample, protocol: str, round: int) -> Image.Image:
        """Returns what the row makes of the draft."""
        return TRIVIAL[self.info](sample.draft)


@dataclass(frozen=True, slots=True)
class _Editor:
    editor: Editor | PrivilegedEditor
    info: EditorInfo
    identity: RunIdentity

    def rounds(
        self, source: SampleSource, sample: Sample, protocol: str
    ) -> Iterator[tuple[Step, Ended, Chain, Image.Image]]:
        """Yields each round of a sample, how it ended, the chain, and the image that it stands at then."""
        chain, image = Chain(self.identity, source, sample.id, protocol), sample.draft
        for round in chain.rounds:
            step = chain.step(round)
            if chain.protocol.edits:
                shown = {"base": image, "reference": sample.differences[round - 1].reference}
                request = edit_request(step, shown, request_id="")
                told = sample if self.info.privileged else None
                answer = ask(self.editor, Work(step, request, told), self.identity.size_policy)
            else:
                answer = Answer(draft_record(chain, step))
            chain.take(answer.ended)
            image = answer.image if answer.image is not None else image
            yield step, answer.ended, chain, image

    def image(self, source: SampleSource, sample: Sample, protocol: str, round: int) -> Image.Image:
        """Returns what the editor makes of the sample in one round."""
        made = self.rounds(source, sample, protocol)
        return next(image for step, _, _, image in made if step.round == round)


@dataclass(frozen=True, slots=True)
class BaselineImage(SampleImage):
    """Draws what a baseline comes to in one round of a sample."""

    row: _Trivial | _Editor
    protocol: str
    round: int

    def __call__(self) -> Image.Image:
        """Returns the image."""
        return self.row.image(self.source, self.source.sample(self.sample), self.protocol, self.round)


@dataclass(frozen=True, slots=True)
class Baselines:
    """The editors among the baselines, each in its protocols; the trivial rows come before them."""

    editors: tuple[_Editor, ...]

    @property
    def rounds(self) -> Iterator[tuple[_Trivial | _Editor, str, int]]:
        """Every round of every row, in order."""
        for info in TRIVIAL:
            yield _Trivial(info), "draft", 0
        for row in self.editors:
            for protocol in row.identity.protocols:
                for round in PROTOCOLS[protocol].rounds(row.identity.rounds):
                    yield row, protocol, round

    def outcomes(self, source: SampleSource, name: str) -> Iterator[tuple[EditorInfo, RoundOutcome]]:
        """Yields what each round comes to, drawn here."""
        sample = source.sample(name)
        for info, make in TRIVIAL.items():
            image = make(sample.draft)
            opener = BaselineImage(source, name, _Trivial(info), "draft", 0)
            current = ImageRef(pixel_digest(image), image.size, opener)
            yield info, RoundOutcome(name, "draft", 0, Status.OK, current, own=True)
        for row in self.editors:
            for protocol in row.identity.protocols:
                for step, ended, chain, _ in row.rounds(source, sample, protocol):
                    current = ImageRef(*chain.standing, BaselineImage(source, name, row, protocol, step.round))
                    yield row.info, round_outcome(step, current, ended)

    def draw(self, source: SampleSource, name: str) -> Drawn | None:
        """Returns what the rounds come to; None where one of them makes no image."""
        return _drawn(outcome for _, outcome in self.outcomes(source, name))


DrawElsewhere = Callable[[SampleSource, Baselines, list[str]], Iterable[tuple[str, Drawn | None]]]
"""Yields for each of the samples what `Baselines.draw` returns."""


def _drawn(outcomes: Iterable[RoundOutcome]) -> Drawn | None:
    outcomes = list(outcomes)
    if not all(outcome.status is Status.OK and outcome.own for outcome in outcomes):
        return None
    return [(outcome.current.digest, *outcome.current.size) for outcome in outcomes]


_DIGEST = re.compile("[0-9a-f]{64}")
_AT_ONCE = 48  # samples in one write
_MOST_BYTES = 16 * 2**30  # read line by line; 1.4 kB a sample


class _KnownBaselines:
    """The file in a run's `scores/` that has, for each sample, digest and size of the image of each baseline's round.

    A sample is known by a hash of its pictures and boxes. The file's name has a hash of the baselines, whose
    fingerprints change when they make other pictures.
    """

    def __init__(self, run: Path, source: SampleSource, baselines: Baselines) -> None:
        self.run = run
        self._source = source
        self._rounds = tuple(baselines.rounds)
        policy = baselines.editors[0].identity.size_policy if baselines.editors else ""
        about = [policy, *([row.info.fingerprint, protocol, round] for row, protocol, round in self._rounds)]
        self._about = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        self._path = run / "scores" / f"baselines-{self._about[:16]}.jsonl"
        self._lines = read_json_lines(self._path, _MOST_BYTES, folder=run)
        self._read: dict[str, Any] = {}  # lines are in the order of the source, unless it has changed
        self._fresh: list[str] = []

    def _key(self, name: str) -> str:
        digests, boxes = self._source.digests(name), self._source.facts(name).boxes
        parts = [self._about, name, digests.original, digests.draft, digests.crops, [box.box_2d for box in boxes]]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def outcomes(self, name: str) -> list[tuple[EditorInfo, RoundOutcome]] | None:
        """Returns what the baselines come to for a sample; None where that is not known."""
        key = self._key(name)
        while key not in self._read and (line := next(self._lines, None)) is not None:
            self._read[str(line.get("sample"))] = line.get("images")
        images = self._read.pop(key, None)
        if not isinstance(images, list) or len(images) != len(self._rounds) or not all(map(_is_image, images)):
            return None
        found = []
        for (row, protocol, round), (digest, w, h) in zip(self._rounds, images, strict=True):
            current = ImageRef(digest, (w, h), BaselineImage(self._source, name, row, protocol, round))
            found.append((row.info, RoundOutcome(name, protocol, round, Status.OK, current, own=True)))
        return found

    def add(self, name: str, drawn: Drawn | None) -> None:
        """Keeps what the baselines came to for a sample, if each of them made a picture."""
        if drawn is not None:
            self._fresh.append(json.dumps({"sample": self._key(name), "images": drawn}))
            if len(self._fresh) >= _AT_ONCE:
                self.write()

    def write(self) -> None:
        """Writes what was added since the last time."""
        if self._fresh:
            append_line(self._path, "\n".join(self._fresh))
            self._fresh.clear()


def _is_image(value: Any) -> bool:
    return (
        isinstance(value, list)
        and [type(one) for one in value] == [str, int, int]
        and _DIGEST.fullmatch(value[0]) is not None
    )
