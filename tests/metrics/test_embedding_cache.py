from __future__ import annotations

import hashlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from fashionedit.errors import InvalidDataError
from fashionedit.metrics import EmbeddingCache
from fashionedit.metrics.cache import BYTES_VARIABLE, CACHE_FILE
from fashionedit.metrics.encoder import fingerprint_hash

FINGERPRINT = {"kind": "toy", "weights": "abc", "preprocessing": "p", "precision": "fp32", "backend": "torch"}
DIMENSION = 16

# Writes batches for ever; a row follows from its digest, so that a reader can tell a wrong one.
WRITER = f"""
import hashlib, sys
from pathlib import Path
import numpy as np
from fashionedit.metrics.cache import EmbeddingCache

folder, name, batches = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
cache = EmbeddingCache(folder)
fingerprint = {FINGERPRINT!r}
for batch in range(batches):
    rows = {{}}
    for number in range(4):
        digest = hashlib.sha256(f"{{name}} {{batch}} {{number}}".encode()).hexdigest()
        row = np.frombuffer(bytes.fromhex(digest)[:{DIMENSION}], dtype=np.uint8).astype(np.float64) + 1
        rows[digest] = (row / np.linalg.norm(row)).astype(np.float32)
    cache.put(fingerprint, rows)
    if batch == 0:
        print("ready", flush=True)
"""


