"""Verifies a bundle: by itself, beside the dataset, and with the images by computing every score again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from fashionedit.card import LAST_ROUND, LEADERBOARD_PROTOCOLS
from fashionedit.eval_harness.protocols import PROTOCOL_VERSION
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.encoder import ImageEncoder, Precision
from fashionedit.metrics.paper_metrics import STAR_THRESHOLD
from fashionedit.metrics.similarity import PSNR_FINGERPRINT
from fashionedit.runtime.progress import Bar

from .benchmark import SPLIT
from .bundle import Bundle, checksum, read_bundle, shape_problems
from .checks import copy_problems, unfinished_rounds
from .ground_truth import KnownSamples, known_problems
from .recomputing import find_pictures, missing_pictures, recomputed_problems

Level = Literal["consistent", "images", "scores"]
"""What was verified: the bundle by itself, the images' pixels too, the scores too."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it.

    Args:
        level: How far it was looked through.
        problems: A sentence for each thing that is not as it is stated; none where the bundle holds.
        data: The dataset whose ids, groups and manifest were compared; None where none was.
    """

    bundle: Bundle
    level: Level
    problems: tuple[str, ...]
    data: str | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.problems:
            count = len(self.problems)
            return f"refused: {count:,} thing{'s are' if count > 1 else ' is'} not as stated"
        samples = f"; samples and manifest are those of {self.data}" if self.data else ""
        if self.level == "consistent":
            return f"internally consistent, not verified{samples}; to verify takes --images DIR and --data DATA"
        if self.level == "images":
            return f"internally consistent, and every image is there{samples}; the scores were not computed again"
        return f"verified: every image is there, and every score was computed again{samples}"


def check_bundle(folder: Path, known: KnownSamples | None = None) -> Verdict:
    """Returns the verdict on a bundle by itself, and beside a dataset where one is known.

    Raises:
        InvalidDataError: There is no `bundle.json` that can be read.
    """
    bundle = read_bundle(folder)
    problems = list(dict.fromkeys(_problems(bundle)))
    if known is not None and not problems:
        problems = list(known_problems(bundle, known))
    return Verdict(bundle, "consistent", tuple(problems), known.name if known is not None else None)


def verify_bundle(
    folder: Path,
    *,
    images: Path | None = None,
    known: KnownSamples | None = None,
    encoder: Callable[[Precision], ImageEncoder] | None = None,
    bar: Callable[[str, str], Bar],
) -> Verdict:
    """Returns the verdict on a bundle, verified as far as images, dataset and encoder allow.

    Args:
        images: A folder with the run's images.
        known: The dataset; scores are computed again only with its full form.
        encoder: Gives the encoder in the precision of the scores, once it is needed.
        bar: Makes a progress bar from a title and a unit.

    Raises:
        InvalidDataError: There is no bundle or no image, or the encoder is not the bundle's.
        EncoderNotFoundError: Its weights can't be had.
    """
    verdict = check_bundle(folder, known)
    bundle = verdict.bundle
    if images is None or not verdict.holds:
        return verdict
    outputs = list(bundle.outputs)
    with bar("images", "picture") as shown:
        pictures = find_pictures(images, {digest for *_, digest in outputs}, progress=shown.at)
    problems = missing_pictures(outputs, pictures, images)
    level: Level = "images"
    if not problems and known is not None and known.folder is not None and encoder is not None:
        level = "scores"
        stated = bundle.metrics[0].fingerprint.get("precision")
        precision = cast(Precision, stated) if stated in get_args(Precision) else "fp32"
        with bar("scores", "pair") as shown:
            problems = recomputed_problems(
                bundle, known.folder, Embedder(encoder(precision)), pictures, progress=shown.at
            )
    return Verdict(bundle, level, tuple(problems), verdict.data)


def _problems(bundle: Bundle) -> Iterator[str]:
    """Yields a sentence for each thing in a bundle that a submission can't have."""
    if checksum(bundle.model_dump(mode="json")) != bundle.checksum:
        yield "bundle.json was altered after the bundle was made: its checksum is another."
        return
    misfits = [*_of_the_metrics(bundle), *shape_problems(bundle)]
    if misfits:
        yield from misfits
        return
    yield from _of_the_run(bundle)
    yield from unfinished_rounds(bundle.results)
    yield from copy_problems(bundle.results)


def _of_the_metrics(bundle: Bundle) -> Iterator[str]:
    """Yields a sentence unless the metrics are a similarity × 100, its share above 0.9, and PSNR."""
    similarity, share, psnr = bundle.metrics if len(bundle.metrics) == 3 else (None, None, None)
    if (
        similarity is None
        or share is None
        or psnr is None
        or similarity.id not in ("clip", "cosine")
        or (share.id, share.of, psnr.id) != (f"{similarity.id}_star", similarity.id, "psnr")
        or (similarity.scale, share.scale, psnr.scale) != (100, 100, 1)
        or (similarity.threshold, share.threshold, psnr.threshold) != (None, STAR_THRESHOLD, None)
        or share.fingerprint != similarity.fingerprint
        or psnr.fingerprint != PSNR_FINGERPRINT
    ):
        yield "The bundle has other metrics than the leaderboard's; score the run again without --metric."


def _of_the_run(bundle: Bundle) -> Iterator[str]:
    run = bundle.run
    if bundle.model not in (None, bundle.name):
        yield f"The bundle is called {bundle.name} and its model is {bundle.model}."
    if run.protocol_version != PROTOCOL_VERSION:
        yield f"The protocol version is {run.protocol_version}; this package checks version {PROTOCOL_VERSION}."
    if run.split != SPLIT:
        yield f"The run is of another split than {SPLIT}."
    if run.samples != len(bundle.samples):
        yield f"The samples are not the whole split: {run.samples:,} in the run, {len(bundle.samples):,} in the bundle."
    if run.control_set:
        yield "The run was made on the control set."
    if run.editor.privileged:
        yield f"The editor {run.editor.name} is told the answer; it can't be submitted."
    if not set(run.protocols) & set(LEADERBOARD_PROTOCOLS):
        yield "The run edited in no protocol of the leaderboard."
    have = {(row.protocol, row.round) for row in bundle.rows if row.method is None}
    rounds = {protocol: range(1, LAST_ROUND + 1) if protocol != "draft" else range(1) for protocol in run.protocols}
    if run.rounds != LAST_ROUND or have != {(protocol, round) for protocol in rounds for round in rounds[protocol]}:
        yield f"The bundle does not have the {LAST_ROUND} rounds of each of the run's protocols."
