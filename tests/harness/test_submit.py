"""Submitting through the real client to a Hub on loopback: what is checked, sent, and comes back."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml
from board_hub import MODEL, RESULTS, command, printed, publish_benchmark, turn_to
from board_toys import COUNT, REPOSITORY, mirrored, official_encoder, open_benchmark, slight, toy_run, write_benchmark
from hub_server import HubServer
from PIL import ImageOps
from publishing_toys import python
from scored_toys import MeanColours, toy_embedder
from toy_editors import refusing

from fashionedit.builders.write_dataset import eval_yaml
from fashionedit.card import LEADERBOARD_TASKS
from fashionedit.eval_harness.editing import EditResult, Status
from fashionedit.eval_harness.leaderboard.checks import run_problems
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.scores.results import build_results, write_results
from fashionedit.metrics.registry import PAPER_METRICS, Metric, load_metrics

EVAL_RESULTS = ".eval_results/fashionedit.yaml"
PLACE = f"submissions/{MODEL}/detail-images"


@pytest.fixture
def hub(source, tmp_path):
    with HubServer() as server:
        publish_benchmark(server, source.path, tmp_path / "annotations")
        yield server


@pytest.fixture
def here(hub, monkeypatch, tmp_path):
    turn_to(hub, monkeypatch, tmp_path)


def arguments(run, *more, model=MODEL):
    naming = ["--model", model] if model else []
    return ["submit", run.path, *naming, "--dataset-repo", REPOSITORY, *more, "--quiet"]


def commits(hub):
    return [request for request in hub.requests if "/commit/" in request.path]


@pytest.mark.slow
def test_pull_requests_go_through_and_come_back(hub, scored, source, tmp_path):
    code = f"""
import json, os
from pathlib import Path
from huggingface_hub import HfApi, hf_hub_download
from fashionedit.cli import main

main({[*map(str, arguments(scored))]!r})
api = HfApi()
proposed = api.model_info({MODEL!r}, revision="refs/pr/1", expand=["evalResults"]).eval_results
os.environ["HF_TOKEN"] = "hf_owner"
HfApi(token="hf_owner").merge_pull_request({MODEL!r}, 1)
HfApi(token="hf_owner").merge_pull_request({RESULTS!r}, 1, repo_type="dataset")
merged = api.model_info({MODEL!r}, expand=["evalResults"]).eval_results
board = api.get_dataset_leaderboard({REPOSITORY!r}, base_model_only=False)
place = Path(hf_hub_download({RESULTS!r}, "{PLACE}/bundle.json", repo_type="dataset"))
file = hf_hub_download({MODEL!r}, {EVAL_RESULTS!r})
main(["verify", str(place.parent), "--images", {str(scored.path / "images")!r}, "--data", {REPOSITORY!r}, "--quiet"])
print(json.dumps([[vars(one) for one in proposed], [vars(one) for one in merged],
                  [[one.model_id, one.value, one.verified] for one in board], Path(file).read_text()]))
