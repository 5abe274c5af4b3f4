"""Options that several verbs share, and the objects that their values stand for."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.files import parse_json
from fashionedit.runtime.progress import Bar
from fashionedit.runtime.secrets import refuse_secrets

from .printing import echo

if TYPE_CHECKING:
    from fashionedit.eval_harness.editors import EditorSettings
    from fashionedit.eval_harness.running.run_folder import RunFolder
    from fashionedit.eval_harness.scored_run import Scoring
    from fashionedit.eval_harness.scores.result_models import Results
    from fashionedit.folder import FashionEditFolder
    from fashionedit.runtime.ray_engine import RayEngine

PATH = click.Path(path_type=Path)
_MEANT_AS_JSON = re.compile(r"[\[{]|\".*\"$|-?\d+(\.\d*)?([eE][+-]?\d+)?$")


def option_group(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a decorator that adds the options to a command, in this order of its help."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def number_option(name: str, least: int, help: str) -> Callable[..., Any]:
    """Returns an option that takes a whole number."""
    return click.option(name, type=click.IntRange(least), metavar="N", help=help)


def repeated_option(name: str, variable: str, metavar: str, help: str) -> Callable[..., Any]:
    """Returns an option that may be given several times."""
    return click.option(name, variable, multiple=True, metavar=metavar, help=help)


data_option = click.option(
    "--data",
    required=True,
    metavar="DATA",
    help="FashionEdit folder, Hub repository (org/name[@revision]), synthetic or synthetic:N.",
)
data_again_option = click.option(
    "--data", metavar="DATA", help="Where the dataset is now, if it has moved since the run."
)
split_option = click.option(
    "--split", default="validation", show_default=True, help="Split: train, validation (val), or train+validation."
)
details_option = click.option(
    "--details",
    is_flag=True,
    help="Also print intervals, gains, curves, measures, seeds, breakdowns, time and cost.",
)
encoder_option = click.option(
    "--encoder",
    default="clip",
    show_default=True,
    metavar="ENCODER",
    help="Image encoder: clip (openai/clip-vit-large-patch14), clip:FOLDER, another Hub id or folder [@revision], or "
    "offline.",
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="Device to compute on: auto, cpu, cuda, cuda:1 or mps."
)
size_option = click.option(
    "--size",
    type=click.Choice(["model", "base"]),
    default="model",
    show_default=True,
    help="Keep results in the size the model returned, or resize each to its base image.",
)
rounds_option = click.option(
    "--rounds", type=click.IntRange(1, 3), default=3, show_default=True, help="Number of rounds for each sample."
)
protocols_option = click.option(
    "--protocol",
    "protocols",
    metavar="NAMES",
    help="Protocols, separated by commas: vanilla, bug, draft. Default: all that the editor supports.",
)
reference_option = click.option(
    "--reference",
    type=click.Choice(["detail", "sketch", "example"]),
    default="detail",
    show_default=True,
    metavar="KIND",
    help="Reference image in the bug protocol: detail (the crop), sketch (a line drawing of it) or example (another "
    "photograph of the garment). Samples without one are left out.",
)
param_option = repeated_option(
    "--param", "params", "KEY=VALUE", "Parameter for the editor, as JSON or text. Repeatable."
)
quiet_option = click.option("--quiet", is_flag=True, help="Hide progress.")
runs_argument = click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=PATH)


engine_options = option_group(
    click.option(
        "--engine",
        default="local",
        show_default=True,
        metavar="ENGINE",
        help="Where models run: local (this process), ray (workers of the Ray cluster in $RAY_ADDRESS, else of this "
        "machine), or ray://HOST:PORT (a cluster's Ray client server).",
    ),
    number_option(
        "--workers",
        1,
        "Number of Ray workers, each with a copy of the model; by default one for each GPU, or each CPU if there is "
        "none.",
    ),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(0),
        metavar="G",
        help="GPUs for each Ray worker; a fraction shares one. By default 1 if the cluster has GPUs.",
    ),
)
"""Where models run; `engine_of` reads it."""


def engine_of(given: dict[str, Any]) -> RayEngine | None:
    """Takes the options of `engine_options` out of those given, and returns the engine; None for this process.

    Raises:
        UnknownNameError: There is no such engine.
        InvalidDataError: A number or an address is not what it must be, or there are workers of nothing.
    """
    from fashionedit.runtime.ray_engine import parse_engine

    return parse_engine(given.pop("engine"), given.pop("workers"), given.pop("gpus_per_worker"))


def tell(sentence: str) -> None:
    """Prints a sentence about the work to stderr."""
    echo(f"fashionedit: {sentence}", err=True)


editor_options = option_group(
    click.option("--base-url", metavar="URL", help="Address of the editor's service; its usual one by default."),
    repeated_option("--option", "options", "KEY=VALUE", "Setting of this editor, such as dtype or lora. Repeatable."),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="Seconds to wait for one edit.",
    ),
    click.option("--price", metavar="PRICE", help="Price of the service: input=USD,output=USD per million tokens."),
    click.option(
        "--version",
        help="Version label of the editor, in place of the hash of its code; needed to resume where there is no hash.",
    ),
    repeated_option(
        "--pass-env",
        "pass_env",
        "NAME",
        "Environment variable with a secret to pass on to a command: editor. Repeatable.",
    ),
    click.option(
        "--state",
        type=click.Choice(["images", "conversation"]),
        default="images",
        show_default=True,
        help="State passed from one round to the next: the image alone, or the service's conversation.",
    ),
)
"""The options of an editor; `editor_settings` reads them."""


def editor_settings(given: Mapping[str, Any]) -> EditorSettings:
    """Returns what the options of `editor_options` say."""
    from fashionedit.eval_harness.editors import EditorSettings
    from fashionedit.runtime.costs import parse_price

    told = {name: given[name] for name in ("base_url", "version", "state")}
    if given["timeout"] is not None:
        told["timeout"] = given["timeout"]
    if given["price"] is not None:
        told["price"] = parse_price(given["price"])
    options = parameters(given["options"], "--option")
    return EditorSettings(options=options, pass_env=given["pass_env"], **told)


scoring_options = option_group(
    encoder_option,
    device_option,
    click.option(
        "--precision",
        type=click.Choice(["fp32", "mixed", "bf16", "fp16"]),
        default="fp32",
        show_default=True,
        help="Number format of the encoder; part of every score's fingerprint. mixed is bf16, with fp32 for every pair "
        "that bf16 could put on the wrong side of a threshold.",
    ),
    repeated_option(
        "--metric",
        "metric_names",
        "METRIC",
        "Metric to compute instead of clip, clip_star and psnr: one of those, ssim, similarity:ENCODER, "
        "the metric of an installed package, or file.py:Class. Repeatable.",
    ),
    click.option(
        "--measures/--no-measures",
        default=True,
        help="Also measure how much changed inside and outside the box, and how close the result is to the reference. "
        "On by default; takes about a third of the time.",
    ),
)
"""How runs are scored; `scoring_of` reads it."""


def scoring_of(given: Mapping[str, Any]) -> Scoring:
    """Returns what the options of `scoring_options` say.

    Raises:
        UnknownNameError: There is no such metric.
    """
    from fashionedit.eval_harness.scored_run import Scoring
    from fashionedit.metrics.registry import PAPER_METRICS, needs_encoder

    needs_encoder(given["metric_names"])  # an unknown name is said before anything is opened
    names = given["metric_names"] or PAPER_METRICS
    return Scoring(names, given["encoder"], given["device"], given["precision"], given["measures"])


def progress_bar(quiet: bool) -> Callable[[str, str], Bar]:
    """Returns what makes a progress bar from a title and a unit."""
    return lambda title, unit: Bar(title, unit, hidden=quiet)


def open_data(data: str, split: str, quiet: bool) -> FashionEditFolder:
    """Returns the samples that `--data` and `--split` name."""
    from fashionedit.data import open_data as open_samples

    with progress_bar(quiet)("rendering", "sample") as bar:
        return open_samples(data, split, progress=bar.at)


def open_run(path: Path, data: str | None, quiet: bool) -> tuple[RunFolder, FashionEditFolder]:
    """Returns a run and the samples it was made on, wherever `--data` or the run itself says they are."""
    from fashionedit.eval_harness.running.run_folder import RunFolder

    folder = RunFolder.open(path)
    where = data or folder.data_location()
    if where is None:
        raise InvalidDataError(f"{path} does not say where its dataset is; give it with --data DATA")
    try:
        return folder, open_data(where, folder.identity.split, quiet)
    except DatasetNotFoundError as error:
        if data is not None:
            raise
        raise DatasetNotFoundError(
            f"{path} was run on {where}, which is not there now; give the dataset's new place with --data DATA"
        ) from error


def data_location(data: str) -> str:
    """Returns the name by which a run remembers its dataset: a folder by its absolute path."""
    return str(Path(data).resolve()) if Path(data).exists() else data


def protocol_names(text: str | None) -> tuple[str, ...] | None:
    """Returns the names of `--protocol`; None where it was not given."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else None


