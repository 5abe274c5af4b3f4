"""Imports images that somebody made elsewhere as a run.

The layouts that a folder of images may have:

    <protocol>/<round>/<id>.png      round as `1` or `round_1`
    draft/<id>.png                   the images of another generator, round 0
    text_one … text_three/<id>.png   the authors' released archives: `vanilla`, rounds 1 to 3
    m_one … m_three/<id>.png         and `bug`

Any picture that is read (`images.SUFFIXES`). Folders around these do not matter (archives often nest one folder
deeper).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.eval_harness.editing import EditorInfo, Status, canonical_json
from fashionedit.eval_harness.protocols import PROTOCOLS, ordered_protocols
from fashionedit.eval_harness.references import DETAIL, with_reference
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.files import write_atomically
from fashionedit.images import SUFFIXES, read_image

from .calls import UnusableImageError, finished_image
from .chain import Step, chains
from .identity import SizePolicy, run_identity
from .records import RoundRecord
from .run_folder import RunFolder
from .run_stats import Progress, RunStats
from .sessions import session


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import found.

    Args:
        planned: The rounds of the run, missing ones included.
        found: Images that are part of the run now.
        unreadable: Files that are no images, relative to the folder; their rounds are `invalid_image`.
        missing: For each protocol and round the ids without an image; also in `missing.json` of the run folder.
        extra: Files that belong to no sample or round of the run, relative to the folder.
    """

    path: Path
    planned: int
    found: int
    unreadable: tuple[str, ...]
    missing: dict[tuple[str, int], tuple[str, ...]]
    extra: tuple[str, ...]


def import_images(
    folder: Path | str,
    source: SampleSource,
    out: Path | str,
    *,
    name: str,
    protocols: Iterable[str] | None = None,
    rounds: int = 3,
    size_policy: SizePolicy = "model",
    reference: str = DETAIL,
    progress: Progress | None = None,
    data: str | None = None,
) -> ImportSummary:
    """Turns finished images into a run marked as supplied, and returns what was found and what is missing.

    The head of this module shows the layouts. A round without an image counts as never run. Called again on the same
    images, it continues.

    Args:
        out: The run folder, new or of the same import.
        name: How tables call whoever made the images.
        protocols: By default those that have images.
        rounds: 1, 2 or 3.
        size_policy: `model` keeps the images in their size, `base` resizes each to its base image.
        reference: What the maker of the `bug` images was shown: `detail` (the crop), `sketch` or `example`.
        data: Where the dataset is, noted so that scoring finds it again; no part of the run's identity.

    Raises:
        InvalidDataError: The folder has no image of any sample, two for one round, the name is empty, no sample has a
            reference of this kind, or an argument is out of range.
        UnknownNameError: A protocol or a kind of reference is unknown.
        RunMismatchError: `out` holds another run, or other images.
        RunBusyError: Another process is writing to `out`.
    """
    if not name.strip():
        raise InvalidDataError("the import has no name; say how tables are to call whoever made the images")
    source = with_reference(source, reference)
    names = ordered_protocols(PROTOCOLS if protocols is None else protocols)
    images, extra = _find_images(Path(folder), source, names, rounds)
    if protocols is None:
        names = ordered_protocols({place[0] for place in images})
    info = EditorInfo(name, _fingerprint(images))
    identity = run_identity(info, source, protocols=names, rounds=rounds, size_policy=size_policy, supplied=True)
    missing: dict[tuple[str, int], list[str]] = {}
    unreadable: list[str] = []
    planned = 0
    stats = RunStats(progress, source)
    with RunFolder.create_or_open(out, identity) as run, session(run.session, stats.counts, data):
        stats.begin(len(images), 0)
        for chain in chains(identity, source):
            for round in chain.rounds:
                planned += 1
                step = chain.step(round)
                path = images.get((step.protocol, round, step.sample))
                if path is None:
                    missing.setdefault((step.protocol, round), []).append(step.sample)
                    continue
                record = run.record(step.key)
                if record is not None:
                    stats.reused(record, counted=False)
                else:
                    label = path.relative_to(folder).as_posix()
                    size = chain.standing[1] if size_policy == "base" else None
                    record, image = _record(step, path, label, size)
                    run.commit(record, image)
                    stats.finished(record, asked=False)
                chain.take(record)
                if record.status is not Status.OK:
                    unreadable.append(path.relative_to(folder).as_posix())
        listed = {f"{protocol}/{round}": ids for (protocol, round), ids in missing.items()}
        write_atomically(run.path / "missing.json", json.dumps(listed, indent=2).encode())
    return ImportSummary(
        path=run.path,
        planned=planned,
        found=len(images) - len(unreadable),
        unreadable=tuple(unreadable),
        missing={place: tuple(ids) for place, ids in missing.items()},
        extra=tuple(extra),
    )


def _record(step: Step, path: Path, label: str, size: tuple[int, int] | None) -> tuple[RoundRecord, Image.Image | None]:
    status, message, image, output = Status.OK, "", None, None
    try:
        image, output = finished_image(read_image(path, name=label), size)
    except (InvalidImageError, UnusableImageError) as error:
        # A record says the same on every machine, so the file's full path stays out of it.
        status, message = Status.INVALID_IMAGE, str(error).replace(str(path), label)
    # What its maker was shown is not known.
    return step.record(status, message=message, inputs=(), output=output, attempts=0), image


_ROUND = re.compile(r"(?:round[_-]?)?(\d)")
_AUTHORS = {"text": "vanilla", "m": "bug"}
_NUMBERS = {"one": 1, "two": 2, "three": 3}


def _find_images(
    folder: Path, source: SampleSource, protocols: Iterable[str], rounds: int
) -> tuple[dict[tuple[str, int, str], Path], list[str]]:
    """Returns the file of each (protocol, round, sample), and the files that belong to none, relative to the folder.

    Raises:
        InvalidDataError: There is no such folder, no image of any sample in it, or two for one round.
    """
    if not folder.is_dir():
        raise InvalidDataError(f"{folder} is no folder; give the folder of the finished images")
    wanted = {(name, round) for name in protocols for round in PROTOCOLS[name].rounds(rounds)}
    known = set(source.ids)
    images: dict[tuple[str, int, str], Path] = {}
    extra: list[str] = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in relative.parts):
            continue
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
    return images, extra


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
    """Returns what changes with any byte of an image, and with what an image is taken for."""
    digest = hashlib.sha256()
    for spot, path in sorted(images.items()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(canonical_json([*spot, content], name="an image").encode() + b"\n")
    return f"supplied {digest.hexdigest()[:32]}"
