"""Hydration: the annotations form and a user's own photographs become the full set, every hash compared.

Sketches are made again where a way to draw them is given, examples are looked for among the photographs; what does not
come out as it was stays null and is counted, and only then the manifest hash is another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from PIL import Image

from .annotations_form import card_sections, carried_files, is_caption, manifest_hashes
from .errors import InvalidDataError, InvalidImageError
from .files import read_regular
from .folder import FashionEditFolder, cached_folder, split_files, write_folder
from .images import MAX_FILE_BYTES, EncodedImage, crop, pixel_digest
from .manifest import MANIFEST_BYTES, MANIFEST_FILE, SampleHashes, read_manifest
from .parallel import map_in_order
from .photo_index import PhotoIndex
from .rows import EncodedSample, RowImages, SampleFacts, image_cell

_NOTE = """\
The photographs and captions were filled in on this machine from somebody's own copy and keep the terms of the
collection that they come from. **Do not pass this folder on**; `fashionedit publish` sends a form of it without
them."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """Result for one sample."""

    problem: str | None = None
    path: Path | None = None
    caption: str = ""
    re_encoded: bool = False


def hydrate(
    annotations: Path | str,
    photographs: Path | str,
    out: Path | str,
    *,
    captions: Path | str | None = None,
    partial: bool = False,
    sketch: Callable[[Image.Image], Image.Image] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    report: Callable[[HydrationReport], None] | None = None,
) -> HydrationReport:
    """Writes the full set into the new folder `out`; returns what was found.

    Every photograph is compared first. Where one sample can't be filled in, nothing is written, unless `partial`.

    Args:
        annotations: A FashionEdit folder in the annotations form.
        photographs: Where the photographs are, at any depth, as `<image_id>.jpg` (`.jpeg`, `.png`, `.webp`).
        out: Must not exist, or be empty.
        captions: The file with the captions; by default the one that lies with the photographs.
        partial: Whether samples that can't be filled in are left out.
        sketch: Draws a sketch of a crop, as the published ones were drawn; without it there are none.
        progress: Called with the steps done and the steps in all: two for each sample.
        report: Called with what was found also where nothing is written.

    Raises:
        DatasetNotFoundError: A folder is not there, or holds no photographs or no FashionEdit files.
        InvalidDataError: Samples can't be filled in, the annotations form is not what it must be, or `out` is taken.
    """
    annotations, out = Path(annotations), Path(out)
    manifest = read_manifest(annotations)
    splits = {name: FashionEditFolder(annotations, name, facts_only=True) for name in split_files(annotations)}
    if manifest.form != "annotations":
        raise InvalidDataError(f"{annotations} is not the annotations form; its photographs are in it already")
    ids = [key for source in splits.values() for key in source.ids]
    if strangers := [key for key in ids if key not in manifest.samples]:
        raise InvalidDataError(
            f"{annotations / MANIFEST_FILE} has no hashes for {len(strangers)} samples ({_name_some(strangers)}); "
            "fetch the annotations form again"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidDataError(f"{out} exists and is not an empty folder; choose another one or remove it")
    photos = PhotoIndex(photographs, captions)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, 2 * len(ids))

    findings: dict[str, _Finding] = {}
    looks = map_in_order(lambda key: _look(key, manifest.samples[key], photos), ids)
    for key, finding in zip(ids, looks, strict=True):
        findings[key] = finding
        step()
    examples = _ExampleFinder(photos)
    without: dict[str, list[str]] = {}
    written: dict[str, list[tuple[SampleFacts, RowImages[str]]]] = {}

    def summary(hashes: Mapping[str, str]) -> HydrationReport:
        kinds = {kind: tuple(key for key in ids if findings[key].problem == kind) for kind in PROBLEMS}
        return HydrationReport(
            wanted=len(ids),
            filled=sum(finding.problem is None for finding in findings.values()),
            problems={kind: keys for kind, keys in kinds.items() if keys},
            re_encoded=tuple(key for key in ids if findings[key].problem is None and findings[key].re_encoded),
            without={column: tuple(keys) for column, keys in without.items()},
            manifest_hashes=hashes,
            published=manifest.manifest_hashes,
        )

    def check() -> None:
        """Stops where something can't be filled in."""
        so_far = summary({})
        if so_far.problems and (not partial or not so_far.filled):
            if report is not None:
                report(so_far)
            raise InvalidDataError(_refusal(so_far, photos))

    def rows(split: str, source: FashionEditFolder) -> Iterator[EncodedSample]:
        def fill(key: str) -> tuple[str, EncodedSample | str]:
            return key, _fill(source, key, manifest.samples[key], findings[key], sketch, examples)

        wanted = [key for key in source.ids if findings[key].problem is None]
        for _ in range(len(source) - len(wanted)):
            step()
        for key, filled in map_in_order(fill, wanted):
            step()
            if isinstance(filled, str):
                findings[key] = replace(findings[key], problem=filled)
                if not partial:
                    check()
                continue
            for column in ("sketches", "examples"):
                if column in manifest.samples[key].references and not getattr(filled.images, column):
                    without.setdefault(column, []).append(key)
            pixels = filled.images.map(lambda _, image: image.digest)
            written.setdefault(split, []).append((filled.facts, pixels))
            yield filled

    check()
    write_folder(
        out,
        {
            split: rows(split, source)
            for split, source in splits.items()
            if any(findings[key].problem is None for key in source.ids)
        },
        name=manifest.name,
        licence="apache-2.0" if manifest.control_set else None,
        licence_note=None if manifest.control_set else _NOTE,
        control_set=manifest.control_set,
        renderer=manifest.renderer,
        sections=card_sections(annotations),
        files=carried_files(annotations),
        workers=1,
    )
    result = summary(manifest_hashes(written))
    if report is not None:
        report(result)
    return result


