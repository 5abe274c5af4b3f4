"""The dataset card, which every version of `datasets` and the Hub's viewer read, and the leaderboard's tasks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

from .errors import InvalidDataError, UnknownNameError
from .files import read_regular
from .manifest import Form
from .schema import features_for_card
from .types import split_name

CARD_FILE = "README.md"

_MOST_BYTES = 4_000_000  # of a card
_MOST_HEAD = 256_000  # characters of its YAML
_MOST_PATTERNS = 1_000
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)

_USUAL = {
    split: [f"{folder}{name}{end}" for folder in ("data/", "") for name in names for end in ("-*.parquet", ".parquet")]
    for split, names in {"train": ("train",), "validation": ("validation", "val")}.items()
}

_CONTROL_SET = """\
> **This is a control set.** Its pictures were rendered by code ({renderer}) to test the harness; they are not the
> photographs of the benchmark, and every table made from them has to say so.

"""

_BODY = """\
# {name}

{notice}Fine-grained fashion image editing, as in *Fine-Grained Customized Fashion Design with Image-into-Prompt
Benchmark and Dataset from LMM* (arXiv 2509.09324). A row is an original image, its caption, the draft that was made
from the caption, and three differences between the two. Editing starts at the draft; round *k* applies difference *k*.

| split | rows |
|---|---|
{splits}

## Columns

| column | type | what it is |
|---|---|---|
| `image_id` | string | unique, safe as a file name |
| `original_image` | image | the photograph that results are compared with |
| `annotation` | string | the caption that the draft was generated from |
| `sd3_image` | image | the draft, where editing starts |
| `differences` | list of {{`description`, `box_2d`}} | three edits: what the original shows, and where |
| `crops` | list of images | the original inside each box, in the order of `differences` |
| `sketches` | list of images | line drawings of the crops, in the same order, or null |
| `examples` | list of images | one to three other photographs of the same garment, or null |
| `clip_score` | float64 | cosine similarity × 100 of draft and original at selection time, or null |
| `gender`, `category`, `garment_id`, `view` | string | what the source's file name tells, or null |

**Boxes.** `box_2d` is `[ymin, xmin, ymax, xmax]` on the **original**, in thousandths of its height and width (0..1000).
In pixels: `left = xmin / 1000 * width`, `top = ymin / 1000 * height`.

## Loading

```python
from datasets import load_dataset

dataset = load_dataset("path/to/this/folder", split="{split}")  # or the repository's id
{loading}

{sections}## Licence

{licence}
"""

_LOADING: dict[Form, str] = {
    "full": """\
dataset[0]["original_image"], dataset[0]["sd3_image"]
```

With `fashionedit` installed, `fashionedit.open_folder("path/to/this/folder")` gives samples, and
`fashionedit run EDITOR --data path/to/this/folder --out RUN` scores an editor on them.""",
    "annotations": """\
