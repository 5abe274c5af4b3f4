"""The commands `pack`, `use` and `synthesize`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import PATH, progress_bar, quiet_option, split_option
from .printing import echo


@click.command(short_help="Convert an image folder to a FashionEdit folder.")
@click.argument("source", metavar="FOLDER", type=PATH)
@click.argument("out", type=PATH)
@click.option("--name", help="Dataset name in tables; the folder's name by default.")
@click.option("--licence", help="Licence named in the dataset card.")
@quiet_option
def pack(source: Path, out: Path, name: str | None, licence: str | None, quiet: bool) -> None:
    """Convert an image folder with metadata.jsonl to the FashionEdit folder OUT.

    A line of metadata.jsonl: {"original": "a.jpg", "draft": "b.png", "annotation": "...", "differences":
    [{"description": "...", "box_2d": [ymin, xmin, ymax, xmax]}, ... three]}; boxes are thousandths of the original.
    Add "garment_id" where several photographs show one garment: it decides every interval (docs/build.md).
    """
    from fashionedit.builders.pack import pack as pack_folder

    with progress_bar(quiet)("packing", "image") as bar:
        summary = pack_folder(source, out, name=name, licence=licence, progress=bar.at)
    rows = ", ".join(f"{count} {split}" for split, count in summary.rows.items())
    for sentence in (summary.figures.sentence(), *summary.figures.warnings()):
        echo(sentence, err=True)
    echo(f"{out}: {rows}; mean box area {summary.figures.mean_area:.1%} of the original")


@click.command(short_help="Register a folder under the name fashionedit.")
@click.argument("folder", type=PATH)
def use(folder: Path) -> None:
    """Make FOLDER what load_dataset("fashionedit") opens on this machine."""
    from fashionedit.data import register_folder

    echo(f"fashionedit is {register_folder(folder)}")


@click.command(short_help="Render the synthetic control set.")
@click.argument("out", type=PATH)
@click.option(
    "--samples", type=click.IntRange(1), default=24, show_default=True, help="Number of samples in each split."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the garments.")
@split_option
@click.option("--workers", type=click.IntRange(1), help="Number of rendering processes; one per core by default.")
@quiet_option
def synthesize(out: Path, samples: int, seed: int, split: str, workers: int | None, quiet: bool) -> None:
    """Render the synthetic control set into the FashionEdit folder OUT."""
    from fashionedit.synthetic.rendering import write_synthetic
    from fashionedit.types import split_names

    with progress_bar(quiet)("rendering", "sample") as bar:
        write_synthetic(out, samples, split_names(split), seed=seed, workers=workers, progress=bar.at)
    echo(f"{out}: {samples} samples a split, seed {seed}")
