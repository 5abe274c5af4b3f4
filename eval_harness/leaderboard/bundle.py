"""The evidence of a submission: what is in a bundle, how one is read, and that its files are the ones it names.

    bundle.json       who, on which benchmark, the SHA-256 of every other file, and of its own content
    results.json      the results, with every score of every sample
    scores.parquet    the run's own scores, one row per sample, protocol and round
    outputs.json      the pixel digest of every image that the editor returned
    parameters.json   the effective parameters and model versions of the edits
    packages.json     the package versions of the run's sessions

No photograph, no crop and no caption is in it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, StringConstraints

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.records import RunIdentity
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.eval_harness.scores.results import to_json
from fashionedit.files import parse_model, read_regular, write_atomically
from fashionedit.owned_folders import new_folder
from fashionedit.parquet import ParquetReader

from .benchmark import Benchmark, Digest, RepositoryId, fingerprint_differences
from .provenance import EffectiveParameters, PackageVersions, effective_parameters, package_sets

BUNDLE_FILE = "bundle.json"
RESULTS_FILE = "results.json"
SCORES_FILE = "scores.parquet"
OUTPUTS_FILE = "outputs.json"
PARAMETERS_FILE = "parameters.json"
PACKAGES_FILE = "packages.json"

FILES = (OUTPUTS_FILE, PACKAGES_FILE, PARAMETERS_FILE, RESULTS_FILE, SCORES_FILE)
"""All of a bundle but `bundle.json`."""

LARGEST = 64_000_000
"""The largest file that is read, in bytes; a thousand samples take about a fiftieth of it."""

SUBMISSIONS = "submissions"
"""The folder of the results repository that holds the bundles."""

_PLACE_OF_THE_NAMELESS = "_"  # no owner on the Hub can be called so

OwnName = Annotated[str, StringConstraints(min_length=1, max_length=96)]
Model = TypeVar("Model", bound=BaseModel)


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundledFile(_Stored):
    """One file of a bundle: SHA-256 and size in bytes."""

    sha256: Digest
    size: NonNegativeInt


class Bundle(_Stored):
    """`bundle.json`.

    Args:
        name: How tables call the model: its repository, or the name of a service's model that has none.
        model: The model's repository on the Hub; None for one without.
        official: Whether the leaderboard's own encoder made the scores; others never stand among the ranked ones.
        files: The other files.
        checksum: SHA-256 of all the rest of `bundle.json`. It tells a slip from a whole file, and stops nobody.
    """

    schema_version: Literal[1] = 1
    name: OwnName
    model: RepositoryId | None
    benchmark: Benchmark
    run: RunIdentity
    official: bool
    files: dict[str, BundledFile]
    checksum: Digest

    @property
    def track(self) -> str:
        """What sets this submission apart from others of the same model, as `detail-images`."""
        editor = self.run.editor
        parts = [self.run.reference, editor.state]
        parts += ["stitched"] * editor.stitched + ["supplied"] * editor.supplied
        parts += ["other-encoder"] * (not self.official)
        return "-".join(parts)


class Output(_Stored):
    """An image that the editor returned: pixel digest and size in pixels (width, height)."""

    sample: str
    protocol: str
    round: int
    digest: Digest
    size: tuple[PositiveInt, PositiveInt]


class Outputs(_Stored):
    """`outputs.json`."""

    schema_version: Literal[1] = 1
    outputs: tuple[Output, ...]


class Parameters(_Stored):
    """`parameters.json`."""

    schema_version: Literal[1] = 1
    protocols: dict[str, EffectiveParameters]


class Packages(_Stored):
    """`packages.json`."""

    schema_version: Literal[1] = 1
    sessions: tuple[PackageVersions, ...]


def sealed(head: Mapping[str, Any]) -> Bundle:
    """Returns the `bundle.json` with these fields and their checksum."""
    unsealed = Bundle(**head, checksum="0" * 64)
    return unsealed.model_copy(update={"checksum": _checksum(unsealed)})


def _checksum(bundle: Bundle) -> str:
    return hashlib.sha256(pretty_json(bundle.model_dump(mode="json", exclude={"checksum"}))).hexdigest()


def pretty_json(value: Any) -> bytes:
    """Returns JSON that is the same text for the same content: sorted keys, one space of indent."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_bundle(files: Mapping[str, bytes], folder: Path) -> None:
    """Writes the files into the folder, all of them or none; an earlier bundle there gives way.

    Raises:
        InvalidDataError: The folder holds something else.
    """
    with new_folder(folder, "submission", replace=True) as fresh:
        for name, content in files.items():
            write_atomically(fresh / name, content)


