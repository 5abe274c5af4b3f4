"""What a dataset says of the samples that a bundle claims to be about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from fashionedit.data import Repository, find_folder, find_source
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.eval_harness.scores.result_models import Kind, ScoredSample
from fashionedit.folder import FashionEditFolder, open_folder
from fashionedit.manifest import read_manifest

from .benchmark import SPLIT, Benchmark
from .bundle import Bundle


@dataclass(frozen=True, slots=True)
class KnownSamples:
    """What is known of the split from a dataset, in its full or its annotations form.

    Args:
        samples: Ids and groups, in order.
        manifest: The manifest hash of the split.
        name: How messages call the dataset.
        revision: Its commit, where it came from the Hub.
        originals, drafts: Pixel digests by id, as far as they are known.
        folder: The full form; None where there is only the annotations form.
    """

    samples: tuple[ScoredSample, ...]
    manifest: str
    name: str
    revision: str | None = None
    originals: Mapping[str, str] = field(default_factory=dict)
    drafts: Mapping[str, str] = field(default_factory=dict)
    folder: FashionEditFolder | None = None


def find_known(data: str | None, benchmark: Benchmark) -> KnownSamples | None:
    """Returns what a dataset says of the split; None where none was named and this machine knows no such one.

    Args:
        data: A folder, or `org/name[@revision]` on the Hub, by default at the benchmark's revision.
        benchmark: What the bundle names.

    Raises:
        DatasetNotFoundError: Nothing is found there.
        InvalidDataError: A file is not what it must be.
    """
    if data is None:
        try:
            found = _known(None, benchmark)
        except DatasetNotFoundError:
            return None
        return found if found.manifest == benchmark.manifest else None
    return _known(data, benchmark)


def _known(data: str | None, benchmark: Benchmark) -> KnownSamples:
    source = find_source(data, revision=benchmark.revision)
    if isinstance(source, Repository):
        path = source.folder()
        return _of_folder(path, f"{source.id}@{path.name[:12]}", path.name)
    return _of_folder(find_folder(data), str(data or "the dataset known on this machine"), None)


def _of_folder(path: Path, name: str, revision: str | None) -> KnownSamples:
    manifest = read_manifest(path)
    full = manifest.form == "full"
    folder = open_folder(path, SPLIT, facts_only=not full)
    about = tuple(
        ScoredSample(id=id, garment=facts.garment, category=facts.category, gender=facts.gender, view=facts.view)
        for id in folder.ids
        for facts in (folder.facts(id),)
    )
    identity = folder.manifest_hash  # before the digests: it learns all of them at once
    if full:
        originals = {id: folder.digests(id).original for id in folder.ids}
        drafts = {id: folder.digests(id).draft for id in folder.ids}
    else:
        originals = {id: manifest.samples[id].original.pixels for id in folder.ids if id in manifest.samples}
        stored = {id: manifest.images.get(sha256(_draft(folder, id)).hexdigest()) for id in folder.ids}
        drafts = {id: image.pixels for id, image in stored.items() if image is not None}
    return KnownSamples(about, identity, name, revision, originals, drafts, folder if full else None)


def _draft(folder: FashionEditFolder, id: str) -> bytes:
    data: bytes | None = (folder.row(id)["sd3_image"] or {}).get("bytes")
    if not data:
        raise InvalidDataError(f"{folder.path} holds no draft of sample {id}; fetch it again")
    return data


def known_problems(bundle: Bundle, known: KnownSamples) -> Iterator[str]:
    """Yields a sentence for each way in which the bundle is not about these samples."""
    benchmark = bundle.benchmark
    if known.revision is not None and known.revision != benchmark.revision:
        yield f"The bundle is of revision {benchmark.revision[:12]}; {known.name} is another revision."
    if known.manifest != benchmark.manifest:
        yield (
            f"The bundle was made on manifest {benchmark.manifest[:12]}…; {known.name} has {known.manifest[:12]}…: "
            "other samples, or the same ones changed."
        )
    stated = {sample.id: sample for sample in bundle.results.samples}
    there = {sample.id: sample for sample in known.samples}
    for id, sample in there.items():
        if id not in stated:
            yield f"Sample {id} of the dataset is missing from the bundle."
        elif stated[id] != sample:
            yield f"Sample {id}: garment, category, gender or view are not the dataset's."
    for id in stated:
        if id not in there:
            yield f"Sample {id} of the bundle is not in the dataset."
    told: tuple[tuple[str, Mapping[str, str], Kind], ...] = (
        ("original", known.originals, "ceiling"),
        ("draft", known.drafts, "floor"),
    )
    for name, digests, kind in told:
        for id, digest in zip(stated, bundle.digests(kind), strict=True):
            if digests.get(id, digest) != digest:
                yield f"Sample {id}: the {name} is another picture than the dataset's."
