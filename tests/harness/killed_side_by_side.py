"""Runs an editor that notes each call in a file over toy samples, four edits at a time.

Usage: killed_side_by_side.py OUT COUNTER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from PIL import Image
from toy_editors import ToyEditor, tint
from toy_samples import ToySource

from fashionedit.eval_harness.editing import EditRequest
from fashionedit.eval_harness.running.runner import run
from fashionedit.files import append_line

out, counter = Path(sys.argv[1]), Path(sys.argv[2])


def counted(request: EditRequest) -> Image.Image:
    append_line(counter, f"{request.protocol} {request.round} {request.seed}")
    time.sleep(0.01)
    return tint(request)


print(run(ToyEditor(counted), ToySource(10), out, concurrency=4).edits)
