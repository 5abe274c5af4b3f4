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


def negative(image: Image.Image) -> Image.Image:
    return ImageOps.invert(image.convert("RGB"))


def layered(image: Image.Image, text: str) -> dict[str, Any]:
    return {"background": image, "layers": [], "composite": negative(image)}


def saved(image: Image.Image, text: str) -> str:
    path = FOLDER / f"{time.monotonic_ns()}.png"
    negative(image).save(path)
    return str(path)


OUTPUTS: dict[str, tuple[Any, Any]] = {
    "image": (lambda: gr.Image(format="png"), lambda image, text: negative(image)),
    "gallery": (lambda: gr.Gallery(format="png"), lambda image, text: [(negative(image), "after")]),
    "imageslider": (lambda: gr.ImageSlider(format="png"), lambda image, text: (image, negative(image))),
    "imageeditor": (lambda: gr.ImageEditor(format="png"), layered),
    "sketchpad": (lambda: gr.Sketchpad(format="png"), layered),
    "paint": (lambda: gr.Paint(format="png"), layered),
    "imagemask": (lambda: gr.ImageMask(format="png"), layered),
    "annotatedimage": (
        lambda: gr.AnnotatedImage(format="png"),
        lambda image, text: (negative(image), [((0, 0, 5, 5), "sleeve")]),
    ),
    "file": (gr.File, saved),
    "downloadbutton": (gr.DownloadButton, saved),
}
"""Endpoints `out-NAME` that answer with the negative in each component that can hold it; some hold the input too."""


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

with app:
    for name, (component, does) in OUTPUTS.items():
        gr.Button().click(does, [base, prompt], component(), api_name=f"out-{name}")
    small, wide = (
        gr.Slider(10, 30, step=5, label="Seed"),
        gr.Number(label="Seed", minimum=0, maximum=2**31 - 1, precision=0),
    )
    drawn, many = gr.ImageEditor(type="pil", format="png"), gr.MultimodalTextbox()
    for name, number in (("small", small), ("wide", wide)):
        gr.Button().click(
            lambda image, text, seed: (image, f"{seed:g}"),
            [base, prompt, number],
            [picture, note],
            api_name=f"seed-{name}",
        )
    gr.Button().click(
        lambda layers, said: negative(layers["composite"]) if said["text"] else None,
        [drawn, many],
        picture,
        api_name="layers",
    )

if __name__ == "__main__":
    app.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True, allowed_paths=[str(FOLDER)])
