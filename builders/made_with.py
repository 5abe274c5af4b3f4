"""What made each part of a dataset, in a line each, for its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .build_options import BuildOptions, BuildParts
from .photos import PhotoSource
from .split import SplitList


def is_deepfashion(source: PhotoSource) -> bool:
    """Returns whether the photographs are DeepFashion-MultiModal's, as far as the source shows it."""
    described = source.describe()
    return described["kind"] in ("deepfashion", "release") or "deepfashion" in str(described.get("spec", "")).lower()


def made_with(
    parts: BuildParts, options: BuildOptions, split: SplitList, *, generation: Mapping[str, Any], asked: bool
) -> dict[str, str]:
    """Returns what made each part, by the part's name.

    Args:
        parts: What did the work.
        options: What the stages were told.
        split: Which samples are in which split.
        generation: The kept settings of the stage `generate`; empty where every draft was there already.
        asked: Whether a model was asked for differences, and not all of them were there already.
    """
    limits = [
        *([f"similarity ≥ {options.min_similarity:g}"] if options.min_similarity is not None else []),
        *([f"the {options.top_k:,} most similar"] if options.top_k is not None else []),
    ]
    if options.selection is not None:
        limits = [f"a given list of {len(options.selection):,}"]
    made = {"photographs and captions": _plain(parts.source.describe())}
    if generation:
        made["drafts"] = _plain(generation["maker"])
        made["seed"] = f"{generation['base_seed']}, with each photograph's id"
    if limits:
        made["selection"] = f"{', '.join(limits)}, by {parts.encoder_name}"
    if asked:
        analyst = parts.analyst
        made["differences"] = f"{analyst.model}, prompt {analyst.prompt.name}, temperature {analyst.temperature}"
    made["split"] = f"{split.rule}, seed {split.seed}"
    return made


def _plain(values: Mapping[str, Any]) -> str:
    """Returns the values in words: `diffusers org/name, pipeline StableDiffusion3Pipeline, num_inference_steps 28`."""
    first = " ".join(str(values[name]) for name in ("kind", "model", "spec") if values.get(name))
    rest = {name: value for name, value in values.items() if name not in ("kind", "model", "spec")}
    return ", ".join(filter(None, (first, *_words(rest))))


def _words(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _words(value)
        elif value is not None:
            text = " and ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{name} {text}"
