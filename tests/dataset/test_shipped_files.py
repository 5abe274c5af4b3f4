"""Local files on their way to other machines: what is sent, and what a machine without them makes of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fashionedit.errors import InvalidDataError
from fashionedit.runtime.shipped_files import ShippedPath, moved, named_as_given, shipped_code, shipped_options


def received(shipped: ShippedPath, size: int = 5) -> Path:
    """Moves the files away, sends them in small parts, and returns where they are then."""
    away = Path(f"{shipped.root}-away")
    Path(shipped.root).rename(away)
    source = ShippedPath(shipped.given, str(away), shipped.inside, shipped.files)
    assert shipped.missing() == [*range(len(shipped.files))]
    for number in shipped.missing():
        for offset, data in source.parts(number, size):
            shipped.write(number, offset, data)
    assert shipped.missing() == []
    return Path(shipped.place())


def test_the_modules_and_packages_beside_a_file_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "code"
    for name in ("model.py", "beside.py", "parts/__init__.py", "parts/deep/more.py", "weights/huge.bin", "runs/x.py"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text(f"# {name}")
    (code / "empty.py").touch()
    monkeypatch.chdir(tmp_path)
    (shipped,) = shipped_code("code/model.py:edit")
    assert shipped.given == "code/model.py"
    names = [name for name, _, _ in shipped.files]
    assert names == ["beside.py", "empty.py", "model.py", "parts/__init__.py", "parts/deep/more.py"]
    assert shipped.place() == str(code / "model.py")
    place = received(shipped)
    assert place != code / "model.py"
    assert {name: (place.parent / name).read_text() for name in names} == {
        name: (Path(f"{code}-away") / name).read_text() for name in names
    }


def test_a_folder_keeps_its_name_and_a_changed_one_is_sent_again(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    (folder / "unet").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "unet" / "weights.safetensors").write_bytes(bytes(range(256)) * 40)
    shipped = ShippedPath.of_path("my-model", folder)
    place = received(shipped, size=4096)
    assert place.name == "my-model"
    assert (place / "unet" / "weights.safetensors").read_bytes() == bytes(range(256)) * 40
    folder.mkdir()
    (folder / "config.json").write_text("[]")  # another model in the same place, on that machine
    assert shipped.place() == str(place)
    shutil.rmtree(place.parent)
    assert shipped.missing() == [0, 1]


def test_modules_of_the_working_folder_are_sent_and_installed_ones_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("")
    (tmp_path / "alone.py").write_text("")
    monkeypatch.chdir(tmp_path)
    for spec, names in (
        ("mine.sub:Edit", ["alone.py", "mine/__init__.py"]),
        ("alone:edit", ["alone.py", "mine/__init__.py"]),
    ):
        (shipped,) = shipped_code(spec)
        assert [name for name, _, _ in shipped.files] == names
        assert shipped.place() == str(tmp_path)
    for spec in (
        "json:loads",
        "PIL.Image:open",
        "fashionedit.images:crop",
        "identity",
        "nowhere.at.all:x",
        "openai:gpt",
    ):
        assert shipped_code(spec) == ()


def test_options_that_name_files_are_sent_and_named_as_they_were_given(tmp_path: Path) -> None:
    lora = tmp_path / "lora.safetensors"
    lora.write_bytes(b"weights")
    (shipped,) = shipped_options({"lora": str(lora), "dtype": "bf16", "steps": 4, "empty": ""})
    assert (shipped.inside, [name for name, _, _ in shipped.files]) == ("lora.safetensors", ["lora.safetensors"])
    places = {str(lora): "/elsewhere/lora.safetensors"}
    assert moved(str(lora), places) == "/elsewhere/lora.safetensors"
    assert (moved("bf16", places), moved(4, places)) == ("bf16", 4)
    assert named_as_given("options /elsewhere/lora.safetensors", places) == f"options {lora}"


def test_a_folder_full_of_python_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.py").write_text("x" * 100)
    monkeypatch.setattr("fashionedit.runtime.shipped_files._MOST_CODE", 50)
    with pytest.raises(InvalidDataError, match="move the model's code into a folder of its own"):
        shipped_code(f"{tmp_path / 'model.py'}:edit")
