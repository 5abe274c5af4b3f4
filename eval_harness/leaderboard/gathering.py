"""A leaderboard from wherever its parts are: a results repository or a folder, the benchmark, the Hub's own board."""

from __future__ import annotations

import os
from pathlib import Path

from fashionedit.errors import InvalidDataError

from .benchmark import benchmark_name, find_benchmark, results_repository
from .board import build_board
from .board_models import Board
from .collecting import fetch_bundles, find_bundles
from .hub_entries import hub_entries


def gather_board(repo: str | None, dataset_repo: str | None, *, token: str | None = None) -> Board:
    """Returns the leaderboard.

    Args:
        repo: The results repository, `org/name[@revision]`, or a folder with a copy of one; by default the benchmark's
            name with `-results`.
        dataset_repo: The benchmark, `org/name[@revision]`; `$FASHIONEDIT_REPO` by default. Where neither is set, the
            Hub is not asked about the benchmark, and the board is about what most bundles are about.

    Raises:
        InvalidDataError: Neither was named, or no bundle can stand on a board.
        DatasetNotFoundError: A repository is not there.
        ServiceError: The Hub can't be reached.
    """
    known = dataset_repo or os.environ.get("FASHIONEDIT_REPO")
    if repo is None and not known:
        raise InvalidDataError("no results repository was named; give --repo ORG/NAME, or --dataset-repo ORG/NAME")
    benchmark = entries = None
    if known:
        name, revision = benchmark_name(known)
        benchmark = find_benchmark(name, revision, token=token)
        entries = hub_entries(name, token=token)
    where = repo or results_repository(benchmark_name(known)[0])
    if Path(where).is_dir():
        folder = Path(where)
    else:
        place, revision = benchmark_name(where)
        folder = fetch_bundles(place, revision, token=token)
    return build_board(find_bundles(folder), where, benchmark=benchmark, hub=entries)
