"""Checks an editor before a run: one sample in each protocol, then a few requests that differ in one thing each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from fashionedit.errors import EditorError, InvalidDataError, MissingExtraError, ServiceError
from fashionedit.eval_harness.editing import Editor, EditRequest, PrivilegedEditor, RequestImage, Status
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.references import DETAIL, with_reference
from fashionedit.eval_harness.running.calls import Answer, Work, edit_request, failed, judge
from fashionedit.eval_harness.running.chain import Chain, Step
from fashionedit.eval_harness.running.identity import editor_info, run_identity
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.runtime.user_code import ProgramEndedError
from fashionedit.types import Sample

from .conformance import TriedEditor, trial_step
from .findings import Diagnosis, Examination, Observed, apart, diagnosed

_OTHER_WORDS = "The garment is bright red with broad white stripes."
_PERSON_WORDS = "The dress has long sleeves."


def examine(
    editor: Editor | PrivilegedEditor,
    source: SampleSource,
    *,
    params: Mapping[str, Any] | None = None,
    reference: str = DETAIL,
    begin: Callable[[int], None] | None = None,
) -> Diagnosis:
    """Returns what is to be known about an editor before it is run; nothing is written.

    The first sample goes through its rounds in each protocol. Then its first request is made again as it was, with
    other words (those of the sample's other rounds, since an editor may know no others), and with another reference, to
    see what changes the answer. On the control set a drawn figure is asked for as well, since the samples show no
    people. Each request is made once, without retries. `begin` is told before the first how many there are at most.

    Raises:
        InvalidDataError: The editor is a baseline that sees the answer, or a param is of no use.
        EditorError: It breaks its contract at the first request.
        ServiceError: It can't work as set up.
        MissingExtraError: A package is missing.
    """
    info = editor_info(editor)
    if info.privileged:
        raise InvalidDataError(
            f"{info.name} sees the answer and serves as a baseline; give an editor that sees its request alone"
        )
    source = with_reference(source, reference)
    identity = run_identity(info, source, params=params)
    tried = TriedEditor(editor, info)
    found = Examination(info, source.control_set, len(source.ids), identity.protocols, identity.params)
    sample = source.sample(source.ids[0])
    chains = [Chain(identity, source, sample.id, protocol) for protocol in identity.protocols]
    if begin is not None:
        rounds = sum(len(chain.rounds) for chain in chains)
        shows = any(chain.protocol.shows_reference for chain in chains)
        begin(rounds + 1 + len(sample.differences) + shows + source.control_set)
    try:
        for chain in chains:
            _take_through(tried, chain, sample, found.rounds.setdefault(chain.protocol.name, []))
        _vary(tried, found, [difference.description for difference in sample.differences[1:]])
    except (EditorError, ServiceError, MissingExtraError) as error:
        if not found.answered:
            raise
        found.stopped = str(error)
    finally:
        tried.close()
        tried.end()
    return Diagnosis(info.name, tried.calls, tuple(diagnosed(found)))


def _take_through(tried: TriedEditor, chain: Chain, sample: Sample, seen: list[Observed]) -> None:
    """Adds what came of each round of a chain, each from the last good image before it."""
    standing = sample.draft
    for round in chain.rounds:
        step = chain.step(round)
        shown = {"base": standing, "reference": sample.differences[round - 1].reference}
        observed = _observed(tried, edit_request(step, shown, request_id=step.key[:32]), step)
        seen.append(observed)
        chain.take(observed.answer.ended)
        standing = observed.image or standing


def _vary(tried: TriedEditor, found: Examination, descriptions: Sequence[str]) -> None:
    first = found.first
    asked, protocol = first.request, PROTOCOLS[first.request.protocol]
    found.again = _observed(tried, asked)
    for words in (*descriptions, _OTHER_WORDS):
        found.other_words = _observed(tried, replace(asked, instruction=protocol.instruction(words)))
        if apart(first, found.other_words) != 0:
            break
    if asked.references:
        other = ImageOps.flip(ImageOps.invert(asked.references[0]))
        found.other_reference = _observed(tried, _with_image(asked, "reference", other))
    if found.control_set:
        words = protocol.instruction(_PERSON_WORDS)
        shown = _with_image(asked, "base", drawn_person())
        found.person = _observed(tried, replace(shown, instruction=words, state=None))


def _with_image(request: EditRequest, role: str, image: Image.Image) -> EditRequest:
    images = (RequestImage(item.role, image) if item.role == role else item for item in request.images)
    return replace(request, images=tuple(images))


def _observed(tried: TriedEditor, request: EditRequest, step: Step | None = None) -> Observed:
    """Returns what came of one request; the editor is given a copy of it.

    Raises:
        EditorError: The answer breaks the contract.
        ServiceError: No further call is worth making.
        MissingExtraError: A package is missing.
    """
    step = step or trial_step(request)
    own = replace(request, images=tuple(RequestImage(item.role, item.image.copy()) for item in request.images))
    work, start = Work(step, own), time.perf_counter()
    sizes = work.sizes
    try:
        given = tried.edit(work)
    except ProgramEndedError as error:
        seconds = time.perf_counter() - start
        return Observed(request, Answer(step.failure(Status.ERROR, message=str(error), seconds=seconds)))
    except (EditorError, ServiceError, MissingExtraError):
        raise
    except Exception as error:
        return Observed(request, failed(step, error, time.perf_counter() - start))
    return Observed(request, judge(step, given, sizes, time.perf_counter() - start), given)


_SKIN, _HAIR, _DRESS, _SHOES = "#d9a583", "#3b2a20", "#35527a", "#222222"


def drawn_person() -> Image.Image:
    """Returns a figure in a dress before a plain wall: flat colours, a face, arms and legs."""
    image = Image.new("RGB", (512, 768), "#e9e6e0")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 690, 512, 768), fill="#cfc8bd")
    draw.ellipse((196, 50, 316, 210), fill=_HAIR)
    draw.rectangle((236, 180, 276, 230), fill=_SKIN)
    draw.ellipse((208, 70, 304, 196), fill=_SKIN)
    draw.chord((206, 62, 306, 150), 180, 360, fill=_HAIR)
    for left in (230, 268):
        draw.ellipse((left, 124, left + 16, 134), fill="white")
        draw.ellipse((left + 5, 125, left + 12, 133), fill=_HAIR)
        draw.line((left - 2, 116, left + 18, 114), fill=_HAIR, width=4)
    draw.line((256, 134, 251, 156, 258, 158), fill="#b98362", width=3)
    draw.chord((240, 164, 272, 182), 0, 180, fill="#a8434a")
    for shoulder, hand in ((190, 150), (322, 362)):
        draw.line((shoulder, 250, hand, 440), fill=_SKIN, width=30)
        draw.ellipse((hand - 17, 430, hand + 17, 470), fill=_SKIN)
    for left in (214, 268):
        draw.rectangle((left, 560, left + 30, 700), fill=_SKIN)
        draw.ellipse((left - 6, 690, left + 40, 722), fill=_SHOES)
    draw.polygon([(196, 226), (236, 222), (256, 246), (276, 222), (316, 226), (344, 300), (310, 312), (304, 380),
                  (350, 580), (162, 580), (208, 380), (202, 312), (168, 300)], fill=_DRESS)  # fmt: skip
    draw.rectangle((206, 372, 306, 388), fill="#1f3350")
    return image
