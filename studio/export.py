"""Writes a session as files: a zip with all of it, or a sample that `fashionedit pack` makes a benchmark of."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fashionedit.builders.pack import METADATA_FILE
from fashionedit.errors import InvalidDataError
from fashionedit.files import write_all
from fashionedit.images import png_bytes
from fashionedit.types import DIFFERENCES_PER_SAMPLE, Box, check_id

from .sessions import Session, Turn

_VISIBLE = 12  # levels of 0..255 in the sum of the channels: less is what encoding adds
_MARGIN = 0.02  # of the side, around what has changed
_LEAST_SHARE = 0.05  # of the side: the crop of a smaller change shows nothing


def changed_region(before: Image.Image, after: Image.Image) -> Box | None:
    """Returns the box around what an edit changed on `after`; None where nothing did.

    `before` is resized to `after`. Single pixels that differ by noise do not count: rows and columns do in which more
    than one pixel in 200 differs visibly.
    """
    old = before if before.size == after.size else before.resize(after.size, Image.Resampling.LANCZOS)
    differs = np.abs(np.asarray(old).astype(np.int16) - np.asarray(after)).sum(axis=2) > _VISIBLE
    if not differs.any():
        return None
    edges: list[tuple[float, float]] = []
    for axis, side in ((1, after.height), (0, after.width)):
        counts = differs.sum(axis=axis)
        lines = np.flatnonzero(counts > differs.shape[axis] / 200)
        lines = lines if lines.size else np.flatnonzero(counts)
        low, high = lines[0] / side - _MARGIN, (lines[-1] + 1) / side + _MARGIN
        missing = max(0.0, _LEAST_SHARE - (high - low)) / 2
        edges.append((max(0.0, low - missing) * 1000, min(1.0, high + missing) * 1000))
    (top, bottom), (left, right) = edges
    return Box(top, left, bottom, right)


def chosen_turns(session: Session, number: int) -> tuple[Turn, ...]:
    """Returns the edits that led to this turn and gave a design, without the rejected ones."""
    return tuple(
        turn
        for turn in session.strip(number)
        if turn.source == "edit"
        and turn.output is not None
        and (turn.number not in session.marks or session.marks[turn.number].accepted is not False)
    )


def write_sample(
    session: Session,
    number: int,
    turns: Sequence[int],
    folder: Path | str,
    *,
    id: str,
    boxes: Mapping[int, Box] | None = None,
    words: Mapping[int, str] | None = None,
) -> Path:
    """Adds a session as a sample to an image folder that `fashionedit pack` reads, and returns its `metadata.jsonl`.

    The design that stands at turn `number` is the original, the design that the session began with the draft, and the
    three turns are the differences: the person's words and the box around what the turn changed, unless `words` and
    `boxes` have others for it. The crops are cut out of the original by `pack`.

    Raises:
        InvalidDataError: There are not three turns with a design on the way to `number`, one changed nothing, the id is
            no file name, or the folder has it already.
    """
    folder = Path(folder)
    check_id(id)
    strip = {turn.number: turn for turn in session.strip(number)}
    if len({*turns}) != DIFFERENCES_PER_SAMPLE:
        raise InvalidDataError(
            f"{len({*turns})} turns were chosen; a sample has {DIFFERENCES_PER_SAMPLE} differences, so choose as many "
            "turns that gave a design"
        )
    final = session.image(number)
    differences = []
    for turn in sorted(turns):
        if turn not in strip or strip[turn].output is None or strip[turn].parent is None:
            raise InvalidDataError(f"turn {turn} gave no design that leads to turn {number}; choose another one")
        box = (boxes or {}).get(turn) or changed_region(session.image(strip[turn].parent or 0), session.image(turn))
        if box is None:
            raise InvalidDataError(f"turn {turn} changed nothing; choose another one, or draw its box")
        description = (words or {}).get(turn, strip[turn].words).strip()
        if not description:
            raise InvalidDataError(f"turn {turn} has no words; say what it changed")
        differences.append({"description": description, "box_2d": [round(edge, 2) for edge in box.box_2d]})
    first = next(turn for turn in strip.values() if turn.parent is None)
    line: dict[str, Any] = {
        "image_id": id,
        "original": f"originals/{id}.png",
        "draft": f"drafts/{id}.png",
        "annotation": first.words or f"A design that began from {_origin(session)}.",
        "differences": differences,
    }
    metadata = folder / METADATA_FILE
    earlier = metadata.read_text(encoding="utf-8") if metadata.is_file() else ""
    if any(json.loads(text).get("image_id") == id for text in earlier.splitlines() if text.strip()):
        raise InvalidDataError(f"{metadata} has a sample {id} already; choose another id")
    write_all(
        {
            folder / str(line["original"]): png_bytes(final),
            folder / str(line["draft"]): png_bytes(session.image(first.number)),
            metadata: (earlier + json.dumps(line, ensure_ascii=False) + "\n").encode(),
        }
    )
    return metadata


def sample_zip(
    session: Session,
    number: int,
    turns: Sequence[int],
    *,
    boxes: Mapping[int, Box] | None = None,
    words: Mapping[int, str] | None = None,
) -> bytes:
    """Returns the image folder of one sample, as `write_sample` makes it, as a zip.

    Raises:
        InvalidDataError: As `write_sample`.
    """
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        last = session.design(number).output
        name = f"design-{last.digest[:12] if last else number}"
        write_sample(session, number, turns, folder, id=name, boxes=boxes, words=words)
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def to_zip(session: Session) -> bytes:
    """Returns a zip with every picture of the session and `session.json`, which says what each of them is.

    The session's id is not in it.
    """
    buffer = io.BytesIO()
    turns = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNG does not shrink
        for turn in session.turns:
            files = {}
            for role, digest in (("design", turn.output and turn.output.digest), ("reference", turn.reference)):
                if digest:
                    files[role] = f"{turn.number:03d}-{role}.png"
                    archive.writestr(files[role], png_bytes(session.stored(digest)))
            mark = session.marks.get(turn.number)
            turns.append(
                {
                    **turn.model_dump(mode="json", exclude={"schema_version", "outcome"}),
                    "files": files,
                    "accepted": mark and mark.accepted,
                    "rating": mark and mark.rating,
                    "outcome": turn.outcome.model_dump(mode="json", exclude={"key", "traceback", "schema_version"}),
                }
            )
        told = {"began": session.identity.model_dump(mode="json", exclude={"schema_version"}), "turns": turns}
        archive.writestr("session.json", json.dumps(told, indent=2, ensure_ascii=False))
    return buffer.getvalue()


def _origin(session: Session) -> str:
    return "a sample" if session.identity.sample else "a picture"