def read_bundle(folder: Path) -> tuple[Bundle, dict[str, bytes]]:
    """Returns what `bundle.json` says and the other files' content, each with the hash that it names.

    Raises:
        InvalidDataError: A file is missing, too large, not named, or not the one that was named.
    """
    bundle = read_head(folder)
    path = folder / BUNDLE_FILE
    if _checksum(bundle) != bundle.checksum:
        raise InvalidDataError(f"{path} was altered after the bundle was made: its checksum is another")
    if sorted(bundle.files) != list(FILES):
        named = ", ".join(sorted(bundle.files)) or "no files"
        raise InvalidDataError(f"{path} names {named}; a bundle has {', '.join(FILES)}")
    files = {}
    for name, stated in bundle.files.items():
        content = files[name] = _content(folder / name)
        found = hashlib.sha256(content).hexdigest()
        if found != stated.sha256 or len(content) != stated.size:
            raise InvalidDataError(
                f"{folder / name} has SHA-256 {found[:12]}…, {BUNDLE_FILE} names {stated.sha256[:12]}…: the file was "
                "altered after the bundle was made"
            )
    return bundle, files


def evidence_place(bundle: Bundle) -> str:
    """Returns where a bundle lies in the results repository: one folder per model and track."""
    home = bundle.model
    if home is None:
        told = re.sub(r"[^A-Za-z0-9.-]+", "-", bundle.name).strip("-.")[:40]
        home = f"{_PLACE_OF_THE_NAMELESS}/{told}-{hashlib.sha256(bundle.name.encode()).hexdigest()[:6]}"
    return f"{SUBMISSIONS}/{home}/{bundle.track}"


def read_head(folder: Path) -> Bundle:
    """Returns what `bundle.json` says, compared with nothing.

    Raises:
        InvalidDataError: It is missing, or no such file.
    """
    path = folder / BUNDLE_FILE
    if not path.exists():
        raise InvalidDataError(f"{folder} holds no {BUNDLE_FILE}; give a folder that `fashionedit submit` wrote")
    return parse_model(Bundle, _content(path), name=str(path))


def _content(path: Path) -> bytes:
    try:
        return read_regular(path, LARGEST, folder=path.parent)
    except OSError as error:
        raise InvalidDataError(f"{path} can't be read ({error.strerror}); the bundle is not whole") from error


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One sample after one round.

    Args:
        status: How the round ended.
        digest: The pixel digest of the scored image: the last good one.
        scores: Its score by each unstarred metric, in the metric's unit.
    """

    sample: str
    garment: str
    category: str | None
    gender: str | None
    view: str | None
    protocol: str
    round: int
    status: str
    digest: str
    scores: dict[str, float]


_MOST_BYTES = 64_000_000  # of a row group, unpacked

_TEXTS = ("sample", "garment", "category", "gender", "view", "protocol", "status", "digest")


def score_rows(results: Results) -> Iterator[ScoreRow]:
    """Yields the rows of the runs themselves, in the order of the results; the shared rows are left out."""
    for row, found in zip(results.rows, results.row_samples, strict=True):
        if row.run is None:
            continue
        for place, sample in enumerate(results.samples):
            yield ScoreRow(
                sample.id,
                sample.garment,
                sample.category,
                sample.gender,
                sample.view,
                row.protocol,
                row.round,
                found.status[place],
                found.digests[place],
                {metric: values[place] for metric, values in found.values.items()},
            )


def to_parquet(rows: list[ScoreRow], metrics: tuple[str, ...]) -> bytes:
    """Returns the rows as Parquet: texts, `round`, and one column of doubles per metric.

    Args:
        metrics: The ids of the unstarred metrics, in the order of the columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, pa.Array] = {
        name: pa.array([getattr(row, name) for row in rows], pa.string()) for name in _TEXTS
    }
    columns["round"] = pa.array([row.round for row in rows], pa.int8())
    columns |= {metric: pa.array([row.scores[metric] for row in rows], pa.float64()) for metric in metrics}
    buffer = BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd", write_page_index=True)
    return buffer.getvalue()


