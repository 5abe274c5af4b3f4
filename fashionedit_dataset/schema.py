"""The columns of FashionEdit in one place, as Arrow, as `datasets` and as a dataset card put them."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

# A string is a leaf, a list holds one kind of item, a mapping is a struct.
Kind = str | list[Any] | dict[str, Any]

COLUMNS: dict[str, Kind] = {
    "image_id": "string",
    "original_image": "image",
    "annotation": "string",
    "sd3_image": "image",
    "differences": [{"description": "string", "box_2d": ["float32"]}],
    "crops": ["image"],
    "sketches": ["image"],
    "examples": ["image"],
    "clip_score": "float64",
    "gender": "string",
    "category": "string",
    "garment_id": "string",
    "view": "string",
}
"""Name and kind of every column, in the order of the files. Crops stand beside the differences and not inside them,
so that reading the texts does not read the images."""

IMAGE_COLUMNS = ("original_image", "sd3_image", "crops", "sketches", "examples")
OPTIONAL_COLUMNS = ("clip_score", "gender", "category", "garment_id", "view")
"""Facts that a row may lack, and a file may have no column for."""

REFERENCE_COLUMNS = ("sketches", "examples")
"""Images that a row may lack, and a file may have no column for: the kinds of reference beside the crops."""


@cache
def arrow_schema() -> pa.Schema:
    """Returns the Arrow schema with the metadata that every version of `datasets` from 2.21 on understands."""
    import pyarrow as pa

    # datasets before 4 can't read the `List` that later ones write; all of them read `Sequence`.
    known = json.dumps({"info": {"features": {name: _feature(kind) for name, kind in COLUMNS.items()}}})
    fields = [pa.field(name, _arrow(kind)) for name, kind in COLUMNS.items()]
    return pa.schema(fields, metadata={"huggingface": known})


def features() -> datasets.Features:
    """Returns the columns as `datasets.Features`."""
    import datasets

    return datasets.Features.from_dict({name: _feature(kind) for name, kind in COLUMNS.items()})


def features_for_card() -> list[dict[str, Any]]:
    """Returns the columns as `dataset_info.features` of a dataset card."""
    return [{"name": name, **_card(kind)} for name, kind in COLUMNS.items()]


def _arrow(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, list):
        return pa.list_(_arrow(kind[0]))
    if isinstance(kind, dict):
        return pa.struct([pa.field(name, _arrow(part)) for name, part in kind.items()])
    if kind == "image":
        return pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
    return pa.type_for_alias(kind)


def _feature(kind: Kind) -> Any:
    if isinstance(kind, list):
        inner = _feature(kind[0])
        return [inner] if isinstance(kind[0], dict) else {"feature": inner, "_type": "Sequence"}
    if isinstance(kind, dict):
        return {name: _feature(part) for name, part in kind.items()}
    return {"_type": "Image"} if kind == "image" else {"dtype": kind, "_type": "Value"}


def _card(kind: Kind) -> dict[str, Any]:
    if isinstance(kind, list) and isinstance(kind[0], dict):
        return {"list": [{"name": name, **_card(part)} for name, part in kind[0].items()]}
    if isinstance(kind, list):
        return {"sequence": kind[0]}
    return {"dtype": kind}
