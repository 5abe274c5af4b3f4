"""The three metrics as Spaces: a page where two pictures are compared, and what `evaluate.load("org/name")` loads.

A Space carries the package's own code, so that it needs no other place to install it from.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import fashionedit
import fashionedit.metrics
from fashionedit.aliases import METRICS
from fashionedit.errors import InvalidDataError
from fashionedit.runtime.hub import GRADIO

from .dataset import PublishedFile
from .repository import HubRepository, Uploaded

_TITLES = {"clip_similarity": "CLIP similarity", "clip_star": "CLIP*", "psnr": "PSNR"}
_PARTS = ("runtime",)  # of the package, which the metrics' code imports
_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)

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


@dataclass(frozen=True, slots=True)
class SpacePublication:
    """A metric's Space, sent or as it would be.

    Args:
        repository: `org/name`.
        files: Every file.
        uploaded: Where it is now; None where nothing was sent.
        public: Whether everybody can see it, and `evaluate` can load it; None where nothing was sent.
    """

    repository: str
    files: tuple[PublishedFile, ...]
    uploaded: Uploaded | None = None
    public: bool | None = None


def publish_metrics(
    where: str,
    *,
    metrics: Sequence[str] = METRICS,
    private: bool | None = None,
    dry_run: bool = False,
    message: str | None = None,
    token: str | None = None,
) -> tuple[SpacePublication, ...]:
    """Returns what was sent: a Space for each metric.

    Args:
        where: `org` for `org/psnr` and so on, or `org/prefix-` for `org/prefix-psnr`.
        metrics: Their names.
        private: Whether only its owners see a Space: True by default for a new one.
        dry_run: Whether nothing is sent; needs no network.
        message: Of the commits.
        token: For the Hub; by default the one that this machine is logged in with.

    Raises:
        InvalidDataError: `where` is no name of an owner.
        ServiceError: The token, a repository or the network; the message says which.
    """
    owner, _, prefix = where.partition("/")
    if not owner or "/" in prefix:
        raise InvalidDataError(f"--metrics {where!r} names no owner of Spaces; write org, or org/prefix-")
    done = []
    for metric in metrics:
        space = HubRepository(f"{owner}/{prefix}{metric}", "space", token=token)
        with tempfile.TemporaryDirectory(prefix="fashionedit-space-") as folder:
            names = write_space(Path(folder), metric, name=f"{prefix}{metric}")
            files = tuple(PublishedFile(name, (Path(folder) / name).stat().st_size) for name in names)
            uploaded = public = None
            if not dry_run:
                space.is_public()  # tells what is wrong with the token before anything is made
                space.create(private=private is not False)
                uploaded = space.upload(
                    Path(folder),
                    names,
                    message=message or f"{_TITLES[metric]} of FashionEdit",
                    replaces=["fashionedit/*"],
                )
                if private is False:
                    space.show_to_everybody()
                public = bool(space.is_public())
            done.append(SpacePublication(space.id, files, uploaded, public))
    return tuple(done)


def write_space(folder: Path, metric: str, *, name: str | None = None) -> list[str]:
    """Writes a metric's Space into an existing folder; returns the files, relative to it and sorted.

    Args:
        folder: An empty folder.
        metric: `clip_similarity`, `clip_star` or `psnr`.
        name: The Space's name without its owner, by which `evaluate` looks for the script; the metric's by default.
    """
    import yaml

    name = name or metric
    source = Path(fashionedit.metrics.__file__).parent / metric
    front, page = _read_card(source / "README.md")
    front |= {"sdk": "gradio", "sdk_version": GRADIO, "app_file": "app.py", "pinned": False, "license": "apache-2.0"}
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)
    (folder / "README.md").write_text(f"---\n{head}---\n{page}", encoding="utf-8")
    shutil.copyfile(source / f"{metric}.py", folder / f"{name}.py")
    app = _APP.format(title=_TITLES[metric], script=f"{name}.py", description=front["description"].replace('"', "'"))
    (folder / "app.py").write_text(app, encoding="utf-8")
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in _requirements(metric)), encoding="utf-8")
    _copy_code(Path(fashionedit.__file__).parent, folder / "fashionedit", "*.py")
    for part in _PARTS:
        _copy_code(Path(fashionedit.__file__).parent / part, folder / "fashionedit" / part, "*.py")
    _copy_code(source.parent, folder / "fashionedit" / "metrics", "**/*.py")
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _copy_code(source: Path, target: Path, pattern: str) -> None:
    # a checkout has the rooms beside each other, an installed package one inside the other
    for path in source.glob(pattern):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _read_card(path: Path) -> tuple[dict[str, Any], str]:
    import yaml

    text = path.read_text(encoding="utf-8")
    match = _FRONT.match(text)
    assert match is not None, f"{path} has no front matter"
    return dict(yaml.safe_load(match.group(1))), text[match.end() :]


def _requirements(metric: str) -> list[str]:
    """Returns what the package needs for this metric, as its own metadata has it."""
    from packaging.requirements import Requirement

    extra = {"extra": "" if metric == "psnr" else "clip"}
    needed = [Requirement(line) for line in requires("fashionedit") or ()]
    chosen = {(one.name, str(one.specifier)) for one in needed if one.marker is None or one.marker.evaluate(extra)}
    return sorted(f"{name}{specifier}" for name, specifier in chosen)
