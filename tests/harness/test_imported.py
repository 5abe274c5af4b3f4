from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from toy_runs import outcomes, sessions
from toy_samples import ToySource

from fashionedit.errors import InvalidDataError, RunMismatchError, UnknownNameError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.imported import import_images
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.images import pixel_digest, read_image


def put(folder: Path, name: str, colour: str = "red", size: tuple[int, int] = (10, 12)) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def test_finished_images_become_a_run_marked_as_supplied(tmp_path: Path) -> None:
    source, folder = ToySource(2), tmp_path / "images"
    for sample in source.ids:
        for round, colour in enumerate(("red", "green", "blue"), 1):
            put(folder, f"vanilla/{round}/{sample}.png", colour)
    summary = import_images(folder, source, tmp_path / "run", name="studio")
    assert (summary.found, summary.planned, summary.missing, summary.extra) == (6, 6, {}, ())
    identity = RunFolder.open(tmp_path / "run").identity
    assert (identity.editor.name, identity.editor.supplied, identity.editor.privileged) == ("studio", True, False)
    assert identity.protocols == ("vanilla",)
    for (protocol, sample, round), outcome in outcomes(tmp_path / "run", source).items():
        assert outcome.current.digest == pixel_digest(read_image(folder / protocol / str(round) / f"{sample}.png"))
        assert (outcome.status, outcome.own) == (Status.OK, True)
        assert pixel_digest(outcome.current.open()) == outcome.current.digest


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("vanilla/1/toy-00.png", ("vanilla", 1)),
        ("vanilla/round_2/toy-00.jpg", ("vanilla", 2)),
        ("bug/round-3/toy-00.webp", ("bug", 3)),
        ("bug/1/toy-00.JPEG", ("bug", 1)),
        ("draft/toy-00.png", ("draft", 0)),
        ("draft/0/toy-00.png", ("draft", 0)),
        ("text_one/toy-00.png", ("vanilla", 1)),
        ("text_three/text_three/toy-00.png", ("vanilla", 3)),
        ("m_two/toy-00.png", ("bug", 2)),
        ("unpacked/archive/m_three/toy-00.png", ("bug", 3)),
    ],
)
def test_layouts(tmp_path: Path, name: str, place: tuple[str, int]) -> None:
    put(tmp_path / "images", name)
    source = ToySource(1)
    summary = import_images(tmp_path / "images", source, tmp_path / "run", name="studio")
    assert summary.found == 1
    own = [spot for spot, outcome in outcomes(tmp_path / "run", source).items() if outcome.own]
    assert own == [(place[0], "toy-00", place[1])]


def test_missing_images_are_listed_and_count_as_never_run(tmp_path: Path) -> None:
    source, folder = ToySource(3), tmp_path / "images"
    put(folder, "bug/1/toy-00.png", "red")
    put(folder, "bug/2/toy-01.png", "green")
    summary = import_images(folder, source, tmp_path / "run", name="studio", rounds=2)
    assert (summary.found, summary.planned) == (2, 6)
    assert summary.missing == {("bug", 1): ("toy-01", "toy-02"), ("bug", 2): ("toy-00", "toy-02")}
    assert json.loads((tmp_path / "run" / "missing.json").read_text()) == {
        "bug/1": ["toy-01", "toy-02"],
        "bug/2": ["toy-00", "toy-02"],
    }
    found = outcomes(tmp_path / "run", source)
    assert (found["bug", "toy-00", 2].status, found["bug", "toy-00", 2].own) == (None, False)
    assert found["bug", "toy-00", 2].current.digest == found["bug", "toy-00", 1].current.digest
    assert found["bug", "toy-01", 1].current.digest == source.digests("toy-01").draft
    assert found["bug", "toy-01", 2].status is Status.OK


def test_a_protocol_asked_for_and_not_supplied_is_all_missing(tmp_path: Path) -> None:
    source = ToySource(1)
    put(tmp_path / "images", "vanilla/1/toy-00.png")
    summary = import_images(
        tmp_path / "images", source, tmp_path / "run", name="studio", protocols=["vanilla", "bug"], rounds=1
    )
    assert summary.missing == {("bug", 1): ("toy-00",)}


