"""From what the stages found to a row of the dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fashionedit.errors import InvalidImageError
from fashionedit.images import EncodedImage, crop
from fashionedit.rows import EncodedSample, SampleFacts, stored_box

from .crops import Cut
from .photo import Photo


def assemble(item: Cut, examples: Mapping[str, Sequence[Photo]]) -> EncodedSample:
    """Returns the row: original and draft with the bytes of their files, crops and sketches as PNG.

    Args:
        item: A pair whose crops were seen.
        examples: Other photographs of the same garment, by photograph.

    Raises:
        InvalidImageError: A file can't be read any more, or holds another picture than it did.
    """
    pair, photo = item.analysed.pair, item.analysed.pair.photo
    original, image = EncodedImage.from_file(photo.path, name=str(photo.path))
    draft, _ = EncodedImage.from_file(pair.draft, name=str(pair.draft))
    for found, wanted, path in (
        (original.digest, pair.original_digest, photo.path),
        (draft.digest, pair.draft_digest, pair.draft),
    ):
        if found != wanted:
            raise InvalidImageError(
                f"{path} is another picture than when it was first read; put the old one back, or run all stages again"
            )
    boxes = tuple(stored_box(box.box_2d) for _, box in item.analysed.differences)
    facts = SampleFacts(
        id=photo.id,
        annotation=photo.caption or "",
        descriptions=tuple(text for text, _ in item.analysed.differences),
        boxes=boxes,
        clip_score=pair.clip_score,
        gender=photo.gender,
        category=photo.category,
        garment_id=photo.garment_id,
        view=photo.view,
    )
    return EncodedSample(
        facts,
        original,
        draft,
        crops=tuple(EncodedImage.of(crop(image, box)) for box in boxes),
        sketches=tuple(EncodedImage.from_file(path, name=str(path))[0] for path in item.sketches),
        examples=tuple(
            EncodedImage.from_file(other.path, name=str(other.path))[0] for other in examples.get(photo.id, ())
        ),
    )
