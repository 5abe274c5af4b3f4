"""The scores of a run's own rows as a Parquet file: one line per sample, protocol and round."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.parquet import ParquetReader


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
