"""Blind A/B test: people see a draft, the wishes and two results, and choose the result that they prefer.

The page is one component. Its requests (`begin`, `vote`, `undo`) name the voter and the pair, so that the server keeps
only the votes between two calls: a reload, a restart or a second person changes nothing. The browser receives the two
results as data URLs: no name, address or order says which editor made them.
"""

from __future__ import annotations

import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, get_args

from fashionedit.errors import InvalidDataError, InvalidImageError
from fashionedit.eval_harness.votes.pairs import PairList
from fashionedit.eval_harness.votes.votes import (
    Choice,
    Vote,
    VotedPair,
    VoteFolder,
    Voter,
    answer_of,
    other,
    voter_name,
)

from .components import OUTDATED, add_component, data_url, load_gradio

if TYPE_CHECKING:
    import gradio as gr

_READY = 16  # pairs whose pictures are kept encoded
_LONGEST = 86_400.0  # seconds; what took a day was a tab left open


class BlindTest:
    """A blind comparison; the votes in the folder are its only state.

    A turn, which every call returns, has `voter`, `done`, `total`, and `pair`: its number, or None at the end. With a
    pair it has `wishes` (each with `words` and `image`), `draft`, `original` (None unless it is shown), `left` and
    `right`, each picture as a data URL.

    Args:
        pairs: The pairs to compare, in their order.
        folder: The folder of the votes.
        show_original: Whether people see the original too; recorded with each vote.
        limit: Only this many pairs are asked about, the first ones.
    """

    def __init__(
        self, pairs: PairList, folder: VoteFolder, *, show_original: bool = False, limit: int | None = None
    ) -> None:
        folder.check_writable()
        self._pairs, self._folder, self._show_original = pairs, folder, show_original
        self._asked = pairs.pairs[:limit]
        self._places = {_key(pair.voted): place for place, pair in enumerate(self._asked)}
        self._damaged: set[int] = set()
        self._encoded = lru_cache(_READY)(self._encode)
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="next pair")
        self._lock = Lock()

    def begin(self, voter: str) -> dict[str, Any]:
        """Returns the turn at the first pair that the voter has not judged.

        Raises:
            InvalidDataError: The name can't be used.
        """
        return self._turn(voter_name(voter))

    def vote(self, voter: str, pair: int, choice: Choice, seconds: float | None = None) -> dict[str, Any]:
        """Keeps a vote, unless the voter has judged the pair, and returns the next turn.

        Raises:
            InvalidDataError: There is no such pair or choice, or the name can't be used.
        """
        name = voter_name(voter)
        if choice not in get_args(Choice) or type(pair) is not int or not 0 <= pair < len(self._asked):
            raise InvalidDataError(OUTDATED)
        valid = isinstance(seconds, int | float) and math.isfinite(seconds) and 0 <= seconds <= _LONGEST
        with self._lock:
            if pair not in self._judged(name):  # else a key was pressed twice, or the person has two tabs
                self._add(name, pair, choice, round(float(seconds), 2) if valid and seconds is not None else None)
        return self._turn(name)

    def undo(self, voter: str) -> dict[str, Any]:
        """Takes back the last vote that the voter was asked for, and returns the turn at its pair.

        Raises:
            InvalidDataError: The name can't be used.
        """
        name = voter_name(voter)
        with self._lock:
            asked = [vote for vote in self._judged(name).values() if not vote.pair.alike]
            if asked:
                self._folder.take_back(asked[-1].id)
        return self._turn(name)

    def _turn(self, name: str) -> dict[str, Any]:
        while True:
            with self._lock:
                left = self._left(name)
                done = len(self._asked) - len(self._damaged) - len(left)
            turn = {"voter": name, "done": done, "total": done + len(left), "pair": None}
            if not left:
                return turn
            try:
                shown = self._encoded(left[0])
            except InvalidImageError as error:
                warnings.warn(f"{error}; the pair is left out", stacklevel=2)
                self._damaged.add(left[0])
                continue
            if len(left) > 1:
                self._ahead.submit(self._encoded, left[1])  # while the person looks
            side = self._pairs.left(self._asked[left[0]], name)
            pictures = {"left": shown[side], "right": shown[other(side)]}
            return turn | {name: shown[name] for name in ("draft", "wishes", "original")} | pictures | {"pair": left[0]}

    def _left(self, name: str) -> list[int]:
        """Returns the pairs left for the voter; a pair of equal pictures gets a tie without being shown."""
        judged = self._judged(name)
        left = [place for place in range(len(self._asked)) if place not in judged and place not in self._damaged]
        for place in left:
            if self._asked[place].voted.alike:
                self._add(name, place, "tie", None)
        return [place for place in left if not self._asked[place].voted.alike]

    def _judged(self, name: str) -> dict[int, Vote]:
        """Returns the voter's votes by pair, the latest last."""
        judged: dict[int, Vote] = {}
        for vote in self._folder.votes():
            is_own = vote.voter.name == name and vote.voter.kind == "person"
            if is_own and vote.original_shown == self._show_original:
                place = self._places.get(_key(vote.pair))
                if place is not None:
                    judged.pop(place, None)
                    judged[place] = vote
        return judged

    def _add(self, name: str, place: int, choice: Choice, seconds: float | None) -> None:
        pair = self._asked[place]
        left = self._pairs.left(pair, name)
        vote = Vote(
            voter=Voter(name=name, kind="person"),
            pair=pair.voted,
            left=left,
            answer=answer_of(choice, left),
            original_shown=self._show_original,
            question=pair.asked(self._show_original),
            seed=self._pairs.seed,
            seconds=seconds,
        )
        self._folder.add(vote)

    def _encode(self, place: int) -> dict[str, Any]:
        pair = self._asked[place]
        pictures = self._pairs.pictures(pair)
        wishes = zip(pair.wishes, pictures.references, strict=True)
        return {
            "draft": data_url(pictures.draft),
            "original": data_url(pictures.original) if self._show_original else None,
            "wishes": [{"words": words, "image": data_url(reference)} for words, reference in wishes],
            "first": data_url(pictures.first),
            "second": data_url(pictures.second),
        }


def _key(pair: VotedPair) -> tuple[Any, ...]:
    """Returns a key that is equal for two votes about the same pair, in whichever order they name its results."""
    return pair.manifest, pair.sample, frozenset((*side.place, side.digest) for side in (pair.first, pair.second))


def blind_test_panel(test: BlindTest) -> gr.HTML:
    """Adds the page's component to the Gradio blocks that are being built, and returns it.

    It brings its own style and script, and answers keys (← → = and u) while it is on the screen.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    return add_component(
        "blind-test",
        {
            "begin": lambda arguments: test.begin(arguments["voter"]),
            "vote": lambda arguments: test.vote(
                arguments["voter"], arguments["pair"], arguments["choice"], arguments.get("seconds")
            ),
            "undo": lambda arguments: test.undo(arguments["voter"]),
        },
    )


def blind_test_app(test: BlindTest) -> gr.Blocks:
    """Returns the page as an app of its own; `launch` shows it.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    with load_gradio().Blocks(title="Which result is better?", analytics_enabled=False, fill_width=True) as app:
        blind_test_panel(test)
    return app
