"""Kills `build`, `run`, `score`, `pack` and `submit --dry-run` at random moments, and compares what comes of them.

    python benchmarks/kills.py [--kills 40] [--only COMMAND] [--seed 0] [--keep FOLDER]

Each command runs once undisturbed. Then it is started again and again in a folder of its own, and its process group
gets SIGKILL at a random moment: half of them at any moment of the undisturbed duration, half after the first file was
written. After at most `IN_A_ROW` kills the command may come to its end, is compared, and starts over in a new folder.
Services are real servers on loopback that count calls and money. Compared are:

- bytes: every file has the bytes of the undisturbed one. Excluded are sessions, the ledger (compared below), the lock,
  the cache of embeddings (what is scored with it is compared), the random key of a run's request ids, and the field
  `seconds` of JSON files;
- leftovers: after the command ended well, its folder, cache and temporary folder hold the same names as the
  undisturbed ones (but for the files that SQLite keeps beside the cache of embeddings while it is open);
- money: the ledger is what the services counted, or higher by at most what was reserved and not charged at the kills;
- calls: at most those that are needed, and as many as may be under way at each kill.

Prints a table and exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "services"))

from image_service import USAGE as EDIT_USAGE
from image_service import ImageService
from images_server import ImagesServer
from lmm_server import LmmServer

from fashionedit.folder import open_folder
from fashionedit.runtime.costs import LEDGER_FILE
from fashionedit.synthetic.rendering import synthetic_folder

COMMAND = [str(Path(sys.executable).with_name("fashionedit"))]
CONCURRENCY = 4
IN_A_ROW = 5
PHOTOGRAPHS, SAMPLES = 16, 6
SIZE = (192, 288)
PAUSE = 0.25  # s that each answer of a service takes
DRAFT_USD = 0.03  # the drafts' service states no price: each counts as its highest cost
PRICE = (5.0, 40.0)  # USD per million tokens, in and out, of edits and answers
EXCLUDED = ("sessions.jsonl", LEDGER_FILE, ".request-key", ".lock", "embeddings.sqlite")


@dataclass
class Services:
    """The three services, and what they counted."""

    drafts: ImagesServer
    lmm: LmmServer
    edits: ImageService

    def wait_until_idle(self) -> None:
        """Returns when no killed client's call is under way any more."""
        while self.drafts.at_once or self.lmm.at_once or self.edits.at_once:
            time.sleep(0.02)

    @property
    def calls(self) -> int:
        """How many calls all of them were sent."""
        return self.drafts.calls.total() + self.lmm.calls + len(self.edits.calls)

    @property
    def usd(self) -> float:
        """What all calls have cost, whether or not somebody was left to read the answer."""
        tokens = [EDIT_USAGE["input_tokens"], EDIT_USAGE["output_tokens"]]
        edits = len(self.edits.calls)
        read, written = (edits * own + lmm for own, lmm in zip(tokens, self.lmm.tokens, strict=True))
        """How many calls all of them were sent."""
        return self.drafts.calls.total() * DRAFT_USD + (read * PRICE[0] + written * PRICE[1]) / 1e6


