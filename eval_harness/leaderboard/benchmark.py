"""The benchmark as it is published: a dataset repository at one commit, and the encoder whose scores are ranked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, cast

from pydantic import BaseModel, ConfigDict, PositiveInt, StringConstraints

from fashionedit.data import find_folder
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.eval_harness.scores.result_models import Metric
from fashionedit.eval_harness.scores.scoring import described
from fashionedit.folder import FashionEditFolder, open_folder
from fashionedit.manifest import MANIFEST_FILE, read_manifest
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.loading import CLIP_IDENTITY, CLIP_REPOSITORY
from fashionedit.metrics.preprocessing import Preprocessing
from fashionedit.metrics.registry import PAPER_METRICS, load_metrics
from fashionedit.runtime.hub import hub_client, hub_failures, repository_name

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
RepositoryId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$", max_length=96)]


class Benchmark(BaseModel):
    """What was run: a split of a dataset repository at one commit, with its size and manifest hash there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: RepositoryId
    revision: Commit
    split: str
    samples: PositiveInt
    manifest: Digest


SPLIT = "validation"
"""The split of the leaderboard."""

_AT = re.compile(r"([^@\s]+)(?:@([^@\s]+))?")


def benchmark_name(text: str | None) -> tuple[str, str | None]:
    """Returns repository and revision of `org/name[@revision]`; `$FASHIONEDIT_REPO` where none is given.

    Raises:
        InvalidDataError: It is no such name, or there is none.
    """
    named = text or os.environ.get("FASHIONEDIT_REPO")
    if not named:
        raise InvalidDataError(
            "which dataset repository the benchmark is was not said; give --dataset-repo ORG/NAME[@REVISION], or set "
            "$FASHIONEDIT_REPO"
        )
    match = _AT.fullmatch(named)
    if match is None:
        raise InvalidDataError(f"{named!r} is no name of a dataset repository; write org/name or org/name@revision")
    return repository_name(match[1]), match[2]


def results_repository(benchmark: str) -> str:
    """Returns the dataset repository that holds the evidence unless another is named: the benchmark's with `-results`.

    >>> results_repository("some-org/fashionedit")
    'some-org/fashionedit-results'
    """
    return f"{benchmark}-results"


def find_benchmark(repository: str, revision: str | None = None, *, token: str | None = None) -> Benchmark:
    """Returns the benchmark at the commit that the revision stands for now; the newest one by default.

    Raises:
        DatasetNotFoundError: There is no such repository or revision, or it holds no FashionEdit files.
        ServiceError: The Hub can't be reached.
        InvalidDataError: Its manifest can't be understood, or says nothing of the validation split.
    """
    from huggingface_hub.errors import (
        EntryNotFoundError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at revision {revision}" if revision else ""
    api = hub_client(token)
    with hub_failures("read", repository):
        try:
            commit = str(api.dataset_info(repository, revision=revision).sha)
            path = Path(api.hf_hub_download(repository, MANIFEST_FILE, repo_type="dataset", revision=commit))
        except LocalEntryNotFoundError:  # not what its parent says: the Hub was not reached
            raise
        except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError) as error:
            raise DatasetNotFoundError(
                f"there is no FashionEdit dataset {repository}{at} on the Hub, or the token may not see it; check "
                "--dataset-repo"
            ) from error
    manifest = read_manifest(path.parent)
    samples, identity = manifest.splits.get(SPLIT), manifest.manifest_hashes.get(SPLIT)
    if samples and manifest.form == "full":
        identity = open_folder(find_folder(f"{repository}@{commit}"), SPLIT).manifest_hash
    if not samples or identity is None:
        raise InvalidDataError(f"the manifest of {repository}{at} says nothing of the {SPLIT} split; publish it again")
    return Benchmark(repository=repository, revision=commit, split=SPLIT, samples=samples, manifest=identity)


def local_benchmark(source: FashionEditFolder) -> Benchmark:
    """Returns the benchmark that the dataset here would be if it were published as it is: `local/NAME`, revision 0."""
    name = re.sub(r"[^A-Za-z0-9._]+", "-", source.name).strip("-._")[:80] or "benchmark"
    return Benchmark(
        repository=f"local/{name}",
        revision="0" * 40,
        split=SPLIT,
        samples=len(source.ids),
        manifest=source.manifest_hash,
    )


OFFICIAL_FINGERPRINT = {
    "kind": "transformers",
    **CLIP_IDENTITY,
    "features": "image_embeds",
    "preprocessing": Preprocessing().fingerprint,
    "precision": "fp32",
    "backend": "torch",
}
"""`load_encoder("clip")` in fp32, on any device: there they agree to 1e-6."""


def paper_columns(encoder: str, fingerprint: Mapping[str, str], *, is_clip: bool) -> tuple[Metric, ...]:
    """Returns the leaderboard's metrics as results have them, made with an encoder of this label and fingerprint."""
    made = SimpleNamespace(encoder=SimpleNamespace(label=encoder, fingerprint=fingerprint, is_clip=is_clip))
    return tuple(map(described, load_metrics(PAPER_METRICS, cast(Embedder, made))))


@cache
def official_columns() -> tuple[Metric, ...]:
    """Returns the metrics that the leaderboard ranks by."""
    return paper_columns(CLIP_REPOSITORY, OFFICIAL_FINGERPRINT, is_clip=True)


def has_paper_columns(metrics: Sequence[Metric]) -> bool:
    """Returns whether these are the leaderboard's metrics, made with whichever encoder."""
    similarity = next((metric for metric in metrics if metric.encoder and not metric.is_share), None)
    return similarity is not None and any(
        _defined(metrics) == _defined(paper_columns(similarity.encoder or "", similarity.fingerprint, is_clip=is_clip))
        for is_clip in (True, False)
    )


def _defined(metrics: Iterable[Metric]) -> list[tuple[object, ...]]:
    return [(one.id, one.of, one.scale, one.threshold, one.fingerprint) for one in metrics]


def fingerprint_differences(metrics: Iterable[Metric]) -> list[str]:
    """Returns one clause for each field in which the metrics are not the leaderboard's; none where they are."""
    wanted = {metric.id: metric for metric in official_columns()}
    found = {metric.id: metric for metric in metrics}
    if set(found) != set(wanted):
        encoder = next((metric.encoder for metric in found.values() if metric.encoder), "no encoder")
        return [f"encoder: {encoder}, wanted {CLIP_REPOSITORY}"]
    clauses: dict[str, None] = {}
    for id, metric in wanted.items():
        have, want = ({**one.fingerprint, "threshold": one.threshold} for one in (found[id], metric))
        for field in sorted({*have, *want}):
            if have.get(field) != want.get(field):
                clauses[f"{field}: {have.get(field)}, wanted {want.get(field)}"] = None
    return list(clauses)
