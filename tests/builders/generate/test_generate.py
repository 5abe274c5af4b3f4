from __future__ import annotations

import doctest
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from killed_generate import PHOTOS, CountingDrafts, run
from PIL import Image
from tiny_pipelines import write_tiny_sd3
from toy_drafts import ToyDrafts, painted, write_photos

from fashionedit.builders import build_options, filter, stage_store
from fashionedit.builders.analyse import answers
from fashionedit.builders.generate import drafting
from fashionedit.builders.generate.diffusers_drafts import DiffusersDrafts
from fashionedit.builders.generate.drafting import DraftRequest, DraftResult, draft_seed
from fashionedit.builders.generate.makers import FolderDrafts, make_drafts
from fashionedit.builders.generate.openai_drafts import OpenAIDrafts
from fashionedit.builders.generate.stage import generate, throughput
from fashionedit.builders.photos import Photo, stage
from fashionedit.builders.stage_store import StageRecord, StageStore, spent
from fashionedit.errors import (
    DatasetNotFoundError,
    FashionEditError,
    InvalidDataError,
    MissingExtraError,
    ServiceError,
    UnknownNameError,
)
from fashionedit.images import pixel_digest, read_image
from fashionedit.runtime import vision_model
from fashionedit.types import safe_id

HERE = Path(__file__).parent


@pytest.fixture
def photos(tmp_path: Path) -> list[Photo]:
    return write_photos(tmp_path / "photos", 10)


def told(store: StageStore) -> dict[str, tuple[str, str | None]]:
    return {record.id: (record.status, record.reason) for record in store.records()}


def record(store: StageStore, identity: str) -> StageRecord:
    return next(record for record in store.records() if record.id == identity)


def test_drafts_come_in_the_order_of_the_photographs_with_their_digests(photos: list[Photo], store: StageStore) -> None:
    shuffled = photos[5:] + photos[:5]
    news: list[tuple[int, int]] = []
    maker = ToyDrafts()
    pairs = generate(iter(shuffled), maker, store, progress=lambda done, total: news.append((done, total)))
    assert [replace(pair, draft=None, draft_digest="") for pair in pairs] == shuffled
    for pair in pairs:
        drawn = painted(pair.caption or "", draft_seed(0, pair.id))
        assert pair.draft_digest == pixel_digest(drawn) == pixel_digest(read_image(pair.pair[1][0]))
    assert news == [(number, 10) for number in range(1, 11)]
    assert [len(batch) for batch in maker.batches] == [4, 4, 2]


def test_a_record_says_what_the_draft_is(photos: list[Photo], store: StageStore) -> None:
    def does(request: DraftRequest) -> DraftResult:
        return DraftResult(
            painted("a", 0), seconds=0.5, cost=0.25, effective={"steps": 3}, provenance={"device": "toy"}
        )

    (pair, *_) = generate(photos[:3], ToyDrafts(does, highest_cost=None), store, base_seed=9)
    data = record(store, "p00").data
    assert data.pop("date")
    assert data == {
        "draft": pair.draft_digest,
        "size": [32, 48],
        "seed": draft_seed(9, "p00"),
        "effective": {"steps": 3},
        "provenance": {"device": "toy"},
        "seconds": 0.5,
        "usd": 0.25,
        "batch": 3,
    }
    assert throughput(store) == 2.0
    assert spent(store) == 0.75


def test_nothing_is_generated_twice(photos: list[Photo], store: StageStore) -> None:
    first = generate(photos, ToyDrafts(), store)
    again = ToyDrafts(batch_size=3)
    assert generate(photos, again, store) == first
    assert not again.batches


def test_a_changed_caption_seed_or_maker_is_another_draft(photos: list[Photo], store: StageStore) -> None:
    generate(photos, ToyDrafts(), store)
    maker = ToyDrafts()
    changed = [replace(photos[0], caption="a coat"), *photos[1:]]
    generate(changed, maker, store)
    assert maker.asked == ["p00"]
    maker = ToyDrafts(description="toy 2")
    generate(changed, maker, store)
    assert len(maker.asked) == 10
    generate(changed, maker, store, base_seed=1)
    assert len(maker.asked) == 20


