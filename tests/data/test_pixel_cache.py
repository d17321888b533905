"""Decoded images kept: all of a channel, or none."""

import numpy as np

from sm_dl.data.pixel_cache import PixelCache

PIXELS = np.zeros((10, 10, 1), dtype=np.uint8)


def test_what_is_kept_is_had_again() -> None:
    cache = PixelCache(num_images=2, max_bytes=200)
    cache.keep(0, PIXELS)
    cache.keep(0, PIXELS)
    cache.keep(5, PIXELS)
    assert cache.get(0) is PIXELS
    assert cache.get(5) is PIXELS
    assert cache.get(1) is None


def test_a_channel_that_turns_out_too_large_is_not_kept_in_part() -> None:
    cache = PixelCache(num_images=2, max_bytes=200)
    cache.keep(0, PIXELS)
    cache.keep(1, np.zeros((10, 11, 1), dtype=np.uint8))
    cache.keep(2, PIXELS)
    assert [cache.get(number) for number in range(3)] == [None, None, None]


def test_a_channel_that_looks_too_large_is_not_begun() -> None:
    cache = PixelCache(num_images=3, max_bytes=200)
    cache.keep(0, PIXELS)
    assert cache.get(0) is None
