"""A Gradio app as an editor: `space:OWNER/NAME` on the Hub, or `space:URL`; extra `space`.

    --option api_name=/edit
    --option inputs='{"image": "{base}", "prompt": "{instruction}", "reference": "{reference}", "seed": "{seed}"}'

The mapping is by the inputs' names or a list in their order; values may be anything else that an input takes, and
`{base}` and `{reference}` may stand inside a gallery's list. Without a mapping it is guessed: first image, second
image, first text, a number called seed; the guess is written into each result's params. Without `api_name` it is the
only endpoint that takes and gives a picture. In `vanilla` the reference's input is left empty; a Space without one
takes part in `vanilla` alone. A `--param` sets an input by its name. A seed is folded into the range that its input
allows. The answer is the first picture among the outputs, of an image slider the last, of an image editor the
composite, or that of `--option output=INDEX`.

The fingerprint of a Space on the Hub has its revision; behind a URL, `--version` declares it. `HF_TOKEN` is sent to
Spaces on the Hub, never to a URL. A seed is folded into the range that its input allows.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fashionedit.errors import EditorError, FashionEditError, InvalidDataError, MissingExtraError, ServiceError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, ServiceReply, Status
from fashionedit.eval_harness.running.identity import UNDECLARED
from fashionedit.eval_harness.running.keys import plain_json
from fashionedit.images import png_bytes
from fashionedit.runtime.failures import Failure, Problem, Service, failure_of, one_line, problem_of
from fashionedit.runtime.http_clients import auth_hook, check_url, connection_failure, is_loopback, open_client

from .results import failed_result, picture_result
from .settings import EditorSettings
from .space_inputs import (
    PICTURES,
    checked_mapping,
    endpoint_of,
    filled,
    folded_seed,
    guessed_mapping,
    kind_of,
    listed,
    places_in,
    ranges_of,
)

_OPTIONS = {
    "api_name": "the endpoint, such as /edit",
    "inputs": "which input gets {base}, {reference}, {instruction} and {seed}",
    "output": "which output is the picture, from 0",
}
_AT_ONCE = 4
_DEEPEST = 6


def open_editor(rest: str, settings: EditorSettings) -> Space:
    """Returns the editor behind `space:OWNER/NAME` or `space:URL`."""
    return Space(rest, settings)


class Space:
    """A Gradio app.

    Args:
        place: `OWNER/NAME` or a URL.
        settings: `timeout`, `version` and the options above are read.

    Raises:
        InvalidDataError: The mapping does not fit or can't be guessed, or a setting is not one of this editor's.
        MissingExtraError: gradio_client is not installed.
        ServiceError: There is no such Space, or it does not run.
    """

    def __init__(self, place: str, settings: EditorSettings) -> None:
        options = settings.known_options("space", _OPTIONS)
        if settings.base_url is not None or settings.state != "images":
            raise InvalidDataError("space has its address in its name and no conversations; leave both settings out")
        output = options.get("output")
        if output is not None and not str(output).isdecimal():
            raise InvalidDataError(f"option output is {output!r}; give the number of an output, from 0")
        self._output = None if output is None else int(output)
        self._undeclared = f"{UNDECLARED}{os.urandom(8).hex()}"
        self._place, self._settings = place, settings
        self._client = _connected(place, settings.timeout)
        endpoints = self._client.view_api(return_format="dict", print_info=False)["named_endpoints"]
        self._api_name, self._endpoint = endpoint_of(endpoints, options.get("api_name"), place)
        self._ranges = ranges_of(self._client.config, self._api_name, self._endpoint)
        self._service = Service(place, key="HF_TOKEN", address="the address of the Space")
        self._guessed = "inputs" not in options
        if self._guessed:
            self._inputs = guessed_mapping(self._endpoint, place)
        else:
            self._inputs = checked_mapping(options["inputs"], self._endpoint, place)

    def describe(self) -> EditorInfo:
        """Returns Space, revision and mapping; without an input for the reference it takes part in `vanilla` alone."""
        version = self._settings.version or self._revision()
        how = json.dumps([self._api_name, self._inputs, self._output], sort_keys=True)
        return EditorInfo(
            f"space {self._place}",
            f"space {self._place} {version} {how}" if version else self._undeclared,
            ("vanilla", "bug") if "reference" in places_in(self._inputs) else ("vanilla",),
            at_once=_AT_ONCE,
        )

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Returns if these params set inputs that are free.

        Raises:
            EditorError: One does not.
        """
        names = {item["parameter_name"] for item in self._endpoint["parameters"]}
        for name in params:
            if name not in names or places_in(self._inputs.get(name)):
                raise EditorError(f"param {name!r} is no free input of {self._place}; it has {listed(self._endpoint)}")

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the Space's picture.

        Raises:
            EditorError: A param is no input of the Space.
            ServiceError: No further call is worth making.
        """
        from gradio_client import handle_file

        params = plain_json(dict(request.params), name="params")
        self.check_params(params)
        used = {**params, "inputs": self._inputs} if self._guessed else params
        deadline = time.monotonic() + self._settings.timeout
        with tempfile.TemporaryDirectory(prefix="fashionedit-") as made:
            places: dict[str, Any] = {
                "base": _written(Path(made) / "base.png", png_bytes(request.base)),
                "reference": None,
                "instruction": request.instruction,
                "seed": request.seed,
            }
            for image in request.references[:1]:
                places["reference"] = _written(Path(made) / "reference.png", png_bytes(image))
            values = {}
            for name, value in self._inputs.items():
                seed = folded_seed(request.seed, self._ranges.get(name))
                values[name] = filled(value, {**places, "seed": seed}, handle_file)
                if seed != request.seed and "seed" in places_in(value):
                    used = {**used, "seed": seed}
            values |= params
            try:
                job = self._client.submit(api_name=self._api_name, **values)
                try:
                    outputs = job.result(timeout=self._settings.timeout)
                finally:
                    if not job.done():
                        job.cancel()
                path = self._picture(outputs)
                if path is None:
                    message = f"{self._place} answered without an image"
                    return EditResult.failed(Status.NO_IMAGE, message, params=used)
                data = self._fetched(path, deadline)
            except Exception as error:  # the client is not typed by error: each kind is told apart below
                return self._failed(error)
        return picture_result(data, params=used)

    def close(self) -> None:
        """Ends the client's threads."""
        self._client.close()
        for name in ("executor", "helper_executor", "stream_executor"):
            if (pool := getattr(self._client, name, None)) is not None:
                pool.shutdown(wait=False, cancel_futures=True)

    def _revision(self) -> str | None:
        if _is_url(self._place):
            return None
        from huggingface_hub import HfApi

        try:
            return HfApi().space_info(self._place).sha
        except (OSError, ValueError):  # the Hub is out of reach, though the Space is not
            return None

    def _picture(self, outputs: Any) -> str | None:
        returns = self._endpoint["returns"]
        several = list(outputs) if len(returns) > 1 and isinstance(outputs, list | tuple) else [outputs]
        pairs = list(zip(several, map(kind_of, returns), strict=False))
        if self._output is not None:
            pairs = pairs[self._output : self._output + 1]
        for value, kind in sorted(pairs, key=lambda pair: pair[1] not in PICTURES):  # else a file may be one
            if kind == "imageeditor" and isinstance(value, dict):
                value = value.get("composite") or value
            if found := list(_paths(value)):
                return found[-1] if kind == "imageslider" else found[0]
        return None

    def _fetched(self, path: str, deadline: float) -> bytes:
        """Returns the file's bytes, from the app itself whatever address is given: the headers hold the token."""
        import httpx

        url = f"{self._client.src_prefixed}file={quote(path, safe='/')}"
        seconds = max(1.0, deadline - time.monotonic())
        options = {"headers": self._client.headers, "cookies": self._client.cookies, "timeout": seconds}
        with open_client(httpx.Client, url, seconds=seconds, **options) as client:
            response = client.get(url)
            response.raise_for_status()
            content: bytes = response.content
        return content

    def _failed(self, error: Exception) -> EditResult:
        import httpx

        said, kind = one_line(str(error)) or type(error).__name__, type(error).__name__
        if isinstance(error, httpx.HTTPStatusError):
            response = error.response
            reply = ServiceReply(response.status_code, {name.lower(): text for name, text in response.headers.items()})
            body = response.content if response.is_stream_consumed else b""
            return failed_result(problem_of(response.status_code, body), self._service, reply=reply)
        if isinstance(error, ServiceError):
            raise error
        if isinstance(error, InvalidDataError):
            return failed_result(Problem(Failure.TOO_LARGE, message=said), self._service)
        if kind in ("TooManyRequestsError", "QueueError"):
            return failed_result(Problem(Failure.RATE_LIMITED, 429, said), self._service)
        if kind in ("AppError", "ValidationError"):  # the app's own words, without a code
            failure = failure_of(400, None, said)
            if failure not in (Failure.REFUSED, Failure.NO_QUOTA):
                failure = Failure.REJECTED
            return failed_result(Problem(failure, message=said), self._service)
        if isinstance(error, TimeoutError | CancelledError | httpx.TimeoutException):
            message = f"within {self._settings.timeout:g} s"
            return failed_result(Problem(Failure.TIMEOUT, message=message), self._service)
        if isinstance(error, httpx.HTTPError | OSError):
            message = connection_failure(error, str(self._client.src))
            return failed_result(Problem(Failure.NO_CONNECTION, message=message), self._service)
        if isinstance(error, ValueError | KeyError):
            return failed_result(Problem(Failure.MALFORMED, message=f"{kind}: {said}"), self._service)
        raise error


def _connected(place: str, timeout: float) -> Any:
    from huggingface_hub import constants

    try:
        from gradio_client import Client
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "gradio_client":
            raise
        raise MissingExtraError("space", "gradio_client") from None
    url = place if _is_url(place) else constants.ENDPOINT
    check_url(url, "address")
    rules = {
        "timeout": timeout,
        "auth": auth_hook("httpx", url),
        "trust_env": not is_loopback(urlsplit(url).hostname or ""),
    }
    try:
        return Client(
            place,
            token=False if _is_url(place) else None,  # None would send the saved token to any address
            verbose=False,
            analytics_enabled=False,
            download_files=False,
            httpx_kwargs=rules,
        )
    except FashionEditError:
        raise
    except Exception as error:  # whatever stands in the way, the run can't begin
        why = f"{type(error).__name__}: {connection_failure(error, url)}"
        raise ServiceError(
            f"{place} can't be reached as a Gradio app ({why}); check its name, and that it runs"
        ) from error


def _is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def _written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def _paths(value: Any, depth: int = 0) -> Iterator[str]:
    """Yields the files of an output in order: a file, a gallery's dict, a list of them."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            yield value["path"]
            return
        for item in value.values():
            yield from _paths(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item, depth + 1)
