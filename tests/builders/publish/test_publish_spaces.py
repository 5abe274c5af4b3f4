"""The metrics as Spaces: what is in them works without the package being installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import gradio_client
import gradio_client.exceptions
import numpy as np
import pytest
import yaml
from hub_server import HubServer
from loopback import free_port
from PIL import Image
from publishing_toys import python

from fashionedit.aliases import METRICS
from fashionedit.builders.publish.spaces import write_space
from fashionedit.metrics import peak_signal_noise_ratio
from fashionedit.runtime.hub import GRADIO


def noise(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 60, 3), dtype=np.uint8))


@pytest.mark.parametrize("metric", METRICS)
def test_a_space_has_its_page_its_script_and_its_code(metric, tmp_path):
    names = write_space(tmp_path, metric, name=metric)
    assert {"README.md", "app.py", "requirements.txt", f"{metric}.py", "fashionedit/__init__.py"} <= set(names)
    assert not [name for name in names if "pycache" in name or "synthetic" in name or "/cli/" in name]
    front = yaml.safe_load((tmp_path / "README.md").read_text().split("---\n")[1])
    assert (front["sdk"], front["sdk_version"], front["app_file"]) == ("gradio", GRADIO, "app.py")
    assert "evaluate" in front["tags"]
    needed = (tmp_path / "requirements.txt").read_text()
    assert "evaluate>=" in needed
    assert ("torch>=" in needed) == (metric != "psnr")
    assert "pytest" not in needed
    assert "fashionedit" not in needed
    compile((tmp_path / "app.py").read_text(), "app.py", "exec")


def own_code(space, script, *arguments):
    """Runs Python in the Space, with its own code: -S leaves out this checkout, whose packages are then added."""
    sites = [path for path in sys.path if path.endswith("site-packages")]
    return subprocess.Popen(
        [sys.executable, "-S", "-c", f"import sys; sys.path += {sites!r}\n{script}", *map(str, arguments)],
        cwd=space,
        env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_SERVER_PORT": str(free_port())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def address(process):
    for line in process.stdout:
        if match := re.search(r"http://127\.0\.0\.1:\d+", line):
            return match.group()
    raise AssertionError(process.stderr.read())


@pytest.mark.slow
def test_the_page_computes_with_the_spaces_own_code(tmp_path):
    space = tmp_path / "space"
    space.mkdir()
    write_space(space, "psnr", name="our-psnr")
    pictures = [tmp_path / f"{seed}.png" for seed in (0, 1)]
    for seed, path in enumerate(pictures):
        noise(seed).save(path)
    running = own_code(
        space, "import fashionedit, runpy; print(fashionedit.__file__); runpy.run_path('app.py', run_name='__main__')"
    )
    try:
        assert Path(running.stdout.readline().strip()).is_relative_to(space)
        client = gradio_client.Client(address(running), verbose=False)
        found = client.predict(*map(gradio_client.handle_file, pictures), api_name="/score")
        with pytest.raises(gradio_client.exceptions.AppError, match=r"Give both pictures\."):
            client.predict(None, None, api_name="/score")
        client.close()
    finally:
        running.kill()
        running.communicate()
    expected = peak_signal_noise_ratio(np.asarray(noise(0)), np.asarray(noise(1)))
    assert found["psnr"] == pytest.approx(expected, abs=1e-9)


def test_the_encoders_of_a_space_need_nothing_but_its_own_code(tmp_path, tiny_clip):
    space = tmp_path / "space"
    space.mkdir()
    write_space(space, "clip_star", name="clip_star")
    running = own_code(
        space,
        "import fashionedit\n"
        "from fashionedit.metrics import load_encoder\n"
        "print(fashionedit.__file__, load_encoder(sys.argv[1], device='cpu').dimension)",
        f"clip:{tiny_clip}",
    )
    told, complaint = running.communicate()
    assert running.returncode == 0, complaint
    file, dimension = told.split()
    assert Path(file).is_relative_to(space)
    assert dimension == "24"


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
