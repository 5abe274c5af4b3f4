"""Any program as an editor: `command:PROGRAM ARGUMENTS…`, split as a shell would but run without one.

For each edit the harness makes a temporary folder with `base.png`, `reference.png` (in `bug` alone) and `request.json`
(`request_id`, `protocol`, `round`, `instruction`, `seed`, `params`, `state`), and runs the program. In its arguments

- `{base}`, `{reference}`, `{out}` and `{request}` are the paths of those files (`{reference}` is empty in `vanilla`),
- `{instruction}` and `{seed}` are texts, `{params}` is JSON;
- another name in braces is refused as a mistake; `{{name}}` is passed on as `{name}`.

A program without any of these is given the folder as its last argument. It writes the edited picture to `{out}`,
which is `out.png` in the folder (PNG, JPEG or WebP inside), or `result.json`, or both. The JSON has `status`
(`refused`, `no_image`, `timeout`, `error`) and `message`, and may have `retry`, `params`, `model_version`, `usage`,
`cost_usd` and `state`. An exit code other than 0 is status `error` with the end of what it wrote to stderr. When the
time is up, the program and all that it started in its process group are killed. Of the environment it sees no key,
token or password but those that `--pass-env NAME` names.

The fingerprint is `--version`, or the SHA-256 of the program and of the files among its arguments; what runs code from
elsewhere (`python -m`, `docker`) has to declare a version to be continued.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, Status
from fashionedit.images import png_bytes
from fashionedit.runtime import secrets
from fashionedit.runtime.failures import Failure, Problem, Service, one_line
from fashionedit.runtime.http_clients import MOST_PICTURE_BYTES

from .answers import EditAnswer, failed_result, read_answer, request_json
from .settings import EditorSettings, undeclared

_PLACE = re.compile(r"\{(base|reference|instruction|out|seed|request|params)\}")
_PLACES = "{base}, {reference}, {instruction}, {out}, {seed}, {request} and {params}"
_BRACES = re.compile(r"\{([A-Za-z_]\w*)\}")
_DOUBLED = re.compile(r"\{(\{(?!(?:base|reference|instruction|out|seed|request|params)\})[A-Za-z_]\w*\})\}")
_INTERPRETERS = re.compile(r"(python|pypy|node|deno|bun|perl|ruby|Rscript|julia|bash|sh|zsh|dash|fish|env)[\d.]*")
_ELSEWHERE = re.compile(
    r"docker|podman|apptainer|singularity|ssh|srun|sbatch|conda|mamba|uv|uvx|poetry|pipx|npx|make|kubectl"
)
_MOST_JSON = 2**20
_STDERR = 4096


class CommandEditor:
    """A program that reads and writes files.

    Args:
        line: The program and its arguments.
        settings: `timeout`, `version`, `state` and `pass_env` are read.

    Raises:
        InvalidDataError: The line can't be split, or a setting is not one of this editor's.
        UnknownNameError: There is no such program.
    """

    def __init__(self, line: str, settings: EditorSettings) -> None:
        settings.known_options("command", {})
        settings.refuse(base_url="command runs on this machine; leave the base URL out")
        for name in settings.pass_env:
            if name not in os.environ:
                raise InvalidDataError(
                    f"the environment has no {name} to pass to the program; set it, or check its name"
                )
        try:
            self._arguments = shlex.split(line)
        except ValueError as error:
            raise InvalidDataError(f"the command {line!r} can't be split ({error}); check its quotes") from None
        if not self._arguments:
            raise InvalidDataError("the command is empty; write command:PROGRAM ARGUMENTS")
        for argument in self._arguments[1:]:
            for name in _BRACES.findall(_PLACE.sub("", _DOUBLED.sub("", argument))):
                raise InvalidDataError(
                    f"the command holds {{{name}}}, which stands for nothing; it may hold {_PLACES}, and "
                    f"{{{{{name}}}}} is passed on as {{{name}}}"
                )
        found = shutil.which(self._arguments[0])
        if found is None:
            raise UnknownNameError(f"no program is called {self._arguments[0]!r}; check its name, path and permission")
        self._program = Path(found)
        self._settings = settings
        self._undeclared = undeclared()
        self._carried = settings.state == "conversation"
        self._places = {name for argument in self._arguments for name in _PLACE.findall(argument)}

    def describe(self) -> EditorInfo:
        """Returns its name and fingerprint; it takes a reference if it ever asks for one."""
        scripts = [Path(argument) for argument in self._arguments[1:] if _is_file(argument)]
        name = scripts[0].name if scripts and _INTERPRETERS.fullmatch(self._program.name) else self._program.name
        blind = bool(self._places) and not self._places & {"reference", "request"}
        return EditorInfo(
            f"command {name}",
            self._fingerprint(scripts),
            takes_reference=not blind,
            state=self._settings.state,
        )

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the picture that the program wrote, or why there is none."""
        with tempfile.TemporaryDirectory(prefix="fashionedit-", ignore_cleanup_errors=True) as made:
            folder = Path(made)
            (folder / "base.png").write_bytes(png_bytes(request.base))
            for image in request.references[:1]:
                (folder / "reference.png").write_bytes(png_bytes(image))
            written = request_json(request, carried=self._carried, with_images=False)
            (folder / "request.json").write_text(json.dumps(written), encoding="utf-8")
            try:
                code, said = _run(self._line(request, folder), self._settings)
            except subprocess.TimeoutExpired:
                message = f"the program was not done within {self._settings.timeout:g} s and was killed"
                return EditResult.failed(Status.TIMEOUT, message, retry=True)
            except (OSError, ValueError) as error:
                return EditResult.failed(Status.ERROR, one_line(f"the program can't be run: {error}"))
            if code != 0:
                ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
                said = secrets.masked(said)[-250:] or "without a word"  # masked whole: half a key is a secret too
                return EditResult.failed(Status.ERROR, one_line(f"the program {ended}: {said}"))
            return self._result(folder)

    def _line(self, request: EditRequest, folder: Path) -> list[str]:
        values = {
            "base": str(folder / "base.png"),
            "reference": str(folder / "reference.png") if request.references else "",
            "instruction": request.instruction,
            "out": str(folder / "out.png"),
            "seed": str(request.seed),
            "request": str(folder / "request.json"),
            "params": json.dumps(dict(request.params)),
        }
        plain = [_DOUBLED.sub(r"\1", argument) for argument in self._arguments[1:]]
        filled = [_PLACE.sub(lambda place: values[place[1]], argument) for argument in plain]
        return [str(self._program), *filled, *([] if self._places else [str(folder)])]

    def _result(self, folder: Path) -> EditResult:
        answer: EditAnswer | Problem = EditAnswer(message="the program wrote neither out.png nor result.json")
        try:
            written = _read(folder / "result.json", _MOST_JSON)
        except InvalidDataError as error:
            return EditResult.failed(Status.ERROR, str(error))
        if written is not None:
            answer = read_answer(written)
        if isinstance(answer, Problem) and answer.failure is Failure.MALFORMED:
            return EditResult.failed(Status.ERROR, f"result.json: {answer.message}")  # the same the next time
        if isinstance(answer, Problem):
            return failed_result(answer, Service("result.json of the program"))
        try:
            picture = _read(folder / "out.png", MOST_PICTURE_BYTES)
        except InvalidDataError as error:
            return EditResult.failed(Status.INVALID_IMAGE, str(error))
        return answer.result(picture=picture, carried=self._carried)

    def _fingerprint(self, scripts: list[Path]) -> str:
        name = self._program.name
        # What the arguments hold may be private, so they are hashed; another key is the same program.
        line = hashlib.sha256(json.dumps(secrets.without_keys(self._arguments[1:])).encode()).hexdigest()[:16]
        if self._settings.version is not None:
            return f"command {name} {line} version {self._settings.version}"
        if _ELSEWHERE.fullmatch(name) or (_INTERPRETERS.fullmatch(name) and not scripts):
            return self._undeclared
        digest = hashlib.sha256()
        for path in (self._program, *scripts):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return f"command {name} {line} files {digest.hexdigest()[:32]}"


