"""Finding captions in other texts, however they are spaced, capitalised or punctuated."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

LEAST_WORDS = 4
"""Shorter captions are not looked for: `long black dress` stands in many a description."""

LONGEST_RUN = 12
"""So many words of a caption in a row are the caption; so a part of a long one is found too."""

_WORD = re.compile(r"[^\W_]+")


class CaptionSearch:
    """Knows captions by their words.

    A caption is found where its words stand in a row, whatever is between them; of one with more than `LONGEST_RUN`
    words any run of that length is enough. The work grows with the text that is searched, not with the captions.

    Args:
        captions: By `image_id`.
    """

    def __init__(self, captions: Mapping[str, str]) -> None:
        # by length, the hash of each run and whose it is: the words themselves would take ten times the room
        self._runs: dict[int, dict[int, str]] = {}
        for key, caption in captions.items():
            words = _words(caption)
            length = min(len(words), LONGEST_RUN)
            if length >= LEAST_WORDS:
                for start in range(len(words) - length + 1):
                    run = hash(tuple(words[start : start + length]))
                    self._runs.setdefault(length, {}).setdefault(run, key)

    def find(self, text: str) -> str | None:
        """Returns the `image_id` of a caption that is in the text; None where there is none."""
        words = _words(text)
        for length, runs in self._runs.items():
            for start in range(len(words) - length + 1):
                if key := runs.get(hash(tuple(words[start : start + length]))):
                    return key
        return None


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
