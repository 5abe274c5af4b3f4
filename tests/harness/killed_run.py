"""Runs a counting editor over toy samples and, where told to, ends its own process with SIGKILL.

Usage: killed_run.py OUT COUNTER CONCURRENCY [WHERE AFTER]; see `Dying`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dying import Dying
from PIL import Image
from toy_editors import ToyEditor, tint
from toy_samples import ToySource

from fashionedit.eval_harness.editing import EditRequest
from fashionedit.eval_harness.running.runner import run

out, counter, concurrency, *moment = sys.argv[1:]
where, after = moment or ("never", "0")
dying = Dying(Path(out), Path(counter), where, int(after))


def counted(request: EditRequest) -> Image.Image:
    dying.edit(f"{request.protocol} {request.round} {request.seed}")
    time.sleep(0.01 if concurrency != "1" else 0)
    return tint(request)


print(run(ToyEditor(counted), ToySource(10), out, concurrency=int(concurrency)).edits)
