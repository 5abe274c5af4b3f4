"""What a run is worth: scores, intervals, comparisons, tables."""
