"""Run folders and bundles that somebody else made: what is in them gives one sentence, never anything else."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from board_toys import alter, open_benchmark, read_toy_results, reseal, toy_run, write_benchmark, write_toy_bundle
from PIL import Image
from scored_toys import toy_embedder

from fashionedit.errors import FashionEditError, InvalidDataError
from fashionedit.eval_harness.leaderboard.board import build_board
from fashionedit.eval_harness.leaderboard.bundle import package_sets
from fashionedit.eval_harness.leaderboard.hub import find_bundles
from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.scores.details import sections
from fashionedit.eval_harness.scores.results import build_results, read_results
from fashionedit.eval_harness.scores.table import sections_text, to_markdown
from fashionedit.eval_harness.scores.timing import begun, read_timing, write_timing
from fashionedit.folder import FashionEditFolder

PLACE = "submissions/some-org/{name}/detail-images"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark, a scored run, and a results repository with one good bundle; not to be changed."""
    home = tmp_path_factory.mktemp("strangers")
    write_benchmark(home / "data")
    source = open_benchmark(home / "data")
    run = toy_run(home / "run", source, measures=True)
    write_timing(run, source, home / "run" / "timing.json", read_toy_results(run))
    write_toy_bundle(
        home / "repo" / PLACE.format(name="good"), run, source, name="some-org/good", model="some-org/good"
    )
    return home


@pytest.fixture(scope="module")
def source(home: Path) -> FashionEditFolder:
    return open_benchmark(home / "data")


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Path:
    return shutil.copytree(home / "run", tmp_path / "run")


@pytest.fixture
def repo(home: Path, tmp_path: Path) -> Path:
    """The results repository with a second, bad bundle, which the test spoils."""
    repo = shutil.copytree(home / "repo", tmp_path / "repo")
    shutil.copytree(repo / PLACE.format(name="good"), repo / PLACE.format(name="bad"))
    return repo


def _page(run: Path, source: FashionEditFolder, out: Path) -> str:
    folder = RunFolder.open(run)
    return write_report(read_results(run / "results.json"), [folder], source, out / "page.html").read_text()


def _record_with_image(run: Path) -> Path:
    return next(path for path in sorted(run.glob("records/*/*.json")) if json.loads(path.read_bytes())["output"])


def _change(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def _secret(folder: Path) -> Path:
    path = folder / "secret.png"
    Image.new("RGB", (17, 19), (255, 0, 255)).save(path)
    return path


@pytest.mark.parametrize("name", ["../secret.png", "{home}/secret.png", "images/../../secret.png", "secret.png"])
def test_a_page_shows_no_picture_from_outside_the_run(
    run: Path, source: FashionEditFolder, tmp_path: Path, name: str
) -> None:
    secret = _secret(tmp_path)
    shutil.copy(secret, run / "secret.png")
    record = _record_with_image(run)
    _change(record, lambda content: content["output"].update(path=name.replace("{home}", str(tmp_path))))
    assert RunFolder.open(run).record(record.stem) is None
    try:
        page = _page(run, source, tmp_path)
    except FashionEditError:
        return
    assert _as_shown(secret) not in page


def _as_shown(path: Path) -> str:
    from fashionedit.eval_harness.page.pictures import PictureSize, SamplePictures

    pictures = SamplePictures(PictureSize(720, 1_000_000))
    pictures.add("it", lambda: Image.open(path))
    return pictures.encoded[0]


@pytest.mark.parametrize("how", ["other picture", "link out", "folder", "pipe"])
@pytest.mark.timeout(60)
def test_a_picture_that_was_replaced_after_scoring_is_named(
    run: Path, source: FashionEditFolder, tmp_path: Path, how: str
) -> None:
    image = run / json.loads(_record_with_image(run).read_bytes())["output"]["path"]
    whole = image.read_bytes()
    image.unlink()
    if how == "other picture":
        shutil.copy(_secret(tmp_path), image)
    elif how == "link out":
        (tmp_path / "outside.png").write_bytes(whole)
        image.symlink_to(tmp_path / "outside.png")
    elif how == "folder":
        image.mkdir()
    else:
        os.mkfifo(image)
    if how == "other picture":
        secret = _as_shown(image)
        with pytest.warns(UserWarning, match="has other pixels than were recorded.*the page leaves it out"):
            page = _page(run, source, tmp_path)
        assert secret not in page
        assert "its file is damaged" in page
    else:  # what is no picture of this run is not committed
        assert RunFolder.open(run).record(_record_of(run, image.stem)) is None


def _record_of(run: Path, digest: str) -> str:
    return next(path.stem for path in sorted(run.glob("records/*/*.json")) if digest in path.read_text())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("repeats", 10**9),
        ("repeats", 0),
        ("rounds", 4),
        ("rounds", 10**12),
        ("protocols", ["vanilla", "other"]),
        ("protocols", ["vanilla"] * 10_000),
        ("reference", "other"),
        ("samples", -1),
        ("seed", 1e308),
        ("params", {"a": 1e999}),
    ],
)
def test_a_run_that_no_run_can_be_is_not_opened(run: Path, field: str, value: Any) -> None:
    _change(run / "run.json", lambda content: content.update({field: value}))
    with pytest.raises(InvalidDataError, match=r"run\.json can't be read"):
        RunFolder.open(run)


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("run.json", RunFolder.open),
        ("results.json", lambda run: read_results(run / "results.json")),
        ("sessions.jsonl", lambda run: RunFolder.open(run).data_location()),
        ("sessions.jsonl", begun),
        ("sessions.jsonl", lambda run: package_sets(run / "sessions.jsonl")),
    ],
)
@pytest.mark.timeout(30)
def test_a_pipe_or_a_gigabyte_in_the_place_of_a_file_is_one_sentence(
    run: Path, file: str, read: Callable[[Path], Any]
) -> None:
    (run / file).unlink()
    os.mkfifo(run / file)
    with pytest.raises(InvalidDataError, match="no regular file"):
        read(run)
    (run / file).unlink()
    with (run / file).open("wb") as empty:
        empty.truncate(1 << 30)
    with pytest.raises(InvalidDataError, match="more than the 64,000,000 bytes"):
        read(run)


