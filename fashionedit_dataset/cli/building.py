"""The command `build`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fashionedit.errors import InvalidDataError, UnknownNameError

from .options import (
    PATH,
    column_names,
    device_option,
    encoder_option,
    engine_of,
    engine_options,
    parameters,
    progress_bar,
    quiet_option,
    tell,
)
from .printing import echo

if TYPE_CHECKING:
    from fashionedit.builders.analyse.analyst import Analyst
    from fashionedit.builders.build_options import BuildOptions, BuildParts, BuildReport
    from fashionedit.builders.generate.drafting import DraftMaker
    from fashionedit.builders.photos import PhotoSource
    from fashionedit.metrics.embedder import Embedder
    from fashionedit.runtime.costs import Price
    from fashionedit.runtime.ray_engine import RayEngine


@click.command(short_help="Make a dataset from photographs.")
@click.option(
    "--source",
    required=True,
    help="The photographs: DeepFashion-MultiModal, the authors' release, a folder, or org/name on the Hub.",
)
@click.option("--out", type=PATH, required=True, help="The FashionEdit folder to write.")
@click.option("--work", type=PATH, help="Folder for intermediate results; OUT.build by default.")
@click.option("--kind", help="Kind of the source, if it is not recognised: deepfashion, release, folder or hub.")
@click.option("--captions", type=PATH, help="Path of captions.json, if it is not in the source folder.")
@click.option("--source-split", help="Split of a Hub dataset; needed where it has several.")
@click.option("--source-config", help="Configuration of a Hub dataset; needed where it has several.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=COLUMN",
    help="Column of a table or Hub dataset that holds image, caption, id, garment_id, ... Repeatable.",
)
@click.option("--limit", type=click.IntRange(1), help="Use at most N photographs, spread over all of them.")
@click.option(
    "--drafts",
    default="sd3",
    show_default=True,
    metavar="SPEC",
    help="Source of the drafts: a known model, diffusers:REPO_OR_FOLDER[@revision], openai:MODEL, or folder:PATH.",
)
@click.option(
    "--draft",
    "draft_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting of the draft generator, such as steps, guidance, dtype or t5. Repeatable.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Base seed of the drafts; each photo's seed is derived from it and the photo's id.",
)
@encoder_option
@device_option
@click.option(
    "--min-similarity",
    metavar="NUMBER",
    help="Lowest cosine × 100 of photo and draft, or none; 85 by default, none for the authors' release.",
)
@click.option("--top-k", type=click.IntRange(1), help="Keep only the N most similar pairs; all by default.")
@click.option(
    "--selection", type=PATH, help="File that lists the pairs to keep, such as captions_top.json; replaces both limits."
)
@click.option(
    "--model", default="gpt-4.1-mini", show_default=True, help="Multimodal model that names the three differences."
)
@click.option("--base-url", help="Address of an OpenAI-compatible service for --model.")
@click.option(
    "--prompt", default="paper", show_default=True, help="The prompt for --model: paper, reference, or a text file."
)
@click.option(
    "--ask",
    "ask_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting of the calls to --model, such as api, temperature or max_repairs. Repeatable.",
)
@click.option("--concurrency", type=click.IntRange(1), default=8, show_default=True, help="Number of concurrent calls.")
@click.option("--sketches", is_flag=True, help="Draw each crop as a sketch too.")
@click.option("--examples", is_flag=True, help="Add other photographs of the same garment.")
@click.option(
    "--split",
    default="garment",
    show_default=True,
    help="How to split: garment, random, or a file that lists the validation photographs.",
)
@click.option(
    "--validation",
    type=click.IntRange(0),
    help="How many samples go into validation; by default a tenth, at most 1,000.",
)
@click.option("--split-seed", type=int, default=0, show_default=True, help="Seed of the split.")
@click.option("--name", help="Dataset name in tables; the folder's name by default.")
@click.option("--licence", help="The licence of the photographs, for the dataset card.")
@click.option(
    "--only", metavar="STAGES", help="Run only these stages: photos, generate, filter, analyse, crop, split, shards."
)
@click.option(
    "--budget", type=click.FloatRange(0), metavar="USD", help="Stop before the total cost of all runs exceeds this."
)
@click.option(
    "--price",
    metavar="PRICE",
    help="Prices of the services: input=USD,output=USD per million tokens, or a JSON file of prices.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print what would be done and what it costs, and check keys and models; spends nothing.",
)
@click.option(
    "--again",
    metavar="STAGES",
    help="Redo, and pay again for, stages made with other captions or settings: generate, analyse, split.",
)
@click.option(
    "--retry",
    multiple=True,
    metavar="REASON",
    help="Retry photographs that were dropped for REASON, as the funnel names it. Repeatable.",
)
@click.option(
    "--keep-going", is_flag=True, help="Continue even if the first drafts or pairs all fail for the same reason."
)
@click.option(
    "--leave-failed",
    is_flag=True,
    help="Write the dataset without the photographs whose failure could still be retried.",
)
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print the funnel, or the plan, as JSON.")
@quiet_option
def build(
    source: str,
    out: Path,
    work: Path | None,
    only: str | None,
    budget: float | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Make a FashionEdit folder OUT from photographs. Give the same command again to continue.

    Each photograph gets a draft generated from its caption; pairs that are similar enough are shown to a multimodal
    model, which names three differences; crops are cut, garments split, and everything written as Parquet.
    Finished work is kept in OUT.build and never paid for twice. Keys of services are read from their usual environment
    variables (OPENAI_API_KEY, HF_TOKEN).
    """
    from fashionedit.builders.build import Build
    from fashionedit.builders.build_options import stage_names
    from fashionedit.builders.photos import open_source
    from fashionedit.builders.photos.hub import HubDataset
    from fashionedit.builders.plan import check_places, plan_build
    from fashionedit.builders.work_folder import WorkFolder

    folder = WorkFolder(work or out.with_name(f"{out.name}.build"))
    photos = open_source(
        source,
        work=folder.path,
        kind=given["kind"],
        captions=given["captions"],
        split=given["source_split"],
        config=given["source_config"],
        columns=column_names(given["columns"]),
    )
    check_places(photos, folder, out)
    engine = engine_of(given)
    if not dry_run or isinstance(photos, HubDataset):  # which keeps there what it lists
        folder.claim()
    opened = ExitStack()  # Ray workers, where there are any
    try:
        parts = _parts(photos, given, None if dry_run else engine, opened)
        build_ = Build(
            folder,
            parts,
            _options(photos, given),
            budget=budget,
            bars=progress_bar(quiet or as_json),
            tell=tell,
        )
        if dry_run:
            build_.check(out, stage_names(only))
            plan = plan_build(build_, stage_names(only), out)
            echo(plan.to_json() if as_json else plan.to_text(), nl=not as_json)
            return
        report = build_.run(out, stage_names(only))
        echo(report.funnel.to_json() if as_json else _told(report), nl=not as_json)
    except BaseException:
        folder.leave_unless_begun()
        raise
    finally:
        opened.close()


