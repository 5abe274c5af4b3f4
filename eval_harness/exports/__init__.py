"""Scored runs in the forms of other tools: logs of Inspect, results and details of lighteval."""
