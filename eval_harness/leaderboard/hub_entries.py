"""What the Hub has on its own leaderboard for the benchmark: model by model, task by task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fashionedit.runtime.hub import hub_client, hub_failures

from .board_models import HubState

if TYPE_CHECKING:
    from huggingface_hub import EvalResultEntry, HfApi


@dataclass(frozen=True, slots=True)
class HubEntry:
    """One number of one model on the Hub."""

    model: str
    task: str
    value: float
    state: HubState


def hub_entries(repository: str, *, token: str | None = None) -> list[HubEntry] | None:
    """Returns every number that the Hub has for the benchmark, fine-tuned models included; None without a leaderboard.

    The Hub's leaderboard tells models, values and marks, and not which task a value is of; that is read from the files
    of each model, and of its open pull requests.

    Raises:
        ServiceError: The Hub can't be reached.
    """
    from huggingface_hub.errors import HfHubHTTPError

    api = hub_client(token)
    with hub_failures("read", f"the leaderboard of {repository}", repository.partition("/")[0]):
        try:
            listed = api.get_dataset_leaderboard(repository, base_model_only=False)
        except HfHubHTTPError as error:
            if error.response is not None and error.response.status_code in (400, 404):
                return None
            raise
        places: dict[tuple[str, int | None], list[Any]] = {}
        for one in listed:
            places.setdefault((one.model_id, one.pull_request), []).append(one)
        return [
            entry for (model, number), marks in places.items() for entry in _of(api, repository, model, number, marks)
        ]


def _of(api: HfApi, repository: str, model: str, number: int | None, marks: list[Any]) -> Iterator[HubEntry]:
    verified = {mark.value for mark in marks if mark.verified}
    values = {mark.value for mark in marks}
    for entry in _entries(api, model, number):
        if entry.dataset_id != repository or entry.value not in values or not isinstance(entry.value, int | float):
            continue
        state: HubState = "merged" if number is None else "community"
        if entry.value in verified:
            state = "verified"
        yield HubEntry(model, str(entry.task_id), float(entry.value), state)


def _entries(api: HfApi, model: str, number: int | None) -> list[EvalResultEntry]:
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    revision = None if number is None else f"refs/pr/{number}"
    try:
        return list(api.model_info(model, revision=revision, expand=["evalResults"]).eval_results or ())
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return []  # gone since, or closed to this token
