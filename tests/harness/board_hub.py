"""The Hub on loopback with a benchmark, a results repository and a model, and the command turned to it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
from board_toys import REPOSITORY
from click.testing import CliRunner
from hub_server import HubServer, Repository

from fashionedit.annotations_form import write_annotations
from fashionedit.cli import main

RESULTS = f"{REPOSITORY}-results"
MODEL = "other-org/model"


def publish_benchmark(hub: HubServer, full: Path, folder: Path) -> Repository:
    """Puts the annotations form into the benchmark's repository, and makes the others, still empty."""
    write_annotations(full, folder)
    found = hub.create("datasets", REPOSITORY)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found.commit("main", files, message="published")
    hub.create("datasets", RESULTS)
    hub.create("models", MODEL)
    return found


def turn_to(hub: HubServer, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Makes the real client of this process take the server for the Hub, with a cache of its own."""
    from huggingface_hub import constants

    changed: dict[str, Any] = {
        "HF_HUB_OFFLINE": False,
        "ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": True,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache / "hub"),
    }
    for name, value in changed.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setenv("HF_TOKEN", "hf_tester")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def _command(arguments: tuple[str, ...]) -> None:
    main(arguments)


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command in this process and returns what it printed."""
    done = CliRunner().invoke(_command, list(map(str, arguments)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def printed(*arguments: object) -> str:
    """Returns what the command printed, where it came to a good end."""
    done = command(*arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
