"""Finds the Chromium that the browser tests drive; run as a program it says whether there is one.

python tests/browser.py || python -m playwright install chromium
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = (
    "no Chromium was found: $FASHIONEDIT_CHROMIUM is not set, none of "
    f"{', '.join(NAMES)} is on PATH, and Playwright has none of its own; run: python -m playwright install chromium"
)


def find_chromium(playwright: Playwright) -> Path | None:
    """Returns `$FASHIONEDIT_CHROMIUM`, else the first on PATH, else Playwright's own; None if there is none."""
    if named := os.environ.get("FASHIONEDIT_CHROMIUM"):
        return Path(named)
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    own = Path(playwright.chromium.executable_path)
    return own if own.is_file() else None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yields a headless Chromium.

    Raises:
        RuntimeError: There is none.
    """
    with sync_playwright() as playwright:
        executable = find_chromium(playwright)
        if executable is None:
            raise RuntimeError(MISSING)
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    with sync_playwright() as driver:
        place = find_chromium(driver)
    print(place or MISSING)
    sys.exit(place is None)
