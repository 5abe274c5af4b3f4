"""Scoring by Ray workers: a block of pairs and changes goes to one of them, with its pictures as files.

A worker holds the encoder and the metrics, decodes, and answers with numbers; they are stored here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.eval_harness.samples import SampleImage, SampleSource, SentSample
from fashionedit.metrics.cache import EmbeddingCache
from fashionedit.metrics.embedder import Embedder
from fashionedit.metrics.encoder import Precision, fingerprint_hash
from fashionedit.metrics.loading import check_encoder, load_encoder
from fashionedit.metrics.ray_embedder import (
    EncoderFacts,
    EncoderReplica,
    Known,
    RayEmbedder,
    RemoteEncoder,
    SentPicture,
    in_order,
    placed_encoder,
    sent_picture,
    shipped_encoder,
)
from fashionedit.metrics.registry import Metric, find_metric, load_metrics
from fashionedit.runtime.ray_engine import RayEngine, RayWorkers, WorkersLostError
from fashionedit.runtime.shipped_files import ShippedPath, shipped_code

from .baselines import Baselines, Drawn
from .blocks import Block, Found, compute, scorers_of
from .measures import Change, Opener, Pictures, digest_of

_AHEAD = 2  # blocks that are read or stored, for each that is computed
_DRAWN_AT_ONCE = 4  # samples whose baselines a worker draws in one request


@dataclass(frozen=True, slots=True)
class ScoringFacts:
    """What a worker tells: of the encoder, and of those that metrics name."""

    encoder: EncoderFacts
    named: Mapping[str, EncoderFacts]
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SentBlock:
    """A block on its way, with its pictures and the embeddings that are known."""

    block: Block
    pictures: tuple[SentPicture, ...]
    known: Known


class ScoringReplica(EncoderReplica):
    """The encoder and the metrics in a worker."""

    def __init__(
        self, names: Sequence[str], encoder: str, device: str, precision: Precision, places: Mapping[str, str]
    ):
        super().__init__(load_encoder(placed_encoder(encoder, places), device=device, precision=precision))
        self._named: dict[str, Embedder] = {}

        def load_named(spec: str) -> Embedder:
            loaded = load_encoder(placed_encoder(spec, places), device=device, precision=precision)
            self._named[spec] = self.embedder(loaded)
            return self._named[spec]

        self._embedder = self.embedder(self.encoder)
        metrics = load_metrics([_placed_metric(name, places) for name in names], self._embedder, load_named)
        self._scorers = scorers_of(metrics)
        self._ids = tuple(fingerprint_hash(dict(metric.fingerprint)) for metric in metrics)

    def facts(self) -> ScoringFacts:
        """Returns what is the same in all workers."""
        named = {spec: EncoderFacts.of(embedder.encoder) for spec, embedder in self._named.items()}
        return ScoringFacts(EncoderFacts.of(self.encoder), named, self._ids)

    def draw(self, baselines: Baselines, samples: Sequence[SentSample]) -> list[Drawn | None]:
        """Returns what the baselines come to for each sample."""
        return [baselines.draw(sample, *sample.ids) for sample in samples]

    def score(self, sent: SentBlock) -> tuple[Found, Known]:
        """Returns the values of a block, and the embeddings that were made for them."""
        self.vectors.begin(sent.known)
        pictures = Pictures()
        for picture in sent.pictures:
            pictures.name(picture.digest, picture.open)
        found = Found()
        compute(sent.block, pictures, self._scorers, self._embedder, found)
        for embedder in (self._embedder, *self._named.values()):
            embedder.forget()
        return found, self.vectors.made


class RayScoring(RayEmbedder):
    """An embedder whose workers score whole blocks too."""

    def __init__(self, workers: RayWorkers, cache: EmbeddingCache | None) -> None:
        facts: ScoringFacts = workers.facts
        super().__init__(workers, facts.encoder, cache)
        self._facts = facts.encoder
        self._named = facts.named
        self._stored = [one for found in (facts.encoder, *facts.named.values()) for one in found.stored_as]

    @classmethod
    def loaded(
        cls,
        names: Sequence[str],
        encoder: str,
        engine: RayEngine,
        *,
        device: str = "auto",
        precision: Precision = "fp32",
        tell: Callable[[str], None] | None = None,
    ) -> tuple[RayScoring, list[Metric]]:
        """Returns the embedder and the metrics, as `Scoring.load` does; the workers have started.

        Raises:
            FashionEditError: What `load_encoder`, `load_metrics` and `RayWorkers` raise.
        """
        check_encoder(encoder)
        named = [spec for _, spec in map(find_metric, names) if spec]
        folders = [shipped for spec in (encoder, *named) for shipped in shipped_encoder(spec)]
        code = [shipped for name in names for shipped in _shipped_metric(name)]
        load = partial(ScoringReplica, tuple(names), encoder, device, precision)
        workers = RayWorkers(engine, load, (*folders, *code), what=f"the encoder {encoder}", tell=tell)
        try:
            embedder = cls(workers, EmbeddingCache())
            metrics = load_metrics(names, embedder, embedder.load_named)
        except BaseException:
            workers.close()
            raise
        return embedder, list(metrics)

    def load_named(self, spec: str) -> Embedder:
        """Returns an embedder with the facts of an encoder that a metric names; only workers encode with it."""
        return Embedder(RemoteEncoder(self.workers, self._named[spec]))

    def draw(
        self, source: SampleSource, baselines: Baselines, names: Sequence[str]
    ) -> Iterator[tuple[str, Drawn | None]]:
        """Yields what the baselines come to for each sample, in order; None for one over which several workers died."""
        parts = [names[start : start + _DRAWN_AT_ONCE] for start in range(0, len(names), _DRAWN_AT_ONCE)]
        for part, drawn in in_order(parts, partial(self._draw, source, baselines), _AHEAD * self.workers.count):
            yield from zip(part, drawn, strict=True)

    def _draw(self, source: SampleSource, baselines: Baselines, names: Sequence[str]) -> list[Drawn | None]:
        samples = [SentSample(source, name) for name in names]
        try:
            drawn: list[Drawn | None] = self.workers.ask("draw", baselines, samples)[0]
        except WorkersLostError:
            return [None] * len(names)
        return drawn

    def scored(self, blocks: Iterable[Block], pictures: Pictures) -> Iterator[tuple[Block, Found]]:
        """Yields each block with its values, in order.

        Raises:
            InvalidImageError: A picture can't be opened, or is not the recorded one.
            InvalidDataError: A metric fails, or several workers died over a block.
        """
        for block, (found, made) in in_order(blocks, partial(self._score, pictures), _AHEAD * self.workers.count):
            if self.cache is not None:
                for stored_as in self._stored:
                    if rows := made.get(fingerprint_hash(stored_as)):
                        self.cache.put(stored_as, rows)
            yield block, found

    def _score(self, pictures: Pictures, block: Block) -> tuple[Found, Known]:
        known: Known = {}
        if self.cache is not None:
            digests = {*block.digests, *(name for one in block.changes for name in _derived(one.change))}
            with self._lock:
                for stored_as in self._facts.stored_as:
                    known[fingerprint_hash(stored_as)] = self.cache.get(stored_as, digests, self._facts.dimension)
        samples: dict[str, SentSample] = {}
        sent = tuple(_sent(digest, pictures.opener(digest), samples) for digest in block.digests)
        try:
            found: tuple[Found, Known] = self.workers.ask("score", SentBlock(block, sent, known))[0]
        except WorkersLostError as error:
            raise InvalidDataError(
                f"a block of pairs can't be scored ({error}); what was scored before is kept"
            ) from error
        except InvalidImageError:
            for digest in block.digests:  # says which image it is, and of which round
                pictures.open(digest)
            raise
        return found


def _sent(digest: str, opener: Opener, samples: dict[str, SentSample]) -> SentPicture:
    """Returns the picture; the worker itself draws one that follows from a sample, which is sent once."""
    picture = SentPicture(digest, opener) if isinstance(opener, SampleImage) else sent_picture(digest, opener)
    image = picture.data
    if not isinstance(image, SampleImage):
        return picture
    if image.sample not in samples:
        samples[image.sample] = SentSample(image.source, image.sample)
    return replace(picture, data=replace(image, source=samples[image.sample]))


def _derived(change: Change) -> Iterator[str]:
    for digest in (change.image, change.original):
        yield digest_of(change.box, "inside", digest)


def _shipped_metric(name: str) -> tuple[ShippedPath, ...]:
    return shipped_code(name) if name.rpartition(":")[0].endswith(".py") else ()


def _placed_metric(name: str, places: Mapping[str, str]) -> str:
    place, colon, rest = name.rpartition(":")
    return f"{places.get(place, place)}{colon}{rest}" if colon else name
