"""What leaves the process: no secret, whatever its name or form, no escape code, no half character."""

from __future__ import annotations

import base64
import html
import json
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from fashionedit.errors import InvalidDataError
from fashionedit.runtime.http_clients import check_url
from fashionedit.runtime.progress import Bar
from fashionedit.runtime.secrets import (
    clean,
    is_secret_name,
    masked,
    masked_arguments,
    printable,
    refuse_secrets,
    remember_address,
    remember_secret,
    secret_variables,
    shown,
    whole,
)

SECRET = 'Tr0ub4dor&3/"quoted"\\é'


def test_a_name_is_a_secrets_by_any_of_its_parts() -> None:
    names = (
        "openai_api_key OPENAI_KEY KEY_OF_SERVICE X-Auth-Token apiKey APIKey apikey dbPassword hftoken HF_TOKEN TOKEN2 "
        "AWS_ACCESS_KEY_ID client_secret MY_PASSWD Authorization Set-Cookie basic_auth access.token openaikey "
        "passphrase api_keys GOOGLE_APPLICATION_CREDENTIALS token key"
    )
    assert [name for name in names.split() if not is_secret_name(name)] == []


def test_a_name_that_only_sounds_like_a_secrets_is_none() -> None:
    names = (
        "max_tokens max_new_tokens TOKENIZERS_PARALLELISM keyframes key_frames key_points negative_prompt tokens "
        "keywords author monkey strength secretary steps token_count key_light HF_TOKEN_PATH"
    )
    assert [name for name in names.split() if is_secret_name(name)] == []


def test_the_value_of_a_secret_variable_is_masked_however_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_SERVICE_PASSWORD", SECRET)
    for form in (SECRET, json.dumps(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), html.escape(SECRET)):
        assert "ub4dor" not in masked(f"refused: {form} is no key")
    assert masked({"a": [{"b": SECRET}], SECRET: 1}) == {"a": [{"b": "[key]"}], "[key]": 1}


def test_each_long_line_of_a_secret_is_masked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_KEY", "first-line-of-a-certificate\nsecond-line-of-a-certificate")
    assert masked("said second-line-of-a-certificate") == "said [key]"


def test_placeholders_short_words_and_files_are_no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"A_KEY": "EMPTY", "B_KEY": "none", "C_TOKEN": str(tmp_path), "SEED": "123456789"}.items():
        monkeypatch.setenv(name, value)
    assert not {"A_KEY", "B_KEY", "C_TOKEN", "SEED"} & set(secret_variables())


