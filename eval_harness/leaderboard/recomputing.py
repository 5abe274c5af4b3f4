"""Computes the scores of a bundle again, from its images and the dataset."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.records import ImageRef, RoundOutcome, RunIdentity
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.primary_scores import NOT_RUN
from fashionedit.eval_harness.scores.result_models import Results, Row, RowSamples
from fashionedit.eval_harness.scores.results import build_results
from fashionedit.eval_harness.scores.scoring import Progress
from fashionedit.images import SUFFIXES, pixel_digest, read_image
from fashionedit.metrics.embedder import Embedder
from fashionedit.parallel import map_in_order

from .bundle import Bundle
from .checks import disguised_problems


def place_of(row: Row) -> str:
    """Returns which row it is, in the words of the records."""
    return f"{row.method}, {row.protocol} round {row.round}"


def find_pictures(folder: Path, digests: Collection[str], *, progress: Progress | None = None) -> dict[str, Path]:
    """Returns the file of each pixel digest that the folder holds.

    A run folder's images bear their digest as name; they are looked at first, all others only where some are missing.
    No name is trusted: every file that is returned was decoded.

    Args:
        folder: Of any layout.
        digests: Those to look for.
        progress: Called with the files looked at and the files in all.

    Raises:
        InvalidDataError: There is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise InvalidDataError(f"{folder} is no folder; give the folder of the images, such as RUN/images")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise InvalidDataError(f"{folder} holds no pictures; give the folder of the images, such as RUN/images")
    wanted = set(digests)
    named = [path for path in files if path.stem in wanted]
    others = [path for path in files if path.stem not in wanted]
    found: dict[str, Path] = {}
    done = 0
    for paths in (named, others):
        if wanted <= found.keys():
            break
        for path, digest in zip(paths, map_in_order(_digest, paths), strict=True):
            done += 1
            if digest in wanted:
                found.setdefault(digest, path)
            if progress is not None:
                progress(done, len(files))
    return found


def _digest(path: Path) -> str | None:
    try:
        return pixel_digest(read_image(path))
    except InvalidImageError:
        return None


def open_picture(path: Path, digest: str) -> Image.Image:
    """Returns the picture.

    Raises:
        InvalidImageError: It is no longer the one that was found.
    """
    image = read_image(path)
    if pixel_digest(image) != digest:
        raise InvalidImageError(f"{path} was changed while the bundle was verified; give the same command again")
    return image


def missing_pictures(
    outputs: Iterable[tuple[str, str, int, str]], found: Mapping[str, Path], folder: Path
) -> list[str]:
    """Returns a sentence for each output of a bundle whose pixels are in no file.

    Args:
        outputs: See `Bundle.outputs`.
    """
    return [
        f"Sample {sample}: no picture in {folder} has the pixels of {protocol} round {round} ({digest[:12]}…)."
        for sample, protocol, round, digest in outputs
        if digest not in found
    ]


PRECISE = {"clip": 0.01, "cosine": 0.01, "psnr": 1e-4, "encoded": 0.02, "counted": 1e-3}
"""How far a score may be from the one computed again, in its unit; in fp32 devices agree to 1e-6 in cosine.

`encoded` is for measures that come from embeddings, `counted` for those from pixels.
"""

ROUGH = {"clip": 0.2, "cosine": 0.2, "psnr": 1e-4, "encoded": 0.4, "counted": 1e-3}
"""The same in half precision, which moves a cosine by up to 2.6e-4 and more on other devices."""

_ENCODED = ("inside", "outside_similarity", "drift")


def recomputed_problems(
    bundle: Bundle,
    source: SampleSource,
    embedder: Embedder,
    pictures: Mapping[str, Path],
    *,
    progress: Progress | None = None,
) -> list[str]:
    """Returns a sentence for each score, digest and fact of the results that is another when computed again.

    The rows that every table has (floor, leaks, ceiling) are made again too. No score of an earlier time is taken over.

    Args:
        source: The whole split, in its full form.
        embedder: With the encoder of the bundle.
        pictures: The file of each output's pixel digest; all must be there.

    Raises:
        InvalidDataError: The encoder is another one.
    """
    results = bundle.results
    _same_encoder(results, embedder)
    with tempfile.TemporaryDirectory(prefix="fashionedit-verify-") as folder:
        first = bundle.run.model_copy(update={"repeats": 1})
        run = _ClaimedRun(Path(folder), first, results, pictures)
        found = build_results(run, source, embedder, measures=bool(results.measures), progress=progress)
        return [*_differences(results, found), *disguised_problems(run.outcomes(source), source)]


