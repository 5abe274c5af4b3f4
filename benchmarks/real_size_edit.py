"""Edits by a FLUX.2 klein of its real size with random weights: how many a minute, and how much memory.

    python benchmarks/real_size_edit.py [--device cuda] [--size 1024] [--edits 12] [--steps 4] [--tiny]

The pipeline, the editor and the harness are the real ones; only the weights are drawn at random, so that the pictures
mean nothing. 4 billion numbers for the transformer and 4 for the text encoder want about 20 GB in bf16. `--tiny`
shrinks both and runs anywhere.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import benchmark

from fashionedit.eval_harness import RunFolder, Status, resolve_editor, run
from fashionedit.eval_harness.editors import EditorSettings

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def klein(device: str) -> Any:
    """Returns the pipeline: 5 double and 20 single blocks, a Qwen3 of 36 layers, the real autoencoder."""
    import torch
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )
    from tiny_edit_pipelines import qwen_tokenizer
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        transformer = Flux2Transformer2DModel(
            num_layers=5, num_single_layers=20, num_attention_heads=24, joint_attention_dim=7680, guidance_embeds=False
        )
        encoder = Qwen3ForCausalLM(
            Qwen3Config(
                hidden_size=2560,
                intermediate_size=9728,
                num_hidden_layers=36,
                num_attention_heads=32,
                num_key_value_heads=8,
                head_dim=128,
                vocab_size=151_936,
            )
        )
        vae = AutoencoderKLFlux2()
    torch.set_default_dtype(torch.float32)
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae.eval(),
        text_encoder=encoder.eval(),
        tokenizer=qwen_tokenizer(),
        transformer=transformer.eval(),
        is_distilled=True,
    )


def main() -> int:
    """Runs both protocols over a few drawn pictures."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--size", type=int, help="pixels of a side; 1024, and 128 with --tiny")
    parser.add_argument("--edits", type=int, default=12, help="how many, in sixes: three rounds of both protocols")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    options.size = options.size or (128 if options.tiny else 1024)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = benchmark(folder / "data", max(1, options.edits // 6), (options.size, options.size))
        place = folder / "klein"
        if options.tiny:
            from tiny_edit_pipelines import write_tiny_klein

            write_tiny_klein(place)
        else:
            place.mkdir()
            (place / "model_index.json").write_text(json.dumps({"_class_name": "Flux2KleinPipeline"}))
        editor = resolve_editor(f"diffusers:{place}", EditorSettings(options={"device": options.device}))
        if not options.tiny:  # nobody wants to write 16 GB to read them again
            pipeline = klein(options.device)
            pipeline.set_progress_bar_config(disable=True)
            editor.__dict__["_pipeline"] = pipeline
        run(editor, source, folder / "warm", limit=1, params={"steps": 1})
        start = time.perf_counter()
        summary = run(editor, source, folder / "run", params={"steps": options.steps})
        seconds = time.perf_counter() - start
        edits = summary.statuses[Status.OK]
        per_protocol = {
            protocol: sum(o.seconds or 0.0 for o in outcomes) / max(1, len(outcomes))
            for protocol in ("vanilla", "bug")
            for outcomes in [[o for o in RunFolder.open(folder / "run").outcomes(source) if o.protocol == protocol]]
        }
    cuda = options.device.startswith("cuda")
    used = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"{torch.cuda.get_device_name() if cuda else 'CPU'}, {options.size}×{options.size}, {options.steps} steps",
        end="",
    )
    print(f"{', tiny' if options.tiny else ''}: {edits} edits in {seconds:.1f} s, {60 * edits / seconds:.1f} a minute")
    print("; ".join(f"{protocol} {each:.2f} s an edit" for protocol, each in per_protocol.items()), end="")
    print(f"; peak memory {used / 2**30:.1f} GiB {'of the GPU' if cuda else 'of the process'}")
    return 0 if edits == 6 * max(1, options.edits // 6) else 1


if __name__ == "__main__":
    sys.exit(main())
