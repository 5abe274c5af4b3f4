from __future__ import annotations

import json

import pytest

from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.paths import register_folder, registered_folder, settings_file


def test_nothing_is_registered_at_first():
    assert registered_folder() is None


def test_a_folder_is_remembered_absolute(toy_folder, monkeypatch):
    monkeypatch.chdir(toy_folder.parent)
    assert register_folder("toy-set") == toy_folder.resolve() == registered_folder()


def test_only_a_fashionedit_folder_is_taken(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DatasetNotFoundError):
            register_folder(path)
    assert not settings_file().exists()


def test_other_settings_stay(toy_folder):
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text('{"other": 1, "folder": "/old"}')
    register_folder(toy_folder)
    assert json.loads(settings_file().read_text()) == {"other": 1, "folder": str(toy_folder.resolve())}


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff\xfe", b'{"folder": 3}', b'{"folder": ""}'])
def test_a_broken_file_is_a_sentence_and_is_mended_by_registering(toy_folder, text):
    settings_file().parent.mkdir(parents=True)
    settings_file().write_bytes(text)
    with pytest.raises(InvalidDataError, match=r"settings\.json .*run: fashionedit use FOLDER"):
        registered_folder()
    register_folder(toy_folder)
    assert registered_folder() == toy_folder.resolve()
