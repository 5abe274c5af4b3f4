"""One page that shows a table, its curves, and every picture behind it: a single file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fashionedit import __version__
from fashionedit.errors import InvalidDataError, RunMismatchError
from fashionedit.files import write_atomically

from .curves import charts
from .notes import (
    DECIMALS,
    failure_lines,
    footnotes,
    method_name,
    reference_kinds,
    samples_left_out,
    short_label,
    table_rows,
)
from .protocols import PROTOCOLS
from .result_models import Results, Row
from .results import DescribedSource, ScorableRun
from .scoring import Progress
from .strips import chosen_samples, sample_strips
from .thumbnails import Thumbnails

__all__ = ["MOST_SAMPLES", "write_report"]

MOST_SAMPLES = 48
"""How many samples a page shows unless told otherwise: a third worst, a third best, the rest from between."""

_TEMPLATES = Path(__file__).parent / "templates"


def write_report(
    results: Results,
    runs: Sequence[ScorableRun],
    source: DescribedSource,
    out: Path,
    *,
    most_samples: int = MOST_SAMPLES,
    progress: Progress | None = None,
) -> None:
    """Writes the page: table, curves, a strip per sample and run, and where every number comes from.

    Styles, script and pictures are inside; the page asks no network for anything, and its content policy forbids it to.
    Whatever a model or a dataset wrote is shown as text.

    Args:
        results: Of one run, or merged.
        runs: The run folders, in the order of `results.runs`.
        most_samples: Samples whose strips are shown.
        progress: Called with the samples done and the samples in all.

    Raises:
        RunMismatchError: The runs or the dataset are not those of the results.
    """
    if [run.identity for run in runs] != list(results.runs):
        raise RunMismatchError(
            f"the results are of {_names(results)} and the page was given {len(runs)} runs that are not these; "
            "give the run folders that were scored, in the same order"
        )
    if source.manifest_hash != results.dataset.manifest:
        raise RunMismatchError(
            f"the results were scored on {results.dataset.name} with manifest {results.dataset.manifest}, and the page "
            f"was given {source.manifest_hash}; give the dataset they were scored on"
        )
    if most_samples < 3:
        raise InvalidDataError(f"a page of {most_samples} samples was asked for; give 3 or more")
    ids = chosen_samples(results, most_samples)
    samples, thumbnails = sample_strips(results, runs, source, ids, Thumbnails, progress=progress)
    style, script = (_text(name) for name in ("report.css", "report.js"))
    page = (
        _environment()
        .get_template("report.html")
        .render(
            results=results,
            version=__version__,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            head=[(short_label(metric), metric.unit) for metric in results.metrics],
            rows=[_row(row, results) for row in table_rows(results)],
            left_out=samples_left_out(results),
            footnotes=footnotes(results),
            failures=failure_lines(results),
            charts=charts(results),
            samples=samples,
            metrics=[metric for metric in results.metrics if not metric.is_share],
            methods=list(dict.fromkeys(strip.method for sample in samples for strip in sample.strips)),
            prompts=list(dict.fromkeys(strip.prompt for sample in samples for strip in sample.strips)),
            categories=sorted({sample.category for sample in samples if sample.category}),
            leads=list(_leads(results)),
            provenance=list(_provenance(results)),
            images=Markup(_json(thumbnails.encoded())),
        )
    )
    write_atomically(out, page.encode())


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


def _policy(style: str, script: str) -> str:
    """Returns the page's content policy: this very style and script, pictures from inside, and nothing else."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; img-src blob: data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(value: Any) -> str:
    # Inside a script element only "</script" and "<!--" could end the data; neither survives without "<".
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _row(row: Row, results: Results) -> dict[str, Any]:
    scores = []
    for metric in results.metrics:
        score = row.scores[metric.id]
        error = "" if score.standard_error is None else f"± {score.standard_error:.{DECIMALS}f}"
        scores.append((short_label(metric), f"{score.mean:.{DECIMALS}f}", error))
    return {
        "method": method_name(row),
        "kind": row.kind,
        "prompt": row.prompt,
        "round": "–" if row.kind == "ceiling" or row.round == 0 else str(row.round),
        "scores": scores,
        "n": row.requested,
        "failed": row.failed,
        "failures": ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in row.failures.items()),
    }


def _leads(results: Results) -> Iterator[tuple[str, str]]:
    """Yields how the prompts of a table begin."""
    for protocol in PROTOCOLS.values():
        if protocol.edits:
            shown = reference_kinds(results) if "reference" in protocol.roles else [protocol]
            yield ", ".join(one.prompt for one in shown), protocol.lead


def _provenance(results: Results) -> list[tuple[str, list[tuple[str, str]]]]:
    data = results.dataset
    groups = [
        (
            "Dataset",
            [
                ("name", data.name),
                ("split", data.split),
                ("samples", f"{data.samples}, showing {data.garments} garments"),
                *([("left out", samples_left_out(results))] if data.left_out else []),
                ("manifest", data.manifest),
                ("originals", data.originals),
                ("mean box area", f"{data.mean_box_area:.2f} %"),
            ],
        )
    ]
    for run in results.runs:
        facts = run.model_dump(
            mode="json", exclude={"dataset", "split", "samples", "manifest", "control_set", "editor"}
        )
        fields = [("fingerprint", run.editor.fingerprint), *((name, _shown(value)) for name, value in facts.items())]
        groups.append((f"Run: {run.editor.name}", fields))
    for metric in results.metrics:
        fingerprint: Mapping[str, str] = metric.fingerprint
        if metric.is_share:
            fields = [("definition", metric.unit), ("computed from", short_label(results.metrics[0]))]
        else:
            fields = list(fingerprint.items())
        groups.append((f"Metric: {metric.label}", fields))
    return groups


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _names(results: Results) -> str:
    return ", ".join(run.editor.name for run in results.runs)