def check_hydration(annotations: Path, full: Path) -> None:
    """Checks that the annotations form can be filled in from the photographs and captions of the full set.

    Raises:
        InvalidDataError: A sample would not come out as it is in the full set; the message names it.
    """
    hashes = read_manifest(annotations).samples

    def problem(source: FashionEditFolder, whole: FashionEditFolder, key: str) -> str | None:
        image = whole.original(key)
        crops = tuple(pixel_digest(crop(image, box)) for box in source.facts(key).boxes)
        if crops != hashes[key].references.get("crops"):
            return "its crops are not what the photograph shows inside the boxes"
        if _caption(key, whole.facts(key).annotation, hashes[key].caption) is None:
            return "its caption does not pass its own check"
        return None

    for split in split_files(annotations):
        source, whole = FashionEditFolder(annotations, split, facts_only=True), FashionEditFolder(full, split)
        for key, found in zip(source.ids, map_in_order(partial(problem, source, whole), source.ids), strict=True):
            if found is not None:
                raise InvalidDataError(
                    f"sample {key} could not be filled in again by those who have its photograph, because {found}; "
                    "cut the crops from the photographs that are in the folder, with `fashionedit pack` or `build`"
                )


def hydrated_folder(annotations: Path, photographs: PhotoIndex) -> Path:
    """Returns the full set in the cache folder, filled in now unless it was before.

    It is kept under the hash of the annotations' manifest and the names, sizes and times of the photographs.
    """
    return cached_folder(
        "hydrated",
        hydration_key(annotations, photographs),
        lambda folder: hydrate(annotations, photographs.folder, folder),
    )


def hydration_key(annotations: Path, photographs: PhotoIndex) -> str:
    """Returns what changes when the annotations or one of the photographs do, 32 hex digits."""
    manifest = read_manifest(annotations)
    if manifest.form != "annotations":
        raise InvalidDataError(
            f"{annotations} is not the annotations form, so nothing is to be filled in from {photographs.folder}; load "
            "it without data_dir="
        )
    text = read_regular(annotations / MANIFEST_FILE, MANIFEST_BYTES, folder=annotations)
    return hashlib.sha256(text).hexdigest()[:16] + photographs.fingerprint(manifest.samples)


def _look(key: str, hashes: SampleHashes, photographs: PhotoIndex) -> _Finding:
    """Returns whether photograph and caption are those that were published; decodes only what is in another file."""
    tried = (_caption(key, text, hashes.caption) for text in photographs.captions(key))
    caption = next((text for text in tried if text is not None), None)
    if caption is None:
        return _Finding("no caption" if photographs.caption(key) is None else "caption different")
    problem = "missing"
    for path in photographs.files(key):
        try:
            if hashlib.sha256(read_regular(path, MAX_FILE_BYTES)).hexdigest() == hashes.file:
                return _Finding(None, path, caption)
            image, _ = EncodedImage.from_file(path, name=str(path))
        except (OSError, InvalidDataError):
            problem = "unreadable" if problem == "missing" else problem
            continue
        if image.digest == hashes.original.pixels:
            return _Finding(None, path, caption, re_encoded=image.sha256 != hashes.file)
        problem = "different"
    return _Finding(problem)


def _caption(key: str, found: str | None, wanted: str) -> str | None:
    """Returns the caption that passes the check: as it was found, or with its white space put in order."""
    for text in ("",) if found is None else (found, found.strip(), " ".join(found.split()), ""):
        if is_caption(key, text, wanted):
            return text
    return None


def _fill(
    source: FashionEditFolder,
    key: str,
    hashes: SampleHashes,
    finding: _Finding,
    sketch: Callable[[Image.Image], Image.Image] | None,
    examples: _ExampleFinder,
) -> EncodedSample | str:
    """Returns the whole row, or what is wrong with it."""
    assert finding.path is not None
    try:
        original, image = EncodedImage.from_file(finding.path, name=str(finding.path))
    except InvalidImageError:
        return "unreadable"
    if original.digest != hashes.original.pixels:
        return "decoded differently" if not finding.re_encoded else "different"
    facts = replace(source.facts(key), annotation=finding.caption)
    pieces = [crop(image, box) for box in facts.boxes]
    crops = tuple(EncodedImage.of(piece) for piece in pieces)
    wanted = hashes.references
    if tuple(piece.digest for piece in crops) != wanted.get("crops"):
        return "crops different"
    sketches: tuple[EncodedImage, ...] = ()
    if sketch is not None and "sketches" in wanted:
        drawn = tuple(EncodedImage.of(sketch(piece)) for piece in pieces)
        sketches = drawn if tuple(drawing.digest for drawing in drawn) == wanted["sketches"] else ()
    draft = EncodedImage.read(image_cell("draft", source.row(key)["sd3_image"]), name=f"the draft of sample {key}")
    others = examples.find(key, facts, wanted.get("examples", ()))
    return EncodedSample(facts, RowImages(original, draft, crops, sketches, others))


