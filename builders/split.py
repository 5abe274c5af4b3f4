"""Stage `split`: photographs for training and for validation, chosen once, and extended without moving any.

The order is that of a hash of the seed and a name, so that neither the photographs' order nor the machine matters.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError, model_validator

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.files import parse_json, read_regular
from fashionedit.photo_index import stem_of
from fashionedit.types import SPLITS, safe_id, split_name

SPLIT_FILE = "split.json"

PAPER_VALIDATION = 1000
"""The images of the paper's validation split, of 11,546."""

SplitRule = Literal["garment", "random", "file"]


class SplitList(BaseModel):
    """The split of each garment or image; it never changes.

    Args:
        rule: How it was chosen.
        seed: What the order depended on; of no meaning for a file.
        wanted: How many images were to be in validation.
        train, validation: Garments under the rule `garment`, ids under the others; each once, sorted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    rule: SplitRule
    seed: int
    wanted: NonNegativeInt
    train: tuple[str, ...]
    validation: tuple[str, ...]

    @model_validator(mode="after")
    def _once(self) -> SplitList:
        found = Counter([*self.train, *self.validation])
        if twice := sorted(name for name, count in found.items() if count > 1):
            raise ValueError(f"{_named(twice)} stand there more than once")
        return self

    def check(self, rule: SplitRule, seed: int) -> None:
        """Checks that the list was made by this rule and seed.

        Raises:
            InvalidDataError: It was not.
        """
        before, now = (
            f"rule {name}" if name == "file" else f"rule {name}, seed {number}"
            for name, number in ((self.rule, self.seed), (rule, seed))
        )
        if before != now:
            raise InvalidDataError(
                f"the photographs were split before by {before}, and {now} is asked for; ask for the same again, give "
                "--again split, or build into a new folder"
            )

    def splits(self, items: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Returns the split of each (id, garment), by id.

        Raises:
            InvalidDataError: One was not there when the list was made; `assign` extends it.
        """
        split_of = self._by_name()
        items = list(items)
        if unknown := [identity for identity, garment in items if _name(self.rule, identity, garment) not in split_of]:
            raise InvalidDataError(f"the split list does not know {_named(unknown)}; have it extended first")
        return {identity: split_of[_name(self.rule, identity, garment)] for identity, garment in items}

    def to_json(self) -> str:
        """Returns the file's text, the same for the same content."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, name: str = SPLIT_FILE) -> SplitList:
        """Returns the list that `to_json` wrote.

        Raises:
            InvalidDataError: The text is none; the message calls it `name`.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "its content"
            raise InvalidDataError(
                f"{name} is no split list ({where}: {first['msg']}); restore it, or delete it to have the photographs "
                "split anew"
            ) from error

    def _by_name(self) -> dict[str, str]:
        return {**dict.fromkeys(self.train, "train"), **dict.fromkeys(self.validation, "validation")}


