"""The commands `publish` and `hydrate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from fashionedit.errors import InvalidDataError

from .options import PATH, column_names, progress_bar, quiet_option
from .printing import echo


@click.command(short_help="Send a dataset to the Hub.")
@click.argument("folder", metavar="OUT", type=PATH, required=False)
@click.option("--repo", metavar="ORG/NAME", help="Dataset repository; created if it does not exist.")
@click.option("--private/--public", default=None, help="Make a new repository private (the default) or public.")
@click.option("--include-originals", is_flag=True, help="Send the full set: photographs, captions and crops too.")
@click.option(
    "--i-have-permission",
    "permission",
    is_flag=True,
    help="Confirm that the photographs' owner agrees; needed to send originals or to make anything public.",
)
@click.option(
    "--leaderboard",
    is_flag=True,
    help="Also send eval.yaml, for the Hub's own leaderboard; the Hub must know fashionedit first.",
)
@click.option("--metrics", metavar="ORG[/PREFIX]", help="Send the three metrics as Spaces: ORG/PREFIXpsnr and so on.")
@click.option("--branch", help="Branch of the dataset repository; main by default.")
@click.option("--message", help="Commit message.")
@click.option("--dry-run", is_flag=True, help="List every file and size; send nothing.")
@quiet_option
def publish(
    folder: Path | None,
    repo: str | None,
    private: bool | None,
    include_originals: bool,
    permission: bool,
    leaderboard: bool,
    metrics: str | None,
    branch: str | None,
    message: str | None,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Send the FashionEdit folder OUT to a private Hub repository, without its photographs.

    This annotations form holds ids, drafts, differences, scores and hashes; no photograph, no caption, no crop. The
    files are searched for those before anything is sent. Readers who have the photographs add them with
    `fashionedit hydrate`. Give the same command again to send what is missing.
    """
    if (folder is None) != (repo is None) or (folder is None and metrics is None):
        raise InvalidDataError("give OUT and --repo ORG/NAME for the dataset, --metrics ORG for the metrics, or both")
    if quiet:
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
    if folder is not None and repo is not None:
        from fashionedit.builders.publish.dataset import publish_dataset

        with progress_bar(quiet)("preparing", "step") as bar:
            sent = publish_dataset(
                folder,
                repo,
                private=private,
                permission=permission,
                originals=include_originals,
                leaderboard=leaderboard,
                dry_run=dry_run,
                branch=branch,
                message=message,
                progress=bar.at,
            )
        form = "full" if include_originals else "annotations"
        if dry_run:
            _list_files(sent.files, f"datasets/{sent.repository}, the {form} form")
        else:
            echo(f"{sent.url} ({_visibility(sent.public)}): the {form} form, commit {sent.commit}")
            revision = f', revision="{branch}"' if branch else ""
            echo(f'load_dataset("{sent.repository}"{revision})')
    if metrics is not None:
        from fashionedit.builders.publish.spaces import publish_metrics

        for space in publish_metrics(metrics, private=private, dry_run=dry_run, message=message):
            if dry_run:
                _list_files(space.files, f"spaces/{space.repository}")
            else:
                echo(f"{space.url} ({_visibility(space.public)}): commit {space.commit}")
                loading = f'evaluate.load("{space.repository}")'
                echo(loading if space.public else f"{loading} once it is public: evaluate sends no token")


def _visibility(public: bool | None) -> str:
    return "public" if public else "private"


def _list_files(files: Mapping[str, int], where: str) -> None:
    for path, size in files.items():
        echo(f"{size:>14,}  {path}")
    echo(f"{sum(files.values()):>14,}  bytes in {len(files)} files would go to {where}")


@click.command(short_help="Add your photographs to a published dataset.")
@click.argument("annotations", type=PATH)
@click.argument("photos")
@click.argument("out", type=PATH)
@click.option("--captions", type=PATH, metavar="FILE", help="File of captions, if it is not in PHOTOS.")
@click.option("--source-split", help="Split of a Hub dataset; needed where it has several.")
@click.option("--source-config", help="Configuration of a Hub dataset; needed where it has several.")
@click.option(
    "--column", "columns", multiple=True, metavar="NAME=COLUMN", help="As in `fashionedit build`. Repeatable."
)
@click.option(
    "--partial",
    is_flag=True,
    help="Leave out samples whose photographs are missing or differ, instead of writing nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@quiet_option
def hydrate(
    annotations: Path,
    photos: str,
    out: Path,
    captions: Path | None,
    source_split: str | None,
    source_config: str | None,
    columns: tuple[str, ...],
    partial: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Add your own PHOTOS to a dataset that was published without them; writes the full set OUT.

    PHOTOS is a folder with <image_id>.jpg (.jpeg, .png, .webp), at any depth, or a dataset that `fashionedit build`
    reads: org/name on the Hub, which is fetched and kept in the cache, or a folder with Parquet files. Every
    photograph, caption and crop is compared with its published hash. OUT has the same manifest hash as the set that
    ANNOTATIONS was made from.
    """
    from fashionedit.builders.photos import fetch_photographs
    from fashionedit.hydration import HydrationReport
    from fashionedit.hydration import hydrate as fill_in
    from fashionedit.manifest import read_manifest

    def tell(report: HydrationReport) -> None:
        if as_json:
            echo(report.to_json(), nl=False)

    read_manifest(annotations)  # before anything is fetched
    with progress_bar(quiet)("fetching", "image") as bar:
        folder = fetch_photographs(
            photos,
            columns=column_names(columns),
            config=source_config,
            split=source_split,
            fetching=bar.at,
        )
    with progress_bar(quiet)("filling in", "step") as bar:
        report = fill_in(
            annotations,
            folder,
            out,
            captions=captions,
            partial=partial,
            sketch=_sketcher(),
            progress=bar.at,
            report=tell,
        )
    if not as_json:
        echo("\n".join([str(out), *report.sentences()]))


def _sketcher() -> Callable[[Any], Any] | None:
    """Returns what draws sketches; None where the extra for it is not installed."""
    from importlib.util import find_spec

    if find_spec("cv2") is None:
        return None
    from fashionedit.builders.crops import sketch

    return sketch
