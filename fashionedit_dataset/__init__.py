"""FashionEdit: the dataset, the metrics and the harness of fine-grained fashion image editing.

Importing this teaches `datasets` the name `fashionedit` and `evaluate` the names of our metrics (see `aliases`), and
imports neither of them: every name below is fetched when it is first used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import aliases

if TYPE_CHECKING:
    from .aliases import load
    from .data import open_data
    from .errors import (
        BudgetSpentError,
        DatasetNotFoundError,
        EditorError,
        EncoderNotFoundError,
        FashionEditError,
        InvalidBoxError,
        InvalidDataError,
        InvalidImageError,
        MissingExtraError,
        RunBusyError,
        RunMismatchError,
        ServiceError,
        UnknownNameError,
    )
    from .eval_harness.evaluation import Evaluation, evaluate
    from .folder import FashionEditFolder, open_folder, write_folder
    from .types import Box, Difference, Sample

__version__ = "0.1.0"

__all__ = [
    "Box",
    "BudgetSpentError",
    "DatasetNotFoundError",
    "Difference",
    "EditorError",
    "EncoderNotFoundError",
    "Evaluation",
    "FashionEditError",
    "FashionEditFolder",
    "InvalidBoxError",
    "InvalidDataError",
    "InvalidImageError",
    "MissingExtraError",
    "RunBusyError",
    "RunMismatchError",
    "Sample",
    "ServiceError",
    "UnknownNameError",
    "__version__",
    "evaluate",
    "load",
    "open_data",
    "open_folder",
    "write_folder",
]

_HOMES = {
    "aliases": ("load",),
    "data": ("open_data",),
    "eval_harness.evaluation": ("Evaluation", "evaluate"),
    "folder": ("FashionEditFolder", "open_folder", "write_folder"),
    "types": ("Box", "Difference", "Sample"),
    "errors": tuple(name for name in __all__ if name.endswith("Error")),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if os.environ.get("FASHIONEDIT_NO_ALIASES", "") in ("", "0"):
    aliases.install()
