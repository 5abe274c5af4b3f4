"""How an editor is scored: editors, protocols, runs, scores, results.

from fashionedit import open_data
from fashionedit.eval_harness import RunFolder, build_results, resolve_editor, run, to_console
from fashionedit.metrics import Embedder, load_encoder

samples = open_data("synthetic:8")
run(resolve_editor("my_model.py:edit"), samples, "runs/mine")
results = build_results(RunFolder.open("runs/mine"), samples, Embedder(load_encoder("offline")))
print(to_console(results))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .editing import Editor, EditorInfo, EditRequest, EditResult, PrivilegedEditor, RequestImage, Status
    from .editors import EDITORS, resolve_editor
    from .protocols import PROTOCOLS
    from .report import write_report
    from .running.imported import import_images
    from .running.run_folder import RunFolder
    from .running.run_stats import RunSummary
    from .running.runner import run
    from .scores.comparison import Comparison, compare
    from .scores.result_models import Results
    from .scores.results import build_results, merge, read_results, write_results
    from .scores.table import to_console, to_markdown

__all__ = [
    "EDITORS",
    "PROTOCOLS",
    "Comparison",
    "EditRequest",
    "EditResult",
    "Editor",
    "EditorInfo",
    "PrivilegedEditor",
    "RequestImage",
    "Results",
    "RunFolder",
    "RunSummary",
    "Status",
    "build_results",
    "compare",
    "import_images",
    "merge",
    "read_results",
    "resolve_editor",
    "run",
    "to_console",
    "to_markdown",
    "write_report",
    "write_results",
]

_HOMES = {
    "scores.comparison": ("Comparison", "compare"),
    "editing": ("EditRequest", "EditResult", "Editor", "EditorInfo", "PrivilegedEditor", "RequestImage", "Status"),
    "editors": ("EDITORS", "resolve_editor"),
    "protocols": ("PROTOCOLS",),
    "report": ("write_report",),
    "scores.result_models": ("Results",),
    "scores.results": ("build_results", "merge", "read_results", "write_results"),
    "running.run_folder": ("RunFolder",),
    "running.runner": ("run",),
    "running.run_stats": ("RunSummary",),
    "running.imported": ("import_images",),
    "scores.table": ("to_console", "to_markdown"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
