"""The rows that every table has beside the editor's: the draft, no edit at all, what a reference leaks, the ceiling."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
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
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.files import append_line, read_json_lines
from fashionedit.images import pixel_digest
from fashionedit.types import Sample


def baseline_outcomes(
    source: SampleSource,
    *,
    protocols: Iterable[str] = LEADERBOARD_PROTOCOLS,
    rounds: int = 3,
    size_policy: SizePolicy = "model",
    run: Path | None = None,
) -> Iterator[tuple[EditorInfo, RoundOutcome]]:
    """Yields the outcomes of the draft, the trivial rows, return-reference, paste-reference and oracle.

    Those of editors are what `run` would give, pixel for pixel, made in memory. Samples come in the source's order,
    each with all its baselines; the images of one sample are held until the next sample begins, and made again if
    opened after that.

    Args:
        protocols: The protocols of the table; a baseline takes part in those that it can. The draft and
            the trivial rows, in protocol `draft`, are always there.
        rounds: 1, 2 or 3.
        size_policy: As in the run that they stand beside.
        run: The run's folder, whose `scores/` then says what they come to for a sample with these pictures and boxes,
            so that its pictures are opened once and not each time the run is scored.

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
            rows.append(_Baseline(editor, info, identity))
    known = None if run is None else _KnownBaselines(run, source, rows)
    for name in source.ids:
        if known is not None and (stored := known.outcomes(name)) is not None:
            yield from stored
            continue
        made = []
        for info, outcome in _outcomes(source, name, rows):
            made.append(outcome)
            yield info, outcome
        if known is not None:
            known.add(name, made)
    if known is not None:
        known.write()


def _outcomes(source: SampleSource, name: str, rows: Sequence[_Baseline]) -> Iterator[tuple[EditorInfo, RoundOutcome]]:
    sample = source.sample(name)
    for info, make in TRIVIAL.items():
        image = make(sample.draft)
        current = ImageRef(pixel_digest(image), image.size, partial(_remake_trivial, make, source, name))
        yield info, RoundOutcome(name, "draft", 0, Status.OK, current, own=True)
    kept: dict[str, Image.Image] = {}
    for row in rows:
        for protocol in row.identity.protocols:
            chain = Chain(row.identity, source, name, protocol)
            for step, ended, image in row.rounds(chain, sample):
                digest, size = chain.standing
                kept[digest] = image
                remake = partial(row.remake, source, name, protocol, step.round)
                current = ImageRef(digest, size, partial(_open, kept, digest, remake))
                yield row.info, round_outcome(step, current, ended)
    kept.clear()


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


def _remake_trivial(make: Callable[[Image.Image], Image.Image], source: SampleSource, id: str) -> Image.Image:
    return make(source.sample(id).draft)


@dataclass(frozen=True, slots=True)
class _Baseline:
    editor: Editor | PrivilegedEditor
    info: EditorInfo
    identity: RunIdentity

    def rounds(self, chain: Chain, sample: Sample) -> Iterator[tuple[Step, Ended, Image.Image]]:
        """Yields each round of a sample, how it ended, and the image that the chain stands at then."""
        image = sample.draft
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
            yield step, answer.ended, image

    def remake(self, source: SampleSource, name: str, protocol: str, round: int) -> Image.Image:
        """Returns one image once more, for a reader that comes back to it later."""
        chain = Chain(self.identity, source, name, protocol)
        made = self.rounds(chain, source.sample(name))
        return next(image for step, _, image in made if step.round == round)


def _open(kept: dict[str, Image.Image], digest: str, remake: Callable[[], Image.Image]) -> Image.Image:
    image = kept.get(digest)
    return image if image is not None else remake()


_DIGEST = re.compile("[0-9a-f]{64}")
_AT_ONCE = 48  # samples in one write
_MOST_BYTES = 16 * 2**30  # read line by line; 1.4 kB a sample


class _KnownBaselines:
    """The file in a run's `scores/` that has, for each sample, digest and size of the image of each baseline's round.

    A sample is known by a hash of its pictures and boxes. The file's name has a hash of the baselines, whose
    fingerprints change when they make other pictures.
    """

    def __init__(self, run: Path, source: SampleSource, rows: Sequence[_Baseline]) -> None:
        self._source = source
        self._places: list[tuple[EditorInfo, str, int, Callable[[str], Callable[[], Image.Image]]]] = [
            (info, "draft", 0, partial(_trivial_opener, make, source)) for info, make in TRIVIAL.items()
        ]
        self._places += [
            (row.info, protocol, round, partial(_opener, row, source, protocol, round))
            for row in rows
            for protocol in row.identity.protocols
            for round in PROTOCOLS[protocol].rounds(row.identity.rounds)
        ]
        policy = rows[0].identity.size_policy if rows else ""
        about = [policy, *([info.fingerprint, protocol, round] for info, protocol, round, _ in self._places)]
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
        if not isinstance(images, list) or len(images) != len(self._places) or not all(map(_is_image, images)):
            return None
        return [
            (info, RoundOutcome(name, protocol, round, Status.OK, ImageRef(digest, (w, h), opener(name)), own=True))
            for (info, protocol, round, opener), (digest, w, h) in zip(self._places, images, strict=True)
        ]

    def add(self, name: str, outcomes: Sequence[RoundOutcome]) -> None:
        """Keeps what the baselines came to for a sample, if each of them made a picture."""
        if all(outcome.status is Status.OK and outcome.own for outcome in outcomes):
            images = [[outcome.current.digest, *outcome.current.size] for outcome in outcomes]
            self._fresh.append(json.dumps({"sample": self._key(name), "images": images}))
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


def _trivial_opener(
    make: Callable[[Image.Image], Image.Image], source: SampleSource, name: str
) -> Callable[[], Image.Image]:
    return partial(_remake_trivial, make, source, name)


def _opener(row: _Baseline, source: SampleSource, protocol: str, round: int, name: str) -> Callable[[], Image.Image]:
    return partial(row.remake, source, name, protocol, round)
