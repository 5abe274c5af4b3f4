"""The errors a user can cause, as one tree.

FashionEditError
├── InvalidDataError (ValueError)      a value, row, file or folder is not what it must be
│   ├── InvalidBoxError                a box outside 0..1000 or without area
│   └── InvalidImageError              bytes that are no image, or an image that is too large
├── UnknownNameError (ValueError)      no editor, protocol, metric, encoder or split has this name
├── DatasetNotFoundError (FileNotFoundError)  no place that was looked at holds the dataset
├── EncoderNotFoundError (FileNotFoundError)  the weights of an image encoder can't be had
├── MissingExtraError (ImportError)    an optional dependency is not installed
├── RunMismatchError (ValueError)      a run folder belongs to another run
├── RunBusyError (BlockingIOError)     another process is writing to the run folder
├── EditorError (TypeError)            an editor does not keep the contract
├── ServiceError (RuntimeError)        a service refuses to work at all: key, quota, model, repository
└── BudgetSpentError (RuntimeError)    a further call could exceed the budget

Every message says what was found, what was wanted and what to do; the command prints it without a traceback.
"""

from __future__ import annotations

import re


class FashionEditError(Exception):
    """Anything a user of this package can cause and mend."""


class InvalidDataError(FashionEditError, ValueError):
    """A value, row, file or folder is not what it must be."""


class InvalidBoxError(InvalidDataError):
    """A box lies outside 0..1000 or has no area."""


class InvalidImageError(InvalidDataError):
    """Bytes are no image that can be read, or the image is too large."""


class UnknownNameError(FashionEditError, ValueError):
    """No editor, protocol, metric, encoder or split has this name."""


class DatasetNotFoundError(FashionEditError, FileNotFoundError):
    """No place that was looked at holds the dataset."""


class EncoderNotFoundError(FashionEditError, FileNotFoundError):
    """The weights of an image encoder can't be had: no such repository or revision, or no network."""


class MissingExtraError(FashionEditError, ImportError):
    """An optional dependency is not installed.

    Args:
        extra: The name of the extra that brings it.
        package: The distribution that could not be imported, as the extra calls it.
    """

    def __init__(self, extra: str, package: str) -> None:
        wanted = " ".join(f"'{requirement}'" for requirement in _requirements(extra, package))
        super().__init__(f"{package} is not installed; run: pip install {wanted}")
        self._given = extra, package

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), self._given


def _requirements(extra: str, package: str) -> list[str]:
    """Returns what setup.cfg requires for the extra: of the package, and of what else is not installed."""
    from importlib import metadata

    try:
        lines = metadata.requires("fashionedit") or []
    except metadata.PackageNotFoundError:  # not installed, only on the path
        return [package]
    found = []
    for line in lines:
        requirement, _, condition = line.partition(";")
        name = re.split(r"[^\w.-]", requirement)[0]
        if f'extra == "{extra}"' in condition and (name == package or not [*metadata.distributions(name=name)]):
            found.append(requirement.strip())
    return found or [package]


class RunMismatchError(FashionEditError, ValueError):
    """A run folder belongs to another run."""


class RunBusyError(FashionEditError, BlockingIOError):
    """Another process is writing to the run folder."""


class EditorError(FashionEditError, TypeError):
    """An editor does not keep the contract."""


class ServiceError(FashionEditError, RuntimeError):
    """A service refuses to work at all, so that no further call is worth making: no key, no quota, no such model."""


class BudgetSpentError(FashionEditError, RuntimeError):
    """A further call could exceed the budget."""
