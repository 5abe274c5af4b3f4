"""Writing a FashionEdit folder: the whole of it appears at its place, or nothing does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .card import CARD_FILE, SplitSize, card_text
from .errors import InvalidDataError
from .files import write_atomically
from .manifest import MANIFEST_FILE, Form, Manifest, SampleHashes, StoredImage
from .owned_folders import new_folder
from .parallel import map_in_order
from .parquet import SHARD_BYTES, ShardWriter
from .rows import EncodedSample, StoredRow
from .types import SPLITS, Sample, split_name


def write_folder(
    out: Path | str,
    splits: Mapping[str, Iterable[Sample | StoredRow]],
    *,
    name: str | None = None,
    licence: str | None = None,
    licence_note: str | None = None,
    control_set: bool = False,
    renderer: str | None = None,
    form: Form = "full",
    hashes: Mapping[str, SampleHashes] | None = None,
    manifest_hashes: Mapping[str, str] | None = None,
    sections: Sequence[tuple[str, str]] = (),
    files: Mapping[str, bytes] | None = None,
    replace: bool = False,
    shard_bytes: int = SHARD_BYTES,
    workers: int | None = None,
) -> dict[str, SplitSize]:
    """Writes Parquet shards, manifest and card; returns the size of each split.

    Rows are taken one at a time, so the set may be larger than memory. Everything is written into a folder beside `out`
    whose name starts with a dot and ends with `.part`, which is renamed at the end and removed on an error; one that a
    killed process left is removed by the next call for `out`.

    Args:
        out: The new folder; it must not exist, or be empty.
        splits: Rows by split (`train`, `validation` or `val`). Images of a `Sample` are stored as PNG.
        name: The dataset's name; the folder's by default.
        licence: The Hub's short name of a licence; none is claimed by default.
        licence_note: What the card says about it.
        control_set: Marks pictures that were drawn to test the harness.
        renderer: What drew them.
        form: What the card and the manifest say the folder is.
        hashes, manifest_hashes: Of the annotations form (`Manifest.samples`, `Manifest.manifest_hashes`); looked at
            once all rows are written.
        sections: Further parts of the card: heading and text.
        files: Further files to put into the folder, by name.
        replace: Whether `out` may be a dataset that was written with `replace` before; it is replaced at the end, and
            kept on an error. Files in it that are not ours stay.
        shard_bytes: No Parquet file is larger, unless a single row is.
        workers: Threads that encode images.

    Raises:
        InvalidDataError: `out` is taken, a split has no rows, an id appears twice, or two splits are one.
    """
    out = Path(out)
    rows = {split_name(split): samples for split, samples in splits.items()}
    if not rows or len(rows) != len(splits):
        raise InvalidDataError(f"the splits are {', '.join(splits) or 'missing'}; give train, validation, or both")
    title = name or out.resolve().name
    ids: set[str] = set()
    images: dict[str, StoredImage] = {}
    sizes: dict[str, SplitSize] = {}
    with new_folder(out, "build" if replace else "dataset", replace=replace) as folder:
        (folder / "data").mkdir()
        for split in (split for split in SPLITS if split in rows):
            written = total = 0
            with ShardWriter(folder / "data", split, shard_bytes=shard_bytes) as writer:
                for row in map_in_order(_encoded, rows[split], workers=workers):
                    if row.facts.id in ids:
                        raise InvalidDataError(f"image_id {row.facts.id} appears twice; ids are unique across splits")
                    ids.add(row.facts.id)
                    images |= {image.sha256: StoredImage(pixels=image.digest, size=image.size) for image in row.images}
                    written += 1
                    total += row.nbytes
                    writer.write(row)
            if not written:
                raise InvalidDataError(f"the split {split} has no samples; a split has at least one")
            sizes[split] = SplitSize(written, total)
        manifest = Manifest(
            name=title,
            control_set=control_set,
            renderer=renderer,
            form=form,
            splits={split: size.rows for split, size in sizes.items()},
            images=images,
            manifest_hashes=dict(manifest_hashes or {}),
            samples=dict(hashes or {}),
        )
        write_atomically(folder / MANIFEST_FILE, manifest.to_json().encode())
        card = card_text(
            title,
            sizes,
            licence=licence,
            licence_note=licence_note,
            renderer=renderer,
            control_set=control_set,
            form=form,
            sections=sections,
        )
        write_atomically(folder / CARD_FILE, card.encode())
        for file, data in (files or {}).items():
            write_atomically(folder / file, data)
    return sizes


def _encoded(sample: Sample | StoredRow) -> StoredRow:
    return EncodedSample.of(sample) if isinstance(sample, Sample) else sample
