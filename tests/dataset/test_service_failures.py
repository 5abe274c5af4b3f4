"""What services say went wrong, in whichever form, is one failure; a code decides before the words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fashionedit.runtime.failures import Failure, Problem, Service, failure_of, problem_in, problem_of


@pytest.mark.parametrize(
    ("status", "code", "message", "failure"),
    [
        (400, "unknown_parameter", "Unknown parameter: 'moderation'.", Failure.REJECTED),
        (
            400,
            "invalid_value",
            "Invalid value: 'moderation'. The safety system takes 'low' or 'auto'.",
            Failure.REJECTED,
        ),
        (400, None, "Unsupported parameter: 'nsfw_filter'", Failure.REJECTED),
        (400, "unsupported_country_region_territory", "flagged as unsafe", Failure.FORBIDDEN),
        (400, "invalid_request_error", "Your request was rejected by our safety system.", Failure.REFUSED),
        (400, "E005", "The input was flagged as sensitive.", Failure.REFUSED),
        (400, "moderation_blocked", "", Failure.REFUSED),
        (422, "content-policy-violation", "", Failure.REFUSED),
        (400, "ContentFiltered", "", Failure.REFUSED),
        (400, None, "moderation", Failure.REJECTED),
        (429, "insufficient_quota", "slow down", Failure.NO_QUOTA),
        (429, "rate_limit_exceeded", "You exceeded your current quota of requests", Failure.RATE_LIMITED),
        (429, None, "You exceeded your current quota, please check your plan", Failure.NO_QUOTA),
        (500, "insufficient_quota", "", Failure.NO_QUOTA),
        (400, "rate_limit_exceeded", "", Failure.RATE_LIMITED),
        (403, "server_error", "", Failure.SERVER_ERROR),
        (404, None, "The model `x` does not exist", Failure.NO_MODEL),
        (404, None, "Not Found", Failure.NO_ADDRESS),
        (529, "overloaded_error", "", Failure.SERVER_ERROR),
        (413, None, "too large", Failure.REJECTED),
    ],
)
def test_a_code_decides_before_the_status_and_both_before_words(
    status: int, code: str | None, message: str, failure: Failure
) -> None:
    assert failure_of(status, code, message) is failure


@pytest.mark.parametrize(
    ("answer", "failure", "status"),
    [
        ({"error": {"message": "Provider returned error", "code": 429}}, Failure.RATE_LIMITED, 429),
        ({"error": {"message": "Provider returned error", "code": "429"}}, Failure.RATE_LIMITED, 429),
        ({"error": {"message": "Insufficient credits", "code": 402}}, Failure.NO_QUOTA, 402),
        ({"error": {"message": "Upstream error", "code": 502}}, Failure.SERVER_ERROR, 502),
        ({"error": {"code": 401, "message": "No auth"}, "data": None}, Failure.NO_KEY, 401),
        ({"error": {"message": "rejected", "code": "moderation_blocked"}}, Failure.REFUSED, 200),
        ({"error": {"type": "overloaded_error", "message": "Overloaded"}, "type": "error"}, Failure.SERVER_ERROR, 200),
        ({"error": "CUDA out of memory"}, Failure.SERVER_ERROR, 200),
        ({"error": "content_policy_violation: blocked by the safety system"}, Failure.REFUSED, 200),
        ({"error": True, "message": "Unknown field: 'steps'"}, Failure.REJECTED, 200),
        ({"errors": [{"code": "insufficient_balance", "message": "top up"}]}, Failure.NO_QUOTA, 200),
        ({"detail": [{"type": "missing", "loc": ["body", "prompt"], "msg": "Field required"}]}, Failure.REJECTED, 200),
        ({"success": False, "message": "try later"}, Failure.SERVER_ERROR, 200),
        ({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}, Failure.REJECTED, 400),
        ({"code": 503, "message": "busy"}, Failure.SERVER_ERROR, 503),
        ({"error": {"code": 8, "status": "RESOURCE_EXHAUSTED", "message": "quota"}}, Failure.RATE_LIMITED, 200),
    ],
)
def test_an_error_inside_a_200_is_that_error(answer: dict[str, Any], failure: Failure, status: int) -> None:
    problem = problem_in(answer)
    assert problem is not None
    assert (problem.failure, problem.status) == (failure, status)
    assert problem.message


@pytest.mark.parametrize(
    "answer",
    [
        {"data": []},
        {"error": None, "data": []},
        {"error": {}, "errors": []},
        {"status": "completed", "error": None, "output": []},
        {"success": True, "code": 0, "message": "ok"},
        {"code": 200},
        [],
        "error",
    ],
)
def test_an_answer_without_an_error_is_none(answer: Any) -> None:
    assert problem_in(answer) is None


def test_the_parameter_that_is_objected_to_is_known() -> None:
    body = {"error": {"message": "Unsupported value", "param": "temperature", "code": "unsupported_value"}}
    problem = problem_of(400, json.dumps(body).encode())
    assert (problem.failure, problem.parameter, problem.message) == (
        Failure.REJECTED,
        "temperature",
        "Unsupported value",
    )


@pytest.mark.parametrize("body", [b"<html>nginx</html>", b"", b"{", b"[" * 100_000, b"\xff\xfe", b"7", b'["x"]'])
def test_a_body_that_is_no_error_object_has_its_status(body: bytes) -> None:
    problem = problem_of(503, body)
    assert problem.failure is Failure.SERVER_ERROR
    assert problem.failure.transient
    assert "<" not in problem.message


def test_what_ends_a_stage_is_one_sentence_with_what_to_do() -> None:
    service = Service("api.example.com", "toy", key="TOY_KEY", model_option="--model")
    told = {
        Failure.NO_KEY: "set TOY_KEY to a valid one",
        Failure.NO_QUOTA: "add credit",
        Failure.FORBIDDEN: "use a key (TOY_KEY) with access to the model toy",
        Failure.NO_MODEL: "name another one with --model",
        Failure.NO_ADDRESS: "check --base-url",
    }
    assert {failure for failure in Failure if failure.final} == set(told)
    for failure, words in told.items():
        assert words in str(Problem(failure, 400, "said so").stop(service))
        assert "said so" in str(Problem(failure, 400, "said so").stop(service))
