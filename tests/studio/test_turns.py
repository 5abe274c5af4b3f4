from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import pytest
from PIL import Image
from studio_toys import Painter, Waiting, make_studio, picture

from fashionedit.data import open_data
from fashionedit.errors import (
    BudgetSpentError,
    EditorError,
    InvalidDataError,
    InvalidImageError,
    RunBusyError,
    UnknownNameError,
)
from fashionedit.eval_harness.editing import EditResult, Status
from fashionedit.eval_harness.protocols import PROTOCOLS
from fashionedit.eval_harness.running.limits import Limits
from fashionedit.images import pixel_digest, png_bytes
from fashionedit.metrics.registry import load_metrics
from fashionedit.studio.sessions import Mark, SessionStore
from fashionedit.studio.turns import CancelledError


def test_words_begin_a_design_and_more_words_change_it(tmp_path: Path) -> None:
    studio = make_studio(tmp_path)
    session = studio.start_words("a navy shirt with short sleeves")
    session = studio.edit(session, 1, "drawn", "make the collar white")
    first, second = session.turns
    assert (first.source, second.parent, second.status) == ("words", 1, Status.OK)
    assert "collar" in second.message
    assert pixel_digest(session.image(2)) != pixel_digest(session.image(1))
    assert studio.store.open(session.id).turns == session.turns  # all of it is on disk


def test_an_editor_is_sent_what_the_benchmark_would_send(tmp_path: Path) -> None:
    painter = Painter()
    studio = make_studio(tmp_path, painter)
    session = studio.start_picture(png_bytes(picture()))
    shown = studio.request(session, 1, "other", "shorter sleeves", picture("blue"))
    session = studio.edit(session, 1, "other", "shorter sleeves", picture("blue"), "example")
    (sent,) = painter.requests
    assert sent.instruction == shown.instruction == PROTOCOLS["bug"].instruction("shorter sleeves")
    assert [image.role for image in sent.images] == ["base", "reference"]
    assert sent.seed == shown.seed
    assert session.turn(2).reference == pixel_digest(picture("blue"))
    assert pixel_digest(session.stored(session.turn(2).reference or "")) == pixel_digest(picture("blue"))
    studio.edit(session, 2, "other", "a hood")
    assert painter.requests[1].instruction == PROTOCOLS["vanilla"].instruction("a hood")
    assert painter.requests[1].state == {"edits": 1}
    assert painter.requests[1].round == 2


def test_a_refusal_loses_nothing(tmp_path: Path) -> None:
    refusing = Painter(lambda request: EditResult.failed(Status.REFUSED, "not this", cost_usd=0.1))
    studio = make_studio(tmp_path, refusing)
    session = studio.start_picture(png_bytes(picture("green")))
    session = studio.edit(session, 1, "other", "a hood", picture("blue"), "sketch")
    turn = session.turn(2)
    assert (turn.status, turn.message, turn.words) == (Status.REFUSED, "not this", "a hood")
    assert pixel_digest(session.image(2)) == pixel_digest(picture("green"))
    assert session.stored(turn.reference or "").size == (300, 300)
    session = studio.edit(session, 2, "other", "a pocket")
    assert session.turn(3).parent == 1  # the design that stands is that of turn 1


def test_an_editor_that_raises_and_one_that_takes_too_long_are_turns(tmp_path: Path) -> None:
    def fail(request: object) -> EditResult:
        raise RuntimeError("broken")

    studio = make_studio(tmp_path / "a", Painter(fail), limits=Limits(retries=0))
    session = studio.edit(studio.start_picture(png_bytes(picture())), 1, "other", "a hood")
    assert (session.turn(2).status, "broken" in session.turn(2).message) == (Status.ERROR, True)
    slow = Waiting()
    studio = make_studio(tmp_path / "b", slow, limits=Limits(retries=0, timeout=0.2))
    session = studio.edit(studio.start_picture(png_bytes(picture())), 1, "other", "a hood")
    slow.go.set()
    assert session.turn(2).status is Status.TIMEOUT


def test_a_cancelled_edit_leaves_the_session_and_counts_its_money(tmp_path: Path) -> None:
    slow = Waiting()
    studio = make_studio(tmp_path, slow, limits=Limits(retries=0, budget=1.5))
    session = studio.start_picture(png_bytes(picture()))
    cancel = threading.Event()
    threading.Thread(target=lambda: (slow.began.wait(30), cancel.set())).start()
    with pytest.raises(CancelledError, match="the design is as it was"):
        studio.edit(session, 1, "other", "a hood", cancel=cancel)
    assert len(studio.store.open(session.id).turns) == 1
    with pytest.raises(BudgetSpentError):  # what the service may still charge is reserved
        studio.edit(session, 1, "other", "a hood")
    slow.go.set()


def test_the_budget_holds_over_all_sessions_and_is_refused_where_it_cannot_be_kept(tmp_path: Path) -> None:
    studio = make_studio(tmp_path, Painter(), limits=Limits(budget=0.5))
    first, second = (studio.start_picture(png_bytes(picture())) for _ in range(2))
    studio.edit(first, 1, "other", "a hood")
    studio.edit(second, 1, "other", "a hood")
    with pytest.raises(BudgetSpentError):
        studio.edit(first, 1, "other", "a hood")
    with pytest.raises(InvalidDataError, match="does not say what an edit costs"):
        make_studio(tmp_path / "b", Painter(usd_per_edit=None), limits=Limits(budget=0.5))


