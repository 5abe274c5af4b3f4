"""How much faster scoring is than a plain loop, on pictures and a model of real size, with the same numbers.

The plain loop is the reference definition taken literally: one pair at a time, both pictures encoded alone in fp32,
each decoded twice, by Pillow for CLIP and by OpenCV for PSNR. It is run without gradients, which favours it.

    python benchmarks/scoring.py [--pairs 4] [--rounds 5]

Times are the processor's, of all threads, so that other processes count little; the contenders take turns, ratios are
taken within a round, and medians over the rounds are shown. Random weights: the times are real, the scores mean
nothing. Exits with 1 if a target is missed.
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
from targets import exit_code, show_target

from fashionedit.eval_harness.scores.measures import Asked, Change, Pictures, measure
from fashionedit.images import crop, encode_png, pixel_digest, read_image
from fashionedit.metrics import Embedder, Metric, Picture, load_encoder, load_metrics, peak_signal_noise_ratio
from fashionedit.metrics.mixed_precision import PICTURES
from fashionedit.types import Box

ORIGINAL_SIZE = (750, 1101)
RESULT_SIZE = (1024, 1024)
MAX_DIFFERENCE = 1e-5  # of a cosine in fp32, and of a PSNR in dB
MAX_MEAN_DIFFERENCE = 2e-4  # of the mean cosine in mixed precision
GEMM_SIDE = 2048
FLOPS = 24 * (2 * 257 * 12 * 1024**2 + 4 * 257**2 * 1024) + 2 * 256 * 588 * 1024
"""Of ViT-L/14 on one picture of 257 tokens: linear layers, attention, patches."""

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
    text = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
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


class Scorer:
    """The same pairs through this package, in one precision; a picture whose digest is known is looked up first."""

    def __init__(self, folder: Path, precision: str, pairs: list[Paths], digests: dict[Path, str]) -> None:
        self.embedder = Embedder(load_encoder(f"clip:{folder}", device="cpu", precision=precision))
        self._pairs, self._digests = pairs, digests

    def _pictures(self) -> list[tuple[Picture, Picture]]:
        pictures = Pictures()
        for path, digest in self._digests.items():
            pictures.name(digest, partial(read_image, path))
        return [tuple(pictures.picture(self._digests[path]) for path in pair) for pair in self._pairs]

    def prepare(self, *, originals: bool) -> None:
        """Forgets all embeddings, but for those of the originals where they shall be known."""
        self.embedder.forget()
        if originals:
            self.embedder.embed((original.digest, original.open) for _, original in self._pictures())

    def __call__(self) -> list[PairScores]:
        """The pairs' scores."""
        shown = self._pictures()
        metrics = [metric for metric in load_metrics(("clip", "clip_star", "psnr"), self.embedder) if not metric.of]
        return list(starmap(PairScores, zip(*(metric.score(shown) for metric in metrics), strict=True)))


def seconds_of(run: Callable[[], object]) -> float:
    """Seconds of all the process's threads."""
    began = time.process_time()
    run()
    return time.process_time() - began


def median_of(run: Callable[[], object], rounds: int) -> float:
    run()
    return statistics.median(seconds_of(run) for _ in range(rounds))


def gemm_limit(dtype: torch.dtype, rounds: int) -> float:
    """GF/s of the fastest matrix product there is here: torch's own, or oneDNN's with packed weights."""
    matrix = torch.randn(GEMM_SIDE, GEMM_SIDE).to(dtype)
    runs = [lambda: matrix @ matrix]
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(matrix, GEMM_SIDE)
        runs.append(lambda: torch.ops.mkldnn._linear_pointwise(matrix, packed, None, "none", [], ""))
    except (RuntimeError, AttributeError):
        pass
    with torch.inference_mode():
        return max(2e-9 * GEMM_SIDE**3 / median_of(run, rounds) for run in runs)


