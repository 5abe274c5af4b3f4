"""What the drafts of a stage have taken so far, read from its records."""

from __future__ import annotations

from fashionedit.builders.stage_store import StageStore


def throughput(store: StageStore) -> float | None:
    """Returns the drafts that one process makes in a second, measured over all that were made; None if none was.

    Drafts that were dropped afterwards count, as they took their time; ready ones don't. Loading is left out.

    Raises:
        InvalidDataError: A record's file can't be understood.
    """
    seconds = [float(record.data["seconds"]) for record in store.records() if record.data.get("seconds")]
    return len(seconds) / sum(seconds) if seconds else None


def spent(store: StageStore) -> float:
    """Returns the USD that the stage has spent, failures and earlier tries included.

    Raises:
        InvalidDataError: A record's file can't be understood.
    """
    return sum(float(record.data.get("usd") or 0.0) for record in store.records())