def test_unreadable_images_are_invalid_and_named(tmp_path: Path) -> None:
    source, folder = ToySource(2), tmp_path / "images"
    put(folder, "bug/1/toy-00.png")
    (folder / "bug/1/toy-01.png").write_bytes(b"no image")
    summary = import_images(folder, source, tmp_path / "run", name="studio", rounds=1)
    assert (summary.found, summary.unreadable) == (1, ("bug/1/toy-01.png",))
    outcome = outcomes(tmp_path / "run", source)["bug", "toy-01", 1]
    assert outcome.status is Status.INVALID_IMAGE
    assert outcome.message.startswith("bug/1/toy-01.png can't be read")
    assert str(tmp_path) not in outcome.message
    again = import_images(folder, source, tmp_path / "run", name="studio", rounds=1)
    assert again == summary


def test_other_files_are_reported_and_hidden_ones_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    put(folder, "vanilla/1/toy-00.png")
    put(folder, "vanilla/1/someone-else.png")
    put(folder, "vanilla/3/toy-00.png")
    put(folder, "resize_orig/toy-00.png")
    put(folder, ".cache/toy-00.png")
    (folder / "vanilla/1/notes.txt").write_text("x")
    summary = import_images(folder, ToySource(1), tmp_path / "run", name="studio", rounds=2)
    assert summary.extra == (
        "resize_orig/toy-00.png",
        "vanilla/1/notes.txt",
        "vanilla/1/someone-else.png",
        "vanilla/3/toy-00.png",
    )


def test_an_interrupted_import_continues(tmp_path: Path) -> None:
    source, folder, out = ToySource(2), tmp_path / "images", tmp_path / "run"
    for sample in source.ids:
        put(folder, f"bug/1/{sample}.png", "red" if sample == "toy-00" else "green")
    import_images(folder, source, out, name="studio", rounds=1)
    kept = {path: path.read_bytes() for path in out.glob("*/*/*.*")}
    next(out.glob("records/*/*.json")).unlink()
    import_images(folder, source, out, name="studio", rounds=1)
    assert {path: path.read_bytes() for path in out.glob("*/*/*.*")} == kept
    last = sessions(out)[-1]
    assert (last["reused"], last["statuses"], last["edits"]) == (1, {"ok": 2}, 0)


def test_changed_images_are_another_run(tmp_path: Path) -> None:
    source, folder = ToySource(1), tmp_path / "images"
    put(folder, "bug/1/toy-00.png")
    import_images(folder, source, tmp_path / "run", name="studio")
    put(folder, "bug/1/toy-00.png", "blue")
    with pytest.raises(RunMismatchError, match=r"editor.fingerprint: run has supplied"):
        import_images(folder, source, tmp_path / "run", name="studio")


def test_size_policy_base_resizes_to_the_draft(tmp_path: Path) -> None:
    source = ToySource(1)
    put(tmp_path / "images", "bug/1/toy-00.png")
    for policy, size in (("model", (10, 12)), ("base", (32, 48))):
        import_images(tmp_path / "images", source, tmp_path / policy, name="s", rounds=1, size_policy=policy)
        assert outcomes(tmp_path / policy, source)["bug", "toy-00", 1].current.size == size


def test_images_of_another_generator_give_a_draft_row(tmp_path: Path) -> None:
    source = ToySource(2)
    put(tmp_path / "images", "draft/toy-00.png", "red")
    import_images(tmp_path / "images", source, tmp_path / "run", name="SD2")
    found = outcomes(tmp_path / "run", source)
    assert set(found) == {("draft", "toy-00", 0), ("draft", "toy-01", 0)}
    assert found["draft", "toy-00", 0].current.open().getpixel((0, 0)) == (255, 0, 0)
    assert found["draft", "toy-01", 0].status is None


def test_wrong_folders_and_names_are_one_sentence(tmp_path: Path) -> None:
    source, out = ToySource(1), tmp_path / "run"
    with pytest.raises(InvalidDataError, match="is no folder"):
        import_images(tmp_path / "nowhere", source, out, name="studio")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidDataError, match=r"has no image of toy validation; put them in as vanilla/1/toy-00.png"):
        import_images(tmp_path / "empty", source, out, name="studio")
    folder = tmp_path / "images"
    put(folder, "bug/1/toy-00.png")
    with pytest.raises(UnknownNameError):
        import_images(folder, source, out, name="studio", protocols=["bugs"])
    with pytest.raises(InvalidDataError, match="has no name"):
        import_images(folder, source, out, name=" ")
    put(folder, "bug/1/toy-00.jpg")
    with pytest.raises(
        InvalidDataError, match=r"toy-00.jpg and .*toy-00.png are both bug round 1 of toy-00; remove one"
    ):
        import_images(folder, source, out, name="studio")
    assert not out.exists()
