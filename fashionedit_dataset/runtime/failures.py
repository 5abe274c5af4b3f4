"""What an answer that is no success means, in the words of the services that give it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fashionedit.errors import ServiceError

from . import secrets


class Failure(StrEnum):
    """What became of a call; the first five hold for every further call as well."""

    NO_KEY = "no key"
    NO_QUOTA = "no quota"
    FORBIDDEN = "forbidden"
    NO_MODEL = "no such model"
    NO_ADDRESS = "no such address"
    REFUSED = "refused"
    RATE_LIMITED = "rate limited"
    SERVER_ERROR = "server error"
    REJECTED = "request rejected"
    TIMEOUT = "timeout"
    NO_CONNECTION = "no connection"
    MALFORMED = "malformed answer"
    TOO_LARGE = "answer too large"

    @property
    def final(self) -> bool:
        """Whether no further call is worth making."""
        return self in (
            Failure.NO_KEY,
            Failure.NO_QUOTA,
            Failure.FORBIDDEN,
            Failure.NO_MODEL,
            Failure.NO_ADDRESS,
        )

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed a little later."""
        return self in (
            Failure.RATE_LIMITED,
            Failure.SERVER_ERROR,
            Failure.TIMEOUT,
            Failure.NO_CONNECTION,
            Failure.MALFORMED,
        )


_CODES: dict[str, Failure] = {
    code: failure
    for failure, codes in {
        Failure.NO_KEY: "invalid_api_key incorrect_api_key missing_api_key no_api_key invalid_authentication "
        "authentication_error authentication_failed unauthorized unauthenticated invalid_token expired_token "
        "token_expired",
        Failure.NO_QUOTA: "insufficient_quota quota_exceeded billing_hard_limit_reached billing_not_active "
        "billing_error access_terminated insufficient_balance insufficient_credits insufficient_credit "
        "insufficient_funds credit_balance_too_low payment_required",
        Failure.FORBIDDEN: "permission_denied permission_error insufficient_permissions forbidden access_denied "
        "account_deactivated unsupported_country_region_territory",
        Failure.NO_MODEL: "model_not_found model_not_available model_not_supported unknown_model invalid_model "
        "no_such_model model_decommissioned deprecated_model model_deprecated deploymentnotfound",
        Failure.NO_ADDRESS: "unknown_url",
        Failure.REFUSED: "content_filter contentfiltered content_filtered content_policy_violation policy_violation "
        "responsibleaipolicyviolation moderation_blocked moderation safety safety_violation image_safety "
        "prohibited_content nsfw nsfw_content_detected",
        Failure.RATE_LIMITED: "rate_limit_exceeded rate_limit_error rate_limited rate_limit ratelimited "
        "too_many_requests throttled throttling slow_down resource_exhausted",
        Failure.SERVER_ERROR: "server_error internal_server_error internal_error internal service_unavailable "
        "unavailable overloaded overloaded_error engine_overloaded engine_overloaded_error timeout timeout_error "
        "gateway_timeout deadline_exceeded bad_gateway upstream_error model_loading vector_store_timeout",
    }.items()
    for code in codes.split()
}
"""What services call their errors. A code that stands here decides, whatever the status and the sentence say."""

_GENERIC = re.compile(
    r"|error|errors|api_?exception|exception|fail(ed|ure)?|invalid_request(_error)?|bad_?request(_?error)?|"
    r"(image_generation_)?user_error|unknown(_error)?|none|null|generation_failed|image_generation_failed|"
    r"value_?error|runtime_?error|http_?(error|exception)|not_found(_error)?|method_not_allowed|client_error|"
    r"[a-z]{0,3}_?\d+"
)
"""Codes that name no cause, so that the sentence has to be read; any other code names one."""

