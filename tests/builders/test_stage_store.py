from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fashionedit.builders.stage_store import Funnel, FunnelStep, StageRecord, StageStore, stage_key
from fashionedit.builders.work_folder import (
    SETTINGS_FILE,
    WorkFolder,
    check_settings,
    keep_settings,
    settings_differences,
    stored_settings,
)
from fashionedit.errors import InvalidDataError
from fashionedit.images import pixel_digest, read_image

KEY = stage_key("toy", caption="a coat", seed=3)


def record(identity: str, **fields: object) -> StageRecord:
    return StageRecord.model_validate({"id": identity, "key": KEY, "status": "kept", **fields})


def test_a_committed_record_is_found_under_its_key_only(tmp_path: Path) -> None:
    store = StageStore(tmp_path / "toy")
    assert store.find("a", KEY) is None
    store.commit(record("a", data={"score": 0.5, "names": ["x"]}))
    assert StageStore(tmp_path / "toy").find("a", KEY) == record("a", data={"score": 0.5, "names": ["x"]})
    assert store.find("a", stage_key("toy", caption="a coat", seed=4)) is None
    store.commit(record("a", status="dropped", reason="too small"))
    assert [found.reason for found in store.records()] == ["too small"]


def test_what_was_paid_for_is_kept_beside_what_supersedes_it(tmp_path: Path) -> None:
    store, other = StageStore(tmp_path), stage_key("toy", caption="another", seed=3)
    store.commit(record("a", data={"usd": 0.1, "draft": "old"}))
    store.commit(record("a", key=other, data={"usd": 0.2, "draft": "new"}))
    assert [found.data["draft"] for found in store.records()] == ["new"]
    looked_up = store.look_up("a", KEY)
    assert looked_up is not None
    assert looked_up.data["draft"] == "old"
    assert [found.data["draft"] for found in store.records()] == ["new"]
    assert store.find("a", KEY) == looked_up  # and is the current one again
    assert [found.data["draft"] for found in store.records()] == ["old"]
    again = store.find("a", other)
    assert again is not None
    assert again.data["draft"] == "new"


def test_records_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    store = StageStore(tmp_path)
    for identity in ("b", "A-1", "a.x", "Z"):
        store.commit(record(identity))
    assert [found.id for found in store.records()] == ["A-1", "Z", "a.x", "b"]
    assert list(StageStore(tmp_path / "nothing").records()) == []


def test_a_key_depends_on_every_part_and_on_no_order() -> None:
    assert stage_key("toy", seed=3, caption="a coat") == KEY
    others = {stage_key("toy", caption="a coat", seed=4), stage_key("other", caption="a coat", seed=3)}
    assert KEY not in others
    assert len(others) == 2
    with pytest.raises(ValueError, match="not JSON compliant"):
        stage_key("toy", score=float("nan"))


def test_images_are_kept_once_under_what_they_hold(tmp_path: Path) -> None:
    store = StageStore(tmp_path)
    image = Image.new("RGB", (9, 7), "teal")
    digest = store.put_image(image)
    assert digest == pixel_digest(image) == store.put_image(image.copy())
    assert read_image(store.image_path(digest)).size == (9, 7)


def test_a_record_that_is_no_record_is_named(tmp_path: Path) -> None:
    store = StageStore(tmp_path)
    store.commit(record("a"))
    next((tmp_path / "records").glob("*/a.json")).write_text('{"id": "a"}')
    with pytest.raises(InvalidDataError, match=r"a\.json can't be understood; delete it"):
        store.find("a", KEY)


def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="no safe file name"):
        StageStore(tmp_path).find("../a", KEY)


def test_a_killed_writer_leaves_whole_records_with_their_images(tmp_path: Path) -> None:
    code = (
        "import itertools, sys\nfrom pathlib import Path\nfrom PIL import Image\n"
        "from fashionedit.builders.stage_store import StageRecord, StageStore\n"
        "store = StageStore(Path(sys.argv[1]))\n"
        "for n in itertools.count():\n"
        "    digest = store.put_image(Image.new('RGB', (64, 64), (n % 256, n // 256 % 256, 9)))\n"
        "    store.commit(StageRecord(id=f'p{n}', key='k', status='kept', data={'image': digest}))\n"
        "    print(n, flush=True)\n"
    )
    seen = 0
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(20):
            seen = max(seen, int(process.stdout.readline()))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        store = StageStore(tmp_path)
        records = list(store.records())
        assert len(records) > seen
        for found in records:
            assert pixel_digest(read_image(store.image_path(found.data["image"]))) == found.data["image"]


