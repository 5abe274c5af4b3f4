"""The last stages: what the splits share, and the folder itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fashionedit.annotations_form import EVAL_FILE
from fashionedit.card import SplitSize
from fashionedit.folder import write_folder
from fashionedit.images import read_image
from fashionedit.metrics.embedder import Embedder
from fashionedit.parallel import map_in_order
from fashionedit.rows import EncodedSample
from fashionedit.types import SPLITS

from .assembly import assemble
from .build_options import BuildOptions
from .card_sections import DEEPFASHION_LICENCE, card_sections
from .crops import Cut
from .eval_yaml import eval_yaml
from .examples import find_examples
from .funnel import FUNNEL_FILE, Funnel
from .inspection import BOXES_FILE, box_figures
from .leaks import LEAKS_FILE, LeakReport, find_leaks, near_threshold
from .made_with import PROVENANCE_FILE
from .photo import Pair, Photo
from .split import SPLIT_FILE, SplitList


def compare_splits(
    pairs: Sequence[Pair], split: SplitList, embedder: Embedder, progress: Callable[[int, int], None]
) -> LeakReport:
    """Returns the garments, equal photographs and nearly equal photographs that are in both splits."""
    done = 0

    def finished(count: int) -> None:
        nonlocal done
        done += count
        progress(done, len(pairs))

    vectors = embedder.embed(((pair.original_digest, partial(read_image, pair.photo.path)) for pair in pairs), finished)
    splits = split.splits((pair.photo.id, pair.photo.garment) for pair in pairs)
    items = {pair.photo.id: (splits[pair.photo.id], pair.photo.garment, pair.original_digest) for pair in pairs}
    encoder = embedder.encoder
    named = sum(pair.photo.garment_id is not None for pair in pairs)
    return find_leaks(items, vectors, threshold=near_threshold(encoder), encoder=encoder.label, named=named)


def write_dataset(
    out: Path,
    cuts: Sequence[Cut],
    split: SplitList,
    *,
    photos: Sequence[Photo],
    digests: Mapping[str, str],
    funnel: Funnel,
    leaks: LeakReport,
    made_with: Mapping[str, str],
    provenance: Mapping[str, Any],
    deepfashion: bool,
    options: BuildOptions,
    progress: Callable[[int, int], None],
) -> dict[str, SplitSize]:
    """Writes Parquet, card, manifest, split list, funnel, leak report and `eval.yaml`; all of it or nothing.

    A folder that an earlier build has written gives way; no other does.

    Args:
        out: The dataset's folder.
        cuts: The samples.
        split: Which is in which split.
        photos: All photographs; what is no sample may still be an example.
        digests: Of the photographs' pixels, by id.
        funnel, leaks: Kept beside the data, and told in the card.
        made_with: A line on what made each part, for the card.
        provenance: What made the drafts and the differences, in detail, as plain JSON.
        deepfashion: Whether the photographs are DeepFashion-MultiModal's, whose terms the card then tells.
        options: Name, licence, examples, workers.
        progress: Called with the samples written and the samples in all.

    Raises:
        InvalidDataError: `out` holds something else.
        InvalidImageError: A picture is not what it was.
    """
    splits = split.splits((cut.analysed.pair.photo.id, cut.analysed.pair.photo.garment) for cut in cuts)
    examples: Mapping[str, Sequence[Photo]] = {}
    if options.examples:
        examples = find_examples(photos, digests=digests, splits=splits)
    by_split: dict[str, list[Cut]] = {name: [] for name in SPLITS}
    for cut in cuts:
        by_split[splits[cut.analysed.pair.photo.id]].append(cut)
    done = 0

    def rows(items: Sequence[Cut]) -> Iterator[EncodedSample]:
        nonlocal done
        for row in map_in_order(partial(assemble, examples=examples), items, workers=options.workers):
            yield row
            done += 1
            progress(done, len(cuts))

    name = options.name or out.resolve().name
    told = " ".join(leaks.sentences())
    figures = box_figures([[box for _, box in cut.analysed.differences] for cut in cuts])
    boxes = " ".join((figures.sentence(), *figures.warnings()))
    return write_folder(
        out,
        {name: rows(items) for name, items in by_split.items() if items},
        name=name,
        licence=options.licence,
        licence_note=DEEPFASHION_LICENCE if deepfashion and options.licence is None else None,
        sections=[*card_sections(funnel, made_with, deepfashion=deepfashion, leaks=told), ("Boxes", boxes)],
        files={
            SPLIT_FILE: split.to_json().encode(),
            FUNNEL_FILE: funnel.to_json().encode(),
            BOXES_FILE: figures.to_json().encode(),
            LEAKS_FILE: leaks.to_json().encode(),
            EVAL_FILE: eval_yaml(name).encode(),
            PROVENANCE_FILE: (json.dumps(provenance, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode(),
        },
        replace=True,
        workers=1,
    )
