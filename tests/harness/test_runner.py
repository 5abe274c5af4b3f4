from __future__ import annotations

import io
import re
import shlex
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toy_editors import ToyEditor, refusing, tint
from toy_runs import failures, outcomes, records, sessions
from toy_samples import HEIGHT, WIDTH, ToySource

from fashionedit.errors import EditorError, InvalidDataError, MissingExtraError, RunMismatchError, UnknownNameError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, RequestImage, Status
from fashionedit.eval_harness.editors import resolve_editor
from fashionedit.eval_harness.running.records import round_seed
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.run_stats import RunSummary, next_step, summary_lines
from fashionedit.eval_harness.running.runner import run
from fashionedit.images import pixel_digest
from fashionedit.types import Sample


def test_each_round_starts_from_the_one_before(tmp_path: Path) -> None:
    source, editor = ToySource(2), ToyEditor()
    summary = run(editor, source, tmp_path / "run")
    assert (summary.planned, summary.edits, summary.reused, summary.statuses) == (12, 12, 0, {Status.OK: 12})
    found = outcomes(tmp_path / "run", source)
    for sample in source.ids:
        for protocol in ("vanilla", "bug"):
            image = source.sample(sample).draft
            for round in (1, 2, 3):
                request = next(
                    r
                    for r in editor.requests
                    if r.protocol == protocol and r.round == round and r.seed == round_seed(0, sample, protocol, round)
                )
                assert pixel_digest(request.base) == pixel_digest(image)
                image = tint(request)
                outcome = found[protocol, sample, round]
                assert (outcome.current.digest, outcome.status, outcome.own) == (pixel_digest(image), Status.OK, True)
                assert pixel_digest(outcome.current.open()) == outcome.current.digest
                assert outcome.current.size == image.size


def test_requests_hold_the_protocols_words_and_images(tmp_path: Path) -> None:
    source, editor = ToySource(1), ToyEditor()
    run(editor, source, tmp_path / "run", params={"steps": 4}, seed=5)
    differences = source.sample("toy-00").differences
    for request in editor.requests:
        difference = differences[request.round - 1]
        assert request.instruction.endswith(":" + difference.description)
        assert [item.role for item in request.images] == ["base", "reference"][: len(request.images)]
        assert len(request.images) == (2 if request.protocol == "bug" else 1)
        assert [pixel_digest(image) for image in request.references] == (
            [pixel_digest(difference.reference)] if request.protocol == "bug" else []
        )
        assert request.params == {"steps": 4}
        assert request.seed == round_seed(5, "toy-00", request.protocol, request.round)


def test_rounds_go_breadth_first_and_all_protocols_together(tmp_path: Path) -> None:
    editor = ToyEditor()
    run(editor, ToySource(2), tmp_path / "run", rounds=2)
    assert [(r.round, r.protocol) for r in editor.requests] == [
        (round, protocol) for round in (1, 2) for _ in range(2) for protocol in ("vanilla", "bug")
    ]


def test_records_tell_what_was_shown_what_came_back_and_how_long_it_took(tmp_path: Path) -> None:
    source = ToySource(1)

    def details(request: EditRequest) -> EditResult:
        return EditResult.ok(
            tint(request).resize((20, 30)),
            params={"guidance": 7},
            model_version="m-2",
            usage={"tokens": 5},
            cost_usd=0.25,
            seconds=1.5,
            attempts=2,
            state={"turn": request.round},
        )

    run(ToyEditor(details), source, tmp_path / "run", protocols=["bug"])
    kept = {record.round: record for record in records(tmp_path / "run")}
    digests = source.digests("toy-00")
    assert [(item.role, item.digest, item.size) for item in kept[1].inputs] == [
        ("base", digests.draft, (WIDTH, HEIGHT)),
        ("reference", digests.crops[0], (12, 10)),
    ]
    assert kept[2].inputs[0].digest == kept[1].output.digest
    assert kept[2].inputs[0].size == (20, 30)
    first = kept[1]
    assert (first.effective_params, first.model_version, first.usage) == ({"guidance": 7}, "m-2", {"tokens": 5})
    assert (first.cost_usd, first.seconds, first.attempts, first.state) == (0.25, 1.5, 2, {"turn": 1})

    def slow(request: EditRequest) -> Image.Image:
        time.sleep(0.02)
        return tint(request)

    run(ToyEditor(slow), source, tmp_path / "timed", rounds=1)
    assert all(0.02 <= record.seconds < 5 for record in records(tmp_path / "timed"))