def funnel_record(identity: str, status: str, reason: str | None = None) -> StageRecord:
    return StageRecord.model_validate({"id": identity, "key": "k", "status": status, "reason": reason})


RECORDS = [
    funnel_record("a", "kept"),
    funnel_record("b", "dropped", "no caption"),
    funnel_record("c", "dropped", "not readable"),
    funnel_record("d", "dropped", "no caption"),
    funnel_record("e", "failed", "server error"),
    funnel_record("of another build", "dropped", "no caption"),
]
STEP = FunnelStep.of_records("photos", "abcde", "a", RECORDS)
FUNNEL = Funnel((STEP, FunnelStep("drafts", 1, 1)))


def test_a_step_counts_reasons_of_its_own_photographs() -> None:
    assert (STEP.came, STEP.kept) == (5, 1)
    assert STEP.dropped == {"no caption": 2, "not readable": 1}
    assert STEP.failed == {"server error": 1}
    assert FUNNEL.failed == 1


def test_the_funnel_reads_as_text_as_a_table_and_as_json() -> None:
    assert FUNNEL.to_text().splitlines() == [
        "photos  5 → 1   no caption: 2; not readable: 1; server error: 1 (to be tried again)",
        "drafts  1 → 1",
    ]
    assert "| photos | 5 | 1 | no caption: 2; not readable: 1; server error: 1 (to be tried again) |" in (
        FUNNEL.to_markdown()
    )
    assert json.loads(FUNNEL.to_json())["steps"][0]["dropped"] == {"no caption": 2, "not readable": 1}


def test_the_same_settings_again_change_nothing(tmp_path: Path) -> None:
    keep_settings(tmp_path / "generate", {"steps": 28, "size": (1, 2)})
    before = (tmp_path / "generate" / SETTINGS_FILE).stat().st_mtime_ns
    keep_settings(tmp_path / "generate", {"size": [1, 2], "steps": 28})
    assert (tmp_path / "generate" / SETTINGS_FILE).stat().st_mtime_ns == before


def test_other_settings_are_refused_with_each_difference(tmp_path: Path) -> None:
    keep_settings(tmp_path, {"model": "a", "prompt": {"name": "paper", "text": "x" * 99}})
    other = {"model": "a", "prompt": {"name": "mine", "text": "x" * 99}, "seed": 1}
    with pytest.raises(InvalidDataError, match=r'prompt\.name: "paper" → "mine"; seed: null → 1.*give --again'):
        check_settings(tmp_path, other)
    keep_settings(tmp_path, other)
    check_settings(tmp_path, other)


def test_long_values_are_cut_in_messages() -> None:
    assert all(len(text) < 150 for text in settings_differences({"a": "x" * 500}, {"a": "y" * 500}))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / SETTINGS_FILE).write_text("{")
    with pytest.raises(InvalidDataError, match="can't be understood"):
        keep_settings(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "can't be understood .*; delete it to have it written again"),
        ("[1]", "holds no JSON object; delete it to have it written again"),
    ],
)
def test_settings_that_can_not_be_read_are_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    assert stored_settings(tmp_path) == {}
    (tmp_path / SETTINGS_FILE).write_text(text)
    with pytest.raises(InvalidDataError, match=sentence):
        stored_settings(tmp_path)


def test_a_work_folder_that_can_not_be_made_is_a_sentence_and_an_empty_one_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = WorkFolder(tmp_path / "work")
    folder.claim()
    folder.claim()  # again, as the next build does
    folder.leave_unless_begun()
    assert not folder.path.exists()

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(
        InvalidDataError, match=r"work can't be made \(No space left on device\); choose another --work"
    ):
        folder.claim()