def _is_file(argument: str) -> bool:
    return not _PLACE.search(argument) and Path(argument).is_file()


def _read(path: Path, most: int) -> bytes | None:
    """Returns the file's bytes, None if there is none."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(about.st_mode):
        raise InvalidDataError(f"{path.name} is no file; write a plain one")
    if about.st_size > most:
        raise InvalidDataError(f"{path.name} has {about.st_size} bytes; write at most {most}")
    return path.read_bytes()


def _run(line: list[str], settings: EditorSettings) -> tuple[int, str]:
    """Returns the exit code and the end of stderr.

    Nothing that the program started in its group outlives this, unless Python lacks `os.waitid` (macOS before 3.13):
    there what it leaves behind when it ends by itself is left alone.
    """
    process = subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=secrets.public_environment(settings.pass_env),
    )
    assert process.stderr is not None
    end: deque[bytes] = deque(maxlen=2)
    reader = threading.Thread(target=_drain, args=(process.stderr, end), daemon=True)
    reader.start()
    try:
        _await_exit(process, settings.timeout)
    finally:
        if process.returncode is None:  # not reaped, so that its group's number can't be another one's by now
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: only a zombie is left
                os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        reader.join(2)
    return code, b"".join(end)[-_STDERR:].decode(errors="replace").strip()


def _await_exit(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Returns when the program has ended; where Python can, it stays a zombie until it is waited for.

    Raises:
        subprocess.TimeoutExpired: It has not, after so many seconds.
    """
    if not hasattr(os, "waitid"):
        process.wait(seconds)
        return
    deadline, pause = time.monotonic() + seconds, 0.001
    try:
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(process.args, seconds)
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
    except ChildProcessError:  # SIGCHLD is ignored here, and the system has reaped it
        process.wait()


def _drain(pipe: IO[bytes], end: deque[bytes]) -> None:
    with pipe:
        while chunk := pipe.read1(_STDERR):  # type: ignore[attr-defined]  # a BufferedReader
            end.append(chunk)
