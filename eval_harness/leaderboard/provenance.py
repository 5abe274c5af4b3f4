"""What the edits of a run were really made with: parameters, model versions, package versions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from fashionedit.eval_harness.editing import canonical_json
from fashionedit.eval_harness.references import with_reference
from fashionedit.eval_harness.running.chain import chains
from fashionedit.eval_harness.running.records import RoundRecord
from fashionedit.eval_harness.running.run_folder import RunFolder
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.files import read_json_lines
from fashionedit.runtime.secrets import masked


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EffectiveParameters(_Stored):
    """What the edits in one protocol were made with.

    Args:
        model_versions: As the editor told them; None where it told none.
        parameters: The values of each, at most eight; above that the number of them (a seed is another each time).
    """

    model_versions: tuple[str | None, ...]
    parameters: dict[str, Any]


class PackageVersions(_Stored):
    """What one or more starts of the run had installed."""

    python: str | None
    packages: dict[str, str]


_MOST_VALUES = 8


def effective_parameters(run: RunFolder, source: SampleSource) -> dict[str, EffectiveParameters]:
    """Returns for each protocol of the run what its edits were made with."""
    told: dict[str, dict[str, Counter[str]]] = {}
    for protocol, record in _records(run, source):
        here = told.setdefault(protocol, {})
        for name, value in masked(record.effective_params).items():
            here.setdefault(name, Counter())[canonical_json(value, name=name)] += 1
        here.setdefault("", Counter())[json.dumps(masked(record.model_version))] += 1
    return {
        protocol: EffectiveParameters(
            model_versions=tuple(json.loads(text) for text in sorted(here.pop(""))),
            parameters={name: _values(found) for name, found in sorted(here.items())},
        )
        for protocol, here in told.items()
    }


def _records(run: RunFolder, source: SampleSource) -> Iterator[tuple[str, RoundRecord]]:
    for chain in chains(run.identity, with_reference(source, run.identity.reference)):
        for round in chain.rounds:
            record = run.record(chain.step(round).key)
            chain.take(record)
            if record is not None:
                yield chain.protocol.name, record


def _values(found: Counter[str]) -> Any:
    return [json.loads(text) for text in sorted(found)] if len(found) <= _MOST_VALUES else f"{len(found)} values"


def package_sets(path: Path) -> tuple[PackageVersions, ...]:
    """Returns the different sets of Python and package versions with which the run was started, in order.

    Args:
        path: A `sessions.jsonl`; what else its lines tell (machine, command, folders) is left out.
    """
    found: list[PackageVersions] = []
    for line in read_json_lines(path, folder=path.parent):
        if "packages" in line:
            with suppress(ValidationError):
                one = PackageVersions(python=line.get("python"), packages=line["packages"])
                if one not in found:
                    found.append(one)
    return tuple(found)
