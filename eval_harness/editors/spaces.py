"""A Gradio app as an editor: `space:OWNER/NAME` on the Hub, or `space:URL`; extra `space`.

    --option api_name=/edit
    --option inputs='{"image": "{base}", "prompt": "{instruction}", "reference": "{reference}", "seed": "{seed}"}'

The mapping is by the inputs' names or a list in their order; values may be anything else that an input takes, and
`{base}` and `{reference}` may stand inside a gallery's list. Without a mapping it is guessed: first image, second
image, first text, a number called seed; the guess is written into each result's params. Without `api_name` it is the
only endpoint that takes and gives a picture. In `vanilla` the reference's input is left empty; a Space without one
takes no reference. A `--param` sets an input by its name. A seed is folded into the range that its input
allows. The answer is the first picture among the outputs, of an image slider the last, of an image editor the
composite, or that of `--option output=INDEX`.

The fingerprint of a Space on the Hub has its revision; behind a URL, `--version` declares it. `HF_TOKEN` is sent to
Spaces on the Hub, never to a URL.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fashionedit.errors import EditorError, FashionEditError, InvalidDataError, MissingExtraError, ServiceError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult, Status, plain_json
from fashionedit.images import png_bytes
from fashionedit.runtime.failures import Failure, Problem, Service, failure_of, one_line
from fashionedit.runtime.http_clients import auth_hook, check_url, connection_failure, is_loopback, open_client

from .answers import failed_call, failed_result, picture_result
from .settings import EditorSettings, undeclared

_OPTIONS = {
    "api_name": "the endpoint, such as /edit",
    "inputs": "which input gets {base}, {reference}, {instruction} and {seed}",
    "output": "which output is the picture, from 0",
}
_AT_ONCE = 4
_DEEPEST = 6


class SpaceEditor:
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
        refusal = "space has its address in its name and no conversations; leave both settings out"
        settings.refuse(base_url=refusal, state=refusal)
        output = options.get("output")
        if output is not None and not str(output).isdecimal():
            raise InvalidDataError(f"option output is {output!r}; give the number of an output, from 0")
        self._output = None if output is None else int(output)
        self._undeclared = undeclared()
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
        """Returns Space, revision and mapping; whether it takes a reference is whether an input gets one."""
        version = self._settings.version or self._revision()
        how = json.dumps([self._api_name, self._inputs, self._output], sort_keys=True)
        return EditorInfo(
            f"space {self._place}",
            f"space {self._place} {version} {how}" if version else self._undeclared,
            takes_reference="reference" in places_in(self._inputs),
            at_once=_AT_ONCE,
        )

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Refuses a param that is no free input of the Space."""
        names = {item["parameter_name"] for item in self._endpoint["parameters"]}
        for name in params:
            if name not in names or places_in(self._inputs.get(name)):
                raise EditorError(f"param {name!r} is no free input of {self._place}; it has {listed(self._endpoint)}")

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the Space's picture, or why there is none; a `ServiceError` ends the run."""
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
        said, kind = one_line(str(error)) or type(error).__name__, type(error).__name__
        if isinstance(error, CancelledError):
            error = TimeoutError()
        result = failed_call(error, self._service, url=str(self._client.src), timeout=self._settings.timeout)
        if result is not None:
            return result
        if kind in ("TooManyRequestsError", "QueueError"):
            return failed_result(Problem(Failure.RATE_LIMITED, 429, said), self._service)
        if kind in ("AppError", "ValidationError"):  # the app's own words, without a code
            failure = failure_of(400, None, said)
            if failure not in (Failure.REFUSED, Failure.NO_QUOTA):
                failure = Failure.REJECTED
            return failed_result(Problem(failure, message=said), self._service)
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


PLACES = ("base", "reference", "instruction", "seed")
"""What a mapping may name in braces."""

PICTURES = ("image", "gallery", "imageslider", "imageeditor", "annotatedimage")
"""Components that hold pictures, as `kind_of` spells them."""

