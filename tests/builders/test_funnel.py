from __future__ import annotations

import json

import yaml

from fashionedit.builders.card_sections import card_sections
from fashionedit.builders.eval_yaml import eval_yaml
from fashionedit.builders.funnel import Funnel, FunnelStep
from fashionedit.builders.stage_store import StageRecord
from fashionedit.card import LEADERBOARD_TASKS


def record(identity: str, status: str, reason: str | None = None) -> StageRecord:
    return StageRecord.model_validate({"id": identity, "key": "k", "status": status, "reason": reason})


RECORDS = [
    record("a", "kept"),
    record("b", "dropped", "no caption"),
    record("c", "dropped", "not readable"),
    record("d", "dropped", "no caption"),
    record("e", "failed", "server error"),
    record("of another build", "dropped", "no caption"),
]
STEP = FunnelStep.of_records("photos", "abcde", "a", RECORDS)
FUNNEL = Funnel((STEP, FunnelStep("drafts", 1, 1)))


def test_a_step_counts_reasons_of_its_own_photographs() -> None:
    assert (STEP.came, STEP.kept) == (5, 1)
    assert STEP.dropped == {"no caption": 2, "not readable": 1}
    assert STEP.failed == {"server error": 1}
    assert FUNNEL.failed == 1


def test_the_funnel_reads_as_text_as_a_table_and_as_json() -> None:
    assert FUNNEL.to_text().splitlines() == [
        "photos  5 → 1   no caption: 2; not readable: 1; server error: 1 (to be tried again)",
        "drafts  1 → 1",
    ]
    assert "| photos | 5 | 1 | no caption: 2; not readable: 1; server error: 1 (to be tried again) |" in (
        FUNNEL.to_markdown()
    )
    assert json.loads(FUNNEL.to_json())["steps"][0]["dropped"] == {"no caption": 2, "not readable": 1}


def test_the_card_says_how_the_set_was_made_and_what_is_unclear() -> None:
    sections = dict(card_sections(FUNNEL, {"drafts": "a|b"}, deepfashion=True, leaks="no garment is in both splits"))
    assert list(sections) == ["How it was made", "Splits", "Getting the photographs", "What is unclear", "Citation"]
    assert "| drafts | a/b |" in sections["How it was made"]
    assert "4,849 garments" in sections["What is unclear"]
    assert "Getting the photographs" not in dict(card_sections(FUNNEL, {}, deepfashion=False))


def test_eval_yaml_names_one_number_a_task() -> None:
    content = yaml.safe_load(eval_yaml("My set"))
    assert content["name"] == "My set"
    assert [task["id"] for task in content["tasks"]] == list(LEADERBOARD_TASKS)
    assert set(LEADERBOARD_TASKS) == {
        f"{protocol}_{metric}" for protocol in ("vanilla", "bug") for metric in ("clip", "clip_star", "psnr")
    }
    assert all(task["split"] == "validation" and task["config"] == "default" for task in content["tasks"])
