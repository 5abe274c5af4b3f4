"""How much faster scoring is than a plain loop, on pictures and a model of real size, with the same numbers.

The plain loop is the reference definition taken literally: one pair at a time, both pictures encoded alone, each
decoded twice, by Pillow for CLIP and by OpenCV for PSNR. It is run without gradients, which favours it.

    python benchmarks/scoring.py [--pairs 8] [--rounds 5]

Exits with 1 if a bar is missed. Random weights: the times are real, the scores mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import transformers
from PIL import Image

from fashionedit.eval_harness.scores.measures import Pictures
from fashionedit.images import pixel_digest, read_image
from fashionedit.metrics import Embedder, EmbeddingCache, ImageEncoder, load_encoder, load_metrics

MIN_SPEEDUP = 1.1
MIN_SPEEDUP_CACHED = 2.0
MAX_DIFFERENCE = 1e-5
ORIGINAL_SIZE = (750, 1101)
RESULT_SIZE = (1024, 1024)

Paths = tuple[Path, Path]


class PairScores(NamedTuple):
    """Cosine, -1..1, and PSNR, dB, of a pair."""

    cosine_similarity: float
    psnr: float


def photograph(size: tuple[int, int], seed: int) -> Image.Image:
    """A picture with the spectrum of a photograph: smooth shading, a pattern, and a little grain."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((size[1], size[0], 3), dtype=np.float32)
    for cells, strength in ((3, 90), (12, 40), (60, 16), (250, 8)):
        field = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        pixels += (np.asarray(field.resize(size, Image.Resampling.BICUBIC), dtype=np.float32) / 127.5 - 1) * strength
    pixels += random.normal(0, 2.5, pixels.shape).astype(np.float32)
    return Image.fromarray(np.clip(pixels + 128, 0, 255).astype(np.uint8))


def write_pairs(folder: Path, count: int) -> list[Paths]:
    """Results as 1024 × 1024 PNG and originals as 750 × 1101 JPEG."""
    pairs = []
    for number in range(count):
        result, original = folder / f"{number}.png", folder / f"{number}.jpg"
        picture = photograph(ORIGINAL_SIZE, number)
        picture.save(original, quality=92)
        Image.blend(picture.resize(RESULT_SIZE), photograph(RESULT_SIZE, 1000 + number), 0.3).save(result)
        pairs.append((result, original))
    return pairs


def write_model(folder: Path) -> None:
    """A CLIP ViT-L/14 of exact shape with random weights."""
    torch.manual_seed(0)
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    vision |= {"patch_size": 14, "image_size": 224, "projection_dim": 768}
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=768)
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessorPil().save_pretrained(folder)


def plain_loop(pairs: list[Paths], model: transformers.CLIPModel, processor: object) -> list[PairScores]:
    """The reference definition, literally."""

    def embed(path: Path) -> torch.Tensor:
        with Image.open(path) as image:
            found = model.get_image_features(**processor(images=image, return_tensors="pt"))
        return getattr(found, "pooler_output", found)

    scores = []
    for paths in pairs:
        with torch.no_grad():
            cosine = torch.nn.functional.cosine_similarity(embed(paths[0]), embed(paths[1])).item()
        first, second = (cv2.resize(cv2.imread(str(path)), (256, 256)) for path in paths)
        scores.append(PairScores(cosine, cv2.PSNR(first, second)))
    return scores


def ours(
    pairs: list[Paths], encoder: ImageEncoder, cache: EmbeddingCache, digests: dict[Path, str]
) -> list[PairScores]:
    """The same pairs through this package; a picture whose digest is known is looked up before it is opened."""
    pictures = Pictures()
    for path in digests:
        pictures.name(digests[path], partial(read_image, path))
    shown = [tuple(pictures.picture(digests[path]) for path in pair) for pair in pairs]
    columns = load_metrics(("clip", "psnr"), Embedder(encoder, cache))
    return list(starmap(PairScores, zip(*(metric.score(shown) for metric in columns), strict=True)))


