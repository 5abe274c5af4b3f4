"""A vision model as a judge, asked over real HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from json_service import JsonService, Reply, as_json
from judge_service import TOKENS_IN, TOKENS_OUT, VERSION, Shown, better, completion, judge_service, write_runs

from fashionedit.cli import cli, main
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.votes.judge import Judge, read_answer, read_prompt
from fashionedit.eval_harness.votes.votes import Vote, VoteFolder
from fashionedit.runtime.costs import CostTracker
from fashionedit.runtime.vision_model import Reply as ModelReply

HERE = Path(__file__).parent
PRICE = "input=1,output=2"
USD = (TOKENS_IN + 2 * TOKENS_OUT) / 1e6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_runs(tmp_path_factory.mktemp("made"))


@pytest.fixture
def runs(made: list[Path], tmp_path: Path) -> list[Path]:
    """Copies of the two runs, with no votes beside them."""
    return [Path(shutil.copytree(path, tmp_path / path.name)) for path in made]


def judged(runs: list[Path], service: JsonService, *rest: str) -> dict[str, Any]:
    """Returns the summary of the command, as JSON."""
    found = CliRunner().invoke(cli, arguments(runs, service, *rest, "--json", "--quiet"), catch_exceptions=False)
    assert found.exit_code == 0
    summary: dict[str, Any] = json.loads(found.stdout)
    return summary


def arguments(runs: list[Path], service: JsonService, *rest: str) -> list[str]:
    votes = runs[0].parent / "votes"
    line = ["judge", *map(str, runs), "--model", "openai:toy", "--base-url", service.url, "--votes", str(votes)]
    return [*line, "--price", PRICE, "--retries", "1", *rest]


def votes(runs: list[Path]) -> list[Vote]:
    return VoteFolder(runs[0].parent / "votes").votes()


def stopped(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Returns the sentence that the command ends with."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    return capsys.readouterr().err


def test_each_pair_is_asked_in_both_orders_and_nothing_is_asked_twice(runs: list[Path]) -> None:
    with judge_service(lambda shown: "first") as service:
        summary = judged(runs, service)
        assert len(service.posts()) == 2 * 12  # six cards in two protocols
        assert (summary["pairs"], summary["asked"], summary["before"]) == (12, 24, 0)
        assert summary["usd"] == pytest.approx(24 * USD)
        again = judged(runs, service)
        assert len(service.posts()) == 24
        assert (again["asked"], again["before"], again["usd"]) == (0, 24, pytest.approx(24 * USD))
        swapped = judged(runs[::-1], service)  # the other way round it is the same question
        assert (len(service.posts()), swapped["before"]) == (24, 24)
    found = votes(runs)
    assert {vote.answer for vote in found} == {"first"}
    assert Counter(vote.left for vote in found) == {"first": 12, "second": 12}
    (model,) = {(vote.model.model, vote.model.version, vote.model.usd) for vote in found if vote.model}
    assert model == ("toy", VERSION, pytest.approx(USD))
    (digest,) = {vote.model.prompt for vote in found if vote.model}
    assert "LEFT and RIGHT" in (runs[0].parent / "votes" / "prompts" / f"{digest}.txt").read_text()


def test_the_judge_sees_draft_wishes_references_and_the_original_only_if_told(runs: list[Path]) -> None:
    seen = []
    with judge_service(lambda shown: seen.append(shown) or "tie") as service:
        judged(runs, service, "--limit", "1", "--protocol", "bug")
        judged(runs, service, "--limit", "1", "--protocol", "bug", "--show-original")
    assert [shown.pictures for shown in seen] == [4, 4, 5, 5]  # draft, one reference, original, two results
    texts = " ".join(part.get("text", "") for part in seen[0].body["messages"][0]["content"])
    assert "Wish 1: Shape 1 of card" in texts
    assert "white" not in json.dumps(texts)  # no name of an editor
    assert seen[0].body["response_format"]["json_schema"]["strict"] is True
    assert [vote.original_shown for vote in votes(runs)] == [False, False, True, True]


def test_two_rounds_of_one_run_are_compared_as_two_runs_are(tmp_path: Path) -> None:
    (run, _) = write_runs(tmp_path, 2, rounds=3, protocols=("bug",))
    judged_pairs = []

    def prefers(body: dict[str, Any]) -> Reply:
        judged_pairs.append(body)
        return better("left")

    with judge_service(lambda shown: better("left")) as service:
        service.asked.clear()
        found = CliRunner().invoke(
            cli, arguments([run, run], service, "--round", "1", "--round-b", "3", "--dry-run", "--json")
        )
    assert json.loads(found.stdout)["calls"] == 4


def test_two_sides_that_are_the_same_are_refused(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    with judge_service(lambda shown: "tie") as service:
        line = arguments([runs[0], runs[0]], service)
        assert "name two rounds" in stopped(line, capsys)
        assert "no round 2; choose 1 to 1" in stopped([*line, "--round", "2"], capsys)
        assert "no protocol 'draft'" in stopped([*line, "--protocol", "draft"], capsys)
        line[line.index("--votes") + 1] = str(runs[0])
        assert "is the folder of a run" in stopped([*line, "--protocol", "bug", "--protocol-b", "vanilla"], capsys)
        assert not service.posts()


def test_a_dry_run_counts_calls_and_money_and_asks_nothing(runs: list[Path]) -> None:
    with judge_service(lambda shown: "first") as service:
        plan = judged(runs, service, "--dry-run")
        assert not service.posts()
        assert not (runs[0].parent / "votes").exists()
        assert (plan["pairs"], plan["calls"], plan["judged"]) == (12, 24, 0)
        assert plan["usd"] == pytest.approx((plan["input_tokens"] + 2 * plan["output_tokens"]) / 1e6)
        judged(runs, service, "--limit", "5")
        assert (left := judged(runs, service, "--dry-run"))["calls"] == 14
        assert (left["judged"], len(service.posts())) == (5, 10)


def test_two_times_the_same_picture_is_a_tie_without_a_call(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, 3, alike=True)
    with judge_service(lambda shown: "first") as service:
        plan = judged([runs[0], runs[0]], service, "--protocol", "bug", "--protocol-b", "vanilla", "--dry-run")
        assert (plan["alike"], plan["calls"]) == (3, 0)  # this editor does not look at the reference
        summary = judged([runs[0], runs[0]], service, "--protocol", "bug", "--protocol-b", "vanilla")
        assert (summary["alike"], summary["asked"], service.posts()) == (3, 0, [])
    assert [vote.answer for vote in votes(runs)] == ["tie"] * 6


def test_the_same_pictures_are_paid_for_once(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, alike=True)
    with judge_service(lambda shown: "second") as service:
        judged(runs, service, "--protocol", "bug")
        assert len(service.posts()) == 12
        summary = judged(runs, service, "--protocol", "vanilla")  # the same results, in another protocol
    assert (summary["cached"], summary["asked"], len(service.posts())) == (12, 0, 12)
    assert {vote.answer for vote in votes(runs)} == {"second"}


def test_failures_are_told_apart_and_only_what_may_pass_is_asked_again(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tries: Counter[str] = Counter()
    well = False

    def prefers(shown: Shown) -> Reply | str:
        tries[shown.sample] += 1
        if well:
            return "first"
        match shown.sample:
            case "card-00":
                return completion(refusal="I can't compare these.")
            case "card-01":
                return completion("They are both lovely.")
            case "card-02":
                return as_json({"error": {"message": "busy", "code": "server_error"}}, 500)
            case "card-03":
                return completion('{"reason": "The hem', finish="length")
            case "card-04":
                return as_json({"error": {"message": "blocked", "code": "content_filter"}}, 400)
        return "second"

    with judge_service(prefers) as service:
        summary = judged(runs, service, "--protocol", "bug", "--keep-going")
        assert summary["failures"] == {"refused": 4, "invalid": 4, "server error": 2}
        assert tries["card-02"] == 4  # each order once more
        assert tries["card-00"] == 2
        found = {(vote.pair.sample, vote.answer, vote.failure) for vote in votes(runs)}
        assert ("card-00", None, "refused") in found
        assert ("card-03", None, "invalid") in found
        assert not [sample for sample, *_ in found if sample == "card-02"]
        well = True
        before = len(service.posts())
        assert judged(runs, service, "--protocol", "bug")["asked"] == 2  # what failed in passing, and nothing else
        assert judged(runs, service, "--protocol", "bug", "--retry", "refused")["asked"] == 4
        assert judged(runs, service, "--protocol", "bug", "--retry", "invalid")["asked"] == 4
        assert len(service.posts()) == before + 10
        assert judged(runs, service, "--protocol", "bug", "--retry", "invalid")["asked"] == 4 - 4
        assert "no comparison ends as" in stopped(arguments(runs, service, "--retry", "timeout"), capsys)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (as_json({"error": {"message": "no money", "code": "insufficient_quota"}}, 429), "has no quota left"),
        (as_json({"error": {"message": "who?", "code": "invalid_api_key"}}, 401), "does not accept the key"),
        (completion("Both are nice."), "first 8 comparisons all ended the same way: invalid"),
    ],
)
def test_what_holds_for_every_call_stops_the_stage(
    runs: list[Path], reply: Reply, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with judge_service(lambda shown: reply) as service:
        assert said in stopped(arguments(runs, service, "--concurrency", "2"), capsys)
        assert len(service.posts()) <= 10


def test_a_budget_holds_over_all_sessions(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    with judge_service(lambda shown: "first") as service:
        line = arguments(runs, service, "--concurrency", "1", "--budget", "0.02")
        assert "give a higher --budget" in stopped(line, capsys)
        paid = len(service.posts())
        assert 0 < paid * USD <= 0.02
        assert len(votes(runs)) == paid
        assert "give a higher --budget" in stopped(line, capsys)
        assert len(service.posts()) <= paid + 1
        assert judged(runs, service)["usd"] == pytest.approx(24 * USD)
        unknown = [one for one in line if one not in ("--price", PRICE)]
        assert "no price of toy is known" in stopped(unknown, capsys)


def test_one_judge_works_once_at_a_time(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    with judge_service(lambda shown: "first") as service:
        judged(runs, service, "--limit", "1")
        (settings,) = {vote.model.settings for vote in votes(runs) if vote.model}
        with VoteFolder(runs[0].parent / "votes").locked(settings):
            assert "the same judge is at work" in stopped(arguments(runs, service), capsys)
        assert len(service.posts()) == 2


def test_the_responses_api_is_asked_in_its_own_form(runs: list[Path]) -> None:
    with judge_service(lambda shown: "second") as service:
        line = arguments(runs, service, "--limit", "2", "--ask", "detail=low", "--quiet")
        line[line.index("openai:toy")] = "openai-responses:toy"
        assert CliRunner().invoke(cli, line, catch_exceptions=False).exit_code == 0
        assert {asked.path for asked in service.posts()} == {"/v1/responses"}
        body = service.posts()[0].json()
    assert body["text"]["format"]["type"] == "json_schema"
    assert body["store"] is False
    assert {part.get("detail") for part in body["input"][0]["content"] if part["type"] == "input_image"} == {"low"}
    assert [vote.answer for vote in votes(runs)] == ["second"] * 4


@pytest.mark.slow
def test_a_killed_judge_goes_on_without_repeating_a_vote_and_the_money_is_counted(tmp_path: Path) -> None:
    runs, kills, concurrency = write_runs(tmp_path, 8), 0, 3
    with judge_service(lambda shown: "first") as service:

        def drive(where: str, after: int) -> subprocess.CompletedProcess[str]:
            line = arguments(runs, service, "--concurrency", str(concurrency), "--quiet")[1:]
            return subprocess.run(
                [sys.executable, "-W", "error", str(HERE / "killed_judge.py"), where, str(after), *line],
                env=os.environ | {"PYTHONPATH": str(HERE)},
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )

        for where, after in (("answered", 2), ("voted", 4)):
            done = drive(where, after)
            kills += 1
            assert done.returncode == -signal.SIGKILL, done.stderr
            assert len(service.posts()) <= len(votes(runs)) + kills * concurrency
        done = drive("never", 0)
        assert done.returncode == 0, done.stderr
        made = len(service.posts())
    found = votes(runs)
    showings = [(vote.pair.sample, vote.pair.first.protocol, vote.left) for vote in found]
    assert len(showings) == len(set(showings)) == 2 * 16
    assert made <= len(found) + kills * concurrency
    spent = CostTracker(runs[0].parent / "votes" / "ledger.jsonl").spent
    assert made * USD <= spent + 1e-12  # what was paid for and lost counts in full
    assert spent < made * USD + kills * concurrency * 0.01  # and nothing else does


def test_known_preferences_are_recovered_and_flippers_end_as_ties(tmp_path: Path) -> None:
    """Thirty cards of fifteen garments; the truth is what the service was told, and four cards always say left."""
    runs = write_runs(tmp_path, 30, scored=True, protocols=("bug",))
    chance = np.random.default_rng(7)
    garments = chance.normal(0.6, 1.0, 15)
    wins = {f"card-{n:02d}": chance.random() < 1 / (1 + np.exp(-garments[n // 2])) for n in range(30)}
    flippers = {f"card-{n:02d}" for n in (3, 17, 21, 28)}

    def prefers(shown: Shown) -> Reply | str:
        if shown.sample in flippers:
            return better("left")
        return "first" if wins[shown.sample] else "second"

    with judge_service(prefers) as service:
        judged(runs, service)
    line = ["compare", *map(str, runs), "--votes", str(tmp_path / "votes")]
    found = json.loads(CliRunner().invoke(cli, [*line, "--json"], catch_exceptions=False).output)["votes"]
    (rate,) = found["wins"]
    won = sum(wins[sample] for sample in wins if sample not in flippers)
    assert rate["wins"] | {"low": 0, "high": 0, "p": 0, "share": 0} == {
        **{"yes": won, "half": 4, "no": 26 - won, "garments": 15, "low": 0, "high": 0, "p": 0, "share": 0}
    }
    assert rate["wins"]["share"] == pytest.approx((won + 2) / 30)
    truth = np.mean(1 / (1 + np.exp(-np.random.default_rng(0).normal(0.6, 1.0, 100_000))))
    assert rate["wins"]["low"] < truth < rate["wins"]["high"]
    flipped = {one["sample"] for one in found["verdicts"] if one["flipped"]}
    assert flipped == flippers
    assert {one["answer"] for one in found["verdicts"] if one["sample"] in flippers} == {"tie"}
    (voter,) = found["voters"]
    assert (voter["voter"], voter["showings"], voter["flipped"]) == ("openai:toy", 60, pytest.approx(4 / 30))
    assert voter["left"]["share"] == pytest.approx(34 / 60)
    assert [one["metric"] for one in found["predictions"]] == ["cosine", "cosine_star", "psnr"]
    assert {one["share"]["yes"] + one["share"]["half"] + one["share"]["no"] for one in found["predictions"]} == {26}
    text = CliRunner().invoke(cli, line, catch_exceptions=False).output
    assert "Preferred: white or black, text+image, round 1" in text
    assert "How well the metrics predict the votes" in text


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": " "}, "the model has no name"),
        ({"prompt": "\n"}, "the prompt is empty"),
        ({"structured": "xml"}, "structured 'xml' is unknown; choose json_schema, json_object or none"),
        ({"structured": "json_object", "prompt": "Which is better?"}, "the prompt does not say JSON"),
        ({"concurrency": 0}, "concurrency is 0; choose 1..256"),
        ({"max_side": 8}, "max_side is 8; choose 64..8192"),
        ({"temperature": 3.0}, "temperature is 3.0; choose 0..2, or none to send none"),
        ({"max_output_tokens": 9}, "max_output_tokens is 9; an answer needs at least 64"),
        ({"timeout": 0.0}, "timeout is 0.0; give seconds"),
        ({"base_url": "toys"}, "the base URL 'toys' is no address"),
    ],
)
def test_a_judge_that_can_not_work_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidDataError, match=sentence):
        Judge(**{"model": "toy", **settings})


def test_a_prompt_of_one_s_own_is_read_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompt.txt"
    path.write_bytes("\ufeffWhich is nearer to the wish?".encode())
    assert read_prompt(path) == "Which is nearer to the wish?"
    path.write_bytes(b"ab\xff")
    with pytest.raises(InvalidDataError, match="byte 3 is not UTF-8; save the file as UTF-8"):
        read_prompt(path)
    with pytest.raises(InvalidDataError, match=r"absent.txt can't be read .*; check the path"):
        read_prompt(tmp_path / "absent.txt")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('```json\n{"better": "Right."}\n```', "second"),
        ('{"better": "left"} – no, rather {"better": "right"}', "second"),
        ("**left**", "first"),
        ("Neither", "tie"),
        ('{"better": 7}', None),
        ("I like them.", None),
    ],
)
def test_an_answer_is_read_from_json_prose_or_a_word(text: str, answer: str | None) -> None:
    assert read_answer(ModelReply(text=text), left="first") == (answer, None if answer else "invalid")


@pytest.mark.parametrize("api", ["openai", "openai-responses"])
def test_a_service_is_asked_as_little_as_it_can_do(runs: list[Path], api: str) -> None:
    with judge_service(lambda shown: "first") as service:
        line = ["--limit", "1", "--ask", "structured=none", "--ask", "temperature=none", "--ask", "detail=low"]
        line += ["--ask", "max_output_tokens=none", "--model", f"{api}:toy"]
        judged(runs, service, *line)
        body = service.posts()[0].json()
    assert not {"response_format", "text", "temperature", "max_completion_tokens", "max_output_tokens"} & body.keys()
    (turn,) = body.get("messages") or body["input"]
    images = [part for part in turn["content"] if "image_url" in part]
    assert {part.get("detail") or part["image_url"].get("detail") for part in images} == {"low"}


def test_plan_and_outcome_are_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = write_runs(tmp_path / "runs", 3, alike=True)
    with judge_service(lambda shown: "first") as service:
        line = [part for part in arguments(runs, service, "--quiet") if part not in ("--price", PRICE)]
        main([*line, "--dry-run"])
        assert "no price is known; give --price" in capsys.readouterr().out
        main([*line, "--protocol", "bug"])
        assert "3 pairs in both orders: 6 answers now, 0 before" in capsys.readouterr().out
        main([*line, "--protocol", "vanilla"])
        assert "6 answers taken over from the same pictures in another pair" in capsys.readouterr().out
        same = ["--protocol", "bug", "--protocol-b", "vanilla"]
        main([str(runs[0]) if part == str(runs[1]) else part for part in [*line, *same]])
        assert "3 pairs are the same picture twice: ties, not asked" in capsys.readouterr().out
        assert "--ask takes no mood; it takes temperature" in stopped([*line, "--ask", "mood=good"], capsys)
        (tmp_path / "prompt.txt").write_text("Which of LEFT and RIGHT is nearer to the wish? Say it as JSON.")
        judged(runs, service, "--prompt", str(tmp_path / "prompt.txt"), "--limit", "1")


def test_runs_that_have_no_protocol_in_common_are_told_what_each_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [write_runs(tmp_path / name, 2, protocols=(name,))[number] for number, name in enumerate(("bug", "vanilla"))]
    with judge_service(lambda shown: "tie") as service:
        said = stopped(arguments(runs, service), capsys)
        assert "the two have no protocol in common (bug and vanilla); name one of each with --protocol-b" in said
