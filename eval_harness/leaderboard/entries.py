"""The entries of `.eval_results/`: one number per task, with what it needs to be understood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fashionedit.card import LAST_ROUND, LEADERBOARD_METRICS, LEADERBOARD_PROTOCOLS, task_id
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.scores.result_models import Results, Row, Score

from .bundle import Bundle

if TYPE_CHECKING:
    from huggingface_hub import EvalResultEntry

MAIN_TRACK = "detail-images"
"""The paper's setting: the crop as reference, rounds chained by images alone."""

_DECIMALS = 2


def eval_results_file(track: str) -> str:
    """Returns the file's path in the model's repository: each track has one of its own.

    >>> eval_results_file("detail-images"), eval_results_file("sketch-images")
    ('.eval_results/fashionedit.yaml', '.eval_results/fashionedit_sketch-images.yaml')
    """
    return f".eval_results/fashionedit{'' if track == MAIN_TRACK else f'_{track}'}.yaml"


def last_rows(results: Results) -> Iterator[Row]:
    """Yields the run's own rows after the last round, in the order of the leaderboard's protocols."""
    for protocol in LEADERBOARD_PROTOCOLS:
        for row in results.rows:
            if row.run is not None and (row.protocol, row.round) == (protocol, LAST_ROUND):
                yield row


def task_entries(
    bundle: Bundle, results: Results, *, source_url: str, user: str | None = None
) -> list[EvalResultEntry]:
    """Returns one entry per task that the run has a number for; none where another encoder made the scores.

    The Hub ranks by each task, so a run that failed too often to be ranked by CLIP and PSNR has no entry for them.

    Args:
        source_url: Where the evidence is.
        user: Who sends it, by the Hub's name.
    """
    from huggingface_hub import EvalResultEntry

    return [
        EvalResultEntry(
            dataset_id=bundle.benchmark.repository,
            task_id=task_id(row.protocol, metric),
            value=round(row.scores[metric].mean, _DECIMALS),
            dataset_revision=bundle.benchmark.revision,
            source_url=source_url,
            source_name="FashionEdit evidence",
            source_user=user,
            notes=_notes(bundle, results, row, row.scores[metric]),
        )
        for row in last_rows(results)
        for metric in LEADERBOARD_METRICS
        if bundle.official and row.is_ranked(results.metric(metric))
    ]


def _notes(bundle: Bundle, results: Results, row: Row, score: Score) -> str:
    editor = bundle.run.editor
    parts = [f"after round {row.round} of {LAST_ROUND}"]
    if row.protocol == "bug":
        parts.append(f"reference {bundle.run.reference}")
    parts.append("rounds chained by images" if editor.state == "images" else "rounds chained by the conversation")
    parts += ["base and reference side by side in one image"] * editor.stitched
    parts += ["images made elsewhere and imported"] * editor.supplied
    failures = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in row.failures.items())
    parts.append(f"n = {row.requested}, {row.failed} failed" + (f" ({failures})" if failures else ""))
    if score.low is not None and score.high is not None:
        parts.append(f"95 % interval {score.low:z.{_DECIMALS}f} to {score.high:z.{_DECIMALS}f}, clustered by garment")
    floor = next((one for one in results.rows if one.kind == "floor"), None)
    if floor is not None:
        metric = next(id for id, found in row.scores.items() if found is score)
        parts.append(f"the draft alone has {floor.scores[metric].mean:z.{_DECIMALS}f}")
    return "; ".join(parts)


def merged_entries(entries: Sequence[EvalResultEntry], existing: str | None) -> list[dict[str, Any]]:
    """Returns the content of the file: these entries, and those of the existing file that are about other tasks.

    An entry that says the same but for its source and date stays as it is, so that sending again changes nothing.

    Raises:
        InvalidDataError: The existing file is no list of entries.
    """
    from huggingface_hub import eval_result_entries_to_yaml

    made = {_task(entry): entry for entry in eval_result_entries_to_yaml(list(entries))}
    merged: list[dict[str, Any]] = []
    for entry in _parsed(existing):
        mine = made.pop(_task(entry), None)
        merged.append(entry if mine is None or _said(mine) == _said(entry) else mine)
    return [*merged, *made.values()]


def entries_text(entries: Sequence[dict[str, Any]]) -> str:
    """Returns the YAML of the entries."""
    import yaml

    text: str = yaml.safe_dump(list(entries), sort_keys=False, allow_unicode=True, width=1000)
    return text


def _parsed(existing: str | None) -> list[dict[str, Any]]:
    import yaml

    if existing is None:
        return []
    try:
        found = yaml.safe_load(existing)
        if isinstance(found, list) and all(isinstance(entry["dataset"], dict) for entry in found):
            return found
    except (yaml.YAMLError, KeyError, TypeError):
        pass
    raise InvalidDataError(
        "the model's repository holds an .eval_results file of ours that is no list of results; ask its owner to "
        "correct or delete it first"
    )


def _task(entry: dict[str, Any]) -> tuple[Any, Any]:
    return entry["dataset"].get("id"), entry["dataset"].get("task_id")


def _said(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("source", "date")}
