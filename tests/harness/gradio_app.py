"""A Gradio app whose answer depends on the instruction: `python gradio_app.py PORT`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import gradio as gr
from PIL import Image, ImageOps

FOLDER = Path(mkdtemp())


def edit(image: Image.Image, prompt: str, reference: Image.Image | None, seed: float, steps: float = 3) -> Any:
    if prompt == "hang":
        time.sleep(20)
    if prompt == "refusal":
        raise gr.Error("Blocked by the safety system.")
    if prompt == "quota":
        raise gr.Error("You have exceeded your GPU quota (60s requested vs. 3s left).")
    if prompt == "broken":
        raise gr.Error("CUDA out of memory")
    if prompt == "empty":
        return None, "nothing"
    if prompt == "truncated":
        return cut(image), "cut"
    edited = ImageOps.mirror(image)
    if prompt == "other size":
        edited = edited.resize((7, 9))
    if prompt == "alpha":
        edited = Image.new("RGBA", image.size, (255, 0, 0, 0))
    path = FOLDER / f"{time.monotonic_ns()}.png"
    edited.save(path)
    return str(path), f"{prompt} {reference is not None} {seed:.0f} {steps:.0f}"


def cut(image: Image.Image) -> str:
    path = FOLDER / f"{time.monotonic_ns()}.png"
    image.save(path)
    path.write_bytes(path.read_bytes()[:60])
    return str(path)


with gr.Blocks() as app:
    base = gr.Image(type="pil", label="Image", format="png")
    prompt = gr.Textbox(label="Prompt")
    reference = gr.Image(type="pil", label="Reference", format="png")
    seed = gr.Number(label="Seed")
    steps = gr.Slider(1, 50, value=3, label="Steps")
    picture = gr.Image(type="filepath", format="png")
    note = gr.Textbox()
    gallery = gr.Gallery(type="pil", format="png")
    inputs = [base, prompt, reference, seed, steps]
    gr.Button().click(edit, inputs, [picture, note], api_name="edit")
    gr.Button().click(
        lambda shown, text: [ImageOps.mirror(item[0]) for item in shown], [gallery, prompt], gallery, api_name="gallery"
    )
    gr.Button().click(lambda image, text: (text, image), [base, prompt], [note, picture], api_name="alone")
    gr.Button().click(lambda text: text, prompt, note, api_name="words")

if __name__ == "__main__":
    app.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True, allowed_paths=[str(FOLDER)])