def test_state_travels_with_the_image_and_as_json(tmp_path: Path) -> None:
    def with_state(request: EditRequest) -> EditResult:
        if request.round == 2:
            return EditResult.failed(Status.REFUSED, "no", state="of the refusal")
        return EditResult.ok(tint(request), state={"round": (request.round,), "deep": {7: "seven"}})

    editor = ToyEditor(with_state)
    run(editor, ToySource(1), tmp_path / "run", protocols=["vanilla"])
    assert [request.state for request in editor.requests] == [None, *[{"round": [1], "deep": {"7": "seven"}}] * 2]
    assert {record.round: record.state for record in records(tmp_path / "run")}[2] == "of the refusal"


def test_refusal_keeps_last_good_image(tmp_path: Path) -> None:
    source, editor = ToySource(1), ToyEditor(refusing([2]))
    summary = run(editor, source, tmp_path / "run", protocols=["vanilla"])
    assert summary.statuses == {Status.OK: 2, Status.REFUSED: 1}
    found = [outcomes(tmp_path / "run", source)["vanilla", "toy-00", round] for round in (1, 2, 3)]
    assert found[1].current.digest == found[0].current.digest
    assert (found[1].status, found[1].own, found[1].message) == (Status.REFUSED, False, "no round 2")
    assert pixel_digest(editor.requests[2].base) == found[0].current.digest
    assert found[2].own


def test_a_refused_first_round_leaves_the_draft(tmp_path: Path) -> None:
    source, editor = ToySource(1), ToyEditor(refusing([1, 2, 3], Status.NO_IMAGE))
    run(editor, source, tmp_path / "run", protocols=["bug"])
    assert {o.current.digest for o in outcomes(tmp_path / "run", source).values()} == {source.digests("toy-00").draft}
    assert [pixel_digest(r.base) for r in editor.requests] == [source.digests("toy-00").draft] * 3
    outcome = outcomes(tmp_path / "run", source)["bug", "toy-00", 3]
    assert pixel_digest(outcome.current.open()) == source.digests("toy-00").draft


@pytest.mark.parametrize("status", [Status.REFUSED, Status.NO_IMAGE, Status.INVALID_IMAGE])
def test_results_without_an_image_are_not_asked_for_again(tmp_path: Path, status: Status) -> None:
    run(ToyEditor(refusing([1], status)), ToySource(1), tmp_path / "run")
    again = ToyEditor()
    summary = run(again, ToySource(1), tmp_path / "run")
    assert again.requests == []
    assert (summary.reused, summary.edits) == (6, 0)


@pytest.mark.parametrize("status", [Status.TIMEOUT, Status.ERROR])
def test_transient_failures_are_tried_again_by_the_next_run(tmp_path: Path, status: Status) -> None:
    source, out = ToySource(1), tmp_path / "run"
    failing = ToyEditor(refusing([2], status))
    assert run(failing, source, out, protocols=["vanilla"]).statuses == {Status.OK: 2, status: 1}
    outcome = outcomes(out, source)["vanilla", "toy-00", 2]
    assert (outcome.status, outcome.message, outcome.own) == (status, "no round 2", False)
    mended = ToyEditor()
    summary = run(mended, source, out, protocols=["vanilla"])
    # Round 3 had started from round 1's image; now it starts from round 2's.
    assert [request.round for request in mended.requests] == [2, 3]
    assert (summary.reused, summary.edits, summary.statuses) == (1, 2, {Status.OK: 3})
    whole = ToyEditor()
    run(whole, source, tmp_path / "whole", protocols=["vanilla"])
    assert [o.current.digest for o in outcomes(out, source).values()] == [
        o.current.digest for o in outcomes(tmp_path / "whole", source).values()
    ]


