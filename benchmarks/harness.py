"""What the harness itself costs: edits side by side against a slow service, and its share beside a diffusion pipeline.

    python benchmarks/harness.py [--only service|pipeline]

1. A service in a process of its own takes 1.0 s for an edit (its pictures were drawn before). With 32 at once,
   100 samples × 3 rounds take 10 s at best (300 edits, 32 at a time, breadth-first); the run may take 11 s and 600 MB,
   and the service never sees more than 32 calls.
2. A tiny diffusers pipeline with random weights by `run` (images decoded, records, PNG files and all), and each of its
   edits once more as a bare call on the picture in memory. The run may take 3 % more than the bare calls.

Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from fashionedit import open_data
from fashionedit.builders.pack import pack
from fashionedit.data import FashionEditFolder
from fashionedit.eval_harness import EditRequest, EditResult, resolve_editor, run
from fashionedit.eval_harness.editing import EditorInfo
from fashionedit.images import png_bytes

ROOT = Path(__file__).parents[1]
SIZE = (256, 384)
SAMPLES, ROUNDS, AT_ONCE = 100, 3, 32
MOST_SECONDS, MOST_MEGABYTES = 11.0, 600.0
MOST_OVERHEAD = 0.03
BOXES = ([50, 50, 300, 400], [350, 450, 600, 900], [650, 100, 950, 700])


def photograph(seed: int, size: tuple[int, int]) -> Image.Image:
    """Smooth shading and a little grain, as photographs have."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (12, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = random.normal(0, 3, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8))


def benchmark(folder: Path, samples: int, size: tuple[int, int]) -> FashionEditFolder:
    """A packed dataset of drawn pictures."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    lines = []
    for number in range(samples):
        for kind, seed in (("original", number), ("draft", 10_000 + number)):
            photograph(seed, size).save(pictures / f"{kind}-{number}.png", compress_level=1)
        differences = [{"description": f"Part {k} of {number}.", "box_2d": box} for k, box in enumerate(BOXES)]
        row = {"original": f"original-{number}.png", "draft": f"draft-{number}.png", "annotation": "A coat."}
        lines.append(json.dumps({**row, "differences": differences}))
    (pictures / "metadata.jsonl").write_text("\n".join(lines))
    pack(pictures, folder / "packed", name="drawn", licence=None)
    return open_data(folder / "packed")


def serve(pause: float = 1.0) -> None:
    """Answers each edit with another picture after `pause` seconds, taking next to no time of the processor itself."""
    pictures = (base64.b64encode(png_bytes(photograph(20_000 + number, SIZE))) for number in range(SAMPLES * ROUNDS))
    answers = [b'{"image": "' + picture + b'"}' for picture in pictures]
    counts = {"calls": 0, "at_once": 0, "most_at_once": 0}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            end = time.monotonic() + pause
            with lock:
                content = answers[counts["calls"] % len(answers)]
                counts["calls"] += 1
                counts["at_once"] += 1
                counts["most_at_once"] = max(counts["most_at_once"], counts["at_once"])
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(max(0.0, end - time.monotonic()))
            with lock:
                counts["at_once"] -= 1
            self._send(content)

        def do_GET(self) -> None:
            told = counts if self.path == "/counts" else {"name": "slow service", "version": "1"}
            self._send(json.dumps(told).encode())

        def _send(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *ignored: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def side_by_side(folder: Path) -> dict[str, bool]:
    """Measures part 1 in a process of its own, whose memory is nobody else's."""
    benchmark(folder, SAMPLES, SIZE)
    service = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    try:
        url = service.stdout.readline().strip()
        done = subprocess.run(
            [sys.executable, __file__, "--measure", f"{url}/edit", str(folder / "packed"), str(folder / "run")],
            capture_output=True,
            text=True,
            check=True,
        )
        told = json.loads(done.stdout)
        counts = _get(url, "/counts")
    finally:
        service.kill()
        service.communicate()
    edits = SAMPLES * ROUNDS
    print(f"{edits} edits of {SIZE[0]}×{SIZE[1]} at 1.0 s, {AT_ONCE} at once: {told['seconds']:.2f} s", end="")
    print(f" (ideal {-(-edits // AT_ONCE)} s), CPU {told['cpu'] / edits * 1000:.1f} ms an edit", end="")
    print(f", at most {counts['most_at_once']} calls, {told['megabytes']:.0f} MB")
    assert (told["ok"], counts["calls"]) == (edits, edits)
    return {
        f"at most {MOST_SECONDS} s": told["seconds"] <= MOST_SECONDS,
        f"never more than {AT_ONCE} calls": counts["most_at_once"] <= AT_ONCE,
        f"at most {MOST_MEGABYTES:.0f} MB": told["megabytes"] <= MOST_MEGABYTES,
    }


