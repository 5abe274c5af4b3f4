"""The reference kind `example`: other photographs of the same garment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from fashionedit.errors import InvalidDataError

from .photo import Photo

COLOURWAY = "colourway"
"""The attribute of a photograph that tells the colours of one garment apart."""

VIEWS = ("front", "full", "side", "back", "flat", "additional")
"""The views of DeepFashion, the most telling first; unknown ones come last."""


def find_examples(
    photos: Sequence[Photo],
    *,
    limit: int = 3,
    digests: Mapping[str, str] | None = None,
    splits: Mapping[str, str] | None = None,
) -> dict[str, tuple[Photo, ...]]:
    """Returns for each photograph the best other photographs of its garment; it is left out where there are none.

    The same colourway goes before another one, as colour is the first thing that is copied from a reference; then the
    views in the order of `VIEWS`, then the ids. A photograph is never its own example, nor is one with the same
    pixels, and no two examples of one photograph have the same pixels.

    Args:
        photos: All that may be shown, whether they become samples or not. One without a garment id has no examples.
        limit: How many at most.
        digests: The pixel digest of each photograph, by id, where it is known.
        splits: The split of each sample, by id. A photograph of another split is never an example: what is compared
            with in validation must not be seen in training. Split by garment, this takes nothing away; split at
            random, it takes away those that fell on the other side. A photograph of no split may be shown in each.

    Raises:
        InvalidDataError: The limit is below 1.
    """
    if limit < 1:
        raise InvalidDataError(f"at most {limit} examples are asked for; give 1 or more")
    digests, splits = digests or {}, splits or {}
    garments: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        if photo.garment_id is not None:
            garments[photo.garment].append(photo)
    found = {}
    for photo in photos:
        others = [
            other
            for other in garments.get(photo.garment, ())
            if other.id not in splits or splits[other.id] == splits.get(photo.id, splits[other.id])
        ]
        seen = {photo.id, digests.get(photo.id, photo.id)}
        chosen = []
        for other in sorted(others, key=lambda other: _distance(photo, other)):
            if not seen.isdisjoint(pixels := {other.id, digests.get(other.id, other.id)}):
                continue
            seen |= pixels
            chosen.append(other)
            if len(chosen) == limit:
                break
        if chosen:
            found[photo.id] = tuple(chosen)
    return found


def _distance(photo: Photo, other: Photo) -> tuple[bool, int, str]:
    view = VIEWS.index(other.view) if other.view in VIEWS else len(VIEWS)
    return (photo.attributes.get(COLOURWAY) != other.attributes.get(COLOURWAY), view, other.id)
