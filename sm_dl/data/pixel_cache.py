"""Decoded images kept for the next epoch, as long as all of a channel fit into a bound."""

import threading

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 1 << 30
"""For one channel in one process: 340,000 pictures of CIFAR, or 7,000 of 224 x 224 pixels."""

Pixels = NDArray[np.uint8]


class PixelCache:
    """Pixels by number of the image: all of a channel's, or none; any thread may ask.

    A part of them would cost the memory and save little time.
    """

    def __init__(self, num_images: int, max_bytes: int = MAX_BYTES) -> None:
        """Begin empty."""
        self._num_images, self._max_bytes = num_images, max_bytes
        self._kept: dict[int, Pixels] = {}
        self._num_bytes = 0
        self._is_open = True
        self._lock = threading.Lock()

    def get(self, number: int) -> Pixels | None:
        """Return an image that was kept; it must not be changed."""
        return self._kept.get(number)

    def keep(self, number: int, pixels: Pixels) -> None:
        """Keep an image, unless the channel is too large, or its first image lets expect so."""
        with self._lock:
            if not self._num_bytes and pixels.nbytes * self._num_images > self._max_bytes:
                self._is_open = False
            if self._is_open and number not in self._kept:
                self._kept[number] = pixels
                self._num_bytes += pixels.nbytes
                if self._num_bytes > self._max_bytes:
                    self._is_open = False
                    self._kept.clear()
