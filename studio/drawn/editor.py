"""The drawn designer as parts of the harness: a generator that draws from words, and an editor that changes designs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from fashionedit.errors import EditorError, InvalidDataError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, Status
from fashionedit.images import pixel_digest
from fashionedit.synthetic.materials import palette
from fashionedit.synthetic.rng import choose

from .changes import Answer, apply
from .cloth import swatch_text
from .colours import renderer_name
from .design import Design
from .drawing import draw
from .garments import GARMENTS
from .prints import Swatch
from .reading import GARMENT_MEANINGS, garment_in, read, tokens
from .reference import read_picture
from .words import COLOURS, phrase, with_article

NAME = "drawn"
LABEL = "drawn: a parametric drawing, no model"
"""The name on pages and in tables, so that nobody takes its pictures for a model's."""

_FIRST_COLOURS = ("navy", "white", "sky", "sage", "burgundy", "camel", "cornflower", "ivory", "forest", "coral", "grey")


@dataclass(frozen=True)
class Drawing:
    """A picture with its design.

    Args:
        image: 512 × 768, mode RGB.
        design: The design that it shows.
        answer: The answer to the words.
    """

    image: Image.Image
    design: Design
    answer: Answer

    @property
    def state(self) -> dict[str, Any]:
        """JSON that an `EditRequest` on this picture carries, so that the editor knows its design."""
        return {NAME: self.design.to_json(), "answer": self.answer.to_json()}


def first_design(garment: str, seed: int = 0) -> Design:
    """Returns the garment that no words describe: its usual form, in a colour and a cut by the seed."""
    kind = GARMENTS[garment]
    colour = COLOURS[choose(_FIRST_COLOURS, "drawn", garment, seed, "colour")]
    features = {name: feature.default for name, feature in kind.features.items()}
    design = Design(garment, features, Swatch(colour, kind.weaves[""]), (0, 0, 0), (0, 0, 0), cut=seed)
    return _matched(design, seed)


def _matched(design: Design, seed: int) -> Design:
    """Returns the design with a trim and a background that go with its cloth."""
    around = palette((renderer_name(design.cloth.colour),), "drawn", design.garment, seed)
    return replace(design, trim=around.rgb("trim"), backdrop=around.backdrop)


def generate(words: str, seed: int = 0) -> Drawing:
    """Returns the garment that the words describe: the same for the same words and seed.

    What the words leave open is the garment's usual form, in a colour by the seed; words that are not in the
    vocabulary are named in the answer. A sentence that names no garment becomes a shirt, and the answer says so.
    """
    garment = garment_in(words) or "shirt"
    design = first_design(garment, seed)
    for token in tokens(words, garment):
        for name, value in GARMENT_MEANINGS.get(" ".join(phrase(token.text)), {}).items():
            design = design.with_feature(name, value) if "garment" in token else design
        if phrase(token.text) == ("jeans",):
            design = replace(design, cloth=Swatch(COLOURS["denim"], "denim"))
    plain = design
    reading = read(words, garment)
    made, answer = apply(design, reading, creating=True)
    matched = _matched(made, seed)
    made = replace(
        made,
        trim=matched.trim if made.trim == plain.trim else made.trim,
        backdrop=matched.backdrop if made.backdrop == plain.backdrop else made.backdrop,
    )
    notes = [] if garment_in(words) else ["You name no garment that I can draw, so this is a shirt."]
    answer = replace(answer, done=(summary(made),), unchanged=(), notes=(*notes, *answer.notes))
    return Drawing(draw(made), made, answer)


