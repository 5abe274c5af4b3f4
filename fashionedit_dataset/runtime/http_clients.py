"""The rules that every HTTP client keeps (httpx, httpx2, or what builds on them), and the reading of answers.

An answer's body holds a JSON object, a picture in one of the ways services send them, and token counts.

- An answer is read in pieces, and never more than `MOST_ANSWER_BYTES` of it, counted after unpacking.
- A request with a body is not sent on to where a redirect points: pictures and prompts go to the given address alone.
- Proxies of the environment are used, except for this machine itself, and a failed connection names the proxy.
- A link in an answer is fetched only over http(s), and only from public addresses or from where the service itself is.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import socket
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from fashionedit.errors import InvalidDataError, InvalidImageError, ServiceError

from .failures import Failure, Problem, one_line, problem_of
from .secrets import masked, printable, whole

if TYPE_CHECKING:
    import httpx2


MOST_PICTURE_BYTES = 128 * 2**20
"""The largest picture that is read; a 4096² PNG of noise has half of it."""

MOST_ANSWER_BYTES = MOST_PICTURE_BYTES * 4 // 3 + 2**20
"""The longest answer that is read: the largest picture in base64, and a MiB for the rest."""

MOST_SECONDS = 7 * 24 * 3600
"""The longest timeout, s: no call takes a week, and clocks overflow at far more."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_MOST_OF_AN_ERROR = 2**20
_CHUNK = 2**16
_ENCODINGS = "gzip, deflate"
_FETCH_TRIES = 3
_PACKAGES = ("httpx", "httpx2", "httpcore", "httpcore2")
_LOOPBACK = ("localhost", "*.localhost", "127.0.0.1", "[::1]")


def client_options(url: str, *, seconds: float | None = None) -> dict[str, Any]:
    """Returns the arguments of an `httpx` or `httpx2` client that keeps the rules.

    Args:
        url: Where the service is.
        seconds: How long the body of one answer may take; None does not watch it.
    """
    host = _host(url) if ":" not in _host(url) else f"[{_host(url)}]"
    return {
        "follow_redirects": False,
        "event_hooks": _hooks(url, seconds),
        "mounts": {f"all://{name}": None for name in (*_LOOPBACK, *([host] if is_loopback(host) else []))},
    }


def open_client(client_class: Any, url: str, *, seconds: float | None = None, **options: Any) -> Any:
    """Returns a client that keeps the rules, to be closed; `options` are further arguments of its class, which win.

    Raises:
        ServiceError: A proxy of the environment can't be used.
    """
    try:
        return client_class(**client_options(url, seconds=seconds) | options)
    except (ImportError, ValueError) as error:
        raise _unusable_proxy(error) from error
    except Exception as error:
        if type(error).__name__ != "InvalidURL":  # no ValueError in either library
            raise
        raise _unusable_proxy(error) from error


def auth_hook(package: str, url: str) -> Any:
    """Returns an `auth` for functions such as `httpx.get` that takes no hooks, so that they keep the rules as well."""
    base: Any = import_module(package).Auth
    rules = _hooks(url, None)

    class Rules(base):  # type: ignore[misc]  # the base is one of two packages' classes
        def auth_flow(self, request: Any) -> Generator[Any, Any]:
            for hook in rules["request"]:
                hook(request)
            response = yield request
            for hook in rules["response"]:
                hook(response)

    return Rules()


def _hooks(url: str, seconds: float | None) -> dict[str, list[Any]]:
    home = _host(url)

    def before(request: Any) -> None:
        request.headers["Accept-Encoding"] = _ENCODINGS
        if request.url.host != home:  # a link in an answer, or where one points
            check_address(str(request.url), service=url)

    def after(response: Any) -> None:
        request = response.request
        if request.url.host != home and not proxy_of(str(request.url)):
            _check_peer(response, url)
        if response.has_redirect_location and request.method not in ("GET", "HEAD"):
            raise ServiceError(
                f"{place_of(url)} answered {response.status_code}: it points to {_origin(response)}, and pictures are "
                "not sent on; give the address where requests are answered"
            )
        limit = MOST_ANSWER_BYTES if response.is_success else _MOST_OF_AN_ERROR
        _bound(response, limit, seconds, strict=response.is_success)

    return {"request": [before], "response": [after]}


def _origin(response: Any) -> str:
    return one_line(place_of(urljoin(str(response.request.url), response.headers.get("location", ""))))


