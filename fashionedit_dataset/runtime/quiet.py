"""Silence from diffusers and transformers while they do what they always do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps both libraries from drawing bars and from telling of each caption that CLIP reads no more than 77 tokens.

    The same two lines for each of 42,000 captions would bury what matters; that the end of a long caption reaches the
    model through T5 alone is a property of the model, and the record says whether T5 was used.
    """
    import diffusers.utils.logging as of_diffusers
    import transformers.utils.logging as of_transformers

    levels = [(library, library.get_verbosity()) for library in (of_diffusers, of_transformers)]
    bars = [(library, library.is_progress_bar_enabled()) for library, _ in levels]
    for library, _ in levels:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, level in levels:
            library.set_verbosity(level)
        for library, enabled in bars:
            if enabled:
                library.enable_progress_bar()
