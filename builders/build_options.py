"""Options and parts of a build, and its report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fashionedit.card import SplitSize
from fashionedit.errors import InvalidDataError, UnknownNameError
from fashionedit.metrics.embedder import Embedder

from .analyse.analyst import Analyst
from .filter import MIN_SIMILARITY
from .generate.drafting import DraftMaker
from .inspection import BoxFigures
from .leaks import LeakReport
from .photos import PhotoSource
from .photos.release import SelectionReport
from .split import SplitRule
from .stage_store import Funnel

STAGES = ("photos", "generate", "filter", "analyse", "crop", "split", "shards")

AGAIN = ("generate", "analyse", "split")
"""The stages that are not made anew without a word: their work was paid for, or others rely on it."""


@dataclass(frozen=True, slots=True)
class BuildParts:
    """The source, the models and the service of a build. Heavy parts are made when their stage begins.

    Args:
        source: Where the photographs are.
        drafts: Makes what makes drafts.
        embedder: Makes what the filter and the leak check compare pictures with.
        analyst: Who is asked for the differences.
        encoder_name: What the card calls the embedder's encoder.
        draft_kind: `diffusers`, `openai` or `folder`: what a plan needs to know of the drafts.
        find_encoder: Raises what is wrong with the encoder; told whether its weights may be fetched.
    """

    source: PhotoSource
    drafts: Callable[[], DraftMaker]
    embedder: Callable[[], Embedder]
    analyst: Analyst
    encoder_name: str = "clip"
    draft_kind: str = "diffusers"
    find_encoder: Callable[[bool], object] = bool


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Options of the stages.

    Args:
        base_seed: Gives each photograph the seed of its draft.
        limit: How many photographs at most, spread over all of them; a higher limit takes the same ones and more.
        min_similarity, top_k: As in `filter_pairs`; without them and without a selection everything goes on.
        selection: The ids that go on, each with the score it was selected by.
        sketches: Whether each crop is drawn as a sketch too.
        examples: Whether other photographs of the same garment are added.
        split_rule, split_seed, validation, listed: As in `split.assign`.
        name: The dataset's; the folder's by default.
        licence: The Hub's short name of the photographs' licence.
        again: The stages whose work may be made, and paid for, anew where captions or settings have changed: some of
            `AGAIN`.
        leave_failed: Whether the dataset is written although some photographs failed and would be tried again.
        retry: Reasons for which photographs were dropped by a paid stage, and are asked about anew.
        keep_going: Whether a paid stage goes on although its first outcomes were all dropped for the same reason.
        workers: Threads that decode and encode.

    Raises:
        InvalidDataError: A number is out of range.
    """

    base_seed: int = 0
    limit: int | None = None
    min_similarity: float | None = MIN_SIMILARITY
    top_k: int | None = None
    selection: Mapping[str, float] | None = None
    sketches: bool = False
    examples: bool = False
    split_rule: SplitRule = "garment"
    split_seed: int = 0
    validation: int | None = None
    listed: Collection[str] | None = None
    name: str | None = None
    licence: str | None = None
    again: Collection[str] = ()
    leave_failed: bool = False
    retry: tuple[str, ...] = ()
    keep_going: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise InvalidDataError(f"at most {self.limit} photographs are asked for; give 1 or more")
        if self.min_similarity is not None and not -100 <= self.min_similarity <= 100:
            raise InvalidDataError(
                f"the least similarity is {self.min_similarity:g}; give a cosine × 100, -100..100, such as 85, or none"
            )
        if self.top_k is not None and self.top_k < 1:
            raise InvalidDataError(f"the top {self.top_k} are asked for; give 1 or more")
        if self.again and (unknown := [stage for stage in self.again if stage not in AGAIN]):
            raise UnknownNameError(f"no stage {unknown[0]!r} can be made again; choose some of {', '.join(AGAIN)}")

    @property
    def filters(self) -> bool:
        """Whether the filter may drop anything."""
        return not (self.min_similarity is None and self.top_k is None and self.selection is None)


@dataclass(frozen=True, slots=True)
class BuildReport:
    """Result of a build.

    Args:
        funnel: How many went on from each stage, and why the others did not.
        out: The dataset, if it was written.
        splits: Its size by split.
        leaks: What the two splits share.
        selection: How the given selection differs from the one that our own scores make.
        made_with: What made each part of the dataset, in a line each; empty if it was not written.
        usd: What generation and analysis have cost in all runs together, as far as prices are known.
        drafts_per_second: Of one process, measured; None if no draft was generated.
        figures: On the boxes of the whole set, if the dataset was written.
        captions_cut: Captions whose end the model that made the drafts did not read, because it has too many tokens.
        sheet: The page of the first samples, if samples were analysed.
    """

    funnel: Funnel
    out: Path | None = None
    splits: Mapping[str, SplitSize] = field(default_factory=dict)
    leaks: LeakReport | None = None
    selection: SelectionReport | None = None
    made_with: Mapping[str, str] = field(default_factory=dict)
    usd: float = 0.0
    drafts_per_second: float | None = None
    figures: BoxFigures | None = None
    sheet: Path | None = None
    captions_cut: int = 0


def stage_names(text: str | None) -> tuple[str, ...]:
    """Returns the stages that a text like `generate,filter` names, in their order; all of them without a text.

    Raises:
        UnknownNameError: One of them is no stage, or none is named.

    >>> stage_names("filter, photos")
    ('photos', 'filter')
    """
    if text is None:
        return STAGES
    asked = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in asked if name not in STAGES]
    if wrong or not asked:
        raise UnknownNameError(f"no stage is called {(wrong or [''])[0]!r}; choose some of {', '.join(STAGES)}")
    return tuple(name for name in STAGES if name in asked)
