"""The studio as an app: its tabs, and the server that shows them."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fashionedit.errors import InvalidDataError

from .assistant import Assistant
from .blind_test import BlindTest, blind_test_panel
from .components import load_gradio
from .page import StudioPage, studio_panel
from .runs_page import RunsPage, runs_panel
from .turns import MOST_UPLOADED_BYTES, Studio

if TYPE_CHECKING:
    import gradio as gr

LOCAL = "127.0.0.1"
_MOST_SENT = MOST_UPLOADED_BYTES * 4 // 3 + 2**20  # bytes of one request: a picture as base64, and words
_PORTS = range(7860, 7960)
_SPACE = "SPACE_ID"  # set on Hugging Face, whose own settings say who gets in
_STYLE = """
.gradio-container { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
footer { display: none !important; }
"""


def studio_app(
    studio: Studio,
    blind_test: BlindTest | None = None,
    *,
    runs: RunsPage | None = None,
    assistant: Assistant | None = None,
) -> gr.Blocks:
    """Returns the app: the studio, and beside it tabs for scored runs and for their blind comparison.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    gr = load_gradio()
    with gr.Blocks(title="fashionedit studio", analytics_enabled=False, fill_width=True) as app:
        page = StudioPage(studio, assistant)
        if blind_test is None and runs is None:
            studio_panel(page)
            return app
        with gr.Tab("Design"):
            studio_panel(page)
        if runs is not None:
            with gr.Tab("Runs"):
                runs_panel(runs)
        if blind_test is not None:
            with gr.Tab("Which is better?"):
                blind_test_panel(blind_test)
    return app


def check_access(host: str, password: str | None) -> None:
    """Returns if only this machine, or only people with the password, can reach the page.

    Raises:
        InvalidDataError: Other machines could reach it without a password.
    """
    if password is None and host not in (LOCAL, "localhost", "::1") and _SPACE not in os.environ:
        raise InvalidDataError(f"{host} lets other machines in; give --password, or leave --host out")


def serve(
    app: gr.Blocks, *, host: str = LOCAL, port: int | None = None, password: str | None = None, wait: bool = True
) -> str:
    """Serves the app and returns its address; with `wait`, only once Ctrl-C was pressed.

    Args:
        host: 127.0.0.1 serves this machine alone; 0.0.0.0 every machine that can reach it.
        port: None takes the first free port from 7860 on.
        password: The password that the page asks for, with any user name.

    Raises:
        InvalidDataError: Other machines may reach it and there is no password, and it is no Space; or the port is
            taken.
    """
    import gradio as gr
    from starlette.middleware import Middleware

    check_access(host, password)
    options: dict[str, Any] = {"app_kwargs": {"middleware": [Middleware(_Bounded)]}}
    if password is not None:
        options["auth"] = lambda user, entered: secrets.compare_digest(entered.encode(), password.encode())
        options["auth_message"] = "Any user name, and the password of this studio."
    try:
        _, url, _ = app.launch(
            server_name=host,
            server_port=port or _free_port(host),
            quiet=True,
            prevent_thread_lock=True,
            footer_links=[],
            theme=_theme(gr),
            css=_STYLE,
            show_error=False,
            ssr_mode=False,
            mcp_server=False,
            **options,
        )
    except OSError as error:
        raise InvalidDataError(
            f"port {port} on {host} can't be used: another program has it, or it needs more rights; give another --port"
        ) from error
    if wait:
        app.block_thread()
    return str(url)


def _free_port(host: str) -> int:
    """Returns the first free port from 7860 on; Gradio's own search leaves a socket open for each that is taken.

    Raises:
        InvalidDataError: None of a hundred ports is free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in _PORTS:
        with socket.socket(family, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return port
    raise InvalidDataError(f"no port from {_PORTS[0]} to {_PORTS[-1]} is free on {host}; give one with --port")


def _theme(gr: Any) -> Any:
    """Returns a theme that loads no font from a network."""
    fonts = ["system-ui", "sans-serif"]
    return gr.themes.Base(font=fonts, font_mono=["ui-monospace", "monospace"])


class _Bounded:
    """Refuses requests that are larger than anything that the page sends, before they are read."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        length = dict(scope.get("headers", ())).get(b"content-length", b"0")
        if scope["type"] == "http" and length.isdigit() and int(length) > _MOST_SENT:
            await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, receive, send)
