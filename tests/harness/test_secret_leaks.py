"""Keys given in every possible way, against a server and editors that echo all they see: no file, no output has one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from json_service import PICTURE, Asked, JsonService, Reply, as_base64, as_json

from fashionedit.cli import main
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.running.records import RoundRecord
from fashionedit.eval_harness.running.run_folder import RunFolder

KEYS = {
    "FASHIONEDIT_HTTP_TOKEN": "LEAKED-own-token",
    "OPENAI_API_KEY": "sk-LEAKED0123456789",
    "TOY_PASSWORD": 'LEAKED "with" quotes/é',
}

EDITORS = """
import os
from fashionedit.eval_harness import EditorInfo, EditResult, Status

def fails(image, instruction, reference=None):
    headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "x": os.environ["TOY_PASSWORD"]}
    raise RuntimeError(f"the server said {headers} \\ud83d \\x9b31m {object()}")

def answers(image, instruction, reference=None):
    return EditResult.ok(
        image,
        model_version=os.environ["TOY_PASSWORD"] + "\\ud83d",
        params={"api_key": "LEAKED", "echo": [os.environ["OPENAI_API_KEY"]]},
        state={"echo": os.environ["TOY_PASSWORD"] + "\\ud83d"},
    )

class Named:
    def describe(self):
        return EditorInfo("toy " + os.environ["TOY_PASSWORD"] + "\\x9b31m", "toy " + os.environ["OPENAI_API_KEY"])

    def edit(self, request):
        return EditResult.failed(Status.REFUSED, "no \\ud83d " + os.environ["TOY_PASSWORD"])
"""


@pytest.fixture(scope="module")
def _rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered-once")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch, _rendered: Path) -> None:
    monkeypatch.setenv("FASHIONEDIT_CACHE", str(_rendered))
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = 0
    try:
        main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capsys.readouterr()
    output = said.out + said.err
    assert "LEAKED" not in output
    assert not any(0x7F <= ord(one) < 0xA0 or one == "\x1b" for one in output)
    return code, output


def run(editor: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    given = ["--data", "synthetic:1", "--out", str(tmp_path / "run"), "--rounds", "1", "--retries", "0", "--quiet"]
    done = command(["run", editor, *given, *more], capsys)
    no_leak(tmp_path / "run")
    return done


def no_leak(folder: Path) -> None:
    for path in folder.rglob("*"):
        assert "LEAKED" not in path.name
        if path.is_file():
            content = path.read_bytes()
            assert b"LEAKED" not in content, path
            assert b" at 0x" not in content, path


@pytest.mark.parametrize("status", [200, 307, 400, 403, 500])
@pytest.mark.parametrize("as_object", [True, False])
def test_a_server_that_echoes_its_request_leaks_no_key(
    status: int, as_object: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(asked: Asked) -> Reply:
        seen = f"{asked.path} {asked.headers} {json.dumps(KEYS)} \ud83d\x9b31m"
        if asked.method == "GET":
            return as_json({"name": f"toy {KEYS['TOY_PASSWORD']}", "version": KEYS["OPENAI_API_KEY"]})
        picture = {"image": as_base64(PICTURE), "model_version": seen, "params": {"seen": seen, "secret": "LEAKED"}}
        told = picture if status == 200 else {"error": {"message": seen, "code": seen}, "message": seen}
        return as_json(told, status) if as_object else Reply(status, seen.encode("utf-8", "replace"))

    with JsonService(answer) as service:
        place = f"{service.url}/edit?session=LEAKED0session&api_key=LEAKED-in-the-query"
        run(place, tmp_path, capsys)
        if as_object:
            command(["doctor", place, "--quiet", "--json"], capsys)
            address = service.url.replace("//", "//user:LEAKED-password@") + "/v1?code=LEAKED0code"
            run("openai:gpt-image-1", tmp_path / "openai", capsys, "--base-url", address)


@pytest.mark.parametrize("name", ["fails", "answers", "Named"])
def test_an_editor_that_repeats_keys_leaks_none(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(EDITORS)
    code, _ = run(f"{tmp_path / 'mine.py'}:{name}", tmp_path, capsys)
    assert code == 0
    records = list((tmp_path / "run" / "records").rglob("*.json"))
    assert len(records) == (0 if name == "fails" else 2)
    if name == "answers":
        record = RoundRecord.model_validate_json(records[0].read_bytes())
        assert record.model_version == "[key]\ufffd"
        assert record.effective_params == {"api_key": "***", "echo": ["[key]"]}
        assert record.state == {"echo": "[key]\ufffd"}
        code, output = run(f"{tmp_path / 'mine.py'}:{name}", tmp_path, capsys)  # half a character is no other run
        assert (code, len(list((tmp_path / "run" / "records").rglob("*.json")))) == (0, 2), output


def test_keys_of_a_program_stay_out_of_its_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "edit.py"
    script.write_text("import os, sys; sys.exit(' '.join(sys.argv) + str(dict(os.environ)))")
    line = f"command:{sys.executable} {script} --token LEAKED-token -k LEAKED-short pass=LEAKED-pass {{base}} {{out}}"
    monkeypatch.setattr(sys, "argv", ["fashionedit", "run", line])
    assert run(line, tmp_path, capsys, "--pass-env", "TOY_PASSWORD")[0] == 0
    session = json.loads((tmp_path / "run" / "sessions.jsonl").read_text().splitlines()[0])
    assert f"{script} --token *** -k *** pass=*** {{base}} {{out}}" in session["command"][2]


@pytest.mark.parametrize(
    "pair",
    [
        "openai_api_key=LEAKED",
        'extra={"deep": [{"token": "LEAKED"}]}',
        "note=sk-LEAKED0123456789",
        "place=https://me:LEAKED@host/",
        "password=12345678",
        "note=LEAKED-own-token",
    ],
)
@pytest.mark.parametrize("option", ["--param", "--option"])
def test_a_setting_that_holds_a_key_is_refused_before_a_folder_is_made(
    option: str, pair: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = run("identity" if option == "--param" else "diffusers:a/b", tmp_path, capsys, option, pair)
    assert code == 2
    assert "looks like a secret" in output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1', "no valid JSON"),
        ("[1, 2", "no valid JSON"),
        ("1e999", "no valid JSON"),
        ("9" * 5000, "no valid JSON"),
        ('"\\ud83d"', "no valid JSON"),
        ("\udcff", "no valid JSON"),
        ('{"a": NaN}', "no valid JSON"),
    ],
)
def test_a_mistyped_param_is_one_sentence(
    value: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = run("identity", tmp_path, capsys, "--param", f"x={value}")
    assert code == 2
    assert said in output
    assert output.count("\n") == 1
    assert len(output) < 400
    assert not (tmp_path / "run").exists()


def test_results_show_no_secret_of_an_older_run_and_it_is_not_submitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("identity", tmp_path, capsys)
    path = tmp_path / "run" / "run.json"
    identity = json.loads(path.read_text())
    identity["params"] = {"openai_api_key": "LEAKED", "steps": 4}
    path.write_text(json.dumps(identity))
    with pytest.raises(InvalidDataError):
        RunFolder.open(tmp_path)
    old = RunFolder.open(tmp_path / "run").identity
    assert old.public().params == {"openai_api_key": "***", "steps": 4}
    assert old.public() != old == old.model_copy()
