"""The editors that come with the harness."""