@pytest.mark.timeout(60)
def test_records_failures_and_times_that_are_no_files_of_ours_are_passed_over(
    run: Path, source: FashionEditFolder
) -> None:
    records = sorted(run.glob("records/*/*.json"))[:4]
    keys = [path.stem for path in records]
    for path, spoil in zip(
        records,
        (os.mkfifo, Path.mkdir, lambda path: path.write_text("[" * 100_000), lambda path: path.symlink_to("/dev/zero")),
        strict=True,
    ):
        path.unlink()
        spoil(path)
    folder = RunFolder.open(run)
    assert [folder.record(key) for key in keys] == [None] * 4
    assert len(list(folder.outcomes(source))) > 0
    (run / "errors").mkdir(exist_ok=True)
    (run / "errors" / f"{keys[0]}-999999999999.json").write_text("{}")
    (run / "errors" / f"{keys[0]}-²³¹.json").write_text("{}")
    assert RunFolder.open(run).failures.attempts(keys[0]) == 0
    (run / "timing.json").unlink()
    os.mkfifo(run / "timing.json")
    assert read_timing(run / "timing.json") == {}


@pytest.mark.parametrize(
    "text",
    [
        '{"rounds": 5}',
        '{"rounds": [5]}',
        '{"rounds": [{"edits": 1}]}',
        '{"rounds": [{"edits": 1, "protocol": "bug", "round": 1, "mean_seconds": "long"}]}',
        '{"rounds": [{"edits": 1, "protocol": "bug", "round": 1, "mean_seconds": 1e308}]}',
        "[" * 100_000,
        "[]",
    ],
)
def test_times_of_another_kind_say_nothing(run: Path, text: str) -> None:
    (run / "timing.json").write_text(text)
    assert read_timing(run / "timing.json") == {}
    assert sections_text(sections(read_results(run / "results.json"), {0: read_timing(run / "timing.json")}))


def test_lines_of_another_kind_are_passed_over(run: Path, source: FashionEditFolder) -> None:
    lines = ["5", "[]", '{"data": 5, "time": 7, "packages": 3}', "[" * 100_000, '{"data": "/data", "time": "soon"}']
    (run / "sessions.jsonl").write_text("\n".join(lines))
    assert RunFolder.open(run).data_location() == "/data"
    assert begun(run).startswith("1970")
    assert package_sets(run / "sessions.jsonl") == ()
    before = build_results(RunFolder.open(run), source, toy_embedder(), measures=False)
    for path in run.glob("scores/*.jsonl"):
        path.write_text('5\n{"image": 5}\n{"image": "a", "original": "b", "value": 1e308}\n' + "[" * 100_000 + "\n")
    assert build_results(RunFolder.open(run), source, toy_embedder(), measures=False) == before


