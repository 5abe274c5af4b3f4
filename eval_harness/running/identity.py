"""Which run is which: the identity that a run folder keeps, and how two of them differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from fashionedit.errors import EditorError, InvalidDataError, UnknownNameError
from fashionedit.eval_harness.editing import Editor, EditorInfo, PrivilegedEditor, plain_json
from fashionedit.eval_harness.protocols import PROTOCOL_VERSION, PROTOCOLS, EditingProtocol, ordered_protocols
from fashionedit.eval_harness.references import reference_of
from fashionedit.eval_harness.samples import SampleSource
from fashionedit.runtime.secrets import clean, masked, refuse_secrets
from fashionedit.runtime.user_code import users_code

from .records import MOST_REPEATS, EditorIdentity, RunIdentity

SizePolicy = Literal["model", "base"]


def editor_info(editor: Editor | PrivilegedEditor, name: str | None = None) -> EditorInfo:
    """Returns what the editor says of itself, under another name where one is given.

    Raises:
        EditorError: It is no EditorInfo, or its name, its fingerprint or what it says of references is of no use.
        InvalidDataError: The given name is empty, longer than 96 characters or can't be printed.
    """
    with users_code(f"describe() of {type(editor).__name__}"):
        info = editor.describe()
    if name is not None and not (name.strip() and len(name) <= 96 and name.isprintable()):
        raise InvalidDataError(f"--name {name!r} can't be used; give 1 to 96 printable characters")
    if not isinstance(info, EditorInfo):
        raise EditorError(
            f"describe() of {type(editor).__name__} returned {type(info).__name__}; return an EditorInfo(name, "
            "fingerprint)"
        )
    for field in ("name", "fingerprint"):
        value = getattr(info, field)
        if not isinstance(value, str) or not value.strip():
            raise EditorError(f"the {field} of {type(editor).__name__} is {value!r}; describe() must give a text")
    for field in ("takes_reference", "needs_reference"):
        if type(getattr(info, field)) is not bool:
            raise EditorError(f"the {field} of editor {info.name} is {getattr(info, field)!r}; give True or False")
    return replace(info, name=masked(clean(name or info.name)), fingerprint=masked(clean(info.fingerprint)))


def run_protocols(info: EditorInfo, asked: Iterable[str] | None) -> tuple[str, ...]:
    """Returns the protocols of a run, in the order of the tables: those asked for, else all that the editor edits in.

    Raises:
        UnknownNameError: A name is no protocol, or the editor can't take part in it.
    """
    able = [name for name in PROTOCOLS if can_take_part(info, PROTOCOLS[name])]
    if asked is None:
        return ordered_protocols(name for name in able if PROTOCOLS[name].edits)
    names = ordered_protocols(asked)
    for name in names:
        if name not in able:
            why = "takes no reference image" if PROTOCOLS[name].shows_reference else "needs a reference image"
            raise UnknownNameError(
                f"editor {info.name} {why}, so it can't take part in protocol {name!r}; choose {', '.join(able)}"
            )
    return names


def can_take_part(info: EditorInfo, protocol: EditingProtocol) -> bool:
    """Returns whether an editor with these capabilities can be asked what a protocol asks."""
    if not protocol.edits:
        return True  # nobody is asked
    return info.takes_reference if protocol.shows_reference else not info.needs_reference


def run_identity(
    info: EditorInfo,
    source: SampleSource,
    *,
    protocols: Iterable[str] | None = None,
    rounds: int = 3,
    seed: int = 0,
    params: Mapping[str, Any] | None = None,
    size_policy: SizePolicy = "model",
    supplied: bool = False,
    repeats: int = 1,
) -> RunIdentity:
    """Returns the identity of a run: two calls with the same meaning give equal ones.

    Args:
        source: The samples, with the kind of reference that the run shows (`references.with_reference`).

    Raises:
        InvalidDataError: `rounds` is not 1..3, `repeats` is not 1..1000, `seed` is no whole number, `size_policy` is no
            policy, a param looks like a secret, or the source has no samples.
        UnknownNameError: A protocol is unknown, or the editor takes no part in it.
        EditorError: `params` can't be written as JSON.
    """
    names = run_protocols(info, protocols)
    for name in names:
        PROTOCOLS[name].rounds(rounds)
    if type(repeats) is not int or not 1 <= repeats <= MOST_REPEATS:
        raise InvalidDataError(f"repeats is {repeats!r}; a run is made 1 to {MOST_REPEATS:,} times")
    if type(seed) is not int:
        raise InvalidDataError(f"seed is {seed!r}; give a whole number")
    if size_policy not in ("model", "base"):
        raise InvalidDataError(f"size policy {size_policy!r} is unknown; choose model or base")
    if not source.ids:
        raise InvalidDataError(f"{source.name} {source.split} has no samples; there is nothing to run")
    settings = plain_json(dict(params or {}), name="params")
    refuse_secrets(settings, "param")
    return RunIdentity(
        protocol_version=PROTOCOL_VERSION,
        editor=EditorIdentity(
            name=info.name,
            fingerprint=info.fingerprint,
            privileged=info.privileged,
            supplied=supplied,
            state=info.state,
            stitched=info.stitched,
        ),
        dataset=source.name,
        split=source.split,
        samples=len(source.ids),
        manifest=source.manifest_hash,
        control_set=source.control_set,
        protocols=names,
        rounds=rounds,
        reference=reference_of(source),
        size_policy=size_policy,
        seed=seed,
        params=settings,
        repeats=repeats,
    )


def identity_differences(have: RunIdentity, want: RunIdentity) -> list[str]:
    """Returns one clause for each field in which two identities differ, as `seed: run has 0, you asked 1`."""
    old, new = (
        dict(_leaves({**identity.model_dump(mode="json"), "repeats": identity.repeats})) for identity in (have, want)
    )
    return [
        f"{name}: run has {_shown(old, name)}, you asked {_shown(new, name)}"
        for name in [*old, *(name for name in new if name not in old)]
        if name not in old or name not in new or old[name] != new[name]
    ]


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, dict) and item:
            yield from _leaves(item, f"{prefix}{name}.")
        elif item != {}:
            yield f"{prefix}{name}", item


def _shown(leaves: Mapping[str, Any], name: str) -> str:
    if name not in leaves:
        return "none"
    value = leaves[name]
    return ", ".join(map(str, value)) if isinstance(value, list) else repr(value) if value == "" else str(value)
