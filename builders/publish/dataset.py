"""Publishing a dataset: the annotations form, looked at before it is sent, or with leave the full set."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fashionedit.annotations_form import EVAL_FILE, carried_files, write_annotations
from fashionedit.card import CARD_FILE, read_card
from fashionedit.errors import InvalidDataError
from fashionedit.files import lock_folder, write_atomically
from fashionedit.folder import FashionEditFolder, split_files, write_folder
from fashionedit.hydration import check_hydration
from fashionedit.image_metadata import has_metadata
from fashionedit.images import EncodedImage, without_metadata
from fashionedit.manifest import read_manifest
from fashionedit.parallel import map_in_order
from fashionedit.paths import cache_folder
from fashionedit.rows import EncodedSample, image_bytes

from .guard import ALLOWED_FILES, check_files, files_to_send
from .repository import HubRepository, Uploaded


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file that is sent: its path in the repository, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Publication:
    """What was sent, or would be.

    Args:
        repository: `org/name`.
        form: `annotations` or `full`.
        files: Every file.
        uploaded: Where it is now; None where nothing was sent.
        public: Whether everybody can see it; None where nothing was sent.
    """

    repository: str
    form: str
    files: tuple[PublishedFile, ...]
    uploaded: Uploaded | None = None
    public: bool | None = None

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)


def publish_dataset(
    folder: Path | str,
    repository: str,
    *,
    private: bool | None = None,
    permission: bool = False,
    originals: bool = False,
    leaderboard: bool = False,
    dry_run: bool = False,
    branch: str | None = None,
    message: str | None = None,
    token: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Publication:
    """Returns what was sent to the Hub; the same call again sends only what is missing there.

    Args:
        folder: A FashionEdit folder, the full set.
        repository: `org/name`; created where it does not exist.
        private: Whether only its owners see it: True by default for a new one; one that exists stays as it is, but for
            False, which makes it public.
        permission: That the owner of the photographs agrees. Needed for whatever everybody can see, and for originals.
        originals: Whether the full set is sent.
        leaderboard: Whether `eval.yaml` is sent too. The Hub shows a leaderboard for it once it knows `fashionedit` as
            an evaluation framework; until then it may find fault with the file.
        dry_run: Whether everything is prepared and looked at, and nothing is sent; needs no network.
        branch: To send to; the main one by default.
        message: Of the commit.
        token: For the Hub; by default the one that this machine is logged in with.
        workers: Threads that decode and hash; as many as there are processors by default.
        progress: Called with the samples done and the samples in all while they are prepared: each three times.

    Raises:
        DatasetNotFoundError: The folder is not there, or no FashionEdit folder.
        InvalidDataError: Leave is missing, the repository's name is none, the folder is the annotations form, or
            something must not be sent.
        ServiceError: The token, the repository or the network; the message says which.
        RunBusyError: The same folder is being published by another process.
    """
    folder = Path(folder)
    target = HubRepository(repository, "dataset", token=token)
    split_files(folder)
    if read_manifest(folder).form == "annotations":
        raise InvalidDataError(f"{folder} is the annotations form; publish the full folder that it was made from")
    if originals and not permission:
        raise InvalidDataError(
            "originals are somebody's photographs; give --i-have-permission if their owner lets you pass them on, or "
            "leave out --include-originals"
        )
    if private is False and not permission:
        raise InvalidDataError(
            "boxes, descriptions and drafts may count as derived from the photographs; give --i-have-permission if you "
            "may make them public, or leave out --public"
        )
    if not dry_run:
        _check_visibility(target, private=private, permission=permission)
    if originals:
        _check_full_names(folder)
        with _staging(folder) as staged:
            clean = _without_metadata(folder, staged, workers=workers, progress=progress)
            return _send(clean, target, "full", private, permission, leaderboard, dry_run, branch, message)
    with _staging(folder) as staged:
        write_annotations(folder, staged, workers=workers, progress=_part(progress, 0, 1))
        check_hydration(staged, folder)
        check_files(staged, folder, workers=workers, progress=_part(progress, 1, 2))
        return _send(staged, target, "annotations", private, permission, leaderboard, dry_run, branch, message)


def _check_visibility(target: HubRepository, *, private: bool | None, permission: bool) -> None:
    public = target.is_public()
    if not public:
        return
    if private:
        raise InvalidDataError(
            f"{target.id} exists and is public; choose another repository, or make it private on its page first"
        )
    if not permission:
        raise InvalidDataError(
            f"{target.id} exists and is public; give --i-have-permission if you may make boxes, descriptions and "
            "drafts public, or choose another repository"
        )


def _check_full_names(folder: Path) -> None:
    sent = {path.as_posix() for path in files_to_send(folder)}
    if others := [name for names in split_files(folder).values() for name in names if name not in sent]:
        raise InvalidDataError(
            f"{folder} has its rows in {others[0]}; only data/train-*.parquet and data/validation-*.parquet are sent: "
            "write the folder again with fashionedit"
        )


def _without_metadata(
    folder: Path, staged: Path, *, workers: int | None, progress: Callable[[int, int], None] | None
) -> Path:
    """Returns the full set with nothing in its images beside the pictures: no place, time or author.

    It is the folder itself where that holds, else a copy in `staged` with the same card and the same manifest hash.
    """
    sources = {split: FashionEditFolder(folder, split) for split in split_files(folder)}
    items = [(source, key) for source in sources.values() for key in source.ids]
    total = 2 * len(items)

    def told(item: tuple[FashionEditFolder, str]) -> bool:
        source, key = item
        images = image_bytes(source.row(key))
        several = (images.original, images.draft, *images.crops, *images.sketches, *images.examples)
        return any(map(has_metadata, several))

    found = False
    for done, has in enumerate(map_in_order(told, items, workers=workers), 1):
        found |= has
        if progress is not None:
            progress(done, total)
    if not found:
        return folder

    def stripped(item: tuple[FashionEditFolder, str]) -> EncodedSample:
        source, key = item

        def strip(name: str, data: bytes) -> EncodedImage:
            name = f"the {name} of sample {key}"
            return without_metadata(EncodedImage.read(data, name=name), name=name)

        images = image_bytes(source.row(key)).map(strip)
        return EncodedSample(
            source.facts(key), images.original, images.draft, images.crops, images.sketches, images.examples
        )

    def rows(source: FashionEditFolder) -> Iterator[EncodedSample]:
        yield from map_in_order(stripped, [(source, key) for key in source.ids], workers=workers)

    manifest = read_manifest(folder)
    write_folder(
        staged,
        {split: rows(source) for split, source in sources.items()},
        name=manifest.name or folder.resolve().name,
        control_set=manifest.control_set,
        renderer=manifest.renderer,
        files=carried_files(folder),
        workers=1,
    )
    if (card := read_card(folder)) is not None:
        write_atomically(staged / CARD_FILE, card.encode())
    return staged


def _send(
    folder: Path,
    target: HubRepository,
    form: str,
    private: bool | None,
    permission: bool,
    leaderboard: bool,
    dry_run: bool,
    branch: str | None,
    message: str | None,
) -> Publication:
    kinds = tuple(name for name in ALLOWED_FILES if leaderboard or name != EVAL_FILE)
    paths = [path for path in files_to_send(folder) if leaderboard or path.as_posix() != EVAL_FILE]
    files = tuple(PublishedFile(path.as_posix(), (folder / path).stat().st_size) for path in paths)
    if dry_run:
        return Publication(target.id, form, files)
    target.create(private=True)  # whatever goes wrong below, nobody else sees half of it
    _check_visibility(target, private=private, permission=permission)  # preparing takes long, and owners change minds
    if branch is not None:
        target.create_branch(branch)
    uploaded = target.upload(
        folder,
        [file.path for file in files],
        message=message or f"FashionEdit, the {form} form",
        replaces=kinds,
        revision=branch,
    )
    if private is False:
        target.show_to_everybody()
    return Publication(target.id, form, files, uploaded, bool(target.is_public()))


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Gives a folder in the cache for what is going to be sent; it goes afterwards, and so does a killed process's."""
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    home = cache_folder() / "publishing" / name
    home.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(home)
    try:
        for leftover in home.iterdir():
            if leftover.is_dir():
                shutil.rmtree(leftover)
        yield home / "annotations"
    finally:
        shutil.rmtree(home, ignore_errors=True)
        os.close(lock)


def _part(progress: Callable[[int, int], None] | None, before: int, parts: int) -> Callable[[int, int], None] | None:
    """Returns what counts a stage's samples on behind those of the stages before it; there are three passes in all."""
    if progress is None:
        return None
    tell = progress
    return lambda done, total: tell(before * (total // parts) + done, 3 * (total // parts))