def _bound(response: Any, limit: int, seconds: float | None, *, strict: bool) -> None:
    """Has the answer's body read in pieces up to a limit, unpacked by us: the libraries unpack without one.

    Where it is `strict`, a longer body is an error; otherwise it is cut.
    """
    package = type(response).__module__.partition(".")[0]
    chunks = iter(response.stream)
    for encoding in reversed(response.headers.pop("content-encoding", "").lower().replace(" ", "").split(",")):
        if encoding in ("gzip", "x-gzip", "deflate"):
            chunks = _unpacked(chunks)
        elif encoding not in ("", "identity"):
            raise InvalidDataError(f"the answer is packed as {one_line(encoding)}, which was not asked for")
    deadline = None if seconds is None else time.monotonic() + seconds

    def pieces() -> Iterator[bytes]:
        read = 0
        for chunk in chunks:
            read += len(chunk)
            if read > limit and strict:
                raise InvalidDataError(f"the answer is above {limit // 2**20} MiB; ask for a smaller picture")
            if read > limit:
                return
            yield chunk
            if deadline is not None and time.monotonic() > deadline:
                raise import_module(package).ReadTimeout(f"the answer was not complete within {seconds:g} s")

    response.stream = _stream_class(package)(pieces(), response.stream.close)


@cache
def _stream_class(package: str) -> Any:
    base: Any = import_module(package).SyncByteStream

    class BoundedStream(base):  # type: ignore[misc]  # the base is one of two packages' classes
        def __init__(self, pieces: Iterator[bytes], close: Callable[[], None]) -> None:
            self._pieces, self.close = pieces, close

        def __iter__(self) -> Iterator[bytes]:
            return self._pieces

    return BoundedStream


def _unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yields what gzip or zlib data unpack to, 64 KiB at a time."""
    unpacker, started = zlib.decompressobj(zlib.MAX_WBITS | 32), False  # 32: tells the two apart by their first bytes
    try:
        for chunk in chunks:
            while chunk:
                started = True
                if unpacker.eof:
                    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip may have several members
                yield unpacker.decompress(chunk, _CHUNK)
                chunk = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        while not unpacker.eof and (rest := unpacker.decompress(b"", _CHUNK)):
            yield rest
    except zlib.error as error:
        raise ConnectionError(f"the answer can't be unpacked ({error})") from None
    if started and not unpacker.eof:
        raise ConnectionError("the answer was cut short")


def is_loopback(host: str) -> bool:
    """Returns whether a host is this machine by its very name."""
    host = host.strip("[]")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_of(url: str) -> str | None:
    """Returns the proxy of the environment that a request to this URL goes through, without its password."""
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    host = _host(url)
    if not proxy or is_loopback(host) or proxy_bypass(host):
        return None
    return place_of(proxy if "://" in proxy else f"http://{proxy}")


def connection_failure(error: BaseException, url: str) -> str:
    """Returns why a connection failed, in a few words that name the proxy, if there is one between."""
    cause = one_line(str(error.__cause__ or error)) or type(error.__cause__ or error).__name__
    proxy = proxy_of(url)
    return f"{cause}, through the proxy {proxy}" if proxy else cause


def call_problem(error: Exception, *, url: str, timeout: float) -> Problem | None:
    """Returns what an exception of httpx, httpx2 or a client that is built on them means; None for any other.

    Raises:
        ServiceError: The answer points elsewhere.
    """
    for raised in (error, error.__cause__):  # what our rules raise, as it is or wrapped, by the client's version
        if isinstance(raised, ServiceError):
            raise raised
        if isinstance(raised, InvalidDataError):
            return Problem(Failure.TOO_LARGE, message=one_line(str(raised)))
    response = getattr(error, "response", None)
    if response is not None and not response.is_success:
        return problem_of(response.status_code, response.content if response.is_stream_consumed else b"")
    kind = type(error).__name__
    if isinstance(error, TimeoutError) or "Timeout" in kind:
        proxy = proxy_of(url)
        through = f", through the proxy {proxy}" if proxy else ""
        return Problem(Failure.TIMEOUT, message=f"within {timeout:g} s{through}")
    package = type(error).__module__.partition(".")[0]
    # Pillow raises an OSError too, one without a number, for a picture that is cut short.
    of_system = isinstance(error, ConnectionError) or (isinstance(error, OSError) and error.errno is not None)
    if of_system or package in _PACKAGES or kind == "APIConnectionError":
        return Problem(Failure.NO_CONNECTION, message=connection_failure(error, url))
    return None


def place_of(url: str) -> str:
    """Returns a URL without what may be secret: user, password, query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    except ValueError:
        return "an address that is none"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def check_url(url: str, name: str) -> None:
    """Checks that the text is the address of a service: `http://HOST[:PORT][/PATH]`, or with https.

    Raises:
        InvalidDataError: It is none; the message calls it by `name` and says what is wrong.
    """
    try:
        parts = urlsplit(url)
        fault = ""
        if parts.scheme not in ("http", "https") or not parts.hostname:
            fault = "it lacks http:// or https:// and a host"
        elif parts.port == 0:
            fault = "its port is 0"
        elif not url.isprintable() or " " in url:
            fault = "it holds a space or a control character"
        else:
            parts.hostname.encode("idna")
    except ValueError as error:
        fault = str(error)
    if fault:
        raise InvalidDataError(
            f"the {name} {printable(url)!r} is no address ({fault}); write http://HOST:PORT/PATH or https://HOST/PATH"
        )


