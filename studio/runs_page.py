"""Scored runs as a tab of the studio: the report (table, failures, every sample's strips side by side) in a frame."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fashionedit.errors import FashionEditError
from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.eval_harness.scores.results import merge, read_results

from .components import load_gradio

if TYPE_CHECKING:
    import gradio as gr

_HTML = '<p class="waiting" role="status">The report of the runs is being made…</p>'
_STYLE = """
.waiting { max-width: 40rem; margin: 4rem auto; line-height: 1.6; }
iframe {
  display: block; width: 100%; height: calc(100dvh - 96px); min-height: 30rem; border: 0; border-radius: 12px;
  background: #fff;
}
"""
_SCRIPT = """
async function look() {
  const found = await server.ready({}).catch(() => ({ error: "The page can't reach its server; reload it." }));
  if (found.error) element.querySelector(".waiting").textContent = found.error;
  else if (!found.address) setTimeout(look, 300);
  else {
    const frame = document.createElement("iframe");
    frame.title = "Report of the runs";
    frame.src = found.address;
    element.replaceChildren(frame);
  }
}
look();
"""


class RunsPage:
    """The report of scored runs, which a thread writes while the rest of the studio is already shown.

    Args:
        runs: The run folders.
        source: The dataset of the runs.

    Raises:
        InvalidDataError: A run is not scored, or the runs don't go together.
    """

    def __init__(self, runs: Sequence[RunFolder], source: SampleSource) -> None:
        results = merge([read_results(run.path / "results.json") for run in runs])
        self._folder = tempfile.TemporaryDirectory(prefix="fashionedit-runs-")
        self.path = Path(self._folder.name).resolve()
        self._error = ""
        self._made = threading.Event()

        def write() -> None:
            try:
                write_report(results, runs, source, self.path / "report", form="folder")
            except (FashionEditError, OSError) as error:
                self._error = str(error)
            finally:
                self._made.set()

        threading.Thread(target=write, name="report of the runs", daemon=True).start()

    def ready(self) -> dict[str, str]:
        """Returns the address of the report once it exists, or why it can't be made. Waits half a second for it."""
        self._made.wait(0.5)
        if self._error or not self._made.is_set():
            return {"error": self._error}
        return {"address": f"gradio_api/file={quote((self.path / 'report' / 'index.html').as_posix())}"}

    def close(self) -> None:
        """Deletes the report."""
        self._made.wait(30)
        self._folder.cleanup()


def runs_panel(page: RunsPage) -> gr.HTML:
    """Adds the report to the Gradio blocks that are being built, and returns its component.

    Gradio serves the report's folder, and asks for the studio's password there too.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    gr = load_gradio()
    gr.set_static_paths([page.path])

    def ready(arguments: Any) -> dict[str, str]:
        return page.ready()

    return gr.HTML(
        "",
        html_template=_HTML,
        css_template=_STYLE,
        js_on_load=_SCRIPT,
        apply_default_css=False,
        server_functions=[ready],
        elem_id="runs",
    )
