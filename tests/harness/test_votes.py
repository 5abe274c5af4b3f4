"""Votes on disk, and what they say: win rates, agreement, and which metric would have told."""

from __future__ import annotations

import doctest
import json
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from judge_service import write_cards, write_runs
from numpy.random import Generator
from scipy.stats import binomtest
from statsmodels.stats.inter_rater import cohens_kappa as independent_kappa

from fashionedit.cli import cli
from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.scores.intervals import student_quantile
from fashionedit.eval_harness.scores.results import read_results
from fashionedit.eval_harness.votes.agreement import cohens_kappa, share_of, vote_report
from fashionedit.eval_harness.votes.pairs import Pair, PairList, SideChoice
from fashionedit.eval_harness.votes.votes import Answer, Vote, VoteFolder, Voter, run_digest, voter_name
from fashionedit.eval_harness.votes.votes_text import votes_text

ANSWERS: tuple[Answer, ...] = ("first", "second", "tie")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_runs(tmp_path_factory.mktemp("voted"), 8, scored=True, protocols=("bug",))


@pytest.fixture(scope="module")
def pairs(runs: list[Path]) -> PairList:
    folders = [RunFolder.open(path) for path in runs]
    return PairList(folders, write_cards(runs[0].parent / "again", 8))


def vote(pair: Pair, answer: Answer, voter: str = "Ada", **changes: object) -> Vote:
    told = {"left": "first", "original_shown": False, "question": pair.asked(False), "seed": 0}
    return Vote(voter=Voter(name=voter, kind="person"), pair=pair.voted, answer=answer, **{**told, **changes})


@pytest.mark.parametrize("module", ["agreement", "judge", "votes"])
def test_examples_in_docstrings_hold(module: str) -> None:
    found = doctest.testmod(import_module(f"fashionedit.eval_harness.votes.{module}"))
    assert (found.failed, found.attempted > 0) == (0, True)


def test_votes_come_back_as_they_were_written_and_undo_is_one_more_line(pairs: PairList, tmp_path: Path) -> None:
    folder = VoteFolder(tmp_path / "votes")
    assert folder.votes() == []
    written = [vote(pair, answer) for pair, answer in zip(pairs.pairs, ANSWERS, strict=False)]
    for one in written:
        folder.add(one)
    assert folder.votes() == written
    folder.take_back(written[1].id)
    assert folder.votes() == [written[0], written[2]] == VoteFolder(tmp_path / "votes").votes()
    assert len((tmp_path / "votes" / "votes.jsonl").read_text().splitlines()) == 4


def test_half_a_line_is_passed_over_and_a_foreign_one_is_named(pairs: PairList, tmp_path: Path) -> None:
    folder = VoteFolder(tmp_path)
    folder.add(vote(pairs.pairs[0], "first"))
    path = tmp_path / "votes.jsonl"
    with path.open("a") as file:
        file.write('{"id": "0123')  # a process was killed here
    assert len(folder.votes()) == 1
    folder.add(vote(pairs.pairs[1], "tie"))
    assert [one.answer for one in folder.votes()] == ["first", "tie"]
    with path.open("a") as file:
        file.write('{"id": "0123"}\n')
    with pytest.raises(InvalidDataError, match=r"votes\.jsonl can't be read"):
        VoteFolder(tmp_path).votes()


def test_files_of_several_people_are_read_together_and_a_vote_counts_once(pairs: PairList, tmp_path: Path) -> None:
    one, other = VoteFolder(tmp_path / "one"), VoteFolder(tmp_path / "other")
    one.add(vote(pairs.pairs[0], "first"))
    other.add(vote(pairs.pairs[0], "second", "Bob"))
    for name, source in (("bob", other), ("ada again", one)):
        (tmp_path / "one" / f"{name}.jsonl").write_bytes((source.path / "votes.jsonl").read_bytes())
    assert [found.voter.name for found in VoteFolder(tmp_path / "one").votes()] == ["Ada", "Bob"]


def test_two_writers_at_once_lose_no_vote(pairs: PairList, tmp_path: Path) -> None:
    def write(name: str) -> None:
        folder = VoteFolder(tmp_path)  # each opens the file by itself, as two processes do
        for number in range(200):
            folder.add(vote(pairs.pairs[number % 8], "first", name))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ("Ada", "Bob")))
    assert len(VoteFolder(tmp_path).votes()) == 400


def test_names_are_tidied_or_refused() -> None:
    assert voter_name("  Ada   Lovelace ") == "Ada Lovelace"
    for name in ("", "   ", "x" * 61, "a\x1b[1m"):
        with pytest.raises(InvalidDataError, match="the voter's name"):
            voter_name(name)


