"""Which photographs of a source a build takes: all, a sample for a first look, or one of several parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .photo import Photo
from .photos import PhotoSource, Unusable
from .photos.source import Progress


class LimitedSource:
    """A source of which only some photographs are taken, spread over all; a higher limit takes the same and more.

    Args:
        source: The whole.
        limit: How many photographs at most; those without a caption and without a draft don't count.
    """

    def __init__(self, source: PhotoSource, limit: int) -> None:
        self._source = source
        self._limit = limit

    @property
    def root(self) -> Path | None:
        """The folder of the whole source."""
        return self._source.root

    def describe(self) -> dict[str, Any]:
        """Returns which source it is; the limit is no part of that."""
        return self._source.describe()

    def photos(self, fetching: Progress | None = None) -> Iterator[Photo | Unusable]:
        """Yields the photographs that are taken, in the order of the ids."""
        named = list(self._source.photos(fetching))
        usable = [item.id for item in named if isinstance(item, Photo) and (item.caption or item.draft)]
        chosen = set(sorted(usable, key=_spread)[: self._limit])
        yield from (item for item in named if item.id in chosen)


def in_share(photos: Sequence[Photo], share: tuple[int, int] | None) -> list[Photo]:
    """Returns the photographs of the k-th of n parts, for `share` = (k, n); all of them without a share."""
    if share is None:
        return list(photos)
    part, parts = share
    return [photo for photo in photos if int(_spread(photo.id), 16) % parts == part - 1]


def _spread(identity: str) -> str:
    """Returns what sorts ids as if at random, the same for ever."""
    return hashlib.sha256(identity.encode()).hexdigest()
