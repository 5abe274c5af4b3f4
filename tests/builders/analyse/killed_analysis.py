"""Analyses toy pairs and, where told to, ends its own process with SIGKILL.

Usage: killed_analysis.py PAIRS COUNT STORE URL [WHERE AFTER]; see `Dying`. `edit` stands for a request that was
answered, before anybody reads the answer.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from dying import Dying
from lmm_pairs import make_pairs, toy_analyst

import fashionedit.runtime.openai_client as openai_client
from fashionedit.builders.analyse.stage import analyse
from fashionedit.builders.stage_store import StageStore
from fashionedit.runtime.costs import CostTracker

pairs, store = make_pairs(Path(sys.argv[1]), int(sys.argv[2])), StageStore(Path(sys.argv[3]))
url, where, after = sys.argv[4], *(sys.argv[5:] or ("never", "0"))
dying = Dying(store.folder, store.folder.with_suffix(".sent"), where, int(after))
open_client = openai_client.open_client


def watched_client(**options: Any) -> Any:
    """The client; a request that was answered counts as sent, before anybody sees the answer."""
    client = open_client(**options)
    answered = lambda response: dying.edit("sent") if response.request.method == "POST" else None  # noqa: E731
    client._client.event_hooks["response"].append(answered)
    return client


openai_client.open_client = watched_client
costs = CostTracker(store.folder / "ledger.jsonl")
print(len(analyse(pairs, toy_analyst(url), store, budget=costs)))
