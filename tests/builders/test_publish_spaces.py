"""The metrics as Spaces: what is in them works without the package being installed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import yaml
from hub_server import HubServer
from PIL import Image
from publishing_toys import python

from fashionedit.aliases import METRICS
from fashionedit.builders.publish.spaces import GRADIO, write_space
from fashionedit.metrics import peak_signal_noise_ratio

# As much of gradio as the page needs to be made; the page itself was tried with the real one.
GRADIO_STUB = """
class Error(Exception): pass
def Image(type, label): return ("image", type, label)
def JSON(label): return ("json", label)
class Interface:
    def __init__(self, fn, inputs, outputs, title, description):
        self.fn, self.inputs, self.outputs = fn, inputs, outputs
"""

PAGE = """
import sys
import app, fashionedit
assert fashionedit.__file__.startswith(sys.argv[1]), fashionedit.__file__
from PIL import Image
print(app.demo.inputs, app.demo.fn(Image.open(sys.argv[2]), Image.open(sys.argv[3]))["psnr"])
try:
    app.demo.fn(None, None)
except app.gr.Error as error:
    print(error)
"""


def noise(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 60, 3), dtype=np.uint8))


@pytest.mark.parametrize("metric", METRICS)
def test_a_space_has_its_page_its_script_and_its_code(metric, tmp_path):
    names = write_space(tmp_path, metric)
    assert {"README.md", "app.py", "requirements.txt", f"{metric}.py", "fashionedit/__init__.py"} <= set(names)
    assert not [name for name in names if "pycache" in name or "synthetic" in name or "command" in name]
    front = yaml.safe_load((tmp_path / "README.md").read_text().split("---\n")[1])
    assert (front["sdk"], front["sdk_version"], front["app_file"]) == ("gradio", GRADIO, "app.py")
    assert "evaluate" in front["tags"]
    needed = (tmp_path / "requirements.txt").read_text()
    assert "evaluate>=" in needed
    assert ("torch>=" in needed) == (metric != "psnr")
    assert "pytest" not in needed
    assert "fashionedit" not in needed
    compile((tmp_path / "app.py").read_text(), "app.py", "exec")


def test_the_page_computes_with_the_spaces_own_code(tmp_path):
    space = tmp_path / "space"
    space.mkdir()
    write_space(space, "psnr", name="our-psnr")
    (space / "gradio.py").write_text(GRADIO_STUB)
    for seed in (0, 1):
        noise(seed).save(tmp_path / f"{seed}.png")
    # -S leaves out this checkout: the code has to come from the Space
    sites = [path for path in sys.path if path.endswith("site-packages")]
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; sys.path += {sites!r}\n{PAGE}",
            str(space),
            *map(str, (tmp_path / "0.png", tmp_path / "1.png")),
        ],
        cwd=space,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page, complaint = done.stdout.splitlines()
    assert page.count("'image', 'pil'") == 2
    expected = peak_signal_noise_ratio(np.asarray(noise(0)), np.asarray(noise(1)))
    assert float(page.split()[-1]) == pytest.approx(expected, abs=1e-9)
    assert complaint == "Give both pictures."


@pytest.mark.slow
def test_published_spaces_are_loaded_by_evaluate(tmp_path):
    for seed in (0, 1):
        noise(seed).save(tmp_path / f"{seed}.png")
    with HubServer() as hub:
        arguments = ("publish", "--metrics", "some-org/fe-", "--public", "--quiet")
        done = python(*arguments, environment=hub.environment(), home=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[1::2] == [f'evaluate.load("some-org/fe-{metric}")' for metric in METRICS]
        for metric in METRICS:
            space = hub.repository("spaces", f"some-org/fe-{metric}")
            assert (space.private, space.sdk) == (False, "gradio")
            assert f"fe-{metric}.py" in space.files()
        code = f"""
import evaluate
metric = evaluate.load("some-org/fe-psnr")
print(metric.compute(predictions=[{str(tmp_path / "0.png")!r}], references=[{str(tmp_path / "1.png")!r}])["psnr"])
"""
        told = python(environment=hub.environment(), home=tmp_path, code=code)
    assert float(told.stdout) == pytest.approx(
        peak_signal_noise_ratio(np.asarray(noise(0)), np.asarray(noise(1))), abs=1e-9
    ), told.stderr
