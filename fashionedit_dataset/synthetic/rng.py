"""Chance by name: every random number has a name, so none depends on how many were drawn before it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

import numpy as np

_T = TypeVar("_T")


def number(*name: object) -> int:
    """Returns a 64-bit integer that depends on the name alone, the same in every process and on every machine.

    >>> number("t-shirt", 3) == number("t-shirt", 3)
    True
    """
    return int.from_bytes(hashlib.blake2b(repr(name).encode(), digest_size=8).digest(), "little")


def uniform(low: float, high: float, *name: object) -> float:
    """Returns a number in low..high."""
    return low + (high - low) * (number(*name) / 2**64)


def choose(values: Sequence[_T], *name: object) -> _T:
    """Returns one of the values, each as likely as the others."""
    return values[number(*name) % len(values)]


def weighted(weights: Mapping[_T, float], *name: object) -> _T:
    """Returns one of the keys, as likely as its weight says."""
    point = uniform(0, sum(weights.values()), *name)
    for value, weight in weights.items():
        point -= weight
        if point < 0:
            return value
    return value


def shuffled(values: Sequence[_T], *name: object) -> list[_T]:
    """Returns the values in an order that depends on the name alone."""
    return Random(number(*name)).sample(list(values), len(values))


def generator(*name: object) -> np.random.Generator:
    """Returns a numpy generator for a whole field of numbers."""
    return np.random.Generator(np.random.PCG64(number(*name)))
