"""A leaderboard as a Gradio Space: a folder that is ready to be pushed."""

from __future__ import annotations

from pathlib import Path

from fashionedit.errors import InvalidDataError
from fashionedit.files import write_all
from fashionedit.runtime.hub import GRADIO

from . import space_app
from .board_models import Board
from .board_table import board_to_json

_OWN = frozenset({"README.md", "app.py", "leaderboard.json"})

_TEXT = """\
# FashionEdit leaderboard

Made by `fashionedit leaderboard --space DIR`, from the evidence in `{results}`. Made again, and pushed again, it is up
to date. `leaderboard.json` holds everything that the page shows; nothing is fetched, and nobody has to log in.

```console
$ hf upload ORG/NAME DIR --repo-type space
```
"""


def write_space(board: Board, folder: Path) -> list[Path]:
    """Writes the Space into a folder, new or an earlier one's, and returns its files.

    Raises:
        InvalidDataError: The folder holds other files.
    """
    import yaml

    there = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if others := sorted(name for name in there if name not in _OWN and not name.startswith(".")):
        raise InvalidDataError(f"{folder} holds {others[0]}, which is no file of a Space of ours; choose a new folder")
    front = {
        "title": "FashionEdit leaderboard",
        "emoji": "🧵",
        "colorFrom": "indigo",
        "colorTo": "gray",
        "sdk": "gradio",
        "sdk_version": GRADIO,
        "app_file": "app.py",
        "pinned": False,
        "license": "apache-2.0",
        "datasets": [board.benchmark.repository, board.results_repository],
        "tags": ["leaderboard", "image-editing"],
    }
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)
    files = {
        "README.md": f"---\n{head}---\n\n{_TEXT.format(results=board.results_repository)}".encode(),
        "app.py": Path(space_app.__file__).read_bytes(),
        "leaderboard.json": board_to_json(board).encode(),
    }
    written = {folder / name: content for name, content in files.items()}
    write_all(written)
    return list(written)
