"""The authors' release: photographs, drafts and answers that are there already."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fashionedit.builders.photo import Photo
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.files import parse_json, read_regular
from fashionedit.photographs import read_captions, stem_of
from fashionedit.types import safe_id

from .deepfashion import CAPTIONS_FILE
from .file_names import parse_file_name
from .selection import read_selection
from .source import Progress, Unusable, add_unique
from .tree import FileTree

ORIGINALS_FOLDER = "resize_orig"
DRAFTS_FOLDER = "resize_gen"
ANSWERS_FILE = "diff.json"
SCORES_FILE = "captions_top.json"

_MOST_ANSWERS = 512 * 2**20  # bytes


class ReleaseFolder:
    """A folder with `resize_orig/`, `resize_gen/` and `diff.json`, at any depth; `captions_top.json` where it is there.

    Its photographs need no caption; without the captions of DeepFashion they have an empty one.

    Args:
        tree: The folder.
        captions: The file with the captions of DeepFashion, {name: caption}; by default a `captions.json` here.

    Raises:
        DatasetNotFoundError: One of the three is missing.
    """

    def __init__(self, tree: FileTree, captions: Path | None = None) -> None:
        self._tree = tree
        found = {name: tree.folder(name) for name in (ORIGINALS_FOLDER, DRAFTS_FOLDER)}
        answers = tree.named(ANSWERS_FILE)
        missing = [f"{name}/ with images" for name, folder in found.items() if folder is None]
        if answers is None:
            missing.append(ANSWERS_FILE)
        if missing or answers is None:
            raise DatasetNotFoundError(
                f"{tree.root} looks like the authors' release and has no {' and no '.join(missing)}; unpack its "
                f"archives {ORIGINALS_FOLDER} and {DRAFTS_FOLDER} there, beside {ANSWERS_FILE}"
            )
        self._originals, self._drafts = found[ORIGINALS_FOLDER], found[DRAFTS_FOLDER]
        self._answers = answers
        self._scores = tree.named(SCORES_FILE)
        self._captions = captions if captions is not None else tree.named(CAPTIONS_FILE)

    @staticmethod
    def found_in(tree: FileTree) -> bool:
        """Returns whether the folder looks like the release."""
        return tree.folder(ORIGINALS_FOLDER) is not None or tree.folder(DRAFTS_FOLDER) is not None

    @property
    def root(self) -> Path | None:
        """The folder."""
        return self._tree.root

    def describe(self) -> dict[str, Any]:
        """Returns the kind, the folder's name, and whether captions and scores were found."""
        return {
            "kind": "release",
            "spec": self._tree.root.resolve().name,
            "captions": self._captions.name if self._captions else None,
            "scores": self._scores.name if self._scores else None,
        }

    def photos(self, fetching: Progress | None = None) -> Iterator[Photo | Unusable]:
        """Yields every photograph with its draft and answer, and whatever lacks one of them, in the order of the ids.

        The score of the authors' selection is an attribute, `selection score`: it is from another encoder than ours.

        Raises:
            InvalidDataError: Two files are one photograph, or a JSON file is not what it must be.
        """
        originals, drafts = (self._images(folder) for folder in (self._originals, self._drafts))
        answers = self._read_answers()
        scores = read_selection(self._scores) if self._scores is not None else {}
        captions = read_captions(self._captions) if self._captions is not None else {}
        for identity, stem in sorted({safe_id(stem): stem for stem in {*originals, *drafts, *answers}}.items()):
            missing = [
                (reason, sentence)
                for there, reason, sentence in (
                    (stem in originals, "no original", f"{ORIGINALS_FOLDER} has no image {stem}"),
                    (stem in drafts, "no draft", f"{DRAFTS_FOLDER} has no image {stem}"),
                    (stem in answers, "no answer", f"{ANSWERS_FILE} has no entry {stem}"),
                )
                if not there
            ]
            if missing:
                yield Unusable(identity, missing[0][0], " and ".join(sentence for _, sentence in missing))
                continue
            name = parse_file_name(stem)
            yield Photo(
                identity,
                originals[stem],
                captions.get(stem, ""),
                attributes={
                    **({"colourway": name.colourway} if name else {}),
                    **({"selection score": repr(scores[stem])} if stem in scores else {}),
                },
                draft=drafts[stem],
                answer=answers[stem],
                **(name.facts if name else {}),
            )

    def _images(self, folder: Path | None) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for path in self._tree.images(folder):
            add_unique(found, stem_of(path.name), path, self._tree.root)
        return found

    def _read_answers(self) -> dict[str, str]:
        """Returns the raw answers by the names of the photographs; one that is no text becomes JSON again."""
        try:
            values = parse_json(read_regular(self._answers, _MOST_ANSWERS), name=str(self._answers))
        except (OSError, InvalidDataError) as error:
            raise InvalidDataError(
                f"{self._answers} can't be read as JSON ({str(error) or type(error).__name__}); download it again"
            ) from error
        if not isinstance(values, Mapping):
            raise InvalidDataError(f"{self._answers} is no JSON object of file names and answers; download it again")
        found: dict[str, str] = {}
        for name, value in values.items():
            if (stem := stem_of(name)) in found:
                raise InvalidDataError(f"{self._answers} names the photograph {stem} twice; keep one of the two")
            found[stem] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return found
