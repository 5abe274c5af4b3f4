"""The rows that every table has beside the editor's: the draft, no edit at all, what a reference leaks, the ceiling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

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
from fashionedit.images import pixel_digest
from fashionedit.types import Sample


def baseline_outcomes(
    source: SampleSource,
    *,
    protocols: Iterable[str] = LEADERBOARD_PROTOCOLS,
    rounds: int = 3,
    size_policy: SizePolicy = "model",
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
    for name in source.ids:
        sample = source.sample(name)
        yield from _trivial_outcomes(source, sample)
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


def _trivial_outcomes(source: SampleSource, sample: Sample) -> Iterator[tuple[EditorInfo, RoundOutcome]]:
    for info, make in TRIVIAL.items():
        image = make(sample.draft)
        current = ImageRef(pixel_digest(image), image.size, partial(_remake_trivial, make, source, sample.id))
        yield info, RoundOutcome(sample.id, "draft", 0, Status.OK, current, own=True)


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
