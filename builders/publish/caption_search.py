"""Finding captions in other texts, however they are spaced, capitalised or punctuated."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

LEAST_WORDS = 4
"""Shorter captions are not looked for in other texts: `long black dress` stands in many a description."""

LONGEST_RUN = 12
"""So many words of a caption in a row are the caption; so a part of a long one is found too."""

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")  # where words have no spaces between them each sign is one
_SIGN = re.compile(f"[{_UNSPACED}]")


class CaptionSearch:
    """Knows captions by their words.

    A caption is found where its words stand in a row, whatever is between them; of one with more than `LONGEST_RUN`
    words any run of that length is enough. The work grows with the text that is searched, not with the captions. Two
    signs of a script without spaces, such as Chinese, count as a word.

    Args:
        captions: By `image_id`.
    """

    def __init__(self, captions: Mapping[str, str]) -> None:
        # by length, the hash of each run and whose it is: the words themselves would take ten times the room
        self._runs: dict[int, dict[int, str]] = {}
        self._short: dict[tuple[str, ...], str] = {}
        self._own: dict[str, tuple[str, ...]] = {}
        for key, caption in captions.items():
            words = _words(caption)
            if _length(words) < LEAST_WORDS:
                if len(words) > 1:
                    self._short.setdefault(tuple(words), key)
                    self._own[key] = tuple(words)
                continue
            length = min(len(words), LONGEST_RUN)
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

    def find_short(self, text: str, key: str) -> str | None:
        """Returns the `image_id` of a short caption that a text of the sample `key` consists of; None where it is none.

        It is any caption of fewer than `LEAST_WORDS` words that is the whole text, and the sample's own where it is
        half of the text or more. One word alone is no caption.
        """
        words = tuple(_words(text))
        own = self._own.get(key, ())
        if own and 2 * len(own) >= len(words):
            for start in range(len(words) - len(own) + 1):
                if words[start : start + len(own)] == own:
                    return key
        return self._short.get(words)


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _length(words: list[str]) -> float:
    return sum(0.5 if _SIGN.fullmatch(word) else 1 for word in words)