def _huge(content: Any) -> None:
    for sample in content["samples"]:
        for picture in sample["pictures"]:
            picture["scores"] = dict.fromkeys(picture["scores"], 1e308)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: alter(folder, _huge), "out of range"),
        (lambda folder: (folder / "bundle.json").write_bytes(b'{"name": "\xff"}'), "can't be read"),
        (lambda folder: (folder / "bundle.json").write_text("[" * 100_000), "nested too deeply"),
        (lambda folder: alter(folder, lambda content: content.update(mean_box_area=float("nan"))), "can't be read"),
    ],
)
def test_a_resealed_bundle_of_nonsense_stands_beside_the_others_as_refused(
    repo: Path, spoil: Callable[[Path], Any], reason: str
) -> None:
    bad = repo / PLACE.format(name="bad")
    spoil(bad)
    with suppress(ValueError):
        reseal(bad)
    _check_board(repo, reason)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "gigabyte"])
@pytest.mark.timeout(60)
def test_a_bundle_of_no_files_stands_beside_the_others_as_refused(repo: Path, kind: str) -> None:
    path = repo / PLACE.format(name="bad") / "bundle.json"
    content = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        (repo.parent / "elsewhere").write_bytes(content)
        path.symlink_to(repo.parent / "elsewhere")
    else:
        with path.open("wb") as empty:
            empty.truncate(1 << 30)
    _check_board(repo, "bundle.json")


def _check_board(repo: Path, reason: str) -> None:
    board = build_board(find_bundles(repo), str(repo))
    assert {row.name for row in board.rows if row.kind == "editor"} == {"some-org/good"}
    (refused,) = board.refused
    assert reason in " ".join(refused.reasons)


_VALUES = (None, True, 0, -1, 10**25, 10**400, 0.5, 1e29, 1e308, "", "x", "\ud83d", "\u009b31m", [], [[]], {}, {"a": 1})


def _spoiled(data: bytes, chance: random.Random) -> bytes:
    """Returns the file with bytes changed, cut or doubled, or with a value of its JSON put in another's place."""
    try:
        content = json.loads(data)
    except ValueError:
        lines = data.splitlines()
        if len(lines) > 1:
            number = chance.randrange(len(lines))
            lines[number] = _spoiled(lines[number], chance)
            return b"\n".join(lines)
    else:
        if chance.random() < 0.6:
            return json.dumps(_mutated(content, chance)).encode()
    place = chance.randrange(len(data) + 1)
    begin, rest = data[:place], data[place:]
    noise = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
    nonsense = chance.choice((b"[" * 5_000, b"9" * 5_000, b"\xff\xfe", b"\0", b"NaN", b"1e999"))
    return begin + chance.choice((b"", noise + rest[1:], rest[:40] * 3 + rest, nonsense))


def _mutated(value: Any, chance: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or chance.random() < 0.15:
        return chance.choice(_VALUES)
    changed = value.copy()
    key = chance.choice([*value] if isinstance(value, dict) else range(len(value)))
    if chance.random() < 0.1:
        del changed[key]
    else:
        changed[key] = _mutated(value[key], chance)
    return changed


def _doors(run: Path, source: FashionEditFolder) -> Iterator[Callable[[], Any]]:
    def results() -> Any:
        found = read_results(run / "results.json")
        to_markdown(found)
        return sections_text(sections(found, {0: read_timing(run / "timing.json")}))

    yield results
    yield lambda: list(RunFolder.open(run).outcomes(source))
    yield lambda: RunFolder.open(run).data_location()
    yield lambda: package_sets(run / "sessions.jsonl")
    yield lambda: begun(run)
    yield lambda: build_results(RunFolder.open(run), source, toy_embedder(), measures=False)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.timeout(300)
def test_no_change_of_a_run_folder_leaves_the_tree_of_errors(
    home: Path, source: FashionEditFolder, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    run = shutil.copytree(home / "run", tmp_path / "run")
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.suffix in (".json", ".jsonl")]
    files = [run / "run.json", run / "results.json", run / "timing.json"] * 6 + files
    for _ in range(60):
        path = chance.choice(files)
        whole = path.read_bytes()
        path.write_bytes(_spoiled(whole, chance))
        for door in _doors(run, source):
            try:
                door()
            except FashionEditError:
                continue
        path.write_bytes(whole)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.timeout(300)
def test_no_change_of_a_bundle_stops_the_board(repo: Path, seed: int) -> None:
    chance = random.Random(seed)
    bad = repo / PLACE.format(name="bad")
    good = {path.name: path.read_bytes() for path in bad.iterdir()}
    for _ in range(40):
        name = chance.choice(sorted(good))
        (bad / name).write_bytes(_spoiled(good[name], chance))
        try:
            if chance.random() < 0.8:
                reseal(bad)
        except (ValueError, TypeError, KeyError, AttributeError):
            pass  # bundle.json itself can't be read
        board = build_board(find_bundles(repo), str(repo))
        assert "some-org/good" in {row.name for row in board.rows}
        for other, content in good.items():
            (bad / other).write_bytes(content)
