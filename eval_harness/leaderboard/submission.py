"""A submission: evidence and `.eval_results` entries of a run that passed the checks, and the sending of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashionedit.card import LAST_ROUND, LEADERBOARD_METRICS, LEADERBOARD_PROTOCOLS, task_id
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.labels import failed_text
from fashionedit.eval_harness.scores.result_models import MOST_FAILED, Results, Row, Score
from fashionedit.eval_harness.scores.results import with_columns
from fashionedit.files import write_atomically
from fashionedit.metrics.paper_metrics import PAPER_IDS
from fashionedit.runtime.hub import repository_name

from .benchmark import Benchmark
from .bundle import BUNDLE_FILE, Bundle, bundle_json, evidence_place, make_bundle, write_bundle
from .checks import failed_checks
from .hub import HubInbox, Proposal

if TYPE_CHECKING:
    from huggingface_hub import EvalResultEntry

_HUB = "https://huggingface.co"
_DESCRIPTION = "Made by `fashionedit submit`; `fashionedit verify` checks the evidence."


@dataclass(frozen=True)
class Submission:
    """What is sent: the evidence to the results repository, and the numbers to the model's.

    There are no numbers for a model without repository, nor of another encoder than the leaderboard's.

    Args:
        bundle: What `bundle.json` says.
        results_repository: Where the evidence goes.
    """

    bundle: Bundle
    results_repository: str

    @property
    def place(self) -> str:
        """The bundle's folder in the results repository."""
        return evidence_place(self.bundle)

    @property
    def eval_results(self) -> str | None:
        """The path of the numbers in the model's repository; None where there are none to send."""
        sends = self.bundle.model is not None and self.bundle.official
        return eval_results_file(self.bundle.track) if sends else None

    def entries_text(self, source_url: str, user: str | None = None, existing: str | None = None) -> str:
        """Returns the text of the numbers' file, beside what the model's repository has in it about other tasks."""
        entries = task_entries(self.bundle, source_url=source_url, user=user)
        return entries_text(merged_entries(entries, existing))

    def lines(self) -> list[str]:
        """Returns what would be sent, in words."""
        size = len(bundle_json(self.bundle))
        told = [
            f"{self.place}/{BUNDLE_FILE}: {size:,} bytes of evidence for a pull request on "
            f"datasets/{self.results_repository}"
        ]
        if self.eval_results is None:
            why = "it has no repository" if self.bundle.model is None else "the scores are another encoder's"
            return [*told, f"no numbers are sent to the model, because {why}"]
        for entry in task_entries(self.bundle, source_url=self._evidence_url(_HUB)):
            told.append(f"{entry.value:>10.2f}  {entry.task_id}: {entry.notes}")
        for row in last_rows(self.bundle.results):
            if row.failed_share > MOST_FAILED:
                told.append(
                    f"no CLIP and PSNR of {row.protocol} are sent: {failed_text(row.failed, row.requested)} samples "
                    f"failed, and these rank only up to {100 * MOST_FAILED:g} %"
                )
        return [*told, f"in {self.eval_results} for a pull request on {self.bundle.model}"]

    def write(self, out: Path) -> list[Path]:
        """Writes all that would be sent below `out`, and returns the files: the evidence, then the numbers."""
        folder = out / self.results_repository.replace("/", "--") / self.place
        write_bundle(self.bundle, folder)
        written = [folder / BUNDLE_FILE]
        if self.eval_results is not None:
            path = out / str(self.bundle.model).replace("/", "--") / self.eval_results
            write_atomically(path, self.entries_text(self._evidence_url(_HUB)).encode())
            written.append(path)
        return written

    def send(self, *, token: str | None = None) -> list[Proposal]:
        """Returns the pull requests: with the evidence, and with the numbers where the model has a repository.

        The same submission again opens nothing: a request that is open is changed where there is something new.

        Raises:
            ServiceError: There is no token, it may not, or the Hub can't be reached.
            InvalidDataError: A repository does not exist.
        """
        evidence = HubInbox(self.results_repository, "dataset", token=token)
        model = None
        if self.eval_results is not None:
            model = HubInbox(str(self.bundle.model), "model", token=token)
        user = evidence.user
        for inbox in (evidence, model):
            if inbox is not None:
                inbox.check()  # before anything is sent
        sent = [
            evidence.propose(
                f"FashionEdit evidence: {self.bundle.name}, {self.bundle.track}",
                lambda read: {f"{self.place}/{BUNDLE_FILE}": bundle_json(self.bundle)},
                _DESCRIPTION,
            )
        ]
        if model is not None:
            url = sent[0].url
            if sent[0].state == "merged":
                url = self._evidence_url(url.rpartition("/datasets/")[0])
            title = f"FashionEdit results, {self.bundle.track}"
            sent.append(model.propose(title, self._numbers(str(self.eval_results), url, user), _DESCRIPTION))
        return sent

    def _numbers(self, path: str, url: str, user: str) -> Callable[[Callable[[str], bytes | None]], dict[str, bytes]]:
        def files(read: Callable[[str], bytes | None]) -> dict[str, bytes]:
            existing = read(path)
            text = existing.decode("utf-8", "replace") if existing is not None else None
            return {path: self.entries_text(url, user, text).encode()}

        return files

    def _evidence_url(self, endpoint: str) -> str:
        return f"{endpoint}/datasets/{self.results_repository}/tree/main/{self.place}"


