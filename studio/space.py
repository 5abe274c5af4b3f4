"""The studio as a Hugging Face Space: the folder that is pushed there, with the package's own code in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import fashionedit
import fashionedit.builders
import fashionedit.eval_harness
import fashionedit.metrics
from fashionedit.errors import InvalidDataError
from fashionedit.files import write_all
from fashionedit.runtime.hub import GRADIO, space_requirements
from fashionedit.runtime.secrets import refuse_secrets

_README = f"""\
---
title: FashionEdit Studio
emoji: 🧥
colorFrom: gray
colorTo: red
sdk: gradio
sdk_version: {GRADIO}
app_file: app.py
pinned: false
license: apache-2.0
short_description: Design a garment by words and by showing pictures
---

# FashionEdit Studio

Describe a garment, and change it by words, a sketch, a detail or an example, until you are satisfied. The drawn
designer needs no model and no key.

Sessions are lost when the Space restarts, unless persistent storage is attached: then set the variable
`FASHIONEDIT_SESSIONS` to `/data/sessions`. The key of a service, such as `OPENAI_API_KEY`, belongs among the Space's
secrets and nowhere else.
"""
_APP = '''\
"""FashionEdit Studio on Hugging Face Spaces."""

import os

from fashionedit.cli import main

ARGUMENTS = {arguments!r}

if __name__ == "__main__":
    sessions = os.environ.get("FASHIONEDIT_SESSIONS", "sessions")
    main(["studio", *ARGUMENTS, "--sessions", sessions, "--host", "0.0.0.0", "--port", "7860"])
'''


def write_space(folder: Path, arguments: Sequence[str] = ()) -> Path:
    """Writes the folder of a Space that serves the studio, and returns its `app.py`.

    Args:
        folder: New or empty.
        arguments: The arguments of `fashionedit studio` there: editors, generators, data, a budget.

    Raises:
        InvalidDataError: The folder has files, or an argument looks like a secret.
    """
    refuse_secrets({text: text for text in arguments}, "argument")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InvalidDataError(f"{folder} exists already; choose an empty or a new folder for the Space")
    files = {
        Path("README.md"): _README.encode(),
        Path("app.py"): _APP.format(arguments=list(arguments)).encode(),
        Path("requirements.txt"): "".join(f"{line}\n" for line in space_requirements("openai", "studio")).encode(),
        **{Path("fashionedit") / name: source.read_bytes() for source, name in _code()},
    }
    write_all({folder / name: data for name, data in files.items()})
    return folder / "app.py"


def _code() -> Iterator[tuple[Path, Path]]:
    """Yields each file of the package, and its path in it; in a checkout the folders lie side by side."""
    parts = {
        "": fashionedit,
        "metrics": fashionedit.metrics,
        "builders": fashionedit.builders,
        "eval_harness": fashionedit.eval_harness,
    }
    folders = {name: Path(str(module.__file__)).parent for name, module in parts.items()}
    folders["studio"] = Path(__file__).parent
    for name, folder in folders.items():
        for pattern in ("**/*.py", "**/templates/*"):
            for path in sorted(folder.glob(pattern)):
                if "__pycache__" not in path.parts:
                    yield path, Path(name) / path.relative_to(folder)
