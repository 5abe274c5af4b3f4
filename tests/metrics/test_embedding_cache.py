from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fashionedit.errors import InvalidDataError
from fashionedit.metrics import EmbeddingCache
from fashionedit.metrics import cache as cache_module
from fashionedit.metrics.cache import BYTES_VARIABLE

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
print("ready", flush=True)
for batch in range(batches):
    rows = {{}}
    for number in range(4):
        digest = hashlib.sha256(f"{{name}} {{batch}} {{number}}".encode()).hexdigest()
        row = np.frombuffer(bytes.fromhex(digest)[:{DIMENSION}], dtype=np.uint8).astype(np.float64) + 1
        rows[digest] = (row / np.linalg.norm(row)).astype(np.float32)
    cache.put(fingerprint, rows)
"""


def _digest(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def _row(digest: str) -> np.ndarray:
    row = np.frombuffer(bytes.fromhex(digest)[:DIMENSION], dtype=np.uint8).astype(np.float64) + 1
    return (row / np.linalg.norm(row)).astype(np.float32)


def _rows(*names: object) -> dict[str, np.ndarray]:
    return {digest: _row(digest) for digest in map(_digest, names)}


def _files(cache: EmbeddingCache) -> list[Path]:
    return sorted(cache.folder.glob("*/*.safetensors"))


def _size(cache: EmbeddingCache) -> int:
    return sum(file.stat().st_size for file in _files(cache))


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
    assert len(list((tmp_path / "mine" / "embeddings").glob("*/*.safetensors"))) == 1


@pytest.mark.parametrize("part", sorted(FINGERPRINT))
def test_each_part_of_the_fingerprint_makes_it_miss(part: str, cache: EmbeddingCache) -> None:
    rows = _rows("a")
    cache.put(FINGERPRINT, rows)
    assert cache.get({**FINGERPRINT, part: "other"}, rows, DIMENSION) == {}
    without = {key: value for key, value in FINGERPRINT.items() if key != part}
    assert cache.get(without, rows, DIMENSION) == {}
    assert len(cache.get(FINGERPRINT, rows, DIMENSION)) == 1


def test_a_file_in_the_folder_of_another_encoder_is_ignored(cache: EmbeddingCache) -> None:
    rows = _rows("a")
    cache.put(FINGERPRINT, rows)
    other = {**FINGERPRINT, "weights": "other"}
    cache.put(other, _rows("b"))
    mine, theirs = (next(f for f in _files(cache) if _holds(f, name)) for name in ("abc", "other"))
    mine.replace(theirs.parent / mine.name)
    assert EmbeddingCache(cache.folder).get(other, rows, DIMENSION) == {}


def _holds(file: Path, weights: str) -> bool:
    return f'\\"weights\\":\\"{weights}\\"'.encode() in file.read_bytes()


def test_any_damaged_byte_is_a_miss(cache: EmbeddingCache) -> None:
    rows = _rows("a", "b")
    cache.put(FINGERPRINT, rows)
    (file,) = _files(cache)
    whole = file.read_bytes()
    for place in {*range(0, len(whole), 7), 0, 7, 8, 9, len(whole) - 1}:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        for digest, row in EmbeddingCache(cache.folder).get(FINGERPRINT, rows, DIMENSION).items():
            np.testing.assert_array_equal(row, rows[digest], err_msg=f"byte {place}")
    for length in (0, 1, 7, 8, 20, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert EmbeddingCache(cache.folder).get(FINGERPRINT, rows, DIMENSION) == {}


def test_a_damaged_file_is_mended_by_storing_again(cache: EmbeddingCache) -> None:
    rows = _rows("a")
    cache.put(FINGERPRINT, rows)
    (file,) = _files(cache)
    file.write_bytes(b"nothing")
    reader = EmbeddingCache(cache.folder)
    assert reader.get(FINGERPRINT, rows, DIMENSION) == {}
    reader.put(FINGERPRINT, rows)
    assert len(reader.get(FINGERPRINT, rows, DIMENSION)) == 1
    assert len(EmbeddingCache(cache.folder).get(FINGERPRINT, rows, DIMENSION)) == 1


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
    assert _files(cache) == []


def test_the_oldest_go_when_it_is_full(tmp_path: Path) -> None:
    whole = EmbeddingCache(tmp_path / "probe")
    whole.put(FINGERPRINT, _rows("probe"))
    limit = 5 * _size(whole) + 10
    cache = EmbeddingCache(tmp_path / "full", max_bytes=limit)
    for number in range(12):
        cache.put({**FINGERPRINT, "weights": str(number % 2)}, _rows(number))
        for file in _files(cache):  # a clock that ticks between two writes
            os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns - 10**9))
        assert _size(cache) <= limit
    reader = EmbeddingCache(cache.folder)
    kept = [n for n in range(12) if reader.get({**FINGERPRINT, "weights": str(n % 2)}, _rows(n), DIMENSION)]
    assert kept == [7, 8, 9, 10, 11]


def test_a_bound_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, max_bytes=0)
    cache.put(FINGERPRINT, _rows("a"))
    assert _files(cache) == []
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


def test_foreign_files_are_never_touched(tmp_path: Path) -> None:
    alike = tmp_path / ("0" * 16)
    foreign = [tmp_path / "model.safetensors", tmp_path / "models" / "model.safetensors", alike / "model.safetensors"]
    for file in foreign:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(1000))
        os.utime(file, (1, 1))
    EmbeddingCache(tmp_path, max_bytes=10).put(FINGERPRINT, _rows("a"))
    assert all(file.stat().st_size == 1000 for file in foreign)


def test_many_small_files_become_few(cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_MANY", 10)
    names = [f"row {number}" for number in range(35)]
    for name in names:
        cache.put(FINGERPRINT, _rows(name))
    assert len(_files(cache)) <= 11
    for reader in (cache, EmbeddingCache(cache.folder)):
        assert len(reader.get(FINGERPRINT, _rows(*names), DIMENSION)) == 35


def test_merged_files_stay_small_enough_to_be_left_alone(
    cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put(FINGERPRINT, _rows("probe"))
    one = _size(cache)
    monkeypatch.setattr(cache_module, "_MANY", 10)
    monkeypatch.setattr(cache_module, "_SMALL", 3 * one)
    names = [f"row {number}" for number in range(120)]
    for name in names:
        cache.put(FINGERPRINT, _rows(name))
    assert max(file.stat().st_size for file in _files(cache)) < 6 * one
    assert len(EmbeddingCache(cache.folder).get(FINGERPRINT, _rows(*names), DIMENSION)) == 120


def test_a_reader_finds_rows_that_another_process_has_merged_meanwhile(
    cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_MANY", 4)
    names = ["a", "b", "c", "d"]
    for name in names:
        cache.put(FINGERPRINT, _rows(name))
    reader = EmbeddingCache(cache.folder)
    assert len(reader.get(FINGERPRINT, _rows("a"), DIMENSION)) == 1
    cache.put(FINGERPRINT, _rows("e"))
    assert len(_files(cache)) == 1
    assert len(reader.get(FINGERPRINT, _rows(*names, "e"), DIMENSION)) == 5


def test_leftovers_of_killed_writers_are_swept_when_they_are_old(cache: EmbeddingCache) -> None:
    cache.put(FINGERPRINT, _rows("a"))
    (file,) = _files(cache)
    old, new = (file.with_name(f".{file.name}.1.{age}.part") for age in ("aaaa", "bbbb"))
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    cache.put(FINGERPRINT, _rows("b"))
    assert not old.exists()
    assert new.exists()


def test_a_disk_that_takes_nothing_gives_a_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.warns(UserWarning, match="not kept"):
        EmbeddingCache(blocked / "embeddings").put(FINGERPRINT, _rows("a"))


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
    folder, batches = tmp_path / "embeddings", 200  # enough for both to merge while the other writes
    processes = [_start(folder, name, batches) for name in ("left", "right")]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    wanted = [_digest(f"{name} {b} {n}") for name in ("left", "right") for b in range(batches) for n in range(4)]
    found = EmbeddingCache(folder).get(FINGERPRINT, wanted, DIMENSION)
    assert len(found) == len(wanted)
    for digest, row in found.items():
        np.testing.assert_array_equal(row, _row(digest))
    assert list(folder.glob("*/.*.part")) == []
