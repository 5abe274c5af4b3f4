"""A Hub repository, served on loopback to the real huggingface_hub in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import HubServer
from publishing_toys import python

REPOSITORY = "some-org/fashion-set"


@pytest.fixture
def hub(toy_folder: Path) -> Iterator[HubServer]:
    """A private repository with the toy folder's files and a large stranger."""
    with HubServer() as server:
        repository = server.create("datasets", REPOSITORY, private=True)
        files = {path.relative_to(toy_folder).as_posix(): path.read_bytes() for path in toy_folder.rglob("*.*")}
        repository.refs["v1"] = repository.commit("main", {**files, "extra/weights.bin": b"0" * 1000})
        yield server


def asked_for(hub: HubServer, name: str) -> bool:
    return any(request.method == "GET" and name in request.path for request in hub.requests)


def test_open_data_fetches_a_repository_once_and_then_works_offline(hub, tmp_path):
    code = (
        "import fashionedit; folder = fashionedit.open_data('some-org/fashion-set@v1')\n"
        "print(len(folder), folder[0].id, folder.path.name)"
    )
    for environment in ({}, {"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        done = python(code=code, environment={**hub.environment(), **environment}, home=tmp_path)
        commit = hub.repository("datasets", REPOSITORY).refs["v1"]
        assert done.stdout.split() == ["5", "toy-000", commit], done.stderr
    assert not asked_for(hub, "weights")


def test_load_dataset_takes_a_repository(hub, tmp_path):
    code = (
        "import fashionedit, datasets\n"
        "one = datasets.load_dataset('fashionedit', split='train')\n"
        "two = datasets.load_dataset('fashionedit', data_dir='some-org/fashion-set', revision='v1', split='train')\n"
        "print(len(one), len(two), one[0]['original_image'].size)"
    )
    done = python(code=code, environment={**hub.environment(), "FASHIONEDIT_REPO": REPOSITORY}, home=tmp_path)
    assert done.stdout.strip() == "3 3 (64, 96)", done.stderr


def test_streaming_reads_pieces_and_fetches_no_file(hub, tmp_path):
    code = (
        "import fashionedit, datasets\n"
        f"rows = datasets.load_dataset('fashionedit', data_dir='{REPOSITORY}', split='validation', streaming=True)\n"
        "print(*[row['image_id'] for row in rows], next(iter(rows))['crops'][0].size)"
    )
    done = python(code=code, environment=hub.environment(), home=tmp_path)
    assert done.stdout.strip() == "toy-000 toy-001 toy-002 toy-003 toy-004 (20, 20)", done.stderr
    assert not list(tmp_path.rglob("*.parquet"))
    assert asked_for(hub, "validation-00000")
    assert not asked_for(hub, "train-00000")


@pytest.mark.parametrize(
    ("name", "token", "reason"),
    [
        ("some-org/absent", "hf_tester", "can't be fetched"),
        ("some-org/fashion-set", "wrong", "can't be fetched"),
        ("some-org/fashion-set@no-such", "hf_tester", "at revision no-such can't be fetched"),
        ("some-org/bad--name", "hf_tester", "can't be fetched"),
    ],
)
def test_what_can_not_be_fetched_is_one_sentence(hub, tmp_path, name, token, reason):
    code = f"""
import fashionedit
try:
    fashionedit.open_data({name!r})
except fashionedit.DatasetNotFoundError as error:
    print(error)
"""
    done = python(code=code, environment=hub.environment(token), home=tmp_path)
    assert done.stdout.count("\n") == 1, done.stderr
    assert f"the Hub repository {name.split('@')[0]}" in done.stdout
    assert reason in done.stdout
    assert "check the name, the network and your token" in done.stdout