@pytest.mark.parametrize(
    "text",
    [
        "key sk-proj-abcDEF123456SECRETPART",
        "hf_abcdefSECRETPART",
        "Authorization: Bearer abcSECRETPART",
        "header Authorization: Basic " + base64.b64encode(b"me:SECRETPART1").decode(),
        "x-api-key: 1SECRETPART",
        "{'api_key': 'SECRETPART'}",
        '{"password": "SECRETPART"}',
        r"{\"password\": \"SECRETPART\"}",
        "password=SECRETPART",
        "https://me:SECRETPART@host/path",
        "https://SECRETPART@host/path",
        "see https://host/file?sig=SECRETPART&part=SECRETPART",
        "AKIA0123SECRETPART89",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SECRETPART",
        "-----BEGIN RSA PRIVATE KEY-----\nSECRETPART\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    hidden = base64.b64encode(b"me:SECRETPART1").decode()
    assert "SECRETPART" not in masked(text)
    assert hidden not in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "a basic crewneck with a key-hole neckline and sketchy lines",
        "write KEY=VALUE, for example --param strength=0.7",
        "from huggingface_hub import hf_hub_download",
        "https://host/v1?api-version=2024-05-01&seed=3",
        "the key 0123456789abcdef0123456789abcdef of a record",
        '{"key": "0123456789abcdef", "max_tokens": "4096", "tokens": 12}',
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert masked(text) == text


def test_json_hides_values_under_secret_names_and_keeps_counts() -> None:
    value = {"extra": {"api_key": "x", "token": {"a": ["b", 1]}, "num_token": 77}, "auth": None, "steps": 28}
    hidden = {"extra": {"api_key": "***", "token": {"a": ["***", 1]}, "num_token": 77}, "auth": None, "steps": 28}
    assert masked(value) == hidden
    assert masked({"token": "next-page"}, names=False) == {"token": "next-page"}


def test_masking_twice_changes_nothing() -> None:
    once = masked("password=abcdefgh https://a:b@c/?d=e sk-abcdefgh1 Authorization: Bearer xyzxyzxyz")
    assert masked(once) == once


def test_a_hostile_text_is_masked_in_no_time() -> None:
    start = time.process_time()
    for text in ("x" * 10**5 + "=", "key-" * 10**4 + "=", "a.-" * 10**4 + "=://", "eyJ" * 10**4, "-" * 10**5):
        masked(text)
    assert time.process_time() - start < 5


def test_secrets_on_the_command_line_are_masked_and_the_rest_is_kept() -> None:
    arguments = ["--param", "max_tokens=5", "--hf-token=abc", "password=abc", "--api-key", "abc", "x"]
    assert masked_arguments(arguments) == [
        "--param",
        "max_tokens=5",
        "--hf-token=***",
        "password=***",
        "--api-key",
        "***",
        "x",
    ]


@pytest.mark.parametrize(
    "argument",
    [
        'extra={"deep": [{"openai_api_key": "hidden-value"}]}',
        'inputs=[1, {"token": "hidden-value"}]',
        "http://me:hidden-value@host/v1?a=hidden-value",
        "space:https://host/?session=hidden-value",
        "command:/bin/edit --token hidden-value -k=hidden-value hidden-value {base} 'hidden-value x'",
        "command:env KEY=hidden-value edit",
        "command:'unclosed hidden-value",
    ],
)
def test_a_secret_inside_an_argument_is_masked_there_and_from_then_on(argument: str) -> None:
    assert "hidden-value" not in " ".join(masked_arguments(["run", argument]))
    if "unclosed" not in argument:
        assert "hidden-value" not in masked("the server said: hidden-value is wrong")


def test_a_secret_that_was_remembered_is_masked() -> None:
    remember_secret("swordfish-of-this-test")
    assert masked("it said swordfish-of-this-test") == "it said [key]"


@pytest.mark.parametrize(
    "params",
    [
        {"openai_api_key": "x"},
        {"a": {"b": [{"password": "x"}]}},
        {"note": "sk-abcdefgh12345678"},
        {"url": "https://a:b@c/"},
    ],
)
def test_params_that_hold_a_secret_are_refused_without_showing_it(params: dict[str, object]) -> None:
    with pytest.raises(InvalidDataError, match="looks like a secret") as caught:
        refuse_secrets(params, "param")
    assert "sk-abc" not in str(caught.value)


def test_params_about_tokens_are_no_secrets() -> None:
    refuse_secrets({"max_new_tokens": 512, "negative_prompt": "a key-shaped button", "eta": 0.5, "t": None}, "param")


def test_foreign_text_is_cleaned_where_it_enters() -> None:
    text = "\x1b[2J\x9b31mred\u202e \ud83d <Thing object at 0x7f3c5d2a1b90>\r\nnext\tline\u00a0\u3000👩\u200d🎨"
    assert clean(text) == " [2J 31mred  \ufffd <Thing object> \nnext\tline\u00a0\u3000👩\u200d🎨"
    assert clean({"\ud83d": ["\x9b", 1, None]}) == {"\ufffd": [" ", 1, None]}
    assert whole({"state": ["\ud83d\x9b at 0x7f3c5d2a1b90"]}) == {"state": ["\ufffd\x9b at 0x7f3c5d2a1b90"]}


def test_no_escape_code_gets_to_a_terminal_and_json_stays_json() -> None:
    assert shown("a\x9b31m\x1b[0m\nb\ud83d") == "a 31m [0m\nb\ufffd"
    text = shown(json.dumps({"name": "a\x9b31m"}, ensure_ascii=False))
    assert text.isprintable()
    assert json.loads(text) == {"name": "a\x9b31m"}
    assert printable("a\nb") == "a b"


@pytest.mark.parametrize(
    "url",
    [
        "http://h:port/v1",
        "http://[::1/v1",
        "http://h:99999/",
        "http://h:0/",
        "ftp://h/",
        "h:80",
        "http:///v1",
        "",
        "http://a b/",
        "http://h\x1b/",
        "http://\u00e9\udcff/",
        "http://h\u009b/",
    ],
)
def test_an_address_that_no_service_can_have_is_refused(url: str) -> None:
    with pytest.raises(InvalidDataError, match="is no address") as caught:
        check_url(url, "base URL")
    assert str(caught.value).isprintable()


def test_the_title_of_a_progress_bar_is_masked_and_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOY_PASSWORD", SECRET)
    with Bar(f"run \x1b[2J{SECRET}\nnext", "round") as bar:
        bar.at(1, 2)
    said = capsys.readouterr().err
    assert "[key]" in said
    assert SECRET not in said
    assert "\x1b[2J" not in said


@pytest.mark.parametrize("part", ["tok_4fQz81LmPw03XvKd", "0f3a9c1e7b5d2846", "9b2f1c7e-3d4a-4b5c-8d6e-7f8091a2b3c4"])
def test_a_secret_in_the_path_of_a_services_address_is_masked_everywhere(part: str) -> None:
    url = f"https://gateway.example/v1/{part}/edits"
    assert part not in " ".join(masked_arguments(["run", f"http:{url}", "--base-url", url]))
    remember_address(url)
    assert masked({"error": f"POST /v1/{part}/edits failed"}) == {"error": "POST /v1/[key]/edits failed"}


def test_the_name_of_a_model_in_an_address_stays() -> None:
    url = "https://host.example/v1/models/stable-diffusion-xl-base-1.0/gpt-image-2.6-sunburst/2024-05-01-preview"
    remember_address(url)
    assert masked(url) == url
