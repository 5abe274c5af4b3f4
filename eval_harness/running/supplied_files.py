"""Where finished images lie in a folder, and what each is taken for.

    <protocol>/<round>/<id>.png      round as `1` or `round_1`
    draft/<id>.png                   the images of another generator, round 0
    text_one … text_three/<id>.png   the authors' released archives: `vanilla`, rounds 1 to 3
    m_one … m_three/<id>.png         and `bug`

Any picture that is read (`images.SUFFIXES`). Folders around these do not matter (archives often nest one folder
deeper).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.protocols import PROTOCOLS, ordered_protocols
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.images import SUFFIXES

from .keys import canonical_json

_ROUND = re.compile(r"(?:round[_-]?)?(\d)")
_AUTHORS = {"text": "vanilla", "m": "bug"}
_NUMBERS = {"one": 1, "two": 2, "three": 3}


@dataclass(frozen=True, slots=True)
class SuppliedFiles:
    """What a folder of finished images holds.

    Args:
        images: The file of each (protocol, round, sample).
        extra: Files that belong to no sample or round, relative to the folder.
        fingerprint: Changes with any byte of an image, and with what an image is taken for.
    """

    images: dict[tuple[str, int, str], Path]
    extra: tuple[str, ...]
    fingerprint: str


def find_images(
    folder: Path, source: SampleSource, *, protocols: Iterable[str] | None = None, rounds: int = 3
) -> SuppliedFiles:
    """Returns the images of the source's samples in a folder.

    Args:
        protocols: Those to look for; by default all.
        rounds: Later rounds count as extra.

    Raises:
        InvalidDataError: There is no such folder, no image of any sample in it, or two for one round.
        UnknownNameError: A protocol is unknown.
    """
    if not folder.is_dir():
        raise InvalidDataError(f"{folder} is no folder; give the folder of the finished images")
    names = ordered_protocols(PROTOCOLS if protocols is None else protocols)
    wanted = {(name, round) for name in names for round in PROTOCOLS[name].rounds(rounds)}
    known = set(source.ids)
    images: dict[tuple[str, int, str], Path] = {}
    extra: list[str] = []
    for path in _files(folder):
        relative = path.relative_to(folder)
        place = _place(relative.parts[:-1])
        if place not in wanted or path.suffix.lower() not in SUFFIXES or path.stem not in known:
            extra.append(relative.as_posix())
            continue
        spot = (*place, path.stem)
        if spot in images:
            raise InvalidDataError(
                f"{images[spot].relative_to(folder)} and {relative} are both {spot[0]} round {spot[1]} of "
                f"{path.stem}; remove one"
            )
        images[spot] = path
    if not images:
        raise InvalidDataError(
            f"{folder} has no image of {source.name} {source.split}; put them in as vanilla/1/{source.ids[0]}.png, "
            f"bug/1/{source.ids[0]}.png or draft/{source.ids[0]}.png"
        )
    return SuppliedFiles(images, tuple(extra), _fingerprint(images))


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _place(folders: tuple[str, ...]) -> tuple[str, int] | None:
    """Returns protocol and round of a file by the folders it lies in, None where they say nothing."""
    names = [name for index, name in enumerate(folders) if not index or name != folders[index - 1]]
    if not names:
        return None
    stem, _, number = names[-1].rpartition("_")
    if stem in _AUTHORS and number in _NUMBERS:
        return _AUTHORS[stem], _NUMBERS[number]
    if names[-1] == "draft":
        return "draft", 0
    found = _ROUND.fullmatch(names[-1])
    if found is None or len(names) < 2 or names[-2] not in PROTOCOLS:
        return None
    return names[-2], int(found[1])


def _fingerprint(images: dict[tuple[str, int, str], Path]) -> str:
    digest = hashlib.sha256()
    for spot, path in sorted(images.items()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(canonical_json([*spot, content], name="an image").encode() + b"\n")
    return f"supplied {digest.hexdigest()[:32]}"
