"""Kills what can die in a run with Ray, and compares what comes of it with an undisturbed run.

    python benchmarks/ray_kills.py [--kills 8] [--seed 0] [--only workers|machines|driver]

- workers: a worker gets SIGKILL at random moments, `--kills` times in a run. Every round ends `ok`, with the bytes of
  one process; edits beyond the rounds are at most the kills, and so are attempts.
- machines: a run in two Ray nodes of one CPU each; one node is removed, later a new one is added. The run ends with
  the new node's help.
- driver: the command gets SIGKILL at random moments, and is given again until it ends. Nothing that was committed is
  edited again, at most the workers' edits are lost at each kill, and no process of the cluster is left a minute later.

Prints a line for each and exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from fashionedit import open_data
from fashionedit.eval_harness.editors.settings import EditorSettings
from fashionedit.eval_harness.running.remote_calls import on_engine
from fashionedit.eval_harness.running.runner import run
from fashionedit.runtime.ray_engine import RayEngine

COMMAND = [str(Path(sys.executable).with_name("fashionedit"))]
SAMPLES = 8
EDITS = SAMPLES * 3  # the model takes no reference, so it edits in one protocol
MODEL = """
import os, sys, time
from PIL import ImageOps
ray = sys.modules.get("ray")

class Edit:
    version = "1"

    def __init__(self, notes, seconds=0.3):
        self.notes, self.seconds = notes, seconds

    def __call__(self, image, instruction, seed=0):
        with open(self.notes, "a") as file:
            file.write(f"{seed} {ray.get_runtime_context().get_node_id() if ray else '-'} {os.getpid()}\\n")
        time.sleep(self.seconds)
        return ImageOps.solarize(image, seed % 200)
"""


class Ground:
    """A folder with the model, and what the undisturbed run made in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / "model.py"
        self.model.write_text(MODEL)
        self.source = open_data(f"synthetic:{SAMPLES}")
        self.run("undisturbed", None)
        self.wanted = self.files("undisturbed")

    def notes(self, name: str) -> list[list[str]]:
        """The edits that were begun: seed, node, process."""
        path = self.folder / f"{name}.notes"
        return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []

    def run(self, name: str, engine: RayEngine | None, seconds: float = 0.3) -> None:
        """Runs the model to the end; an edit takes so many seconds."""
        options = {"notes": str(self.folder / f"{name}.notes"), "seconds": seconds}
        editor = on_engine(f"{self.model}:Edit", engine, EditorSettings(options=options, version="1"))
        run(editor, self.source, self.folder / name)

    def files(self, name: str) -> dict[str, bytes]:
        """The pictures by name."""
        return {path.name: path.read_bytes() for path in (self.folder / name).glob("images/*/*")}

    def committed(self, name: str) -> int:
        """How many rounds are committed."""
        return len(list((self.folder / name).glob("records/*/*.json")))

    def attempts(self, name: str) -> int:
        """How many attempts the records tell."""
        paths = (self.folder / name).glob("records/*/*.json")
        return sum(json.loads(path.read_bytes())["attempts"] for path in paths)


def kill_workers(ground: Ground, kills: int, chance: random.Random) -> str | None:
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    done = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        while not done.is_set() and len(killed) < kills:
            done.wait(chance.uniform(0.5, 2.5))
            edits = ground.notes("workers")
            if edits and psutil.pid_exists(pid := int(edits[-1][2])):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        ground.run("workers", RayEngine(workers=2))
    finally:
        done.set()
        thread.join()
        ray.shutdown()
    begun, attempts = len(ground.notes("workers")), ground.attempts("workers")
    print(f"workers: {len(killed)} kills, {begun} edits begun for {EDITS}, {attempts} attempts recorded")
    if ground.files("workers") != ground.wanted:
        return "other bytes after workers were killed"
    if begun > EDITS + len(killed) or attempts > EDITS + len(killed):
        return "more edits than rounds and kills"
    return None


def change_machines(ground: Ground, kills: int, chance: random.Random) -> str | None:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    first = cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    work = threading.Thread(target=ground.run, args=("machines", RayEngine(workers=2), 2.0))
    work.start()  # nodes can only be added by the main thread
    try:
        while ground.committed("machines") < 4 and work.is_alive():
            time.sleep(0.1)
        cluster.remove_node(first, allow_graceful=False)
        time.sleep(2)
        cluster.add_node(num_cpus=1)
        work.join()
    finally:
        ray.shutdown()
        cluster.shutdown()
    begun, nodes = len(ground.notes("machines")), {line[1] for line in ground.notes("machines")}
    print(f"machines: {begun} edits begun for {EDITS} on {len(nodes)} nodes, of which one left and one came")
    if ground.files("machines") != ground.wanted:
        return "other bytes after a machine left"
    return None if len(nodes) == 3 else "the machine that joined was not used"


def kill_driver(ground: Ground, kills: int, chance: random.Random) -> str | None:
    line = [*COMMAND, "run", f"{ground.model}:Edit", "--data", f"synthetic:{SAMPLES}", "--version", "1", "--quiet"]
    line += ["--out", str(ground.folder / "driver"), "--option", f"notes={ground.folder / 'driver.notes'}"]
    killed, left, wrong = 0, [], None
    while True:
        before = ground.committed("driver"), len(ground.notes("driver"))
        process = subprocess.Popen([*line, "--engine", "ray", "--workers", "2"], stdout=subprocess.DEVNULL)
        began = time.monotonic()
        goal = before[0] + chance.randint(1, max(1, EDITS // (kills + 1)))
        while process.poll() is None and (killed >= kills or ground.committed("driver") < goal):
            if time.monotonic() - began > 300:
                process.kill()
                return "a driver did nothing for five minutes"
            time.sleep(0.05)
        if process.poll() is not None:
            break
        left += psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
        time.sleep(1)
        after = ground.committed("driver"), len(ground.notes("driver"))
        if after[1] - before[1] > after[0] - before[0] + 2:
            wrong = "more edits were lost at a kill than there are workers"
    begun = len(ground.notes("driver"))
    _, alive = psutil.wait_procs(left, timeout=75)
    print(f"driver: {killed} kills, {begun} edits begun for {EDITS}, {len(alive)} processes left after a minute")
    if process.returncode or ground.files("driver") != ground.wanted:
        return "other bytes after the driver was killed"
    if begun > EDITS + 2 * killed:
        return "committed edits were made again"
    return wrong or ("processes of a cluster were left" if alive else None)


PARTS: dict[str, Callable[[Ground, int, random.Random], str | None]] = {
    "workers": kill_workers,
    "machines": change_machines,
    "driver": kill_driver,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(PARTS))
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    wrong = []
    with tempfile.TemporaryDirectory() as place:
        ground = Ground(Path(place))
        for name, part in PARTS.items():
            if options.only in (None, name):
                wrong.append(part(ground, options.kills, random.Random(options.seed)))
    for sentence in filter(None, wrong):
        print(sentence)
    sys.exit(1 if any(wrong) else 0)


if __name__ == "__main__":
    main()