def test_seeds_depend_on_the_photograph_and_the_base_alone(photos: list[Photo], tmp_path: Path) -> None:
    whole = {pair.id: pair for pair in generate(photos, ToyDrafts(), StageStore(tmp_path / "a"))}
    alone = generate(photos[7:8], ToyDrafts(batch_size=1), StageStore(tmp_path / "b"))
    assert alone[0].draft_digest == whole["p07"].draft_digest
    seeds = {draft_seed(base, f"p{number}") for base in range(10) for number in range(1000)}
    assert len(seeds) > 9990
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_missing_draft_file_is_made_again(photos: list[Photo], store: StageStore) -> None:
    first = generate(photos, ToyDrafts(), store)
    first[4].draft.unlink()
    maker = ToyDrafts()
    assert generate(photos, maker, store) == first
    assert maker.asked == ["p04"]


def test_pictures_without_a_picture_are_dropped(photos: list[Photo], store: StageStore) -> None:
    pictures = {
        "p00": Image.new("RGB", (8, 8)),
        "p01": Image.new("RGB", (8, 8), "white"),
        "p02": Image.new("RGB", (8, 8), (1, 2, 0)),
        "p03": Image.new("I", (8, 8)),
    }
    maker = ToyDrafts(lambda request: DraftResult(pictures.get(request.id, painted("a", 0))))
    pairs = generate(photos[:5], maker, store)
    assert [pair.id for pair in pairs] == ["p04"]
    assert told(store) == {
        "p00": ("dropped", "black image"),
        "p01": ("dropped", "one-colour image"),
        "p02": ("dropped", "black image"),
        "p03": ("dropped", "draft not readable"),
        "p04": ("kept", None),
    }
    generate(photos[:5], maker, store)
    assert len(maker.asked) == 5  # dropped is for good


def test_failures_are_tried_again_by_the_next_run_and_refusals_are_not(photos: list[Photo], store: StageStore) -> None:
    answers = {
        "p00": DraftResult(reason="refused", detail="no"),
        "p01": DraftResult(reason="time-out", detail="later", retry=True),
    }
    maker = ToyDrafts(lambda request: answers.get(request.id) or DraftResult(painted("a", request.seed)))
    assert len(generate(photos[:4], maker, store)) == 2
    assert told(store)["p00"] == ("dropped", "refused")
    assert told(store)["p01"] == ("failed", "time-out")
    answers.clear()
    assert [pair.id for pair in generate(photos[:4], maker, store)] == ["p01", "p02", "p03"]
    assert Counter(maker.asked) == {"p00": 1, "p01": 2, "p02": 1, "p03": 1}


@pytest.mark.parametrize(
    ("caption", "reason"), [(None, "no caption"), (" \n", "no caption"), ("half \ud83d", "invalid caption")]
)
def test_without_a_caption_nothing_is_generated(
    photos: list[Photo], store: StageStore, caption: str | None, reason: str
) -> None:
    maker = ToyDrafts()
    assert len(generate([replace(photos[0], caption=caption), photos[1]], maker, store)) == 1
    assert told(store)["p00"] == ("dropped", reason)
    assert maker.asked == ["p01"]
    generate(photos[:1], maker, store)
    assert told(store)["p00"] == ("kept", None)  # with a caption it is another request


def test_ready_drafts_are_used_where_they_lie(photos: list[Photo], store: StageStore, tmp_path: Path) -> None:
    ready = tmp_path / "ready.jpg"
    painted("ready", 0).save(ready, quality=95)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    black = tmp_path / "black.png"
    Image.new("RGB", (8, 8)).save(black)
    drafts = (ready, bad, black, tmp_path / "missing.png", None)
    mixed = [replace(photo, draft=draft) for photo, draft in zip(photos, drafts, strict=False)]
    maker = ToyDrafts()
    pairs = generate(mixed, maker, store)
    assert [pair.id for pair in pairs] == ["p00", "p04"]
    assert pairs[0].draft == ready
    assert pairs[0].draft_digest == pixel_digest(read_image(ready))
    assert record(store, "p00").data == {"draft": pairs[0].draft_digest, "size": [32, 48], "ready": True}
    assert told(store) == {
        "p00": ("kept", None),
        "p01": ("dropped", "draft not readable"),
        "p02": ("dropped", "black image"),
        "p03": ("failed", "no draft"),
        "p04": ("kept", None),
    }
    assert maker.asked == ["p04"]
    assert throughput(store) == 2.0  # ready drafts took no time
    painted("mended", 0).save(bad)
    assert [pair.id for pair in generate(mixed, maker, store)] == ["p00", "p01", "p04"]


