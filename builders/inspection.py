"""For a person to look at: statistics of all boxes of a set, and a contact sheet of the first samples."""

from __future__ import annotations

import base64
import html
import io
import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

from PIL import Image, ImageDraw

from fashionedit.files import write_atomically
from fashionedit.images import crop, read_image
from fashionedit.types import Box

from .analyse.answers import overlap
from .photos import Photo

BOXES_FILE = "boxes.json"
"""The figures, beside a dataset."""

SHEET_FILE = "contact_sheet.html"
"""The sheet, in the work folder of a build."""

SHEET_SAMPLES = 24
"""How many samples the sheet shows; they are analysed before any other."""

_FEWEST = 8  # samples; fewer say nothing about a set
_BORDER = 5  # thousandths; a box that ends nearer to the border touches it
_SIDE = 320  # pixels of a picture on the sheet
_COLOURS = ("#d00000", "#0050d0", "#008030")


@dataclass(frozen=True, slots=True)
class BoxFigures:
    """Statistics of all boxes of a set, three for each sample.

    Args:
        samples: How many there are.
        highest: The largest edge, 0..1000.
        mean_area: The share of the original that a box covers, mean, 0..1.
        mean_overlap: The area that two boxes of a sample share, of what they cover together, mean, 0..1.
        at_border: The share of boxes that touch the border, 0..1.
        whole_numbers: The share of edges that are whole numbers, 0..1.
        centre, spread: Mean and standard deviation of the boxes' centres (y, x), thousandths.
        repeated: The share of boxes that another sample has too, to the thousandth, 0..1.
    """

    samples: int
    highest: float
    mean_area: float
    mean_overlap: float
    at_border: float
    whole_numbers: float
    centre: tuple[float, float]
    spread: tuple[float, float]
    repeated: float

    def to_json(self) -> str:
        """Returns the figures and the warnings as JSON."""
        return json.dumps({**asdict(self), "warnings": self.warnings()}, indent=1) + "\n"

    def sentence(self) -> str:
        """Returns the figures for a console."""
        return (
            f"Boxes: up to {self.highest:g} of 1000; mean area {self.mean_area:.1%}, mean overlap "
            f"{self.mean_overlap:.1%}, {self.at_border:.0%} at the border; mean centre y {self.centre[0]:.0f}, x "
            f"{self.centre[1]:.0f}."
        )

    def warnings(self) -> list[str]:
        """Returns what looks wrong, in sentences; nothing for a set of few samples."""
        if self.samples < _FEWEST:
            return []
        y, x = self.centre
        found = {
            f"No box reaches beyond {self.highest:g} of 1000: look whether the unit is another one, such as pixels.": (
                self.highest < 700
            ),
            f"Box centres (mean y {y:.0f}, x {x:.0f}) lie as if x stood before y: check the order of the edges.": (
                abs(x - 500) > abs(y - 500) + 120 or self.spread[1] > 1.3 * self.spread[0]
            ),
            f"A box covers {self.mean_area:.0%} of the original on average: its crop shows most of the answer.": (
                self.mean_area > 0.5
            ),
            f"A box covers {self.mean_area:.2%} of the original on average: crops show next to nothing.": (
                self.mean_area < 0.005
            ),
            f"The boxes of a sample overlap by {self.mean_overlap:.0%} on average: they are hardly three places.": (
                self.mean_overlap > 0.4
            ),
            f"{self.at_border:.0%} of the boxes touch the border: look whether they are cut off or of another unit.": (
                self.at_border > 0.6
            ),
            f"{self.repeated:.0%} of the boxes are in several samples alike: look whether the model saw the images.": (
                self.repeated > 0.3
            ),
        }
        return [sentence for sentence, applies in found.items() if applies]


def box_figures(samples: Iterable[Sequence[Box]]) -> BoxFigures:
    """Returns the figures on the boxes of a set, from those of each sample; there must be one at least."""
    sets = [tuple(boxes) for boxes in samples]
    boxes = [box for one in sets for box in one]
    edges = [edge for box in boxes for edge in box.box_2d]
    centres = [((box.ymin + box.ymax) / 2, (box.xmin + box.xmax) / 2) for box in boxes]
    down, across = zip(*centres, strict=True)
    rounded = [tuple(map(round, box.box_2d)) for box in boxes]
    counts = Counter(rounded)
    border = [min(box.ymin, box.xmin, 1000 - box.ymax, 1000 - box.xmax) < _BORDER for box in boxes]
    return BoxFigures(
        samples=len(sets),
        highest=max(edges),
        mean_area=statistics.fmean(box.area for box in boxes),
        mean_overlap=statistics.fmean(overlap(*pair) for one in sets for pair in combinations(one, 2)),
        at_border=statistics.fmean(border),
        whole_numbers=statistics.fmean(float(edge).is_integer() for edge in edges),
        centre=(statistics.fmean(down), statistics.fmean(across)),
        spread=(statistics.pstdev(down), statistics.pstdev(across)),
        repeated=statistics.fmean(counts[box] > 1 for box in rounded),
    )


def write_contact_sheet(items: Sequence[Photo], path: Path) -> None:
    """Writes a page, all in one file, with each sample's boxes on the original, draft, crops and descriptions."""
    rows = "\n".join(map(_row, items))
    figures = box_figures([[box for _, box in item.differences] for item in items])
    told = "<br>".join(html.escape(sentence) for sentence in (figures.sentence(), *figures.warnings()))
    page = f"""<!doctype html><meta charset="utf-8"><title>First samples</title>
<style>body{{font:14px sans-serif;margin:16px}}td{{vertical-align:top;padding:6px}}img{{max-width:{_SIDE}px}}</style>
<h1>The first {len(items)} samples</h1><p>{told}</p><table>
<tr><th>original and boxes<th>draft<th>crops and descriptions
{rows}
</table>
"""
    write_atomically(path, page.encode())


def _row(item: Photo) -> str:
    original, draft = (read_image(path) for path, _ in item.pair)
    drawn = original.copy()
    pen = ImageDraw.Draw(drawn)
    cells = []
    for colour, (words, box) in zip(_COLOURS, item.differences, strict=True):
        left, top, right, bottom = box.pixels(*original.size)
        pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=max(2, max(original.size) // 200))
        cells.append(f'<p style="color:{colour}">{html.escape(words)}<br>{_picture(crop(original, box), 160)}</p>')
    caption = html.escape(f"{item.id}: {item.caption or ''}")
    return f"<tr><td>{_picture(drawn)}<br>{caption}<td>{_picture(draft)}<td>{''.join(cells)}"


def _picture(image: Image.Image, side: int = _SIDE) -> str:
    small = image.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
