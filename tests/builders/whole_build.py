"""What the tests of a whole build share: photographs in DeepFashion's shape, a tiny model, and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deepfashion_tree import DeepFashionTree, write_deepfashion_tree
from PIL import Image
from tiny_pipelines import write_tiny_sd3

from fashionedit.images import read_image

_PHOTOGRAPHS = Path(__file__).parents[3] / "shared" / "data" / "clothing_photos"


@dataclass(frozen=True)
class BuildGround:
    """Photographs and a text-to-image model on disk."""

    tree: DeepFashionTree
    model: Path
    folder: Path

    def arguments(self, out: Path, url: str, *more: str) -> list[str]:
        """Returns the command line of a build from the tree that asks the model at `url`."""
        return [
            *("build", "--source", str(self.tree.root), "--out", str(out), "--quiet"),
            *("--drafts", f"diffusers:{self.model}", "--draft", "steps=2", "--draft", "width=64"),
            *("--draft", "height=64", "--draft", "batch_size=1", "--device", "cpu", "--encoder", "offline"),
            *("--model", "toy-lmm", "--base-url", url, "--price", "input=1,output=4", "--budget", "5"),
            *("--concurrency", "4", "--ask", "max_retries=0", "--validation", "6"),
            *more,
        ]


def pictures(count: int) -> list[Image.Image | bytes]:
    """Returns real photographs where they lie beside the checkout, else garments that our own code draws."""
    found = sorted(_PHOTOGRAPHS.glob("*.jpg"))[:count]
    return [path.read_bytes() for path in found] if len(found) == count else list(_drawn()[:count])


@cache
def _drawn() -> list[Image.Image]:
    from fashionedit.folder import open_folder
    from fashionedit.synthetic.rendering import synthetic_folder

    garments = open_folder(synthetic_folder(24, ("validation",)))
    return [garments.original(key) for key in garments.ids]


def images(count: int) -> list[Image.Image]:
    """Returns `pictures`, decoded."""
    return [read_image(picture) if isinstance(picture, bytes) else picture for picture in pictures(count)]


def prepare(folder: Path, count: int) -> BuildGround:
    """Writes the photographs and the model into a folder."""
    tree = write_deepfashion_tree(folder / "deepfashion", pictures(count))
    return BuildGround(tree, write_tiny_sd3(folder / "tiny-sd3"), folder)
