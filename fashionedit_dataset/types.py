"""The values that everything speaks: a box, a difference, a sample."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from PIL import Image

from .errors import InvalidBoxError, InvalidDataError, UnknownNameError

DIFFERENCES_PER_SAMPLE = 3
MOST_EXAMPLES = 3
SPLITS = ("train", "validation")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_LONGEST_WORDS = 100
_LONGEST_ID = 110  # a longer word is not published: it may be an encoded file
_LARGE = 10**12
_EDGE = 1e-3  # pixels; a box stored as float32 moves by at most 0.0005 px on an 8,000 px side


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the original image, in thousandths of its height and width.

    The order is the dataset's `box_2d` = `[ymin, xmin, ymax, xmax]`, 0..1000 (paper, section 2.3.1).

    Raises:
        InvalidBoxError: An edge is no finite number in 0..1000, or the box has no area.

    >>> Box(250, 100, 500, 300).pixels(width=750, height=1101)
    (75, 275, 225, 551)
    """

    ymin: float
    xmin: float
    ymax: float
    xmax: float

    def __post_init__(self) -> None:
        ymin, xmin, ymax, xmax = self.box_2d
        if type(ymin) is type(xmin) is type(ymax) is type(xmax) is float and (
            0 <= ymin < ymax <= 1000 and 0 <= xmin < xmax <= 1000
        ):
            return  # nothing is wrong, as in nearly every row of a file
        for name in ("ymin", "xmin", "ymax", "xmax"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InvalidBoxError(f"box edge {name} is {str(value)[:40]!r}; it must be a number in 0..1000")
            if isinstance(value, int) and abs(value) > _LARGE:  # an integer may have more digits than can be shown
                raise InvalidBoxError(f"box edge {name} is a very large integer; it must be a number in 0..1000")
            if not math.isfinite(value):
                raise InvalidBoxError(f"box edge {name} is {value!r}; it must be a number in 0..1000")
            if not 0 <= value <= 1000:
                raise InvalidBoxError(
                    f"box edge {name} is {value:g}; it must lie in 0..1000 (thousandths of the image, "
                    "[ymin, xmin, ymax, xmax])"
                )
        if self.ymin >= self.ymax or self.xmin >= self.xmax:
            raise InvalidBoxError(
                f"box {list(self.box_2d)} is empty; ymin must be below ymax and xmin below xmax "
                "([ymin, xmin, ymax, xmax])"
            )

    @classmethod
    def from_box_2d(cls, values: Iterable[float]) -> Box:
        """Returns the box of `[ymin, xmin, ymax, xmax]`.

        Raises:
            InvalidBoxError: There are not four values, or they make no box.
        """
        edges = list(values)
        if len(edges) != 4:
            raise InvalidBoxError(f"a box has four numbers, [ymin, xmin, ymax, xmax]; found {len(edges)}")
        return cls(*edges)

    @classmethod
    def from_pixels(cls, left: int, top: int, right: int, bottom: int, *, width: int, height: int) -> Box:
        """Returns the box of a pixel rectangle (right and bottom exclusive) on an image of this size."""
        return cls(top * 1000 / height, left * 1000 / width, bottom * 1000 / height, right * 1000 / width)

    @property
    def box_2d(self) -> tuple[float, float, float, float]:
        """The four edges in the dataset's order."""
        return (self.ymin, self.xmin, self.ymax, self.xmax)

    @property
    def area(self) -> float:
        """The share of the image that the box covers, 0..1."""
        return (self.ymax - self.ymin) * (self.xmax - self.xmin) / 1e6

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Returns (left, top, right, bottom) of the smallest pixel rectangle that covers the box."""
        left, right = _cover(self.xmin, self.xmax, width)
        top, bottom = _cover(self.ymin, self.ymax, height)
        return (left, top, right, bottom)


def _cover(low: float, high: float, size: int) -> tuple[int, int]:
    start = min(math.floor(low * size / 1000 + _EDGE), size - 1)
    return start, max(math.ceil(high * size / 1000 - _EDGE), start + 1)


@dataclass(frozen=True, slots=True)
class Difference:
    """One edit to make: what the original has and the draft has not.

    Args:
        description: What the original shows there, in words.
        box: Where, on the original.
        reference: The crop of the original inside the box: the image prompt of the `bug` protocol.
    """

    description: str
    box: Box
    reference: Image.Image = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.description, str) or not self.description.strip():
            raise InvalidDataError("a difference has no description; say in words what the original shows in the box")


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of FashionEdit: a photograph, its caption, the draft made from the caption, and three differences.

    Args:
        id: Safe as a file name: letters, digits, `.`, `_`, `-`, at most 200.
        annotation: The caption that the draft was generated from.
        draft: The text-to-image result that editing starts from (column `sd3_image`).
        original: The photograph that results are compared with (column `original_image`).
        differences: Exactly three, in the order of the rounds.
        clip_score: Cosine similarity × 100 of draft and original at selection time, where known.
        gender, category, garment_id, view: What the DeepFashion file name tells, where known. Standard errors are
            clustered by `garment_id`; a sample without one is a garment of its own.
        sketches: Line drawings of the three crops, in the order of the differences; or none.
        examples: One to three other photographs of the same garment; or none. With n of them round k shows number
            ((k - 1) mod n) + 1.

    Raises:
        InvalidDataError: The id is not path-safe, there are not exactly three differences, or there are sketches or
            examples in another number.
    """

    id: str
    annotation: str
    draft: Image.Image = field(repr=False, compare=False)
    original: Image.Image = field(repr=False, compare=False)
    differences: tuple[Difference, ...]
    clip_score: float | None = None
    gender: str | None = None
    category: str | None = None
    garment_id: str | None = None
    view: str | None = None
    sketches: tuple[Image.Image, ...] = field(default=(), repr=False, compare=False)
    examples: tuple[Image.Image, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        check_id(self.id)
        if len(self.differences) != DIFFERENCES_PER_SAMPLE:
            raise InvalidDataError(
                f"sample {self.id} has {len(self.differences)} differences; a sample has exactly "
                f"{DIFFERENCES_PER_SAMPLE}"
            )
        check_references(f"sample {self.id}", sketches=len(self.sketches), examples=len(self.examples))

    @property
    def garment(self) -> str:
        """The cluster of the sample: gender-category-garment id where known, else the sample's own id."""
        if self.garment_id is None:
            return self.id
        return "-".join(part for part in (self.gender, self.category, self.garment_id) if part)


def check_id(value: str) -> None:
    """Raises InvalidDataError unless the id is safe as a file name."""
    if not _ID.fullmatch(value) or value.endswith("."):
        raise InvalidDataError(
            f"image_id {value!r} is no safe file name; use letters, digits, '.', '_' and '-', at most 200"
        )


def check_references(where: str, *, sketches: int, examples: int) -> None:
    """Raises InvalidDataError unless a sample, which the message calls `where`, may have so many of each."""
    if sketches not in (0, DIFFERENCES_PER_SAMPLE):
        raise InvalidDataError(
            f"{where} has {sketches} sketch{'es' if sketches > 1 else ''}; a sample has one for each of its "
            f"{DIFFERENCES_PER_SAMPLE} differences, or none"
        )
    if examples > MOST_EXAMPLES:
        raise InvalidDataError(f"{where} has {examples} examples; a sample has at most {MOST_EXAMPLES}")


def safe_id(name: str) -> str:
    """Returns the name as it is where it is path-safe, else made so, with a piece of its hash that keeps it unique.

    Composed and decomposed letters (as macOS writes them) give the same id.

    >>> safe_id("MEN-Denim-id_00000089-01_7_additional")
    'MEN-Denim-id_00000089-01_7_additional'
    >>> safe_id("red dress (2)")
    'red-dress-2-f6bb057f'
    """
    name = unicodedata.normalize("NFC", name)
    try:
        if len(name) > _LONGEST_ID:
            raise InvalidDataError(f"{name} is too long")
        check_id(name)
    except InvalidDataError:
        words = re.sub(r"[^A-Za-z0-9._]+", "-", name)[:_LONGEST_WORDS].strip("-._") or "photo"
        return f"{words}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return name


def as_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Returns the names that were given; a text is one name, not its letters."""
    return (names,) if isinstance(names, str) else tuple(names)


def split_name(name: str) -> str:
    """Returns the split's name in the dataset: `val` and `validation` are one split.

    >>> split_name("val")
    'validation'
    """
    found = "validation" if name == "val" else name
    if found not in SPLITS:
        raise UnknownNameError(f"no split is called {name!r}; choose train or validation (val)")
    return found


def split_names(text: str) -> tuple[str, ...]:
    """Returns the splits that a text like `train+validation` names, each once, in the dataset's order.

    >>> split_names("val+train")
    ('train', 'validation')
    """
    asked = {split_name(part.strip()) for part in text.split("+")}
    return tuple(split for split in SPLITS if split in asked)