def test_a_folder_of_drafts_generates_nothing(photos: list[Photo], store: StageStore, tmp_path: Path) -> None:
    folder = tmp_path / "drafts"
    (folder / "nested").mkdir(parents=True)
    painted("a", 0).save(folder / "p00.png")
    painted("b", 0).save(folder / "nested" / "p01.JPG", "JPEG")
    (folder / "p03.heic").write_bytes(b"in a format that is not read")
    (folder / "notes.txt").write_text("no image")
    maker = make_drafts(f"folder:{folder}")
    pairs = generate(photos[:4], maker, store)
    assert [pair.draft for pair in pairs] == [folder / "p00.png", folder / "nested" / "p01.JPG"]
    assert told(store)["p02"] == ("dropped", "no draft")
    assert told(store)["p03"] == ("dropped", "draft not readable")
    assert not (store.folder / "files").exists()
    painted("c", 0).save(folder / "p02.webp", lossless=True)
    assert len(generate(photos[:3], FolderDrafts(folder), store)) == 3  # one that is there now is taken


def test_a_folder_that_can_be_no_folder_of_drafts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match="does not exist"):
        FolderDrafts(tmp_path / "nowhere")
    with pytest.raises(DatasetNotFoundError, match="holds no image"):
        FolderDrafts(tmp_path)
    for name in ("a.png", "a.jpg"):
        painted("a", 0).save(tmp_path / name)
    with pytest.raises(InvalidDataError, match=r"both the draft of a;"):
        FolderDrafts(tmp_path)


@pytest.mark.parametrize("error", [ServiceError("the service is gone"), MissingExtraError("diffusers", "peft")])
def test_what_stops_the_maker_stops_the_stage_and_what_it_had_is_kept(
    photos: list[Photo], store: StageStore, error: FashionEditError
) -> None:
    def does(request: DraftRequest) -> DraftResult:
        if request.id == "p05":
            raise error
        return DraftResult(painted("a", request.seed))

    maker = ToyDrafts(does)
    with pytest.raises(type(error), match=r"is gone|peft is not installed"):
        generate(photos, maker, store)
    assert list(told(store)) == [f"p{number:02}" for number in range(4)]
    maker = ToyDrafts()
    assert len(generate(photos, maker, store)) == 10
    assert maker.asked == [f"p{number:02}" for number in range(4, 10)]


def test_what_was_finished_beside_the_stop_is_committed(photos: list[Photo], store: StageStore) -> None:
    answers = {"p02": DraftResult(stop=ServiceError("no quota"))}
    maker = ToyDrafts(lambda request: answers.get(request.id) or DraftResult(painted("a", request.seed)))
    with pytest.raises(ServiceError, match="no quota"):
        generate(photos, maker, store)
    assert list(told(store)) == ["p00", "p01", "p03"]


def test_a_bug_in_the_maker_keeps_its_traceback(photos: list[Photo], store: StageStore) -> None:
    def does(request: DraftRequest) -> DraftResult:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        generate(photos, ToyDrafts(does), store)
    assert not told(store)


def test_a_maker_that_answers_too_little_is_named(photos: list[Photo], store: StageStore) -> None:
    class Lazy(ToyDrafts):
        def make(self, requests: Any) -> list[DraftResult]:
            return super().make(requests[:1])

    with pytest.raises(InvalidDataError, match="Lazy answered 4 requests with 1 results"):
        generate(photos, Lazy(), store)


def test_a_result_is_one_of_three_things() -> None:
    for wrong in ({}, {"image": painted("a", 0), "reason": "b", "detail": "c"}, {"reason": "without a detail"}):
        with pytest.raises(InvalidDataError, match="exactly one"):
            DraftResult(**wrong)


def test_the_examples_in_the_docstrings_hold() -> None:
    for module in (answers, build_options, drafting, vision_model, filter, stage, stage_store):
        assert doctest.testmod(module).failed == 0
        assert doctest.testmod(module).attempted >= 1


def test_no_drafts_have_no_speed(store: StageStore) -> None:
    assert throughput(store) is None
    assert spent(store) == 0.0