def test_a_run_has_one_digest_in_its_folder_and_in_its_results(runs: list[Path]) -> None:
    for path in runs:
        assert run_digest(RunFolder.open(path).identity) == run_digest(read_results(path / "results.json").runs[0])


def test_the_order_of_pairs_is_the_seeds_and_the_sides_are_each_voters(runs: list[Path], pairs: PairList) -> None:
    folders = [RunFolder.open(path) for path in runs]
    again, other = (PairList(folders, pairs.source, seed=seed) for seed in (0, 1))
    order = [[pair.sample for pair in one.pairs] for one in (pairs, again, other)]
    assert order[0] == order[1] != order[2]
    assert sorted(order[0]) == sorted(order[2]) == list(pairs.source.ids)
    sides = {name: [pairs.left(pair, name) for pair in pairs.pairs] for name in ("Ada", "Bob", "Cy")}
    assert len({tuple(one) for one in sides.values()}) == 3
    assert {one for found in sides.values() for one in found} == {"first", "second"}


def drawn_answers(random: Generator, n: int) -> tuple[list[Answer], list[Answer]]:
    first = random.choice(3, n, p=[0.5, 0.3, 0.2])
    second = np.where(random.random(n) < 0.6, first, random.choice(3, n))
    return [ANSWERS[one] for one in first], [ANSWERS[one] for one in second]


@pytest.mark.parametrize("seed", range(8))
def test_kappa_and_its_error_are_those_of_independent_implementations(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(20, 300))
    first, second = drawn_answers(random, n)
    table = np.zeros((3, 3))
    for one, other in zip(first, second, strict=True):
        table[ANSWERS.index(one), ANSWERS.index(other)] += 1
    expected = independent_kappa(table)
    found = cohens_kappa(first, second, range(n))
    assert found.kappa == pytest.approx(expected.kappa)
    assert found.low is not None
    assert found.kappa is not None
    error = (found.kappa - found.low) / student_quantile(0.975, n - 1)
    assert error == pytest.approx(expected.std_kappa * np.sqrt(n / (n - 1)))


def test_copies_of_a_pair_within_a_garment_tell_nothing_new() -> None:
    first, second = drawn_answers(np.random.default_rng(1), 60)
    alone = cohens_kappa(first, second, range(60))
    copied = cohens_kappa(first * 5, second * 5, [*range(60)] * 5)
    assert (copied.kappa, copied.low, copied.high) == pytest.approx((alone.kappa, alone.low, alone.high))


def test_kappa_of_voters_who_only_ever_say_one_thing_is_not_given() -> None:
    found = cohens_kappa(["tie"] * 4, ["tie"] * 4, "abcd")
    assert (found.agreement, found.kappa, found.low) == (1.0, None, None)


def test_a_share_counts_halves_and_has_a_width_where_all_agree() -> None:
    assert share_of([1.0, 0.5, 0.0, 1.0], "abcd").share == 0.625
    unanimous = share_of([1.0] * 20, range(20))
    assert unanimous.low is not None
    assert unanimous.low < 0.95
    assert (unanimous.share, unanimous.high) == (1.0, 1.0)
    coin = share_of([1.0] * 40 + [0.0] * 60, range(100))
    assert coin.p == pytest.approx(binomtest(40, 100).pvalue, abs=0.015)
    assert (share_of([1.0], "a").low, share_of([1.0, 0.0], "aa").low) == (None, None)


def simulated(random: Generator) -> tuple[float, float, float]:
    """Returns the ends of the interval, and the truth: Bradley–Terry with an effect of each garment, and ties."""
    strength, spread = random.normal(0.3, 0.5), random.uniform(0.3, 1.2)
    garments = np.repeat(np.arange(80), random.integers(1, 5, 80))
    effects = random.normal(strength, spread, 80)
    better = 1 / (1 + np.exp(-effects[garments]))
    scores = np.where(random.random(len(garments)) < 0.2, 0.5, random.random(len(garments)) < better)
    found = share_of(scores.tolist(), garments.tolist())
    assert found.low is not None
    assert found.high is not None
    everywhere = np.polynomial.hermite_e.hermegauss(60)
    chances = 1 / (1 + np.exp(-(strength + spread * everywhere[0])))
    truth = float(0.2 * 0.5 + 0.8 * chances @ everywhere[1] / everywhere[1].sum())
    return found.low, truth, found.high


def test_the_true_win_rate_lies_inside_the_interval_in_93_of_100_simulations() -> None:
    covered = sum(low <= truth <= high for low, truth, high in map(simulated, map(np.random.default_rng, range(100))))
    assert covered >= 93


