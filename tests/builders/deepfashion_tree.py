"""A folder in the shape of DeepFashion-MultiModal, made from whatever pictures a test has."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

CLASSES = ("WOMEN-Dresses", "WOMEN-Jackets_Coats", "MEN-Shirts_Polos", "WOMEN-Tees_Tanks", "MEN-Denim")
VIEWS = ("1_front", "2_side", "3_back", "4_full", "7_additional")
GARMENT_SIZES = (1, 3, 2)
UNCAPTIONED_EVERY = 7

_SLEEVES = ("no", "short", "medium", "long")
_FABRICS = ("denim", "cotton", "leather", "furry", "knitted", "chiffon")
_PATTERNS = ("floral", "graphic", "striped", "solid color", "lattice")
_NECKLINES = {0: "v-shape", 1: "square", 2: "round", 4: "standing", 5: "lapel"}


@dataclass(frozen=True)
class DeepFashionTree:
    """What was written.

    Args:
        root: The folder.
        paths: The file of each photograph by its id, the corrupt one among them.
        captions: By id, of those that have one.
        uncaptioned: Ids of photographs without a caption.
        corrupt: Id of the photograph whose file breaks off.
        garments: Ids by garment (gender-category-garment id), the corrupt one left out.
    """

    root: Path
    paths: dict[str, Path]
    captions: dict[str, str]
    uncaptioned: tuple[str, ...]
    corrupt: str
    garments: dict[str, tuple[str, ...]]

    @property
    def images(self) -> int:
        """How many files look like photographs."""
        return len(self.paths)

    @property
    def usable(self) -> tuple[str, ...]:
        """The ids that can be built from, sorted."""
        return tuple(sorted(self.paths.keys() - {*self.uncaptioned, self.corrupt}))


def write_deepfashion_tree(root: Path, photos: Sequence[bytes | Image.Image]) -> DeepFashionTree:
    """Writes the folder and returns what is in it.

    Names follow the dataset's grammar, with one, three or two photographs to a garment; every seventh photograph has no
    caption; `images/images/` nests once more, as some archives do; `labels/` tells of every photograph; `segm/` and
    `densepose/` hold pictures that are no photographs; one further file, of a garment of its own, breaks off in the
    middle. Encoded bytes are written as they are (JPEG or PNG), pictures as JPEG, every fifth as PNG. The same pictures
    give the same folder, byte for byte.
    """
    images = root / "images" / "images"
    for folder in (images, root / "labels" / "shape", root / "labels" / "texture", root / "segm", root / "densepose"):
        folder.mkdir(parents=True)
    paths: dict[str, Path] = {}
    captions: dict[str, str] = {}
    uncaptioned: list[str] = []
    garments: dict[str, tuple[str, ...]] = {}
    shapes, fabrics, patterns = [], [], []
    garment = inside = 0
    for number, photo in enumerate(photos):
        if inside == GARMENT_SIZES[garment % len(GARMENT_SIZES)]:
            garment, inside = garment + 1, 0
        kind = CLASSES[garment % len(CLASSES)]
        identity = f"{kind}-id_{garment + 1:08d}-01_{VIEWS[inside]}"
        key = f"{kind}-{garment + 1:08d}"
        garments[key] = (*garments.get(key, ()), identity)
        inside += 1
        data = photo if isinstance(photo, bytes) else _encoded(photo, "PNG" if number % 5 == 4 else "JPEG")
        suffix = ".png" if data.startswith(b"\x89PNG") else ".jpg"
        paths[identity] = images / f"{identity}{suffix}"
        paths[identity].write_bytes(data)
        sleeve, fabric, pattern = garment % len(_SLEEVES), garment % len(_FABRICS), number % len(_PATTERNS)
        neckline = list(_NECKLINES)[garment % len(_NECKLINES)]
        shapes.append(f"{identity}.jpg {sleeve} 4 0 2 0 1 0 0 4 {neckline} 2 1")
        fabrics.append(f"{identity}.jpg {fabric} 7 7")
        patterns.append(f"{identity}.jpg {pattern} 7 7")
        if number % UNCAPTIONED_EVERY == UNCAPTIONED_EVERY - 1:
            uncaptioned.append(identity)
        else:
            captions[identity] = (
                f"The clothing has {_SLEEVES[sleeve]} sleeves, {_FABRICS[fabric]} fabric and {_PATTERNS[pattern]} "
                f"patterns. It has a {_NECKLINES[neckline]} neckline, photograph {number + 1}."
            )
        _encoded_to(root / "segm" / f"{identity}_segm.png", number)
        _encoded_to(root / "densepose" / f"{identity}_densepose.png", number)
    corrupt = f"WOMEN-Skirts-id_{garment + 2:08d}-02_1_front"
    paths[corrupt] = images / f"{corrupt}.jpg"
    whole = photos[0] if isinstance(photos[0], bytes) else _encoded(photos[0], "JPEG")
    paths[corrupt].write_bytes(whole[: len(whole) // 2])
    captions[corrupt] = "This skirt is of cotton."
    (root / "captions.json").write_text(
        json.dumps({f"{identity}.jpg": text for identity, text in captions.items()}), "utf-8"
    )
    (root / "labels" / "shape" / "shape_anno_all.txt").write_text("\n".join(shapes) + "\n", "utf-8")
    (root / "labels" / "texture" / "fabric_ann.txt").write_text("\n".join(fabrics) + "\n", "utf-8")
    (root / "labels" / "texture" / "pattern_ann.txt").write_text("\n".join(patterns) + "\n", "utf-8")
    return DeepFashionTree(root, paths, captions, tuple(uncaptioned), corrupt, garments)


def _encoded(image: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, form, quality=92)
    return buffer.getvalue()


def _encoded_to(path: Path, number: int) -> None:
    Image.new("L", (75, 110), number % 24).save(path)
