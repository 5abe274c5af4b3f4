"""The rules of every HTTP client, with httpx2 and with httpx, against servers on loopback that break them."""

from __future__ import annotations

import base64
import gzip
import io
import ipaddress
import textwrap
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import httpx2
import pytest
from json_service import Asked, JsonService, Reply
from PIL import Image

from fashionedit.errors import InvalidDataError, InvalidImageError, ServiceError
from fashionedit.images import png_bytes
from fashionedit.runtime import http_clients
from fashionedit.runtime.http_clients import (
    auth_hook,
    check_address,
    connection_failure,
    fetch,
    json_object,
    open_client,
    picture_bytes,
    picture_text,
    proxy_of,
    token_counts,
)

PICTURE = png_bytes(Image.effect_noise((40, 30), 60).convert("RGB"))
Answer = Callable[[str, str], tuple[int, Mapping[str, str], bytes]]
OPENAI = "https://api.openai.com/v1"


@contextmanager
def served(answer: Answer, drip: float = 0.0) -> Iterator[tuple[str, list[Asked]]]:
    """Yields a server's address and what it was asked; `answer` is given method and path."""

    def reply(asked: Asked) -> Reply:
        status, headers, body = answer(asked.method, asked.path)
        return Reply(status, body, headers)

    with JsonService(reply, drip=drip) as service:
        yield service.url, service.asked


def lowered(asked: Asked) -> dict[str, str]:
    return {name.lower(): value for name, value in asked.headers.items()}


def _by_httpx2(url: str, path: str = "/") -> Any:
    with open_client(httpx2.Client, url) as client:
        return client.post(f"{url}{path}", content=b"a picture")


def _by_functions(url: str, path: str = "/") -> Any:
    return httpx.post(f"{url}{path}", content=b"a picture", auth=auth_hook("httpx", url))


POSTS = [pytest.param(_by_httpx2, id="httpx2 client"), pytest.param(_by_functions, id="httpx functions")]


