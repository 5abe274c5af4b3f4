"""The registry of metrics: what a metric is, the table of those that come with the package, and the way to any other.

    class Sharpness(Metric):
        id, label, unit = "sharpness", "Sharpness", "ratio of the gradients' means"

        def score(self, pairs):
            return [gradient(result.pixels) / gradient(original.pixels) for result, original in pairs]

A metric is a line in `METRICS`, an entry point of the group `fashionedit.metrics`, or `file.py:Class` where a name is
asked for. Whatever scores, stores, prints or compares goes over the metrics that it is given and knows none by name.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashionedit.errors import FashionEditError, InvalidDataError, UnknownNameError
from fashionedit.runtime.user_code import described, load_attribute
from fashionedit.types import as_names

from .embedder import Embedder

METRICS: dict[str, str] = {
    "clip": "fashionedit.metrics.paper_metrics:Similarity",
    "clip_star": "fashionedit.metrics.paper_metrics:SimilarityShare",
    "psnr": "fashionedit.metrics.paper_metrics:Psnr",
    "similarity": "fashionedit.metrics.paper_metrics:NamedSimilarity",
    "ssim": "fashionedit.metrics.ssim:Ssim",
}
"""Name → `module:class`; imported when it is asked for. `similarity` is asked for as `similarity:ENCODER`."""

PAPER_METRICS = ("clip", "clip_star", "psnr")
"""The columns of the paper's tables, and of every table unless others are named."""

ENTRY_POINTS = "fashionedit.metrics"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a pair.

    Args:
        digest: Its `pixel_digest`.
        open: Returns it in mode RGB. The pictures opened last are kept, so that several metrics decode one once.
    """

    digest: str
    open: Callable[[], Image.Image]

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The pixels, (H, W, 3), 0..255, in the order red, green, blue."""
        return np.asarray(self.open())


Pairs = Sequence[tuple[Picture, Picture]]
"""Result and original of each pair. They need not have one size."""


class Metric:
    """How near a result is to its original: higher is nearer. A subclass sets the names and `score`.

    Attributes:
        id: Lowercase letters, digits and `_`; names the column in every file.
        label: The column's heading.
        unit: The unit of a value, for the notes.
        scale: Factor from a raw value of `score` to the unit: 100 for a cosine × 100.
        digits: Decimals in tables, 0..6.
        limits: The lowest and the highest value that is possible, in the unit; None where there is none.
        fingerprint: All that a value depends on; values of different fingerprints never stand in one table. The
            source of a class outside the package is added to it.
        identical: The value of two equal pictures, where it would lift a mean; None where it is an ordinary one.
        note: What the caption of a table says of this metric.
        encoder: The label of the encoder that it uses.
        needs_encoder: Whether it is made with an `Embedder`.
        of, threshold: For a share: the id of another metric, and what its raw value must exceed for a sample to
            count. Such a metric has no `score`.
        thresholds: At which thresholds the curve of a share is drawn.
        control: The same metric computed in another way, with `control_limit`: by how much, in the unit, a row may
            lie above it (both cut at `control_most`, if that is given) before `control_note` is printed.
        counted_at: The thresholds of the shares that count this metric, which `load_metrics` names to `count_above`.
        provenance: How the last call of `score` computed: recorded, but no part of the fingerprint. Of several calls
            whole numbers are added up, of floats the largest stays, and texts stand beside each other.
        tolerance: By how much, in the unit, a value may differ that is computed again on another device: in fp32, and
            in half precision.
    """

    id: str = ""
    label: str = ""
    unit: str = ""
    scale: float = 1.0
    digits: int = 2
    limits: tuple[float, float] | None = None
    fingerprint: Mapping[str, str] = {}
    identical: float | None = None
    note: str = ""
    encoder: str | None = None
    needs_encoder: ClassVar[bool] = False
    of: str | None = None
    threshold: float | None = None
    thresholds: tuple[float, ...] = ()
    counted_at: tuple[float, ...] = ()
    provenance: Mapping[str, str | int | float] = {}
    control: Metric | None = None
    control_limit: float = 0.0
    control_most: float | None = None
    control_note: str = ""
    tolerance: tuple[float, float] = (1e-4, 1e-4)

    def score(self, pairs: Pairs, /) -> Sequence[float]:
        """Returns one finite raw value for each pair, in order."""
        raise NotImplementedError

    def count_above(self, threshold: float) -> None:
        """Learns, before anything is scored, that samples with a raw value above the threshold are counted."""
        self.counted_at = tuple(sorted({*self.counted_at, threshold}))


