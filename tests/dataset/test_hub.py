"""A Hub repository, served on loopback to the real huggingface_hub in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "c0ffee" + "0" * 34
REPOSITORY = "some-org/fashion-set"
TOKEN = "open-sesame"


class _Hub(BaseHTTPRequestHandler):
    """Just enough of the Hub to read one gated dataset repository at one commit."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    asked: list[str]

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.asked.append(f"{self.command} {path}")
        if REPOSITORY not in path or self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, b"{}", **{"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        elif match := re.fullmatch(rf"/datasets/{REPOSITORY}/resolve/([^/]+)/(.+)", path):
            self._file(*match.groups())
        elif match := re.fullmatch(rf"/api/datasets/{REPOSITORY}(?:/(revision|tree|paths-info)/([^/]+).*)?", path):
            self._about(*match.groups())
        else:
            self._answer(404, b"{}")

    def _about(self, what: str | None, revision: str | None) -> None:
        if revision not in (None, "main", "v1", COMMIT):
            self._answer(404, b"{}", **{"X-Error-Code": "RevisionNotFound", "X-Error-Message": "no such revision"})
            return
        entries = [
            {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": len(data), "path": name}
            for name, data in self.files.items()
        ]
        siblings = [{"rfilename": name} for name in self.files]
        about = {"_id": "0", "id": REPOSITORY, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []}
        self._answer(200, json.dumps(entries if what in ("tree", "paths-info") else about).encode())

    def _file(self, revision: str, name: str) -> None:
        data = self.files.get(name)
        if data is None or revision not in ("main", "v1", COMMIT):
            self._answer(404, b"", **{"X-Error-Code": "EntryNotFound"})
            return
        extra = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"', "Accept-Ranges": "bytes"}
        code = 200
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            first, last = int(match[1]), min(int(match[2] or len(data)), len(data) - 1)
            extra["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data, code = data[first : last + 1], 206
        self._answer(code, data, "application/octet-stream", **extra)

    def _answer(self, code: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def hub(toy_folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A repository with the toy folder's files and a large stranger; gives its address and the list of requests."""
    files = {path.relative_to(toy_folder).as_posix(): path.read_bytes() for path in toy_folder.rglob("*.*")}
    files = {name: data for name, data in files.items()} | {"extra/weights.bin": b"0" * 1000}
    asked: list[str] = []
    handler = type("Hub", (_Hub,), {"files": files, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def _python(code: str, endpoint: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": TOKEN,
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_open_data_fetches_a_repository_once_and_then_works_offline(hub, tmp_path):
    endpoint, asked = hub
    code = """
        import fashionedit
        folder = fashionedit.open_data("some-org/fashion-set@v1")
        print(len(folder), folder[0].id, folder.path.name)
    """
    done = _python(code, endpoint, tmp_path)
    assert done.stdout.split() == ["5", "toy-000", COMMIT], done.stderr
    assert not any("weights" in request and "GET" in request for request in asked)
    for environment in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        done = _python(code, **{"endpoint": endpoint, "home": tmp_path, **environment})
        assert done.stdout.split() == ["5", "toy-000", COMMIT], done.stderr


def test_load_dataset_takes_a_repository(hub, tmp_path):
    endpoint, _ = hub
    code = """
        import fashionedit, datasets
        one = datasets.load_dataset("fashionedit", split="train")
        two = datasets.load_dataset("fashionedit", data_dir="some-org/fashion-set", revision="v1", split="train")
        print(len(one), len(two), one[0]["original_image"].size)
    """
    done = _python(code, endpoint, tmp_path, FASHIONEDIT_REPO="some-org/fashion-set")
    assert done.stdout.strip() == "3 3 (64, 96)", done.stderr


def test_streaming_reads_pieces_and_fetches_no_file(hub, tmp_path):
    endpoint, asked = hub
    code = """
        import fashionedit, datasets
        rows = datasets.load_dataset("fashionedit", data_dir="some-org/fashion-set", split="validation", streaming=True)
        print(*[row["image_id"] for row in rows], next(iter(rows))["crops"][0].size)
    """
    done = _python(code, endpoint, tmp_path)
    assert done.stdout.strip() == "toy-000 toy-001 toy-002 toy-003 toy-004 (20, 20)", done.stderr
    assert not list(tmp_path.rglob("*.parquet"))
    assert any("GET" in request and "validation-00000" in request for request in asked)
    assert not any("GET" in request and "train-00000" in request for request in asked)


@pytest.mark.parametrize(
    ("name", "token", "reason"),
    [
        ("some-org/absent", TOKEN, "can't be fetched"),
        ("some-org/fashion-set", "wrong", "can't be fetched"),
        ("some-org/fashion-set@no-such", TOKEN, "at revision no-such can't be fetched"),
        ("some-org/bad--name", TOKEN, "can't be fetched"),
    ],
)
def test_what_can_not_be_fetched_is_one_sentence(hub, tmp_path, name, token, reason):
    endpoint, _ = hub
    code = f"""
        import fashionedit
        try:
            fashionedit.open_data({name!r})
        except fashionedit.DatasetNotFoundError as error:
            print(error)
    """
    done = _python(code, endpoint, tmp_path, HF_TOKEN=token)
    assert done.stdout.count("\n") == 1, done.stderr
    assert f"the Hub repository {name.split('@')[0]}" in done.stdout
    assert reason in done.stdout
    assert "check the name, the network and your token" in done.stdout
