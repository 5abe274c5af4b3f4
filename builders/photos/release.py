"""The authors' release: photographs with drafts and answers, and a selection with its scores."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.files import parse_json, read_regular
from fashionedit.photo_index import read_captions, stem_of
from fashionedit.runtime.progress import Progress
from fashionedit.types import safe_id

from .deepfashion import CAPTIONS_FILE
from .sources import FileTree, Photo, Unusable, photo_facts


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """How two selections differ.

    Args:
        both: Photographs in both, as a number.
        only_ready: Ids only in the ready selection, sorted.
        only_computed: Ids only in the computed one, sorted.
        compared: Photographs with a score from both, selected or not.
        mean_difference: Computed less ready score, mean over these; None where there are none.
        largest_difference: The largest such difference in size, with its sign; None where there are none.
        largest_at: Where it is.
    """

    both: int
    only_ready: tuple[str, ...]
    only_computed: tuple[str, ...]
    compared: int
    mean_difference: float | None
    largest_difference: float | None
    largest_at: str | None

    @property
    def sentence(self) -> str:
        """The differences in a sentence."""
        kept = (
            f"the ready selection and the recomputed one share {self.both:,} photographs; "
            f"{len(self.only_ready):,} are only in the ready one and {len(self.only_computed):,} only in the "
            "recomputed one"
        )
        if self.mean_difference is None or self.largest_difference is None:
            return f"{kept}; no photograph has a score from both"
        return (
            f"{kept}; over {self.compared:,} photographs the recomputed score is {abs(self.mean_difference):.2f} "
            f"{'higher' if self.mean_difference >= 0 else 'lower'} on average, and differs by at most "
            f"{abs(self.largest_difference):.2f} ({self.largest_at})"
        )


def read_selection(path: Path) -> dict[str, float]:
    """Returns the score of each selected photograph by its id, in the order of the ids.

    The file is a JSON object {name: score}. Names may have folders, with either slash, and an ending; scores may be
    quoted.

    Raises:
        InvalidDataError: The file is no such object, a score is no finite number, or a photograph is named twice.
    """
    try:
        values = parse_json(read_regular(path), name=str(path))
    except (OSError, InvalidDataError) as error:
        raise InvalidDataError(
            f"the selection {path} can't be read ({str(error) or type(error).__name__}); give a JSON object of file "
            "names and scores, as captions_top.json is"
        ) from error
    if not isinstance(values, dict):
        raise InvalidDataError(f'{path} is no JSON object; write {{"photograph.png": "87.4", …}}')
    if not values:
        raise InvalidDataError(f"{path} selects nothing; give a JSON object of file names and scores")
    by_id = _by_id(values, path)
    return {identity: _score(path, *by_id[identity]) for identity in sorted(by_id)}


def _by_id(values: Mapping[str, Any], path: Path) -> dict[str, tuple[str, Any]]:
    """Returns name and value of each entry, by the id of the photograph."""
    found: dict[str, tuple[str, Any]] = {}
    for name, value in values.items():
        if (identity := safe_id(stem_of(name))) in found:
            raise InvalidDataError(f"{path} names the photograph {identity} twice; keep one of the two")
        found[identity] = (name, value)
    return found


def _score(path: Path, name: str, value: Any) -> float:
    try:
        score = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        score = math.nan
    if not math.isfinite(score):
        raise InvalidDataError(f"{path}: the score of {name} is {str(value)[:40]!r}; it must be a finite number")
    return score


def compare_selections(
    ready: Mapping[str, float], computed: Mapping[str, float], *, kept_computed: Collection[str]
) -> SelectionReport:
    """Returns how a ready selection differs from ours, which has scores (`computed`) of more than it keeps."""
    theirs, ours = set(ready), set(kept_computed)
    differences = {key: computed[key] - ready[key] for key in sorted(ready.keys() & computed.keys())}
    largest = max(differences, key=lambda key: abs(differences[key]), default=None)
    return SelectionReport(
        both=len(theirs & ours),
        only_ready=tuple(sorted(theirs - ours)),
        only_computed=tuple(sorted(ours - theirs)),
        compared=len(differences),
        mean_difference=math.fsum(differences.values()) / len(differences) if differences else None,
        largest_difference=differences[largest] if largest is not None else None,
        largest_at=largest,
    )


ORIGINALS_FOLDER = "resize_orig"
DRAFTS_FOLDER = "resize_gen"
ANSWERS_FILE = "diff.json"
SCORES_FILE = "captions_top.json"

_MOST_ANSWERS = 512 * 2**20  # bytes


class ReleaseFolder:
    """A folder with `resize_orig/`, `resize_gen/` and `diff.json`, at any depth; `captions_top.json` where it is there.

    Its photographs need no caption; without the captions of DeepFashion they have an empty one.

    Raises:
        DatasetNotFoundError: One of the three is missing.
    """

    def __init__(self, tree: FileTree, captions: Path | None = None) -> None:
        folders = {name: tree.folder(name) for name in (ORIGINALS_FOLDER, DRAFTS_FOLDER)}
        answers = tree.named(ANSWERS_FILE)
        missing = [f"{name}/ with images" for name, folder in folders.items() if folder is None]
        if answers is None:
            missing.append(ANSWERS_FILE)
        if missing or answers is None:
            raise DatasetNotFoundError(
                f"{tree.root} looks like the authors' release and has no {' and no '.join(missing)}; unpack its "
                f"archives {ORIGINALS_FOLDER} and {DRAFTS_FOLDER} there, beside {ANSWERS_FILE}"
            )
        self.root: Path | None = tree.root
        self._tree = tree
        self._folders = folders
        self._answers = answers
        self._scores = tree.named(SCORES_FILE)
        self._captions = captions if captions is not None else tree.named(CAPTIONS_FILE)

    @staticmethod
    def found_in(tree: FileTree) -> bool:
        """Returns whether the folder looks like the release."""
        return tree.folder(ORIGINALS_FOLDER) is not None or tree.folder(DRAFTS_FOLDER) is not None

    def describe(self) -> dict[str, Any]:
        """Returns the kind, the folder's name, and whether captions and scores were found."""
        return {
            "kind": "release",
            "spec": self._tree.name,
            "captions": self._captions.name if self._captions else None,
            "scores": self._scores.name if self._scores else None,
        }

    def photos(self, fetching: Progress | None = None) -> list[Photo | Unusable]:
        """Returns every photograph with its draft and answer, and whatever lacks one of them.

        The score of the authors' selection is an attribute, `selection score`: it is from another encoder than ours.
        """
        originals, drafts = (self._images(name) for name in (ORIGINALS_FOLDER, DRAFTS_FOLDER))
        answers = self._read_answers()
        scores = read_selection(self._scores) if self._scores is not None else {}
        captions = read_captions(self._captions)
        items: list[Photo | Unusable] = []
        for identity in sorted({*originals, *drafts, *answers}):
            missing = [
                (reason, sentence)
                for found, reason, sentence in (
                    (originals, "no original", f"{ORIGINALS_FOLDER} has no image {identity}"),
                    (drafts, "no draft", f"{DRAFTS_FOLDER} has no image {identity}"),
                    (answers, "no answer", f"{ANSWERS_FILE} has no entry {identity}"),
                )
                if identity not in found
            ]
            if missing:
                items.append(Unusable(identity, missing[0][0], " and ".join(sentence for _, sentence in missing)))
                continue
            path = originals[identity]
            facts = photo_facts(path.name)
            facts["caption"] = captions.get(stem_of(path.name), "")
            if identity in scores:
                facts["attributes"]["selection score"] = repr(scores[identity])
            items.append(Photo(identity, path, draft=drafts[identity], answer=answers[identity], **facts))
        return items

    def _images(self, name: str) -> dict[str, Path]:
        folder = self._folders[name]
        return self._tree.by_id(path for path in self._tree.images() if folder and path.is_relative_to(folder))

    def _read_answers(self) -> dict[str, str]:
        """Returns the raw answers by the ids of the photographs; one that is no text becomes JSON again."""
        path = self._answers
        try:
            values = parse_json(read_regular(path, _MOST_ANSWERS), name=str(path))
        except (OSError, InvalidDataError) as error:
            raise InvalidDataError(
                f"{path} can't be read as JSON ({str(error) or type(error).__name__}); download it again"
            ) from error
        if not isinstance(values, Mapping):
            raise InvalidDataError(f"{path} is no JSON object of file names and answers; download it again")
        return {
            identity: answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
            for identity, (_, answer) in _by_id(values, path).items()
        }
