"""Shows how a design came about, as one HTML page to pass on: every turn with its words, pictures and result."""

from __future__ import annotations

import base64
import html
import io

from PIL import Image

from .sessions import Session, Turn

_SIDE = 900  # pixels of the longest side
_STYLE = """
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:#1c1a18;background:#fff;margin:0}
main{max-width:76rem;margin:0 auto;padding:3rem 1.5rem 5rem}
h1{font-size:1.8rem;font-weight:600;letter-spacing:-.01em;margin:0 0 .3rem}
p.about{color:#6a635c;margin:0 0 2.5rem}
ol{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:2.2rem}
li>img{width:100%;aspect-ratio:3/4;object-fit:contain;background:#f4f1ed;border-radius:12px}
b{font-weight:600}
p{margin:.6rem 0 0}
small{color:#6a635c;display:block}
.shown{display:flex;gap:.8rem;align-items:center;margin-top:.7rem;color:#6a635c;font-size:.85rem}
.shown img{width:64px;height:64px;object-fit:contain;border-radius:8px;background:#f4f1ed}
"""


def to_storyboard(session: Session, number: int) -> str:
    """Returns one self-contained HTML page with the turns that led to this one.

    It has no script, loads nothing from a network, and does not hold the session's id.
    """
    turns = session.strip(number)
    items = "\n".join(_item(session, place, turn) for place, turn in enumerate(turns))
    title = html.escape(session.title)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style></head>\n<body><main><h1>{title}</h1>\n"
        f'<p class="about">{len(turns) - 1} changes, made with fashionedit studio.</p>\n'
        f"<ol>\n{items}\n</ol></main></body></html>\n"
    )


def _item(session: Session, place: int, turn: Turn) -> str:
    words = turn.words or ("The beginning" if not place else "")
    parts = [f"<p><b>{place}</b> {html.escape(words)}</p>"]
    if turn.output is not None:
        parts.insert(0, _image(session.stored(turn.output.digest), f"Design {place}"))
    else:
        parts.append(f"<p>No design: {html.escape(turn.message)}</p>")
    if turn.reference is not None:
        shown = _image(session.stored(turn.reference), f"Picture shown with {place}", 160)
        parts.append(f'<div class="shown">{shown}<span>shown as {turn.reference_kind}</span></div>')
    if turn.editor:
        parts.append(f"<small>{html.escape(turn.editor)}</small>")
    return f"<li>{''.join(parts)}</li>"


def _image(image: Image.Image, words: str, side: int = _SIDE) -> str:
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=88)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{html.escape(words)}" src="data:image/webp;base64,{data}">'