def clip_targets(folder: Path, count: int, rounds: int) -> None:
    pairs = write_pairs(folder, max(count, PICTURES // 2))
    digests = {path: pixel_digest(read_image(path)) for pair in pairs for path in pair}  # as a run records them
    calibrating, pairs = pairs, pairs[:count]
    write_model(folder / "vit-l-14")
    model = transformers.CLIPModel.from_pretrained(folder / "vit-l-14", dtype=torch.float32).eval()
    processor = transformers.CLIPImageProcessorPil.from_pretrained(folder / "vit-l-14")
    scorers = {name: Scorer(folder / "vit-l-14", name, pairs, digests) for name in ("fp32", "mixed")}
    whole = Scorer.__new__(Scorer)
    whole.embedder, whole._pairs, whole._digests = scorers["mixed"].embedder, calibrating, digests
    metric = load_metrics(("clip", "clip_star"), whole.embedder)[0]
    spent = seconds_of(lambda: metric.score(whole._pictures()))
    print(f"calibration, once a process: {spent:.1f} s with the {len(calibrating)} pairs; {dict(metric.provenance)}")

    labels = ["plain loop", *(f"{name}{rest}" for name in scorers for rest in ("", ", originals cached"))]
    times: dict[str, list[float]] = {label: [] for label in labels}
    scores: dict[str, list[PairScores]] = {}
    for number in range(rounds):
        for label in [*labels[number % len(labels) :], *labels[: number % len(labels)]]:  # nobody is always first
            name, _, cached = label.partition(", ")
            run: Callable[[], list[PairScores]] = partial(plain_loop, pairs, model, processor)
            if name in scorers:
                run = scorers[name]
                scorers[name].prepare(originals=bool(cached))
            began = time.process_time()
            scores[label] = run()
            times[label].append(time.process_time() - began)
            print(f"  round {number + 1}: {label:24} {times[label][-1]:6.1f} CPU-s", file=sys.stderr, flush=True)
    ratios, plain_rate = {}, 2 * count / statistics.median(times["plain loop"])
    for label in labels:
        ratios[label] = statistics.median(a / b for a, b in zip(times["plain loop"], times[label], strict=True))
        rate = 2 * count / statistics.median(times[label])
        print(f"{label:24} {rate:6.2f} pictures a CPU-second, {ratios[label]:.2f} × the plain loop")
    amx = "amx_bf16" in cpu_flags()
    fp32, fp32_cached = (1.1, 2.2) if amx else (2.0, 4.0)
    show_target("fp32 against the plain loop", ratios["fp32"], at_least=fp32, unit="×")
    show_target("fp32, originals cached", ratios["fp32, originals cached"], at_least=fp32_cached, unit="×")
    show_target("mixed against the plain loop", ratios["mixed"], at_least=4, unit="×")
    show_target("mixed, originals cached", ratios["mixed, originals cached"], at_least=8, unit="×")

    def differences(first: str, second: str) -> np.ndarray:
        return np.abs(np.subtract(scores[first], scores[second])).max(axis=0)

    cosine, psnr = differences("plain loop", "fp32")
    show_target("largest difference of a cosine in fp32", cosine, at_most=MAX_DIFFERENCE)
    show_target("largest difference of a PSNR", psnr, at_most=MAX_DIFFERENCE, unit="dB")
    means = [np.mean([one.cosine_similarity for one in scores[label]]) for label in ("fp32", "mixed")]
    show_target("mean cosine in mixed precision against fp32", abs(means[0] - means[1]), at_most=MAX_MEAN_DIFFERENCE)
    decided = [[one.cosine_similarity > 0.9 for one in scores[label]] for label in ("fp32", "mixed")]
    show_target("pairs that mixed precision decides otherwise", sum(map(bool.__xor__, *decided)), at_most=0)

    encoder = scorers["mixed"].embedder.encoder
    batch = np.random.default_rng(0).standard_normal((8, 3, 224, 224)).astype(np.float32)
    for label, part, dtype, share in (
        ("bf16", encoder.quick, torch.bfloat16, 55),
        ("fp32", encoder.exact, torch.float32, 85),
    ):
        found = []
        for _ in range(rounds):
            limit = gemm_limit(dtype, 1)
            found.append((limit, len(batch) * FLOPS * 1e-9 / seconds_of(lambda part=part: part.encode(batch))))
        reached = statistics.median(100 * speed / limit for limit, speed in found)
        limit, speed = map(statistics.median, zip(*found, strict=True))
        print(f"{label} encoder: {speed:.0f} of {limit:.0f} GF/s, {part.environment['kernels']}")
        most = limit * 1e9 / FLOPS / plain_rate
        print(f"{label} product alone, without decoding and without what is no product: {most:.2f} × the plain loop")
        show_target(f"{label} encoder, of the matrix product's speed", reached, at_least=share, unit="%")


def psnr_targets(folder: Path, rounds: int) -> None:
    result, original = write_pairs(folder, 1)[0]
    first, second = (np.asarray(read_image(path)) for path in (result, original))

    def of_files() -> float:
        return peak_signal_noise_ratio(*(np.asarray(read_image(path)) for path in (result, original)))

    def cv2_psnr(*both: np.ndarray) -> float:
        return cv2.PSNR(*(cv2.resize(one, (256, 256)) for one in both))

    runs = {
        "ours": lambda: peak_signal_noise_ratio(first, second),
        "OpenCV": lambda: cv2_psnr(first, second),
        "ours, from files": of_files,
        "OpenCV, from files": lambda: cv2_psnr(*(cv2.imread(str(path)) for path in (result, original))),
    }
    times = {name: [] for name in runs}
    for _ in range(4 * rounds):
        for name, run in runs.items():
            times[name].append(seconds_of(lambda run=run: [run() for _ in range(5)]) / 5)
    for name, found in times.items():
        print(f"PSNR, {name}: {1e3 * statistics.median(found):.2f} ms a pair")
    for rest in ("", ", from files"):
        both = zip(times[f"ours{rest}"], times[f"OpenCV{rest}"], strict=True)
        show_target(f"PSNR against OpenCV{rest}", statistics.median(a / b for a, b in both), at_most=2, unit="×")
    show_target("PSNR, difference to OpenCV", abs(runs["ours"]() - runs["OpenCV"]()), at_most=1e-9, unit="dB")


def measures_target(folder: Path, rounds: int, samples: int = 3) -> None:
    """A first scoring of an editor with three rounds in both protocols, beside what every table has."""
    pictures_at: dict[str, Path] = {}

    def put(image: Image.Image) -> str:
        digest = pixel_digest(image)
        pictures_at[digest] = folder / f"{digest}.png"
        pictures_at[digest].write_bytes(encode_png(np.asarray(image)))
        return digest

    asked, pairs = [], []
    for number in range(samples):
        original = photograph(ORIGINAL_SIZE, number)
        draft = Image.blend(original.resize(RESULT_SIZE), photograph(RESULT_SIZE, 100 + number), 0.3)
        target, start = put(original), put(draft)
        boxes = [Box(100 + 200 * k, 200, 350 + 200 * k, 600) for k in range(3)]
        crops = [crop(original, box) for box in boxes]
        shown = [put(image) for image in crops]
        images = [start, put(Image.blend(draft, Image.new("RGB", RESULT_SIZE, "grey"), 0.5)), *shown]
        for name in ("vanilla", "bug", "paste-reference"):
            image, before = draft, start
            for k, box in enumerate(boxes):
                place = box.pixels(*RESULT_SIZE)
                size = (place[2] - place[0], place[3] - place[1])
                seed = 10 * number + k + 1000 * len(name)
                image = image.copy()
                image.paste(crops[k].resize(size) if name == "paste-reference" else photograph(size, seed), place[:2])
                if name != "paste-reference":  # a model draws the whole picture anew
                    image = Image.blend(image, photograph(RESULT_SIZE, 5000 + seed), 0.02)
                digest = put(image)
                change = Change(str(number), k + 1, digest, before, start, target, shown[k], box)
                asked.append(Asked.of(change, "unencoded" if name == "paste-reference" else "all"))
                images.append(digest)
                before = digest
        pairs += [(image, target) for image in images]
    encoder = load_encoder("offline")

    class Nowhere:
        def add(self, *value: object) -> None:
            """Keeps nothing."""

    def score(measures: bool) -> None:
        pictures = Pictures()
        for digest, path in pictures_at.items():
            pictures.name(digest, partial(read_image, path))
        embedder = Embedder(encoder)
        metrics: list[Metric] = [one for one in load_metrics(("clip", "psnr"), embedder) if not one.of]
        for metric in (*metrics, *(one.control for one in metrics if one.control)):
            metric.score([(pictures.picture(image), pictures.picture(original)) for image, original in pairs])
        if measures:
            measure(asked, pictures, embedder, Nowhere())

    ratios, plain = [], []
    for _ in range(rounds):
        plain.append(seconds_of(lambda: score(False)))
        ratios.append(seconds_of(lambda: score(True)) / plain[-1])
    print(f"first scoring without measures: {statistics.median(plain) / samples:.2f} CPU-s a sample, offline encoder")
    show_target("first scoring with measures", statistics.median(ratios), at_most=1.5, unit="× without")


def cpu_flags() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)  # other threads would spin while they wait, and their seconds count
    cv2.setNumThreads(1)
    print(f"torch {torch.__version__}, 1 thread, {options.rounds} rounds")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("psnr", "measures", "clip"):
            (folder / part).mkdir()
        psnr_targets(folder / "psnr", options.rounds)
        measures_target(folder / "measures", options.rounds)
        clip_targets(folder / "clip", options.pairs, options.rounds)
    return exit_code()


if __name__ == "__main__":
    sys.exit(main())
