"""One line for each target of a benchmark: the figure, the target, and whether it is met or missed by how much."""

from __future__ import annotations

_shown: list[bool] = []


def show_target(
    name: str, figure: float, *, at_least: float | None = None, at_most: float | None = None, unit: str = ""
) -> bool:
    """Prints the line of one target, and returns whether it is met."""
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
