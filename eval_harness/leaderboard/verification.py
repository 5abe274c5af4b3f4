"""Looking a bundle through: everything in it that can be computed from the rest of it, the dataset and the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from fashionedit.errors import InvalidDataError
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.encoder import ImageEncoder, Precision
from fashionedit.runtime.progress import Bar

from .bundle import Bundle, read_head
from .consistency import consistency_problems
from .contents import Contents, read_contents
from .known import KnownSamples, known_problems
from .pictures import find_pictures, missing_pictures
from .recomputing import recomputed_problems

Level = Literal["consistent", "images", "scores"]
"""What was compared: the bundle with itself, the images' pixels too, the scores too."""


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


def check_bundle(folder: Path, known: KnownSamples | None = None) -> tuple[Verdict, Contents | None]:
    """Returns the verdict on a bundle by itself, and beside a dataset where one is known; and what is in it.

    Whatever a bundle's files say gives a verdict: one that can't be read is a problem like another.

    Raises:
        InvalidDataError: There is no `bundle.json` that can be read.
    """
    data = known.name if known is not None else None
    try:
        contents = read_contents(folder)
    except InvalidDataError as error:
        return Verdict(read_head(folder), "consistent", (f"{error}.",), data), None
    problems = consistency_problems(contents)
    if known is not None and not problems:
        problems = list(known_problems(contents.bundle, contents.results, known))
    return Verdict(contents.bundle, "consistent", tuple(problems), data), contents


def verify_bundle(
    folder: Path,
    *,
    images: Path | None = None,
    known: KnownSamples | None = None,
    encoder: Callable[[Precision], ImageEncoder] | None = None,
    bar: Callable[[str, str], Bar],
) -> Verdict:
    """Returns the verdict on a bundle, looked through as far as images, dataset and encoder allow.

    Args:
        images: A folder with the run's images.
        known: The dataset; scores are computed again only with its full form.
        encoder: Gives the encoder in the precision of the scores, once it is needed.
        bar: Makes a progress bar from a title and a unit.

    Raises:
        InvalidDataError: There is no bundle or no image, or the encoder is not the bundle's.
        EncoderNotFoundError: Its weights can't be had.
    """
    verdict, contents = check_bundle(folder, known)
    if images is None or contents is None or not verdict.holds:
        return verdict
    outputs = contents.outputs.outputs
    with bar("images", "picture") as shown:
        pictures = find_pictures(images, {one.digest for one in outputs}, progress=shown.at)
    problems = missing_pictures(outputs, pictures, images)
    level: Level = "images"
    if not problems and known is not None and known.folder is not None and encoder is not None:
        level = "scores"
        with bar("scores", "pair") as shown:
            problems = recomputed_problems(
                contents, known.folder, Embedder(encoder(_precision(contents))), pictures, progress=shown.at
            )
    return Verdict(contents.bundle, level, tuple(problems), verdict.data)


def _precision(contents: Contents) -> Precision:
    stated = contents.results.metrics[0].fingerprint.get("precision")
    return cast(Precision, stated) if stated in get_args(Precision) else "fp32"
