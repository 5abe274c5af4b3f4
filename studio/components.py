"""What the studio's pages share: their Gradio component, the answers to their scripts, pictures as data URLs."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from fashionedit.errors import FashionEditError, MissingExtraError
from fashionedit.images import to_rgb

if TYPE_CHECKING:
    import gradio as gr

_TEMPLATES = Path(__file__).parent / "templates"
_SIDE = 1024  # pixels of the longest side of what is sent
OUTDATED = "this page does not match its server's version; reload the page"
"""The answer to a request that no script of this version sends."""


def load_gradio() -> Any:
    """Returns the `gradio` module.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    try:
        import gradio as gr
    except ImportError as error:
        raise MissingExtraError("studio", "gradio") from error
    return gr


def add_component(id: str, functions: Mapping[str, Callable[[Any], dict[str, Any]]]) -> gr.HTML:
    """Adds a component to the Gradio blocks that are being built, and returns it.

    Args:
        id: The id of its element; with _ for -, the name of its HTML, CSS and JavaScript in `templates/`.
        functions: The functions that its script calls as `server.NAME(arguments)`; an error is answered as `error`.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    html, css, js = (
        (_TEMPLATES / f"{id.replace('-', '_')}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    return load_gradio().HTML(
        "",
        html_template=html,
        css_template=css,
        js_on_load=js,
        apply_default_css=False,
        server_functions=[_answering(name, function) for name, function in functions.items()],
        elem_id=id,
    )


def _answering(name: str, ask: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """Returns the function under the name that Gradio calls; errors that a person can mend become its answers."""

    def answer(arguments: Any) -> dict[str, Any]:
        try:
            return ask(arguments)
        except FashionEditError as error:
            return {"error": str(error)}
        except (AttributeError, KeyError, TypeError, ValueError):  # nothing that the page's script sends
            return {"error": OUTDATED}

    answer.__name__ = name
    return answer


def data_url(image: Image.Image, side: int = _SIDE) -> str:
    """Returns the pixels alone, scaled down to this longest side; metadata that an editor added is left out."""
    small = to_rgb(image).copy()
    small.info.clear()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=90, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