def check_address(url: str, *, service: str) -> None:
    """Checks that a link that a service gave may be opened: http(s), a public address or one of the service's own.

    Raises:
        InvalidImageError: It may not.
    """
    link = one_line(place_of(url))
    try:
        host, scheme = _host(url), urlsplit(url).scheme
    except ValueError:
        host, scheme = "", ""
    if scheme not in ("http", "https") or not host:
        raise InvalidImageError(f"the answer points to {link}, which is no picture on the web; ask for base64 pictures")
    home = _host(service)
    if not home:
        raise InvalidImageError(f"the answer points to {link}, and links are not opened here; give the picture itself")
    if host == home or (is_loopback(host) and is_loopback(home)):
        return
    if proxy_of(url) and not _is_number(host):
        return  # the proxy looks the name up, perhaps it alone can
    if not all(_may_be_opened(address, home) for address in _addresses(host)):
        raise InvalidImageError(f"the answer points to {link}, a private address; it is not opened")


def _check_peer(response: Any, service: str) -> None:
    """A name may have another address by the time it is connected to."""
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if peer and not _may_be_opened(_plain(ipaddress.ip_address(str(peer[0]).partition("%")[0])), _host(service)):
        raise InvalidImageError(f"the answer's link led to the private address {peer[0]}; what it says is not read")


def _may_be_opened(address: _Address, home: str) -> bool:
    return address.is_global or (address.is_loopback and is_loopback(home)) or address in _addresses(home)


def fetch(url: str, *, service: str, seconds: float) -> bytes:
    """Returns the file behind a link that an answer gives in the place of a picture.

    Nothing but the link is sent: no key, no cookies. Redirects are followed under the same rules. A server that is busy
    is asked three times.

    Args:
        url: Absolute, or relative to `service`.
        service: Where the service is that gave the link.
        seconds: For each try.

    Raises:
        InvalidImageError: The link may not be opened, or nothing of that size can be had behind it.
        OSError: The connection failed.
    """
    import httpx2

    url = urljoin(service, url) if not urlsplit(url).scheme else url
    check_address(url, service=service)
    with open_client(
        httpx2.Client, service, seconds=seconds, timeout=seconds, follow_redirects=True, max_redirects=5
    ) as client:
        for left in reversed(range(_FETCH_TRIES)):
            try:
                return _fetched(client, url)
            except httpx2.TooManyRedirects:
                raise InvalidImageError(f"the link {one_line(place_of(url))} is redirected without end") from None
            except (httpx2.TransportError, ConnectionError) as error:
                if not left:
                    why = connection_failure(error, url)
                    raise ConnectionError(f"the link {one_line(place_of(url))} can't be opened ({why})") from error
            time.sleep(1)
    raise AssertionError


def _fetched(client: httpx2.Client, url: str) -> bytes:
    received = bytearray()
    with client.stream("GET", url) as response:
        if response.status_code in (408, 425, 429) or response.status_code >= 500:
            raise ConnectionError(f"HTTP {response.status_code}")
        if not response.is_success:
            raise InvalidImageError(f"the link {one_line(place_of(url))} answered {response.status_code}")
        for chunk in response.iter_bytes():
            received += chunk
            if len(received) > MOST_PICTURE_BYTES:
                raise InvalidImageError(
                    f"the picture behind {one_line(place_of(url))} is above {MOST_PICTURE_BYTES // 2**20} MiB"
                )
    return bytes(received)


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".").lower()


