"""From a scored run to a place on the leaderboard, and back: bundles, checks, pull requests, verification, tables."""
