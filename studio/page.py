"""The studio as one Gradio component: what its script asks of the server, and what it is sent.

Nothing of a person is kept between two calls but the sessions on disk, so that a reload, a restart or a second person
changes nothing. The browser is sent pixels as data URLs: pictures have no address that somebody else could open.
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
from fashionedit.images import crop
from fashionedit.types import Box

from .assistant import Assistant, proposals_told
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
    """What the page's script may ask. Every function takes and returns plain JSON.

    A session is told as `id`, `title`, `sample`, `turns` and `pictures`: the pictures by digest that the browser says
    it does not have.
    """

    def __init__(self, studio: Studio, assistant: Assistant | None = None) -> None:
        self._studio = studio
        self._assistant = assistant
        self._working: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._thumbs = lru_cache(maxsize=256)(self._sample_thumb)

    def begin(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what the page can offer, and those of the browser's own sessions that are still there."""
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
            "sessions": self._told_sessions(given.get("ids")),
        }

    def samples(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns one page of the samples that match the text: id, words, and the draft small."""
        source = self._studio.samples
        if source is None:
            return {"samples": [], "more": False}
        text, start = str(given.get("text", "")).lower(), max(0, int(given.get("start", 0)))
        ids = [id for id in source.ids if not text or text in f"{id} {source.facts(id).annotation}".lower()]
        shown = ids[start : start + _SAMPLES_SHOWN]
        told = [{"id": id, "words": source.facts(id).annotation, "image": self._thumbs(id)} for id in shown]
        return {"samples": told, "more": len(ids) > start + len(shown)}

    def start(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Begins a session from `words`, a `picture` (data URL) or a `sample`, and returns it."""
        if (picture := given.get("picture")) is not None:
            session = self._studio.start_picture(_decoded(picture))
        elif (sample := given.get("sample")) is not None:
            session = self._studio.start_sample(str(sample))
        else:
            session = self._studio.start_words(str(given.get("words", "")), given.get("generator"))
        return self._told(session, ())

    def open(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the session with this id."""
        return self._told(self._session(given), _digests(given))

    def preview(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what the editor would be sent: the instruction, and the images in their order."""
        editor, words = str(given.get("editor")), str(given.get("words", ""))
        session = self._session(given)
        request = self._studio.request(session, int(given["turn"]), editor, words, self._picture(given, session))
        images = [{"role": shown.role, "image": data_url(shown.image)} for shown in request.images]
        return {"instruction": request.instruction, "images": images, "seed": request.seed}

    def edit(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Asks an editor for a change, and returns the session with the turn; `ticket` is what `cancel` names."""
        session, ticket = self._session(given), str(given.get("ticket", ""))
        with self._cancellable(f"{session.id} {ticket}") as cancel:
            session = self._studio.edit(
                session,
                int(given["turn"]),
                str(given.get("editor")),
                str(given.get("words", "")),
                self._picture(given, session),
                given.get("kind") if given.get("picture") is not None else None,
                cancel=cancel,
            )
        return self._told(session, _digests(given))

    def cancel(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Cancels the edit with this ticket, if it is still under way."""
        with self._lock:
            event = self._working.get(f"{self._session(given).id} {given.get('ticket', '')}")
        if event is not None:
            event.set()
        return {"cancelled": event is not None}

    def assist(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the words made precise; with `wanted`, three edits that lead to the picture."""
        if self._assistant is None:
            raise InvalidDataError(OUTDATED)
        session = self._session(given)
        design, shown = session.image(int(given["turn"])), self._picture(given, session)
        if given.get("wanted"):
            if shown is None:
                raise InvalidDataError("Upload a picture of what you want first, as an example.")
            return proposals_told(self._assistant.propose(design, shown))
        return proposals_told(self._assistant.make_precise(str(given.get("words", "")), design, shown))

    def mark(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps what the person thinks of a turn."""
        accepted, rating = given.get("accepted"), given.get("rating")
        if accepted not in (None, True, False) or not isinstance(rating, int | None):
            raise InvalidDataError(OUTDATED)
        session = self._session(given)
        return self._told(self._studio.store.mark(session, int(given["turn"]), Mark(accepted, rating)), _digests(given))

    def scores(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the scores of the turns of a session that began from a sample, as they are shown."""
        found = self._studio.scores(self._session(given))
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
                for number, scores in found.items()
            }
        }

    def download(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a file to save: the `zip` of a session, its `storyboard`, or a `sample` for `fashionedit pack`."""
        session, turn, form = self._session(given), int(given["turn"]), given.get("form")
        if form == "storyboard":
            return _file("storyboard.html", "text/html", to_storyboard(session, turn).encode())
        if form == "sample":
            chosen = {int(one["turn"]): one for one in given["differences"]}
            boxes = {number: Box.from_box_2d(one["box"]) for number, one in chosen.items() if one.get("box")}
            words = {number: str(one["words"]) for number, one in chosen.items()}
            data = sample_zip(session, turn, sorted(chosen), boxes=boxes, words=words)
            return _file("sample.zip", "application/zip", data)
        return _file("session.zip", "application/zip", to_zip(session))

    def differences(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what can be a difference of a sample: the edits that led to the turn, each with words and box."""
        session, number = self._session(given), int(given["turn"])
        told = []
        for turn in chosen_turns(session, number):
            box = changed_region(session.image(turn.parent or 0), session.image(turn.number))
            told.append({"turn": turn.number, "words": turn.words, "box": box and list(box.box_2d)})
        return {"differences": told}

    def sample(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the original of a sample, to take a detail from."""
        return {"id": str(given["sample"]), "image": data_url(self._original(given["sample"]))}

    def _original(self, id: Any) -> Image.Image:
        source = self._studio.samples
        if source is None or id not in source.ids:
            raise InvalidDataError(OUTDATED)
        return source.sample(id).original

    def _picture(self, given: Mapping[str, Any], session: Session) -> Image.Image | None:
        """Returns the picture that goes with the words: uploaded, or a part of one that is here already.

        The browser has pictures in a form that is good to look at; what is cut out of them is cut here.
        """
        picture = given.get("picture")
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

    def _session(self, given: Mapping[str, Any]) -> Session:
        return self._studio.store.open(given["id"])

    def _told_sessions(self, ids: Any) -> list[dict[str, Any]]:
        told = []
        for id in ids[:_SESSIONS_SHOWN] if isinstance(ids, list) else []:
            try:
                session = self._studio.store.open(id)
                last = next((turn for turn in reversed(session.turns) if turn.output is not None), None)
                image = None if last is None else data_url(session.image(last.number), _THUMB)
            except FashionEditError:
                continue  # deleted, or damaged: the others are still shown
            if image is not None:
                told.append({"id": id, "title": session.title, "turns": len(session.turns), "image": image})
        return told

    def _told(self, session: Session, have: Collection[str]) -> dict[str, Any]:
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
            "turns": [_told_turn(session, turn) for turn in session.turns],
            "pictures": pictures,
        }

    def _sample_thumb(self, id: str) -> str:
        source = self._studio.samples
        assert source is not None  # only asked for where there are samples
        return data_url(source.sample(id).draft, _THUMB)


def _told_turn(session: Session, turn: Turn) -> dict[str, Any]:
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


def _digests(given: Mapping[str, Any]) -> Collection[str]:
    have = given.get("have")
    return {str(digest) for digest in have} if isinstance(have, list) else ()


def _decoded(url: Any) -> bytes:
    """Returns the bytes of a data URL.

    Raises:
        InvalidDataError: It is none, or holds more than 32 MiB.
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
    """Returns the value of one design; of a share, whether the design counts."""
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