def _same_encoder(results: Results, embedder: Embedder) -> None:
    stated, have = results.metrics[0].fingerprint, dict(embedder.encoder.fingerprint)
    other = [field for field in sorted({*stated, *have}) if stated.get(field) != have.get(field)]
    if other:
        told = "; ".join(f"{field}: {stated.get(field)}, yours {have.get(field)}" for field in other)
        raise InvalidDataError(f"the scores were made with another encoder ({told}); name that one with --encoder")


@dataclass(frozen=True)
class _ClaimedRun:
    """The run as a bundle tells of it, with its images found: the first repetition, which is the one in the table."""

    path: Path
    identity: RunIdentity
    results: Results
    pictures: Mapping[str, Path]

    def outcomes(self, source: SampleSource, repeat: int = 0) -> Iterator[RoundOutcome]:
        own = [
            (row, found)
            for row, found in zip(self.results.rows, self.results.row_samples, strict=True)
            if row.run is not None
        ]
        for row, found in own:
            for sample, status, digest in zip(self.results.samples, found.status, found.digests, strict=True):
                ended = None if status == NOT_RUN else Status(status)
                yield RoundOutcome(
                    sample.id,
                    row.protocol,
                    row.round,
                    ended,
                    ImageRef(digest, (0, 0), partial(self._open, source, sample.id, digest)),
                    own=ended is Status.OK,
                )

    def _open(self, source: SampleSource, id: str, digest: str) -> Image.Image:
        if digest in self.pictures:
            return open_picture(self.pictures[digest], digest)
        return source.sample(id).draft  # of a round that ended without an image, and so did those before it


def _differences(stated: Results, found: Results) -> Iterator[str]:
    if stated.dataset != found.dataset:
        have, want = stated.dataset.model_dump(), found.dataset.model_dump()
        for field in have:
            if have[field] != want[field] and field != "name":
                yield f"The bundle tells of a dataset with {field} {have[field]}; it is {want[field]}."
    mine, theirs = _by_place(stated), _by_place(found)
    for place in mine.keys() - theirs.keys():
        yield f"The bundle has a row that the run does not give: {place_of(mine[place][0])}."
    for place in theirs.keys() - mine.keys():
        yield f"The bundle lacks a row: {place_of(theirs[place][0])}."
    half = stated.metrics[0].fingerprint.get("precision", "fp32") != "fp32"
    allowed = ROUGH if half else PRECISE
    for place, (row, claimed) in mine.items():
        if place not in theirs:
            continue
        remade, again = theirs[place]
        if row.doubtful != remade.doubtful:
            yield (
                f"{place_of(row)}: the scores lie {remade.control_gaps} above those of their controls, not "
                f"{row.control_gaps}."
            )
        for number, sample in enumerate(stated.samples):
            where = f"Sample {sample.id}: {place_of(row)}"
            if claimed.digests[number] != again.digests[number]:
                yield f"{where} is stated with another image than it has."
                continue
            for metric, values in claimed.values.items():
                value, right = values[number], again.values[metric][number]
                if abs(value - right) > allowed[metric]:
                    yield f"{where} is stated with {metric} {value:.4f}; computed again it is {right:.4f}."
            for measure, kept in claimed.measures.items():
                limit = allowed["encoded" if measure in _ENCODED else "counted"]
                value_of, right_of = kept[number], again.measures.get(measure, (None,) * len(stated.samples))[number]
                if (value_of is None) != (right_of is None) or (
                    value_of is not None and right_of is not None and abs(value_of - right_of) > limit
                ):
                    yield f"{where} is stated with {measure} {_told(value_of)}; computed again it is {_told(right_of)}."


def _told(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _by_place(results: Results) -> dict[tuple[object, ...], tuple[Row, RowSamples]]:
    return {
        (row.run, row.editor, row.protocol, row.round): (row, found)
        for row, found in zip(results.rows, results.row_samples, strict=True)
    }
