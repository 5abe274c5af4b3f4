from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import HubServer
from photo_toys import items, photos, unusable
from PIL import Image
from publishing_toys import python

from fashionedit.annotations_form import write_annotations
from fashionedit.builders.pack import pack
from fashionedit.builders.photos import check_photos, open_source
from fashionedit.builders.photos.hub import read_image_cell
from fashionedit.builders.stage_store import StageStore
from fashionedit.errors import DatasetNotFoundError, InvalidDataError, ServiceError, UnknownNameError

VIEWS = ("front", "side", "back")


def encoded(number: int, form: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    picture = Image.new("RGB", (80, 100), (number * 9 % 256, 90, 200 - number))
    picture.paste("white", (10, 10, 40, 60))  # of one colour alone it would be no photograph
    picture.save(buffer, form)
    return buffer.getvalue()


def marqo_rows(count: int) -> list[dict[str, Any]]:
    """Rows in the shape of Marqo/deepfashion-multimodal, in an order that is not that of the names."""
    return [
        {
            "image": {"bytes": encoded(number, ("JPEG", "PNG", "WEBP")[number % 3]), "path": None},
            "category1": "women",
            "category2": "Dresses",
            "category3": None,
            "text": f"dress {number}" if number % 5 else None,
            "item_ID": f"WOMEN-Dresses-id_{(count - number) // 3:08d}-01_{number % 3 + 1}_{VIEWS[number % 3]}",
        }
        for number in range(count)
    ]


def write(folder: Path, rows: Sequence[dict[str, Any]], split: str = "data", shards: int = 2) -> Path:
    """Writes a dataset folder that `datasets` opens as it opens one on the Hub."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    names = dict.fromkeys(name for row in rows for name in row)
    types = {"image": image, "picture": image, "sd3": image, "category3": pa.float64(), "label": pa.int64()}
    kinds = {name: types.get(name, pa.string()) for name in names}
    features: dict[str, Any] = {
        name: {"_type": "Image"}
        if kind == image
        else {"_type": "Value", "dtype": str(kind).replace("double", "float64")}
        for name, kind in kinds.items()
    }
    if "label" in features:
        features["label"] = {"_type": "ClassLabel", "names": ["coat", "dress"]}
    schema = pa.schema(list(kinds.items()), {"huggingface": json.dumps({"info": {"features": features}})})
    for shard in range(shards):
        part = rows[len(rows) * shard // shards : len(rows) * (shard + 1) // shards]
        path = folder / "data" / f"{split}-{shard:05d}-of-{shards:05d}.parquet"
        pq.write_table(pa.Table.from_pylist([{n: row.get(n) for n in names} for row in part], schema), path)
    return folder


def test_signatures_of_urls_are_not_kept(tmp_path: Path) -> None:
    rows = [
        {
            "image": {"bytes": encoded(number), "path": None},
            "text": f"dress {number}, https://user:LEAKED@shop/x?token=LEAKED",
            "id": f"https://bucket/photos/dress-{number}.jpg?X-Amz-Signature=LEAKED{number}",
            "link": f"https://bucket/{number}.jpg?X-Amz-Credential=LEAKED&size=3",
        }
        for number in range(3)
    ]
    place, work = write(tmp_path / "set", rows), tmp_path / "work"
    found = photos(place, work)
    assert sorted(found) == ["dress-0", "dress-1", "dress-2"]
    assert found["dress-1"].caption == "dress 1, https://***@shop/x?token=***"
    assert found["dress-1"].attributes == {"link": "https://bucket/1.jpg?X-Amz-Credential=***&size=3"}
    files = [path for path in work.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert [path for path in files if b"LEAKED" in path.read_bytes() or "LEAKED" in path.name] == []


def test_rows_become_files_with_the_bytes_they_had(tmp_path: Path) -> None:
    rows = marqo_rows(12)
    place, work = write(tmp_path / "set", rows), tmp_path / "work"
    fetched: list[tuple[int, int]] = []
    open_source(place, work=work).photos(lambda *at: fetched.append(at))
    assert [done for done, _ in fetched] == list(range(1, 13))
    found = photos(place, work)
    assert found.keys() == {row["item_ID"] for row in rows}
    for row in rows:
        photo = found[row["item_ID"]]
        assert photo.path.read_bytes() == row["image"]["bytes"]
        assert photo.path.suffix in (".jpg", ".png", ".webp")
        assert photo.path.is_relative_to(work / "photos" / "images")
        assert photo.caption == row["text"]
        assert (photo.gender, photo.category, photo.view) == ("WOMEN", "Dresses", row["item_ID"].rpartition("_")[2])
        assert photo.attributes == {"colourway": "01", "category1": "women", "category2": "Dresses"}
    store = StageStore(work / "photos")
    kept = check_photos(open_source(place, work=work).photos(), store)[0]
    assert [photo.id for photo in kept] == sorted(row["item_ID"] for row in rows if row["text"])


def test_nothing_is_fetched_again(tmp_path: Path) -> None:
    place, work = write(tmp_path / "set", marqo_rows(6)), tmp_path / "work"
    before = photos(place, work)
    description = open_source(place, work=work).describe()
    assert description["spec"] == "set"
    times = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()}
    fetched: list[tuple[int, int]] = []
    open_source(place, work=work).photos(lambda *at: fetched.append(at))
    assert fetched == []
    assert photos(place, work) == before
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()} == times


def test_another_dataset_in_the_same_work_folder_is_named(tmp_path: Path) -> None:
    place, work = write(tmp_path / "set", marqo_rows(6)), tmp_path / "work"
    photos(place, work)
    for options in ({"columns": {"caption": "category2"}}, {"split": "data"}):
        with pytest.raises(InvalidDataError, match="holds the photographs of another dataset, or of other columns"):
            items(place, work, **options)
    write(tmp_path / "set", marqo_rows(7))
    with pytest.raises(InvalidDataError, match="holds the photographs of another dataset"):
        items(place, work)
    (work / "photos" / "hub.json").write_text("[")
    with pytest.raises(InvalidDataError, match=r"hub\.json can't be understood"):
        items(place, work)


KILLED = """
import os, signal, sys
from pathlib import Path
from fashionedit.builders.photos import open_source

def fetching(done, total):
    print(done, flush=True)
    if done == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

open_source(sys.argv[1], work=Path(sys.argv[2])).photos(fetching)
"""


@pytest.mark.slow
def test_killed_twice_it_fetches_only_what_is_not_there(tmp_path: Path) -> None:
    rows = marqo_rows(11)
    place, work = write(tmp_path / "set", rows), tmp_path / "work"

    def run(after: int) -> tuple[int, list[int]]:
        command = [sys.executable, "-c", KILLED, str(place), str(work), str(after)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "HF_HOME": str(tmp_path)}
        )
        return done.returncode, [int(line) for line in done.stdout.split()]

    assert run(4) == (-signal.SIGKILL, [1, 2, 3, 4])
    with (work / "photos" / "rows.jsonl").open("ab") as file:
        file.write(b'{"row":4,"id":"WOMEN')  # a line that a killed process left
    assert run(7) == (-signal.SIGKILL, [5, 6, 7])
    assert run(0) == (0, [8, 9, 10, 11])
    again = photos(place, tmp_path / "whole")
    found = photos(place, work)
    assert found.keys() == again.keys() == {row["item_ID"] for row in rows}
    for name, photo in found.items():
        assert photo.path.read_bytes() == again[name].path.read_bytes()
        assert (photo.caption, photo.attributes) == (again[name].caption, again[name].attributes)


def test_columns_splits_drafts_and_labels(tmp_path: Path) -> None:
    rows = [
        {
            "picture": {"bytes": encoded(k), "path": f"folder/my photo {k}.jpg"} if k else None,
            "sd3": {"bytes": encoded(40 + k, "PNG"), "path": None} if k != 2 else None,
            "words": f"thing {k}",
            "label": k % 2,
        }
        for k in range(4)
    ]
    place = write(tmp_path / "set", rows, split="train", shards=1)
    write(place, rows[:1], split="test", shards=1)
    with pytest.raises(UnknownNameError, match="has the splits test, train; choose one with --source-split"):
        items(place, tmp_path / "none")
    with pytest.raises(UnknownNameError, match="has no split 'validation'; it has test, train"):
        items(place, tmp_path / "none", split="validation")
    columns = {"image": "picture", "caption": "words", "draft": "sd3", "category": "label"}
    (missing,) = unusable(place, tmp_path / "work", split="train", columns=columns).values()
    assert (missing.id, missing.reason) == ("train-000000", "no image")
    kept = photos(place, tmp_path / "work", split="train", columns=columns).values()
    assert sorted((photo.caption, photo.category) for photo in kept) == [
        ("thing 1", "dress"),
        ("thing 2", "coat"),
        ("thing 3", "dress"),
    ]
    assert all(photo.id.startswith(f"my-photo-{(photo.caption or '')[-1]}-") for photo in kept)
    drafts = {photo.caption: photo.draft for photo in kept}
    assert drafts["thing 2"] is None
    assert drafts["thing 1"] is not None
    assert drafts["thing 1"].read_bytes() == encoded(41, "PNG")


def test_captions_of_a_file_fill_in_where_a_row_has_none(tmp_path: Path) -> None:
    rows = marqo_rows(6)
    (tmp_path / "captions.json").write_text(json.dumps({f"{row['item_ID']}.jpg": "from the file" for row in rows}))
    place = write(tmp_path / "set", rows)
    found = photos(place, tmp_path / "work", captions=tmp_path / "captions.json")
    assert {found[row["item_ID"]].caption for row in rows if row["text"] is None} == {"from the file"}
    assert all(found[row["item_ID"]].caption == row["text"] for row in rows if row["text"])


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        ({"item_ID": "same"}, {}, "rows 0 and 1 of .* have the same id, same; name a column whose values are unique"),
        ({}, {"columns": {"image": "text"}}, "the column text of .* holds no images; those with images are image"),
        ({}, {"columns": {"draft": "text"}}, "the column text of .* holds no images"),
        ({}, {"config": "other"}, "can't be read .*other"),
        (
            {"image": {"bytes": None, "path": "/etc/passwd"}},
            {},
            "image '/etc/passwd', which can't be read from inside",
        ),
        ({"image": {"bytes": None, "path": "/etc/passwd::{place}/data/x"}}, {}, "in more than one place"),
        ({"image": {"bytes": None, "path": "zip://x.png::{place}/data/x.zip"}}, {}, "in more than one place"),
        ({"image": {"bytes": None, "path": "/etc/passwd::hf://datasets/a/b/x"}}, {}, "in more than one place"),
        ({"image": {"bytes": None, "path": "hf://datasets/a/b/x"}}, {}, "can't be read from inside"),
        ({"image": {"bytes": None, "path": "x/../../secret.png"}}, {}, "lies outside the dataset"),
    ],
)
def test_a_dataset_that_does_not_fit_is_named(
    tmp_path: Path, change: dict[str, Any], options: dict[str, Any], sentence: str
) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(7))
    text = json.dumps(change).replace("{place}", str(tmp_path / "set"))
    place = write(tmp_path / "set", [{**row, **json.loads(text)} for row in marqo_rows(4)])
    with pytest.raises(InvalidDataError, match=sentence):
        items(place, tmp_path / "work", **options)


def test_a_dataset_without_rows_or_with_a_broken_file_is_named(tmp_path: Path) -> None:
    place = write(tmp_path / "set", marqo_rows(2), shards=1)
    table = pq.read_table(place / "data" / "data-00000-of-00001.parquet")
    pq.write_table(table.slice(0, 0), place / "data" / "data-00000-of-00001.parquet")
    with pytest.raises(InvalidDataError, match="can't be read"):  # `datasets` refuses a file without rows
        items(place, tmp_path / "work")
    (place / "data" / "data-00000-of-00001.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InvalidDataError, match="can't be read"):
        items(place, tmp_path / "other")
    (place / "data" / "data-00000-of-00001.parquet").unlink()
    with pytest.raises(DatasetNotFoundError, match="set can't be opened as a dataset"):
        items(place, tmp_path / "third", kind="hub")


def test_images_that_are_files_of_the_dataset_are_read(tmp_path: Path) -> None:
    place = tmp_path / "set"
    (place / "train").mkdir(parents=True)
    (place / "train" / "a.jpg").write_bytes(encoded(3))
    (place / "train" / "metadata.jsonl").write_text('{"file_name": "a.jpg", "text": "a coat"}\n')
    (photo,) = photos(place, tmp_path / "work", kind="hub").values()
    assert (photo.id, photo.caption, photo.path.read_bytes()) == ("a", "a coat", encoded(3))


def test_a_repository_is_named_with_and_without_a_revision(tmp_path: Path) -> None:
    for spec in ("nobody/nothing", "hub:nobody/nothing", "nobody/nothing@v1"):
        with pytest.raises(ServiceError, match=r"the Hub does not answer for nobody/nothing .*; check the network"):
            open_source(spec, work=tmp_path).describe()
    with pytest.raises(DatasetNotFoundError, match="does not exist; photographs come from"):
        open_source("nobody/nothing", work=tmp_path, kind="release")
    with pytest.raises(DatasetNotFoundError, match="does not exist"):
        open_source("hub:nothing", work=tmp_path)


def test_an_image_outside_the_dataset_or_beyond_all_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("/etc/passwd", "hf://datasets/org/other@main/a.jpg", "https://example.com/a.jpg"):
        with pytest.raises(
            InvalidDataError, match=r"a row of org/name names the image .*, which lies outside the dataset"
        ):
            read_image_cell("org/name", {"bytes": None, "path": path})
    assert read_image_cell("org/name", {"bytes": None, "path": None}) is None
    assert read_image_cell("org/name", "a.jpg") is None
    monkeypatch.setattr("fashionedit.builders.photos.hub.MAX_FILE_BYTES", 2**20)
    with pytest.raises(InvalidDataError, match="holds an image above the 1 MiB that are read"):
        read_image_cell("org/name", {"bytes": b"x" * 2**21, "path": None})


FETCH = """
import json, sys
from pathlib import Path
from fashionedit.builders.photos import open_source
from fashionedit.errors import FashionEditError

try:
    source = open_source(sys.argv[1], work=Path(sys.argv[2]))
    found = {item.id: item.caption for item in source.photos()}
    print(json.dumps({"found": found, "described": source.describe()}))
except FashionEditError as error:
    print(json.dumps({"error": [type(error).__name__, str(error)]}))
"""


@pytest.mark.slow
def test_a_dataset_on_the_hub_is_fetched_once_and_at_one_commit(tmp_path: Path) -> None:
    rows = marqo_rows(8)
    files = {
        f"data/{path.name}": path.read_bytes() for path in (write(tmp_path / "set", rows) / "data").glob("*.parquet")
    }
    with HubServer() as hub:
        repository = hub.create("datasets", "tester/photos")
        commit = repository.commit("main", files, message="photographs")

        def fetch(spec: str, work: str) -> dict[str, Any]:
            environment = {**os.environ, **hub.environment(), "HF_HOME": str(tmp_path / work / "hf")}
            command = [sys.executable, "-c", FETCH, spec, str(tmp_path / work)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            return dict(json.loads(done.stdout))

        first = fetch("tester/photos", "work")
        assert first["found"] == {row["item_ID"]: row["text"] for row in rows}
        assert first["described"]["commit"] == commit
        assert first["described"]["spec"] == "tester/photos"
        files = {path: b"other" for path in files}
        repository.commit("main", files, message="something else")
        asked = len(hub.requests)
        assert fetch("tester/photos", "work") == first
        assert len(hub.requests) == asked
        assert fetch(f"hub:tester/photos@{commit}", "pinned")["found"] == first["found"]
        kind, sentence = fetch("tester/nothing@v1", "none")["error"]
        assert kind == "DatasetNotFoundError"
        assert sentence.startswith("tester/nothing can't be opened as a dataset (")


@pytest.mark.slow
def test_the_annotations_form_is_filled_in_from_the_dataset_that_the_set_was_built_from(tmp_path: Path) -> None:
    rows = marqo_rows(4)
    built = tmp_path / "built"
    photographs = list(photos(write(tmp_path / "set", rows), tmp_path / "work").values())
    (built / "photos").mkdir(parents=True)
    for photo in photographs:
        (built / "photos" / photo.path.name).write_bytes(photo.path.read_bytes())
    lines = [
        {
            "image_id": photo.id,
            "original": f"photos/{photo.path.name}",
            "draft": f"photos/{photographs[number - 1].path.name}",
            "annotation": photo.caption or "",
            "differences": [
                {"description": f"wearing thing {k}", "box_2d": [200 * k, 100, 200 * k + 150, 600]} for k in (1, 2, 3)
            ],
        }
        for number, photo in enumerate(photographs)
    ]
    (built / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    pack(built, tmp_path / "full")
    write_annotations(tmp_path / "full", tmp_path / "annotations")
    with HubServer() as hub:
        repository = hub.create("datasets", "tester/photos")
        files = {f"data/{path.name}": path.read_bytes() for path in (tmp_path / "set" / "data").glob("*.parquet")}
        repository.commit("main", files, message="photographs")
        for place in ("tester/photos", str(tmp_path / "set")):
            arguments = ("hydrate", str(tmp_path / "annotations"), place, str(tmp_path / place.replace("/", "-")))
            done = python(*arguments, environment=hub.environment(), home=tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "the set is the published one" in done.stdout