def _is_number(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except OSError:
        return False
    return True


def _addresses(host: str) -> set[_Address]:
    try:
        found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return set()  # the connection will fail, with a better message
    return {_plain(ipaddress.ip_address(text)) for text in found}


def _plain(address: _Address) -> _Address:
    return getattr(address, "ipv4_mapped", None) or address


def _unusable_proxy(error: Exception) -> ServiceError:
    places = ", ".join(sorted({place_of(proxy) for name, proxy in getproxies().items() if name != "no"}))
    return ServiceError(
        f"a proxy of the environment can't be used ({places}: {one_line(str(error))}); mend or unset HTTP_PROXY, "
        "HTTPS_PROXY and ALL_PROXY"
    )


_DATA_URL = re.compile(r"data:[^,]{0,200}?(;base64)?,", re.I)
_LINK = re.compile(r"[a-z][a-z0-9+.-]*:|/[^\s.]*\.", re.I)  # base64 has no dot, but a JPEG in it begins with a slash
_URL_SAFE = str.maketrans("-_", "+/")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_FIELDS = ("b64_json", "url", "image", "image_url")


def json_object(body: bytes) -> dict[str, Any]:
    """Returns the JSON object in the body of an answer; halves of characters, which no file can hold, are replaced.

    Raises:
        InvalidDataError: It is none.
    """
    try:
        found = json.loads(body.decode("utf-8", "replace"), parse_constant=_no_number)
        if _SURROGATE.search(body):
            found = whole(found)
    except (ValueError, RecursionError) as error:
        start = masked(body[:2000].decode("utf-8", "replace"))[:60]  # masked before it is cut: half a key is one too
        what = "a page of HTML" if body.lstrip()[:1] == b"<" else f"no JSON; it starts with {start!r}"
        raise InvalidDataError(f"the answer is {what}") from error
    if not isinstance(found, dict):
        raise InvalidDataError(f"the answer is JSON with a {type(found).__name__} in the place of an object")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def picture_text(item: Any) -> str | None:
    """Returns what stands for the picture in an item of an answer's `data`: base64, a `data:` URL or a link."""
    if isinstance(item, str):
        return item or None
    if not isinstance(item, dict):
        return None
    found = (item.get(name) for name in _FIELDS)
    # chat services nest it: {"image_url": {"url": …}}
    texts = (value.get("url") if isinstance(value, dict) else value for value in found)
    return next((text for text in texts if isinstance(text, str) and text.strip()), None)


def picture_bytes(text: str, *, service: str, seconds: float) -> bytes:
    """Returns the picture file that a text of an answer stands for.

    The text is base64 (with line breaks, url-safe or without padding too), a `data:` URL, or a link, which is fetched.

    Raises:
        InvalidImageError: It is none of these, too long, or a link that may not be opened.
        OSError: The link could not be opened.
    """
    text = text.strip()
    if head := _DATA_URL.match(text):
        if head[1] is None:
            raise InvalidImageError(f"the answer's image is a URL of text ({text[:40]!r}); ask for base64")
        text = text[head.end() :]
        text = unquote(text) if "%" in text else text
    elif _LINK.match(text[:2048]):
        return fetch(text, service=service, seconds=seconds)
    if len(text) > MOST_PICTURE_BYTES * 3 // 2:
        raise _too_large()
    encoded = "".join(text.split()).translate(_URL_SAFE).rstrip("=")
    try:
        data = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImageError(f"the answer's image is no valid base64 ({error}); ask again") from error
    if len(data) > MOST_PICTURE_BYTES:
        raise _too_large()
    return data


def _too_large() -> InvalidImageError:
    return InvalidImageError(f"the answer's image is above {MOST_PICTURE_BYTES // 2**20} MiB; ask for a smaller one")


def token_counts(usage: Any) -> dict[str, int]:
    """Returns the token counts of an answer; what a service leaves out or fills with null is left out.

    `usage` has `input_tokens` and `output_tokens`, or `prompt_tokens` and `completion_tokens`. The counts are these
    two, `cached_tokens`, `input_image_tokens` and `output_image_tokens`.
    """
    if not isinstance(usage, dict):
        return {}
    found: dict[str, int | None] = {}
    for side, names in (("input", ("input", "prompt")), ("output", ("output", "completion"))):
        # the second spelling counts where the first says nothing
        counts = [_count(usage.get(f"{name}_tokens")) for name in names]
        details = next((part for name in names if isinstance(part := usage.get(f"{name}_tokens_details"), dict)), {})
        found[f"{side}_tokens"] = next((count for count in counts if count is not None), None)
        found[f"{side}_image_tokens"] = _count(details.get("image_tokens"))
        if side == "input":
            found["cached_tokens"] = _count(details.get("cached_tokens"))
    return {name: count for name, count in found.items() if count is not None}


def _count(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**53 else None
