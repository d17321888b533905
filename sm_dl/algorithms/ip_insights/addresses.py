"""IPv4 addresses: dotted decimal to numbers and back, a whole column at a time."""

import re
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Addresses = npt.NDArray[np.uint32]
"""An address as a number: `1.2.3.4` is 0x01020304."""
Mask = npt.NDArray[np.bool_]

ZERO, DOT = ord("0"), ord(".")
NUM_DOTS: Final = 3
LARGEST_OCTET: Final = 255
LEAST_OF_LENGTH = np.array([256, 0, 10, 100, 256], np.uint16)
"""The least number of so many digits that has no leading zero; none of 0 digits, or of 4 and more."""
NUMBERS = re.compile(r"\d+(\.\d+)*", re.ASCII)
HOST_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+\.?", re.ASCII)
IP_VERSION_6 = re.compile(r"[0-9A-Fa-f:.%/]*:[0-9A-Fa-f:.]*:[0-9A-Za-z:.%/]*", re.ASCII)


def parse_addresses(text: Bytes, offsets: npt.NDArray[np.int32]) -> tuple[Addresses, Mask]:
    """Return the address that each string of a column spells, and whether it spells one.

    Four numbers from 0 to 255 with dots between them, without leading zeros, and nothing else:
    readers disagree about `010.0.0.1`.

    Args:
        text: The bytes of all strings, end to end, as Arrow has them.
        offsets: Where each string begins, and the end of the last.
    """
    begin, end = offsets[:-1], offsets[1:]
    is_dot = text == DOT
    dots = np.flatnonzero(is_dot).astype(np.int32)
    if len(dots) < NUM_DOTS:
        return np.zeros(len(begin), np.uint32), np.zeros(len(begin), np.bool_)
    is_good = np.ones(len(begin), np.bool_)
    threes = dots[: len(dots) // NUM_DOTS * NUM_DOTS].reshape(-1, NUM_DOTS)
    if len(dots) != NUM_DOTS * len(begin) or not (
        (threes[:, 0] >= begin).all() and (threes[:, -1] < end).all()
    ):
        dots_before = _counted(is_dot)
        first = dots_before[begin]
        is_good &= dots_before[end] - first == NUM_DOTS
        first = np.minimum(first, len(dots) - NUM_DOTS)  # of a bad string: any that can be read
        threes = dots[first[:, None] + np.arange(NUM_DOTS)]
    digits = (text - np.uint8(ZERO)).astype(np.uint16)
    is_allowed = is_dot | (digits <= 9)
    if not is_allowed.all():
        allowed_before = _counted(is_allowed)
        is_good &= allowed_before[end] - allowed_before[begin] == end - begin
    addresses = np.zeros(len(begin), np.uint32)
    bounds = [begin - 1, *threes.T, end]
    for before, after in pairwise(bounds):
        octet, is_octet = _octets(digits, after, after - before - 1)
        addresses = addresses << np.uint32(8) | octet
        is_good &= is_octet
    return addresses, is_good


def _counted(mask: Mask) -> npt.NDArray[np.int32]:
    """Return how often a mask is true before each position, and in all."""
    return np.concatenate([np.zeros(1, np.int32), np.cumsum(mask, dtype=np.int32)])


def _octets(
    digits: npt.NDArray[np.uint16], end: npt.NDArray[np.int32], length: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.uint16], Mask]:
    """Return the numbers of some length that end before some positions, and whether they are octets."""
    value = digits.take(end - 1, mode="clip")
    for place, weight in ((2, 10), (3, 100)):
        value += digits.take(end - place, mode="clip") * (length >= place) * np.uint16(weight)
    least = LEAST_OF_LENGTH.take(length, mode="clip")
    return value & np.uint16(LARGEST_OCTET), (value >= least) & (value <= LARGEST_OCTET)


def text_of(address: int) -> str:
    """Return an address as people write it."""
    return ".".join(str(address >> shift & LARGEST_OCTET) for shift in (24, 16, 8, 0))


def complaint(text: str) -> str:
    """Return what is wrong with a text that is no address, and what to do, without a full stop."""
    if IP_VERSION_6.fullmatch(text):
        return "an IPv6 address; only IPv4 is known, so leave such rows out"
    if HOST_NAME.fullmatch(text):
        return "a host name; look up its address"
    parts = text.split(".")
    if NUMBERS.fullmatch(text) and len(parts) == NUM_DOTS + 1:
        if any(int(part[:4]) > LARGEST_OCTET for part in parts):
            return "a number above 255; correct it"
        return "a leading zero, which some readers take for octal; write the number without it"
    if NUMBERS.fullmatch(text):
        return f"{len(parts)} numbers; write all four"
    return "no address; if it is a header line, remove it"