def measure(url: str, packed: str, out: str) -> None:
    """Runs part 1 and prints what it took."""
    source, editor = open_data(packed), resolve_editor(url)
    start = time.perf_counter()
    summary = run(editor, source, out, protocols=["vanilla"], concurrency=AT_ONCE)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    kilobytes = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    told = {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "megabytes": kilobytes / 1024}
    print(json.dumps({**told, "ok": summary.statuses["ok"]}))  # type: ignore[index]  # a StrEnum


def _get(url: str, path: str) -> Any:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


class Bare:
    """The pipeline as an editor, with nothing around it."""

    def __init__(self, pipeline: Any, steps: int) -> None:
        self._pipeline, self._steps = pipeline, steps

    def describe(self) -> EditorInfo:
        """Returns its name."""
        return EditorInfo("tiny pipeline", "tiny pipeline 1", takes_reference=False)

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the pipeline's picture."""
        return EditResult.ok(self.image(request.base, request.instruction, request.seed))

    def image(self, base: Image.Image, instruction: str, seed: int) -> Image.Image:
        """Returns the pipeline's picture."""
        import torch

        found: Image.Image = self._pipeline(
            prompt=instruction,
            image=base,
            num_inference_steps=self._steps,
            generator=torch.Generator("cpu").manual_seed(seed),
        ).images[0]
        return found


def tiny_pix2pix(parts: Any) -> Any:
    """Returns an InstructPix2Pix with random weights and a quarter of the real one's channels."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    torch.manual_seed(0)
    tokenizer = parts._clip_tokenizer()
    unet = UNet2DConditionModel(
        sample_size=32,
        in_channels=8,
        out_channels=4,
        block_out_channels=(96, 192),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
    )
    pipeline = StableDiffusionInstructPix2PixPipeline(
        unet=unet,
        scheduler=DDIMScheduler(),
        vae=parts._vae(),
        text_encoder=CLIPTextModel(parts._clip_config(tokenizer)),
        tokenizer=tokenizer,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class Twice(Bare):
    """Makes each edit twice in a row: one is the run's, the other a bare loop's, whose seconds it counts.

    A machine's speed drifts by more than the harness costs; two calls next to each other see the same machine, and
    which of them is the bare one alternates.
    """

    def __init__(self, pipeline: Any, steps: int) -> None:
        super().__init__(pipeline, steps)
        self.seconds: list[float] = []

    def edit(self, request: EditRequest) -> EditResult:
        """Returns the pipeline's picture."""
        if len(self.seconds) % 2:
            self._bare(request)
            return super().edit(request)
        result = super().edit(request)
        self._bare(request)
        return result

    def _bare(self, request: EditRequest) -> None:
        start = time.perf_counter()
        self.image(request.base, request.instruction, request.seed)
        self.seconds.append(time.perf_counter() - start)


def overhead(folder: Path, samples: int = 4, repeats: int = 8) -> dict[str, bool]:
    """Measures part 2: what a run takes beyond its bare calls, over all repeats together."""
    sys.path.insert(0, str(ROOT / "tests"))
    import tiny_pipelines

    source = benchmark(folder, samples, SIZE)
    editor = Twice(tiny_pix2pix(tiny_pipelines), steps=3)
    editor.image(source.sample(source.ids[0]).draft, "warm up", 0)
    found = []
    for repeat in range(repeats):
        editor.seconds.clear()
        start = time.perf_counter()
        run(editor, source, folder / f"run-{repeat}")
        whole, bare = time.perf_counter() - start, sum(editor.seconds)
        found.append((whole - bare, bare))
    run_seconds, bare_seconds = (sum(column) for column in zip(*found, strict=True))
    ratio, each = run_seconds / bare_seconds - 1, bare_seconds / (repeats * samples * ROUNDS)
    error = statistics.stdev(one / other for one, other in found) / repeats**0.5
    print(f"beside a tiny InstructPix2Pix of {each:.2f} s an edit: {100 * ratio:+.2f} % (± {100 * error:.2f}", end="")
    print(f", {repeats * samples * ROUNDS} edits, each beside a bare one)")
    return {f"overhead under {100 * MOST_OVERHEAD:.0f} %": ratio < MOST_OVERHEAD}


def main() -> int:
    """Runs both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["service", "pipeline"])
    parser.add_argument("--measure", nargs=3, metavar=("URL", "DATA", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
    if options.measure:
        measure(*options.measure)
        return 0
    bars: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as name:
        if options.only != "pipeline":
            bars |= side_by_side(Path(name) / "service")
        if options.only != "service":
            bars |= overhead(Path(name) / "pipeline")
    for bar, met in bars.items():
        print(f"{'met   ' if met else 'MISSED'} {bar}")
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