def summary(design: Design) -> str:
    """Returns the design in one phrase: its cloth, what is not usual about it, parts of another cloth."""
    cloth = swatch_text(design.cloth)
    whole = f"{cloth} {design.garment}" if design.cloth.print is None else f"{design.garment} in {cloth}"
    phrases = [whole if design.kind.plural else with_article(whole)]
    for name, feature in design.kind.features.items():
        value = design.features[name]
        if value != feature.default:
            noun = name.removesuffix(" style")
            phrases.append(f"no {noun}" if value == "none" else value if value == noun else f"{value} {noun}")
    phrases += [f"{part} in {swatch_text(swatch)}" for part, swatch in design.parts.items()]
    return ", ".join(phrases)


class DrawnGenerator:
    """Draws a garment from words."""

    name, label = NAME, LABEL

    def describe(self) -> dict[str, Any]:
        """Returns all that determines a pixel besides words and seed, as plain JSON."""
        return {"name": NAME, "version": fingerprint()}

    def generate(self, words: str, seed: int = 0) -> Drawing:
        """Returns the garment that the words describe, with the design and the answer; see `generate`."""
        return generate(words, seed)


class DrawnEditor:
    """Changes its own designs by words, alone or with a picture.

    A request's `state` must be that of the drawing that is its base image: it holds the design. The result's `message`
    is the answer's text; `state["answer"]` has the answer by its parts.
    """

    name, label = NAME, LABEL

    def describe(self) -> EditorInfo:
        """Returns the editor's name, and a fingerprint that changes with its code."""
        return EditorInfo(NAME, f"{NAME} {fingerprint()}", takes_reference=True, usd_per_edit=0.0)

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Refuses every run of the benchmark: it edits its own drawings alone, never a draft.

        Raises:
            EditorError: Always; the studio does not call it.
        """
        raise EditorError(
            "drawn edits only its own drawings, so it can't be run on the benchmark; use it in `fashionedit studio`"
        )

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the picture of the changed design; `refused` where the base is no drawing or no word is known."""
        try:
            design = Design.from_json((request.state or {}).get(NAME))
        except (InvalidDataError, AttributeError):
            return EditResult.failed(
                Status.REFUSED,
                "This picture was not drawn by me, and I change only my own drawings. Start from words, such as "
                "“a navy shirt with short sleeves”, or choose an editor with a model.",
            )
        if pixel_digest(request.base) != pixel_digest(draw(design)):
            return EditResult.failed(
                Status.REFUSED,
                "This picture has been changed since I drew it, and I change only my own drawings. Go back to a round "
                "of mine, or choose an editor with a model.",
            )
        drawing = edit(design, request.instruction, request.references[0] if request.references else None)
        if drawing.answer.done or drawing.answer.unchanged:
            return EditResult.ok(
                drawing.image,
                message=drawing.answer.text,
                state=drawing.state,
                cost_usd=0.0,
                model_version=fingerprint(),
            )
        return EditResult.failed(Status.REFUSED, drawing.answer.text)


def edit(design: Design, words: str, picture: Image.Image | None = None) -> Drawing:
    """Returns the drawing of the design, changed by the words and by the picture that they point at."""
    after, answer = changed(design, words, picture)
    return Drawing(draw(after), after, answer)


def changed(design: Design, words: str, picture: Image.Image | None = None) -> tuple[Design, Answer]:
    """Returns the design that `edit` draws, and the answer."""
    for token in tokens(words, design.garment):
        other = token.senses.get("garment", design.garment)
        if other != design.garment and "noun" not in token and {other, design.garment} != {"shirt", "t-shirt"}:
            this, wanted = design.kind.one(design.garment), GARMENTS[other].one(other)
            refusal = f"This is {this}; start anew from words to have {wanted}."
            unknown = apply(design, read(words, design.garment))[1].unknown
            return design, Answer(impossible=(refusal,), unknown=unknown)
    seen = None if picture is None else read_picture(picture)
    reading = read(words, design.garment, picture=picture is not None)
    return apply(design, reading, seen=seen)


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Returns 12 hex digits that change with this folder's code and with the renderer's."""
    from fashionedit.synthetic.rendering import renderer_key

    digest = hashlib.sha256(renderer_key().encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
