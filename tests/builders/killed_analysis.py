"""Analyses toy pairs and, where told to, ends its own process with SIGKILL.

Usage: killed_analysis.py PAIRS COUNT STORE URL [WHERE AFTER]. WHERE is `record` (one was written) or `sent` (a
request was answered, and nobody has read the answer yet): the process dies once more than AFTER of them have come.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from lmm_pairs import make_pairs, toy_analyst

import fashionedit.runtime.openai_client as openai_client
from fashionedit.builders.analyse.stage import analyse
from fashionedit.builders.stage_store import StageStore
from fashionedit.runtime.costs import CostTracker

pairs, store = make_pairs(Path(sys.argv[1]), int(sys.argv[2])), StageStore(Path(sys.argv[3]))
url = sys.argv[4]
where, after = sys.argv[5] if len(sys.argv) > 5 else "never", int(sys.argv[6]) if len(sys.argv) > 6 else 0
seen = 0


def happened(what: str) -> None:
    """Dies at the moment that was asked for."""
    global seen
    seen += what == where
    if what == where and seen > after:
        os.kill(os.getpid(), signal.SIGKILL)


replace = Path.replace
open_client = openai_client.open_client


def watched(path: Path, target: Path) -> Path:
    answer = replace(path, target)
    if "records" in target.parts:
        happened("record")
    return answer


def watched_client(**options: Any) -> Any:
    """The client; a request that was answered counts as sent, before anybody sees the answer."""
    client = open_client(**options)
    answered = lambda response: happened("sent" if response.request.method == "POST" else "")  # noqa: E731
    client._client.event_hooks["response"].append(answered)
    return client


Path.replace = watched  # type: ignore[method-assign]  # in this process alone: it sees each file appear
openai_client.open_client = watched_client
costs = CostTracker(store.folder / "ledger.jsonl")
print(len(list(analyse(pairs, toy_analyst(url), store, budget=costs))))
