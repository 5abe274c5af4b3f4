"""What made each part of a dataset: in a line each for its card, and in detail for `provenance.json`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from fashionedit.runtime.secrets import masked

from .build_options import BuildOptions, BuildParts
from .photos import PhotoSource
from .split import SplitList
from .stage_store import StageRecord

PROVENANCE_FILE = "provenance.json"


def is_deepfashion(source: PhotoSource) -> bool:
    """Returns whether the photographs are DeepFashion-MultiModal's, as far as the source shows it."""
    described = source.describe()
    return described["kind"] in ("deepfashion", "release") or "deepfashion" in str(described.get("spec", "")).lower()


def made_with(
    parts: BuildParts, options: BuildOptions, split: SplitList, provenance: Mapping[str, Any]
) -> dict[str, str]:
    """Returns what made each part, by the part's name, in a line each; `provenance` is that of `provenance_of`."""
    limits = []
    if options.selection is not None:
        limits.append(f"a given list of {len(options.selection):,}")
    else:
        if options.min_similarity is not None:
            limits.append(f"similarity ≥ {options.min_similarity:g}")
        if options.top_k is not None:
            limits.append(f"the {options.top_k:,} most similar")
    made = {"photographs and captions": _plain(parts.source.describe())}
    if drafts := provenance["drafts"]:
        made["drafts"] = _plain(provenance["draft_settings"])
        made["drafts by"] = _counted(drafts, "model")
        made["seed"] = f"{provenance['base_seed']}, with each photograph's id"
    if limits:
        made["selection"] = f"{', '.join(limits)}, by {parts.encoder_name}"
    if answers := provenance["differences"]:
        asked = sorted({entry["asked"] for entry in answers})
        prompts = sorted({f"{entry['prompt']} (SHA-256 {entry['prompt_sha256'][:12]})" for entry in answers})
        made["differences"] = (
            f"{_counted(answers, 'answered')}, asked for as {', '.join(asked)}, prompt {', '.join(prompts)}, "
            f"temperature {provenance['temperature']}"
        )
    made["split"] = f"{split.rule}, seed {split.seed}"
    return masked(made)


def provenance_of(
    source: PhotoSource,
    *,
    drafts: Iterable[StageRecord],
    answers: Iterable[StageRecord],
    generation: Mapping[str, Any],
    analysis: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns what made the samples, as plain JSON: which models answered, for how many, where, and when.

    Args:
        source: Where the photographs are.
        drafts, answers: The records of the samples' drafts and differences.
        generation, analysis: The kept settings of the two stages; empty where everything was there already.
    """
    maker = generation.get("maker", {})
    prompt = hashlib.sha256(str(analysis.get("prompt", "")).encode()).hexdigest()
    made = [record for record in drafts if "seed" in record.data]
    return {
        "format_version": 1,
        "photographs": source.describe(),
        "draft_settings": maker,
        "base_seed": generation.get("base_seed"),
        "drafts": _groups(
            ({key: record.data["effective"].get(key, maker.get(key)) for key in ("kind", "model", "host")}, record)
            for record in made
        ),
        "temperature": analysis.get("temperature"),
        "prompt": analysis.get("prompt"),
        "differences": _groups(
            (
                {
                    "asked": record.data["asked"]["model"],
                    "answered": record.data.get("model") or "a model without a name",
                    "host": urlsplit(f"//{record.data['asked'].get('host') or ''}").hostname,  # older ones have a port
                    "prompt": record.data["asked"]["prompt"],
                    "prompt_sha256": prompt,
                },
                record,
            )
            for record in answers
            if "asked" in record.data
        ),
    }


def _groups(items: Iterable[tuple[dict[str, Any], StageRecord]]) -> list[dict[str, Any]]:
    """Returns each group of equal facts once, with the number of samples and the first and the last date."""
    groups: dict[str, list[str | None]] = defaultdict(list)
    for facts, record in items:
        groups[json.dumps(facts, sort_keys=True)].append(record.data.get("date"))
    found = []
    for text, dates in sorted(groups.items()):
        days = sorted(day for day in dates if day is not None)
        found.append({**json.loads(text), "samples": len(dates), "dates": [days[0], days[-1]] if days else None})
    return found


def _counted(groups: Iterable[Mapping[str, Any]], name: str) -> str:
    """Returns the values with their numbers of samples: `gpt-4.1-mini-2025-04-14 (24), other (3)`."""
    counts: Counter[str] = Counter()
    for group in groups:
        counts[str(group[name])] += group["samples"]
    return ", ".join(f"{value} ({count:,})" for value, count in counts.most_common())


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