_MISTAKE = re.compile(
    r"param|argument|field|schema|valid|unsupported|missing|unknown|unrecogni[sz]ed|format|too_(large|long|many|small)|"
    r"required|type_error|extra_forbidden|literal_error|greater_than|less_than|parsing"
)
_MISTAKE_WORDS = re.compile(
    r"\s*(unknown|unsupported|unrecogni[sz]ed|unexpected|invalid|missing|extra)\W+(required\W+)?"
    r"(request\W+)?(parameter|argument|field|value|input|type|keyword|size|format)",
    re.I,
)
_QUOTA_WORDS = re.compile(
    r"exceeded your (?!.*per.(minute|second)).{0,40}\b(quota|credits)|insufficient (credit|balance|fund|quota)|"
    r"out of credits|no credits? left",
    re.I,
)
_FILTERED_WORDS = re.compile(
    r"safety (system|filter|checker|polic)|content[ _](policy|filter|moderation)|nsfw|moderation (system|filter|polic)|"
    r"(blocked|flagged|rejected|refused|failed|pass|passed) (by|in)?\W*(our|the)?\W*(content )?moderation|"
    r"moderation (blocked|failed|rejected|flagged)|flagged as (sensitive|unsafe|inappropriate)|violates? .{0,60}polic|"
    r"(unsafe|inappropriate|explicit|prohibited) (content|image)",
    re.I,
)
_GONE_WORDS = re.compile(
    r"model.*(does not exist|not found|deprecated|decommissioned|shut ?down|retired|no longer)", re.I | re.S
)
_LONGEST = 300


def failure_of(status: int, code: str | int | None = None, message: str = "") -> Failure:
    """Returns what a service's status, code and sentence mean. A code decides before the status, both before words.

    A status below 400 belongs to an answer that holds an error in the place of a result; a code may be a status.

    >>> failure_of(429).transient, failure_of(429, "insufficient_quota").final, failure_of(400, "moderation_blocked")
    (True, True, <Failure.REFUSED: 'refused'>)
    >>> failure_of(400, "unknown_parameter", "Unknown parameter: 'moderation'."), failure_of(200, 503)
    (<Failure.REJECTED: 'request rejected'>, <Failure.SERVER_ERROR: 'server error'>)
    """
    word = re.sub(r"[\s.\-]+", "_", str(code if code is not None else "").strip().lower())
    if word.isdecimal():
        status, word = (int(word) if 400 <= int(word) < 600 else status), ""
    if word in _CODES:
        return _CODES[word]
    generic = _GENERIC.fullmatch(word) is not None
    mistake = (_MISTAKE.search(word) if not generic else _MISTAKE_WORDS.match(message)) is not None
    words = message if generic and not mistake else ""
    if status == 401:
        return Failure.NO_KEY
    if status == 402 or (status < 500 and _QUOTA_WORDS.search(words)):
        return Failure.NO_QUOTA
    if status in (200, 400, 404, 410, 422) and _GONE_WORDS.search(words):
        return Failure.NO_MODEL
    if status in (200, 400, 403, 422, 451) and _FILTERED_WORDS.search(words):
        return Failure.REFUSED
    if status == 403:
        return Failure.FORBIDDEN
    if status in (404, 405, 410):
        return Failure.NO_ADDRESS
    if status == 429:
        return Failure.RATE_LIMITED
    if status >= 500 or status in (408, 409, 425) or (status < 400 and not mistake):
        return Failure.SERVER_ERROR
    return Failure.REJECTED


