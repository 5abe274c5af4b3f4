"""The worker's side of Ray: loads a model once and answers, on a machine whose versions are the driver's."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import fashionedit
from fashionedit import errors
from fashionedit.errors import FashionEditError, ServiceError

from .shipped_files import ShippedPath
from .user_code import described

_COMPARED = (
    *("numpy", "pillow", "pydantic", "ray", "torch", "torchvision", "transformers", "diffusers", "accelerate"),
    *("safetensors", "onnxruntime"),
)
"""Packages that can change a picture, a score or what goes between the machines."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker answers: a value, or the error in its place; and the warnings that were raised."""

    value: Any = None
    error: Exception | None = None
    trace: str = ""
    warnings: tuple[tuple[str, type[Warning]], ...] = ()


class Replica:
    """The worker's side: loads the model once, and answers."""

    def __init__(self) -> None:
        self._served: Any = None
        self._warned: set[tuple[str, type[Warning]]] = set()

    def environment(self) -> dict[str, Any]:
        """Returns the node, its CPUs, and the versions of what must be the same everywhere."""
        import ray

        return {"node": ray.get_runtime_context().get_node_id(), "host": platform.node(), **versions()}

    def missing(self, shipped: ShippedPath) -> list[int]:
        """Returns the numbers of the files that this node lacks."""
        return shipped.missing()

    def write(self, shipped: ShippedPath, number: int, offset: int, data: bytes) -> None:
        """Writes a part of a file; parts come in order."""
        shipped.write(number, offset, data)

    def load(self, load: Callable[..., Any], shipped: Sequence[ShippedPath], threads: int) -> Reply:
        """Loads what is asked for; its `facts()` are the answer."""
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(threads)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
        places = {one.given: one.place() for one in shipped}

        def loaded() -> Any:
            self._served = load(places)
            return self._served.facts()

        return self._reply(loaded)

    def ask(self, method: str, *arguments: Any) -> Reply:
        """Answers a request."""
        return self._reply(lambda: getattr(self._served, method)(*arguments))

    def _reply(self, make: Callable[[], Any]) -> Reply:
        value, error, trace = None, None, ""
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            try:
                value = make()
            except Exception as caught:
                error, trace = _portable(caught), traceback.format_exc()
        told = [(str(one.message), _portable_warning(one.category)) for one in raised]
        fresh = tuple(dict.fromkeys(one for one in told if one not in self._warned and one[1] is not None))
        self._warned.update(fresh)
        return Reply(value, error, trace, fresh)


def _portable(error: Exception) -> Exception:
    """Returns the error as a class that the driver has for sure: this package's, or a built-in one."""
    for cls in type(error).__mro__:
        if cls.__module__ in (errors.__name__, "builtins"):
            break
    if cls is type(error) and issubclass(cls, FashionEditError):
        return error
    if issubclass(cls, FashionEditError):
        made: Exception = cls(str(error))
        return made
    return RuntimeError(described(error))


def _portable_warning(category: type[Warning]) -> Any:
    own = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # which Python hides
    if issubclass(category, own):
        return None
    return category if category.__module__ == "builtins" else UserWarning


def versions() -> dict[str, Any]:
    """Returns the versions of what must be the same on all machines, and how many CPUs this one has."""
    packages = {}
    for name in _COMPARED:
        with suppress(metadata.PackageNotFoundError):
            packages[name] = metadata.version(name).partition("+")[0]  # what follows says for which device it was built
    digest = hashlib.sha256()
    root = Path(fashionedit.__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return {
        "cpus": os.cpu_count() or 1,
        "python": platform.python_version(),
        "fashionedit": f"{fashionedit.__version__} ({digest.hexdigest()[:8]})",
        "packages": packages,
    }


def check_versions(worker: dict[str, Any]) -> None:
    """Raises ServiceError where a worker has other versions than this process."""
    mine = versions()
    pairs = [(name, mine[name], worker[name]) for name in ("python", "fashionedit")]
    have = worker["packages"]
    pairs += [(name, version, have[name]) for name, version in mine["packages"].items() if name in have]
    for name, here, there in pairs:
        if here != there:
            shown = "Python" if name == "python" else name
            raise ServiceError(
                f"a worker on {worker['host']} has {shown} {there}, and this machine {here}; install the same "
                "versions everywhere (constraints.txt lists the tested ones)"
            )


def called(function: Callable[[], Any]) -> Reply:
    """Returns what the function returns, or its error."""
    try:
        return Reply(function())
    except Exception as error:
        return Reply(error=_portable(error))
