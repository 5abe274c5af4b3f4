"""Records that are committed together: after a kill a batch is there as a whole, or is made again as a whole.

A draft moves by rounding with the company that it is made in. A batch that was cut in two would be finished in another
company, and the dataset would have other bytes than that of a run that nothing interrupted.

    <folder>/batches/<hash>.json      the records of one batch, there while they are being committed
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from fashionedit.builders.stage_store import StageRecord, StageStore
from fashionedit.errors import InvalidDataError
from fashionedit.files import write_atomically

_FOLDER = "batches"
_RECORDS = TypeAdapter(list[StageRecord])


def commit_together(store: StageStore, records: Sequence[StageRecord]) -> None:
    """Commits the records; everything they name must be on disk by now."""
    if len(records) > 1:
        text = _RECORDS.dump_json(list(records))
        journal = store.folder / _FOLDER / f"{hashlib.sha256(text).hexdigest()}.json"
        write_atomically(journal, text)
        for record in records:
            store.commit(record)
        journal.unlink(missing_ok=True)
    elif records:
        store.commit(records[0])


def finish_batches(store: StageStore) -> None:
    """Commits what a killed process had made and was committing. Another process may be doing the same.

    Raises:
        InvalidDataError: A batch's file can't be understood.
    """
    for journal in sorted((store.folder / _FOLDER).glob("*.json")):
        try:
            records = _RECORDS.validate_json(journal.read_bytes())
        except FileNotFoundError:  # its own process has finished it meanwhile
            continue
        except ValidationError as error:
            raise InvalidDataError(f"{journal} can't be understood; delete it to have its drafts made again") from error
        for record in records:
            store.commit(record)
        journal.unlink(missing_ok=True)
