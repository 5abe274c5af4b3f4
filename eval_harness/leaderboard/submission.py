"""A submission: evidence and `.eval_results` entries of a run that passed the checks, and the sending of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashionedit.card import LAST_ROUND, LEADERBOARD_METRICS, LEADERBOARD_PROTOCOLS, task_id
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.scores.intervals import LEVEL
from fashionedit.eval_harness.scores.result_models import MOST_FAILED, Results, Row
from fashionedit.eval_harness.scores.table import failed_text
from fashionedit.files import write_atomically
from fashionedit.runtime.hub import repository_name

from .bundle import BUNDLE_FILE, Bundle, bundle_json, write_bundle
from .hub import HubInbox, Proposal

if TYPE_CHECKING:
    from huggingface_hub import EvalResultEntry

_HUB = "https://huggingface.co"
_DESCRIPTION = "Made by `fashionedit submit`; `fashionedit verify` checks the evidence."


@dataclass(frozen=True)
class Submission:
    """What is sent: the evidence to the results repository, and the numbers to the model's.

    There are no numbers for a model without repository, nor of another encoder than the leaderboard's.
    """

    bundle: Bundle
    results_repository: str

    @property
    def eval_results(self) -> str | None:
        """The path of the numbers in the model's repository; None where there are none to send."""
        sends = self.bundle.model is not None and self.bundle.official
        return eval_results_file(self.bundle.track) if sends else None

    def _entries(self, source_url: str, user: str | None = None, existing: bytes | None = None) -> bytes:
        """Returns the numbers' file, beside what the model's repository has in it about other tasks."""
        return merged_entries(task_entries(self.bundle, source_url=source_url, user=user), existing)

    def lines(self) -> list[str]:
        """Returns what would be sent, in words."""
        size = len(bundle_json(self.bundle))
        told = [
            f"{self.bundle.place}/{BUNDLE_FILE}: {size:,} bytes of evidence for a pull request on "
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
        folder = out / self.results_repository.replace("/", "--") / self.bundle.place
        write_bundle(self.bundle, folder)
        written = [folder / BUNDLE_FILE]
        if self.eval_results is not None:
            path = out / str(self.bundle.model).replace("/", "--") / self.eval_results
            write_atomically(path, self._entries(self._evidence_url(_HUB)))
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
        numbers = HubInbox(str(self.bundle.model), "model", token=token) if self.eval_results is not None else None
        user = evidence.user
        for inbox in filter(None, (evidence, numbers)):
            inbox.check()  # before anything is sent
        first = evidence.propose(
            f"FashionEdit evidence: {self.bundle.name}, {self.bundle.track}",
            f"{self.bundle.place}/{BUNDLE_FILE}",
            lambda existing: bundle_json(self.bundle),
            _DESCRIPTION,
        )
        if numbers is None:
            return [first]
        url = first.url
        if first.state == "merged":
            url = self._evidence_url(url.rpartition("/datasets/")[0])
        second = numbers.propose(
            f"FashionEdit results, {self.bundle.track}",
            str(self.eval_results),
            lambda existing: self._entries(url, user, existing),
            _DESCRIPTION,
        )
        return [first, second]

    def _evidence_url(self, endpoint: str) -> str:
        return f"{endpoint}/datasets/{self.results_repository}/tree/main/{self.bundle.place}"


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
            notes=_notes(bundle, row, metric),
        )
        for row in last_rows(bundle.results)
        for metric in LEADERBOARD_METRICS
        if bundle.official and row.is_ranked(bundle.results.metric(metric))
    ]


def _notes(bundle: Bundle, row: Row, metric: str) -> str:
    editor, score = bundle.run.editor, row.scores[metric]
    parts = [f"after round {row.round} of {LAST_ROUND}"]
    if PROTOCOLS[row.protocol].shows_reference:
        parts.append(f"reference {bundle.run.reference}")
    parts.append("rounds chained by images" if editor.state == "images" else "rounds chained by the conversation")
    parts += ["base and reference side by side in one image"] * editor.stitched
    parts += ["images made elsewhere and imported"] * editor.supplied
    failures = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in row.failures.items())
    parts.append(f"n = {row.requested}, {row.failed} failed" + (f" ({failures})" if failures else ""))
    if score.low is not None and score.high is not None:
        parts.append(
            f"{LEVEL} interval {score.low:z.{_DECIMALS}f} to {score.high:z.{_DECIMALS}f}, clustered by garment"
        )
    floor = next(row for row in bundle.results.rows if row.kind == "floor")
    parts.append(f"the draft alone has {floor.scores[metric].mean:z.{_DECIMALS}f}")
    return "; ".join(parts)


def merged_entries(entries: Sequence[EvalResultEntry], existing: bytes | None) -> bytes:
    """Returns the YAML of these entries, and of those of the existing file that are about other tasks.

    An entry that says the same but for its source and date stays as it is, so that sending again changes nothing.

    Raises:
        InvalidDataError: The existing file is no list of entries.
    """
    import yaml
    from huggingface_hub import eval_result_entries_to_yaml

    made = {_task(entry): entry for entry in eval_result_entries_to_yaml(list(entries))}
    merged: list[dict[str, Any]] = []
    try:
        found = [] if existing is None else yaml.safe_load(existing.decode("utf-8", "replace"))
        if not isinstance(found, list):
            raise TypeError
        for entry in found:
            mine = made.pop(_task(entry), None)
            merged.append(entry if mine is None or _content(mine) == _content(entry) else mine)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InvalidDataError(
            "the model's repository holds an .eval_results file of ours that is no list of results; ask its owner to "
            "correct or delete it first"
        ) from error
    text: str = yaml.safe_dump([*merged, *made.values()], sort_keys=False, allow_unicode=True, width=1000)
    return text.encode()


def _task(entry: dict[str, Any]) -> tuple[Any, Any]:
    return entry["dataset"].get("id"), entry["dataset"].get("task_id")


def _content(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("source", "date")}
