from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_samples import ToySource

from fashionedit.errors import UnknownNameError
from fashionedit.eval_harness.editing import Status
from fashionedit.eval_harness.editors import resolve_editor
from fashionedit.eval_harness.running.identity import SizePolicy
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.samples import SentSample
from fashionedit.eval_harness.scores.baselines import TRIVIAL, BaselineImage, Baselines, Drawn, baseline_outcomes
from fashionedit.images import pixel_digest

ROWS = {"identity": ["draft"], "return-reference": ["bug"], "paste-reference": ["bug"], "oracle": ["vanilla", "bug"]}


@pytest.mark.parametrize("size_policy", ["model", "base"])
@pytest.mark.parametrize("draft_size", [None, (40, 30)])
def test_baselines_in_memory_are_what_runs_give(
    tmp_path: Path, size_policy: SizePolicy, draft_size: tuple[int, int] | None
) -> None:
    source = ToySource(3, draft_size=draft_size)
    made = {}
    for info, outcome in baseline_outcomes(source, size_policy=size_policy):
        if info in TRIVIAL:
            continue
        assert info == resolve_editor(info.name).describe()
        assert pixel_digest(outcome.current.open()) == outcome.current.digest
        assert outcome.current.open().size == outcome.current.size
        made[info.name, outcome.protocol, outcome.sample, outcome.round] = outcome
    ran = {}
    for name, protocols in ROWS.items():
        out = tmp_path / name
        run(resolve_editor(name), source, out, protocols=protocols, size_policy=size_policy)
        for outcome in RunFolder.open(out).outcomes(source):
            ran[name, outcome.protocol, outcome.sample, outcome.round] = outcome
    assert made.keys() == ran.keys()
    assert len(made) == 3 * (1 + 3 + 3 + 6)
    for place, outcome in made.items():
        for field in ("status", "own", "instruction", "message", "attempts"):
            assert getattr(outcome, field) == getattr(ran[place], field)
        assert outcome.status is Status.OK
        assert (outcome.current.digest, outcome.current.size) == (ran[place].current.digest, ran[place].current.size)


def test_samples_come_one_after_the_other_and_are_decoded_once() -> None:
    source = ToySource(3)
    order = [outcome.sample for _, outcome in baseline_outcomes(source)]
    assert order == sorted(order)
    assert len(source.decoded) == 3


def test_images_opened_after_their_sample_has_passed_are_made_again() -> None:
    source = ToySource(2)
    kept = [outcome for _, outcome in baseline_outcomes(source)]
    source.decoded.clear()
    for outcome in kept:
        assert pixel_digest(outcome.current.open()) == outcome.current.digest
    assert source.decoded


def test_rounds_and_protocols_are_those_of_the_table() -> None:
    found = [
        (info.name, o.protocol, o.round) for info, o in baseline_outcomes(ToySource(1), protocols=["vanilla"], rounds=2)
    ]
    trivial = [("flat-grey", "draft", 0), ("faded-draft", "draft", 0)]
    assert found == [*trivial, ("identity", "draft", 0), ("oracle", "vanilla", 1), ("oracle", "vanilla", 2)]
    with pytest.raises(UnknownNameError):
        list(baseline_outcomes(ToySource(1), protocols=["bugs"]))


def test_trivial_rows_show_one_grey_and_the_draft_with_less_contrast() -> None:
    source = ToySource(2, draft_size=(40, 30))
    made = {(info.name, o.sample): o for info, o in baseline_outcomes(source) if info in TRIVIAL}
    assert len(made) == 4
    for (name, id), outcome in made.items():
        image, draft = outcome.current.open(), source.sample(id).draft
        assert (outcome.status, outcome.own, outcome.protocol, outcome.round) == (Status.OK, True, "draft", 0)
        assert (image.size, outcome.current.size) == (draft.size, draft.size)
        assert pixel_digest(image) == outcome.current.digest
        if name == "flat-grey":
            assert image.getcolors() == [(40 * 30, (128, 128, 128))]
        else:
            pixels, before = np.asarray(image, dtype=float), np.asarray(draft, dtype=float)
            grey = np.asarray(draft.convert("L"), dtype=float).mean()
            assert np.abs(pixels - (0.4 * before + 0.6 * grey)).max() <= 1


def told(source: ToySource, path: Path, **options: object) -> list[tuple[str, str, int, str, tuple[int, int]]]:
    """What is known of each outcome of the baselines, in order."""
    return [
        (info.fingerprint, one.protocol, one.round, one.current.digest, one.current.size)
        for info, one in baseline_outcomes(source, run=path, **options)
    ]


@pytest.mark.parametrize("size_policy", ["model", "base"])
def test_what_they_come_to_is_kept_and_no_sample_is_opened_again(tmp_path: Path, size_policy: SizePolicy) -> None:
    source = ToySource(3, draft_size=(40, 30))
    first = told(source, tmp_path, size_policy=size_policy)
    source.decoded.clear()
    assert told(source, tmp_path, size_policy=size_policy) == first
    assert source.decoded == []
    kept = list(baseline_outcomes(source, size_policy=size_policy, run=tmp_path))
    assert all(pixel_digest(one.current.open()) == one.current.digest for _, one in kept)
    assert all(one.current.open().size == one.current.size for _, one in kept)


def test_a_changed_sample_and_a_line_that_can_not_be_used_are_made_anew(tmp_path: Path) -> None:
    source = ToySource(3)
    first = told(source, tmp_path)
    (path,) = (tmp_path / "scores").iterdir()
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:50], lines[2].replace('", ', '", -', 1)]))
    source.decoded.clear()
    assert told(source, tmp_path) == first
    assert source.decoded == ["toy-01", "toy-02"]
    other = ToySource(3, seed=1)
    assert told(other, tmp_path) == list(told(other, tmp_path / "fresh")) != first
    source.decoded.clear()
    assert told(source, tmp_path) == first
    assert source.decoded == []


def test_what_others_draw_of_a_sample_that_was_sent_is_what_is_drawn_here(tmp_path: Path) -> None:
    source = ToySource(4, draft_size=(40, 30))
    here = told(source, tmp_path / "here")
    asked: list[list[str]] = []

    def draw(shown: object, baselines: Baselines, names: list[str]) -> Iterator[tuple[str, Drawn | None]]:
        asked.append(names)
        for name in names:
            sent, rows = pickle.loads(pickle.dumps((SentSample(source, name), baselines)))
            yield name, None if name == "toy-02" else rows.draw(sent, name)

    source.decoded.clear()
    assert told(source, tmp_path / "there", draw=draw) == here
    assert source.decoded.count("toy-02") > source.decoded.count("toy-01")  # nobody drew it: it was drawn here
    assert told(source, tmp_path / "there", draw=draw) == here
    assert asked == [["toy-00", "toy-01", "toy-02", "toy-03"], []]


def test_an_image_of_a_sample_is_drawn_where_the_sample_was_sent() -> None:
    source = ToySource(1)
    for _, outcome in baseline_outcomes(source):
        image = outcome.current.open
        assert isinstance(image, BaselineImage)
        sent = pickle.loads(pickle.dumps(replace(image, source=SentSample(source, image.sample))))
        assert pixel_digest(sent()) == outcome.current.digest