_TEXTS = ("textbox", "multimodaltextbox", "textarea")
_NUMBERS = ("number", "slider")
_EDITED = {"background": "{base}", "layers": [], "composite": "{base}"}

Endpoint = Mapping[str, Any]


def endpoint_of(endpoints: Mapping[str, Endpoint], name: str | None, space: str) -> tuple[str, Endpoint]:
    """Returns the endpoint of this name, or the only one that takes and gives a picture."""
    if name is not None:
        name = f"/{name.lstrip('/')}"
        if name not in endpoints:
            raise InvalidDataError(f"{space} has no {name}; it has {', '.join(endpoints) or 'nothing with a name'}")
        return name, endpoints[name]
    editing = [
        found
        for found, endpoint in endpoints.items()
        if _first(endpoint["parameters"], PICTURES) and _first(endpoint["returns"], PICTURES)
    ]
    if len(editing) != 1:
        have = "; ".join(f"{found} ({listed(endpoint)})" for found, endpoint in endpoints.items()) or "nothing"
        many = "more than one endpoint that edits" if editing else "no endpoint that takes and gives a picture"
        raise InvalidDataError(f"{space} has {many}; give --option api_name=NAME; it has {have}")
    return editing[0], endpoints[editing[0]]


def kind_of(item: Mapping[str, Any]) -> str:
    """Returns the component of an input or output in lower case: Gradio calls an `ImageSlider` `Imageslider`."""
    return str(item["component"]).lower()


def ranges_of(config: Mapping[str, Any], api_name: str, endpoint: Endpoint) -> dict[str, tuple[float, float, float]]:
    """Returns minimum, maximum and step of the number inputs that have them, by their names."""
    components = {item.get("id"): item for item in config.get("components", ())}
    named = [item for item in config.get("dependencies", ()) if f"/{item.get('api_name')}" == api_name]
    inputs = [components.get(identity, {}) for item in named[:1] for identity in item.get("inputs", ())]
    inputs = [item for item in inputs if item.get("type") != "state" and not item.get("skip_api")]
    found = {}
    # Both lists have the inputs in their order; where they do not fit together, nothing is known.
    pairs = zip(endpoint["parameters"], inputs, strict=True) if len(inputs) == len(endpoint["parameters"]) else ()
    for parameter, component in pairs:
        props = component.get("props") or {}
        low, high, step = props.get("minimum"), props.get("maximum"), props.get("step")
        if kind_of(parameter) in _NUMBERS and isinstance(high, int | float):
            low = low if isinstance(low, int | float) else 0
            step = step if isinstance(step, int | float) and step > 0 else 1
            if low <= high:
                found[str(parameter["parameter_name"])] = (low, high, step)
    return found


def folded_seed(seed: int, range_: tuple[float, float, float] | None) -> int | float:
    """Returns the seed as it is where its input allows it, else one of the values that the input allows.

    >>> folded_seed(5, (0, 10, 1)), folded_seed(25, (10, 19, 1)), folded_seed(7, (0, 100, 5)), folded_seed(9, None)
    (5, 15, 35, 9)
    """
    if range_ is None:
        return seed
    low, high, step = range_
    if low <= seed <= high and (seed - low) % step == 0:
        return seed
    value = low + step * (seed % (int((high - low) / step) + 1))
    return int(value) if float(value).is_integer() else value


def listed(endpoint: Endpoint) -> str:
    """Returns the names of the inputs, each with its component."""
    return ", ".join(f"{item['parameter_name']}: {item['component']}" for item in endpoint["parameters"]) or "no inputs"


