"""One line for each target of a benchmark: the figure, the target, and whether it is met or missed by how much."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_shown: list[bool] = []


def machine() -> str:
    """Returns the system, and the processor with its family and model: generations of one name differ twofold."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    processor = ", ".join(
        f"{label}{told[name]}"
        for name, label in (("model name", ""), ("cpu family", "family "), ("model", "model "))
        if name in told
    )
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"{platform.platform()}; {processor or platform.processor()}, {os.cpu_count()} cores; load {load}"


def show_target(
    name: str, figure: float, *, at_least: float | None = None, at_most: float | None = None, unit: str = ""
) -> bool:
    """Prints the line of one target, the machine before the first one, and returns whether it is met."""
    if not _shown:
        print(machine())
    limit = at_least if at_least is not None else at_most
    if limit is None:
        raise ValueError(f"{name} has no target; give at_least= or at_most=")
    met = figure >= limit if at_least is not None else figure <= limit
    missed = f", missed by {abs(figure / limit - 1):.0%}" if limit else ", missed"
    words = "at least" if at_least is not None else "at most"
    print(
        f"{'met   ' if met else 'MISSED'} {name}: {figure:.3g}{unit and f' {unit}'}"
        f" (target: {words} {limit:g}{unit and f' {unit}'}{'' if met else missed})",
        flush=True,
    )
    _shown.append(met)
    return met


def exit_code() -> int:
    """Returns 0 if every target shown so far is met, else 1."""
    return 0 if all(_shown) else 1
