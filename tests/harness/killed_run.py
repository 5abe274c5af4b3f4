"""Runs a counting editor over toy samples and, where told to, ends its own process with SIGKILL.

Usage: killed_run.py OUT COUNTER [WHERE AFTER]; see `Dying`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dying import Dying
from PIL import Image
from toy_editors import ToyEditor, tint
from toy_samples import ToySource

from fashionedit.eval_harness.editing import EditRequest
from fashionedit.eval_harness.running.runner import run

out, counter = Path(sys.argv[1]), Path(sys.argv[2])
dying = Dying(out, counter, *(sys.argv[3:4] or ("never",)), after=int(sys.argv[4]) if len(sys.argv) > 4 else 0)


def counted(request: EditRequest) -> Image.Image:
    dying.edit(f"{request.protocol} {request.round} {request.seed}")
    return tint(request)


print(run(ToyEditor(counted), ToySource(10), out).edits)