@pytest.mark.parametrize("post", POSTS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_pictures_are_not_sent_to_where_a_redirect_points(post: Callable[..., Any], status: int) -> None:
    with served(lambda method, path: (200, {}, b"{}")) as (elsewhere, stolen):

        def away(method: str, path: str) -> Any:
            return status, {"Location": f"{elsewhere}/steal?key=abc"}, b""

        with served(away) as (url, _), pytest.raises(ServiceError) as caught:
            post(url)
    assert f"{url} answered {status}: it points to {elsewhere}/steal" in str(caught.value)
    assert "abc" not in str(caught.value)
    assert not stolen


def test_a_client_that_follows_redirects_does_not_follow_them_with_a_body_either() -> None:
    with (
        served(lambda method, path: (200, {}, b"{}")) as (elsewhere, stolen),
        served(lambda method, path: (308, {"Location": elsewhere}, b"")) as (url, _),
        open_client(httpx2.Client, url, follow_redirects=True) as client,
        pytest.raises(ServiceError),
    ):
        client.post(url, content=b"a picture")
    assert not stolen


@pytest.mark.parametrize("post", POSTS)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip"])
def test_an_answer_is_unpacked_no_further_than_the_limit(
    post: Callable[..., Any], encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_clients, "MOST_ANSWER_BYTES", 2**20)
    bomb = b"\0" * 2**28
    pack = zlib.compress if encoding == "deflate" else gzip.compress
    body = pack(bomb, 6) if "," not in encoding else gzip.compress(gzip.compress(bomb))
    del bomb
    with served(lambda method, path: (200, {"Content-Encoding": encoding}, body)) as (url, _):
        tracemalloc.start()
        try:
            with pytest.raises(InvalidDataError, match="above 1 MiB"):
                post(url)
            assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("post", POSTS)
def test_packed_answers_are_read_whole(post: Callable[..., Any]) -> None:
    text = b"a picture in base64 " * 20_000
    members = gzip.compress(text[:1000]) + gzip.compress(text[1000:])
    packed = {"/gzip": ("gzip", members), "/deflate": ("deflate", zlib.compress(text)), "/plain": ("identity", text)}

    def answer(method: str, path: str) -> Any:
        encoding, body = packed[path]
        return 200, {"Content-Encoding": encoding}, body

    with served(answer) as (url, asked):
        assert all(post(url, path).content == text for path in packed)
    assert {headers["accept-encoding"] for headers in map(lowered, asked)} == {"gzip, deflate"}


@pytest.mark.parametrize(
    ("encoding", "body", "error"),
    [
        ("gzip", gzip.compress(b"x" * 5000)[:-12], ConnectionError),
        ("gzip", b"no gzip at all", ConnectionError),
        ("br", b"whatever", InvalidDataError),
        ("zstd", b"whatever", InvalidDataError),
    ],
    ids=("cut short", "not packed", "br", "zstd"),  # two workers must name them alike, and gzip writes the time
)
def test_what_can_not_be_unpacked_is_an_error_that_says_so(encoding: str, body: bytes, error: type[Exception]) -> None:
    with served(lambda method, path: (200, {"Content-Encoding": encoding}, body)) as (url, _), pytest.raises(error):
        _by_httpx2(url)


def test_of_an_error_a_mebibyte_is_read() -> None:
    with served(lambda method, path: (500, {"Content-Encoding": "gzip"}, gzip.compress(b"<" * 2**26))) as (url, _):
        response = _by_httpx2(url)
    assert response.status_code == 500
    assert len(response.content) <= 2**20


def test_a_body_that_drips_ends_with_the_time_that_an_answer_may_take() -> None:
    with (
        served(lambda method, path: (200, {}, b"x" * 1000), drip=0.05) as (url, _),
        open_client(httpx2.Client, url, seconds=0.3, timeout=5) as client,
        pytest.raises(httpx2.ReadTimeout),
    ):
        client.get(url)


def _with_proxy(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_past_the_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(lambda method, path: (502, {}, b"by the proxy")) as (proxy, through):
        _with_proxy(monkeypatch, proxy)
        with served(lambda method, path: (200, {}, b"{}")) as (url, _):
            assert _by_httpx2(url.replace("127.0.0.1", host)).status_code == 200
            assert proxy_of(url) is None
    assert not through


def test_other_hosts_are_reached_through_the_proxy_and_a_failure_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(lambda method, path: (200, {}, b"{}")) as (proxy, through):
        _with_proxy(monkeypatch, proxy.replace("http://", "http://me:my-word@"))
        assert _by_httpx2("http://service.example").status_code == 200
        assert through[0].path == "http://service.example/"
    with pytest.raises(httpx2.ConnectError) as caught:
        _by_httpx2("http://service.example")
    said = connection_failure(caught.value, "http://service.example/v1")
    assert said.endswith(f"through the proxy {proxy}")
    assert "my-word" not in said


def test_what_no_proxy_names_is_reached_past_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_proxy(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "service.example")
    assert proxy_of("http://api.service.example/v1") is None
    assert proxy_of("http://other.example/v1") == "http://127.0.0.1:9"


@pytest.mark.parametrize("proxy", ["socks9://127.0.0.1:1", "http://[::1"])
def test_a_proxy_that_can_not_be_used_is_one_sentence(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_proxy(monkeypatch, proxy)
    with pytest.raises(ServiceError, match="a proxy of the environment can't be used"):
        open_client(httpx2.Client, OPENAI)


@pytest.mark.parametrize(
    "link",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.png",
        "http://127.0.0.1/a.png",
        "http://localhost:8000/a.png",
        "http://[::1]/a.png",
        "http://0.0.0.0/a.png",
        "http://2130706433/a.png",
        "http://0x7f.1/a.png",
        "http://10.1.2.3/a.png",
        "http://192.168.0.1/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/a.png",
        "http://[fd00::1]/a.png",
        "http:///a.png",
        "https://user:word@/a.png",
    ],
)
def test_a_public_service_can_not_point_into_this_network(link: str) -> None:
    with pytest.raises(InvalidImageError, match="the answer points to"):
        check_address(link, service=OPENAI)
    with pytest.raises(InvalidImageError):
        fetch(link, service=OPENAI, seconds=1)


def test_a_service_may_point_to_where_it_is_itself() -> None:
    check_address("http://localhost:1/a.png", service="http://127.0.0.1:8000/v1")
    check_address("http://10.1.2.3:9000/a.png", service="http://10.1.2.3/v1")
    with pytest.raises(InvalidImageError, match="private address"):
        check_address("http://10.1.2.3/a.png", service="http://127.0.0.1:8000/v1")
    with pytest.raises(InvalidImageError, match="not opened here"):
        check_address("https://93.184.215.14/a.png", service="")


def test_a_link_is_fetched_without_keys_and_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")
    busy = [503, 200]

    def answer(method: str, path: str) -> Any:
        if path == "/moved":
            return 302, {"Location": "/a.png"}, b""
        if path == "/to-a-file":
            return 302, {"Location": "file:///etc/passwd"}, b""
        if path == "/inside":
            return 302, {"Location": "http://169.254.169.254/a.png"}, b""
        if path == "/round":
            return 302, {"Location": "/round"}, b""
        if path == "/large":
            return 200, {}, b"x" * 5000
        return (busy.pop(0) if path == "/busy" else 404 if path == "/gone" else 200), {}, PICTURE

    with served(answer) as (url, asked):
        for path in ("/a.png", "/moved", "/busy"):
            assert fetch(url + path, service=f"{url}/v1", seconds=5) == PICTURE
        assert fetch("images/a.png", service=f"{url}/v1", seconds=5) == PICTURE
        for path in ("/inside", "/round", "/gone"):
            with pytest.raises(InvalidImageError):
                fetch(url + path, service=url, seconds=5)
        with pytest.raises((InvalidImageError, OSError)):
            fetch(url + "/to-a-file", service=url, seconds=5)
        monkeypatch.setattr(http_clients, "MOST_PICTURE_BYTES", 4000)
        with pytest.raises(InvalidImageError, match="is above"):
            fetch(url + "/large", service=url, seconds=5)
    assert not any({"authorization", "cookie"} & lowered(one).keys() for one in asked)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_base64_is_read_in_all_its_spellings(kind: str) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((40, 30), 60).convert("RGB").save(buffer, kind)
    data = buffer.getvalue()
    text = base64.b64encode(data).decode()
    spellings = [
        text,
        text.rstrip("="),
        "\r\n".join(textwrap.wrap(text, 76)) + "\n",
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        f"data:image/png;base64,{text}",
        f"DATA:image/jpeg;charset=x;BASE64,{text.replace('+', '%2B').replace('=', '%3D')}",
    ]
    for spelling in spellings:
        assert picture_bytes(spelling, service=OPENAI, seconds=1) == data
    for wrong in ("%%%", "data:image/svg+xml,<svg/>", "a.b", text[:9] + "!" + text[9:]):
        with pytest.raises(InvalidImageError):
            picture_bytes(wrong, service=OPENAI, seconds=1)


def test_a_picture_is_found_under_each_name_that_services_use() -> None:
    assert picture_text({"b64_json": "", "url": "https://a/b"}) == "https://a/b"
    assert picture_text({"b64_json": None, "image_url": {"url": "data:,"}}) == "data:,"
    assert picture_text("aGk=") == "aGk="
    assert picture_text({"b64_json": 7}) is picture_text([]) is picture_text(None) is picture_text("") is None


def test_an_answer_is_a_json_object_without_half_characters() -> None:
    assert json_object(b'{"a": ["\\ud83d", "\\u00e9"]}') == {"a": ["\ufffd", "é"]}
    for body in (b"", b"[1]", b"<html>", b'{"a": NaN}', b"[" * 10_000, b'{"a"'):
        with pytest.raises(InvalidDataError):
            json_object(body)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (None, {}),
        ({"input_tokens": None, "output_tokens": None, "total_tokens": 0}, {}),
        ({"prompt_tokens": 3, "completion_tokens": 4}, {"input_tokens": 3, "output_tokens": 4}),
        ({"input_tokens": 3.0, "output_tokens": "4"}, {"input_tokens": 3}),
        ({"input_tokens": -1, "output_tokens": True}, {}),
        (
            {"input_tokens": 9, "input_tokens_details": {"image_tokens": 5, "cached_tokens": None}},
            {"input_tokens": 9, "input_image_tokens": 5},
        ),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 2}}, {"input_tokens": 9, "cached_tokens": 2}),
    ],
)
def test_token_counts_are_read_under_both_names_and_left_out_where_there_are_none(
    usage: Any, counts: dict[str, int]
) -> None:
    assert token_counts(usage) == counts


