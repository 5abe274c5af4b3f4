"""Publishes the three metrics as Spaces: a page that compares two pictures, and what `evaluate.load("org/name")` loads.

A Space carries the package's own code, so that it needs no other place to install it from.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import fashionedit
import fashionedit.metrics
from fashionedit.aliases import METRICS
from fashionedit.errors import InvalidDataError
from fashionedit.runtime.hub import GRADIO, space_requirements

from .repository import HubRepository, Publication

_TITLES = {"clip_similarity": "CLIP similarity", "clip_star": "CLIP*", "psnr": "PSNR"}

_APP = '''\
"""{title}: how near an edited picture is to its original."""

from pathlib import Path

import evaluate
import gradio as gr
from PIL import Image

metric = evaluate.load(str(Path(__file__).with_name("{script}")))


def score(edited: Image.Image | None, original: Image.Image | None) -> dict:
    """Returns the metric's numbers for one pair."""
    if edited is None or original is None:
        raise gr.Error("Give both pictures.")
    return metric.compute(predictions=[edited], references=[original])


demo = gr.Interface(
    fn=score,
    inputs=[gr.Image(type="pil", label="Edited picture"), gr.Image(type="pil", label="Original")],
    outputs=gr.JSON(label="{title}"),
    title="{title}",
    description="{description}",
)

if __name__ == "__main__":
    demo.launch()
'''


def publish_metrics(
    where: str, *, private: bool | None = None, dry_run: bool = False, message: str | None = None
) -> list[Publication]:
    """Returns what was sent: a Space for each metric, `org/psnr` for `org` and `org/prefix-psnr` for `org/prefix-`.

    As in `publish_dataset`, a new Space is private unless `private` is False.
    """
    owner, _, prefix = where.partition("/")
    if not owner or "/" in prefix:
        raise InvalidDataError(f"--metrics {where!r} names no owner of Spaces; write org, or org/prefix-")
    done = []
    for metric in METRICS:
        space = HubRepository(f"{owner}/{prefix}{metric}", "space")
        with tempfile.TemporaryDirectory(prefix="fashionedit-space-") as name:
            folder = Path(name)
            names = write_space(folder, metric, name=f"{prefix}{metric}")
            files = {name: (folder / name).stat().st_size for name in names}
            if dry_run:
                done.append(Publication(space.id, files))
                continue
            space.is_public()  # tells what is wrong with the token before anything is made
            space.create()
            title = message or f"{_TITLES[metric]} of FashionEdit"
            done.append(space.upload(folder, files, message=title, replaces=["fashionedit/*"], public=private is False))
    return done


def write_space(folder: Path, metric: str, *, name: str) -> list[str]:
    """Writes a metric's Space into an empty folder; returns the files, relative to it and sorted.

    `name` is the Space's without its owner, by which `evaluate` looks for the script.
    """
    import yaml

    package, metrics = Path(fashionedit.__file__).parent, Path(fashionedit.metrics.__file__).parent
    text = (metrics / metric / "README.md").read_text(encoding="utf-8")
    _, front_matter, page = re.split(r"^---\n", text, maxsplit=2, flags=re.MULTILINE)
    front = yaml.safe_load(front_matter)
    front |= {"sdk": "gradio", "sdk_version": GRADIO, "app_file": "app.py", "pinned": False, "license": "apache-2.0"}
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)
    (folder / "README.md").write_text(f"---\n{head}---\n{page}", encoding="utf-8")
    shutil.copyfile(metrics / metric / f"{metric}.py", folder / f"{name}.py")
    app = _APP.format(title=_TITLES[metric], script=f"{name}.py", description=front["description"].replace('"', "'"))
    (folder / "app.py").write_text(app, encoding="utf-8")
    needed = space_requirements() if metric == "psnr" else space_requirements("clip")
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in needed), encoding="utf-8")
    # a checkout has the folders beside each other, an installed package one inside the other
    for source, pattern, part in (
        (package, "*.py", ""),
        (package, "runtime/*.py", ""),
        (metrics, "**/*.py", "metrics"),
    ):
        for path in source.glob(pattern):
            copy = folder / "fashionedit" / part / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