def read_score_rows(content: bytes, metrics: tuple[str, ...], *, most: int) -> list[ScoreRow]:
    """Returns what `to_parquet` wrote.

    Args:
        most: The most rows that are read.

    Raises:
        InvalidDataError: It is no such file.
    """
    import pyarrow as pa

    name = "scores.parquet"
    needed = ("sample", "garment", "protocol", "status", "digest", "round", *metrics)
    wanted = {**dict.fromkeys(_TEXTS, pa.string()), "round": pa.int8(), **dict.fromkeys(metrics, pa.float64())}
    lines: list[dict[str, Any]] = []
    with ParquetReader(BytesIO(content), name=name) as file:
        if [*zip(file.schema.names, file.schema.types, strict=True)] != [*wanted.items()]:
            raise InvalidDataError(
                f"{name} has the columns {', '.join(file.schema.names)[:200]}; wanted are {', '.join(wanted)}"
            )
        if file.rows > most:
            raise InvalidDataError(f"{name} has {file.rows:,} rows; the results tell of {most // 2:,}")
        for group in range(file.groups):
            table = file.read(group, wanted)
            if empty := [column for column in needed if table.column(column).null_count]:
                raise InvalidDataError(f"{name} has rows without {empty[0]}; every row has one")
            if table.nbytes > _MOST_BYTES:
                raise InvalidDataError(f"{name} unpacks to more than {_MOST_BYTES:,} bytes; its texts are too long")
            lines += table.to_pylist()
    if not all(math.isfinite(line[metric]) for line in lines for metric in metrics):
        raise InvalidDataError(f"{name} has a score that is no finite number")
    return [
        ScoreRow(
            **{name: line[name] for name in _TEXTS},
            round=line["round"],
            scores={metric: line[metric] for metric in metrics},
        )
        for line in lines
    ]


@dataclass(frozen=True, slots=True)
class Contents:
    """What the files of a bundle say; each is well-formed and the one that `bundle.json` names, and no more is known.

    Args:
        rows: Of `scores.parquet`.
    """

    bundle: Bundle
    results: Results
    rows: tuple[ScoreRow, ...]
    outputs: Outputs
    parameters: Parameters
    packages: Packages


def read_contents(folder: Path) -> Contents:
    """Returns what the bundle in this folder says.

    Raises:
        InvalidDataError: It is no whole bundle.
    """
    bundle, files = read_bundle(folder)
    results = parse_model(Results, files[RESULTS_FILE], name=str(folder / RESULTS_FILE))
    unstarred = tuple(metric.id for metric in results.metrics if not metric.is_share)
    own = sum(row.run is not None for row in results.rows) * len(results.samples)
    return Contents(
        bundle,
        results,
        tuple(read_score_rows(files[SCORES_FILE], unstarred, most=2 * own)),
        parse_model(Outputs, files[OUTPUTS_FILE], name=str(folder / OUTPUTS_FILE)),
        parse_model(Parameters, files[PARAMETERS_FILE], name=str(folder / PARAMETERS_FILE)),
        parse_model(Packages, files[PACKAGES_FILE], name=str(folder / PACKAGES_FILE)),
    )


def make_bundle(
    run: RunFolder, source: SampleSource, results: Results, benchmark: Benchmark, *, name: str, model: str | None
) -> tuple[Bundle, dict[str, bytes]]:
    """Returns what `bundle.json` says, and the content of all files of the bundle by their names.

    Args:
        source: The dataset that the run was made on.
        results: The run's own, as `score` wrote them.
        benchmark: The dataset as it is published.
        name: How tables call the model.
        model: Its repository on the Hub, if it has one.
    """
    unstarred = tuple(metric.id for metric in results.metrics if not metric.is_share)
    files = {
        RESULTS_FILE: to_json(results).encode(),
        SCORES_FILE: to_parquet(list(score_rows(results)), unstarred),
        OUTPUTS_FILE: _outputs(run, source),
        PARAMETERS_FILE: _json(Parameters(protocols=effective_parameters(run, source))),
        PACKAGES_FILE: _json(Packages(sessions=package_sets(run.path / "sessions.jsonl"))),
    }
    bundle = sealed(
        {
            "name": name,
            "model": model,
            "benchmark": benchmark,
            "run": run.identity,
            "official": not fingerprint_differences(results),
            "files": {
                file: BundledFile(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
                for file, content in sorted(files.items())
            },
        }
    )
    files[BUNDLE_FILE] = _json(bundle)
    return bundle, files


def _json(value: BaseModel) -> bytes:
    return pretty_json(value.model_dump(mode="json"))


def _outputs(run: RunFolder, source: SampleSource) -> bytes:
    lines = []
    for outcome in run.outcomes(source):
        if outcome.status is Status.OK:
            current = outcome.current
            told = {
                "sample": outcome.sample,
                "protocol": outcome.protocol,
                "round": outcome.round,
                "digest": current.digest,
                "size": list(current.size),
            }
            lines.append(json.dumps(told, sort_keys=True, ensure_ascii=False))
    body = ",\n".join(f"  {line}" for line in lines)
    return f'{{\n "outputs": [\n{body}\n ],\n "schema_version": 1\n}}\n'.encode()