def test_a_round_after_a_lasting_failure_is_not_repeated(tmp_path: Path) -> None:
    for expected in ([1, 2, 3], [2], [2]):
        editor = ToyEditor(refusing([2], Status.ERROR))
        summary = run(editor, ToySource(1), tmp_path / "run", protocols=["vanilla"])
        assert [request.round for request in editor.requests] == expected
        assert summary.statuses == {Status.OK: 2, Status.ERROR: 1}
    assert len(list((tmp_path / "run" / "errors").glob("*-00?.json"))) == 3


def test_exceptions_are_status_error_with_type_message_and_traceback(tmp_path: Path) -> None:
    def broken(request: EditRequest) -> Image.Image:
        if request.round == 1:
            raise ZeroDivisionError("by nought")
        if request.round == 2:
            raise TimeoutError
        return tint(request)

    source = ToySource(1)
    summary = run(ToyEditor(broken), source, tmp_path / "run", protocols=["vanilla"])
    assert summary.statuses == {Status.OK: 1, Status.TIMEOUT: 1, Status.ERROR: 1}
    found = outcomes(tmp_path / "run", source)
    message = found["vanilla", "toy-00", 1].message
    assert re.fullmatch(r"ZeroDivisionError in test_runner.py, line \d+: by nought", message)
    assert found["vanilla", "toy-00", 2].status is Status.TIMEOUT
    assert found["vanilla", "toy-00", 2].message.startswith("TimeoutError in test_runner.py, line ")
    kept = failures(tmp_path / "run")
    assert {item["round"] for item in kept} == {1, 2}
    assert all("in broken" in item["traceback"] for item in kept)


def cut_png() -> Image.Image:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "PNG")
    return Image.open(io.BytesIO(file.getvalue()[:900]))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Image.new("RGB", (0, 5)), "0×5 pixels; both sides need at least 1"),
        (lambda: Image.new("1", (9000, 8000)), "9000×8000 pixels, more than the 64,000,000 that are read"),
        (lambda: Image.new("RGB", (30_000, 2)), "30000×2 pixels, too elongated to be scored"),
        (lambda: Image.new("1", (40_000, 1)), "40000×1 pixels, more than 32,768 on a side"),
        (lambda: Image.new("I", (5, 6)), "values of an unknown range"),
        (lambda: Image.new("F", (5, 6)), "values of an unknown range"),
        (cut_png, "can't be used ("),
    ],
)
def test_what_can_not_be_scored_is_invalid(tmp_path: Path, make: Callable[[], Image.Image], words: str) -> None:
    source = ToySource(1)
    run(ToyEditor(lambda request: make()), source, tmp_path / "run", rounds=1, protocols=["vanilla"])
    outcome = outcomes(tmp_path / "run", source)["vanilla", "toy-00", 1]
    assert outcome.status is Status.INVALID_IMAGE
    assert words in outcome.message


def test_values_that_are_no_numbers_are_told_once_in_plain_words(tmp_path: Path) -> None:
    def overflowing(request: EditRequest) -> Image.Image:
        return Image.fromarray((np.full((8, 8, 3), np.nan) * 255).round().astype(np.uint8))

    with pytest.warns(UserWarning, match=r"values that are no numbers \(NaN\); its pictures may be black"):
        run(ToyEditor(overflowing), ToySource(1), tmp_path / "run", protocols=["vanilla"])