def test_makers_have_names(tmp_path: Path) -> None:
    assert isinstance(make_drafts("sd3", steps=4, batch_size=None), DiffusersDrafts)
    assert isinstance(make_drafts("diffusers:someone/something@v1", t5=False), DiffusersDrafts)
    assert isinstance(make_drafts(f"diffusers:{tmp_path}"), DiffusersDrafts)
    assert isinstance(make_drafts("openai:some-model", concurrency=2), OpenAIDrafts)


@pytest.mark.parametrize(
    ("spec", "options", "sentence"),
    [
        ("sd4", {}, "nothing called 'sd4' makes drafts"),
        ("sd3:", {}, "nothing called"),
        ("openai:", {}, "nothing called"),
        ("someone/something", {}, "nothing called"),
        ("diffusers:someone/something@", {}, "@ without a revision"),
        ("diffusers:someone/something@v1", {"revision": "v2"}, "names a revision"),
        ("openai:some-model", {"steps": 3}, "take no steps; they take base_url"),
        ("folder:.", {"steps": 3}, "take no steps; they take no options"),
    ],
)
def test_names_and_options_that_mean_nothing_are_refused(spec: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnknownNameError, match=sentence):
        make_drafts(spec, **options)


def drive(*arguments: object) -> int:
    return subprocess.run(
        [sys.executable, str(HERE / "killed_generate.py"), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parents[1] / "harness")))},
        capture_output=True,
        check=False,
        timeout=120,
    ).returncode


def kept(out: Path) -> dict[str, Any]:
    """All files of the stage, the times in the records aside."""
    found: dict[str, Any] = {}
    for path in (path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        if path.suffix == ".json":
            found[name] = json.loads(path.read_text())
            assert found[name]["data"].pop("seconds") > 0
        elif not name.endswith(".part"):
            found[name] = path.read_bytes()
    return found


@pytest.mark.slow
def test_a_stage_killed_at_any_moment_repeats_a_batch_at_most_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    pipeline = write_tiny_sd3(tmp_path / "sd3")
    photos, out, counter = tmp_path / "photos", tmp_path / "killed", tmp_path / "counter"
    committed: set[str] = set()
    begun = 0
    # In the middle of the first batch's records, then of the second batch's images.
    for moment, after, records in (("after records", 1, 2), ("after files", 1, 3)):
        assert drive(pipeline, photos, out, counter, moment, after) == -signal.SIGKILL
        asked = counter.read_text().split()
        assert not committed & set(asked[begun:])  # what was committed is never made again
        begun = len(asked)
        committed = {path.stem for path in out.glob("records/*/*.json")}
        assert len(committed) == records
    pairs = run(CountingDrafts(pipeline, counter), photos, out)
    asked = counter.read_text().split()
    assert len(asked) == 3 + 3 + 7  # the second batch is made twice, the first is not
    assert not committed & set(asked[begun:])

    whole = run(CountingDrafts(pipeline, tmp_path / "other"), photos, tmp_path / "whole")
    assert len((tmp_path / "other").read_text().split()) == PHOTOS
    assert [pair.draft_digest for pair in whole] == [pair.draft_digest for pair in pairs]
    assert kept(out) == kept(tmp_path / "whole")


def test_a_batch_that_was_being_committed_is_finished_first(photos: list[Photo], store: StageStore) -> None:
    class Dying(StageStore):
        def commit(self, record: StageRecord) -> None:
            if record.id == "p01":
                raise KeyboardInterrupt
            super().commit(record)

    with pytest.raises(KeyboardInterrupt):
        generate(photos[:4], ToyDrafts(), Dying(store.folder))
    assert list(told(store)) == ["p00"]
    maker = ToyDrafts()
    assert len(generate(photos[:4], maker, store)) == 4
    assert not maker.asked
    assert not list(store.folder.glob("batches/*"))


def test_a_batch_file_that_is_none_is_named(photos: list[Photo], store: StageStore) -> None:
    (store.folder / "batches").mkdir(parents=True)
    (store.folder / "batches" / "a.json").write_text("{}")
    with pytest.raises(InvalidDataError, match=r"a\.json can't be understood"):
        generate(photos, ToyDrafts(), store)


def test_a_draft_may_be_named_as_its_photographs_file(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "red dress (2).png")
    found = FolderDrafts(tmp_path).find(safe_id("red dress (2)"))
    assert found is not None
    assert found.name == "red dress (2).png"
