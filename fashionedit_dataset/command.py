"""The `fashionedit` command: the one place that puts the rooms together.

Everything heavy is imported by the verb that uses it, so that `fashionedit --help` answers at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._version import __version__
from .errors import FashionEditError, InvalidDataError
from .progress import Bar

if TYPE_CHECKING:
    from fashionedit.eval_harness.result_models import Results
    from fashionedit.eval_harness.run_folder import RunFolder

    from .folder import FashionEditFolder

__all__ = ["cli", "main"]

_PATH = click.Path(path_type=Path)
_data = click.option(
    "--data",
    required=True,
    metavar="DATA",
    help="A FashionEdit folder, a Hub repository (org/name[@revision]), synthetic or synthetic:N.",
)
_data_again = click.option(
    "--data", metavar="DATA", help="The dataset, where it is no longer where the run was made on it."
)
_split = click.option(
    "--split", default="validation", show_default=True, help="train, validation (val), or train+validation."
)
_encoder = click.option(
    "--encoder",
    default="clip",
    show_default=True,
    metavar="ENCODER",
    help="clip (openai/clip-vit-large-patch14), clip:FOLDER, another Hub id or folder [@revision], or offline.",
)
_device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
_size = click.option(
    "--size",
    type=click.Choice(["model", "base"]),
    default="model",
    show_default=True,
    help="Keep results in the size the model returned, or resize each to its base image.",
)
_rounds = click.option("--rounds", type=click.IntRange(1, 3), default=3, show_default=True)
_protocols = click.option(
    "--protocol",
    "protocols",
    metavar="NAMES",
    help="vanilla, bug, draft, or several with commas; all that the editor takes part in by default.",
)
_quiet = click.option("--quiet", is_flag=True, help="No progress bars.")
_runs = click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=_PATH)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="fashionedit")
def cli() -> None:
    """FashionEdit: measure how well a model edits fashion images, by words and by showing it pictures.

    Results go to stdout, progress to stderr. What was interrupted continues when the same command is given again.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command; a mistake of the user ends with one sentence and exit code 2, a bug with its traceback."""
    try:
        cli.main(
            args=list(arguments) if arguments is not None else None, prog_name="fashionedit", standalone_mode=False
        )
    except FashionEditError as error:
        click.echo(f"fashionedit: {error}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("fashionedit: stopped; the same command continues", err=True)
        sys.exit(130)


@cli.command()
@click.option("--out", type=_PATH, default=Path("runs/demo"), show_default=True)
@click.option("--samples", type=click.IntRange(1), default=24, show_default=True)
@_quiet
def demo(out: Path, samples: int, quiet: bool) -> None:
    """See it work: the synthetic control set, all built-in editors, real pretrained weights, no key, no download."""
    from fashionedit.eval_harness.demo import run_demo

    results, page = run_demo(out, samples, bar=_bar(quiet))
    _print_table(results)
    click.echo(f"\nPage: {page}")


@cli.command()
@click.argument("source", metavar="FOLDER", type=_PATH)
@click.argument("out", type=_PATH)
@click.option("--name", help="What tables call the dataset; the folder's name by default.")
@click.option("--licence", help="The licence that the dataset card names.")
@_quiet
def pack(source: Path, out: Path, name: str | None, licence: str | None, quiet: bool) -> None:
    """Make an image folder with metadata.jsonl into the FashionEdit folder OUT.

    A line of metadata.jsonl: {"original": "a.jpg", "draft": "b.png", "annotation": "...", "differences":
    [{"description": "...", "box_2d": [ymin, xmin, ymax, xmax]}, ... three]}; boxes are thousandths of the original.
    """
    from fashionedit.builders.pack import pack as pack_folder

    with _bar(quiet)("packing", "image") as bar:
        summary = pack_folder(source, out, name=name, licence=licence, progress=bar.at)
    rows = ", ".join(f"{count} {split}" for split, count in summary.rows.items())
    click.echo(f"{summary.path}: {rows}; mean box area {summary.mean_box_area:.1%} of the original")


@cli.command()
@click.argument("folder", type=_PATH)
def use(folder: Path) -> None:
    """Make FOLDER what load_dataset("fashionedit") opens on this machine."""
    from .settings import register_folder

    click.echo(f"fashionedit is {register_folder(folder)}")


@cli.command()
@click.argument("out", type=_PATH)
@click.option("--samples", type=click.IntRange(1), default=24, show_default=True, help="Samples of each split.")
@click.option("--seed", type=int, default=0, show_default=True)
@_split
@click.option("--workers", type=click.IntRange(1), help="Processes that render; all cores by default.")
@_quiet
def synthesize(out: Path, samples: int, seed: int, split: str, workers: int | None, quiet: bool) -> None:
    """Render the synthetic control set into the FashionEdit folder OUT."""
    from .rendered import write_synthetic
    from .types import split_names

    with _bar(quiet)("rendering", "sample") as bar:
        write_synthetic(out, samples, split_names(split), seed=seed, workers=workers, progress=bar.at)
    click.echo(f"{out}: {samples} samples a split, seed {seed}")


@cli.command()
@click.argument("editor")
@_data
@click.option("--out", type=_PATH, required=True, help="The run folder, new or of the same run.")
@_split
@_protocols
@_rounds
@click.option("--seed", type=int, default=0, show_default=True)
@_size
@click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="For the editor to read; JSON or text.")
@_quiet
def run(
    editor: str,
    data: str,
    out: Path,
    split: str,
    protocols: str | None,
    rounds: int,
    seed: int,
    size: Any,
    params: tuple[str, ...],
    quiet: bool,
) -> None:
    """Run EDITOR over the dataset, three rounds in each protocol; the same command again continues.

    EDITOR is identity, return-reference, paste-reference, oracle, synthetic-stepper, package.module:attribute or
    path/to/file.py:attribute. Rounds that timed out or failed with an error are tried again.
    """
    from fashionedit.eval_harness.editors import resolve_editor
    from fashionedit.eval_harness.runner import run as run_editor
    from fashionedit.eval_harness.summary import summary_lines

    found = resolve_editor(editor)
    source = _open_data(data, split, quiet)
    with _bar(quiet)(editor, "edit") as bar:
        summary = run_editor(
            found,
            source,
            out,
            protocols=_names(protocols),
            rounds=rounds,
            seed=seed,
            params=_parameters(params),
            size_policy=size,
            progress=bar,
            data=_location(data),
        )
    click.echo("\n".join(summary_lines(summary)))
    click.echo(f"next: fashionedit score {out}", err=True)


@cli.command(name="import")
@click.argument("folder", type=_PATH)
@_data
@click.option("--out", type=_PATH, required=True, help="The run folder, new or of the same import.")
@click.option("--name", required=True, help="What tables call whoever made the images.")
@_split
@_protocols
@_rounds
@_size
@_quiet
def import_(
    folder: Path,
    data: str,
    out: Path,
    name: str,
    split: str,
    protocols: str | None,
    rounds: int,
    size: Any,
    quiet: bool,
) -> None:
    """Make finished images in FOLDER into a run: vanilla/1/ID.png, bug/round_3/ID.jpg, draft/ID.png.

    The names of the authors' release (text_one, m_three) are understood too. Tables mark such a run as supplied; images
    that are missing are listed and count as not run.
    """
    from fashionedit.eval_harness.supplied import import_images

    source = _open_data(data, split, quiet)
    with _bar(quiet)("importing", "image") as bar:
        summary = import_images(
            folder,
            source,
            out,
            name=name,
            protocols=_names(protocols),
            rounds=rounds,
            size_policy=size,
            progress=bar,
            data=_location(data),
        )
    missing = sum(len(ids) for ids in summary.missing.values())
    click.echo(f"{summary.path}: {summary.found} of {summary.planned} images, {missing} missing (missing.json)")
    for title, names in (("unreadable", summary.unreadable), ("belongs to no sample", summary.extra)):
        for path in names[:10]:
            click.echo(f"{title}: {path}", err=True)
        if len(names) > 10:
            click.echo(f"{title}: and {len(names) - 10} more", err=True)


@cli.command()
@_runs
@_data_again
@_encoder
@_device
@click.option("--precision", default="fp32", show_default=True, help="fp32, bf16 or fp16; part of every score.")
@_quiet
def score(runs: tuple[Path, ...], data: str | None, encoder: str, device: str, precision: str, quiet: bool) -> None:
    """Score each RUN: results.json, report.html, and the table of all of them.

    What was scored before is not scored again. The floor (the draft), the leak baselines and the ceiling are scored
    along with every run.
    """
    from fashionedit.eval_harness.merging import merge
    from fashionedit.eval_harness.scored_run import score_run
    from fashionedit.metrics import load_encoder

    model = load_encoder(encoder, device=device, precision=precision)
    scored = []
    for path in runs:
        folder, source = _open_run(path, data, quiet)
        scored.append(score_run(folder, source, model, bar=_bar(quiet)))
    _print_table(merge(scored))
    for path in runs:
        click.echo(f"page: {path / 'report.html'}", err=True)


@cli.command()
@_runs
@click.option("--markdown", "form", flag_value="markdown", help="A Markdown table.")
@click.option("--json", "form", flag_value="json", help="The merged results as JSON.")
def show(runs: tuple[Path, ...], form: str | None) -> None:
    """Print the table of scored runs, side by side where several are given."""
    from fashionedit.eval_harness.merging import merge
    from fashionedit.eval_harness.results import read_results, to_json
    from fashionedit.eval_harness.table import to_markdown

    results = merge([read_results(path / "results.json") for path in runs])
    if form == "json":
        click.echo(to_json(results), nl=False)
    elif form == "markdown":
        click.echo(to_markdown(results))
    else:
        _print_table(results)


@cli.command()
@_runs
@click.option("--out", type=_PATH, required=True, help="The HTML file to write.")
@_data_again
@_quiet
def report(runs: tuple[Path, ...], out: Path, data: str | None, quiet: bool) -> None:
    """Write one page for several scored runs: table, curves, and every sample as a strip."""
    from fashionedit.eval_harness.merging import merge
    from fashionedit.eval_harness.report import write_report
    from fashionedit.eval_harness.results import read_results

    opened = [_open_run(path, data, quiet) for path in runs]
    results = merge([read_results(path / "results.json") for path in runs])
    with _bar(quiet)("page", "sample") as bar:
        write_report(results, [folder for folder, _ in opened], opened[0][1], out, progress=bar.at)
    click.echo(str(out))


def _bar(quiet: bool) -> Callable[[str, str], Bar]:
    return lambda title, unit: Bar(title, unit, hidden=quiet)


def _open_data(data: str, split: str, quiet: bool) -> FashionEditFolder:
    from .data import open_data

    with _bar(quiet)("rendering", "sample") as bar:
        return open_data(data, split, progress=bar.at)


def _open_run(path: Path, data: str | None, quiet: bool) -> tuple[RunFolder, FashionEditFolder]:
    from fashionedit.eval_harness.run_folder import RunFolder

    folder = RunFolder.open(path)
    where = data or folder.data_location()
    if where is None:
        raise InvalidDataError(f"{path} does not say where its dataset is; give it with --data DATA")
    return folder, _open_data(where, folder.identity.split, quiet)


def _location(data: str) -> str:
    return str(Path(data).resolve()) if Path(data).exists() else data


def _names(text: str | None) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else None


def _parameters(pairs: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidDataError(f"--param {pair!r} is no KEY=VALUE; write for example --param strength=0.7")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def _print_table(results: Results) -> None:
    from fashionedit.eval_harness.table import to_console

    width = click.get_terminal_size()[0] if hasattr(click, "get_terminal_size") else None
    click.echo(to_console(results, width))


if __name__ == "__main__":
    main()