def test_people_and_their_agreement_stand_beside_what_the_metrics_say(
    runs: list[Path], pairs: PairList, tmp_path: Path
) -> None:
    """Ada prefers the higher PSNR; Bob agrees but for two pairs; Cy says tie to everything."""
    command = ["compare", *map(str, runs), "--votes", str(tmp_path), "--json"]
    results = json.loads(CliRunner().invoke(cli, ["show", *map(str, runs), "--json"]).output)
    ids = [sample["id"] for sample in results["samples"]]
    psnr = {
        row["method"]: dict(zip(ids, samples["values"]["psnr"], strict=True))
        for row, samples in zip(results["rows"], results["row_samples"], strict=True)
    }
    folder = VoteFolder(tmp_path)
    for number, pair in enumerate(pairs.pairs):
        right: Answer = "first" if psnr["white"][pair.sample] > psnr["black"][pair.sample] else "second"
        wrong: Answer = "second" if right == "first" else "first"
        folder.add(vote(pair, right))
        folder.add(vote(pair, wrong if number < 2 else right, "Bob"))
        folder.add(vote(pair, "tie", "Cy"))
    mistaken = vote(pairs.pairs[0], "tie")
    folder.add(mistaken)
    folder.take_back(mistaken.id)
    found = json.loads(CliRunner().invoke(cli, command, catch_exceptions=False).output)
    assert {"systems", "votes"} <= {*found}
    voted = found["votes"]
    assert [(one["voter"], one["pairs"], one["voters"]) for one in voted["wins"]] == [
        ("people", 8, 3),
        ("Ada", 8, 1),
        ("Bob", 8, 1),
        ("Cy", 8, 1),
    ]
    by_metric = {one["metric"]: one["share"] for one in voted["predictions"]}
    assert (by_metric["psnr"]["yes"], by_metric["psnr"]["no"]) == (14, 2)
    assert {share["yes"] + share["half"] + share["no"] for share in by_metric.values()} == {16}
    agreement = {(one["first"], one["second"]): one["kappa"] for one in voted["agreements"]}
    assert agreement["Ada", "Bob"]["agreement"] == 0.75
    assert (agreement["Ada", "Cy"]["agreement"], agreement["Ada", "Cy"]["kappa"]) == (0.0, 0.0)
    table = CliRunner().invoke(cli, [*command[:-1], "--markdown"]).output
    assert "### Agreement of voters" in table
    alone = CliRunner().invoke(cli, ["compare", str(runs[0]), "--votes", str(tmp_path)])
    assert alone.exit_code == 0
    assert "Not counted: 24 about other runs or samples." in alone.output


def test_two_protocols_of_one_run_are_compared_by_votes_alone(tmp_path: Path) -> None:
    (run, _) = write_runs(tmp_path, 6, scored=True)
    folders, source = [RunFolder.open(run)] * 2, write_cards(tmp_path / "again", 6)
    folder = VoteFolder(tmp_path / "votes")
    for pair in PairList(folders, source, SideChoice("bug"), SideChoice("vanilla")).pairs:
        folder.add(vote(pair, "first"))
    command = ["compare", str(run), "--votes", str(folder.path)]
    text = CliRunner().invoke(cli, command, catch_exceptions=False).output
    assert "Preferred: white text or white text+image, round 1" in text  # as the rows of the results stand
    (wins,) = json.loads(CliRunner().invoke(cli, [*command, "--json"]).output)["votes"]["wins"]
    assert (wins["wins"]["yes"], wins["wins"]["no"]) == (0, 6)
    missing = CliRunner().invoke(cli, [*command[:-1], str(tmp_path / "nothing")])
    assert "the folder that votes were written to" in str(missing.exception)


def test_votes_on_pictures_that_are_gone_and_models_half_asked_are_said_and_not_counted(
    runs: list[Path], pairs: PairList
) -> None:
    from fashionedit.eval_harness.scores.results import merge

    results = merge([read_results(path / "results.json") for path in runs])
    pair = pairs.pairs[0]
    gone = pair.voted.model_copy(update={"first": pair.voted.first.model_copy(update={"digest": "0" * 64})})
    stale = vote(pair, "first").model_copy(update={"pair": gone})
    model = {"model": "toy", "settings": "a", "prompt": "b"}
    half = Vote(
        voter=Voter(name="toy", kind="model"),
        **{"pair": pair.voted, "left": "first", "answer": "first", "model": model},
        **{"original_shown": False, "question": pair.asked(False), "seed": 0},
    )
    report = vote_report([stale, half], results)
    assert (report.ballots.outdated, report.ballots.incomplete, report.wins) == (1, 1, ())
    text = votes_text(report, results)
    assert "1 about pictures that these runs no longer have" in text
    assert "No vote is about these runs." in text
