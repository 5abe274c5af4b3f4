"""The verbs of the leaderboard: evidence for a run, and whether evidence holds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fashionedit.errors import InvalidDataError

from .options import PATH, device_option, progress_bar, quiet_option

if TYPE_CHECKING:
    from fashionedit.eval_harness.leaderboard.bundle import Bundle
    from fashionedit.metrics import ImageEncoder
    from fashionedit.metrics.encoder import Precision

__all__ = ["verify"]

_MOST_LINES = 20


@click.command(short_help="Look a submission's evidence through.")
@click.argument("bundle", type=PATH)
@click.option("--images", type=PATH, metavar="DIR", help="The run's images, in any layout, such as RUN/images.")
@click.option(
    "--data",
    metavar="DATA",
    help="The dataset, a folder or org/name[@revision]; by default what this machine knows it as, if it is the same.",
)
@click.option(
    "--encoder",
    metavar="ENCODER",
    help="As of `fashionedit score`, where the scores are not those of the leaderboard's own encoder.",
)
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@quiet_option
def verify(
    bundle: Path, images: Path | None, data: str | None, encoder: str | None, device: str, as_json: bool, quiet: bool
) -> None:
    """Look BUNDLE through: everything in it that can be computed from the rest of it, the dataset and the images.

    Without images it can be internally consistent at best. With --images and the dataset's full form, every image is
    looked up by its pixels and every score computed again. What is not as stated is named, sample by sample; the exit
    code is then 1.
    """
    import json

    from fashionedit.eval_harness.leaderboard.bundle import read_head
    from fashionedit.eval_harness.leaderboard.known import find_known
    from fashionedit.eval_harness.leaderboard.verification import verify_bundle

    head = read_head(bundle)
    known = find_known(data, head.benchmark)
    verdict = verify_bundle(
        bundle,
        images=images,
        known=known,
        encoder=_encoder(head, encoder, device),
        bar=progress_bar(quiet),
    )
    if as_json:
        told = {"name": head.name, "holds": verdict.holds, "level": verdict.level, "problems": verdict.problems}
        click.echo(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        shown = verdict.problems[:_MOST_LINES]
        rest = len(verdict.problems) - len(shown)
        lines = [f"{bundle}: {verdict.sentence}", *(f"  - {problem}" for problem in shown)]
        click.echo("\n".join([*lines, *([f"  and {rest:,} more"] if rest else [])]))
    if not verdict.holds:
        sys.exit(1)


def _encoder(bundle: Bundle, named: str | None, device: str) -> Callable[[Precision], ImageEncoder]:
    """Returns what gives the encoder of the bundle's scores."""

    def load(precision: Precision) -> ImageEncoder:
        from fashionedit.metrics import load_encoder

        if named is None and not bundle.official:
            raise InvalidDataError("the scores are not the leaderboard's own encoder's; name theirs with --encoder")
        return load_encoder(named or "clip", device=device, precision=precision)

    return load
