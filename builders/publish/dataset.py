"""Publishes a dataset: the annotations form after a check, or the full set with permission."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fashionedit.annotations_form import EVAL_FILE, carried_files, write_annotations
from fashionedit.card import CARD_FILE, read_card
from fashionedit.errors import InvalidDataError
from fashionedit.files import cache_folder, lock_folder, write_atomically
from fashionedit.folder import FashionEditFolder, split_files, write_folder
from fashionedit.hydration import check_hydration
from fashionedit.image_metadata import has_metadata
from fashionedit.images import EncodedImage, without_metadata
from fashionedit.manifest import read_manifest
from fashionedit.parallel import map_in_order
from fashionedit.rows import EncodedSample, image_bytes
from fashionedit.runtime.progress import Progress

from .guard import ALLOWED_FILES, check_files, files_to_send
from .repository import HubRepository, Publication


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
    progress: Progress = lambda done, total: None,
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
        branch, message: Of the commit; the main branch by default.
        progress: Called with the steps done and the steps in all, several for each sample, while they are prepared.

    Raises:
        InvalidDataError: Leave is missing, or something must not be sent.
        RunBusyError: The same folder is being published by another process.
    """
    folder = Path(folder)
    target = HubRepository(repository, "dataset")
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
    with _staging(folder) as staged:
        if originals:
            _check_full_names(folder)
            sent = _without_metadata(folder, staged, progress)
        else:
            sent = staged
            write_annotations(folder, staged, progress=lambda done, total: progress(done, 3 * total))
            check_hydration(staged, folder)
            check_files(staged, folder, progress=lambda done, total: progress(total // 2 + done, total // 2 * 3))
        paths = [path for path in files_to_send(sent) if leaderboard or path.as_posix() != EVAL_FILE]
        files = {path.as_posix(): (sent / path).stat().st_size for path in paths}
        if dry_run:
            return Publication(target.id, files)
        target.create()  # whatever goes wrong below, nobody else sees half of it
        _check_visibility(target, private=private, permission=permission)  # preparing takes long, owners change minds
        return target.upload(
            sent,
            files,
            message=message or f"FashionEdit, the {'full' if originals else 'annotations'} form",
            replaces=[name for name in ALLOWED_FILES if leaderboard or name != EVAL_FILE],
            public=private is False,
            branch=branch,
        )


def _check_visibility(target: HubRepository, *, private: bool | None, permission: bool) -> None:
    if not target.is_public():
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


def _without_metadata(folder: Path, staged: Path, progress: Progress) -> Path:
    """Returns the full set with nothing in its images beside the pictures: no place, time or author.

    It is the folder itself where that holds, else a copy in `staged` with the same card and the same manifest hash.
    """
    sources = {split: FashionEditFolder(folder, split) for split in split_files(folder)}
    items = [(source, key) for source in sources.values() for key in source.ids]

    def holds_metadata(item: tuple[FashionEditFolder, str]) -> bool:
        source, key = item
        return any(map(has_metadata, image_bytes(source.row(key))))

    found = False
    for done, holds in enumerate(map_in_order(holds_metadata, items), 1):
        found |= holds
        progress(done, len(items))
    if not found:
        return folder

    def stripped(item: tuple[FashionEditFolder, str]) -> EncodedSample:
        source, key = item

        def strip(name: str, data: bytes) -> EncodedImage:
            name = f"the {name} of sample {key}"
            return without_metadata(EncodedImage.read(data, name=name), name=name)

        return EncodedSample(source.facts(key), image_bytes(source.row(key)).map(strip))

    manifest = read_manifest(folder)
    write_folder(
        staged,
        {split: map_in_order(stripped, [(source, key) for key in source.ids]) for split, source in sources.items()},
        name=manifest.name or folder.resolve().name,
        control_set=manifest.control_set,
        renderer=manifest.renderer,
        files=carried_files(folder),
        workers=1,
    )
    if (card := read_card(folder)) is not None:
        write_atomically(staged / CARD_FILE, card.encode())
    return staged


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Gives a folder in the cache for the upload; removes it afterwards, and what a killed process left."""
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
