"""`fashionedit.load`, and the names `fashionedit`, `clip_star`, … for `load_dataset` and `evaluate.load`.

Neither library has a way to register a name, so two of their private functions are wrapped as soon as their modules are
imported, before or after ours. This module is the only one that knows them. `FASHIONEDIT_NO_ALIASES=1` leaves both
libraries alone; `fashionedit.load` and `fashionedit.metrics.load` need neither.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datasets

DATASET = "fashionedit"
METRICS = ("clip_similarity", "clip_star", "psnr")
_MARK = "_wrapped_by_fashionedit"


def load(
    spec: str | Path | None = None,
    *,
    split: str | None = None,
    streaming: bool = False,
    num_proc: int | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    **options: Any,
) -> datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | datasets.IterableDatasetDict:
    """Returns what `load_dataset("fashionedit", ...)` does, without relying on that name being known to `datasets`.

    Args:
        spec: As for `open_data`; the full set by default.
        split: `train`, `validation` (`val`), or any of `datasets`' slices; a dictionary of all splits by default.
        streaming: Read rows as they are needed instead of preparing a copy in the cache of `datasets`.
        num_proc: Processes that prepare that copy.
        cache_dir: Where it is, instead of the usual place.
        token: For the Hub.
        options: `columns=`, a list of those that are read (all by default; without pictures it is much quicker),
            `samples=` and `seed=` of the synthetic set, `revision=` of a Hub repository.

    Raises:
        DatasetNotFoundError: No place that was looked at holds the data.
        InvalidDataError: A file or an option is not what it must be.
    """
    from .builder import CODE_HASH, FashionEdit
    from .data import SyntheticSet, find_source

    source = find_source(spec)
    where: dict[str, Any] = {}
    if isinstance(source, SyntheticSet):
        where = {"config_name": "synthetic", "samples": source.samples}
    elif spec is not None:
        where = {"data_dir": str(spec)}
    builder = FashionEdit(
        dataset_name="fashionedit",
        hash=CODE_HASH,
        cache_dir=str(cache_dir) if cache_dir is not None else None,
        token=token,
        **{**where, **options},
    )
    wanted = _split_for_datasets(split)
    if streaming:
        return builder.as_streaming_dataset(split=wanted)
    builder.download_and_prepare(num_proc=num_proc)
    return builder.as_dataset(split=wanted)


def _split_for_datasets(split: str | None) -> str | None:
    """Puts `validation` for `val`, slices kept: `val[:10]+train` is `validation[:10]+train`."""
    if split is None:
        return None
    parts = [part.strip() for part in split.split("+")]
    return "+".join("validation" + part[3:] if part == "val" or part.startswith("val[") else part for part in parts)


def install() -> None:
    """Wraps the two functions: now where their modules are imported, else when they are. Again is the same as once."""
    for name, (function, wrap) in _TARGETS.items():
        if name in sys.modules:
            _wrap_in(sys.modules[name], function, wrap)
    if not any(getattr(finder, _MARK, False) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _serve_dataset(resolve: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    def dataset_module_factory(path: str, revision: Any = None, *args: Any, **kwargs: Any) -> Any:
        if path != DATASET or Path(path).is_dir():
            return resolve(path, revision, *args, **kwargs)
        from .builder import CODE_HASH

        known = {"dataset_name": DATASET, **({"revision": str(revision)} if revision is not None else {})}
        return module.DatasetModule("fashionedit.builder", CODE_HASH, known)

    return dataset_module_factory


def _serve_metrics(resolve: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    def evaluation_module_factory(path: str, *args: Any, **kwargs: Any) -> Any:
        name = path.removeprefix("fashionedit/")
        if name not in METRICS or Path(path, f"{name}.py").is_file():
            return resolve(path, *args, **kwargs)
        script = f"fashionedit.metrics.{name}.{name}"
        spec = importlib.util.find_spec(script)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{script} is not installed; install fashionedit again", name=script)
        return module.ImportableModule(script, hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest())

    return evaluation_module_factory


_Wrap = Callable[[Callable[..., Any], ModuleType], Callable[..., Any]]
_TARGETS: dict[str, tuple[str, _Wrap]] = {
    "datasets.load": ("dataset_module_factory", _serve_dataset),
    "evaluate.loading": ("evaluation_module_factory", _serve_metrics),
}


def _wrap_in(module: ModuleType, function: str, wrap: _Wrap) -> None:
    """Puts the wrapper wherever the library has the function under its name by now."""
    found = getattr(module, function, None)
    if found is None:
        warnings.warn(
            f"{module.__name__} has no {function} in this version, so our names are unknown to it; use "
            "fashionedit.load() and fashionedit.metrics.load()",
            stacklevel=2,
        )
        return
    if getattr(found, _MARK, False):
        return
    served = functools.wraps(found)(wrap(found, module))
    setattr(served, _MARK, True)
    library = module.__name__.partition(".")[0]
    for name, other in list(sys.modules.items()):
        if name.partition(".")[0] == library and getattr(other, "__dict__", {}).get(function) is found:
            setattr(other, function, served)


class _Finder(MetaPathFinder):
    """Finds the two modules as everybody does, and wraps their function once they have run.

    It is known by its mark and not by its class: whoever imports this package anew has another class of this name.
    """

    def __init__(self) -> None:
        setattr(self, _MARK, True)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _TARGETS:
            return None
        for finder in sys.meta_path:
            if getattr(finder, _MARK, False) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader(Loader):
    """Runs a module through its own loader, gives the loader back to it, and wraps its function."""

    def __init__(self, inner: Loader) -> None:
        self._inner = inner

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._inner
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        self._inner.exec_module(module)
        _wrap_in(module, *_TARGETS[module.__name__])
