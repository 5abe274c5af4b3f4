"""Text that leaves this process: no secret, no control character and no half character is written or printed.

A secret is recognised in three ways:

- by its name: `openai_api_key`, `X-Auth-Token`, `dbPassword` (`is_secret_name`);
- by its value: what the environment's secret variables hold, and what the command line gave as a secret;
- by its look: `sk-…`, `hf_…`, `Bearer …`, a JSON web token, `user:password@` and the query of a URL.

Whoever writes JSON or prints a message calls `masked`; foreign text is cleaned by `clean` where it enters.
"""

from __future__ import annotations

import html
import json
import os
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, unquote

from fashionedit.errors import InvalidDataError

Json = TypeVar("Json")

KEY = "[key]"
"""What stands in a text in the place of a secret."""

_HIDDEN = "***"  # in the place of a value whose name stays
_SHORTEST = 6  # characters; a shorter value would be found in any text

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# Whole words of a name, such as MY_PASSPHRASE; `_GLUED` has the endings that are looked for inside a word.
_ALWAYS = {"secret", "secrets", "password", "passwords", "passwd", "passphrase", "pwd", "credential", "credentials"}
_ALWAYS |= {"apikey", "apikeys", "authorization", "bearer", "cookie"}
_UNLESS_FOLLOWED = {"key", "token"}
_HARMLESS_NEXT = re.compile(
    "border|budget|colou?r|count|dir|dropout|embeddings?|file|folder|fram(e|es|ing)|hole|ids?|index|length|light(ing)?"
    "|limit|merging|names?|path|pattern|points?|poses?|ratio|shape|size|style|types?|weights?|words?"
)
_GLUED = ("token", "secret", "password", "passwd", "apikey", "key")
_WORDS_IN_KEY = {"monkey", "turkey", "donkey", "jockey", "hockey", "whiskey", "smokey", "hotkey"}


@lru_cache(4096)
def is_secret_name(name: str) -> bool:
    """Returns whether a name is that of a key, a token, a password or another secret, in whatever spelling.

    >>> [is_secret_name(name) for name in ("openai_api_key", "X-Auth-Token", "dbPassword", "max_tokens", "key_frames")]
    [True, True, True, False, False]
    """
    parts = [part.lower() for part in _PARTS.findall(name)]
    for part, following in zip(parts, [*parts[1:], ""], strict=False):
        glued = part.endswith(_GLUED) and part not in _UNLESS_FOLLOWED | _WORDS_IN_KEY
        if part in _ALWAYS or glued:
            return True
        if part in _UNLESS_FOLLOWED and (not _HARMLESS_NEXT.fullmatch(following) or "access" in parts):
            return True
    if parts[-2:] == ["api", "keys"]:
        return True
    return bool(parts) and parts[-1] == "auth"


_PLACEHOLDERS = {
    "empty",
    "dummy",
    "ollama",
    "unused",
    "default",
    "lm-studio",
    "not-needed",
    "no-key",
    "no-key-required",
}
_remembered: set[str] = set()


def secret_variables() -> dict[str, str]:
    """Returns the environment variables that hold a secret, by the look of their names; paths of files are none."""
    return {
        name: value.strip()
        for name, value in os.environ.items()
        if is_secret_name(name) and _is_secret_value(value.strip()) and not _is_file(value.strip())
    }


