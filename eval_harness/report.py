"""One page that shows a table, its curves, and every picture behind it, and needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fashionedit import __version__
from fashionedit.errors import InvalidDataError, RunMismatchError

from .page import sections
from .page.charts import charts, forest, threshold_chart
from .page.document import MOST_IN_A_FILE, Form, page_path, write_file, write_folder
from .page.storyboard import Storyboard, chosen_samples
from .samples import SampleSource
from .scores import table
from .scores.result_models import Results
from .scores.results import ScorableRun
from .scores.scoring import Progress


def write_report(
    results: Results,
    runs: Sequence[ScorableRun],
    source: SampleSource,
    out: Path,
    *,
    form: Form | None = None,
    publishable: bool = False,
    most_samples: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Returns the written page: table, curves, a strip per sample and run, and where every number comes from.

    The page asks no network for anything, and its content policy forbids it to. Whatever a model or a dataset wrote is
    shown as text.

    Args:
        results: Of one run, or merged.
        runs: The run folders, in the order of `results.runs`.
        out: The page's name. A page in one file ends in `.html`, which is added where it is missing; one in a folder
            is `index.html` in it.
        form: `file` holds everything and shows `most_samples`; `folder` loads the pictures of a sample when it is seen
            and shows all. None chooses a file for a name that ends in `.html` and for up to 48 samples.
        publishable: Whether to leave out what may not be passed on: originals, captions, references, and outputs that
            show them.
        most_samples: Samples whose strips are shown: 48 in a file and all in a folder, unless told otherwise.
        progress: Called with the samples done and the samples in all.

    Raises:
        RunMismatchError: The runs or the dataset are not those of the results.
        InvalidDataError: `out` can't be the page's name, or fewer than three samples were asked for.
    """
    _check(results, runs, source, most_samples)
    if form is None:
        form = "file" if out.suffix == ".html" or len(results.samples) <= MOST_IN_A_FILE else "folder"
    page = page_path(out, form)
    most = MOST_IN_A_FILE if most_samples is None and form == "file" else most_samples
    ids = chosen_samples(results, most)
    board = Storyboard(results, runs, source, ids, folder=form == "folder", publishable=publishable)
    details = _counted(board.details(), len(ids), progress)
    values = _values(results, len(ids), publishable=publishable)
    if form == "folder":
        write_folder(board, details, out, values)
    else:
        write_file(board, details, page, values)
    return page


def _counted(details: Iterable[Any], total: int, progress: Progress | None) -> Iterator[Any]:
    for count, detail in enumerate(details, 1):
        yield detail
        if progress is not None:
            progress(count, total)


def _check(results: Results, runs: Sequence[ScorableRun], source: SampleSource, most_samples: int | None) -> None:
    if [run.identity.public() for run in runs] != [run.public() for run in results.runs]:
        names = ", ".join(run.editor.name for run in results.runs)
        raise RunMismatchError(
            f"the results are of {names} and the page was given {len(runs)} runs that are not these; "
            "give the run folders that were scored, in the same order"
        )
    if source.manifest_hash != results.dataset.manifest:
        raise RunMismatchError(
            f"the results were scored on {results.dataset.name} with manifest {results.dataset.manifest}, and the page "
            f"was given {source.manifest_hash}; give the dataset they were scored on"
        )
    if most_samples is not None and most_samples < 3:
        raise InvalidDataError(f"a page of {most_samples} samples was asked for; give 3 or more")


def _values(results: Results, shown: int, *, publishable: bool) -> dict[str, Any]:
    """Returns what the template is filled with; it makes the rows of its tables by the functions of two modules."""
    rows = table.table_rows(results)
    return {
        "sections": sections,
        "table": table,
        "results": results,
        "version": __version__,
        "shown": shown,
        "publishable": publishable,
        "head": [(table.short_label(metric), metric.unit) for metric in results.metrics],
        "share": table.short_label(results.share) if results.share else "",
        "rows": rows,
        "gains": any(map(sections.has_gains, rows)),
        "measures": any(row.measures for row in rows),
        "failures": sorted({status for row in rows for status in row.failures}),
        "breakdowns": sections.breakdown_tables(results),
        "forest": forest(results),
        "charts": [*charts(results), *filter(None, [threshold_chart(results)])],
    }
