"""Kills a build ten times in each of its stages, publishing included, and compares what comes of it.

The same photographs, model, server and killing process as `tests/builders/test_build_killed.py`, which kills twice.

    python benchmarks/build_kills.py [--kills 10] [--photographs 40]

Prints a line for each stage: kills, calls and drafts that were paid for beyond the committed ones, and their bounds.
What a build ends with, and what then arrives at the Hub, is compared with what nobody disturbed. Exits with 1 if a
bound is exceeded or anything differs. Seven minutes on two cores with the defaults.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "builders"))

from hub_server import HubServer
from lmm_server import LmmServer, serving
from test_build_killed import CONCURRENCY, STAGES, build, shards
from whole_build import BuildGround, prepare

from fashionedit.builders.stage_store import StageStore

REPOSITORY = "tester/set"


@dataclass
class Campaign:
    """One build that is killed again and again."""

    ground: BuildGround
    out: Path
    server: LmmServer
    keep: int
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)

    def kill_in(self, stage: str, times: int) -> bool:
        """Kills the build in the stage, so often; prints a line about it and returns whether the bounds were kept."""
        for _ in range(times):
            after = self.chance.randint(1, 2 if stage == "split" else 3)
            self.kills[stage] += build(self.ground, self.out, self.server, stage, after, keep=self.keep) != 0
        work, log = self.out.with_name(f"{self.out.name}.build"), self.out.with_suffix(".drafts")
        answers = len(list(StageStore(work / "analyse").records()))
        drafts = len(list(StageStore(work / "generate").records()))
        made = len(log.read_text().split()) if log.is_file() else 0
        calls_bound, drafts_bound = self.kills["analyse"] * CONCURRENCY, self.kills["generate"]
        met = (
            self.kills[stage] == times
            and self.server.calls <= answers + calls_bound
            and made <= drafts + drafts_bound
            and not self.out.exists()
        )
        print(
            f"{'met   ' if met else 'MISSED'} {stage:10} {self.kills[stage]:3} kills; so far {self.server.calls} calls "
            f"for {answers} committed answers (bound +{calls_bound}), {made} drafts for {drafts} committed (bound "
            f"+{drafts_bound})",
            flush=True,
        )
        return met


def publish(folder: Path, home: Path, hub: HubServer) -> subprocess.Popen[bytes]:
    """Starts publishing the folder, as a user would who is logged in to this Hub."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "FASHIONEDIT_"))}
    own = {"HF_HOME": str(home / "hf"), "FASHIONEDIT_CACHE": str(home / "cache"), **hub.environment()}
    command = [sys.executable, "-m", "fashionedit", "publish", str(folder), "--repo", REPOSITORY, "--quiet"]
    return subprocess.Popen(command, env={**mine, **own}, stdout=subprocess.DEVNULL)


def kill_publishing(folder: Path, home: Path, times: int, chance: random.Random) -> bool:
    """Kills the command while a request is under way, so often; returns whether the same files arrive in the end."""
    with HubServer(lfs_from=20_000) as hub:
        publish(folder, home, hub).wait()
        wanted = dict(hub.repository("datasets", REPOSITORY).files())
    killed = 0
    with HubServer(lfs_from=20_000) as hub:
        for _ in range(times):
            wait_for = len(hub.requests) + 1 + (after := chance.randint(0, 5))
            hub.fail(after=after, hang=30.0)
            process = publish(folder, home, hub)
            while process.poll() is None and len(hub.requests) < wait_for:
                time.sleep(0.02)
            process.kill()
            killed += process.wait() == -signal.SIGKILL
        done = publish(folder, home, hub).wait() == 0
        same = done and dict(hub.repository("datasets", REPOSITORY).files()) == wanted
    met = killed == times and same
    print(
        f"{'met   ' if met else 'MISSED'} publish    {killed:3} kills; the same {len(wanted)} files arrive in the end"
    )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--photographs", type=int, default=40)
    options = parser.parse_args()
    keep = options.photographs * 3 // 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ground = prepare(folder, options.photographs)
        with serving() as server:
            build(ground, folder / "whole", server, keep=keep)
        with serving() as server:
            campaign = Campaign(ground, folder / "killed", server, keep, random.Random(0))
            met = [campaign.kill_in(stage, options.kills) for stage in STAGES]
            build(ground, folder / "killed", server, keep=keep)
        same = shards(folder / "killed") == shards(folder / "whole")
        print(f"{'met   ' if same else 'MISSED'} the same bytes in the shards as an uninterrupted build")
        met.append(kill_publishing(folder / "killed", folder / "home", options.kills, random.Random(1)))
        return 0 if same and all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