def assign(
    items: Sequence[tuple[str, str]],
    *,
    rule: SplitRule = "garment",
    seed: int = 0,
    validation: int | None = None,
    listed: Collection[str] | None = None,
    known: Collection[str] = (),
    frozen: SplitList | None = None,
) -> SplitList:
    """Returns the split of all items, and of all that the frozen list has.

    | rule | validation is |
    |---|---|
    | `garment` | whole garments in the order of hash(seed, garment), one that would be too much being passed over \
for later ones; a last one comes in whole if that is nearer to the number than leaving it out |
    | `random` | images in the order of hash(seed, id), exactly the number: the paper's rule, whose own list was never \
published. Photographs of one garment fall on both sides |
    | `file` | what `listed` names |

    With a frozen list nothing moves: what has its split keeps it, and new garments (images) go to train, unless
    validation has fewer images than wanted; then it is filled up from the new ones by the same rule. A new photograph
    of an old garment goes where the garment is.

    Args:
        items: The id and the garment of each image.
        rule: One of the three.
        seed: Changes the order.
        validation: How many images are wanted; 0 for none. By default what the frozen list wanted, else a tenth,
            rounded up, and at most the paper's 1,000. If there are no more images than wanted, all are validation
            and train is empty; a single garment is never left out of both.
        listed: For the rule `file`: the ids of validation.
        known: Further ids that `listed` may name, of photographs that are no samples (yet): they get their split.
        frozen: The list of an earlier build.

    Raises:
        UnknownNameError: There is no such rule.
        InvalidDataError: A number is negative, an id comes twice, `listed` names an unknown image, or is missing or
            not wanted by the rule, or the frozen list was made by another rule or seed, or says otherwise.
    """
    _check(items, rule, validation, listed)
    if frozen is not None:
        frozen.check(rule, seed)
    taken = frozen._by_name() if frozen is not None else {}
    sizes = Counter(_name(rule, identity, garment) for identity, garment in items)
    if rule == "file":
        return _from_file(sizes, set(listed or ()), known, taken)
    if validation is None:
        validation = frozen.wanted if frozen else min(PAPER_VALIDATION, -(-len(items) // 10))
    filled = sum(size for name, size in sizes.items() if taken.get(name) == "validation")
    order = sorted((name for name in sizes if name not in taken), key=lambda name: _hash(seed, name))
    chosen = set(_fill(order, sizes, validation - filled, empty=not filled))
    for name in order:
        taken[name] = "validation" if name in chosen else "train"
    return _list(rule, seed, validation, taken)


def _fill(order: list[str], sizes: Mapping[str, int], room: int, *, empty: bool) -> list[str]:
    """Returns names whose sizes together come near to `room`: at most that, or above it by one name only."""
    chosen, left_over = [], []
    for name in order:
        if sizes[name] <= room:
            chosen.append(name)
            room -= sizes[name]
        else:
            left_over.append(name)
    if room > 0 and left_over:
        smallest = min(left_over, key=lambda name: sizes[name])  # the first of them, as `min` has it
        if sizes[smallest] - room < room or (empty and not chosen):
            chosen.append(smallest)
    return chosen


def _from_file(sizes: Mapping[str, int], listed: set[str], known: Collection[str], taken: dict[str, str]) -> SplitList:
    if unknown := sorted(listed - sizes.keys() - set(known) - taken.keys()):
        raise InvalidDataError(
            f"the validation list names {_named(unknown)}, which are no images of this build; correct the list"
        )
    asked = {name: "validation" if name in listed else "train" for name in {*sizes, *listed}}
    if moved := sorted(name for name, split in asked.items() if taken.get(name, split) != split):
        raise InvalidDataError(
            f"the validation list would move {_named(moved)} to another split than they have; give the list that the "
            "build was begun with, with new images added, or build into a new folder"
        )
    return _list("file", 0, len(listed), {**taken, **asked})


def _list(rule: SplitRule, seed: int, wanted: int, split_of: Mapping[str, str]) -> SplitList:
    train, validation = (tuple(sorted(name for name in split_of if split_of[name] == split)) for split in SPLITS)
    return SplitList(rule=rule, seed=seed, wanted=wanted, train=train, validation=validation)


def _name(rule: SplitRule, identity: str, garment: str) -> str:
    return garment if rule == "garment" else identity


def _hash(seed: int, name: str) -> tuple[str, str]:
    return hashlib.sha256(f"{seed}|{name}".encode()).hexdigest(), name


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3:,} more ({len(names):,} in all)"


def _check(
    items: Sequence[tuple[str, str]], rule: SplitRule, validation: int | None, listed: Collection[str] | None
) -> None:
    if rule not in get_args(SplitRule):
        raise UnknownNameError(f"no split rule is called {rule!r}; choose {', '.join(get_args(SplitRule))}")
    if validation is not None and validation < 0:
        raise InvalidDataError(f"{validation} images are wanted in validation; give 0 or more")
    if (rule == "file") != (listed is not None):
        found = "no list of validation images was given" if listed is None else f"a list was given to the rule {rule}"
        raise InvalidDataError(f"{found}; give one with the rule file, and only with it")
    if len(items) > len({identity for identity, _ in items}):
        twice = [identity for identity, count in Counter(identity for identity, _ in items).items() if count > 1]
        raise InvalidDataError(f"{_named(sorted(twice))} come more than once; ids are unique in a build")


_MAX_BYTES = 64 << 20
_FORMS = (
    'a name on each line, a JSON list, {"validation": [names]}, {name: split}, or an object whose keys are the names'
)


def read_split_file(path: Path) -> frozenset[str]:
    """Returns the ids that the file puts into validation.

    A name is an id or a file name, with either slash before it and with or without an image's ending; one that is no
    safe id stands for the id that its photograph gets. The file is text with one name a line (empty lines and lines
    that start with # are passed over), or JSON: a list of names, an object with `validation` or `val` (then `train` may
    stand beside it), an object that gives each name its split, or any other object, such as a part of `captions.json`,
    whose keys are the names.

    Raises:
        InvalidDataError: The file is missing, too large, none of these, names nothing, or a name is no text.
    """
    try:
        text = read_regular(path, _MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise InvalidDataError(f"{path.name}: byte {error.start} is not UTF-8; save the list as UTF-8") from error
    identities = set()
    for name in _names(text, path.name):
        if not isinstance(name, str):
            raise InvalidDataError(f"{path.name}: {json.dumps(name)[:60]} is no name of an image; write a string")
        identities.add(safe_id(stem_of(name.strip())))
    if not identities:
        raise InvalidDataError(f"{path.name} names no image for validation; write {_FORMS}")
    return frozenset(identities)


def _names(text: str, name: str) -> list[Any]:
    if not text.lstrip().startswith(("[", "{")):
        lines = (line.strip() for line in text.splitlines())
        return [line for line in lines if line and not line.startswith("#")]
    try:
        found = parse_json(text, name=name)
    except InvalidDataError as error:
        raise InvalidDataError(f"{name} is no valid JSON ({error.__cause__}); write {_FORMS}") from error
    if isinstance(found, list):
        return found
    lists = [key for key, value in found.items() if key in ("train", "validation", "val") and isinstance(value, list)]
    if lists and len(lists) == len(found):
        return [entry for key in lists if key != "train" for entry in found[key]]
    try:
        splits = {key: split_name(value) for key, value in found.items() if isinstance(value, str)}
    except UnknownNameError:
        splits = {}
    if found and len(splits) == len(found):
        return [key for key, split in splits.items() if split == "validation"]
    return list(found)
