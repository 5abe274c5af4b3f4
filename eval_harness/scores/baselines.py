"""The rows that every table has beside the editor's: the draft, what the reference leaks, and the ceiling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from PIL import Image

from fashionedit.eval_harness.editing import Editor, EditorInfo, PrivilegedEditor
from fashionedit.eval_harness.editors.plain import Identity, ReturnReference
from fashionedit.eval_harness.editors.privileged import Oracle, PasteReference
from fashionedit.eval_harness.protocols import ordered_protocols
from fashionedit.eval_harness.running.attempts import Answer, Work, ask, edit_request
from fashionedit.eval_harness.running.chain import Chain, Ended, Step, draft_record, round_outcome
from fashionedit.eval_harness.running.identity import SizePolicy, editor_info, run_identity
from fashionedit.eval_harness.running.records import ImageRef, RoundOutcome, RunIdentity
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.types import Sample


def baseline_outcomes(
    source: SampleSource,
    *,
    protocols: Iterable[str] = ("vanilla", "bug"),
    rounds: int = 3,
    size_policy: SizePolicy = "model",
) -> Iterator[tuple[EditorInfo, RoundOutcome]]:
    """Yields the outcomes of identity (protocol `draft`), return-reference, paste-reference and oracle.

    They are what `run` would give, pixel for pixel, made in memory. Samples come in the source's order, each with all
    its baselines; the images of one sample are held until the next sample begins, and made again if opened after that.

    Args:
        protocols: The protocols of the table; a baseline takes part in those that are its own. The draft is always
            there.
        rounds: 1, 2 or 3.
        size_policy: As in the run that they stand beside.

    Raises:
        InvalidDataError: `rounds` is not 1..3, or an image can't be read.
        UnknownNameError: A protocol is unknown.
    """
    asked = set(ordered_protocols(protocols))
    rows = []
    for editor in (Identity(), ReturnReference(), PasteReference(), Oracle()):
        info = editor_info(editor)
        own = {"draft"} if isinstance(editor, Identity) else asked & set(info.protocols)
        if own:
            identity = run_identity(info, source, protocols=own, rounds=rounds, size_policy=size_policy)
            rows.append(_Baseline(editor, info, identity))
    for name in source.ids:
        sample = source.sample(name)
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
                answer = ask(Work(step, request, self.editor, self.identity.size_policy, told))
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
