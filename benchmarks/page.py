"""How soon a page of 1,000 samples and two runs can be used after it is opened, in a headless Chromium.

Drawn pictures with the grain of photographs, two editors in both protocols, three rounds: four strips a sample. The
page is opened from the disk as a person would open it, at its list of samples. It can be used when the table stands,
the list is sorted and counted, and every picture on the screen is decoded. Then it is sorted, filtered and searched.

    python benchmarks/page.py [--samples 1000] [--openings 5] [--keep FOLDER]

Exits with 1 if the median opening, or the slowest answer to a click, takes longer than 2 s.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "harness")]
from browser import chromium
from scored_toys import DrawnRun, ScoredSource, drawn_sample, stepped, toy_embedder

from fashionedit.eval_harness.report import write_report
from fashionedit.eval_harness.scores.results import build_results, merge
from fashionedit.images import crop, pixel_digest
from fashionedit.rows import RowImages, SampleFacts, images_of_sample
from fashionedit.types import Sample

MOST_SECONDS = 2.0
SIZE = (300, 440)

WATCH = """
const watch = () => {
  const drawn = document.querySelector(".sample.drawn");
  const seen = (image) => {
    const {top, bottom} = image.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  };
  const images = drawn ? [...document.querySelectorAll(".list img")].filter(seen) : [];
  const ready = document.querySelector(".count")?.textContent && images.length && images.every((one) => one.complete);
  if (ready) window.usable = performance.now();
  else requestAnimationFrame(watch);
};
watch();
"""
ANSWER = """([name, value]) => new Promise((resolve) => {
  const control = document.querySelector(`.tools [name=${name}]`);
  const state = () =>
    document.querySelector(".count").textContent + document.querySelector(".sample:not([hidden])")?.dataset.id;
  const before = state();
  const start = performance.now();
  control.value = value;
  control.dispatchEvent(new Event("input", { bubbles: true }));
  const look = () => {
    if (state() !== before) resolve(performance.now() - start);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""


class Photographed(ScoredSource):
    """Samples that are drawn when they are asked for, so that a thousand of them fit into memory."""

    def __init__(self, count: int) -> None:
        super().__init__([], name="drawn photographs", control_set=True)
        self._numbers = {f"card-{number:04d}": number for number in range(count)}
        self.ids = tuple(self._numbers)
        self.manifest_hash = f"manifest of {count}"
        self._known = {id: self._look(id) for id in self.ids}

    def _look(self, id: str) -> tuple[RowImages[str], SampleFacts]:
        one = self.sample(id)
        return images_of_sample(one).map(lambda _, image: pixel_digest(image)), SampleFacts.of_sample(one)

    def sample(self, id: str) -> Sample:
        """Returns the sample, drawn again."""
        return photographed(self._numbers[id])

    def digests(self, id: str) -> RowImages[str]:
        """Returns what was noted of its pixels."""
        return self._known[id][0]

    def sizes(self, id: str) -> RowImages[tuple[int, int]]:
        """Returns the sizes of its pictures."""
        return images_of_sample(self.sample(id)).map(lambda _, image: image.size)

    def facts(self, id: str) -> SampleFacts:
        """Returns what was noted of its texts."""
        return self._known[id][1]


@lru_cache(maxsize=16)
def photographed(number: int) -> Sample:
    """A drawn sample with shading and grain."""
    kinds = ("tee", "dress", "shorts", "outer")
    one = drawn_sample(number, size=SIZE, garment=f"garment-{number // 2}", category=kinds[number % len(kinds)])
    random = np.random.default_rng(number)
    shade = Image.fromarray(random.integers(0, 256, (6, 4, 3), dtype=np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    grain = Image.fromarray(random.integers(96, 160, (SIZE[1], SIZE[0], 3), dtype=np.uint8))
    cloth = Image.blend(shade, grain, 0.35)
    original, draft = (Image.blend(picture, cloth, 0.4) for picture in (one.original, one.draft))
    differences = tuple(replace(each, reference=crop(original, each.box)) for each in one.differences)
    return replace(one, id=f"card-{number:04d}", original=original, draft=draft, differences=differences)


def first_only(sample: Sample, protocol: str, round: int) -> Image.Image:
    return stepped(sample, 1 + (int(sample.id[-1]) % 2 and round > 1))


def write_page(folder: Path, samples: int) -> Path:
    source = Photographed(samples)
    runs = [
        DrawnRun(folder / "stepper", source, name="stepper"),
        DrawnRun(folder / "first", source, first_only, name="first step only"),
    ]
    results = merge([build_results(run, source, toy_embedder(), measures=False) for run in runs])
    return write_report(results, runs, source, folder / "report", form="folder")


@contextmanager
def opened(browser: Browser, page: Path) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(WATCH)
    shown = context.new_page()
    shown.goto(f"{page.as_uri()}#samples")
    yield shown
    context.close()


def seconds_to_usable(shown: Page) -> float:
    end = time.monotonic() + 60
    while (found := shown.evaluate("window.usable")) is None:
        if time.monotonic() > end:
            raise SystemExit("the page could not be used after 60 s")
        time.sleep(0.02)
    return float(found) / 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--openings", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="write the page there and leave it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        start = time.monotonic()
        page = write_page(options.keep or Path(temporary), options.samples)
        files = [one for one in page.parent.rglob("*") if one.is_file()]
        print(
            f"{options.samples} samples × 2 runs × 2 protocols, scored and written in {time.monotonic() - start:.0f} s"
        )
        print(f"{sum(one.stat().st_size for one in files) / 1e6:.0f} MB in {len(files)} files")
        times = []
        for _ in range(options.openings):
            with opened(browser, page) as shown:
                times.append(seconds_to_usable(shown))
        answers = {}
        with opened(browser, page) as shown:
            seconds_to_usable(shown)
            for name, value in (("order", "worst 0"), ("category", "dress"), ("category", ""), ("search", "card 77")):
                answers[f"{name} {value or 'all'}"] = shown.evaluate(ANSWER, [name, value]) / 1000
    print(f"usable after {', '.join(f'{one:.2f}' for one in times)} s; median {statistics.median(times):.2f} s")
    print("answers: " + ", ".join(f"{name} {one:.2f} s" for name, one in answers.items()))
    return int(statistics.median(times) > MOST_SECONDS or max(answers.values()) > MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
