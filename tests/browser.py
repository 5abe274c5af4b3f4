"""Finds the browser that the browser tests drive. Run as a program, it prints the browser's path.

python tests/browser.py --install    installs one where none is found and the machine allows it
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
)
PLACES = (
    "/snap/bin/chromium",
    "/opt/google/chrome/chrome",
    "/opt/microsoft/msedge/msedge",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
FLAGS = (
    "--no-sandbox",  # as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ADVICE = "install Chromium, Chrome or Edge, set FASHIONEDIT_CHROMIUM to one, or run: playwright install chromium"
INSTALL_SECONDS = 600
START_SECONDS = 60
# A test that asks the page at once may ask before the page has drawn; `expect` asks again until then.
EXPECT_SECONDS = 20


def find_browser() -> Path | None:
    """Returns the browser to drive: the first of these that starts; None if none does.

    $FASHIONEDIT_CHROMIUM, then Chromium, Chrome or Edge on PATH or where the system installs them, then Playwright's.

    Raises:
        RuntimeError: $FASHIONEDIT_CHROMIUM names something that does not start.
    """
    if named := os.environ.get("FASHIONEDIT_CHROMIUM"):
        if not starts(Path(named)):
            raise RuntimeError(f"$FASHIONEDIT_CHROMIUM is {named}, which does not start; correct or unset it")
        return Path(named)
    on_path = [Path(path) for name in NAMES if (path := shutil.which(name))]
    home = [Path.home() / place.lstrip("/") for place in PLACES if place.startswith("/Applications")]
    for path in (*on_path, *map(Path, PLACES), *home):
        if starts(path):
            return path
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    return own if starts(own) else None


def starts(path: Path) -> bool:
    """Returns whether the file is a browser that answers; a snap's stub in a container, for one, does not."""
    if not (path.is_file() and os.access(path, os.X_OK)):
        return False
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=START_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def install_browser() -> None:
    """Installs Chromium by apt where it may (as root, or with sudo that asks for no password), else by Playwright.

    Both may fail, and say why on stderr: `find_browser` tells what came of it.
    """
    as_root: list[str] | None = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    if as_root and (shutil.which("sudo") is None or not _succeeds([*as_root, "true"])):
        as_root = None
    if as_root is not None and shutil.which("apt-get"):
        environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
        for line in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
            _succeeds([*as_root, *environment, "apt-get", *line])
        if find_browser() is not None:
            return
    _succeeds([sys.executable, "-m", "playwright", "install", "chromium"])


def _succeeds(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, stdout=sys.stderr, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{' '.join(command)}: {error}", file=sys.stderr)
        return False
    return done.returncode == 0


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yields the browser, headless.

    Raises:
        RuntimeError: There is none.
    """
    executable = find_browser()
    if executable is None:
        raise RuntimeError(f"no browser was found; {ADVICE}")
    expect.set_options(timeout=1000 * EXPECT_SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    try:
        path = find_browser()
        if path is None and "--install" in sys.argv[1:]:
            install_browser()
            path = find_browser()
    except RuntimeError as error:
        sys.exit(str(error))
    print(path or "")
