"""The board of a results repository: who stands on it, in which order, beside what, and in which form."""

from __future__ import annotations

import csv
import io
import json
import shutil
from statistics import fmean

import pytest
from board_hub import MODEL, RESULTS, command, printed, publish_benchmark, turn_to
from board_toys import (
    COUNT,
    REPOSITORY,
    alter,
    forge,
    official_encoder,
    open_benchmark,
    slight,
    toy_benchmark,
    toy_run,
    write_benchmark,
    write_toy_bundle,
)
from hub_server import HubServer
from scored_toys import MeanColours

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.leaderboard.board import build_board
from fashionedit.eval_harness.leaderboard.bundle import read_bundle
from fashionedit.eval_harness.leaderboard.hub import HubEntry, find_bundles, mark_verified

HOSTILE = "=cmd|' /C calc'!A0 <img src=x onerror=alert(1)> | *bold*"


def submitted(repository, run, source, **naming):
    """Puts the bundle of a run into its place, and returns the place."""
    bundle = write_toy_bundle(repository / "new", run, source, **naming)
    place = read_bundle(bundle).place
    (repository / place).parent.mkdir(parents=True, exist_ok=True)
    bundle.rename(repository / place)
    return place


@pytest.fixture(scope="module")
def runs(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")

    def made(name, strength, **options):
        return toy_run(folder / name, source, slight(strength), fingerprint=name, **options)

    return {
        "weak": made("weak", 0.9),
        "good": made("good", 0.2),
        "service": made("service", 0.5),
        "talking": made("talking", 0.1, info={"state": "conversation"}),
        "stitching": made("stitching", 0.15, info={"stitched": True}, protocols=["bug"]),
        "other": made("other", 0.2, encoder=MeanColours()),
    }


@pytest.fixture(scope="module")
def repository(runs, source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    submitted(folder, runs["weak"], source, name="some-org/weak", model="some-org/weak")
    submitted(folder, runs["good"], source, name="some-org/good", model="some-org/good")
    submitted(folder, runs["service"], source, name=HOSTILE, model=None)
    submitted(folder, runs["talking"], source, name="some-org/talks", model="some-org/talks")
    submitted(folder, runs["stitching"], source, name="some-org/one-image", model="some-org/one-image")
    submitted(folder, runs["other"], source, name="some-org/good", model="some-org/good")
    good = folder / "submissions/some-org/good/detail-images"
    mark_verified(folder / "verified.json", read_bundle(good))
    return folder


@pytest.fixture
def copy(repository, tmp_path):
    return shutil.copytree(repository, tmp_path / "results")


def board_of(folder, **options):
    return build_board(find_bundles(folder), RESULTS, **options)


def test_ranked_by_the_starred_metric_each_track_apart_beside_floor_leaks_and_ceiling(repository):
    board = board_of(repository)
    assert not board.refused
    shown = [(row.kind, row.protocol, row.rank, row.name) for row in board.rows if row.official]
    assert shown == [
        ("floor", "–", None, "Draft (do nothing)"),
        ("editor", "vanilla", 1, "some-org/good"),
        ("editor", "vanilla", 2, HOSTILE),
        ("editor", "vanilla", 3, "some-org/weak"),
        ("editor", "vanilla", 1, "some-org/talks"),
        ("editor", "bug", 1, "some-org/good"),
        ("editor", "bug", 2, HOSTILE),
        ("editor", "bug", 3, "some-org/weak"),
        ("editor", "bug", 1, "some-org/one-image"),
        ("editor", "bug", 1, "some-org/talks"),
        ("trivial", "–", None, "Flat grey"),
        ("trivial", "–", None, "Faded draft"),
        ("baseline", "bug", None, "Return the reference"),
        ("baseline", "bug", None, "Paste the reference"),
        ("ceiling", "–", None, "Oracle (the original)"),
    ]
    stars = [row.scores["clip_star"].mean for row in board.rows if row.official and row.protocol == "vanilla"]
    assert stars[:3] == sorted(stars[:3], reverse=True)
    assert stars[0] > stars[2]
    others = [row for row in board.rows if not row.official]
    assert [(row.rank, row.name, set(row.scores)) for row in others] == [
        (None, "some-org/good", {"cosine", "cosine_star", "psnr"})
    ] * 2


def test_marks_tell_what_sets_a_row_apart(repository):
    rows = {(row.name, row.protocol): row for row in board_of(repository).rows if row.official}
    assert rows["some-org/good", "bug"].evidence == "verified"
    assert rows["some-org/weak", "bug"].evidence == "community"
    assert (rows["some-org/talks", "bug"].state, rows["some-org/one-image", "bug"].stitched) == ("conversation", True)
    assert [row.privileged for row in rows.values()].count(True) == 2
    weak = rows["some-org/weak", "vanilla"]
    assert (weak.n, weak.failed, weak.reference) == (COUNT, 0, "–")
    assert weak.scores["clip"].low < weak.scores["clip"].mean < weak.scores["clip"].high
    floor = next(row for row in rows.values() if row.kind == "floor").scores["clip_star"].mean
    assert weak.gain.mean == pytest.approx(weak.scores["clip_star"].mean - floor)


def test_a_verified_mark_is_of_one_bundle_and_no_later_one(copy, runs, source):
    place = "submissions/some-org/good/detail-images"
    shutil.rmtree(copy / place)
    submitted(copy, runs["talking"], source, name="some-org/talks-2", model="some-org/talks-2")
    assert submitted(copy, runs["weak"], source, name="some-org/good", model="some-org/good") == place
    assert {row.evidence for row in board_of(copy).rows if row.kind == "editor"} == {"community"}


def test_classes_are_scored_like_the_whole(repository):
    board = board_of(repository)
    row = next(row for row in board.rows if row.name == "some-org/weak" and row.protocol == "bug")
    assert [(one.by, one.value, one.n, one.garments) for one in row.classes] == [
        ("category", "Cards", 4, 2),
        ("category", "Sheets", 4, 2),
        ("gender", "MEN", 4, 2),
        ("gender", "WOMEN", 4, 2),
        ("view", "back", 4, 4),
        ("view", "front", 4, 4),
    ]
    results = read_bundle(repository / row.place).results
    place = next(n for n, one in enumerate(results.rows) if (one.run, one.protocol, one.round) == (0, "bug", 3))
    values = results.row_samples[place].values["clip"]  # no failure in the last round
    for one in row.classes:
        mine = [
            value for sample, value in zip(results.samples, values, strict=True) if getattr(sample, one.by) == one.value
        ]
        assert one.scores["clip"].mean == pytest.approx(fmean(mine), abs=1e-5)
        assert one.scores["clip_star"].mean == pytest.approx(100 * fmean(value > 90 for value in mine))


def test_what_does_not_hold_is_left_out_with_its_reason(copy, runs, source):
    def lift(content):
        for sample, number in zip(content["samples"], content["rows"][0]["pictures"], strict=True):
            sample["pictures"][number]["scores"]["clip"] -= 0.2

    places = {name: copy / f"submissions/some-org/{name}/detail-images" for name in ("weak", "good", "a", "b", "c")}
    for name in ("a", "b", "c"):
        shutil.copytree(places["weak"], places[name])
    alter(places["a"], lambda content: content.update(revision="b" * 40))
    (places["b"] / "bundle.json").write_text("no JSON")
    forge(places["weak"], lift)
    changed = write_benchmark(copy / "changed", drop=3)
    other = toy_run(copy / "run", open_benchmark(changed))
    late = submitted(copy, other, open_benchmark(changed), name="some-org/late", model="some-org/late")
    board = board_of(copy)
    reasons = {one.place: one.reasons for one in board.refused}
    assert [place.split("/")[2] for place in reasons] == ["a", "b", "c", "late", "weak"]
    found = [reasons[place][0] for place in reasons]
    assert found[0] == "bundle.json was altered after the bundle was made: its checksum is another."
    assert "can't be read (" in found[1]
    assert found[2] == "It belongs to submissions/some-org/weak/detail-images."
    assert found[3].startswith(f"It is about {REPOSITORY} at revision aaaaaaaaaaaa, other samples than those of")
    assert found[4] == "Its draft row is not that of the others."
    assert late in reasons
    assert not {row.name for row in board.rows} & {"some-org/a", "some-org/late", "some-org/weak"}


def test_nothing_to_show_is_one_sentence(tmp_path, copy, source):
    with pytest.raises(InvalidDataError, match=r"holds no bundle that could stand on a board \(0 were refused\)"):
        board_of(tmp_path)
    with pytest.raises(InvalidDataError, match=r"no bundle in .* is about some-org/fashion at revision b"):
        board_of(copy, benchmark=toy_benchmark(source, "b" * 40).model_copy(update={"manifest": "0" * 64}))
    for arguments, says in (
        (["--repo", "nobody"], "'nobody' is no name of a repository"),
        ([], "no results repository was named; give --repo ORG/NAME"),
    ):
        done = command("leaderboard", *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert says in done.stderr


def test_the_hubs_numbers_stand_beside_the_evidence(repository):
    rows = {(row.name, row.protocol): row for row in board_of(repository).rows if row.official}
    star = {name: round(rows[f"some-org/{name}", "bug"].scores["clip_star"].mean, 2) for name in ("good", "weak")}
    hub = [
        HubEntry("some-org/good", "bug_clip_star", star["good"], "merged"),
        HubEntry("some-org/weak", "bug_clip_star", star["weak"] + 5, "community"),
        HubEntry("some-org/weak", "vanilla_clip_star", 88.25, "verified"),
        HubEntry("some-org/never-sent", "bug_clip_star", 99.9, "merged"),
    ]
    board = board_of(repository, hub=hub)
    rows = {(row.name, row.protocol): row.hub for row in board.rows if row.official}
    assert rows["some-org/good", "bug"] == "merged"
    assert rows["some-org/good", "vanilla"] is None
    assert rows["some-org/weak", "bug"] == "differs"
    assert [one.model for one in board.unsupported] == ["some-org/never-sent"]
    assert board_of(repository).unsupported is None


def test_console_markdown_csv_and_json(repository, tmp_path):
    console = printed("leaderboard", "--repo", repository)
    assert "Prompt: text+image (bug)" in console
    assert f"{REPOSITORY} validation at revision aaaaaaaaaaaa, n = {COUNT} (4 garments), after round 3" in console
    assert "some-org/talks¶" in console
    assert "some-org/one-image§" in console
    assert "Oracle (the original)†" in console
    assert "Other encoders, not ranked" in console
    good = next(line.split() for line in console.splitlines() if "some-org/good" in line)
    assert good[:3] == ["1", "some-org/good", "text+image"]
    assert good[-2:] == ["verified", "–"]

    markdown = printed("leaderboard", "--repo", repository, "--format", "markdown")
    assert r"\<img src=x onerror=alert(1)> \| \*bold\*" in markdown
    lines = [line for line in markdown.splitlines() if line.startswith("| 1 ")]
    assert len(lines) == 5

    table = list(csv.DictReader(io.StringIO(printed("leaderboard", "--repo", repository, "--format", "csv"))))
    assert [row["name"] for row in table if row["rank"] == "2"] == [f"'{HOSTILE}"] * 2
    best = next(row for row in table if row["name"] == "some-org/good")
    assert float(best["clip_low"]) < float(best["clip"]) < float(best["clip_high"])

    told = json.loads(printed("leaderboard", "--repo", repository, "--format", "json"))
    assert told["benchmark"]["revision"] == "a" * 40
    assert len(told["rows"]) == len(table)


def test_a_narrow_terminal_loses_intervals_then_names(repository):
    from fashionedit.eval_harness.leaderboard.board_formats import board_to_console

    board = board_of(repository)
    narrow = board_to_console(board, 100)
    assert max(map(len, narrow.splitlines())) <= 100
    assert "[" not in narrow.split("In brackets")[0]
    assert "…" in narrow


@pytest.mark.slow
def test_submitted_marked_and_shown_through_the_hub(runs, source, tmp_path, monkeypatch):
    good = runs["good"]
    with HubServer() as hub:
        publish_benchmark(hub, source.path, tmp_path / "annotations")
        turn_to(hub, monkeypatch, tmp_path)
        naming = ["--model", MODEL, "--dataset-repo", REPOSITORY, "--quiet"]
        printed("submit", good.path, *naming)
        done = command("leaderboard", "--dataset-repo", REPOSITORY)
        assert "holds no bundle yet; send one with: fashionedit submit RUN" in done.stderr  # nobody has taken it yet
        results = hub.repository("datasets", RESULTS)
        results.commit("main", results.files("refs/pr/1"), message="taken")
        board = json.loads(printed("leaderboard", "--dataset-repo", REPOSITORY, "--format", "json"))
        assert {row["hub"] for row in board["rows"] if row["kind"] == "editor"} == {"community"}

        bundle = tmp_path / "bundle"
        for path, content in results.files().items():
            if path.startswith("submissions/"):
                (bundle / path).parent.mkdir(parents=True, exist_ok=True)
                (bundle / path).write_bytes(content)
        place = f"submissions/{MODEL}/detail-images"
        done = command("verify", bundle / place, "--mark", bundle / "verified.json")
        assert "only what was computed again is marked as verified" in done.stderr
        assert not (bundle / "verified.json").exists()
        monkeypatch.setattr("fashionedit.metrics.load_encoder", lambda *given, **options: official_encoder())
        verifying = [bundle / place, "--images", good.path / "images", "--data", source.path, "--quiet"]
        printed("verify", *verifying, "--mark", bundle / "verified.json")
        results.commit("main", {"verified.json": (bundle / "verified.json").read_bytes(), "huge.bin": b"x" * 1000})
        model = hub.repository("models", MODEL)
        model.commit("main", model.files("refs/pr/1"))
        model.pull_requests[0].status = "merged"
        board = json.loads(printed("leaderboard", "--dataset-repo", REPOSITORY, "--format", "json"))
        rows = [row for row in board["rows"] if row["kind"] == "editor"]
        assert {(row["name"], row["hub"], row["evidence"]) for row in rows} == {(MODEL, "merged", "verified")}
        assert board["unsupported"] == []
        assert not [request for request in hub.requests if "huge.bin" in request.path]

        hub.fail(lambda request: "/leaderboard" in request.path, status=404)
        board = json.loads(printed("leaderboard", "--dataset-repo", REPOSITORY, "--format", "json"))
        assert board["unsupported"] is None
        done = command("leaderboard", "--repo", "some-org/nothing")
        assert "the Hub has no dataset repository some-org/nothing" in done.stderr


def test_a_broken_list_of_verified_bundles_is_named(copy):
    (copy / "verified.json").write_text("[1]")
    with pytest.raises(InvalidDataError, match=r"verified\.json can't be understood"):
        find_bundles(copy)
