"""Takes the screenshots of the studio: docs/studio.png on a laptop, docs/studio-phone.png on a phone.

python docs/studio_screenshots.py     # wants the extra `test`, and a browser that tests/browser.py finds
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, expect

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from browser import chromium  # noqa: E402  # found on the path that was just added

WORDS = "a navy shirt with short sleeves and two chest pockets"
CHANGES = ("long sleeves", "make the collar white", "red buttons")


def main() -> None:
    """Starts a studio, walks through a session in both sizes, and writes the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "fashionedit", "studio", "--sessions", folder, "--metric", "psnr"]
        server = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=os.environ)
        try:
            assert server.stdout is not None
            url = server.stdout.readline().removeprefix("Studio: ").strip()
            with chromium() as browser:
                take(browser, url, 1280, 900, HERE / "studio.png")
                take(browser, url, 390, 844, HERE / "studio-phone.png")
        finally:
            server.terminate()
            server.communicate(timeout=30)


def take(browser: Browser, url: str, width: int, height: int, out: Path) -> None:
    """Designs a shirt in a window of this size, and writes what is seen then."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(url)
    page.fill("#studio-first", WORDS, timeout=60_000)
    page.keyboard.press("Enter")
    expect(page.locator(".work > .strip li")).to_have_count(1, timeout=60_000)
    for place, words in enumerate(CHANGES, 2):
        page.fill("#studio-words", words)
        page.click(".turn .main")
        expect(page.locator(".work > .strip li")).to_have_count(place, timeout=60_000)
    show_cloth(page)
    page.evaluate("scrollTo(0, 0)")
    path = out.with_suffix(".large.png")
    page.screenshot(path=path)
    page.close()
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(out, optimize=True)
    path.unlink()
    print(f"{out}: {out.stat().st_size // 1024} kB")


def show_cloth(page: Page) -> None:
    """Shows the studio a striped cloth, for the pockets."""
    cloth = Image.new("RGB", (160, 160), "#f2ead8")
    draw = ImageDraw.Draw(cloth)
    for left in range(0, 160, 20):
        draw.rectangle((left, 0, left + 8, 160), fill="#2f6b4f")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cloth.png"
        cloth.save(path)
        page.check("[name=kind][value=example]", force=True)
        with page.expect_file_chooser() as chooser:
            page.click(".upload-shown")
        chooser.value.set_files(path)
        expect(page.locator(".preview img")).to_have_attribute("src", re.compile("^data:"))
        page.fill("#studio-words", "this cloth on the pockets")
        page.click(".turn .main")
        expect(page.locator(".work > .strip li")).to_have_count(5, timeout=60_000)


if __name__ == "__main__":
    main()