def _told(report: BuildReport) -> str:
    lines = [report.funnel.to_text()]
    if report.selection is not None:
        lines.append(f"{report.selection.sentence[0].upper()}{report.selection.sentence[1:]}.")
    if report.leaks is not None:
        lines += report.leaks.sentences()
        if report.leaks.named == 0:
            lines.append("Where a column says which garment is shown, name it with --column garment_id=COLUMN.")
    if report.figures is not None:
        lines += [report.figures.sentence(), *report.figures.warnings()]
    if report.sheet is not None:
        lines.append(f"The first samples, to look at: {report.sheet}")
    if "differences" in report.made_with:
        lines.append(f"Differences by {report.made_with['differences']}.")
    if report.captions_cut:
        lines.append(
            f"{report.captions_cut:,} captions have more tokens than the drafts' model reads; their ends are lost."
        )
    if report.drafts_per_second:
        lines.append(f"Drafts: {1 / report.drafts_per_second:.2f} s each, in one process.")
    if report.usd:
        lines.append(f"Spent so far: ${report.usd:.2f}.")
    if report.out is not None:
        sizes = ", ".join(f"{size.rows:,} {split}" for split, size in report.splits.items())
        lines.append(f"{report.out}: {sizes}")
    return "\n".join(lines)


def _parts(source: PhotoSource, given: dict[str, Any], engine: RayEngine | None, opened: ExitStack) -> BuildParts:
    from fashionedit.builders.build_options import BuildParts
    from fashionedit.runtime.costs import parse_price, read_prices

    text: str | None = given["price"]
    prices: dict[str, Price] = {}
    if text is not None:
        prices = {given["model"]: parse_price(text)} if "=" in text else read_prices(Path(text))
    return BuildParts(
        source,
        drafts=partial(_drafts, given, parameters(given["draft_options"], "--draft"), prices, engine, opened),
        embedder=partial(_embedder, given["encoder"], given["device"], engine, opened),
        analyst=_analyst(given, prices),
        find_encoder=partial(_find_encoder, given["encoder"], given["device"], engine),
        encoder_name=given["encoder"],
        draft_kind=given["drafts"].partition(":")[0] if ":" in given["drafts"] else "diffusers",
    )


def _drafts(
    given: dict[str, Any],
    options: dict[str, Any],
    prices: dict[str, Price],
    engine: RayEngine | None,
    opened: ExitStack,
) -> DraftMaker:
    from fashionedit.builders.generate.makers import make_drafts
    from fashionedit.builders.generate.ray_drafts import RayDrafts

    spec = given["drafts"]
    if spec.startswith(("openai:", "folder:")):
        if engine is not None:
            tell(f"{spec} computes nothing, so this process gets its drafts, and no Ray worker does")
        if spec.startswith("openai:"):
            options = _image_price(spec.removeprefix("openai:"), prices) | options
        return make_drafts(spec, **options)
    options = {"device": given["device"], **options}
    if engine is None:
        return make_drafts(spec, **options)
    maker = RayDrafts.named(spec, options, engine, tell)
    opened.callback(maker.close)
    return maker