def load_metrics(
    names: Sequence[str], embedder: Embedder | None, load_named: Callable[[str], Embedder] | None = None
) -> tuple[Metric, ...]:
    """Returns the metrics of these names, in order.

    Args:
        names: Keys of `METRICS`, names of entry points, `similarity:ENCODER`, or `file.py:Class`; a text is one name.
        embedder: For the metrics that need an encoder and name none.
        load_named: Returns the embedder of the encoder that a metric names; None where none can be loaded.

    Raises:
        UnknownNameError: Nothing has this name.
        InvalidDataError: What has it is no metric, needs an encoder that is not there, two have one id, or a share
            counts a metric that is not among them.
    """
    metrics = []
    names = as_names(names)
    for name in names:
        cls, encoder_name = find_metric(name)
        chosen = load_named(encoder_name) if encoder_name and load_named else embedder
        if cls.needs_encoder and chosen is None:
            raise InvalidDataError(f"the metric {name} needs an encoder; name one with --encoder")
        metrics.append(_made(name, cls, chosen))
    for place, metric in enumerate(metrics):
        if other := next((names[at] for at in range(place) if metrics[at].id == metric.id), None):
            raise InvalidDataError(f"{other} and {names[place]} are both the metric {metric.id!r}; name one of them")
        if metric.of is not None and metric.of not in {one.id for one in metrics if one.of is None}:
            raise InvalidDataError(
                f"{names[place]} is a share of the metric {metric.of!r}, which is not among {', '.join(names)}; add it"
            )
        for counted in metrics:
            if counted.id == metric.of and metric.threshold is not None:
                counted.count_above(metric.threshold)
    return tuple(metrics)


def needs_encoder(names: Iterable[str]) -> bool:
    """Returns whether a metric among them needs an encoder and names none itself."""
    return any(cls.needs_encoder and not named for cls, named in map(find_metric, as_names(names)))


def find_metric(name: str) -> tuple[type[Metric], str]:
    """Returns the class of a metric, and the encoder that the name names (empty where it names none)."""
    installed = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    base, colon, rest = name.partition(":")
    table = installed | METRICS
    if base in table and (not colon or base == "similarity"):
        if (base == "similarity") != bool(rest):
            raise UnknownNameError("similarity needs the name of an encoder; write similarity:ENCODER")
        place, _, class_name = table[base].partition(":")
        value = getattr(import_module(place), class_name) if base in METRICS else _loaded(table[base])
        return _checked_class(name, value), rest
    if colon and base not in table:
        return _checked_class(name, _loaded(name)), ""
    near = difflib.get_close_matches(base, table, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(near)}? There are" if near else "choose"
    raise UnknownNameError(f"no metric is called {name!r}; {meant} {', '.join(table)}, or file.py:Class")


def _loaded(spec: str) -> Any:
    try:
        return load_attribute(spec, "metric")[0]
    except FashionEditError:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidDataError(f"{spec} can't be imported ({described(error)}); mend its module") from error


def _checked_class(name: str, value: Any) -> type[Metric]:
    if not (inspect.isclass(value) and issubclass(value, Metric)):
        raise InvalidDataError(f"{name} is no metric; give a class that derives from fashionedit.metrics.Metric")
    return value


def _made(name: str, cls: type[Metric], embedder: Embedder | None) -> Metric:
    """Returns an object of the class, whose names and numbers are checked once here."""
    try:
        metric = cls(embedder) if cls.needs_encoder else cls()  # type: ignore[call-arg]  # Metric itself takes none
        if not cls.__module__.startswith("fashionedit."):
            source = hashlib.sha256(Path(inspect.getfile(cls)).read_bytes()).hexdigest()
            metric.fingerprint = {"metric": metric.id, **metric.fingerprint, "source": source}
    except FashionEditError:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidDataError(f"the metric {name} can't be made ({described(error)})") from error
    texts = {"label": metric.label, "unit": metric.unit}
    low, high = metric.limits or (-math.inf, math.inf)
    if not (isinstance(metric.id, str) and re.fullmatch("[a-z][a-z0-9_]{0,63}", metric.id)):
        raise InvalidDataError(f"the metric {name} has the id {metric.id!r}; use lowercase letters, digits and _")
    for field, text in texts.items():
        if not (isinstance(text, str) and text.strip() and text.isprintable() and len(text) <= 120):
            raise InvalidDataError(f"the metric {name} has the {field} {text!r}; give a line of at most 120 characters")
    if not (_is_finite(metric.scale) and metric.scale and low < high and metric.digits in range(7)):
        raise InvalidDataError(
            f"the metric {name} has scale {metric.scale!r}, digits {metric.digits!r}, limits {metric.limits!r}; give a "
            "finite scale, 0 to 6 digits, and a lower and a higher limit"
        )
    return metric


def checked_scores(metric: Metric, pairs: Pairs) -> list[float]:
    """Returns the metric's raw values of the pairs: one finite number each.

    Raises:
        InvalidDataError: The metric raised, or gave something else; nothing that was stored is lost. Errors of this
            package's own, such as a picture that can't be read, pass through.
    """
    try:
        values = metric.score(pairs)
    except FashionEditError:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidDataError(f"the metric {metric.id} failed ({described(error)}); {_KEPT}") from error
    if not isinstance(values, Sequence | np.ndarray):
        raise InvalidDataError(
            f"the metric {metric.id} returned a {type(values).__name__}; return a list with one number a pair; {_KEPT}"
        )
    if len(values) != len(pairs):
        raise InvalidDataError(
            f"the metric {metric.id} returned {len(values)} values for {len(pairs)} pairs; return one each; {_KEPT}"
        )
    for (result, original), value in zip(pairs, values, strict=True):
        if not _is_finite(value):
            raise InvalidDataError(
                f"the metric {metric.id} of image {result.digest[:12]} with original {original.digest[:12]} is "
                f"{value!r}; a score is a finite number, so look at the metric, or at the encoder's weights and "
                f"precision; {_KEPT}"
            )
    return [float(value) for value in values]


_KEPT = "what was scored before is kept"


def _is_finite(value: Any) -> bool:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and math.isfinite(value)
