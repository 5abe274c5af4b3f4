"""Which samples a page shows where it can't show all."""

from __future__ import annotations

from fashionedit.eval_harness.scores.result_models import Results


def chosen_samples(results: Results, most: int | None) -> tuple[str, ...]:
    """Returns the ids of the samples to show, in the dataset's order.

    All of them, or else `most`: a third with the lowest, a third with the highest score after the last round (mean over
    the runs' rows, first metric), and the rest evenly spaced between.
    """
    ids = [sample.id for sample in results.samples]
    if most is None or len(ids) <= most:
        return tuple(ids)
    last = max(row.round for row in results.rows if row.run is not None)
    metric = results.metrics[0].id
    columns = [
        samples.values[metric]
        for row, samples in zip(results.rows, results.row_samples, strict=True)
        if row.run is not None and row.round == last
    ]
    order = sorted(range(len(ids)), key=lambda place: (sum(column[place] for column in columns), place))
    third = most // 3
    middle = order[third : len(order) - third]
    count = most - 2 * third
    spaced = [middle[number * len(middle) // count] for number in range(count)]
    return tuple(ids[place] for place in sorted({*order[:third], *spaced, *order[len(order) - third :]}))
