"""A server that `fashionedit run http://127.0.0.1:8900/` can ask: replace `edit_image` by your model.

python examples/edit_server.py [PORT]
"""

from __future__ import annotations

import base64
import io
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image, ImageOps


def edit_image(base: Image.Image, reference: Image.Image | None, instruction: str, seed: int) -> Image.Image:
    """Returns the edited picture; here it is mirrored, with the reference in its corner."""
    edited = ImageOps.mirror(base)
    if reference is not None:
        edited.paste(reference, (0, 0))
    return edited


class Handler(BaseHTTPRequestHandler):
    """Speaks the contract of `fashionedit.eval_harness.editors.http_editor`."""

    protocol_version = "HTTP/1.1"  # keeps connections open

    def do_GET(self) -> None:
        """Says who edits; raise the version when edits change."""
        self.answer({"name": "mirror", "version": "1", "takes_reference": True})

    def do_POST(self) -> None:
        """Edits."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        shown = {
            item["role"]: Image.open(io.BytesIO(base64.b64decode(item["image"]))).convert("RGB")
            for item in asked["images"]
        }
        edited = edit_image(shown["base"], shown.get("reference"), asked["instruction"], asked["seed"])
        png = io.BytesIO()
        edited.save(png, "PNG")
        self.answer({"image": base64.b64encode(png.getvalue()).decode()})

    def answer(self, content: dict[str, Any]) -> None:
        """Sends JSON."""
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8900), Handler)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
