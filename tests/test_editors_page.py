"""docs/editors.md: every example on it is run, with only addresses, data and names of samples exchanged."""

from __future__ import annotations

import base64
import configparser
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub.constants
import pytest
from image_service import ImageService
from json_service import Asked, JsonService, Reply
from PIL import Image
from publishing_toys import image_folder
from tiny_edit_pipelines import write_tiny_klein, write_tiny_pix2pix

from fashionedit.builders.pack import pack
from fashionedit.cli import main
from fashionedit.data import open_data
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.running.run_folder import RunFolder

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "editors.md").read_text(encoding="utf-8")
EXCHANGED = {"python": sys.executable}


@dataclass(frozen=True)
class Block:
    language: str
    text: str


def sections() -> dict[str, list[Block]]:
    """Returns the code blocks under each heading."""
    found: dict[str, list[Block]] = {}
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        found[title] = [Block(*match) for match in re.findall(r"^```(\w*)\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)]
    return found


@contextmanager
def nothing(folder: Path, app: Callable[[], str]) -> Iterator[Mapping[str, str]]:
    yield {}


@contextmanager
def image_service(folder: Path, app: Callable[[], str]) -> Iterator[Mapping[str, str]]:
    """OpenAI's address is the client's own; a server's is on the page."""
    with ImageService() as service, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", service.openai)
        yield {"http://gpu-3:8000/v1": service.openai}
        assert service.calls


@contextmanager
def tiny_pipelines(folder: Path, app: Callable[[], str]) -> Iterator[Mapping[str, str]]:
    """Folders with the same classes and random weights, too small for two threads to share the work."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield {
            "diffusers:black-forest-labs/FLUX.2-klein-4B": f"diffusers:{write_tiny_klein(folder / 'klein')}",
            "diffusers:timbrooks/instruct-pix2pix": f"diffusers:{write_tiny_pix2pix(folder / 'pix2pix')}",
        }
    finally:
        torch.set_num_threads(threads)


@contextmanager
def endpoint(folder: Path, app: Callable[[], str]) -> Iterator[Mapping[str, str]]:
    def echo(asked: Asked) -> Reply:
        return Reply(200, base64.b64decode(json.loads(asked.body)["inputs"]), {"Content-Type": "image/png"})

    with JsonService(echo) as service, pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        yield {"https://my-endpoint.example": service.url}
        sent = [{name.lower(): value for name, value in asked.headers.items()} for asked in service.posts()]
        assert {headers.get("authorization") for headers in sent} == {"Bearer hf_your_token"}


@contextmanager
def own_server(folder: Path, app: Callable[[], str]) -> Iterator[Mapping[str, str]]:
    server = subprocess.Popen(
        [sys.executable, ROOT / "examples" / "edit_server.py", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdout is not None
    try:
        yield {"http://127.0.0.1:8900/": server.stdout.readline().decode().strip()}
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@contextmanager
def space(folder: Path, app: Callable[[], str]) -> Iterator[Mapping[str, str]]:
    yield {"space:http://127.0.0.1:7860": f"space:{app()}"}


@contextmanager
def class_file(folder: Path, app: Callable[[], str]) -> Iterator[Mapping[str, str]]:
    block = next(block for block in sections()["A class"] if block.language == "python")
    (folder / "my_editor.py").write_text(block.text)
    yield {}


SECTIONS = {
    "A function": (nothing, 1),
    "A function that waits": (nothing, 1),
    "A class": (nothing, 1),
    "A pipeline of diffusers": (tiny_pipelines, 2),
    "OpenAI": (image_service, 3),
    "A server that speaks like OpenAI's": (image_service, 1),
    "Inference Providers of Hugging Face": (endpoint, 1),
    "Your own server": (own_server, 1),
    "A Space, or any Gradio app": (space, 1),
    "A program": (nothing, 1),
    "Finished pictures": (nothing, 1),
    "In your own tests": (class_file, 0),
}
"""Heading → what stands in for the addresses under it, and how many runs its examples make."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The control set, which doctor asks for, is rendered once for all examples."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's own folder: one small sample."""
    folder = tmp_path_factory.mktemp("mine")
    pack(image_folder(folder / "pictures", 1, 96, 128), folder / "packed", name="mine", licence=None)
    return folder / "packed"


def test_every_block_of_the_page_is_run() -> None:
    assert {title for title, blocks in sections().items() if blocks} == set(SECTIONS)
    assert {block.language for blocks in sections().values() for block in blocks} == set(WAYS)
    assert PAGE.count("```") == 2 * sum(map(len, sections().values()))


@pytest.mark.parametrize("title", SECTIONS)
def test_the_examples_run(
    title: str,
    cache: str,
    benchmark: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASHIONEDIT_CACHE", cache)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    place, runs = SECTIONS[title]
    with place(tmp_path, lambda: str(request.getfixturevalue("app"))) as addresses:
        for block in sections()[title]:
            WAYS[block.language](block.text, {**EXCHANGED, "my-benchmark": str(benchmark), **addresses}, monkeypatch)
    made = sorted((tmp_path / "runs").glob("*")) if runs else []
    assert len(made) == runs
    for path in made:
        outcomes = list(RunFolder.open(path).outcomes(open_data(benchmark)))
        assert len(outcomes) == 6
        expected = [Status.OK] * 6 if title != "Finished pictures" else [Status.OK] * 3 + [None] * 3
        assert sorted((o.status for o in outcomes), key=str, reverse=True) == sorted(expected, key=str, reverse=True)


def python(text: str, substitutes: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes the file that the first line names; a test file is run as pytest runs it."""
    name = re.match(r"# (\w+\.py)\n", text)
    assert name, "a block of Python begins with the name of its file"
    Path(name[1]).write_text(text)
    if name[1].startswith("test_"):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name[1]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "1 passed" in done.stdout, done.stdout


def console(text: str, substitutes: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs each line of `fashionedit`; other programs are known by what they do for it."""
    for line in text.splitlines():
        assert line.startswith("$ ")
        if match := re.fullmatch(r"\$ export (\w+)=(\S+)", line):
            monkeypatch.setenv(match[1], match[2])
        elif match := re.fullmatch(r"\$ pip install -e '\.\[(\w+)\]'", line):
            setup = configparser.ConfigParser()
            setup.read(ROOT / "setup.cfg")
            assert match[1] in setup["options.extras_require"]
        elif match := re.fullmatch(r"\$ python (examples/\w+\.py) 8900 &", line):
            assert (ROOT / match[1]).is_file()  # `own_server` has it running
        else:
            words = [exchanged(word, substitutes) for word in shlex.split(line[2:])]
            code, said = fashionedit(words)
            assert code == 0 or ("doctor" in line and "Not ready" in said), said


def exchanged(word: str, substitutes: Mapping[str, str]) -> str:
    prefix, colon, program = word.partition("command:")
    if colon and not prefix:
        first, _, rest = program.partition(" ")
        return f"command:{shlex.quote(substitutes[first])} {rest}"
    return substitutes.get(word, word)


def fashionedit(words: list[str]) -> tuple[int, str]:
    """Returns the exit code and what was printed."""
    assert words[0] == "fashionedit"
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            main([*words[1:], "--quiet"])
        except SystemExit as stopped:
            return int(stopped.code or 0), said.getvalue()
    return 0, said.getvalue()


def contract(text: str, substitutes: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compares the fields on the page with those that a server is really sent."""
    from fashionedit.eval_harness.diagnostics.conformance import trial
    from fashionedit.eval_harness.editors.answers import request_json

    def shape(value: object) -> object:
        if isinstance(value, dict):
            return {name: shape(item) for name, item in value.items()}
        return [shape(item) for item in value] if isinstance(value, list) else type(value)

    sent = request_json(trial("bug").request, carried=False, with_images=True)
    assert shape(json.loads(text)) == shape(sent)
    assert list(json.loads(text)) == list(sent)


def tree(text: str, substitutes: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the files of a listing."""
    for line in text.splitlines():
        path = Path(line.replace("SAMPLE", open_data(substitutes["my-benchmark"]).ids[0]))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 48), "red").save(path)


WAYS = {"python": python, "console": console, "json": contract, "text": tree}


def test_the_table_of_statuses_has_all_of_them() -> None:
    table = PAGE.partition("## How an edit may end")[2]
    rows = {name: line for name, line in re.findall(r"^\| `(\w+)` (.*)$", table, re.MULTILINE)}
    assert list(rows) == [status.value for status in Status]
    for status in Status:
        assert ("asks again" in rows[status.value]) == status.transient


def test_every_way_to_an_editor_has_a_section() -> None:
    from fashionedit.eval_harness.editors import PREFIXES

    for prefix in PREFIXES:
        assert f"{prefix}:" in PAGE
