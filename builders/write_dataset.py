"""Stage `shards`: writes the dataset's folder, card and provenance, and picks each sample's examples."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from fashionedit.annotations_form import EVAL_FILE
from fashionedit.card import FRAMEWORK, LEADERBOARD_TASKS, SplitSize
from fashionedit.errors import InvalidImageError
from fashionedit.folder import write_folder
from fashionedit.images import EncodedImage, crop
from fashionedit.parallel import map_in_order
from fashionedit.rows import EncodedSample, RowImages, SampleFacts, stored_box
from fashionedit.runtime.progress import Progress
from fashionedit.runtime.secrets import masked
from fashionedit.types import SPLITS

from .build_options import BuildOptions, BuildReport
from .inspection import BOXES_FILE
from .leaks import LEAKS_FILE
from .photos import Photo, PhotoSource
from .split import SPLIT_FILE, SplitList
from .stage_store import FUNNEL_FILE, Funnel, StageRecord, StageStore
from .work_folder import stored_settings


def write_dataset(
    out: Path,
    photos: Sequence[Photo],
    samples: Sequence[Photo],
    split: SplitList,
    report: BuildReport,
    provenance: Mapping[str, Any],
    options: BuildOptions,
    progress: Progress,
) -> dict[str, SplitSize]:
    """Writes Parquet, card, manifest, split list, funnel, leak report and `eval.yaml`; all of it or nothing.

    A folder that an earlier build has written gives way; no other does. Of all photographs, one that is no sample may
    still be an example. The card tells DeepFashion's terms where the photographs are DeepFashion-MultiModal's.

    Raises:
        InvalidDataError: `out` holds something else.
        InvalidImageError: A picture is not what it was.
    """
    assert report.leaks is not None
    assert report.figures is not None
    splits = split.splits((sample.id, sample.garment) for sample in samples)
    examples = find_examples(photos, splits=splits) if options.examples else {}
    by_split = {name: [sample for sample in samples if splits[sample.id] == name] for name in SPLITS}
    done = 0

    def rows(items: Sequence[Photo]) -> Iterator[EncodedSample]:
        nonlocal done
        for row in map_in_order(partial(_assemble, examples=examples), items, workers=options.workers):
            yield row
            done += 1
            progress(done, len(samples))

    name = options.name or out.resolve().name
    deepfashion = is_deepfashion(provenance["photographs"])
    return write_folder(
        out,
        {name: rows(items) for name, items in by_split.items() if items},
        name=name,
        licence=options.licence,
        licence_note=DEEPFASHION_LICENCE if deepfashion and options.licence is None else None,
        sections=[
            *card_sections(report.funnel, report.made_with, report.leaks.sentences(), deepfashion=deepfashion),
            ("Boxes", " ".join((report.figures.sentence(), *report.figures.warnings()))),
        ],
        files={
            SPLIT_FILE: split.to_json().encode(),
            FUNNEL_FILE: report.funnel.to_json().encode(),
            BOXES_FILE: report.figures.to_json().encode(),
            LEAKS_FILE: report.leaks.to_json().encode(),
            EVAL_FILE: eval_yaml(name).encode(),
            PROVENANCE_FILE: (json.dumps(provenance, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode(),
        },
        replace=True,
        workers=1,
    )


def _assemble(sample: Photo, examples: Mapping[str, Sequence[Photo]]) -> EncodedSample:
    """Returns the row: original, draft and examples with the bytes of their files, crops and sketches as PNG."""

    def encoded(path: Path, digest: str | None = None) -> tuple[EncodedImage, Image.Image]:
        found, image = EncodedImage.from_file(path, name=str(path))
        if digest not in (None, found.digest):
            raise InvalidImageError(
                f"{path} is another picture than when it was first read; put the old one back, or run all stages again"
            )
        return found, image

    (original, image), (draft, _) = (encoded(path, digest) for path, digest in sample.pair)
    boxes = tuple(stored_box(box.box_2d) for _, box in sample.differences)
    facts = SampleFacts(
        id=sample.id,
        annotation=sample.caption or "",
        descriptions=tuple(text for text, _ in sample.differences),
        boxes=boxes,
        clip_score=sample.clip_score,
        gender=sample.gender,
        category=sample.category,
        garment_id=sample.garment_id,
        view=sample.view,
    )
    images = RowImages(
        original,
        draft,
        crops=tuple(EncodedImage.of(crop(image, box)) for box in boxes),
        sketches=tuple(encoded(path)[0] for path in sample.sketches),
        examples=tuple(encoded(other.path)[0] for other in examples.get(sample.id, ())),
    )
    return EncodedSample(facts, images)


VIEWS = ("front", "full", "side", "back", "flat", "additional")
"""The views of DeepFashion, the most telling first; unknown ones come last."""


def find_examples(
    photos: Sequence[Photo], *, splits: Mapping[str, str], limit: int = 3
) -> dict[str, tuple[Photo, ...]]:
    """Returns for each photograph the best other photographs of its garment, at most `limit`.

    The same colourway goes before another one, as colour is the first thing that is copied from a reference; then the
    views in the order of `VIEWS`, then the ids. A photograph is never its own example, nor is one with the same
    pixels, and no two examples of one photograph have the same pixels. A photograph of another split is
    none either: what is compared with in validation must not be seen in training. One of no split may be shown in each.
    """
    garments: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        if photo.garment_id is not None:
            garments[photo.garment].append(photo)
    found = {}
    for photo in photos:
        others = [
            other
            for other in garments.get(photo.garment, ())
            if other.id not in splits or splits[other.id] == splits.get(photo.id, splits[other.id])
        ]
        chosen: dict[str, Photo] = {}
        for other in sorted(others, key=lambda other: _distance(photo, other)):
            if other.digest != photo.digest:
                chosen.setdefault(other.digest, other)
        if chosen:
            found[photo.id] = tuple(chosen.values())[:limit]
    return found


def _distance(photo: Photo, other: Photo) -> tuple[bool, int, str]:
    view = VIEWS.index(other.view) if other.view in VIEWS else len(VIEWS)
    return (photo.attributes.get("colourway") != other.attributes.get("colourway"), view, other.id)


DEEPFASHION_LICENCE = """\
The photographs and captions are those of [DeepFashion-MultiModal](https://github.com/yumingj/DeepFashion-MultiModal):
for non-commercial research, not to be copied, published or distributed further, in whole or in part. **Do not upload
this folder.** `fashionedit publish` sends a form of it that holds no photograph, no crop and no caption; boxes,
descriptions and drafts may still count as derived from them."""

_GETTING_THE_PHOTOGRAPHS = """\
Ask for DeepFashion-MultiModal where its authors offer it, unpack `images/` and `captions.json`, and fill the published
form in on your own machine:

```console
$ fashionedit hydrate ANNOTATIONS DEEPFASHION OUT
```

Every photograph, caption and crop is compared with the hash that was published with it; what is missing or different
is named."""

_CONTRADICTIONS = """\
The paper, its scripts and its released files disagree in places that move a number:

- Table 1 gives the SD3 drafts CLIP 82.85 and CLIP\\* 1.75 %; the scores released for the same 11,546 images
  (`captions_top.json`) have the mean 87.43, and 10.45 % above 90. One of them comes from another encoder or
  other images.
- Table 1 has no row for doing nothing. Read no score without the draft's beside it.
- The reference crop is cut from the image that results are compared with: pasting it back raises every metric without
  any skill. Read no score of the image protocol without the paste-reference row beside it.
- The 11,546 images show 4,849 garments. A random split, as in the paper, has garments in both parts, and errors are
  correlated within a garment.
- The paper's validation list, the resize of its originals and its seeds were never published."""

_CITATION = """\
The method and the protocol are those of *Fine-Grained Customized Fashion Design with Image-into-Prompt Benchmark and
Dataset from LMM* (arXiv 2509.09324)."""


def card_sections(
    funnel: Funnel, made_with: Mapping[str, str], leaks: Sequence[str], *, deepfashion: bool
) -> list[tuple[str, str]]:
    """Returns heading and Markdown text of each section."""
    made = "\n".join(f"| {what} | {how.replace('|', '/')} |" for what, how in made_with.items())
    return [
        ("How it was made", f"{funnel.to_markdown()}\n\n| part | made with |\n|---|---|\n{made}"),
        ("Splits", " ".join(leaks)),
        *([("Getting the photographs", _GETTING_THE_PHOTOGRAPHS)] if deepfashion else []),
        ("What is unclear", _CONTRADICTIONS),
        ("Citation", _CITATION),
    ]


def eval_yaml(name: str) -> str:
    """Returns the file's text, with every field of the Hub's specification: name, description, framework, tasks.

    The Hub knows evaluation frameworks and benchmarks from lists of its own; until this one is on them, it shows no
    leaderboard for the file.
    """
    import yaml

    content = {
        "name": " ".join(name.split()),
        "description": (
            "Fine-grained fashion image editing in three rounds, by text (vanilla) and by text and reference image "
            "(bug); scored against the original after the last round: CLIP* (% of samples above a cosine of 0.9), CLIP "
            "(cosine × 100), PSNR (dB)."
        ),
        "evaluation_framework": FRAMEWORK,
        "tasks": [{"id": task, "config": "default", "split": "validation"} for task in LEADERBOARD_TASKS],
    }
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    return text


PROVENANCE_FILE = "provenance.json"


def is_deepfashion(described: Mapping[str, Any]) -> bool:
    """Returns whether the photographs are DeepFashion-MultiModal's, as far as the source's description shows it."""
    return described["kind"] in ("deepfashion", "release") or "deepfashion" in str(described.get("spec", "")).lower()


def made_with(provenance: Mapping[str, Any], options: BuildOptions, split: SplitList, encoder: str) -> dict[str, str]:
    """Returns what made each part, by the part's name, in a line each; `provenance` is that of `provenance_of`."""
    limits = []
    if options.selection is not None:
        limits.append(f"a given list of {len(options.selection):,}")
    else:
        if options.min_similarity is not None:
            limits.append(f"similarity ≥ {options.min_similarity:g}")
        if options.top_k is not None:
            limits.append(f"the {options.top_k:,} most similar")
    made = {"photographs and captions": _plain(provenance["photographs"])}
    if drafts := provenance["drafts"]:
        made["drafts"] = _plain(provenance["draft_settings"])
        made["drafts by"] = _counted(drafts, "model")
        made["seed"] = f"{provenance['base_seed']}, with each photograph's id"
    if limits:
        made["selection"] = f"{', '.join(limits)}, by {encoder}"
    if answers := provenance["differences"]:
        asked = sorted({entry["asked"] for entry in answers})
        prompts = sorted({f"{entry['prompt']} (SHA-256 {entry['prompt_sha256'][:12]})" for entry in answers})
        made["differences"] = (
            f"{_counted(answers, 'answered')}, asked for as {', '.join(asked)}, prompt {', '.join(prompts)}, "
            f"temperature {provenance['temperature']}"
        )
    made["split"] = f"{split.rule}, seed {split.seed}"
    return masked(made)


def provenance_of(source: PhotoSource, drafts: StageStore, answers: StageStore, ids: Collection[str]) -> dict[str, Any]:
    """Returns what made the samples of these ids, as plain JSON: which models, for how many, where, and when.

    The stores are those of the stages `generate` and `analyse`.
    """
    generation, analysis = stored_settings(drafts.folder), stored_settings(answers.folder)
    maker = generation.get("maker", {})
    prompt = hashlib.sha256(str(analysis.get("prompt", "")).encode()).hexdigest()
    made = [record for record in drafts.records() if record.id in ids and "seed" in record.data]
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
            for record in answers.records()
            if record.id in ids and "asked" in record.data
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
