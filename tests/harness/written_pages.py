"""Reads a written page as its script does, in both forms."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

_ELEMENT = r'<script type="application/json" (?:id|class)="{}">(.*?)</script>'


@dataclass(frozen=True)
class WrittenPage:
    text: str
    index: dict[str, Any]
    texts: list[str]
    details: list[dict[str, Any]]

    def pictures(self) -> list[Image.Image]:
        """Every picture that the page holds, decoded."""
        return [opened(one) for detail in self.details for one in detail["pictures"]]

    def shown(self, sample: int, picture: list[int]) -> Image.Image:
        return opened(self.details[sample]["pictures"][picture[0]]).convert("RGB")


def opened(encoded: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def read_page(path: Path) -> WrittenPage:
    text = path.read_text(encoding="utf-8")
    if path.name != "index.html":
        index, texts = (json.loads(re.search(_ELEMENT.format(name), text, re.S)[1]) for name in ("index", "texts"))
        return WrittenPage(text, index, texts, [json.loads(one) for one in re.findall(_ELEMENT.format("detail"), text)])
    data = path.parent / "data"
    (index,), (texts,) = (called(data / f"{name}.js", name) for name in ("index", "texts"))
    details = []
    for place, file in enumerate(sorted((data / "samples").iterdir())):
        named, detail = called(file, "sample")
        assert named == place
        details.append(detail)
    return WrittenPage(text, index, texts, details)


def called(path: Path, name: str) -> list[Any]:
    """The arguments of the one call that a data script makes."""
    return json.loads(
        "[" + re.fullmatch(rf"fashionedit\.{name}\((.*)\);\n", path.read_text(encoding="ascii"), re.S)[1] + "]"
    )
