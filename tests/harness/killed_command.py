"""Gives `fashionedit run` with an editor that counts and, where told to, kills the process.

Usage: killed_command.py DATA OUT COUNTER [WHERE AFTER]; see `Dying`. The editor is `edit` of this very file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from fashionedit.cli import main

_state: dict[str, Any] = {}


def edit(image: Image.Image, instruction: str, reference: Image.Image | None = None, seed: int = 0) -> Image.Image:
    """An edit that depends on all it is given, so that a mixed-up resume would show."""
    sys.modules["__main__"]._state["dying"].edit(instruction)
    shade = Image.new("RGB", image.size, (seed % 40, seed // 40 % 40, len(instruction) % 40))
    edited = ImageChops.add(image, shade, scale=1.2)
    if reference is not None:
        edited.paste(reference.resize((image.width // 4, image.height // 4)), (seed % 20, seed % 30))
    return edited


if __name__ == "__main__":
    from dying import Dying

    data, out, counter = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    _state["dying"] = Dying(out, counter, *(sys.argv[4:5] or ("never",)), after=int((sys.argv[5:6] or ("0",))[0]))
    main(["run", f"{__file__}:edit", "--data", data, "--out", str(out), "--quiet"])
