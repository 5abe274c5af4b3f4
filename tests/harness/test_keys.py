from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from toy_editors import ToyEditor
from toy_samples import ToySource

from fashionedit.errors import EditorError
from fashionedit.eval_harness.editing import Status, plain_json
from fashionedit.eval_harness.running.chain import Chain
from fashionedit.eval_harness.running.identity import run_identity
from fashionedit.eval_harness.running.records import (
    OutputImage,
    image_path,
    record_key,
    request_id,
    round_seed,
)

PARTS: dict[str, Any] = {
    "editor": "editor 1",
    "protocol": "bug",
    "sample": "a",
    "round": 1,
    "instruction": "do it",
    "images": (("base", "11"), ("reference", "22")),
    "params": {"steps": 4, "scale": [1.5, None]},
    "seed": 7,
    "size_policy": "model",
    "state": {"id": "x"},
    "protocol_version": "1",
}


def test_a_key_is_the_hash_of_the_canonical_json_of_its_parts() -> None:
    text = json.dumps(PARTS | {"images": [["base", "11"], ["reference", "22"]]}, sort_keys=True, separators=(",", ":"))
    assert record_key(**PARTS) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("editor", "editor 2"),
        ("protocol", "vanilla"),
        ("sample", "b"),
        ("round", 2),
        ("instruction", "do it "),
        ("images", (("reference", "22"), ("base", "11"))),
        ("images", (("base", "11"), ("reference", "23"))),
        ("images", (("base", "11"),)),
        ("params", {"steps": 5, "scale": [1.5, None]}),
        ("params", {}),
        ("seed", 8),
        ("size_policy", "base"),
        ("state", {"id": "y"}),
        ("state", None),
        ("protocol_version", "2"),
    ],
)
def test_every_part_changes_the_key(part: str, value: Any) -> None:
    assert record_key(**(PARTS | {part: value})) != record_key(**PARTS)


def test_the_order_of_params_and_the_kind_of_sequence_change_nothing() -> None:
    other = PARTS | {"params": {"scale": (1.5, None), "steps": 4}, "images": [["base", "11"], ["reference", "22"]]}
    assert record_key(**other) == record_key(**PARTS)


ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), float("inf"), b"bytes", object(), "\ud800", ITSELF])
def test_what_json_cannot_say_is_one_sentence(value: Any) -> None:
    with pytest.raises(EditorError, match="the state can't be written as JSON"):
        plain_json(value, name="the state")


def test_seeds_fit_31_bits_and_depend_on_each_part() -> None:
    seeds = {
        round_seed(base, sample, protocol, round)
        for base in (0, 1)
        for sample in ("a", "b", "a|bug")
        for protocol in ("vanilla", "bug")
        for round in (1, 2, 3)
    }
    assert len(seeds) == 36
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert max(seeds) > 2**29  # the whole range is used


def test_request_ids_are_opaque_without_the_secret() -> None:
    key = record_key(**PARTS)
    assert request_id(b"one", key) == request_id(b"one", key)
    assert request_id(b"one", key) != request_id(b"two", key)
    assert key[:8] not in request_id(b"one", key)


AA, A0, BB, B0 = "aa" * 32, "a0" * 32, "bb" * 32, "b0" * 32


def _keys(first: str, second: str, state: Any = None) -> list[str]:
    source = ToySource(1)
    chain = Chain(run_identity(ToyEditor().describe(), source), source, source.ids[0], "bug")
    keys = []
    for round, digest in ((1, first), (2, second), (3, "c" * 64)):
        step = chain.step(round)
        keys.append(step.key)
        output = OutputImage(digest=digest, size=(4, 4), path=image_path(digest), returned_size=(4, 4))
        chain.take(step.record(Status.OK, inputs=(), output=output, state=state))
    return keys


def test_a_changed_round_or_state_changes_exactly_the_keys_after_it() -> None:
    before, first, second = _keys(AA, BB), _keys(A0, BB), _keys(AA, B0)
    # Round 3 sees round 2's pixels: where those are the same again, so is its key.
    assert [a == b for a, b in zip(before, first, strict=True)] == [True, False, True]
    assert [a == b for a, b in zip(before, second, strict=True)] == [True, True, False]
    after = _keys(AA, BB, {"id": 1})
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, False]
