"""Editors that make no edit: what a table has to be read against."""

from __future__ import annotations

from fashionedit.eval_harness.editing import EditorInfo, EditRequest, EditResult


class Identity:
    """Returns the image as it came: the floor, since doing nothing keeps the draft's scores."""

    def describe(self) -> EditorInfo:
        """Returns its name, with the draft among its protocols."""
        return EditorInfo("identity", "identity 1", ("draft", "vanilla", "bug"))

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the base image."""
        return EditResult.ok(request.base)


class ReturnReference:
    """Answers with the reference image: what the leak of the crop alone gives, without any skill or position."""

    def describe(self) -> EditorInfo:
        """Returns its name; it takes part where there is a reference."""
        return EditorInfo("return-reference", "return-reference 1", ("bug",))

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the reference image, in its own size."""
        return EditResult.ok(request.references[0])
