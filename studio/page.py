"""The studio as one Gradio component: the functions that its script calls on the server.

Between two calls the server keeps only the sessions on disk, so that a reload, a restart or a second person changes
nothing. The browser receives pictures as data URLs: they have no address that somebody else could open.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image

from fashionedit.errors import FashionEditError, InvalidDataError
from fashionedit.eval_harness.running.records import RoundRecord
from fashionedit.images import crop, png_bytes
from fashionedit.types import Box

from .assistant import Assistant, proposals_json
from .components import OUTDATED, add_component, data_url
from .drawn import LABEL, vocabulary
from .export import changed_region, chosen_turns, sample_zip, to_zip
from .generators import DRAWN
from .sessions import Mark, Session, Turn
from .storyboard import to_storyboard
from .turns import MOST_UPLOADED_BYTES, Score, Studio, uploaded

if TYPE_CHECKING:
    import gradio as gr

_THUMB = 320
_SAMPLES_SHOWN = 24
_SESSIONS_SHOWN = 50


class StudioPage:
    """The functions that the page's script calls. Each takes and returns plain JSON.

    A session is sent as `id`, `title`, `sample`, `turns` and `pictures`: by digest, the pictures that the browser does
    not have yet.
    """

    def __init__(self, studio: Studio, assistant: Assistant | None = None) -> None:
        self._studio = studio
        self._assistant = assistant
        self._working: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._thumbs = lru_cache(maxsize=256)(self._sample_thumb)

    def begin(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the editors and generators, and those of the browser's own sessions that still exist."""
        studio = self._studio
        editors = [
            {
                "name": name,
                "label": LABEL if name == DRAWN else name,
                "takes_picture": info.takes_reference,
                "needs_picture": info.needs_reference,
                "drawn": name == DRAWN,
            }
            for name, info in studio.editor_infos().items()
        ]
        return {
            "editors": editors,
            "generators": [{"name": name, "label": LABEL if name == DRAWN else name} for name in studio.generators],
            "samples": studio.samples is not None,
            "assistant": self._assistant is not None,
            "vocabulary": vocabulary() if DRAWN in studio.generators else {},
            "sessions": self._sessions_json(arguments.get("ids")),
        }

    def samples(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns one page of the samples that match the text: id, words, and a small picture of the draft."""
        source = self._studio.samples
        if source is None:
            return {"samples": [], "more": False}
        text, start = str(arguments.get("text", "")).lower(), max(0, int(arguments.get("start", 0)))
        ids = [id for id in source.ids if not text or text in f"{id} {source.facts(id).annotation}".lower()]
        shown = ids[start : start + _SAMPLES_SHOWN]
        samples = [{"id": id, "words": source.facts(id).annotation, "image": self._thumbs(id)} for id in shown]
        return {"samples": samples, "more": len(ids) > start + len(shown)}

    def start(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Begins a session from `words`, a `picture` (data URL) or a `sample`, and returns it."""
        if (picture := arguments.get("picture")) is not None:
            session = self._studio.start_picture(_decoded(picture))
        elif (sample := arguments.get("sample")) is not None:
            session = self._studio.start_sample(str(sample))
        else:
            session = self._studio.start_words(str(arguments.get("words", "")), arguments.get("generator"))
        return self._session_json(session, ())

    def open(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the session with this id."""
        return self._session_json(self._session(arguments), _digests(arguments))

    def preview(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the request that the editor would get: the instruction, and the images in their order."""
        editor, words = str(arguments.get("editor")), str(arguments.get("words", ""))
        session = self._session(arguments)
        request = self._studio.request(
            session, int(arguments["turn"]), editor, words, self._picture(arguments, session)
        )
        images = [{"role": shown.role, "image": data_url(shown.image)} for shown in request.images]
        return {"instruction": request.instruction, "images": images, "seed": request.seed}

    def edit(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Asks an editor for a change, and returns the session with the turn; `ticket` is what `cancel` names."""
        session, ticket = self._session(arguments), str(arguments.get("ticket", ""))
        with self._cancellable(f"{session.id} {ticket}") as cancel:
            session = self._studio.edit(
                session,
                int(arguments["turn"]),
                str(arguments.get("editor")),
                str(arguments.get("words", "")),
                self._picture(arguments, session),
                arguments.get("kind") if arguments.get("picture") is not None else None,
                cancel=cancel,
            )
        return self._session_json(session, _digests(arguments))

    def cancel(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Cancels the edit with this ticket, if it is still under way."""
        with self._lock:
            event = self._working.get(f"{self._session(arguments).id} {arguments.get('ticket', '')}")
        if event is not None:
            event.set()
        return {"cancelled": event is not None}

    def assist(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the words made precise; with `wanted`, three edits that lead to the picture."""
        if self._assistant is None:
            raise InvalidDataError(OUTDATED)
        session = self._session(arguments)
        design, shown = session.image(int(arguments["turn"])), self._picture(arguments, session)
        if arguments.get("wanted"):
            if shown is None:
                raise InvalidDataError("Upload a picture of what you want first, as an example.")
            return proposals_json(self._assistant.propose(design, shown))
        return proposals_json(self._assistant.make_precise(str(arguments.get("words", "")), design, shown))

    def mark(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps whether the person accepts a turn, and the rating."""
        accepted, rating = arguments.get("accepted"), arguments.get("rating")
        if accepted not in (None, True, False) or not isinstance(rating, int | None):
            raise InvalidDataError(OUTDATED)
        session = self._session(arguments)
        return self._session_json(
            self._studio.store.mark(session, int(arguments["turn"]), Mark(accepted, rating)), _digests(arguments)
        )

    def scores(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the scores of the turns of a session that began from a sample, as text."""
        scores_by_turn = self._studio.scores(self._session(arguments))
        return {
            "scores": {
                str(number): [
                    {
                        "label": score.metric.label,
                        "value": _score_text(score, score.value),
                        "draft": _score_text(score, score.draft),
                    }
                    for score in scores
                ]
                for number, scores in scores_by_turn.items()
            }
        }

    def download(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a file to save: a turn's `picture`, its `storyboard`, a `sample` to pack, or the session's `zip`."""
        session, turn, form = self._session(arguments), int(arguments["turn"]), arguments.get("form")
        if form == "picture":
            return _file("design.png", "image/png", png_bytes(session.image(turn)))
        if form == "storyboard":
            return _file("storyboard.html", "text/html", to_storyboard(session, turn).encode())
        if form == "sample":
            chosen = {int(difference["turn"]): difference for difference in arguments["differences"]}
            boxes = {
                number: Box.from_box_2d(difference["box"])
                for number, difference in chosen.items()
                if difference.get("box")
            }
            words = {number: str(difference["words"]) for number, difference in chosen.items()}
            data = sample_zip(session, turn, sorted(chosen), boxes=boxes, words=words)
            return _file("sample.zip", "application/zip", data)
        if form == "zip":
            return _file("session.zip", "application/zip", to_zip(session))
        raise InvalidDataError(f"a session is not saved as {form!r}; choose picture, storyboard, sample or zip")

    def differences(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the edits that led to the turn, each with words and box: they can be the differences of a sample."""
        session, number = self._session(arguments), int(arguments["turn"])
        differences = []
        for turn in chosen_turns(session, number):
            box = changed_region(session.image(turn.parent or 0), session.image(turn.number))
            differences.append({"turn": turn.number, "words": turn.words, "box": box and list(box.box_2d)})
        return {"differences": differences}

    def sample(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the original of a sample, to take a detail from."""
        return {"id": str(arguments["sample"]), "image": data_url(self._original(arguments["sample"]))}

    def _original(self, id: Any) -> Image.Image:
        source = self._studio.samples
        if source is None or id not in source.ids:
            raise InvalidDataError(OUTDATED)
        return source.sample(id).original

    def _picture(self, arguments: Mapping[str, Any], session: Session) -> Image.Image | None:
        """Returns the picture that goes with the words: uploaded, or a part of one that is here already.

        Crops are cut here: the browser has only compressed pictures.
        """
        picture = arguments.get("picture")
        if picture is None:
            return None
        if not isinstance(picture, dict):
            return uploaded(_decoded(picture), name="the picture")
        if picture.get("sample") is not None:
            image = self._original(picture["sample"])
        else:
            digests = {
                digest for turn in session.turns for digest in (turn.output and turn.output.digest, turn.reference)
            }
            if picture.get("digest") not in digests - {None}:
                raise InvalidDataError(OUTDATED)
            image = session.stored(picture["digest"])
        box = picture.get("box")
        return image if box is None else crop(image, Box.from_box_2d(box))

    @contextmanager
    def _cancellable(self, name: str) -> Iterator[threading.Event]:
        event = threading.Event()
        with self._lock:
            self._working[name] = event
        try:
            yield event
        finally:
            with self._lock:
                self._working.pop(name, None)

    def _session(self, arguments: Mapping[str, Any]) -> Session:
        return self._studio.store.open(arguments["id"])

    def _sessions_json(self, ids: Any) -> list[dict[str, Any]]:
        sessions = []
        for id in ids[:_SESSIONS_SHOWN] if isinstance(ids, list) else []:
            try:
                session = self._studio.store.open(id)
                last = next((turn for turn in reversed(session.turns) if turn.output is not None), None)
                image = None if last is None else data_url(session.image(last.number), _THUMB)
            except FashionEditError:
                continue  # deleted, or damaged: the others are still shown
            if image is not None:
                sessions.append({"id": id, "title": session.title, "turns": len(session.turns), "image": image})
        return sessions

    def _session_json(self, session: Session, have: Collection[str]) -> dict[str, Any]:
        pictures = {}
        for turn in session.turns:
            for digest in (turn.output and turn.output.digest, turn.reference):
                if digest and digest not in have and digest not in pictures:
                    pictures[digest] = data_url(session.stored(digest))
        sample = session.identity.sample
        return {
            "id": session.id,
            "title": session.title,
            "sample": sample,
            "turns": [_turn_json(session, turn) for turn in session.turns],
            "pictures": pictures,
        }

    def _sample_thumb(self, id: str) -> str:
        source = self._studio.samples
        assert source is not None  # only asked for where there are samples
        return data_url(source.sample(id).draft, _THUMB)


def _turn_json(session: Session, turn: Turn) -> dict[str, Any]:
    outcome, mark = turn.outcome, session.marks.get(turn.number, Mark())
    return {
        "number": turn.number,
        "parent": turn.parent,
        "source": turn.source,
        "editor": turn.editor,
        "words": turn.words,
        "kind": turn.reference_kind,
        "reference": turn.reference,
        "image": turn.output and turn.output.digest,
        "status": str(turn.status),
        "message": turn.message,
        "seconds": outcome.seconds,
        "cost": outcome.cost_usd,
        "instruction": outcome.instruction if isinstance(outcome, RoundRecord) and turn.source == "edit" else "",
        "accepted": mark.accepted,
        "rating": mark.rating,
    }


def _digests(arguments: Mapping[str, Any]) -> Collection[str]:
    have = arguments.get("have")
    return {str(digest) for digest in have} if isinstance(have, list) else ()


def _decoded(url: Any) -> bytes:
    """Returns the bytes of a data URL.

    Raises:
        InvalidDataError: It is no data URL, or holds more than 32 MiB.
    """
    head, comma, data = url.partition(",") if isinstance(url, str) else ("", "", "")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise InvalidDataError("the picture did not arrive; choose it again")
    if len(data) * 3 // 4 > MOST_UPLOADED_BYTES + 2:
        raise InvalidDataError(f"the picture has more than {MOST_UPLOADED_BYTES // 2**20} MiB; give a smaller one")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidDataError("the picture did not arrive whole; choose it again") from None


def _score_text(score: Score, value: float) -> str:
    """Returns the value of a design as text; "yes" or "no" for a metric that is a share of designs."""
    metric = score.metric
    if metric.of is not None:
        return "yes" if value else "no"
    return f"{value:.{metric.digits}f}{' dB' if metric.unit == 'dB' else ''}"


def _file(name: str, kind: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "kind": kind, "data": base64.b64encode(data).decode("ascii")}


def studio_panel(page: StudioPage) -> gr.HTML:
    """Adds the page's component to the Gradio blocks that are being built, and returns it.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    names = (
        *("begin", "samples", "sample", "start", "open", "preview", "edit", "cancel", "mark", "scores"),
        *("differences", "download", "assist"),
    )
    return add_component("studio", {name: getattr(page, name) for name in names})