def public_environment(passed: Collection[str] = ()) -> dict[str, str]:
    """Returns the environment for a program of somebody else: without any secret but those that are passed by name."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in passed or not ((is_secret_name(name) and not _is_file(value.strip())) or _LOOKS.search(value))
    }


def remember_secret(value: str) -> None:
    """Has this value masked from now on, as one of the environment is; short words are passed over."""
    if _is_secret_value(value):
        _remembered.add(value)


def _is_secret_value(value: str) -> bool:
    return len(value) >= _SHORTEST and value.lower() not in _PLACEHOLDERS


def _is_file(value: str) -> bool:
    return value.startswith(("/", "~", ".")) and _exists(os.path.expanduser(value))  # noqa: PTH111  # see `_exists`


def _exists(path: str) -> bool:
    # Path.exists raises for what can be no path (a null byte, a name that is too long) and so for many a secret
    return os.path.exists(path)  # noqa: PTH110  # never raises


def _secret_values() -> Iterator[str]:
    """Yields every secret value, as it stands in a text, in JSON, in a URL and in HTML."""
    for value in {*secret_variables().values(), *_remembered}:
        lines = [line.strip() for line in value.splitlines() if len(line.strip()) >= 16] if "\n" in value else []
        for text in (value, *lines):
            yield text
            yield json.dumps(text)[1:-1]
            yield quote(text, safe="", errors="replace")
            yield quote_plus(text, errors="replace")
            yield html.escape(text)


_LOOKS = re.compile(
    r"""
      \b(?:sk|rk|sess|gsk|xai|nvapi|pplx|glpat|lin_api|sbp|dop_v1|tgp_v1|r8|pk_live|whsec)[-_][\w*-]{6,}
    | \bkey[-_][A-Za-z0-9]{16,}
    | \bhf_[A-Za-z0-9]{8,}
    | \bgh[pousr]_[A-Za-z0-9]{16,} | \bgithub_pat_\w{16,} | \bxox[a-z]-[\w-]{10,}
    | \b(?:AKIA|ASIA)[0-9A-Z]{12,} | \bAIza[\w-]{20,} | \bya29\.[\w-]{16,}
    | \beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?
    | \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{16,}
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----(?:.|\n)*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    | (?<=\bBearer\ )[\w.~+/=-]{6,} | (?<=\bbearer\ )[\w.~+/=-]{6,}
    | (?<=\bBasic\ )(?=\S*[=\dA-Z])[\w+/-]{8,}={0,2} | (?<=\bbasic\ )(?=\S*[=\d])[\w+/-]{8,}={0,2}
    """,
    re.X,
)
_PLAIN = {"api-version", "model", "seed", "size", "version"}  # queries that a printed command must not lose
_URL = re.compile(r"\b(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20}://)(?P<rest>[^\s\"'<>`\\]+)")
_NAMED = re.compile(
    r"""(?<![\w.-])(?P<name>[\w.-]++)(?P<sign>\\?["']?\s*[:=]\s*\\?["']|=)(?P<value>[^\s"'\\&,;)}\]]{4,})""",
)
_HEADER = re.compile(
    r"(?i)\b(?P<name>(?:proxy-)?authorization|(?:set-)?cookie|[\w-]{0,40}api-?key|[\w-]{0,40}auth-token)(?P<sign>\s*:\s*)"
    r"(?P<value>(?:bearer |basic |token )?[^\s\"',;]{4,})"
)


def masked(value: Json, *, names: bool = True) -> Json:
    """Returns a text without its secrets, or JSON without the secrets in its texts and under the names of secrets.

    Without `names`, a value under the name of a secret stays.

    >>> masked({"note": "key sk-abc123456", "api_key": "abc", "max_tokens": 5})
    {'note': 'key [key]', 'api_key': '***', 'max_tokens': 5}
    """
    if not value or isinstance(value, int | float):
        return value  # most fields of a record; finding the secrets takes longer than writing it
    secrets = sorted(set(_secret_values()), key=len, reverse=True)
    shown: Json = _masked(value, secrets, names)
    return shown


def _masked(value: Any, secrets: Sequence[str], names: bool) -> Any:
    if isinstance(value, str):
        return _masked_text(value, secrets)
    if isinstance(value, Mapping):
        return {
            _masked(name, secrets, names): _hidden(item)
            if names and isinstance(name, str) and is_secret_name(name)
            else _masked(item, secrets, names)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(item, secrets, names) for item in value]
    return value


def _hidden(value: Any) -> Any:
    """Returns what stands in the place of a value under the name of a secret: a count or a switch is none."""
    if isinstance(value, Mapping):
        return {name: _hidden(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item) for item in value]
    harmless = value is None or value == "" or isinstance(value, bool | float)
    return value if harmless or (isinstance(value, int) and abs(value) < 10**5) else _HIDDEN


def _masked_text(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, KEY)
    text = _LOOKS.sub(KEY, without_queries(text))
    if "=" in text or ":" in text:
        text = _NAMED.sub(_named, text)
        text = _HEADER.sub(lambda found: f"{found['name']}{found['sign']}{KEY}", text)
    return text


def without_queries(text: str) -> str:
    """Returns the text with its URLs, without their users, passwords and values of queries: a signed URL is a key.

    >>> without_queries("see https://host/a.jpg?X-Signature=abc")
    'see https://host/a.jpg?X-Signature=***'
    """
    if "://" not in text:
        return text
    return _URL.sub(lambda found: found["scheme"] + _masked_address(found["rest"]), text)


def _named(found: re.Match[str]) -> str:
    # `KEY=VALUE` is how help writes an option, and `key` alone is a word of its own in JSON
    name, value = found["name"], found["value"]
    if name.lower() == "key" or not is_secret_name(name) or value.startswith((KEY, _HIDDEN)) or value.isdecimal():
        return found[0]
    return f"{name}{found['sign']}{_HIDDEN}"


def _masked_address(rest: str) -> str:
    """Returns what follows `https://`, without user and password, and without the values of its query."""
    place, mark, query = rest.partition("?")
    host, slash, path = place.partition("/")
    if "@" in host:
        host = f"{_HIDDEN}@{host.rpartition('@')[2]}"
    return f"{host}{slash}{path}{mark}{_masked_query(query, lambda name: name not in _PLAIN)}"


def _masked_query(query: str, hidden: Callable[[str], bool]) -> str:
    pairs = [pair.partition("=") for pair in query.split("&")]
    return "&".join(f"{name}={_HIDDEN if hidden(name) else value}" if equals else name for name, equals, value in pairs)


_RANDOM = re.compile(
    r"(?=[^\W_]*\d)(?=\d*[^\W\d_])[^\W_]{16,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII
)
"""A word that somebody drew: letters and digits without a break, or a UUID. Names of models have shorter words."""


def remember_address(url: str) -> None:
    """Has whatever may be a secret in the address of a service masked from now on, in its path too."""
    place, _, query = url.partition("://")[2].partition("?")
    user, at, _ = place.partition("/")[0].rpartition("@")
    for part in user.split(":") if at else ():
        remember_secret(unquote(part))
    for part in place.split("/")[1:]:
        if _RANDOM.search(unquote(part)):
            remember_secret(unquote(part))
    for name, _, value in (pair.partition("=") for pair in query.split("&")):
        if is_secret_name(name) or len(value) >= 12 or re.search(r"[A-Z].*\d|\d.*[A-Z]", value):
            remember_secret(unquote(value))


_FLAG = re.compile(r"--?[A-Za-z][\w.-]*")
_PLACE = re.compile(r"\{\w+\}")


def masked_arguments(arguments: Sequence[str]) -> list[str]:
    """Returns a command line without its secrets, and has their values masked from now on.

    Of `command:PROGRAM …` only the program, the names of flags, files, numbers and placeholders stay.

    >>> masked_arguments(["run", "--param", "api_key=abc", "--token", "abc", "--seed", "1"])
    ['run', '--param', 'api_key=***', '--token', '***', '--seed', '1']
    """
    shown: list[str] = []
    hide = False
    for argument in arguments:
        if hide and not argument.startswith("--"):
            remember_secret(argument)
            shown.append(_HIDDEN)
        else:
            shown.append(masked(_argument(argument)))
        hide = _FLAG.fullmatch(argument) is not None and is_secret_name(argument)
    return shown


def without_keys(words: Sequence[str]) -> list[str]:
    """Returns words of a command line, or queries of URLs, without what is a secret by its name or look.

    The same for every key and in every environment, so that a hash of them stays when a key changes.

    >>> without_keys(["--token", "abc", "--steps", "5", "size=2&api_key=abc"])
    ['--token', '***', '--steps', '5', 'size=2&api_key=***']
    """
    hidden = [False, *(_FLAG.fullmatch(word) is not None and is_secret_name(word) for word in words)]
    return [
        _HIDDEN if hide else _LOOKS.sub(KEY, _masked_query(word, is_secret_name))
        for hide, word in zip(hidden, words, strict=False)
    ]


def _argument(argument: str) -> str:
    if argument.startswith("command:"):
        try:
            words = shlex.split(argument)
        except ValueError:
            return f"command:{_HIDDEN}"
        return " ".join([words[0], *(_word(word, before) for before, word in pairwise(words))]) if words else argument
    for url in _URL.finditer(argument):
        remember_address(url[0])
    name, equals, value = argument.partition("=")
    if not equals or "://" in name:
        return argument
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        inner = value
    if is_secret_name(name) and _hidden(inner) != inner:
        remember_secret(value)
        return f"{name}={_HIDDEN}"
    if isinstance(inner, dict | list):
        _remember_named(inner)
        return f"{name}={json.dumps(masked(inner), ensure_ascii=False)}"
    return argument


def _word(word: str, before: str) -> str:
    """Returns one argument of a program, hidden unless it can be no secret."""
    if word == _PLACE.sub("", word) and not _exists(word):
        name, equals, value = word.partition("=")
        if _FLAG.fullmatch(word):
            return word
        if not (value or word).isdecimal() or len(value or word) >= _SHORTEST:
            if is_secret_name(name if equals else before) or len(value or word) >= 12:
                remember_secret(value or word)
            return f"{name}={_HIDDEN}" if equals and re.fullmatch(r"[\w.-]+", name) else _HIDDEN
    return word


def _remember_named(value: Any) -> None:
    if isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str) and is_secret_name(str(name)):
                remember_secret(item)
            _remember_named(item)
    elif isinstance(value, list):
        for item in value:
            _remember_named(item)


def refuse_secrets(values: Mapping[str, Any], kind: str) -> None:
    """Checks that no name and no value, at any depth, is a secret.

    Raises:
        InvalidDataError: One is; its value is masked from now on. The message calls it by `kind`, such as `param`.
    """
    for name, item in values.items():
        if masked({name: item}) != {name: item}:
            _remember_named({name: item})
            raise InvalidDataError(
                f"{kind} {name!r} looks like a secret, and it would be written to disk; give it in an environment "
                "variable"
            )


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}")
_HALF = re.compile("[\ud800-\udfff]")
# escape codes, line breaks of Unicode, and what turns the direction of the text around it
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def clean(value: Json) -> Json:
    r"""Returns foreign text, or JSON with such texts, as it can be kept: no half character, escape code or address.

    Line breaks and tabs stay. A memory address differs from run to run and says nothing.

    >>> clean("<object at 0x7f00aa11> said \x9b1m!")
    '<object> said  1m!'
    """
    cleaned: Json = _each_text(value, lambda text: _CONTROL.sub(" ", _HALF.sub("\ufffd", _ADDRESS.sub("", text))))
    return cleaned


def whole(value: Json) -> Json:
    """Returns JSON whose texts hold no half character (a lone surrogate), which no file can hold."""
    replaced: Json = _each_text(value, lambda text: _HALF.sub("\ufffd", text))
    return replaced


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_each_text(name, change): _each_text(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each_text(item, change) for item in value]
    return value


def printable(text: str) -> str:
    """Returns the text without escape sequences or line breaks: a name must not write on the terminal what it likes."""
    return "".join(one if one.isprintable() else " " for one in text)


def shown(text: str) -> str:
    """Returns a text of several lines as the command prints it: no secret, escape code or half character.

    In JSON a control character stays what it is, written as JSON writes it.
    """
    as_json = text.lstrip()[:1] in ("{", "[")
    text = _HALF.sub("\ufffd", masked(text))
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}" if as_json else " ", text)
