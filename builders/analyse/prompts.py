"""What the model is asked: the paper's prompt, the reference script's, or one of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fashionedit.errors import InvalidDataError

_MAX_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request in words; the two images follow it, the original first.

    Args:
        name: What it is called; no part of any key, which the text is.
        text: The words.

    Raises:
        InvalidDataError: There are none.
    """

    name: str
    text: str

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InvalidDataError(f"the prompt {self.name} is empty; write what the model is to do")


PAPER = Prompt(
    "paper",
    """\
# 1. Task Definition
Detect the three detailed differences in the clothes between the two images and return a JSON style.
# 2. Problem Definition
For each result, the description should only contain the difference of the first image, and give the bounding box of \
the box_2d should be [ymin, xmin, ymax, xmax], normalized to 0-1000.
# 3. Example of output
The output format is limited to: "[{'description': 'Wearing ...', 'box_2d': [0, 250, 600, 750]}]"
""",
)
"""The prompt of the paper, section 2.3.1, with its line breaks undone."""

REFERENCE = Prompt(
    "reference",
    "Return as JSON the three main differences in the clothes between the first image and the second, each with a "
    "description of what the first image shows there and its box_2d [ymin, xmin, ymax, xmax] on the first image, "
    "normalized to 0-1000.\n",
)
"""One sentence, as the authors' script asks. The wording is ours: it says what theirs is known to ask for."""

PROMPTS: Mapping[str, Prompt] = MappingProxyType({prompt.name: prompt for prompt in (PAPER, REFERENCE)})
"""The prompts that come with the package, by name."""


def read_prompt(spec: str) -> Prompt:
    """Returns the prompt of this name, or the text of this file.

    Raises:
        InvalidDataError: It is neither, or the file holds no text.
    """
    if spec in PROMPTS:
        return PROMPTS[spec]
    path = Path(spec)
    if not path.is_file():
        raise InvalidDataError(
            f"{spec} is no prompt; choose {' or '.join(PROMPTS)}, or give the path of a text file with your own"
        )
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InvalidDataError(f"{spec} can't be read ({error.strerror}); check its permissions") from error
    except UnicodeDecodeError as error:
        raise InvalidDataError(f"{spec}: byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error
    if len(data) > _MAX_BYTES:
        raise InvalidDataError(f"{spec} has {len(data):,} bytes, more than the {_MAX_BYTES:,} of a prompt; shorten it")
    return Prompt(path.stem, text)


def repair_request(fault: str) -> str:
    """Returns what the model is told about an answer that can't be used; its words are part of `PROTOCOL_VERSION`."""
    return (
        f"This answer can't be used: {fault}. Answer again, in the same form and with nothing else: exactly three "
        "differences, each with a description of what the first image shows and a box_2d [ymin, xmin, ymax, xmax] on "
        "the first image, whole numbers from 0 to 1000 with ymin below ymax and xmin below xmax."
    )