def test_an_editor_keeps_its_own_rule_for_values_that_are_no_numbers(tmp_path: Path) -> None:
    def overflowing(request: EditRequest) -> Image.Image:
        return Image.fromarray((np.full((8, 8, 3), np.nan) * 255).round().astype(np.uint8))

    with np.errstate(invalid="raise"):
        run(ToyEditor(overflowing), ToySource(1), tmp_path / "run", rounds=1, protocols=["vanilla"])
    assert {failure["status"] for failure in failures(tmp_path / "run")} == {"error"}


def test_progress_need_not_care_for_money(tmp_path: Path) -> None:
    class Plain:
        rounds = 0

        def start(self, total: int, done: int) -> None: ...

        def advance(self, status: Status) -> None:
            self.rounds += 1

    plain = Plain()
    priced = ToyEditor(lambda request: EditResult.ok(request.base, cost_usd=0.5))
    run(priced, ToySource(1), tmp_path / "run", protocols=["vanilla"], progress=plain)
    assert plain.rounds == 3


@pytest.mark.parametrize("mode", ["L", "1", "LA", "RGBA", "P", "CMYK", "HSV", "I;16"])
def test_images_of_any_mode_become_rgb(tmp_path: Path, mode: str) -> None:
    source = ToySource(1)
    run(ToyEditor(lambda request: Image.new(mode, (5, 6))), source, tmp_path / "run", rounds=1, protocols=["vanilla"])
    outcome = outcomes(tmp_path / "run", source)["vanilla", "toy-00", 1]
    assert outcome.status is Status.OK
    assert (outcome.current.open().mode, outcome.current.size) == ("RGB", (5, 6))


def test_an_editor_that_draws_on_what_it_is_given_corrupts_nothing(tmp_path: Path) -> None:
    source = ToySource(1)
    before = {name: pixel_digest(getattr(source.sample("toy-00"), name)) for name in ("draft", "original")}

    class Vandal:
        def describe(self) -> EditorInfo:
            return EditorInfo("vandal", "1", privileged=True)

        def edit(self, request: EditRequest, sample: Sample) -> EditResult:
            images = [item.image for item in request.images] + [sample.draft, sample.original]
            for image in [*images, *(item.reference for item in sample.differences)]:
                image.paste("red", (0, 0, *image.size))
            request.params["nested"].append("mine")
            return EditResult.ok(request.base, state={"list": []})

    run(Vandal(), source, tmp_path / "run", params={"nested": []})
    sample = source.sample("toy-00")
    assert {name: pixel_digest(getattr(sample, name)) for name in ("draft", "original")} == before
    assert tuple(pixel_digest(item.reference) for item in sample.differences) == source.digests("toy-00").crops
    assert all(record.params == {"nested": []} for record in records(tmp_path / "run"))
    first = next(record for record in records(tmp_path / "run") if record.round == 1)
    assert first.inputs[0].digest == source.digests("toy-00").draft


def test_requests_carry_no_metadata_and_no_sample_to_those_without_privilege(tmp_path: Path) -> None:
    source, editor = ToySource(1), ToyEditor()
    sample = source.sample("toy-00")
    sample.draft.info["comment"] = "toy-00"
    run(editor, source, tmp_path / "run", rounds=1)
    for request in editor.requests:
        assert "toy-00" not in repr(request)
        assert all(item.image.info == {} for item in request.images)


def test_request_ids_are_unique_opaque_and_stay_when_the_run_continues(tmp_path: Path) -> None:
    failing, again, other = (ToyEditor(refusing([1, 2, 3], Status.ERROR)) for _ in range(3))
    run(failing, ToySource(2), tmp_path / "run")
    run(again, ToySource(2), tmp_path / "run")
    run(other, ToySource(2), tmp_path / "other")
    ids = [request.request_id for request in failing.requests]
    assert len(set(ids)) == 12
    assert [request.request_id for request in again.requests] == ids
    assert not {request.request_id for request in other.requests} & set(ids)