class _Stream:
    def __init__(self, address: str) -> None:
        self._address = address

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return self._address, 443


def test_a_name_that_leads_into_this_network_once_it_is_connected_to_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_clients, "_addresses", lambda host: [ipaddress.ip_address("93.184.215.14")])

    def connected_to(address: str) -> Any:
        def answer(request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, content=PICTURE, extensions={"network_stream": _Stream(address)})

        with open_client(httpx2.Client, OPENAI, transport=httpx2.MockTransport(answer)) as client:
            return client.get("https://pictures.example/a.png").content

    assert connected_to("93.184.215.14") == PICTURE
    with pytest.raises(InvalidImageError, match=r"led to the private address 10\.0\.0\.7; what it says is not read"):
        connected_to("10.0.0.7")


def test_behind_a_proxy_names_are_the_proxy_s_to_look_up_and_numbers_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_proxy(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setattr(http_clients, "_addresses", None)  # no name is looked up here
    check_address("http://only.the.proxy.knows/a.png", service="http://service.example")
    monkeypatch.undo()
    _with_proxy(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(InvalidImageError, match="private address"):
        check_address("http://10.1.2.3/a.png", service="http://service.example")


def test_a_link_that_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidImageError, match="which is no picture on the web"):
        check_address("http://[::1/a.png", service=OPENAI)


def test_a_picture_above_the_limit_is_refused_before_and_after_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_clients, "MOST_PICTURE_BYTES", 2000)
    for size in (2100, 4000):
        with pytest.raises(InvalidImageError, match="the answer's image is above"):
            picture_bytes(base64.b64encode(bytes(size)).decode(), service=OPENAI, seconds=1)
