"""What a user may say about an editor beside its name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fashionedit.errors import InvalidDataError
from fashionedit.eval_harness.editing import DEFAULT_TIMEOUT, UNDECLARED, StateTrack
from fashionedit.runtime.costs import Price
from fashionedit.runtime.http_clients import MOST_SECONDS, check_url
from fashionedit.runtime.secrets import refuse_secrets, remember_address


@dataclass(frozen=True, slots=True)
class EditorSettings:
    """How an editor is set up; each editor says which of these it knows.

    What a request may vary (steps, guidance) comes as `params` with every request instead.

    Args:
        base_url: Where the service is, if not at its usual place.
        timeout: Seconds that one edit may take.
        options: Of the editor's own, such as `dtype` or `lora`.
        price: What its tokens cost, in the place of the published prices.
        version: The user's label of the editor's version, part of its fingerprint; in place of a hash of its code.
        state: What a round hands to the next.
        pass_env: The secret environment variables that a program is given; the others it never sees.

    Raises:
        InvalidDataError: `timeout` is not above 0, `base_url` is no address, or an option holds a
            secret.
    """

    base_url: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    options: Mapping[str, Any] = field(default_factory=dict)
    price: Price | None = None
    version: str | None = None
    state: StateTrack = "images"
    pass_env: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.timeout <= MOST_SECONDS:
            raise InvalidDataError(
                f"the timeout is {self.timeout} s; give a number of seconds above 0, at most {MOST_SECONDS:,}"
            )
        refuse_secrets(self.options, "option")
        if self.base_url is not None:
            check_url(self.base_url, "base URL")
            remember_address(self.base_url)

    def refuse(self, **why: str) -> None:
        """Checks that none of these settings is made.

        Args:
            why: Setting → the sentence that refuses it.

        Raises:
            InvalidDataError: One is.
        """
        for name, sentence in why.items():
            if getattr(self, name) != ("images" if name == "state" else None):
                raise InvalidDataError(sentence)

    def known_options(self, editor: str, known: Mapping[str, str]) -> dict[str, Any]:
        """Returns the options.

        Args:
            editor: For the message.
            known: The names that this editor knows, each with what it is in a few words.

        Raises:
            InvalidDataError: One is not among them.
        """
        for name in self.options:
            if name not in known:
                listed = "; ".join(f"{option}: {what}" for option, what in known.items()) or "it has none"
                raise InvalidDataError(f"{editor} has no option {name!r}; its options are {listed}")
        return dict(self.options)


def undeclared() -> str:
    """Returns a fingerprint that no other run has, for an editor whose code can't be read: it can't be continued."""
    return f"{UNDECLARED}{os.urandom(8).hex()}"


def choice(options: Mapping[str, Any], name: str, values: tuple[str, ...]) -> str | None:
    """Returns an option that has one of these values, None where it is not given.

    Raises:
        InvalidDataError: It has another value.
    """
    value = options.get(name)
    if value is None or value in values:
        return value
    raise InvalidDataError(f"option {name} is {value!r}; choose {', '.join(values[:-1])} or {values[-1]}")