def test_seeds_and_results_do_not_depend_on_the_order_of_samples(tmp_path: Path) -> None:
    forward, backward = ToySource(3), ToySource(3)
    backward.ids = tuple(reversed(backward.ids))
    run(ToyEditor(), forward, tmp_path / "forward")
    run(ToyEditor(), backward, tmp_path / "backward", protocols=["bug", "vanilla"])
    kept = [{record.key: record.output for record in records(tmp_path / name)} for name in ("forward", "backward")]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 18


def test_size_policy_model_keeps_the_size_and_base_resizes_to_the_base_image(tmp_path: Path) -> None:
    def half(request: EditRequest) -> Image.Image:
        return request.base.resize((request.base.width // 2, request.base.height // 2))

    source = ToySource(1)
    for policy, sizes in (("model", [(16, 24), (8, 12), (4, 6)]), ("base", [(WIDTH, HEIGHT)] * 3)):
        out = tmp_path / policy
        run(ToyEditor(half), source, out, protocols=["vanilla"], size_policy=policy)
        kept = sorted(records(out), key=lambda record: record.round)
        assert [record.output.size for record in kept] == sizes
        assert [record.output.returned_size for record in kept] == (
            sizes if policy == "model" else [(WIDTH // 2, HEIGHT // 2)] * 3
        )
    request = EditRequest("", "", 1, "", (RequestImage("base", source.sample("toy-00").draft),), 0)
    expected = half(request).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    first = outcomes(tmp_path / "base", source)["vanilla", "toy-00", 1]
    assert np.array_equal(np.asarray(first.current.open()), np.asarray(expected))


def test_draft_protocol_asks_the_editor_nothing(tmp_path: Path) -> None:
    source = ToySource(2)
    summary = run(resolve_editor("identity"), source, tmp_path / "run", protocols=["draft"])
    assert (summary.planned, summary.edits, summary.statuses) == (2, 0, {Status.OK: 2})
    found = list(RunFolder.open(tmp_path / "run").outcomes(source))
    assert [(o.protocol, o.round, o.own, o.instruction) for o in found] == [("draft", 0, True, "")] * 2
    assert [o.current.digest for o in found] == [source.digests(id).draft for id in source.ids]
    assert not (tmp_path / "run" / "images").exists()  # the dataset's drafts are not copied
    assert run(resolve_editor("identity"), source, tmp_path / "run", protocols=["draft"]).reused == 2


def test_protocols_are_those_that_the_editor_edits_in(tmp_path: Path) -> None:
    for editor, protocols in (("identity", ("vanilla", "bug")), ("return-reference", ("bug",))):
        run(resolve_editor(editor), ToySource(1), tmp_path / editor)
        assert RunFolder.open(tmp_path / editor).identity.protocols == protocols
    with pytest.raises(
        UnknownNameError,
        match="toy needs a reference image, so it can't take part in protocol 'vanilla'; choose draft, bug",
    ):
        run(ToyEditor(needs_reference=True), ToySource(1), tmp_path / "run", protocols=["vanilla", "bug"])
    with pytest.raises(UnknownNameError, match=r"toy takes no reference image, .* choose draft, vanilla"):
        run(ToyEditor(takes_reference=False), ToySource(1), tmp_path / "run", protocols=["bug"])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"rounds": 4}, InvalidDataError, "4 rounds"),
        ({"size_policy": "huge"}, InvalidDataError, "'huge' is unknown; choose model or base"),
        ({"params": {"api_key": "x"}}, InvalidDataError, "looks like a secret"),
        ({"params": {"steps": {1, 2}}}, EditorError, "params can't be written as JSON"),
        ({"source": ToySource(0)}, InvalidDataError, "toy validation has no samples"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_leave_nothing(
    tmp_path: Path, arguments: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        run(ToyEditor(), **{"source": ToySource(1), "out": tmp_path / "run", **arguments})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ("a name", "returned str"),
        (EditorInfo("", "1"), "the name of ToyEditor is ''"),
        (EditorInfo("toy", " "), "the fingerprint of ToyEditor"),
        (EditorInfo("toy", "1", takes_reference="bug"), "takes_reference of editor toy is 'bug'; give True or False"),
    ],
)
def test_an_editor_that_does_not_say_who_it_is_cannot_run(tmp_path: Path, info: Any, words: str) -> None:
    editor = ToyEditor()
    editor.info = info
    with pytest.raises(EditorError, match=words):
        run(editor, ToySource(1), tmp_path / "run")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("no result", "returned str; return an EditResult"),
        (EditResult.ok(Image.new("RGB", (4, 4)), state={1, 2}), "state of an EditResult can't be written"),
        (EditResult.ok(Image.new("RGB", (4, 4)), params={"x": object()}), "params of an EditResult can't be written"),
        (EditResult.ok(Image.new("RGB", (4, 4)), usage={"tokens": "many"}), "usage.tokens 'many'"),
        (EditResult.failed(Status.ERROR, "oh", cost_usd="dear"), "cost_usd 'dear'"),
    ],
)
def test_a_broken_contract_stops_the_run_with_one_sentence(tmp_path: Path, answer: Any, words: str) -> None:
    editor = ToyEditor(lambda request: answer)
    with pytest.raises(EditorError, match=words):
        run(editor, ToySource(2), tmp_path / "run")
    assert len(editor.requests) == 1  # no money for answers that can't be used
    assert len(list((tmp_path / "run" / "errors").iterdir())) == 1
    last = sessions(tmp_path / "run")[-1]
    assert (last["event"], last["ended"]) == ("end", "failed")