def parameters(pairs: tuple[str, ...], option: str = "--param") -> dict[str, Any]:
    """Returns the values of `--param` or another option, each read as JSON where it is JSON, else as text.

    Raises:
        InvalidDataError: A pair has no `=`, its value begins as JSON does and is none, or it holds a secret.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidDataError(f"{option} {pair!r} is no KEY=VALUE; write for example {option} strength=0.7")
        try:
            found[key] = parse_json(value, name=f"{option} {key}")
        except InvalidDataError:
            if _MEANT_AS_JSON.match(value) or not _is_text(value):
                raise
            found[key] = value
    refuse_secrets(found, option.lstrip("-"))
    return found


def column_names(pairs: tuple[str, ...]) -> dict[str, str]:
    """Returns field and column of each `--column`.

    Raises:
        InvalidDataError: One has no `=`, or nothing before or behind it.
    """
    for pair in pairs:
        if "=" not in pair.strip("="):
            raise InvalidDataError(f"--column {pair!r} is no NAME=COLUMN; write for example --column caption=text")
    return dict(pair.split("=", 1) for pair in pairs)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes of the command line that are no UTF-8
        return False
    return "\0" not in value


def print_table(results: Results, details: Sequence[Path] | None = None) -> None:
    """Prints the table, as wide as the terminal, and the gains over the draft.

    Args:
        details: The run folders, where all that is known is to be printed below it.
    """
    from fashionedit.eval_harness.scores.details import gain_section, sections
    from fashionedit.eval_harness.scores.table import sections_text, to_console
    from fashionedit.eval_harness.scores.timing import read_timing

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    echo(to_console(results, width))
    if details is None:
        text = sections_text([gain_section(results)]).rstrip("\n")
        if width is not None and max(map(len, text.splitlines()), default=0) > width:
            text = "Gains over the draft need a wider terminal, or: fashionedit show RUN --details | less -S"
    else:
        timings = {run: read_timing(path / "timing.json") for run, path in enumerate(details)}
        text = sections_text(sections(results, timings)).rstrip("\n")
    echo(text)
