"""The scores of a run's own rows as a Parquet file: one line per sample, protocol and round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.scores.result_models import Results


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


_MOST_ROWS = 1_000_000
_MOST_BYTES = 500_000_000  # unpacked

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


def read_score_rows(content: bytes, metrics: tuple[str, ...]) -> list[ScoreRow]:
    """Returns what `to_parquet` wrote.

    Raises:
        InvalidDataError: It is no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    needed = ("sample", "garment", "protocol", "status", "digest", "round", *metrics)
    wanted = {**dict.fromkeys(_TEXTS, pa.string()), "round": pa.int8(), **dict.fromkeys(metrics, pa.float64())}
    try:
        file = pq.ParquetFile(BytesIO(content))
        size = sum(file.metadata.row_group(number).total_byte_size for number in range(file.metadata.num_row_groups))
        if file.metadata.num_rows > _MOST_ROWS or size > _MOST_BYTES:
            raise InvalidDataError(
                f"scores.parquet has {file.metadata.num_rows:,} rows; at most {_MOST_ROWS:,} are read"
            )
        table = file.read()
        if dict(zip(table.schema.names, table.schema.types, strict=True)) != wanted:
            raise InvalidDataError(
                f"scores.parquet has the columns {', '.join(table.schema.names)}; wanted are {', '.join(wanted)}"
            )
        if empty := [name for name in needed if table.column(name).null_count]:
            raise InvalidDataError(f"scores.parquet has rows without {empty[0]}; every row has one")
        lines = table.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InvalidDataError(f"scores.parquet can't be read ({str(error).splitlines()[0]})") from error
    return [
        ScoreRow(
            **{name: line[name] for name in _TEXTS},
            round=line["round"],
            scores={metric: line[metric] for metric in metrics},
        )
        for line in lines
    ]
