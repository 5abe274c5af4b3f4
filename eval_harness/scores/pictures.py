"""The pictures of a scoring, by digest: each opened when it is needed, the last ones kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from threading import Lock

from PIL import Image

from fashionedit.images import to_rgb

_KEPT = 256 * 2**20  # bytes of pixels: some 80 pictures of 1024 × 1024

Opener = Callable[[], Image.Image]


class Pictures:
    """Opens pictures by their pixel digests; safe to use from several threads.

    Args:
        keep: Whether the last pictures are kept, for somebody who comes back for them.
    """

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._openers: dict[str, Opener] = {}
        self._kept: OrderedDict[str, Image.Image] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def name(self, digest: str, opener: Opener) -> None:
        """Says how a picture is opened; the first that is said holds."""
        self._openers.setdefault(digest, opener)

    def opener(self, digest: str) -> Opener:
        """Returns what opens the picture."""
        return partial(self.open, digest)

    def open(self, digest: str) -> Image.Image:
        """Returns the picture in RGB."""
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
                return self._kept[digest]
        image = to_rgb(self._openers[digest]())
        if self._keep:
            image.load()
            self._remember(digest, image)
        return image

    def _remember(self, digest: str, image: Image.Image) -> None:
        with self._lock:
            if digest in self._kept:
                return
            self._kept[digest] = image
            self._bytes += _size(image)
            while self._bytes > _KEPT and len(self._kept) > 1:
                self._bytes -= _size(self._kept.popitem(last=False)[1])


def _size(image: Image.Image) -> int:
    return image.width * image.height * 3
