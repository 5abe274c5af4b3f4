"""Drafts that Ray workers make: each holds the pipeline, judges and encodes what it makes. Nothing is decoded here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from PIL import Image

from fashionedit.images import EncodedImage
from fashionedit.runtime.ray_engine import RayEngine, RayWorkers, WorkersLostError
from fashionedit.runtime.shipped_files import ShippedPath, moved, named_as_given, shipped_options

from .drafting import DraftMaker, DraftRequest, DraftResult
from .makers import make_drafts
from .stage import judged


@dataclass(frozen=True, slots=True)
class DraftFacts:
    """What a worker tells of its maker; the batch is that of the start."""

    described: dict[str, Any]
    batch_size: int
    highest_cost: float | None
    max_retries: int


class DraftReplica:
    """The maker in a worker."""

    def __init__(self, maker: DraftMaker, places: Mapping[str, str]) -> None:
        self._maker = maker
        self._places = places

    def facts(self) -> DraftFacts:
        """Returns what is the same in all workers."""
        described = {
            name: named_as_given(value, self._places) if isinstance(value, str) else value
            for name, value in self._maker.describe().items()
        }
        retries = int(getattr(self._maker, "max_retries", 0))
        return DraftFacts(described, self._maker.batch_size, self._maker.highest_cost, retries)

    def make(self, requests: Sequence[DraftRequest]) -> tuple[list[DraftResult], int]:
        """Returns the drafts as PNG, and how many go into the next batch."""
        return [_encoded(judged(result)) for result in self._maker.make(requests)], self._maker.batch_size

    def close(self) -> None:
        """Calls the maker's `close`, if it has one."""
        if (close := getattr(self._maker, "close", None)) is not None:
            close()


def _encoded(result: DraftResult) -> DraftResult:
    if isinstance(result.image, Image.Image):
        return replace(result, image=EncodedImage.of(result.image))
    return result


class RayDrafts:
    """A maker of drafts whose replicas are in workers, which start when it is first asked for something.

    Args:
        engine: The cluster.
        load: Called in each worker, with the places of what was shipped.
        shipped: Local files that the workers need.
        what: What makes the drafts, for messages.
        tell: Given a sentence about workers that are missing or lost.
    """

    def __init__(
        self,
        engine: RayEngine,
        load: Callable[[Mapping[str, str]], DraftReplica],
        shipped: Sequence[ShippedPath] = (),
        *,
        what: str,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._begin = partial(RayWorkers, engine, load, shipped, what=what, tell=tell)
        self._batch_size: int | None = None

    @classmethod
    def named(
        cls, spec: str, options: Mapping[str, Any], engine: RayEngine, tell: Callable[[str], None] | None = None
    ) -> RayDrafts:
        """Returns the maker of a name, as `make_drafts` takes it.

        Raises:
            UnknownNameError: The spec names nothing, or the maker takes no such option.
            FashionEditError: What the maker's class raises.
        """
        make_drafts(spec, **options)  # what is wrong with the name or an option is said now
        place = spec.partition(":")[2]
        folder = (ShippedPath.of_path(place, Path(place)),) if place and Path(place).is_dir() else ()
        return cls(
            engine, partial(_load, spec, dict(options)), (*folder, *shipped_options(options)), what=spec, tell=tell
        )

    @cached_property
    def _workers(self) -> RayWorkers:
        return self._begin()

    @property
    def _facts(self) -> DraftFacts:
        facts: DraftFacts = self._workers.facts
        return facts

    @property
    def concurrency(self) -> int:
        """As many calls as there are workers."""
        return self._workers.count

    @property
    def max_retries(self) -> int:
        """As the maker has it."""
        return self._facts.max_retries

    @property
    def batch_size(self) -> int:
        """How many requests go into a call; less once a worker's memory has run out."""
        return self._batch_size or self._facts.batch_size

    @property
    def highest_cost(self) -> float | None:
        """What a draft may cost at most, USD."""
        return self._facts.highest_cost

    def describe(self) -> dict[str, Any]:
        """Returns what the maker says in a worker, so that the drafts are the same ones wherever they are made."""
        return dict(self._facts.described)

    def make(self, requests: Sequence[DraftRequest]) -> list[DraftResult]:
        """Returns the drafts.

        A request over which several workers died has failed. Those that were asked together with it are asked alone.

        Raises:
            ServiceError: The pipeline can't be loaded, or no worker is left.
        """
        try:
            (results, self._batch_size), kills = self._workers.ask("make", list(requests))
        except WorkersLostError as error:
            if len(requests) > 1:
                return [result for request in requests for result in self.make([request])]
            return [DraftResult(reason="worker died", detail=str(error), retry=True)]
        if not kills:
            return list(results)
        return [replace(result, provenance={**result.provenance, "workers_lost": kills}) for result in results]

    def close(self) -> None:
        """Ends the workers, if they were started."""
        if "_workers" in self.__dict__:
            self._workers.close()


def _load(spec: str, options: Mapping[str, Any], places: Mapping[str, str]) -> DraftReplica:
    """Runs in a worker."""
    for given, place in places.items():
        if spec.endswith(f":{given}"):
            spec = spec.removesuffix(given) + place
    return DraftReplica(make_drafts(spec, **{name: moved(value, places) for name, value in options.items()}), places)