@dataclass
class Trial:
    """One of the five commands: its arguments in a folder, and what has to lie there before."""

    name: str
    arguments: list[str]
    prepare: Callable[[Path], None] = lambda room: None
    kills: int = 0
    rounds: int = 0
    seconds: float = 0.0
    written_after: float = 0.0
    calls: int = 0
    needed: int = 0
    ledger: float = 0.0
    counted: float = 0.0
    unsettled: float = 0.0
    faults: list[str] = field(default_factory=list)
    """Sentences about what differed."""

    def room(self, parent: Path) -> Path:
        """Returns a new folder in which the command can start."""
        room = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=parent))
        (room / "tmp").mkdir()
        self.prepare(room)
        return room

    def start(self, room: Path) -> subprocess.Popen[bytes]:
        """Starts the command in the folder, with caches and temporary files in it."""
        own = {
            "HOME": str(room),
            "TMPDIR": str(room / "tmp"),
            "FASHIONEDIT_CACHE": str(room / "cache"),
            "HF_HOME": str(room / "hf"),
            "OPENAI_API_KEY": "sk-of-nobody",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HF_HUB_OFFLINE": "1",
        }
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "FASHIONEDIT_"))}
        with (room.parent / f"{room.name}.log").open("ab") as log:
            return subprocess.Popen(
                [*COMMAND, *self.arguments],
                cwd=room,
                env={**mine, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def names(room: Path) -> set[str]:
    """Returns the names of all that lies in the folder, without cached embeddings; it may change meanwhile."""
    found = (Path(folder, name) for folder, *kinds in os.walk(room) for kind in kinds for name in kind)
    return {path.relative_to(room).as_posix() for path in found if not path.name.startswith("embeddings.sqlite")}


def contents(room: Path) -> dict[str, str]:
    """Returns a digest of each file that is compared, by its name."""
    return {
        path.relative_to(room).as_posix(): digest(path)
        for path in sorted(room.rglob("*"))
        if path.is_file() and path.name not in EXCLUDED
    }


def digest(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".json":
        data = json.dumps(without_seconds(json.loads(data))).encode()
    elif path.suffix == ".jsonl":
        data = json.dumps(sorted(json.dumps(without_seconds(json.loads(line))) for line in data.splitlines())).encode()
    return hashlib.sha256(data).hexdigest()


def without_seconds(value: Any) -> Any:
    """Returns the value without what tells how long something took."""
    if isinstance(value, dict):
        return {name: without_seconds(inner) for name, inner in value.items() if name != "seconds"}
    return [without_seconds(inner) for inner in value] if isinstance(value, list) else value


def ledgers(room: Path) -> tuple[float, float]:
    """Returns what the ledgers in the folder add up to, and what of it was reserved and never charged, USD."""
    charged, reserved = 0.0, {}
    for path in room.rglob(LEDGER_FILE):
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # a line that a kill cut short
            charged += entry.get("before", 0.0) + entry.get("charge", 0.0)
            if "reserve" in entry:
                reserved[entry["id"]] = entry["reserve"]
            elif "charge" in entry:
                reserved.pop(entry["id"], None)
    unsettled = sum(reserved.values())
    return charged + unsettled, unsettled


def end(process: subprocess.Popen[bytes], room: Path, at: float, *, once_written: bool) -> bool:
    """Kills the process `at` seconds after it began, or after it first wrote; returns whether it was killed."""
    before = names(room) if once_written else set()
    while once_written and process.poll() is None and names(room) == before:
        time.sleep(0.005)
    try:
        process.wait(at)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def undisturbed(trial: Trial, room: Path, services: Services) -> None:
    """Runs the command to its end, and notes how long it takes, when it first writes, and the calls it makes."""
    start, calls, before = time.monotonic(), services.calls, names(room)
    process = trial.start(room)
    while process.poll() is None:
        if not trial.written_after and names(room) != before:
            trial.written_after = time.monotonic() - start
        time.sleep(0.005)
    trial.seconds, trial.needed = time.monotonic() - start, services.calls - calls
    if process.returncode:
        raise SystemExit((room.parent / f"{room.name}.log").read_text())


def kill_often(trial: Trial, kills: int, folder: Path, services: Services, chance: random.Random) -> None:
    """Kills the command so often, and notes what differs from the undisturbed one each time that it came to its end."""
    undisturbed(trial, whole := trial.room(folder), services)
    wanted_names, wanted = names(whole), contents(whole)
    while trial.kills < kills:
        room = trial.room(folder)
        calls, usd, in_a_row = services.calls, services.usd, 0
        ended = False
        while not ended:
            process = trial.start(room)
            if in_a_row == IN_A_ROW or trial.kills == kills:
                process.wait()
                ended = True
            elif chance.random() < 0.5:
                ended = not end(process, room, chance.uniform(0, trial.seconds), once_written=False)
            else:
                writing = trial.seconds - trial.written_after
                ended = not end(process, room, chance.uniform(0, writing), once_written=True)
            in_a_row += not ended
            trial.kills += not ended
            ended = ended or (trial.name == "pack" and (room / "packed").exists())  # pack replaces nothing
        services.wait_until_idle()
        trial.rounds += 1
        faults = []
        if process.returncode in (0, -signal.SIGKILL):
            faults += differences(room, wanted_names, wanted)
        else:
            log = (folder / f"{room.name}.log").read_text().strip()
            faults.append(f"ended with {process.returncode}: {log.splitlines()[-1] if log else ''}")
        if trial.needed:
            faults += money_faults(trial, room, services.calls - calls, services.usd - usd, in_a_row)
        trial.faults += [f"{room.name}: {fault}" for fault in faults]
        if not faults:
            shutil.rmtree(room)


def differences(room: Path, wanted_names: set[str], wanted: dict[str, str]) -> Iterator[str]:
    """Yields a sentence for each file that is left over, missing or other than wanted."""
    found = names(room)
    yield from (f"left over: {name}" for name in sorted(found - wanted_names))
    yield from (f"missing: {name}" for name in sorted(wanted_names - found))
    same = contents(room)
    yield from (f"differs: {name}" for name in sorted(same.keys() & wanted.keys()) if same[name] != wanted[name])


def money_faults(trial: Trial, room: Path, calls: int, counted: float, kills: int) -> Iterator[str]:
    """Adds the calls and the money to the trial's; yields a sentence for each bound that was not kept."""
    ledger, unsettled = ledgers(room)
    trial.calls += calls
    trial.ledger += ledger
    trial.counted += counted
    trial.unsettled += unsettled
    if not trial.needed <= calls <= trial.needed + kills * CONCURRENCY:
        yield f"{calls} calls for {trial.needed} that are needed and {kills} kills with {CONCURRENCY} at once"
    if not counted - 1e-9 <= ledger <= counted + unsettled + 1e-9:
        yield f"the ledger says ${ledger:.6f} where ${counted:.6f} was counted and ${unsettled:.6f} was in flight"


def write_sources(ground: Path) -> None:
    """Writes `photographs`, a source of `build`, and `pairs`, one of `pack`, with the same garments."""
    photographs, pairs = ground / "photographs", ground / "pairs"
    photographs.mkdir()
    pairs.mkdir()
    captions, lines = [], []
    for number, sample in enumerate(open_folder(synthetic_folder(PHOTOGRAPHS, ("validation",)))):
        original, draft = sample.original.resize(SIZE), sample.draft.resize(SIZE)
        original.save(photographs / f"{number}.png")
        original.save(pairs / f"original-{number}.png")
        draft.save(pairs / f"draft-{number}.png")
        caption, garment = f"A coat, number {number}.", f"g{number // 2}"
        captions.append({"file_name": f"{number}.png", "text": caption, "garment_id": garment})
        differences = [
            {"description": it.description, "box_2d": [it.box.ymin, it.box.xmin, it.box.ymax, it.box.xmax]}
            for it in sample.differences
        ]
        pair = {"original": f"original-{number}.png", "draft": f"draft-{number}.png", "annotation": caption}
        lines.append({**pair, "garment_id": garment, "differences": differences})
    for folder, rows in ((photographs, captions), (pairs, lines[:SAMPLES])):
        (folder / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def trials(ground: Path, services: Services) -> dict[str, Trial]:
    """Returns the five commands; a later one starts from what an earlier one made undisturbed."""
    write_sources(ground)
    price = f"input={PRICE[0]:g},output={PRICE[1]:g}"
    build = [
        *("build", "--source", str(ground / "photographs"), "--out", "set", "--quiet", "--encoder", "offline"),
        *("--drafts", "openai:toy", "--draft", f"base_url={services.drafts.url}"),
        *("--draft", f"highest_cost={DRAFT_USD}", "--min-similarity", "none", "--top-k", str(PHOTOGRAPHS - 2)),
        *("--model", "toy-lmm", "--base-url", services.lmm.url, "--price", price, "--budget", "50"),
        *("--concurrency", str(CONCURRENCY), "--sketches", "--validation", "4"),
    ]
    pack = ["pack", str(ground / "pairs"), "packed", "--quiet"]
    run = [
        *("run", "openai:toy-editor", "--base-url", services.edits.openai, "--data", str(ground / "data"), "--out"),
        *("mine", "--price", price, "--budget", "50", "--concurrency", str(CONCURRENCY), "--quiet"),
    ]
    score = ["score", "mine", "--encoder", "offline", "--quiet"]
    submit = ["submit", "mine", "--name", "toy", "--dry-run", "--allow-encoder", "--quiet"]

    def with_run(name: str) -> Callable[[Path], None]:
        return lambda room: shutil.copytree(ground / name, room, dirs_exist_ok=True) and None

    return {
        "build": Trial("build", build),
        "pack": Trial("pack", pack),
        "run": Trial("run", run),
        "score": Trial("score", score, with_run("ran")),
        "submit": Trial("submit", submit, with_run("scored")),
    }


def prepare(ground: Path, found: dict[str, Trial], only: str | None) -> None:
    """Makes what the later commands start from: the dataset, a run on it, and its scores."""
    for name, last in (("pack", "data"), ("run", "ran"), ("score", "scored")):
        if only in ("build", "pack") or (only == "run" and name != "pack") or (only == "score" and name == "score"):
            continue
        trial = found[name]
        (room := ground / f"for-{last}").mkdir()
        (room / "tmp").mkdir()
        trial.prepare(room)
        if trial.start(room).wait():
            raise SystemExit((ground / f"for-{last}.log").read_text())
        (room / "packed" if name == "pack" else room).rename(ground / last)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--only", choices=("build", "run", "score", "pack", "submit"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a new folder that keeps what differed")
    options = parser.parse_args()
    began = time.monotonic()
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["FASHIONEDIT_CACHE"] = str(folder / "cache")
        (ground := folder / "ground").mkdir(parents=True)
        lmm = stack.enter_context(LmmServer(seconds=PAUSE))
        drafts = stack.enter_context(ImagesServer(pause=PAUSE))
        services = Services(drafts, lmm, stack.enter_context(ImageService(pause=PAUSE)))
        found = trials(ground, services)
        prepare(ground, found, options.only)
        print("| command | kills | ends | undisturbed | calls made / needed | ledger / counted / in flight | differs |")
        print("|---|---|---|---|---|---|---|")
        for trial in found.values():
            if options.only in (None, trial.name):
                chance = random.Random(f"{options.seed} {trial.name}")
                kill_often(trial, options.kills, folder, services, chance)
                print(
                    f"| {trial.name} | {trial.kills} | {trial.rounds} | {trial.seconds:.1f} s | {trial.calls} / "
                    f"{trial.needed * trial.rounds} | ${trial.ledger:.4f} / ${trial.counted:.4f} / "
                    f"${trial.unsettled:.4f} | {len(trial.faults) or 'nothing'} |",
                    flush=True,
                )
        faults = [fault for trial in found.values() for fault in trial.faults]
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"{time.monotonic() - began:.0f} s; the commands used {used.ru_utime + used.ru_stime:.0f} s of processors"
        )
        print("\n".join(faults))
        return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
