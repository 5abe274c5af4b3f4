"""A small published benchmark, runs over it, their bundles, and ways to alter a bundle as a forger would."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops
from scored_toys import MeanColours, drawn_sample, toy_embedder
from toy_editors import ToyEditor, tint

from fashionedit.eval_harness.editing import EditRequest, EditResult, Status
from fashionedit.eval_harness.leaderboard.benchmark import OFFICIAL_FINGERPRINT, Benchmark
from fashionedit.eval_harness.leaderboard.bundle import (
    BUNDLE_FILE,
    Bundle,
    bundle_json,
    make_bundle,
    sealed,
    write_bundle,
)
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.running.runner import run
from fashionedit.eval_harness.scores.result_models import Results
from fashionedit.eval_harness.scores.results import build_results, write_results
from fashionedit.folder import FashionEditFolder, open_folder, write_folder

COUNT = 8
REPOSITORY = "some-org/fashion"
REVISION = "a" * 40


def official_encoder() -> MeanColours:
    """A toy that passes for the leaderboard's own encoder."""
    return MeanColours(OFFICIAL_FINGERPRINT, is_clip=True)


def write_benchmark(folder: Path, *, drop: int | None = None, **options: Any) -> Path:
    """Writes a full set of drawn samples that calls itself no control set: two of each garment, two categories.

    Args:
        drop: The number of a sample to leave out.
    """
    samples = [drawn_sample(number, garment=f"{number // 2:08d}") for number in range(COUNT)]
    samples = [
        replace(one, gender="WOMEN" if number < COUNT // 2 else "MEN", view="front" if number % 2 else "back")
        for number, one in enumerate(samples)
    ]
    samples = [one for number, one in enumerate(samples) if number != drop]
    write_folder(folder, {"validation": samples}, name="fashion", **options)
    return folder


def slight(strength: float) -> Callable[[EditRequest], Any]:
    """An edit that mixes the image with its tint, in its settings' words; refused once, without picture once."""

    def does(request: EditRequest) -> Any:
        if request.round == 2 and "card 3 " in request.instruction:
            return EditResult.failed(Status.REFUSED, "I would rather not")
        image = Image.blend(request.base, tint(request), strength)
        return EditResult.ok(image, params={"strength": strength, "seed": request.seed}, model_version="toy-2026")

    return does


def mirrored(request: EditRequest) -> Any:
    return EditResult.ok(ImageChops.invert(request.base))


def toy_run(
    out: Path,
    source: FashionEditFolder,
    does: Callable[[EditRequest], Any] | None = None,
    *,
    fingerprint: str = "toy 1",
    encoder: MeanColours | None = None,
    info: Mapping[str, Any] | None = None,
    measures: bool = False,
    **options: Any,
) -> RunFolder:
    """Makes and scores a run; its folder has results.json."""
    editor = ToyEditor(does or slight(0.1), fingerprint=fingerprint)
    editor.info = replace(editor.info, **(info or {}))
    run(editor, source, out, **{"data": str(source.path), **options})
    folder = RunFolder.open(out)
    results = build_results(folder, source, toy_embedder(encoder or official_encoder()), measures=measures)
    write_results(results, out / "results.json")
    return folder


def toy_benchmark(source: FashionEditFolder, revision: str = REVISION) -> Benchmark:
    return Benchmark(
        repository=REPOSITORY,
        revision=revision,
        split="validation",
        samples=len(source),
        manifest=source.manifest_hash,
    )


def read_toy_results(run_folder: RunFolder) -> Results:
    return Results.model_validate_json((run_folder.path / "results.json").read_bytes())


def write_toy_bundle(folder: Path, run_folder: RunFolder, source: FashionEditFolder, **naming: Any) -> Path:
    """Writes the bundle of a run, whether or not it would pass the checks."""
    naming = {"name": "some-org/model", "model": "some-org/model", **naming}
    benchmark = naming.pop("benchmark", None) or toy_benchmark(source)
    bundle = make_bundle(run_folder, source, read_toy_results(run_folder), benchmark, **naming)
    write_bundle(bundle, folder)
    return folder


def open_benchmark(folder: Path) -> FashionEditFolder:
    return open_folder(folder, "validation")


def alter(folder: Path, change: Callable[[Any], None]) -> None:
    """Changes what a bundle says and nothing else."""
    content = json.loads((folder / BUNDLE_FILE).read_text())
    change(content)
    (folder / BUNDLE_FILE).write_text(json.dumps(content))


def reseal(folder: Path) -> None:
    """Gives a bundle the checksum of what it says now, as a careful forger does."""
    bundle = Bundle.model_validate_json((folder / BUNDLE_FILE).read_bytes())
    (folder / BUNDLE_FILE).write_bytes(bundle_json(sealed(bundle)))


def forge(folder: Path, change: Callable[[Any], None]) -> None:
    """Changes what a bundle says, and its checksum."""
    alter(folder, change)
    reseal(folder)


def picture(content: Any, sample: int, round: int = 3, protocol: str = "vanilla") -> Any:
    """Returns the picture that the run's own editor gave for a sample, in the JSON of a bundle."""
    own = (row for row in content["rows"] if row["method"] is None)
    row = next(row for row in own if (row["protocol"], row["round"]) == (protocol, round))
    return content["samples"][sample]["pictures"][row["pictures"][sample]]
