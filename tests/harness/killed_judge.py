"""Gives `fashionedit judge` and, where told to, ends its own process with SIGKILL.

Usage: killed_judge.py WHERE AFTER ARGUMENT...; WHERE is `answered` (an answer came, nobody read it yet), `voted` (a
vote was just written) or `never`, and AFTER how many came before it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import fashionedit.runtime.openai_client as openai_client
from fashionedit.cli import main
from fashionedit.eval_harness.votes.votes import VoteFolder

where, after, *arguments = sys.argv[1:]
counts = {"answered": 0, "voted": 0}
open_client, add = openai_client.open_client, VoteFolder.add


def pass_by(moment: str) -> None:
    if where == moment and counts[moment] >= int(after):
        os.kill(os.getpid(), signal.SIGKILL)
    counts[moment] += 1


def watched_client(**options: Any) -> Any:
    client = open_client(**options)
    answered = lambda response: pass_by("answered") if response.request.method == "POST" else None  # noqa: E731
    client._client.event_hooks["response"].append(answered)
    return client


def watched_add(folder: VoteFolder, vote: Any) -> None:
    add(folder, vote)
    pass_by("voted")


openai_client.open_client = watched_client
VoteFolder.add = watched_add  # type: ignore[method-assign]  # in this process alone
main(["judge", *arguments])
