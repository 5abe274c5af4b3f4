"""Images that somebody made elsewhere, taken in as a run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.eval_harness.editing import EditorInfo, Status
from fashionedit.eval_harness.protocols import ordered_protocols
from fashionedit.eval_harness.references import DETAIL, with_reference
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.files import write_atomically
from fashionedit.images import read_image

from .attempts import UnusableImageError, finished_image
from .chain import Step, chains
from .identity import SizePolicy, run_identity
from .records import RoundRecord
from .run_folder import RunFolder
from .sessions import Session
from .summary import Progress, Tally
from .supplied_files import find_images


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import found.

    Args:
        path: The run folder.
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

    Layouts: see `supplied_files.py`. A round without an image counts as never run. Called again on the same images,
    it continues.

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
    files = find_images(Path(folder), source, protocols=protocols, rounds=rounds)
    names = ordered_protocols(protocols if protocols is not None else {place[0] for place in files.images})
    info = EditorInfo(name, files.fingerprint, names)
    identity = run_identity(info, source, protocols=names, rounds=rounds, size_policy=size_policy, supplied=True)
    missing: dict[tuple[str, int], list[str]] = {}
    unreadable: list[str] = []
    planned = 0
    tally = Tally(progress, source)
    with RunFolder.create_or_open(out, identity) as run, Session(run, tally.counts, data):
        tally.begin(len(files.images), 0)
        for chain in chains(identity, source):
            for round in chain.rounds:
                planned += 1
                step = chain.step(round)
                path = files.images.get((step.protocol, round, step.sample))
                if path is None:
                    missing.setdefault((step.protocol, round), []).append(step.sample)
                    continue
                record = run.record(step.key)
                if record is not None:
                    tally.reused(record, counted=False)
                else:
                    label = path.relative_to(folder).as_posix()
                    size = chain.standing[1] if size_policy == "base" else None
                    record, image = _record(step, path, label, size)
                    run.commit(record, image)
                    tally.finished(record, asked=False)
                chain.take(record)
                if record.status is not Status.OK:
                    unreadable.append(path.relative_to(folder).as_posix())
        listed = {f"{protocol}/{round}": ids for (protocol, round), ids in missing.items()}
        write_atomically(run.path / "missing.json", json.dumps(listed, indent=2).encode())
    return ImportSummary(
        path=run.path,
        planned=planned,
        found=len(files.images) - len(unreadable),
        unreadable=tuple(unreadable),
        missing={place: tuple(ids) for place, ids in missing.items()},
        extra=files.extra,
    )


def _record(step: Step, path: Path, label: str, size: tuple[int, int] | None) -> tuple[RoundRecord, Image.Image | None]:
    status, message, image, output = Status.OK, "", None, None
    try:
        image, output = finished_image(read_image(path, name=label), size)
    except (InvalidImageError, UnusableImageError) as error:
        # A record says the same on every machine, so the file's full path stays out of it.
        status, message = Status.INVALID_IMAGE, str(error).replace(str(path), label)
    record = RoundRecord(
        key=step.key,
        sample=step.sample,
        protocol=step.protocol,
        round=step.round,
        status=status,
        message=message,
        instruction=step.instruction,
        inputs=(),  # what its maker was shown is not known
        output=output,
        seed=step.seed,
        params=step.params,
        attempts=0,
    )
    return record, image