def checked_mapping(given: Any, endpoint: Endpoint, space: str) -> dict[str, Any]:
    """Returns the user's mapping by the inputs' names; it may be a dict, a list in their order, or either as JSON.

    Raises:
        InvalidDataError: It is neither, names what is not there, leaves out what is needed, or shows no image.
    """
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise InvalidDataError(f"option inputs is no JSON ({error}); write a dict or a list") from None
    names = [str(item["parameter_name"]) for item in endpoint["parameters"]]
    has = f"{space} has {listed(endpoint)}"
    if isinstance(given, list):
        if len(given) > len(names):
            raise InvalidDataError(f"option inputs lists {len(given)} values; {has}")
        given = dict(zip(names, given, strict=False))
    if not isinstance(given, dict):
        raise InvalidDataError(f"option inputs is a {type(given).__name__}; write a dict by name or a list; {has}")
    for name in given:
        if name not in names:
            raise InvalidDataError(f"option inputs names {name!r}; {has}")
    _complete(given, endpoint, has)
    if "base" not in places_in(given):
        raise InvalidDataError(f"option inputs does not say where {{base}} goes; {has}")
    return given


def guessed_mapping(endpoint: Endpoint, space: str) -> dict[str, Any]:
    """Returns a mapping by kind: first image, second image, first text, a number called seed.

    Raises:
        InvalidDataError: There is no image or text among the inputs, or an input that nothing is known for.
    """
    parameters: Sequence[Mapping[str, Any]] = endpoint["parameters"]
    has = f'give --option inputs=\'{{"NAME": "{{base}}", …}}\'; {space} has {listed(endpoint)}'
    images = [item["parameter_name"] for item in parameters if kind_of(item) in ("image", "imageeditor")]
    kinds = {item["parameter_name"]: kind_of(item) for item in parameters}
    text = _first(parameters, _TEXTS)
    if not images or text is None:
        raise InvalidDataError(f"which input is the image and which the instruction can't be told; {has}")
    mapping: dict[str, Any] = dict(zip(images, ("{base}", "{reference}"), strict=False))
    mapping |= {name: _EDITED for name, place in mapping.items() if place == "{base}" and kinds[name] == "imageeditor"}
    mapping[text] = "{instruction}" if kinds[text] != "multimodaltextbox" else {"text": "{instruction}", "files": []}
    for item in parameters:
        words = f"{item['parameter_name']} {item['label']}".lower()
        if "seed" in words and kind_of(item) in _NUMBERS:
            mapping[item["parameter_name"]] = "{seed}"
        elif "seed" in words and kind_of(item) == "checkbox":
            mapping[item["parameter_name"]] = False  # "randomize seed"
    _complete(mapping, endpoint, has)
    return mapping


def places_in(value: Any) -> set[str]:
    """Returns which of `PLACES` a mapping uses."""
    if isinstance(value, dict):
        return {place for item in value.values() for place in places_in(item)}
    if isinstance(value, list):
        return {place for item in value for place in places_in(item)}
    return {place for place in PLACES if isinstance(value, str) and f"{{{place}}}" in value}


def filled(value: Any, places: Mapping[str, Any], file: Callable[[str], Any]) -> Any:
    """Returns a mapping, or a part of it, with its places filled.

    A list loses what is only the missing reference (None). `file` makes a path into what the client uploads.
    """
    if isinstance(value, dict):
        return {name: filled(item, places, file) for name, item in value.items()}
    if isinstance(value, list):
        there = [item for item in value if places["reference"] is not None or places_in(item) != {"reference"}]
        return [filled(item, places, file) for item in there]
    if not isinstance(value, str):
        return value
    for name in ("base", "reference"):
        if value == f"{{{name}}}":
            return None if places[name] is None else file(places[name])
    if value == "{seed}":
        return places["seed"]
    seeded = value.replace("{seed}", str(places["seed"]))
    return seeded.replace("{instruction}", places["instruction"])


def _first(items: Sequence[Mapping[str, Any]], components: Sequence[str]) -> str | None:
    return next((item.get("parameter_name", item["label"]) for item in items if kind_of(item) in components), None)


def _complete(mapping: Mapping[str, Any], endpoint: Endpoint, has: str) -> None:
    for item in endpoint["parameters"]:
        if item["parameter_name"] not in mapping and not item["parameter_has_default"]:
            raise InvalidDataError(f"input {item['parameter_name']!r} has no default and is given nothing; {has}")