class _ExampleFinder:
    """Finds the other photographs of a garment by the digests of their pixels, among files named like it."""

    def __init__(self, photographs: PhotoIndex) -> None:
        self._by_garment: dict[str, list[Path]] = {}
        for path in photographs.all_files():
            self._by_garment.setdefault(_garment_of(path.stem), []).append(path)

    def find(self, key: str, facts: SampleFacts, wanted: tuple[str, ...]) -> tuple[EncodedImage, ...]:
        """Returns the photographs with these digests, in this order; none where one of them is not found."""
        if not wanted:
            return ()
        found: dict[str, EncodedImage] = {}
        for path in self._by_garment.get(_garment_of(key), ()):
            try:
                image, _ = EncodedImage.from_file(path, name=str(path))
            except InvalidImageError:
                continue
            found.setdefault(image.digest, image)
            if all(digest in found for digest in wanted):
                return tuple(found[digest] for digest in wanted)
        return ()


def _garment_of(stem: str) -> str:
    """Returns the part of a DeepFashion name that says which garment it is; the name's first part of any other."""
    garment, mark, rest = stem.partition("-id_")
    return f"{garment}{mark}{rest[:8]}" if mark else stem.partition("_")[0]


PROBLEMS = {
    "missing": "photograph missing",
    "unreadable": "photograph can't be read",
    "different": "photograph different",
    "decoded differently": "the right file, but this machine decodes it to other pixels",
    "no caption": "no caption",
    "caption different": "caption different",
    "crops different": "crops were not cut from the photograph by the box",
}
"""Why a sample can't be filled in, and how a sentence puts it."""

_NAMED = 3  # ids in a sentence


@dataclass(frozen=True)
class HydrationReport:
    """Result for all samples.

    Args:
        wanted: Samples in the annotations form.
        filled: Those whose photograph, caption and crops are all as they were.
        problems: By kind (`PROBLEMS`), the ids of the others.
        re_encoded: Photographs in other files than the published ones, with the same pixels: these are filled in.
        without: By column (`sketches`, `examples`), the ids of samples that had some and have none now.
        manifest_hashes: Of what was written, by split and of both; empty where nothing was.
        published: The same of the set that the annotations form was made from.
    """

    wanted: int
    filled: int
    problems: Mapping[str, tuple[str, ...]]
    re_encoded: tuple[str, ...] = ()
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    manifest_hashes: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, str] = field(default_factory=dict)

    @property
    def identical(self) -> bool:
        """Whether what was written is the set that was published, to the pixel and the letter."""
        return bool(self.manifest_hashes) and dict(self.manifest_hashes) == dict(self.published)

    def sentences(self) -> list[str]:
        """Returns what a person should know, a line each."""
        lines = [f"{self.filled:,} of {self.wanted:,} samples are filled in"]
        lines += [f"{PROBLEMS[kind]}: {len(ids):,} ({_name_some(ids)})" for kind, ids in self.problems.items()]
        if self.re_encoded:
            lines.append(f"another file with the same pixels: {len(self.re_encoded):,}")
        for column, ids in self.without.items():
            lines.append(f"left without {column}: {len(ids):,} ({_name_some(ids)})")
        if self.identical:
            lines.append("the set is the published one: equal manifest hash")
        elif self.manifest_hashes:
            lines.append("the set is not the published one: its manifest hash is another")
        return lines

    def to_json(self) -> str:
        """Returns the report as JSON."""
        values = asdict(self)
        counts = {"wanted": values.pop("wanted"), "filled": values.pop("filled"), "identical": self.identical}
        return json.dumps({**counts, **values}, indent=1, ensure_ascii=False) + "\n"


def _name_some(ids: Sequence[str]) -> str:
    """Returns the first names of a list."""
    return ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")


def _refusal(report: HydrationReport, photographs: PhotoIndex) -> str:
    """Returns the one sentence that says why nothing is written."""
    reasons = "; ".join(f"{PROBLEMS[kind]}: {len(ids):,} ({_name_some(ids)})" for kind, ids in report.problems.items())
    if "no caption" in report.problems and photographs.captions_file is None:
        reasons += f"; no captions.json, metadata.jsonl or CSV file with captions lies in {photographs.folder}"
    advice = (
        "complete the photographs, or leave those samples out with --partial"
        if report.filled
        else "check that these are the photographs that the annotations were made from"
    )
    return f"{report.wanted - report.filled:,} of {report.wanted:,} samples can't be filled in: {reasons}; {advice}"