@dataclass(frozen=True, slots=True)
class Service:
    """Who was called, as messages name it.

    Args:
        host: Such as `api.openai.com`.
        model: As the user names it; empty where the service has none.
        key: The environment variable that holds the key.
        address: The option that holds the address.
        model_option: The option that names the model, where it is not part of another name.
    """

    host: str
    model: str = ""
    key: str = "OPENAI_API_KEY"
    address: str = "--base-url"
    model_option: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a service says went wrong.

    Args:
        failure: What it means.
        status: Of HTTP, or the one that the answer names in its place; 0 where nothing was answered.
        message: The service's sentence, masked; may be empty.
        parameter: Which part of the request the service objects to.
    """

    failure: Failure
    status: int = 0
    message: str = ""
    parameter: str | None = None

    def sentence(self, service: Service) -> str:
        """Returns what the service answered, in a sentence."""
        match self.failure:
            case Failure.TIMEOUT:
                return f"{service.host} gave no answer {self.message or 'in time'}"
            case Failure.NO_CONNECTION:
                return f"the connection to {service.host} broke{self._said}"
            case Failure.MALFORMED | Failure.TOO_LARGE:
                return f"the answer of {service.host} can't be used{self._said}"
        what = f"{self.status}" if self.status >= 400 else "with an error"
        return f"{service.host} answered {what}{self._said}"

    def stop(self, service: Service) -> ServiceError:
        """Returns the error that ends the stage, for a failure that is final."""
        model = f"the model {service.model}" if service.model else "the model"
        match self.failure:
            case Failure.NO_KEY:
                why = f"{service.host} does not accept the key{self._said}; set {service.key} to a valid one"
            case Failure.NO_QUOTA:
                why = f"the account at {service.host} has no quota left{self._said}; add credit, and the same command "
                why += "continues"
            case Failure.NO_MODEL:
                where = f" with {service.model_option}" if service.model_option else ""
                why = f"{service.host} does not have {model}, or not any more{self._said}; name another one{where}"
            case Failure.FORBIDDEN:
                why = f"{service.host} forbids the call{self._said}; use a key ({service.key}) with access to {model}"
            case Failure.NO_ADDRESS:
                why = f"{service.host} has no such address{self._said}; check {service.address}"
            case _:
                why = f"{self.sentence(service)}; change the settings"
        return ServiceError(why)

    @property
    def _said(self) -> str:
        return f" ({self.message})" if self.message else ""


def problem_of(status: int, body: bytes) -> Problem:
    """Returns what an answer with a status from 400 on means; its body is JSON of any form, text, or a page."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = "a page of HTML" if body.lstrip()[:1] == b"<" else body[:_LONGEST].decode(errors="replace")
    return _problem(status, content)


def problem_in(answer: Any, status: int = 200) -> Problem | None:
    """Returns the error that decoded JSON holds in the place of a result, None where it holds none.

    The forms are `{"error": …}` with a code, a sentence or both, and those of other frameworks.
    """
    if not isinstance(answer, dict):
        return None
    numbers = [answer.get(name) for name in ("code", "status_code", "statusCode", "status")]
    named = any(answer.get(name) for name in _ERRORS)
    if named or answer.get("object") == "error" or answer.get("success") is False or any(map(_is_status, numbers)):
        return _problem(status, answer)
    return None


_ERRORS = ("error", "errors", "detail")
_WORDS = ("code", "error_code", "type", "error_type", "status", "status_code", "statusCode")
_SENTENCES = ("message", "msg", "detail", "error_message", "error_msg", "error_description", "reason", "title")
_DEEPEST = 4


def _problem(status: int, content: Any) -> Problem:
    codes, message, parameter = _described(content)
    # The status in a body is the code's; where there are several codes, one that names a cause decides.
    status = next((int(code) for code in codes if _is_status(code)), status)
    words = [code for code in codes if not code.isdecimal()]
    known = next((word for word in words if re.sub(r"[\s.\-]+", "_", word.lower()) in _CODES), None)
    return Problem(failure_of(status, known or next(iter(words), None), message), status, one_line(message), parameter)


def _described(content: Any, depth: int = 0) -> tuple[list[str], str, str | None]:
    """Returns codes, sentence and parameter of an error's body, the innermost first."""
    if isinstance(content, list):
        content = next(iter(content), None)
    if isinstance(content, str):
        return [], content, None
    if not isinstance(content, dict) or depth > _DEEPEST:
        return [], "", None
    codes, message, parameter = _described(next((content[n] for n in _ERRORS if content.get(n)), None), depth + 1)
    codes += [str(content[name]) for name in _WORDS if isinstance(content.get(name), str | int) and content[name] != ""]
    own = (content[name] for name in _SENTENCES if isinstance(content.get(name), str) and content[name].strip())
    given = content.get("param") or content.get("loc")
    if isinstance(given, list):
        given = ".".join(map(str, given))
    return codes, message or next(own, ""), parameter or (given if isinstance(given, str) else None)


def _is_status(value: Any) -> bool:
    return not isinstance(value, bool) and str(value).isdecimal() and 400 <= int(str(value)[:9]) < 600


def one_line(text: str) -> str:
    """Returns a service's words as a message: on one line, shortened, without secrets, escape codes or addresses."""
    text = secrets.masked(" ".join(secrets.clean(text).split()))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
