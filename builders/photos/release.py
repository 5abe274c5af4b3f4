"""The authors' release: photographs, drafts and answers that are there already, and a selection with its scores."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashionedit.builders.stage_items import Photo
from fashionedit.errors import DatasetNotFoundError, InvalidDataError
from fashionedit.files import parse_json, read_regular
from fashionedit.photo_index import read_captions, stem_of
from fashionedit.types import safe_id

from .deepfashion import CAPTIONS_FILE, parse_file_name
from .sources import FileTree, Progress, Unusable, add_unique


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """How two selections differ.

    Args:
        both: PhotoIndex in both, as a number.
        only_ready: Ids only in the ready selection, sorted.
        only_computed: Ids only in the computed one, sorted.
        compared: PhotoIndex with a score from both, selected or not.
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
        """What a reader of the funnel should know, in a sentence."""
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

    Args:
        path: A JSON object {name: score}. Names may have folders, with either slash, and an ending; scores may be
            quoted.

    Raises:
        InvalidDataError: The file is none of these, a score is no finite number, or a photograph is named twice.
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
    found: dict[str, float] = {}
    for name, value in values.items():
        if (identity := safe_id(stem_of(name))) in found:
            raise InvalidDataError(f"{path} names the photograph {identity} twice; keep one of the two")
        found[identity] = _score(path, name, value)
    return dict(sorted(found.items()))


def compare_selections(
    ready: Mapping[str, float],
    computed: Mapping[str, float],
    *,
    kept_computed: Collection[str],
) -> SelectionReport:
    """Returns how a ready selection differs from a computed one.

    Args:
        ready: Scores of the ready one by id.
        computed: Scores of ours by id, of those not kept too.
        kept_computed: What ours selects.
    """
    theirs, ours = set(ready), set(kept_computed)
    differences = {
        identity: computed[identity] - ready[identity] for identity in sorted(ready.keys() & computed.keys())
    }
    largest = max(differences, key=lambda identity: abs(differences[identity]), default=None)
    return SelectionReport(
        both=len(theirs & ours),
        only_ready=tuple(sorted(theirs - ours)),
        only_computed=tuple(sorted(ours - theirs)),
        compared=len(differences),
        mean_difference=math.fsum(differences.values()) / len(differences) if differences else None,
        largest_difference=differences[largest] if largest is not None else None,
        largest_at=largest,
    )


def _score(path: Path, name: str, value: Any) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        score = float(value)
        if not math.isfinite(score):
            raise ValueError
    except (ValueError, OverflowError):
        raise InvalidDataError(
            f"{path}: the score of {name} is {str(value)[:40]!r}; it must be a finite number"
        ) from None
    return score


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