dataset[0]["sd3_image"], dataset[0]["differences"]
```

An editor is scored on the full set: fill this one in first, as below.""",
}

_ANNOTATIONS = """\
> **This is the annotations form.** It holds ids, drafts, differences, scores and hashes. `original_image`,
> `annotation`, `crops`, `sketches` and `examples` are null: the photographs and what is made from them are not passed
> on here.

"""

_LICENCE_UNKNOWN = """\
No licence is stated. Photographs, and captions, crops and boxes made from them, keep the terms of the collection that
they come from; read those before you pass this folder on."""


@dataclass(frozen=True, slots=True)
class SplitSize:
    """Rows, and bytes of images."""

    rows: int
    image_bytes: int


def card_text(
    name: str,
    splits: Mapping[str, SplitSize],
    *,
    licence: str | None = None,
    licence_note: str | None = None,
    renderer: str | None = None,
    control_set: bool = False,
    form: Form = "full",
    sections: Sequence[tuple[str, str]] = (),
) -> str:
    """Returns the card: YAML with the data files and the columns, then a page for people.

    Arguments are those of `write_folder`; line breaks in `name` become spaces.
    """
    import yaml

    title = " ".join(name.split())
    rows = sum(size.rows for size in splits.values())
    total = sum(size.image_bytes for size in splits.values())
    head: dict[str, Any] = {
        **({"license": licence} if licence else {}),
        "pretty_name": title,
        "task_categories": ["image-to-image"],
        "language": ["en"],
        "tags": ["fashion", "image-editing", "fashionedit", *(["control-set"] if control_set else [])],
        "size_categories": [_size_category(rows)],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits],
            }
        ],
        "dataset_info": {
            "features": features_for_card(),
            "splits": [
                {"name": split, "num_bytes": size.image_bytes, "num_examples": size.rows}
                for split, size in splits.items()
            ],
            "download_size": total,
            "dataset_size": total,
        },
    }
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000)
    body = _BODY.format(
        name=title,
        notice=(_CONTROL_SET.format(renderer=renderer or "renderer not named") if control_set else "")
        + (_ANNOTATIONS if form == "annotations" else ""),
        loading=_LOADING[form],
        splits="\n".join(f"| `{split}` | {size.rows:,} |" for split, size in splits.items()),
        split=next(iter(splits)),
        sections="".join(f"## {heading}\n\n{text.strip()}\n\n" for heading, text in sections),
        licence=licence_note or (f"`{licence}`" if licence else _LICENCE_UNKNOWN),
    )
    return f"---\n{front}---\n\n{body}"


def _size_category(rows: int) -> str:
    for limit, label in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")):
        if rows < limit:
            return label
    return "100K<n<1M"


def data_files(card: str | None, names: Iterable[str], *, place: str) -> dict[str, list[str]]:
    """Returns the Parquet files of each split, by the card's `configs`, else by their usual names.

    The `names` are relative to the folder or repository that messages call `place`, with `/`.

    Raises:
        InvalidDataError: The card's YAML can't be read, or it names files that are not there.
    """
    files = sorted(names)
    configured = _configured(card, place)
    wanted = configured or _USUAL
    found = {
        split: [file for file in files if any(fnmatchcase(file, pattern) for pattern in wanted[split])]
        for split in sorted(wanted)  # train before validation
    }
    missing = [split for split, matches in found.items() if not matches]
    if configured and missing:
        raise InvalidDataError(
            f"{place}/{CARD_FILE} names {', '.join(wanted[missing[0]])} for the split {missing[0]}, and no such file "
            "is there; complete the folder"
        )
    return {split: matches for split, matches in found.items() if matches}


def read_card(folder: Path) -> str | None:
    """Returns the text of a folder's card; None where it has none."""
    try:
        return read_regular(folder / CARD_FILE, _MOST_BYTES, folder=folder).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def _configured(card: str | None, place: str) -> dict[str, list[str]]:
    """Returns the patterns by split of the card's default configuration; nothing where it has none."""
    match = _FRONT.match(card or "")
    head = _head(match.group(1), place) if match is not None else None
    configs = head.get("configs") if isinstance(head, dict) else None
    entries = [entry for entry in configs if isinstance(entry, dict)] if isinstance(configs, list) else []
    if not entries:
        return {}
    default = next((entry for entry in entries if entry.get("config_name") == "default"), None)
    chosen = default or next((entry for entry in entries if entry.get("default") == "true"), entries[0])
    items = chosen.get("data_files") or []
    if not isinstance(items, list) or not all(map(_is_data_file, items)):
        raise InvalidDataError(f"{place}/{CARD_FILE} has data_files without split and path; give both for each")
    patterns: dict[str, list[str]] = {}
    for item in items:
        try:
            split = split_name(item["split"])
        except UnknownNameError:
            continue  # a split of another kind is none of ours
        paths = item["path"] if isinstance(item["path"], list) else [item["path"]]
        patterns.setdefault(split, []).extend(path.removeprefix("./") for path in paths)
    if sum(map(len, patterns.values())) > _MOST_PATTERNS:
        raise InvalidDataError(f"{place}/{CARD_FILE} names more than {_MOST_PATTERNS:,} data files; use patterns")
    return patterns


def _head(text: str, place: str) -> Any:
    """Returns the YAML of a card, every scalar as its text; it may refer to nothing, so that it can't grow."""
    import yaml

    class Loader(yaml.BaseLoader):  # type: ignore[misc]  # yaml has no types
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases are not read")
            return super().compose_node(parent, index)

    try:
        if len(text) > _MOST_HEAD:
            raise yaml.YAMLError(f"it has more than {_MOST_HEAD:,} characters")
        return yaml.load(text, Loader)  # a loader that makes texts, lists and mappings only
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] if not isinstance(error, RecursionError) else "too many levels"
        raise InvalidDataError(f"{place}/{CARD_FILE} has YAML that can't be read ({reason}); mend its head") from error


def _is_data_file(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("split"), str):
        return False
    path = item.get("path")
    return isinstance(path, str) or (isinstance(path, list) and all(isinstance(one, str) for one in path))


FRAMEWORK = "fashionedit"
"""The name of the evaluation framework in `eval.yaml`."""

LAST_ROUND = 3
"""The round whose scores count."""

LEADERBOARD_PROTOCOLS = ("vanilla", "bug")
LEADERBOARD_METRICS = ("clip_star", "clip", "psnr")


def task_id(protocol: str, metric: str) -> str:
    """Returns the task's name, such as `bug_clip_star`."""
    return f"{protocol}_{metric}"


LEADERBOARD_TASKS = tuple(
    task_id(protocol, metric) for protocol, metric in product(LEADERBOARD_PROTOCOLS, LEADERBOARD_METRICS)
)
"""One number each, after the last round, higher is better: CLIP* in %, CLIP × 100, PSNR in dB."""
