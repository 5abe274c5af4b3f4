"""The Hub on loopback does what the real client expects of pull requests, results and leaderboards."""

from __future__ import annotations

from typing import Any

import pytest
from hub_server import HubServer
from huggingface_hub import CommitOperationAdd, HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

RESULTS = b"- dataset: {id: some-org/fashion-set, task_id: bug_clip_star}\n  value: 35.4\n"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with HubServer() as server:
        yield server


def test_a_pull_request_with_results_is_shown_and_merged(hub: HubServer) -> None:
    hub.create("datasets", "some-org/fashion-set")
    hub.create("models", "some-org/editor")
    reader = HfApi(endpoint=hub.url, token="hf_reader")
    files = [CommitOperationAdd(".eval_results/fashionedit.yaml", RESULTS)]
    done = reader.create_commit("some-org/editor", files, commit_message="Results", create_pr=True)
    assert (done.pr_num, done.pr_revision) == (1, "refs/pr/1")
    found = list(reader.get_repo_discussions("some-org/editor"))
    assert [(one.title, one.author, one.status) for one in found] == [("Results", "reader", "open")]

    owner = HfApi(endpoint=hub.url, token="hf_tester")
    board = owner.get_dataset_leaderboard("some-org/fashion-set", base_model_only=False)
    assert [(entry.rank, entry.model_id, entry.value) for entry in board] == [(1, "some-org/editor", 35.4)]
    with pytest.raises(HfHubHTTPError, match="403"):
        reader.merge_pull_request("some-org/editor", 1)
    owner.merge_pull_request("some-org/editor", 1)
    assert hub.repository("models", "some-org/editor").files()[".eval_results/fashionedit.yaml"] == RESULTS
    about = owner.model_info("some-org/editor", expand=["evalResults"])
    assert about.eval_results is not None
    assert about.eval_results[0].value == 35.4


def test_each_token_sees_and_changes_what_it_may(hub: HubServer) -> None:
    hub.create("datasets", "some-org/secret", private=True)
    owner, reader, nobody = (HfApi(endpoint=hub.url, token=token) for token in ("hf_tester", "hf_reader", False))
    assert owner.whoami()["name"] == "tester"
    assert owner.dataset_info("some-org/secret").private
    for other in (reader, nobody):
        with pytest.raises(RepositoryNotFoundError):
            other.dataset_info("some-org/secret")
    with pytest.raises(HfHubHTTPError, match="403"):
        reader.create_repo("some-org/other", repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="409"):
        owner.create_repo("some-org/secret", repo_type="dataset")


def test_a_commit_on_an_old_state_is_refused(hub: HubServer) -> None:
    repository = hub.create("datasets", "some-org/set")
    owner = HfApi(endpoint=hub.url, token="hf_tester")
    old = repository.refs["main"]
    for number in range(2):
        files = [CommitOperationAdd("a/b.txt", f"{number}".encode())]
        if number:
            with pytest.raises(HfHubHTTPError, match="412"):
                owner.create_commit("some-org/set", files, commit_message="x", repo_type="dataset", parent_commit=old)
        else:
            owner.create_commit("some-org/set", files, commit_message="x", repo_type="dataset", parent_commit=old)
    assert repository.files()["a/b.txt"] == b"0"
    assert [entry.path for entry in owner.list_repo_tree("some-org/set", repo_type="dataset", recursive=True)] == [
        ".gitattributes",
        "a",
        "a/b.txt",
    ]
    assert [one.path for one in owner.get_paths_info("some-org/set", ["a/b.txt", "no"], repo_type="dataset")] == [
        "a/b.txt"
    ]
    assert len(repository.commits) == 2
