"""The studio under ten people at once: time to the first answer, and of each drawn edit, over real HTTP.

    python benchmarks/studio.py [--people 10] [--edits 10]

1. From the command to the first answer of the page: 5 s at most.
2. One person alone: a drawn edit takes 1 s at most, the picture and all of its pixels back in the browser's hands.
3. Ten people at once, each with a session of their own: nobody's edit fails, each session has its own turns alone; the
   median and the worst time are printed.

Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from targets import exit_code, show_target

MOST_START, MOST_EDIT = 5.0, 1.0
CHANGES = (
    "long sleeves",
    "make the collar white",
    "red buttons",
    "no pockets",
    "a green collar",
    "short sleeves",
    "a striped body",
    "two chest pockets",
    "blue buttons",
    "a yellow collar",
)


@dataclass
class Person:
    """Somebody with a connection of their own, who waits for each answer before the next request."""

    url: str
    component: int
    session: dict[str, Any] = field(default_factory=dict)
    have: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        place = urlsplit(self.url)
        self._connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=120)

    def ask(self, name: str, given: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """Returns the answer, and the seconds that it took."""
        began = time.perf_counter()
        body = {"session_hash": f"p{id(self)}", "component_id": self.component, "fn_name": name, "data": given}
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/gradio_api/component_server", json.dumps(body), headers)
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        if "error" in answer:
            raise SystemExit(f"{name}: {answer['error']}")
        return answer, time.perf_counter() - began

    def design(self, edits: int) -> list[float]:
        """Begins a design and changes it, and returns the seconds of each request."""
        self.session, seconds = self.ask("start", {"words": "a navy shirt with short sleeves", "generator": "drawn"})
        times = [seconds]
        for number in range(edits):
            self.have += self.session["pictures"]
            turn = self.session["turns"][-1]["number"]
            given = {"id": self.session["id"], "turn": turn, "editor": "drawn", "words": CHANGES[number % len(CHANGES)]}
            self.session, seconds = self.ask("edit", {**given, "ticket": str(number), "have": self.have})
            times.append(seconds)
        assert [turn["status"] for turn in self.session["turns"]] == ["ok"] * (edits + 1)
        return times


def main() -> None:
    """Starts the studio, measures, and prints the figures."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--edits", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        line = [sys.executable, "-m", "fashionedit", "studio", "--sessions", folder]
        server = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=os.environ)
        try:
            assert server.stdout is not None
            url = server.stdout.readline().removeprefix("Studio: ").strip()
            component = find_component(url)
            Person(url, component).ask("begin", {"ids": []})
            show_target(
                "from the command to the first answer", time.perf_counter() - began, at_most=MOST_START, unit="s"
            )
            time.sleep(5)  # the samples are rendered the first time
            alone = Person(url, component).design(given.edits)
            show_target("a drawn edit, one person, worst", max(alone[1:]), at_most=MOST_EDIT, unit="s")
            people = [Person(url, component) for _ in range(given.people)]
            with ThreadPoolExecutor(len(people)) as pool:
                times = [
                    seconds for found in pool.map(lambda one: one.design(given.edits), people) for seconds in found
                ]
            assert len({one.session["id"] for one in people}) == len(people)
            assert all(len(one.session["turns"]) == given.edits + 1 for one in people)
            print(
                f"{len(people)} people at once, {len(times)} requests: median {statistics.median(times):.2f} s, "
                f"worst {max(times):.2f} s"
            )
        finally:
            server.terminate()
            server.communicate(timeout=30)
    raise SystemExit(exit_code())


def find_component(url: str) -> int:
    """Returns the number of the page's component, from the configuration that every browser is sent."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
    connection.request("GET", "/config")
    config = json.loads(connection.getresponse().read())
    return next(one["id"] for one in config["components"] if one["props"].get("elem_id") == "studio")


if __name__ == "__main__":
    main()
