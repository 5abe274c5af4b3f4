"""Baselines: what a table has to be read against. Three see the answer; tables mark them, nobody submits them."""

from __future__ import annotations

from PIL import Image

from fashionedit.errors import EditorError
from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult
from fashionedit.types import Sample


class Identity:
    """Returns the image as it came: the floor, since doing nothing keeps the draft's scores."""

    def describe(self) -> EditorInfo:
        """Returns its name."""
        return EditorInfo("identity", "identity 1")

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the base image."""
        return EditResult.ok(request.base)


class ReturnReference:
    """Answers with the reference image: what the leak of the crop alone gives, without any skill or position."""

    def describe(self) -> EditorInfo:
        """Returns its name; it needs a reference."""
        return EditorInfo("return-reference", "return-reference 1", needs_reference=True)

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the reference image, in its own size."""
        return EditResult.ok(request.references[0])


class PasteReference:
    """Is told the box and pastes the reference there: what the crop gives to whoever knows its place.

    The crop is cut from the very image that results are compared with, so this raises PSNR and CLIP without any skill.
    """

    def describe(self) -> EditorInfo:
        """Returns its name; it needs a reference."""
        return EditorInfo("paste-reference", "paste-reference 1", needs_reference=True, privileged=True)

    def edit(self, request: EditRequest, sample: Sample) -> EditResult:
        """Returns the base image with the reference over the box's pixels, resized (Lanczos) where sizes differ."""
        image = request.base.copy()
        left, top, right, bottom = sample.differences[request.round - 1].box.pixels(image.width, image.height)
        patch = request.references[0]
        if patch.size != (right - left, bottom - top):
            patch = patch.resize((right - left, bottom - top), Image.Resampling.LANCZOS)
        image.paste(patch, (left, top))
        return EditResult.ok(image)


class Oracle:
    """Returns the original: the ceiling."""

    def describe(self) -> EditorInfo:
        """Returns its name."""
        return EditorInfo("oracle", "oracle 1", privileged=True)

    def edit(self, request: EditRequest, sample: Sample) -> EditResult:
        """Returns the original, in its own size."""
        return EditResult.ok(sample.original)


class SyntheticStepper:
    """Applies difference k of a synthetic sample exactly: scores must climb from the draft's to the oracle's."""

    def describe(self) -> EditorInfo:
        """Returns its name."""
        return EditorInfo("synthetic-stepper", "synthetic-stepper 1", privileged=True)

    def edit(self, request: EditRequest, sample: Sample) -> EditResult:
        """Returns the base image with the pixels of this round's box set to the original's.

        Raises:
            EditorError: Draft and original differ in size, so the sample is not of the synthetic set.
        """
        if not request.base.size == sample.draft.size == sample.original.size:
            raise EditorError(
                f"synthetic-stepper was given a draft of {sample.draft.width}×{sample.draft.height} and an original of "
                f"{sample.original.width}×{sample.original.height} pixels; it works on the synthetic set, where they "
                "are equal"
            )
        box = sample.differences[request.round - 1].box.pixels(*sample.original.size)
        image = request.base.copy()
        image.paste(sample.original.crop(box), box[:2])
        return EditResult.ok(image)
