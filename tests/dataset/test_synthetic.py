"""The synthetic set: the same everywhere, different in exactly three places, and fit to be told apart by a person."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.images import pixel_digest
from fashionedit.synthetic import RENDERER_VERSION, render_with, rendering, synthetic_sample, synthetic_samples
from fashionedit.types import Sample

KINDS = {"Tshirt", "Shirt", "Blazer", "Coat", "Dress", "Skirt", "Trousers"}
INDICES = range(14)
"""Two rounds of all seven garments and more; a campaign over 1,000 is a matter of changing this line."""


@lru_cache(maxsize=64)
def sample(index: int, seed: int = 0, split: str = "validation") -> Sample:
    return synthetic_sample(index, seed=seed, split=split)


def pixels(image: Image.Image) -> NDArray[np.int16]:
    return np.asarray(image, np.int16)


def boxes(of: Sample) -> list[tuple[int, int, int, int]]:
    return [difference.box.pixels(*of.original.size) for difference in of.differences]


def fingerprint(of: Sample) -> str:
    words = [of.id, of.annotation, of.garment, *(d.description for d in of.differences)]
    edges = [difference.box.box_2d for difference in of.differences]
    images = [of.draft, of.original, *(d.reference for d in of.differences)]
    return hashlib.sha256(repr((words, edges, [pixel_digest(image) for image in images])).encode()).hexdigest()


def squared_error(one: Image.Image, two: Image.Image) -> float:
    small = [np.asarray(image.resize((256, 256), Image.Resampling.BILINEAR), np.float64) for image in (one, two)]
    return float(((small[0] - small[1]) ** 2).mean())


def test_pixels_and_words_are_the_same_when_rendered_again_in_another_order() -> None:
    again = [fingerprint(synthetic_sample(index)) for index in (5, 2, 0)]
    assert again == [fingerprint(sample(index)) for index in (5, 2, 0)]


@pytest.mark.parametrize("index", INDICES)
def test_draft_and_original_are_equal_outside_the_boxes(index: int) -> None:
    here = sample(index)
    outside = np.ones(here.original.size[::-1], bool)
    for left, top, right, bottom in boxes(here):
        outside[top:bottom, left:right] = False
    changed = (pixels(here.draft) != pixels(here.original)).any(axis=2)
    assert changed.any()
    assert not changed[outside].any()


@pytest.mark.slow
@pytest.mark.parametrize("index", INDICES[:9])
def test_each_box_is_the_smallest_around_what_its_difference_alone_changes(index: int) -> None:
    here = sample(index)
    draft = pixels(here.draft)
    for k, box in enumerate(boxes(here)):
        alone = pixels(render_with(index, differences=(k,)))
        rows, columns = np.nonzero((alone != draft).any(axis=2))
        found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert max(abs(int(a) - b) for a, b in zip(found, box, strict=True)) <= 2
        left, top, right, bottom = box
        assert (alone[top:bottom, left:right] == pixels(here.original)[top:bottom, left:right]).all()


@pytest.mark.parametrize("index", [0, 4, 8])
def test_from_scratch_the_pictures_are_those_of_the_sample(index: int) -> None:
    assert pixel_digest(render_with(index, differences=())) == pixel_digest(sample(index).draft)
    assert pixel_digest(render_with(index, differences=(2, 0, 1))) == pixel_digest(sample(index).original)


@pytest.mark.parametrize("index", INDICES)
def test_boxes_are_disjoint_and_neither_tiny_nor_huge(index: int) -> None:
    found = boxes(sample(index))
    for difference in sample(index).differences:
        assert 0.005 <= difference.box.area <= 0.20
    for k, (left, top, right, bottom) in enumerate(found):
        for other in found[:k]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


@pytest.mark.parametrize("index", INDICES)
def test_each_difference_can_be_seen(index: int) -> None:
    here = sample(index)
    for left, top, right, bottom in boxes(here):
        change = np.abs(pixels(here.draft) - pixels(here.original))[top:bottom, left:right]
        assert change.mean() >= 5
        assert (change.max(axis=2) > 24).mean() >= 0.08


@pytest.mark.parametrize("index", INDICES)
def test_every_round_comes_closer_to_the_original_and_the_last_reaches_it(index: int) -> None:
    here = sample(index)
    current = here.draft.copy()
    errors = [squared_error(current, here.original)]
    for difference, (left, top, _, _) in zip(here.differences, boxes(here), strict=True):
        current.paste(difference.reference, (left, top))
        errors.append(squared_error(current, here.original))
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == 4
    assert pixel_digest(current) == pixel_digest(here.original)


def test_a_sample_is_complete() -> None:
    here = sample(6)
    assert here.id == "synthetic-0-validation-00006"
    assert here.draft.size == here.original.size
    assert here.original.size[0] >= 512
    assert here.original.size[1] >= 768
    assert here.clip_score is None
    assert here.view == "flat"
    assert here.gender in {"MEN", "WOMEN"}
    assert re.fullmatch(r"\d{8}", here.garment_id or "")
    assert RENDERER_VERSION.isdigit()


def test_seeds_are_different_sets() -> None:
    assert fingerprint(sample(0, seed=7)) != fingerprint(sample(0))
    assert sample(0, seed=7).id == "synthetic-7-validation-00000"


def test_the_first_seven_show_every_garment() -> None:
    assert {sample(index).category for index in range(7)} == KINDS


def test_val_is_the_other_name_of_validation() -> None:
    assert synthetic_sample(1, split="val").id == sample(1).id


def test_what_does_not_exist_is_refused_in_one_sentence() -> None:
    with pytest.raises(InvalidDataError, match="first sample is 0"):
        synthetic_sample(-1)
    with pytest.raises(InvalidDataError, match="difference 3 does not exist"):
        render_with(0, differences=(3,))
    with pytest.raises(InvalidDataError, match="workers is 0"):
        synthetic_samples(2, workers=0)
    with pytest.raises(InvalidDataError, match="count is -1"):
        synthetic_samples(-1)
    with pytest.raises(UnknownNameError, match="train or validation"):
        synthetic_samples(2, split="test")


def test_importing_the_package_draws_in_neither_numpy_nor_pillow_plugins() -> None:
    code = "import sys, fashionedit.synthetic as s; assert s.RENDERER_VERSION; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_pixels_are_the_same_with_every_version_of_numpy_and_pillow_that_is_allowed() -> None:
    """Compared with the digest of RENDERER_VERSION 1, so that whoever changes a pixel changes the version too."""
    digests = "".join(pixel_digest(image) for i in range(7) for image in (sample(i).original, sample(i).draft))
    assert RENDERER_VERSION == "1"
    assert hashlib.sha256(digests.encode()).hexdigest() == (
        "3b194417dea59613e4b7ff16008018c332dab009e24804edbff3ede16b819862"
    )


def test_workers_and_this_process_render_the_same_whatever_the_hash_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "4242")
    wanted = [fingerprint(sample(index)) for index in range(5)]
    assert [fingerprint(rendered) for rendered in synthetic_samples(5, workers=2)] == wanted
    assert [fingerprint(rendered) for rendered in synthetic_samples(2, workers=1)] == wanted[:2]


def test_no_more_workers_than_samples_and_none_for_none() -> None:
    assert list(synthetic_samples(0, workers=4)) == []
    assert 1 <= rendering.default_workers() <= rendering.MOST_WORKERS


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Returns the worker processes, as they are started."""
    processes: list[subprocess.Popen[bytes]] = []
    start = rendering._start

    def recording(*arguments: Any) -> subprocess.Popen[bytes]:
        processes.append(start(*arguments))
        return processes[-1]

    monkeypatch.setattr(rendering, "_start", recording)
    return processes


def test_what_a_dead_worker_leaves_is_rendered_here(started: list[subprocess.Popen[bytes]]) -> None:
    stream = synthetic_samples(4, workers=2)
    names = [next(stream).id]
    for worker in started:
        worker.kill()
    names += [sample.id for sample in stream]
    assert names == [f"synthetic-0-validation-{index:05d}" for index in range(4)]


def test_leaving_early_leaves_no_process_behind(started: list[subprocess.Popen[bytes]]) -> None:
    stream = synthetic_samples(50, workers=2)
    next(stream)
    assert [worker.poll() for worker in started] == [None, None]
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert all(worker.returncode is not None for worker in started)


def test_a_script_without_main_guard_works_and_an_interrupt_ends_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            from fashionedit.synthetic import synthetic_samples
            for sample in synthetic_samples(100_000, workers=2):
                print(sample.id, flush=True)
            """
        )
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for number in range(2):  # one of each worker: both are there
            assert process.stdout.readline().strip() == f"synthetic-0-validation-0000{number}"
        os.killpg(process.pid, signal.SIGINT)
        start = time.monotonic()
        _, told = process.communicate(timeout=60)
    assert time.monotonic() - start < 50
    assert told.count("Traceback") == 1
    assert "KeyboardInterrupt" in told
