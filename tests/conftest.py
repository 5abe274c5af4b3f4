"""What every test runs under: a home of its own, no network beyond this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import ADVICE, find_browser
from loopback import free_port

# A background job, nohup and some CI systems start with Ctrl-C ignored; tests press it, in this process and in others.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Playwright looks for the browsers that it installed in the home folder, which tests don't see.
_caches = Path.home() / "Library" / "Caches" if sys.platform == "darwin" else Path.home() / ".cache"
os.environ.setdefault(
    "PLAYWRIGHT_BROWSERS_PATH", str(Path(os.environ.get("XDG_CACHE_HOME", _caches)) / "ms-playwright")
)
# huggingface_hub, datasets and evaluate read these when they are imported, so they are set before any test is.
_session = Path(tempfile.mkdtemp(prefix="fashionedit-tests-"))
for name, folder in {"HF_HOME": "hf", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "HOME": "home"}.items():
    os.environ[name] = str(_session / folder)
os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # models of tests are tiny: their threads only wait for each other
for name in ("HF_TOKEN", "FASHIONEDIT_DATA", "FASHIONEDIT_REPO", "FASHIONEDIT_NO_ALIASES"):
    os.environ.pop(name, None)

GRADIO_APP = Path(__file__).parent / "harness" / "gradio_app.py"
_connect = socket.socket.connect


def _connect_here_only(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"a test tried to reach {address}; tests stay on this machine")
    _connect(self, address)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives each test empty caches and settings, forgets the secrets of others, and closes the network."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("FASHIONEDIT_CACHE", str(home / "cache"))
    monkeypatch.setattr(socket.socket, "connect", _connect_here_only)
    monkeypatch.setattr("fashionedit.runtime.secrets._remembered", set())


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random CLIP of two layers that reads 224 × 224 pixels."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    torch.manual_seed(0)
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    config = CLIPConfig(
        vision_config={**layers, "num_hidden_layers": 2, "patch_size": 32, "image_size": 224},
        text_config={**layers, "num_hidden_layers": 1, "vocab_size": 99, "bos_token_id": 1, "eos_token_id": 2},
        projection_dim=24,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-clip"
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Gradio app that edits."""
    port = free_port()
    home = tmp_path_factory.mktemp("gradio")
    log = (home / "log").open("wb")
    environment = os.environ | {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(home / "files"),
        "TMPDIR": str(home),
        "HOME": str(home),
    }
    server = subprocess.Popen([sys.executable, GRADIO_APP, str(port)], env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            assert server.poll() is None, (home / "log").read_text()
            try:
                urllib.request.urlopen(f"{url}/config", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        server.kill()
        server.wait()
        log.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray cluster of two CPUs on this machine, which the engine then finds."""
    import ray

    on_term = signal.getsignal(signal.SIGTERM)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=100 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
        runtime_env=_measured_workers(),
    )
    yield
    ray.shutdown()
    signal.signal(signal.SIGTERM, on_term)


def _measured_workers() -> dict[str, Any] | None:
    """Has workers save what they have covered again and again, for Ray ends them without a warning."""
    if "COVERAGE_PROCESS_CONFIG" not in os.environ:
        return None

    def measure() -> None:
        import threading
        import time

        import coverage

        def save() -> None:
            while True:
                time.sleep(0.2)
                coverage.process_startup.coverage.save()

        threading.Thread(target=save, daemon=True).start()

    return {"worker_process_setup_hook": measure}


_left_out: list[int] = []  # browser tests, of this process or of each worker


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts files with slow tests first, so that no worker ends long after the other.

    Leaves the browser tests out where no browser can be had; with $CI set they stay, and fail with a sentence.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    wanted = [item for item in items if item.get_closest_marker("browser")]
    if not wanted or os.environ.get("CI") or find_browser() is not None:
        return
    items[:] = [item for item in items if item not in wanted]
    config.hook.pytest_deselected(items=wanted)
    _left_out.append(len(wanted))


def pytest_sessionfinish(session: pytest.Session) -> None:
    import shutil

    shutil.rmtree(_session, ignore_errors=True)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = sum(_left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _left_out.append(getattr(node, "workeroutput", {}).get("left_out", 0))


def pytest_unconfigure(config: pytest.Config) -> None:
    if _left_out and max(_left_out) and not hasattr(config, "workeroutput"):
        print(f"{max(_left_out)} browser tests were left out, because no browser was found; {ADVICE}")