_PROMPT_TOKENS = 8_000  # the longest prompt that image services take
_PICTURE_TOKENS = 6_240  # of a 1024 × 1536 picture at high quality, the dearest that OpenAI's image guide lists


def _image_price(model: str, prices: dict[str, Price]) -> dict[str, Any]:
    """Returns the options that price a call of an image service, by its usage and at most; none without a price."""
    from fashionedit.runtime.costs import price_of

    price = price_of(model, prices)
    if price is None:
        return {}

    def cost(counts: Mapping[str, int]) -> float | None:
        if "output_tokens" not in counts:
            return None
        return price.cost(
            input_tokens=counts.get("input_tokens", 0),
            output_tokens=counts["output_tokens"],
            image_tokens=counts.get("input_image_tokens", 0),
        )

    highest = price.cost(input_tokens=_PROMPT_TOKENS, output_tokens=_PICTURE_TOKENS)
    return {"cost_of": cost, "highest_cost": highest}


def _find_encoder(spec: str, device: str, engine: RayEngine | None, fetch: bool) -> object:
    from fashionedit.metrics.loading import check_encoder, find_files, load_encoder
    from fashionedit.runtime.ray_engine import run_in_worker

    check_encoder(spec)
    if engine is not None:  # its workers have the packages and the GPUs
        here = Path(spec.removeprefix("clip:")).is_dir()
        return None if here or not fetch else run_in_worker(engine, partial(_has_encoder, spec, device))
    if spec == "offline":
        return load_encoder(spec, device=device)
    return find_files(spec, device, "fp32") if fetch or Path(spec.removeprefix("clip:")).is_dir() else None


def _has_encoder(spec: str, device: str) -> None:
    """Raises what is wrong with an encoder; runs on a machine of a cluster, without its GPU."""
    from fashionedit.metrics.loading import find_files

    find_files(spec, "cpu" if device.startswith("cuda") else device, "fp32")


def _embedder(spec: str, device: str, engine: RayEngine | None, opened: ExitStack) -> Embedder:
    from fashionedit.metrics import EmbeddingCache, load_encoder
    from fashionedit.metrics.embedder import Embedder
    from fashionedit.metrics.ray_embedder import RayEmbedder

    if engine is None:
        return Embedder(load_encoder(spec, device=device), EmbeddingCache())
    embedder = RayEmbedder.named(spec, engine, device=device, cache=EmbeddingCache(), tell=tell)
    opened.callback(embedder.close)
    return embedder


def _analyst(given: dict[str, Any], prices: dict[str, Price]) -> Analyst:
    from dataclasses import fields

    from fashionedit.builders.analyse.analyst import Analyst, SentImages, read_prompt
    from fashionedit.builders.generate.makers import checked_arguments

    asked = parameters(given["ask_options"], "--ask")
    asked |= {key: None for key in ("temperature", "max_output_tokens", "max_side") if asked.get(key) == "none"}
    pictures = {field.name: asked.pop(field.name) for field in fields(SentImages) if field.name in asked}
    own = ("model", "prompt", "base_url", "concurrency", "images", "prices")
    free = [field.name for field in fields(Analyst) if field.name not in own]
    for key in asked:
        if key not in free:
            raise UnknownNameError(
                f"--ask takes no {key}; it takes {', '.join([*free, *(field.name for field in fields(SentImages))])}"
            )
    return Analyst(
        model=given["model"],
        prompt=read_prompt(given["prompt"]),
        base_url=given["base_url"],
        concurrency=given["concurrency"],
        images=SentImages(**checked_arguments(SentImages, pictures, "--ask")),
        prices=prices,
        **checked_arguments(Analyst, asked, "--ask"),
    )


def _options(source: PhotoSource, given: dict[str, Any]) -> BuildOptions:
    from fashionedit.builders.build_options import BuildOptions
    from fashionedit.builders.filter import MIN_SIMILARITY
    from fashionedit.builders.photos.release import read_selection
    from fashionedit.builders.split import read_split_file

    text, split = given["min_similarity"], given["split"]
    ready = source.describe()["kind"] == "release"  # it was filtered by its authors
    least = None if ready or given["selection"] else MIN_SIMILARITY
    if text is not None:
        try:
            least = None if text == "none" else float(text)
        except ValueError:
            raise InvalidDataError(f"--min-similarity is {text!r}; give a cosine × 100, such as 85, or none") from None
    by_rule = split in ("garment", "random")
    same = ["limit", "top_k", "sketches", "examples", "split_seed", "validation", "name", "licence"]
    same += ["leave_failed", "retry", "keep_going"]
    return BuildOptions(
        base_seed=given["seed"],
        min_similarity=least,
        selection=read_selection(given["selection"]) if given["selection"] else None,
        split_rule=split if by_rule else "file",
        listed=None if by_rule else read_split_file(Path(split)),
        again=[stage.strip() for stage in (given["again"] or "").split(",") if stage.strip()],
        **{name: given[name] for name in same},
    )
