"""Prints the lowest version that setup.cfg declares of each package, as constraints for pip: see `make lowest`."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ("test", "dev")  # extras of our own; only what users install has to work with its lowest version


def lowest_versions() -> list[str]:
    """Returns `NAME==VERSION` for each requirement of the package and of its extras that has a lowest version."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    lists = [parser["options"]["install_requires"]]
    lists += [text for extra, text in parser["options.extras_require"].items() if extra not in TOOLS]
    line = r"^([\w.-]+)(?:\[[\w,-]+\])?>=([\w.]+)"
    found = {match.groups() for text in lists for match in re.finditer(line, text, re.MULTILINE)}
    return sorted(f"{name}=={version}" for name, version in found)


if __name__ == "__main__":
    print("\n".join(lowest_versions()))