"""
    from hub_server import USERS, User

    hub.users = {**USERS, "hf_owner": User("owner", ("some-org", "other-org"))}
    told = python(environment=hub.environment(), home=tmp_path, code=code)
    assert told.returncode == 0, told.stderr
    *lines, verdict, last = told.stdout.splitlines()
    assert lines[-2:] == [
        f"{hub.url}/datasets/{RESULTS}/discussions/1: a pull request was opened",
        f"{hub.url}/{MODEL}/discussions/1: a pull request was opened",
    ]
    assert "internally consistent, and every image is there; samples and manifest are those of" in verdict
    proposed, merged, board, text = json.loads(last)
    assert proposed == merged
    assert {one["task_id"] for one in merged} == set(LEADERBOARD_TASKS)
    assert {task["id"] for task in yaml.safe_load(eval_yaml("fashion"))["tasks"]} == set(LEADERBOARD_TASKS)
    results = json.loads((scored.path / "results.json").read_text())
    stated = {one["task_id"]: one["value"] for one in merged}
    for row in results["rows"]:
        if row["run"] == 0 and row["round"] == 3:
            for metric, score in row["scores"].items():
                assert stated[f"{row['protocol']}_{metric}"] == pytest.approx(score["mean"], abs=0.0051)
    assert sorted(board) == sorted([MODEL, value, False] for value in stated.values())
    entry = next(one for one in yaml.safe_load(text) if one["dataset"]["task_id"] == "bug_clip_star")
    assert entry["dataset"] == {
        "id": REPOSITORY,
        "task_id": "bug_clip_star",
        "revision": hub.repository("datasets", REPOSITORY).refs["main"],
    }
    assert entry["source"] == {
        "url": f"{hub.url}/datasets/{RESULTS}/discussions/1",
        "name": "FashionEdit evidence",
        "user": "tester",
    }
    assert entry["notes"].startswith(
        f"after round 3 of 3; reference detail; rounds chained by images; n = {COUNT}, 0 failed; 95 % interval "
    )
    assert "clustered by garment; the draft alone has " in entry["notes"]


@pytest.mark.usefixtures("here")
def test_the_same_again_changes_nothing_and_a_new_score_changes_the_open_requests(hub, scored, source, tmp_path):
    assert printed(*arguments(scored)).count("a pull request was opened") == 2
    first = hub.repository("models", MODEL).files("refs/pr/1")[EVAL_RESULTS]
    done = printed(*arguments(scored))
    assert done.count("the open pull request holds these very files; nothing was changed") == 2
    assert len(commits(hub)) == 2
    other = toy_run(tmp_path / "other", source, slight(0.3), fingerprint="toy 2")
    assert printed(*arguments(other)).count("the open pull request was changed") == 2
    assert len(hub.repository("models", MODEL).pull_requests) == 1
    assert hub.repository("models", MODEL).files("refs/pr/1")[EVAL_RESULTS] != first

    for kind, id in (("models", MODEL), ("datasets", RESULTS)):
        repository = hub.repository(kind, id)
        repository.commit("main", repository.files("refs/pr/1"), message="merged")
        repository.pull_requests[0].status = "merged"
    done = printed(*arguments(other))
    assert done.count("the repository holds these very files; nothing was sent") == 2


@pytest.mark.usefixtures("here")
def test_what_the_models_file_says_of_other_benchmarks_stays(hub, scored):
    entry = {"dataset": {"id": "else/where", "task_id": "default"}, "value": 3.5}
    mine = {"dataset": {"id": REPOSITORY, "task_id": "bug_psnr"}, "value": 0.5}
    repository = hub.repository("models", MODEL)
    repository.commit("main", {EVAL_RESULTS: yaml.safe_dump([entry, mine]).encode()})
    printed(*arguments(scored))
    found = yaml.safe_load(repository.files("refs/pr/1")[EVAL_RESULTS])
    assert found[0] == entry
    assert len(found) == 1 + len(LEADERBOARD_TASKS)
    assert 0.5 not in [one["value"] for one in found]
    repository.pull_requests.clear()
    repository.commit("main", {EVAL_RESULTS: b"value: [broken"})
    done = command(*arguments(scored))
    assert done.returncode == 2
    assert "no list of results; ask its owner" in done.stderr


@pytest.mark.usefixtures("here")
def test_a_dry_run_writes_the_files_and_sends_nothing(hub, scored, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    done = printed(*arguments(scored, "--dry-run", "--out", tmp_path / "out"))
    assert f"for a pull request on {MODEL}" in done
    assert f"bytes of evidence for a pull request on datasets/{RESULTS}" in done
    assert "bug_clip_star: after round 3 of 3; reference detail" in done
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*[a-z]"))
    written = [name for name in written if (tmp_path / "out" / name).is_file()]
    assert written[0] == f"other-org--model/{EVAL_RESULTS}"
    assert f"some-org--fashion-results/{PLACE}/bundle.json" in written
    assert len(written) == 3  # with the mark that says whose folder it is
    assert not [request for request in hub.requests if request.method == "POST" and "paths-info" not in request.path]
    assert printed("verify", tmp_path / "out" / "some-org--fashion-results" / PLACE).endswith("--data DATA\n")
    assert len(yaml.safe_load((tmp_path / "out" / written[0]).read_text())) == len(LEADERBOARD_TASKS)
    for _ in range(2):  # the second finds the first one's files
        printed(*arguments(scored, "--dry-run"))
        for name in written:
            assert (scored.path / "submission" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_a_dry_run_needs_no_hub_and_names_the_dataset_that_is_here(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASHIONEDIT_REPO", raising=False)
    run = toy_run(tmp_path / "runs" / "mine", source)
    done = command("submit", "runs/mine", "--model", "org/name", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "no --dataset-repo is given: these files name local/" in done.stderr
    (bundle,) = run.path.glob("submission/local--*-results/submissions/org/name/*/bundle.json")
    assert json.loads(bundle.read_text())["run"]["manifest"] == source.manifest_hash
    done = command("submit", "runs/mine", "--model", "org/name")
    assert (done.returncode, "--dataset-repo ORG/NAME[@REVISION]" in done.stderr) == (2, True)


@pytest.mark.usefixtures("here")
def test_what_can_t_be_submitted_is_said_before_the_hub_is_asked(hub, source, tmp_path):
    run = toy_run(tmp_path / "run", source, limit=1)
    asked = len(hub.requests)
    done = command(*arguments(run))
    assert (done.returncode, "can't be submitted" in done.stderr) == (2, True)
    assert command(*arguments(run, model="")).stderr.startswith("fashionedit: say who made the images")
    assert len(hub.requests) == asked


@pytest.mark.usefixtures("here")
def test_a_dry_run_into_somebody_elses_folder_changes_nothing(scored, tmp_path):
    bundle = tmp_path / "some-org--fashion-results" / PLACE
    bundle.mkdir(parents=True)
    (bundle / "bundle.json").write_text("{}")
    done = command(*arguments(scored, "--dry-run", "--out", tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "not a submission" in done.stderr
    assert [path.name for path in bundle.iterdir()] == ["bundle.json"]
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


@pytest.mark.usefixtures("here")
def test_out_without_a_dry_run_is_refused_before_anything_is_sent(hub, scored, tmp_path):
    done = command(*arguments(scored, "--out", tmp_path / "out"))
    assert (done.returncode, done.stderr) == (
        2,
        "fashionedit: --out is where --dry-run writes; give both, or neither\n",
    )
    assert not (tmp_path / "out").exists()
    assert not [request for request in hub.requests if request.method == "POST"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("token", "says"),
    [
        (None, "no token for the Hub is known; run `hf auth login`, or set $HF_TOKEN"),
        ("hf_wrong", "the Hub does not know the token"),
    ],
)
def test_without_a_token_one_sentence(hub, scored, monkeypatch, token, says):
    if token is None:
        monkeypatch.delenv("HF_TOKEN")
    else:
        monkeypatch.setenv("HF_TOKEN", token)
    done = command(*arguments(scored))
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not commits(hub)


@pytest.mark.usefixtures("here")
def test_a_repository_that_is_not_there_is_named_before_anything_is_sent(hub, scored):
    for more, says in (
        (["--results-repo", "some-org/nothing"], "the Hub has no dataset repository some-org/nothing"),
        (["--model", "some-org/nothing"], "the Hub has no model repository some-org/nothing"),
        (["--dataset-repo", "some-org/nothing"], "there is no FashionEdit dataset some-org/nothing"),
        (["--dataset-repo", f"{REPOSITORY}@v9"], f"there is no FashionEdit dataset {REPOSITORY} at revision v9"),
        (["--dataset-repo", RESULTS], f"there is no FashionEdit dataset {RESULTS}"),
        (["--dataset-repo", "fashion"], "is no name of a repository"),
        (["--model", "model"], "is no name of a repository"),
    ):
        done = command(*arguments(scored, *more))
        assert done.returncode == 2
        assert says in done.stderr
    assert not commits(hub)


@pytest.mark.usefixtures("here")
def test_a_model_without_repository_sends_evidence_alone(hub, scored):
    done = printed(*arguments(scored, "--name", "A Service, v2", model=None))
    assert "no numbers are sent to the model, because it has no repository" in done
    assert done.count("a pull request was opened") == 1
    files = hub.repository("datasets", RESULTS).files("refs/pr/1")
    place = next(path for path in files if path.endswith("bundle.json"))
    assert place.startswith("submissions/_/A-Service-v2-")
    assert json.loads(files[place])["name"] == "A Service, v2"
    assert not hub.repository("models", MODEL).pull_requests
    for more in ([], ["--name", "x", "--model", MODEL]):
        assert "--name TEXT for a model without repository" in command(*arguments(scored, *more, model=None)).stderr
    assert "--name is empty" in command(*arguments(scored, "--name", " ", model=None)).stderr


@pytest.mark.usefixtures("here")
def test_scores_of_another_encoder_are_sent_marked_and_without_numbers(hub, source, tmp_path):
    run = toy_run(tmp_path / "run", source, encoder=MeanColours())
    done = command(*arguments(run))
    assert done.returncode == 2
    assert "The scores are not the leaderboard's (encoder: Mean colours, wanted openai/clip" in done.stderr
    done = printed(*arguments(run, "--allow-encoder"))
    assert "no numbers are sent to the model, because the scores are another encoder's" in done
    files = hub.repository("datasets", RESULTS).files("refs/pr/1")
    place = next(path for path in files if path.endswith("bundle.json"))
    assert place == f"submissions/{MODEL}/detail-images-other-encoder/bundle.json"
    assert json.loads(files[place])["metrics"][0]["id"] == "cosine"


class Width(Metric):
    id, label, unit = "width", "Width", "pixels"

    def score(self, pairs):
        return [result.pixels.shape[1] for result, _ in pairs]


@pytest.mark.usefixtures("here")
def test_columns_beside_the_leaderboards_own_are_not_sent_and_one_that_lacks_is_named(source, tmp_path):
    run, embedder = toy_run(tmp_path / "run", source), toy_embedder(official_encoder())
    ours = load_metrics(PAPER_METRICS, embedder)
    write_results(build_results(run, source, embedder, metrics=[*ours, Width()]), run.path / "results.json")
    printed(*arguments(run, "--dry-run", "--out", tmp_path / "out"))
    (bundle,) = tmp_path.glob("out/**/bundle.json")
    assert [metric["id"] for metric in json.loads(bundle.read_text())["metrics"]] == ["clip", "clip_star", "psnr"]
    write_results(build_results(run, source, embedder, metrics=ours[-1:]), run.path / "results.json")
    done = command(*arguments(run, "--dry-run"))
    assert (done.returncode, "The scores are not the leaderboard's (encoder: no encoder," in done.stderr) == (2, True)


@pytest.mark.usefixtures("here")
def test_all_failing_checks_are_told_at_once_each_as_one_sentence(hub, source, tmp_path):
    write_benchmark(tmp_path / "control", control_set=True)
    other = open_benchmark(tmp_path / "control")
    run = toy_run(
        tmp_path / "run",
        other,
        refusing([2], Status.ERROR),
        protocols=["vanilla"],
        rounds=2,
        encoder=MeanColours(),
        retries=0,
    )
    shutil.copy(run.path / "results.json", tmp_path / "older.json")
    done = command(*arguments(run))
    assert done.returncode == 2
    first, *sentences = done.stderr.splitlines()
    assert first == f"fashionedit: {run.path} can't be submitted:"
    assert [sentence[4:] for sentence in sentences] == [
        "The run was made on the control set of rendered garments; run the editor on the benchmark itself.",
        "The run has 2 of 3 rounds; the scores after round 3 count.",
        f"{COUNT} rounds ended with status error ({COUNT} in vanilla round 2); the same run command tries them again, "
        "then score again.",
        "The scores are not the leaderboard's (encoder: Mean colours, wanted openai/clip-vit-large-patch14); score "
        "with --encoder clip in fp32, or give --allow-encoder to send them marked, beside the ranked ones.",
    ]
    assert not commits(hub)


def peeking(source):
    """An editor that has the originals: it knows each sample by its draft."""
    originals = {sample.draft.tobytes(): sample.original for sample in source}

    def does(request):
        return EditResult.ok(originals.get(request.base.tobytes(), request.base))

    return does


@pytest.mark.usefixtures("here")
def test_what_covers_the_first_samples_only_is_refused_until_the_run_goes_on(hub, source, tmp_path):
    partial = toy_run(tmp_path / "run", source, limit=2)
    done = command(*arguments(partial, "--dry-run"))
    assert done.returncode == 2
    assert f"The results are over 2 of {COUNT} samples; run and score the whole split, without --limit." in done.stderr
    assert "were not run" not in done.stderr
    printed(*arguments(toy_run(tmp_path / "run", source), "--dry-run"))


@pytest.mark.usefixtures("here")
def test_copies_of_the_originals_are_refused(hub, source, tmp_path):
    run = toy_run(tmp_path / "run", source, peeking(source))
    done = command(*arguments(run))
    assert f"{COUNT} of {COUNT} samples have an output that is the original or nearly (card-00, card-01," in done.stderr
    supplied = tmp_path / "made" / "bug" / "3"
    supplied.mkdir(parents=True)
    for sample in source:
        sample.original.save(supplied / f"{sample.id}.jpg", quality=60)
    printed(
        "import", tmp_path / "made", "--data", source.path, "--out", tmp_path / "supplied", "--name", "me", "--quiet"
    )
    folder = RunFolder.open(tmp_path / "supplied")
    write_results(build_results(folder, source, toy_embedder(official_encoder())), folder.path / "results.json")
    done = command(*arguments(folder))
    assert f"{2 * COUNT} rounds were not run" in done.stderr
    assert f"{COUNT} of {COUNT} samples have an output that is the original or nearly" in done.stderr


@pytest.mark.usefixtures("here")
def test_originals_in_disguise_are_refused(hub, source, tmp_path):
    """Mirrored, and cropped on one side: PSNR with the original does not show it."""
    originals = peeking(source)

    def disguised(request):
        image = originals(request).image
        if request.round > 1:
            return EditResult.ok(image)
        width, height = image.size
        return EditResult.ok(ImageOps.mirror(image.crop((width // 10, 0, width, height * 9 // 10))))

    done = command(*arguments(toy_run(tmp_path / "run", source, disguised)))
    assert done.returncode == 2
    assert "samples have an output that is the original mirrored, cropped or framed (card-0" in done.stderr


@pytest.mark.usefixtures("here")
def test_results_that_are_older_than_the_records_are_refused(hub, source, tmp_path):
    run = toy_run(tmp_path / "run", source, refusing([2]))
    later = toy_run(tmp_path / "later", source, mirrored)
    shutil.copy(run.path / "results.json", tmp_path / "kept.json")
    toy_run(tmp_path / "run", source, retry=["refused"])
    shutil.copy(tmp_path / "kept.json", run.path / "results.json")
    done = command(*arguments(run))
    assert (
        "results.json is older than the records of card-00 (vanilla round 2), card-00 (vanilla round 3)" in done.stderr
    )
    shutil.copy(later.path / "results.json", run.path / "results.json")
    assert "results.json is" in command(*arguments(run)).stderr


@pytest.mark.usefixtures("here")
def test_another_revision_of_the_data_is_refused(hub, scored, source, tmp_path):
    from dataclasses import replace

    from fashionedit.annotations_form import write_annotations
    from fashionedit.folder import write_folder

    samples = [replace(sample, annotation=f"{sample.annotation} Changed.") for sample in source]
    write_folder(tmp_path / "changed", {"validation": samples}, name="fashion")
    write_annotations(tmp_path / "changed", tmp_path / "published")
    old = hub.repository("datasets", REPOSITORY).refs["main"]
    files = {
        path.relative_to(tmp_path / "published").as_posix(): path.read_bytes()
        for path in (tmp_path / "published").rglob("*")
        if path.is_file()
    }
    hub.repository("datasets", REPOSITORY).commit("main", files, message="changed")
    done = command(*arguments(scored))
    assert "The run was made on other samples (manifest " in done.stderr
    assert "run on that revision, or name the one that was run." in done.stderr
    printed(*arguments(scored, "--dataset-repo", f"{REPOSITORY}@{old}", "--dry-run", "--out", tmp_path / "out"))
    bundle = tmp_path / "out" / "some-org--fashion-results" / PLACE
    assert "samples and manifest are those of" in printed("verify", bundle, "--data", REPOSITORY)  # at its own revision
    done = command("verify", bundle, "--data", f"{REPOSITORY}@main")
    assert done.returncode == 1
    assert "The bundle is of revision" in done.stdout


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"protocols": ("draft",)}, "The run edited in no protocol of the leaderboard; run vanilla or bug."),
        ({"rounds": 1}, "The run has 1 of 3 rounds; the scores after round 3 count."),
        ({"split": "train"}, "The run went over train; the leaderboard is that of validation alone."),
        ({"control_set": True}, "The run was made on the control set of rendered garments"),
        ({"params": {"api_key": "sk-0123456789abcdefghij"}}, "The settings of the run hold a secret"),
    ],
)
def test_a_setting_with_which_a_run_can_t_be_submitted_is_a_sentence(scored, changes, sentence):
    assert list(run_problems(scored.identity)) == []
    (problem,) = run_problems(scored.identity.model_copy(update=changes))
    assert problem.startswith(sentence)
