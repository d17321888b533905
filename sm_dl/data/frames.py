"""Where the records of a RecordIO stream lie: many headers found at once, none of them trusted.

A record is one part or several. Each part is a magic number, a word with flag and length, the
payload and zero bytes up to a multiple of four, all little-endian; so headers lie on whole words.
A reader goes by the lengths alone: a payload may hold the magic number itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sm_dl.errors import UserError

MAGIC = 0xCED7230A
WORD_BYTES = 4
HEADER_BYTES = 2 * WORD_BYTES
FLAG_SHIFT = 29
MAX_PART_BYTES = (1 << FLAG_SHIFT) - 1
WHOLE, FIRST, MIDDLE, LAST = range(4)
"""Continuation flags: what a part is of its record."""
MAGIC_BYTES = MAGIC.to_bytes(WORD_BYTES, "little")

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """The whole parts at the beginning of a buffer, in order."""

    offsets: Integers
    """Of each part's magic number."""
    lengths: Integers
    """Of each part's payload, without padding."""
    flags: Integers
    end: int
    """Where the next part begins: it is cut short, or no part at all."""
    end_needed: int
    """Where the next part would end, as far as its bytes tell."""
    is_garbage: bool
    """Whether the bytes at `end` are no header."""


def find_parts(buffer: bytes | memoryview) -> Parts:
    """Return the parts that lie whole at the beginning of `buffer`, and what follows them."""
    num_words = len(buffer) // WORD_BYTES
    words = np.frombuffer(buffer, dtype="<u4", count=num_words)
    alike = _alike(words)
    begin = int(alike[-1] + alike[1]) if len(alike) else 0
    candidates = begin + _magic_words(words[begin:-1])
    lrecs = words[candidates + 1]
    after = candidates + 2 + _num_payload_words(lrecs)
    chosen, end = _follow(candidates, after, begin, num_words)
    needed = (end + 2) * WORD_BYTES
    at = int(np.searchsorted(candidates, end))
    has_header = at < len(candidates) and candidates[at] == end
    if has_header:
        needed = int(after[at]) * WORD_BYTES
    rest = bytes(buffer[end * WORD_BYTES : end * WORD_BYTES + WORD_BYTES])
    offsets = np.concatenate([alike, candidates[chosen]])
    lrecs = words[offsets + 1]
    return Parts(
        offsets=offsets * WORD_BYTES,
        lengths=(lrecs & MAX_PART_BYTES).astype(np.int64),
        flags=(lrecs >> FLAG_SHIFT).astype(np.int64),
        end=end * WORD_BYTES,
        end_needed=needed,
        is_garbage=not has_header and not MAGIC_BYTES.startswith(rest),
    )


def _num_payload_words(lrecs: NDArray[np.uint32]) -> Integers:
    lengths = (lrecs & MAX_PART_BYTES).astype(np.int64)
    return (lengths + WORD_BYTES - 1) // WORD_BYTES


def _alike(words: NDArray[np.uint32]) -> Integers:
    """Return the first parts as far as they have one length, two or more; they need no search."""
    none = np.zeros(0, dtype=np.int64)
    if len(words) < 2 or words[0] != MAGIC:
        return none
    stride = 2 + int(_num_payload_words(words[1:2])[0])
    offsets = np.arange(len(words) // stride, dtype=np.int64) * stride
    differs = np.flatnonzero((words[offsets] != MAGIC) | (words[offsets + 1] != words[1]))
    num_alike = int(differs[0]) if len(differs) else len(offsets)
    return offsets[:num_alike] if num_alike > 1 else none


def _magic_words(words: NDArray[np.uint32]) -> Integers:
    """Return which words are the magic number; eight at a time where few are."""
    padded = np.zeros(-(-len(words) // 8) * 8, dtype=np.bool_)
    np.equal(words, MAGIC, out=padded[: len(words)])
    eights = np.flatnonzero(padded.view(np.uint64))
    if len(eights) * 16 > len(words):
        return np.flatnonzero(padded)
    rows, places = np.nonzero(padded.reshape(-1, 8)[eights])
    found: Integers = eights[rows] * 8 + places
    return found


def _follow(
    candidates: Integers, after: Integers, begin: int, num_words: int
) -> tuple[Integers, int]:
    """Return which candidates are headers, going by lengths from a word, and the word after them.

    Where each candidate ends at the next one, a whole run is taken at once; only a magic number
    inside a payload breaks a run.
    """
    fits = after <= num_words
    linked = np.zeros(len(after), dtype=np.bool_)
    linked[:-1] = (after[:-1] == candidates[1:]) & fits[1:]
    run_ends = np.flatnonzero(~linked)
    runs: list[Integers] = []
    position = begin
    while True:
        at = int(np.searchsorted(candidates, position))
        if at == len(candidates) or candidates[at] != position or not fits[at]:
            break
        last = int(run_ends[np.searchsorted(run_ends, at)])
        runs.append(np.arange(at, last + 1))
        position = int(after[last])
    chosen = np.concatenate(runs) if runs else np.zeros(0, dtype=np.int64)
    return chosen, position


def refuse_garbage(place: str, found: bytes) -> UserError:
    """Return the error for bytes that are no header."""
    return UserError(
        f"{place}: expected a RecordIO record, which begins with bytes {MAGIC_BYTES.hex(' ')}; "
        f"got {found[:WORD_BYTES].hex(' ') or 'nothing'}. Set the channel's content type to what "
        "it holds; in Pipe mode set RecordWrapperType to RecordIO."
    )


def refuse_cut(place: str, needed_bytes: int, left_bytes: int) -> UserError:
    """Return the error for a record whose end is missing."""
    return UserError(
        f"{place}: the record is cut short: expected {needed_bytes} bytes from here; "
        f"got {left_bytes}. Copy or write the file again."
    )


def refuse_flag(place: str) -> UserError:
    """Return the error for parts that make no record."""
    return UserError(
        f"{place}: the parts of the record do not follow each other: expected flags 0, or 1, "
        "any number of 2, and 3. The file is damaged; copy or write it again."
    )
