"""Runs a counting editor over toy samples and, where told to, ends its own process with SIGKILL.

Usage: killed_run.py OUT COUNTER [WHERE AFTER]; WHERE is a moment in the life of an edit, AFTER how many edits or
commits of this process come before it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from PIL import Image
from toy_editors import ToyEditor, tint
from toy_samples import ToySource

from fashionedit.eval_harness.editing import EditRequest
from fashionedit.eval_harness.runner import run
from fashionedit.files import append_line

out, counter = Path(sys.argv[1]), Path(sys.argv[2])
where, after = (sys.argv[3], int(sys.argv[4])) if len(sys.argv) > 3 else ("never", 0)
edits = renamed = 0
replace = Path.replace


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def counted(request: EditRequest) -> Image.Image:
    global edits
    append_line(counter, f"{request.protocol} {request.round} {request.seed}")
    if where == "edit" and edits == after:
        die()
    edits += 1
    return tint(request)


def watched(self: Path, target: Path) -> Path:
    """Stands in for the rename that makes a file visible, and so sees the moments around each of them."""
    global renamed
    kind = Path(target).relative_to(out).parts[0]
    if where == f"before {kind}" and renamed >= after:
        die()
    answer = replace(self, target)
    if where == f"after {kind}" and renamed >= after:
        die()
    renamed += kind == "records"
    return answer


Path.replace = watched  # type: ignore[method-assign]  # in this process alone, to be killed at an exact moment
print(run(ToyEditor(counted), ToySource(10), out).edits)