def submitter_name(model: str | None, name: str | None) -> str:
    """Returns what tables call whoever made the images: the model's repository, or a name of its own.

    Raises:
        InvalidDataError: Neither or both are given, or it can't be used.
    """
    if (model is None) == (name is None):
        raise InvalidDataError(
            "say who made the images: --model ORG/NAME, or --name TEXT for a model without repository"
        )
    called = repository_name(model) if model is not None else " ".join((name or "").split())
    if not called or len(called) > 96 or not called.isprintable():
        raise InvalidDataError("--name is empty, too long or not printable; give 1 to 96 characters")
    return called


def check_run(
    run: RunFolder, source: SampleSource, results: Results, benchmark: Benchmark | None, *, any_encoder: bool = False
) -> None:
    """Returns if the run may be submitted; with `benchmark` None, as far as that is known without the Hub.

    Raises:
        InvalidDataError: It may not; the message has all reasons, one a line.
    """
    if failures := failed_checks(run, source, results, benchmark, any_encoder=any_encoder):
        lines = "".join(f"\n  - {sentence}" for sentence in failures)
        raise InvalidDataError(f"{run.path} can't be submitted:{lines}")


def prepare(
    run: RunFolder,
    source: SampleSource,
    results: Results,
    benchmark: Benchmark,
    *,
    model: str | None,
    name: str | None,
    results_repository: str,
    any_encoder: bool = False,
) -> Submission:
    """Returns the submission of a scored run.

    Args:
        source: The dataset that the run was made on.
        results: What `score` wrote; columns beside the leaderboard's own are not sent.
        benchmark: The dataset as it is published.
        model: The model's repository on the Hub.
        name: How tables call a model without one.
        results_repository: Where the evidence goes.
        any_encoder: Whether scores of another encoder may be sent; they are marked and stand beside the ranked ones.

    Raises:
        InvalidDataError: A check failed (the message has them all), or neither or both of model and name are given.
    """
    called = submitter_name(model, name)
    repository_name(results_repository)
    results = with_columns(results, PAPER_IDS)
    check_run(run, source, results, benchmark, any_encoder=any_encoder)
    return Submission(make_bundle(run, source, results, benchmark, name=called, model=model), results_repository)


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


def task_entries(bundle: Bundle, *, source_url: str, user: str | None = None) -> list[EvalResultEntry]:
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
            notes=_notes(bundle, row, row.scores[metric]),
        )
        for row in last_rows(bundle.results)
        for metric in LEADERBOARD_METRICS
        if bundle.official and row.is_ranked(bundle.results.metric(metric))
    ]


def _notes(bundle: Bundle, row: Row, score: Score) -> str:
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
    floor = next((one for one in bundle.results.rows if one.kind == "floor"), None)
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