def test_a_missing_package_stops_the_run(tmp_path: Path) -> None:
    def needs(request: EditRequest) -> EditResult:
        raise MissingExtraError("clip", "torch")

    editor = ToyEditor(needs)
    with pytest.raises(MissingExtraError, match="pip install"):
        run(editor, ToySource(2), tmp_path / "run")
    assert len(editor.requests) == 1


def test_interrupting_loses_nothing_and_the_run_continues(tmp_path: Path) -> None:
    asked = Counter[int]()

    def interrupted(request: EditRequest) -> Image.Image:
        asked["all"] += 1
        if asked["all"] == 4:
            raise KeyboardInterrupt
        return tint(request)

    source, out = ToySource(2), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(ToyEditor(interrupted), source, out)
    assert len(records(out)) == 3
    last = sessions(out)[-1]
    assert (last["ended"], last["edits"]) == ("interrupted", 3)
    editor = ToyEditor()
    summary = run(editor, source, out)
    assert (summary.edits, summary.reused) == (9, 3)


def test_ctrl_c_while_an_answer_is_written_waits_for_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = RunFolder.commit

    def pressed(self: RunFolder, *arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        commit(self, *arguments)

    monkeypatch.setattr(RunFolder, "commit", pressed)
    with pytest.raises(KeyboardInterrupt):
        run(ToyEditor(), ToySource(1), tmp_path / "run")
    assert len(records(tmp_path / "run")) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_may_have_a_name_of_its_own(tmp_path: Path) -> None:
    run(ToyEditor(), ToySource(1), tmp_path / "run", name="mine, 4 steps")
    assert RunFolder.open(tmp_path / "run").identity.editor.name == "mine, 4 steps"
    run(ToyEditor(), ToySource(1), tmp_path / "run", name="mine, 4 steps")
    with pytest.raises(RunMismatchError, match=r"editor.name: run has mine, 4 steps, you asked toy"):
        run(ToyEditor(), ToySource(1), tmp_path / "run")
    for name in ("", "  ", "a" * 97, "a\nb"):
        with pytest.raises(InvalidDataError, match="give 1 to 96 printable characters"):
            run(ToyEditor(), ToySource(1), tmp_path / "other", name=name)
    assert not (tmp_path / "other").exists()


def test_a_run_outside_the_main_thread_works(tmp_path: Path) -> None:
    summaries: list[RunSummary] = []
    threads: set[threading.Thread] = set()

    def noted(request: EditRequest) -> Image.Image:
        threads.add(threading.current_thread())
        return tint(request)

    thread = threading.Thread(target=lambda: summaries.append(run(ToyEditor(noted), ToySource(1), tmp_path / "run")))
    thread.start()
    thread.join()
    assert summaries[0].statuses == {Status.OK: 6}
    assert threads == {thread}  # an editor that computes here is not watched, so that no thread is started for it


def test_stop_ends_the_run_cleanly_before_the_next_edit(tmp_path: Path) -> None:
    editor = ToyEditor()
    summary = run(editor, ToySource(2), tmp_path / "run", stop=lambda: len(editor.requests) == 5)
    assert (summary.edits, summary.unfinished) == (5, 7)
    last = sessions(tmp_path / "run")[-1]
    assert (last["ended"], last["statuses"]) == ("stopped", {"ok": 5})


class Bar:
    def __init__(self) -> None:
        self.total = self.done = 0
        self.statuses: list[Status] = []

    def start(self, total: int, done: int) -> None:
        self.total, self.done = total, done

    def advance(self, status: Status) -> None:
        self.statuses.append(status)


def test_progress_counts_every_round_once_across_sessions(tmp_path: Path) -> None:
    first, editor = Bar(), ToyEditor(refusing([2], Status.ERROR))
    run(editor, ToySource(2), tmp_path / "run", progress=first, stop=lambda: len(editor.requests) == 10)
    assert (first.total, first.done, len(first.statuses)) == (12, 0, 10)
    second = Bar()
    run(ToyEditor(refusing([2], Status.ERROR)), ToySource(2), tmp_path / "run", progress=second)
    # Round 1 of both samples in both protocols stands; round 3 is found again after round 2 failed again.
    assert (second.total, second.done) == (12, 4)
    assert Counter(second.statuses) == {Status.ERROR: 4, Status.OK: 4}
    third = Bar()
    run(ToyEditor(), ToySource(2), tmp_path / "run", progress=third)
    assert (third.done, Counter(third.statuses)) == (4, {Status.OK: 8})


def test_reading_the_dataset_is_left_out_where_nothing_of_it_is_shown(tmp_path: Path) -> None:
    source = ToySource(2)
    run(ToyEditor(), source, tmp_path / "run", protocols=["vanilla"])
    assert len(source.decoded) == 2  # the draft in round 1, nothing in rounds 2 and 3
    source.decoded.clear()
    run(ToyEditor(), source, tmp_path / "run", protocols=["vanilla"])
    assert source.decoded == []


def test_summary_tells_failures_by_status_with_an_example(tmp_path: Path) -> None:
    def mixed(request: EditRequest) -> Any:
        return refusing([1], Status.TIMEOUT)(request) if request.protocol == "bug" else refusing([3])(request)

    summary = run(ToyEditor(mixed), ToySource(1), tmp_path / "run")
    assert summary_lines(summary) == [
        "6 of 6 rounds done: 4 ok, 1 refused, 1 timeout; 6 edits made now, 0 rounds kept from earlier sessions",
        'refused 1: for example "no round 3"',
        'timeout 1: for example "no round 1"; the next run tries again; tracebacks are in '
        f"{tmp_path / 'run' / 'errors'}",
    ]

    editor = ToyEditor(lambda request: EditResult.failed(Status.REFUSED, "not\nthis " * 60))
    summary = run(editor, ToySource(1), tmp_path / "my run", protocols=["vanilla"], rounds=1)
    first, second = summary_lines(summary)
    assert first.endswith("1 edit made now, 0 rounds kept from earlier sessions")
    assert second.startswith('refused 1: for example "not this not this')
    assert len(second) < 200
    assert shlex.split(next_step(summary)) == ["fashionedit", "score", str(tmp_path / "my run")]
