"""The protocols: what an editor is shown and told in each. A new one is one entry of `PROTOCOLS`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.types import DIFFERENCES_PER_SAMPLE, as_names

from .editing import Role

PROTOCOL_VERSION = "1"
"""Part of every key: wording, order of the images and the choice of base image belong to it."""


@dataclass(frozen=True, slots=True)
class EditingProtocol:
    """One way to ask for the differences of a sample.

    Args:
        name: The name on the command line and in records.
        label: The column "Prompt" of tables, as in Table 1; `{reference}` stands for the kind of reference.
        words: The instruction; `{description}` stands for the description of the round's difference.
        roles: The images an editor is shown, in this order.
        edits: Whether an editor is called at all; the draft is scored as it is.
    """

    name: str
    label: str
    words: str
    roles: tuple[Role, ...]
    edits: bool = True

    @property
    def shows_reference(self) -> bool:
        """Whether a reference image is among the images."""
        return "reference" in self.roles

    def prompt(self, reference: str = "image") -> str:
        """Returns the label for one kind of reference (`ReferenceKind.label`), such as `text+sketch`."""
        return self.label.replace("{reference}", reference)

    def rounds(self, count: int) -> tuple[int, ...]:
        """Returns the rounds of a run of `count` rounds: 1..count, or 0 alone for the draft.

        Raises:
            InvalidDataError: `count` is not in 1..3, the number of differences of a sample.
        """
        if type(count) is not int or not 1 <= count <= DIFFERENCES_PER_SAMPLE:
            raise InvalidDataError(
                f"a run of {count!r} rounds was asked for; a sample has {DIFFERENCES_PER_SAMPLE} differences, so give "
                f"1 to {DIFFERENCES_PER_SAMPLE}"
            )
        return tuple(range(1, count + 1)) if self.edits else (0,)

    def instruction(self, description: str) -> str:
        """Returns the whole instruction.

        In the paper's protocols nothing stands between the lead and the description, not even a space.

        Source: `TextEdit.py` and `TextImageEdit.py` of the reference implementation, which add the two strings.
        """
        return self.words.replace("{description}", description)


PROTOCOLS: dict[str, EditingProtocol] = {
    protocol.name: protocol
    for protocol in (
        EditingProtocol("draft", "–", "", ("base",), edits=False),
        EditingProtocol(
            "vanilla",
            "text",
            "Please edit the image based on the following description:{description}",
            ("base",),
        ),
        EditingProtocol(
            "bug",
            "text+{reference}",
            "Please edit the first image based on the following description and the second reference image:"
            "{description}",
            ("base", "reference"),
        ),
    )
}
"""The protocols by name, in the order of every table. The reference image of `bug` is the detail crop, or another kind
that the run names (`references.py`)."""


def ordered_protocols(names: Iterable[str]) -> tuple[str, ...]:
    """Returns the names once each, in the order of the tables, so that the order of asking changes nothing.

    A text is one name.

    Raises:
        UnknownNameError: One of them is no protocol, or there is none at all.
    """
    wanted = set(as_names(names))
    for name in sorted(wanted - {*PROTOCOLS}):
        raise UnknownNameError(f"no protocol is called {name!r}; choose {', '.join(PROTOCOLS)}")
    if not wanted:
        raise UnknownNameError(f"no protocol was asked for; choose {', '.join(PROTOCOLS)}")
    return tuple(name for name in PROTOCOLS if name in wanted)
