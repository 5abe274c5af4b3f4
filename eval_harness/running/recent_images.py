"""The images that were committed last: the next round of a sample mostly starts before they are forgotten."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from PIL import Image

MOST_BYTES = 32 * 2**20
"""What is held at most, pixels and files together; seven pictures of 1024², or 57 of 256 × 384."""


class RecentImages:
    """Images by digest, with the PNG that was written of them; the oldest go first. Safe to use from several threads.

    An image is read from here in the place of decoding its file and encoding it anew to send it.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._lock = Lock()
        self._kept: OrderedDict[str, tuple[Image.Image, bytes]] = OrderedDict()

    def keep(self, digest: str, image: Image.Image, encoded: bytes) -> None:
        """Remembers an image of mode RGB."""
        with self._lock:
            self._forget(digest)
            self._kept[digest] = image, encoded
            self._bytes += _size(image, encoded)
            while self._bytes > self._most:
                self._forget(next(iter(self._kept)))

    def take(self, digest: str) -> tuple[Image.Image, bytes] | None:
        """Returns the image and its PNG, which are not to be changed; None if they are not remembered."""
        with self._lock:
            return self._kept.get(digest)

    def _forget(self, digest: str) -> None:
        if (known := self._kept.pop(digest, None)) is not None:
            self._bytes -= _size(*known)


def _size(image: Image.Image, encoded: bytes) -> int:
    return image.width * image.height * len(image.getbands()) + len(encoded)