def _digest(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def _row(digest: str) -> np.ndarray:
    row = np.frombuffer(bytes.fromhex(digest)[:DIMENSION], dtype=np.uint8).astype(np.float64) + 1
    return (row / np.linalg.norm(row)).astype(np.float32)


def _rows(*names: object) -> dict[str, np.ndarray]:
    return {digest: _row(digest) for digest in map(_digest, names)}


def _file(cache: EmbeddingCache) -> Path:
    return cache.folder / CACHE_FILE


def _start(folder: Path, name: str, batches: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(batches)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "embeddings")


def test_rows_come_back_in_this_and_in_the_next_process(cache: EmbeddingCache) -> None:
    rows = _rows("a", "b", "c")
    cache.put(FINGERPRINT, rows)
    for reader in (cache, EmbeddingCache(cache.folder)):
        found = reader.get(FINGERPRINT, [*rows, _digest("unknown")], DIMENSION)
        assert found.keys() == rows.keys()
        for digest, row in rows.items():
            np.testing.assert_array_equal(found[digest], row)


def test_it_lies_in_the_cache_folder_of_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FASHIONEDIT_CACHE", str(tmp_path / "mine"))
    EmbeddingCache().put(FINGERPRINT, _rows("a"))
    assert [path.name for path in (tmp_path / "mine" / "embeddings").iterdir()] == [CACHE_FILE]


@pytest.mark.parametrize("part", sorted(FINGERPRINT))
def test_each_part_of_the_fingerprint_makes_it_miss(part: str, cache: EmbeddingCache) -> None:
    rows = _rows("a")
    cache.put(FINGERPRINT, rows)
    assert cache.get({**FINGERPRINT, part: "other"}, rows, DIMENSION) == {}
    without = {key: value for key, value in FINGERPRINT.items() if key != part}
    assert cache.get(without, rows, DIMENSION) == {}
    assert len(cache.get(FINGERPRINT, rows, DIMENSION)) == 1


def test_any_damaged_byte_is_a_miss(cache: EmbeddingCache) -> None:
    rows = _rows("a", "b")
    cache.put(FINGERPRINT, rows)
    file = _file(cache)
    whole = file.read_bytes()
    missed = 0
    for place in [place for place, byte in enumerate(whole) if byte or place % 97 == 0]:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        found = cache.get(FINGERPRINT, rows, DIMENSION)
        missed += len(rows) - len(found)
        for digest, row in found.items():
            np.testing.assert_array_equal(row, rows[digest], err_msg=f"byte {place}")
    assert missed > 100
    for length in (0, 1, 20, 100, len(whole) // 3, len(whole) // 2):
        file.write_bytes(whole[:length])
        assert cache.get(FINGERPRINT, rows, DIMENSION) == {}


def test_a_row_is_of_its_own_encoder_and_picture_only(cache: EmbeddingCache) -> None:
    rows = _rows("a", "b")
    cache.put(FINGERPRINT, rows)
    with closing(sqlite3.connect(_file(cache))) as database, database:
        (first,) = database.execute("SELECT row FROM embeddings ORDER BY age").fetchone()
        database.execute("UPDATE embeddings SET row = ?", (first,))
    assert cache.get(FINGERPRINT, rows, DIMENSION).keys() == {_digest("a")}
    other = {**FINGERPRINT, "weights": "other"}
    with closing(sqlite3.connect(_file(cache))) as database, database:
        database.execute("UPDATE embeddings SET encoder = ?", (fingerprint_hash(other),))
    assert cache.get(other, rows, DIMENSION) == {}


def test_a_damaged_file_is_mended_by_storing_again(cache: EmbeddingCache) -> None:
    rows = _rows("a")
    cache.put(FINGERPRINT, rows)
    for damage in (b"nothing", _file(cache).read_bytes()[:20_000]):
        _file(cache).write_bytes(damage)
        assert cache.get(FINGERPRINT, rows, DIMENSION) == {}
        cache.put(FINGERPRINT, rows)
        assert len(cache.get(FINGERPRINT, rows, DIMENSION)) == 1


def test_rows_of_another_dimension_are_a_miss(cache: EmbeddingCache) -> None:
    rows = _rows("a")
    cache.put(FINGERPRINT, rows)
    assert cache.get(FINGERPRINT, rows, DIMENSION + 1) == {}


@pytest.mark.parametrize(
    ("digest", "row"),
    [
        ("../../evil", _row(_digest("a"))),
        (_digest("a")[:-1], _row(_digest("a"))),
        (_digest("a"), 2 * _row(_digest("a"))),
        (_digest("a"), np.full(DIMENSION, np.nan, dtype=np.float32)),
        (_digest("a"), np.eye(4, dtype=np.float32)),
    ],
)
def test_what_is_no_embedding_is_never_stored(digest: str, row: np.ndarray, cache: EmbeddingCache) -> None:
    with pytest.raises(InvalidDataError):
        cache.put(FINGERPRINT, {digest: row})
    assert not _file(cache).exists()


def test_the_oldest_go_when_it_is_full(tmp_path: Path) -> None:
    limit = 1 << 19
    cache = EmbeddingCache(tmp_path / "full", max_bytes=limit)
    for batch in range(60):  # 6 MB of rows in all
        rows = {digest: np.resize(row, 1024) / 8 for digest, row in _rows(*range(batch * 25, batch * 25 + 25)).items()}
        cache.put({**FINGERPRINT, "weights": str(batch % 2)}, rows)
        assert _file(cache).stat().st_size <= limit
    kept = [
        number
        for number in range(60 * 25)
        if cache.get({**FINGERPRINT, "weights": str(number // 25 % 2)}, _rows(number), 1024)
    ]
    assert kept == list(range(60 * 25 - len(kept), 60 * 25))
    assert len(kept) > 60


def test_a_bound_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, max_bytes=0)
    cache.put(FINGERPRINT, _rows("a"))
    assert cache.get(FINGERPRINT, _rows("a"), DIMENSION) == {}


def test_the_bound_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(BYTES_VARIABLE, "12345")
    assert EmbeddingCache(tmp_path).max_bytes == 12345
    for wrong in ("much", "-1", "1e9", ""):
        monkeypatch.setenv(BYTES_VARIABLE, wrong)
        with pytest.raises(InvalidDataError, match=BYTES_VARIABLE):
            EmbeddingCache(tmp_path)
    with pytest.raises(InvalidDataError):
        EmbeddingCache(tmp_path, max_bytes=-1)


def test_files_of_the_earlier_format_go_and_foreign_ones_stay(tmp_path: Path) -> None:
    alike = tmp_path / ("0" * 16)
    foreign = [tmp_path / "model.safetensors", tmp_path / "models" / "model.safetensors", alike / "model.safetensors"]
    earlier = alike / f"{'a' * 32}.safetensors"
    for file in (*foreign, earlier):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(1000))
    cache = EmbeddingCache(tmp_path)
    assert cache.get(FINGERPRINT, _rows("a"), DIMENSION) == {}
    assert earlier.exists()
    cache.put(FINGERPRINT, _rows("a"))
    assert len(cache.get(FINGERPRINT, _rows("a"), DIMENSION)) == 1
    assert not earlier.exists()
    assert all(file.stat().st_size == 1000 for file in foreign)


def test_a_disk_that_takes_nothing_gives_a_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.warns(UserWarning, match="not kept"):
        EmbeddingCache(blocked / "embeddings").put(FINGERPRINT, _rows("a"))
    (tmp_path / "taken" / CACHE_FILE).mkdir(parents=True)
    with pytest.warns(UserWarning, match="not kept"):
        EmbeddingCache(tmp_path / "taken").put(FINGERPRINT, _rows("a"))
    assert EmbeddingCache(tmp_path / "taken").get(FINGERPRINT, _rows("a"), DIMENSION) == {}


# In a process of its own: this one has the threads of all tests before, and a fork of it may never come to its end.
FORKED = f"""
import os, sys
from pathlib import Path
import numpy as np
from fashionedit.metrics.cache import EmbeddingCache

cache, fingerprint = EmbeddingCache(Path(sys.argv[1])), {FINGERPRINT!r}
rows = {{digest: np.eye({DIMENSION}, dtype=np.float32)[number] for number, digest in enumerate(sys.argv[2:])}}
parent, child = rows
cache.put(fingerprint, {{parent: rows[parent]}})
if not os.fork():
    cache.put(fingerprint, {{child: rows[child]}})
    os._exit(0 if len(cache.get(fingerprint, rows, {DIMENSION})) == 2 else 1)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_it_is_used_from_threads_and_forked_processes(cache: EmbeddingCache) -> None:
    digests = [_digest("parent"), _digest("child")]
    subprocess.run([sys.executable, "-c", FORKED, str(cache.folder), *digests], check=True, timeout=120)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: cache.put(FINGERPRINT, _rows(number)), range(20)))
    assert len(cache.get(FINGERPRINT, _rows("parent", "child", *range(20)), DIMENSION)) == 22


def test_writers_killed_at_any_moment_leave_only_whole_rows(tmp_path: Path) -> None:
    chance = random.Random(0)
    folder = tmp_path / "embeddings"
    stored = 0
    for trial in range(8):
        process = _start(folder, f"writer {trial}", 10**6)
        time.sleep(chance.uniform(0.0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        cache = EmbeddingCache(folder)
        wanted = [_digest(f"writer {trial} {batch} {number}") for batch in range(3000) for number in range(4)]
        found = cache.get(FINGERPRINT, wanted, DIMENSION)
        for digest, row in found.items():
            np.testing.assert_array_equal(row, _row(digest))
        batches = {wanted.index(digest) // 4 for digest in found}
        assert batches == set(range(len(batches))), "what was stored before the kill is still there, whole"
        assert len(found) == 4 * len(batches)
        stored += len(found)
    assert stored > 0


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    folder, batches = tmp_path / "embeddings", 200
    processes = [_start(folder, name, batches) for name in ("left", "right")]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    wanted = [_digest(f"{name} {b} {n}") for name in ("left", "right") for b in range(batches) for n in range(4)]
    found = EmbeddingCache(folder).get(FINGERPRINT, wanted, DIMENSION)
    assert len(found) == len(wanted)
    for digest, row in found.items():
        np.testing.assert_array_equal(row, _row(digest))
    assert [path.name for path in folder.iterdir()] == [CACHE_FILE]
