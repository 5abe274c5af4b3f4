from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studio_toys import Painter, make_studio, picture

from fashionedit.cli import main
from fashionedit.errors import InvalidDataError
from fashionedit.images import pixel_digest, png_bytes
from fashionedit.studio.export import changed_region, chosen_turns, to_zip, write_sample
from fashionedit.studio.sessions import Mark, Session, SessionStore

WORDS = ("make the sleeves long", "make the collar white", "remove the chest pockets")


def _drawn_session(folder: Path) -> Session:
    studio = make_studio(folder)
    session = studio.start_words("a navy shirt with short sleeves and two chest pockets")
    for words in WORDS:
        session = studio.edit(session, len(session.turns), "drawn", words)
    assert all(turn.output for turn in session.turns), [turn.message for turn in session.turns]
    return session


def test_a_session_becomes_a_sample_that_is_packed_run_and_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = _drawn_session(tmp_path / "sessions")
    write_sample(session, 4, [2, 3, 4], tmp_path / "rows", id="shirt-1")
    main(["pack", str(tmp_path / "rows"), str(tmp_path / "set")])
    main(["run", "identity", "--data", str(tmp_path / "set"), "--out", str(tmp_path / "run")])
    main(["score", str(tmp_path / "run"), "--data", str(tmp_path / "set"), "--metric", "psnr"])
    assert "identity" in capsys.readouterr().out
    from fashionedit.data import open_data

    sample = open_data(tmp_path / "set").sample("shirt-1")
    assert [difference.description for difference in sample.differences] == list(WORDS)
    assert pixel_digest(sample.original) == pixel_digest(session.image(4))
    assert pixel_digest(sample.draft) == pixel_digest(session.image(1))


def test_the_box_is_around_what_changed() -> None:
    before = picture(size=(400, 200))
    after = before.copy()
    after.paste((250, 0, 0), (100, 50, 200, 150))
    box = changed_region(before, after)
    assert box is not None
    assert box.pixels(400, 200) == (92, 46, 208, 154)  # with a margin of 2 % of each side
    assert changed_region(before, before) is None
    noise = np.asarray(before).copy()
    noise[::7, ::5] -= 3  # what JPEG adds
    assert changed_region(before, Image.fromarray(noise)) is None
    dot = before.copy()
    dot.putpixel((399, 0), (0, 0, 0))
    assert changed_region(before, dot) is not None


def test_what_cannot_be_a_sample_is_refused(tmp_path: Path) -> None:
    studio = make_studio(tmp_path / "sessions", Painter())
    session = studio.start_picture(png_bytes(picture()))
    for _ in range(4):
        session = studio.edit(session, len(session.turns), "other", "a hood")
    session = studio.store.mark(session, 3, Mark(accepted=False))
    assert [turn.number for turn in chosen_turns(session, 5)] == [2, 4, 5]
    rows = tmp_path / "rows"
    for turns, sentence in (([2, 3], "2 turns"), ([2, 2, 3], "2 turns"), ([1, 2, 3], "turn 1 gave no design")):
        with pytest.raises(InvalidDataError, match=sentence):
            write_sample(session, 5, turns, rows, id="one")
    with pytest.raises(InvalidDataError, match="safe file name"):
        write_sample(session, 5, [2, 3, 4], rows, id="../one")
    assert not rows.exists()
    write_sample(session, 5, [2, 3, 4], rows, id="one")
    write_sample(session, 5, [2, 4, 5], rows, id="two")
    with pytest.raises(InvalidDataError, match="already"):
        write_sample(session, 5, [2, 3, 4], rows, id="one")
    assert len((rows / "metadata.jsonl").read_text().splitlines()) == 2


def test_the_zip_holds_every_picture_and_no_id(tmp_path: Path) -> None:
    studio = make_studio(tmp_path / "sessions", Painter())
    session = studio.start_picture(png_bytes(picture()))
    session = studio.edit(session, 1, "other", "a hood", picture("blue"), "sketch")
    session = studio.store.mark(session, 2, Mark(rating=5))
    data = to_zip(session)
    assert session.id.encode() not in data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert sorted(archive.namelist()) == ["001-design.png", "002-design.png", "002-reference.png", "session.json"]
        told = json.loads(archive.read("session.json"))
        with archive.open("002-design.png") as file:
            assert pixel_digest(Image.open(file)) == pixel_digest(session.image(2))
    assert told["turns"][1]["rating"] == 5
    assert told["turns"][1]["words"] == "a hood"


DESIGNER = """
import sys
sys.path.insert(0, sys.argv[2])
from studio_toys import Painter, make_studio, picture
from fashionedit.images import png_bytes
studio = make_studio(__import__("pathlib").Path(sys.argv[1]), Painter())
session = studio.start_picture(png_bytes(picture()))
print(session.id, flush=True)
while True:
    session = studio.edit(session, len(session.turns), "other", "a hood", picture("blue"), "detail")
    print(len(session.turns), flush=True)
"""


def test_a_session_killed_at_any_moment_goes_on_with_every_turn_that_was_shown(tmp_path: Path) -> None:
    for delay in (0.0, 0.013, 0.029):
        folder = tmp_path / str(delay)
        process = subprocess.Popen(
            [sys.executable, "-c", DESIGNER, str(folder), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        id = process.stdout.readline().strip()
        shown = 0
        while shown < 3:
            shown = int(process.stdout.readline())
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        shown = int(rest[-1]) if rest else shown
        studio = make_studio(folder, Painter())
        session = studio.store.open(id)
        assert len(session.turns) >= shown
        assert all(session.image(turn.number).size == (300, 300) for turn in session.turns)
        session = studio.edit(session, len(session.turns), "other", "a pocket")
        assert session.turns[-1].words == "a pocket"
        assert isinstance(studio.store, SessionStore)