@pytest.mark.parametrize(
    ("words", "picture_kind", "sentence"),
    [("  ", None, "no words"), ("x" * 5_000, None, "5,000 characters"), ("a hood", "detail", "both or neither")],
)
def test_bad_input_is_refused_before_anything_is_asked(
    tmp_path: Path, words: str, picture_kind: object, sentence: str
) -> None:
    painter = Painter()
    studio = make_studio(tmp_path, painter)
    session = studio.start_picture(png_bytes(picture()))
    with pytest.raises(InvalidDataError, match=sentence):
        studio.edit(session, 1, "other", words, None, picture_kind)  # type: ignore[arg-type]  # what a page may send
    assert not painter.requests


def test_editors_say_whether_they_take_a_picture(tmp_path: Path) -> None:
    studio = make_studio(tmp_path, Painter(takes_reference=False))
    session = studio.start_picture(png_bytes(picture()))
    with pytest.raises(EditorError, match="can't be shown a picture"):
        studio.edit(session, 1, "other", "a hood", picture(), "detail")
    with pytest.raises(UnknownNameError, match="choose drawn, other"):
        studio.edit(session, 1, "nobody", "a hood")


def test_uploads_pass_the_image_gate(tmp_path: Path) -> None:
    studio = make_studio(tmp_path)
    for data in (b"", b"not an image", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(InvalidImageError):
            studio.start_picture(data)
    with pytest.raises(InvalidImageError, match="megapixels"):
        studio.start_picture(png_bytes(picture(size=(5_100, 5_000))))
    exif = Image.Exif()
    exif[0x9286] = "secret place"
    buffer = io.BytesIO()
    picture().save(buffer, "JPEG", exif=exif)
    session = studio.start_picture(buffer.getvalue())
    assert all(b"secret" not in file.read_bytes() for file in session.folder.rglob("*") if file.is_file())
    assert len(list(tmp_path.glob("*/session.json"))) == 1  # refused uploads begin no session


def test_sessions_are_found_by_their_id_alone(tmp_path: Path) -> None:
    studio = make_studio(tmp_path)
    session = studio.start_words("a red dress")
    other = studio.start_words("a green dress")
    assert len({session.id, other.id}) == 2
    assert session.id not in repr(session)
    for id in ("", ".", "..", f"../{tmp_path.name}/{session.id}", session.id[:-1], "x" * 32):
        with pytest.raises(UnknownNameError, match="no session has this id"):
            studio.store.open(id)
    with pytest.raises(RunBusyError):
        SessionStore(tmp_path)


def test_marks_are_kept_and_the_last_counts(tmp_path: Path) -> None:
    studio = make_studio(tmp_path)
    session = studio.start_words("a red dress")
    session = studio.store.mark(session, 1, Mark(accepted=False))
    session = studio.store.mark(session, 1, Mark(accepted=True, rating=4))
    assert studio.store.open(session.id).marks == {1: Mark(True, 4)}
    with pytest.raises(InvalidDataError, match="1 to 5"):
        Mark(rating=6)
    with pytest.raises(UnknownNameError):
        studio.store.mark(session, 9, Mark())


def test_a_turn_that_was_cut_short_is_left_out_with_what_follows(tmp_path: Path) -> None:
    studio = make_studio(tmp_path, Painter())
    session = studio.start_picture(png_bytes(picture()))
    for _ in range(3):
        session = studio.edit(session, len(session.turns), "other", "a hood")
    (session.folder / "turns" / "0003.json").write_text('{"number": 3')
    session = studio.store.open(session.id)
    assert [turn.number for turn in session.turns] == [1, 2]
    session = studio.edit(session, 2, "other", "a pocket")
    assert session.turns[-1].number == 5  # no number is given twice


def test_turns_on_a_sample_are_scored_beside_its_draft(tmp_path: Path) -> None:
    data = open_data("synthetic:2")
    metrics = load_metrics(["psnr"], None)
    studio = make_studio(tmp_path, Painter(), samples=data, metrics=metrics)
    session = studio.start_sample(data.ids[0])
    session = studio.edit(session, 1, "other", "a hood")
    scores = studio.scores(session)
    (draft,), (edited,) = scores[1], scores[2]
    assert draft.value == draft.draft == edited.draft
    assert edited.value < edited.draft  # a painted square
    assert studio.scores(studio.start_picture(png_bytes(picture()))) == {}
    with pytest.raises(UnknownNameError, match="no sample"):
        studio.start_sample("nobody")


def test_turns_are_records_that_a_person_can_read(tmp_path: Path) -> None:
    studio = make_studio(tmp_path, Painter())
    session = studio.edit(studio.start_picture(png_bytes(picture())), 1, "other", "a hood")
    told = json.loads((session.folder / "turns" / "0002.json").read_bytes())
    assert told["outcome"]["instruction"] == PROTOCOLS["vanilla"].instruction("a hood")
    assert told["outcome"]["cost_usd"] == 0.2
    assert session.id not in json.dumps(told)