def timed(run: Callable[[], list[PairScores]]) -> tuple[tuple[float, float], list[PairScores]]:
    """Seconds of wall and of CPU, and the scores."""
    wall, cpu = time.perf_counter(), time.process_time()
    scores = run()
    return (time.perf_counter() - wall, time.process_time() - cpu), scores


def largest_differences(first: list[PairScores], second: list[PairScores]) -> tuple[float, float]:
    both = list(zip(first, second, strict=True))
    cosine = max(abs(one.cosine_similarity - other.cosine_similarity) for one, other in both)
    return cosine, max(abs(one.psnr - other.psnr) for one, other in both)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs = write_pairs(folder, options.pairs)
        write_model(folder / "vit-l-14")
        model = transformers.CLIPModel.from_pretrained(folder / "vit-l-14", dtype=torch.float32).eval()
        processor = transformers.CLIPImageProcessorPil.from_pretrained(folder / "vit-l-14")
        encoder = load_encoder(f"clip:{folder / 'vit-l-14'}", device="cpu")
        digests = {path: pixel_digest(read_image(path)) for pair in pairs for path in pair}  # as a run records them
        originals = {path: digests[path] for _, path in pairs}
        filled = EmbeddingCache(folder / "filled")
        Embedder(encoder, filled).embed((digest, partial(read_image, path)) for path, digest in originals.items())
        print(f"{options.pairs} pairs, ViT-L/14 fp32, {torch.get_num_threads()} threads, {encoder.environment}")
        plain_loop(pairs[:1], model, processor)

        times: dict[str, list[tuple[float, float]]] = {"plain loop": [], "ours": [], "ours, originals cached": []}
        differences = []
        for number in range(options.rounds):
            empty = EmbeddingCache(folder / f"empty-{number}")
            known = EmbeddingCache(folder / f"known-{number}")
            known.put(encoder.fingerprint, filled.get(encoder.fingerprint, originals.values(), encoder.dimension))
            runs = {
                "plain loop": partial(plain_loop, pairs, model, processor),
                "ours": partial(ours, pairs, encoder, empty, digests),
                "ours, originals cached": partial(ours, pairs, encoder, known, digests),
            }
            scores = {}
            for label in [*list(runs)[number % 3 :], *list(runs)[: number % 3]]:  # nobody is always first
                seconds, scores[label] = timed(runs[label])
                times[label].append(seconds)
                print(f"  round {number + 1}: {label:24} {seconds[0]:6.1f} s", file=sys.stderr)
            differences += [largest_differences(scores["plain loop"], scores[label]) for label in list(runs)[1:]]
    return report(times, differences, options.pairs)


def report(times: dict[str, list[tuple[float, float]]], differences: list[tuple[float, float]], pairs: int) -> int:
    """Prints medians over the rounds; ratios are taken within a round, so that a busy machine slows both sides."""
    ratios = {}
    for label, found in times.items():
        both = list(zip(times["plain loop"], found, strict=True))
        ratios[label] = statistics.median(plain[0] / own[0] for plain, own in both)
        wall, cpu = (statistics.median(seconds[kind] for seconds in found) / pairs for kind in (0, 1))
        of_cpu = statistics.median(plain[1] / own[1] for plain, own in both)
        print(f"{label:24} {wall:6.3f} s a pair {ratios[label]:5.2f} ×    CPU {cpu:6.3f} s {of_cpu:5.2f} ×")
    cosine, psnr = (max(values) for values in zip(*differences, strict=True))
    print(f"largest difference       cosine {cosine:.1e}, PSNR {psnr:.1e} dB")
    bars = {
        f"at least {MIN_SPEEDUP} × without cached originals": ratios["ours"] >= MIN_SPEEDUP,
        f"at least {MIN_SPEEDUP_CACHED} × with cached originals": ratios["ours, originals cached"]
        >= MIN_SPEEDUP_CACHED,
        f"numbers within {MAX_DIFFERENCE:g}": max(cosine, psnr) <= MAX_DIFFERENCE,
    }
    for bar, met in bars.items():
        print(f"{'met   ' if met else 'MISSED'} {bar}")
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
