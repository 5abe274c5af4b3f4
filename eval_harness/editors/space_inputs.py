"""Which of a Space's inputs gets what: the user's mapping, or a guess from what the Space says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fashionedit.errors import InvalidDataError

PLACES = ("base", "reference", "instruction", "seed")
"""What a mapping may name in braces."""

PICTURES = ("image", "gallery", "imageslider", "imageeditor", "annotatedimage")
"""Components that hold pictures, as `kind_of` spells them."""

_TEXTS = ("textbox", "multimodaltextbox", "textarea")
_NUMBERS = ("number", "slider")
_EDITED = {"background": "{base}", "layers": [], "composite": "{base}"}

Endpoint = Mapping[str, Any]


def endpoint_of(endpoints: Mapping[str, Endpoint], name: str | None, space: str) -> tuple[str, Endpoint]:
    """Returns the endpoint of this name, or the only one that takes and gives a picture.

    Raises:
        InvalidDataError: There is none, or more than one.
    """
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
    """Returns minimum, maximum and step of the number inputs that have them, by their names.

    Args:
        config: What the Space says of its components.
        api_name: Of the endpoint, with a slash.
        endpoint: Its inputs.
    """
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
    """Returns the user's mapping by the inputs' names.

    Args:
        given: A dict by name, a list in the order of the inputs, or either as JSON.
        endpoint: Of the Space.
        space: For messages.

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
    """Returns a mapping with its places filled.

    Args:
        value: The mapping or a part of it; a list inside it loses what is only the missing reference.
        places: The paths of `base` and `reference` (None without one), `instruction` and `seed`.
        file: Makes a path into what the client uploads.
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
