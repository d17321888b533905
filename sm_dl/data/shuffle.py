"""Streams in another order each epoch, within a bounded buffer and with an exact way back."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar, cast

import numpy as np

from sm_dl.data.shard import Reader, is_taken, record_at

T = TypeVar("T")
END = object()


def shuffled(
    records: Iterable[T], *, buffer_records: int, seed: int, epoch: int, position: int = 0
) -> Iterator[T]:
    """Yield the records of a stream from `position` of its shuffled order on.

    The stream falls into windows of `buffer_records`; the order within each depends on
    (seed, epoch, number of the window) alone. So the state of a run is `position`: what lies
    before its window is skipped undecoded, and nothing else is replayed. While one window goes
    out the next one comes in, a record for a record, so the stream flows evenly.

    Args:
        records: The whole stream, always in the same order; as raw bytes, for at most
            `buffer_records` of them are held.
        buffer_records: Records held; 1 leaves the order as it is.
        seed: The run's seed.
        epoch: The pass; each has another order.
        position: How many records of the shuffled order have been seen.
    """
    stream = iter(records)
    window, seen = divmod(position, buffer_records)
    for _ in islice(stream, window * buffer_records):
        pass
    held: list[T | None] = list(islice(stream, buffer_records))
    while held:
        order = record_at(np.arange(len(held)), len(held), _address(seed, window), epoch)
        following: list[T | None] = []
        for place, index in enumerate(order.tolist()):
            if place >= seen:
                yield cast("T", held[index])
            held[index] = None  # one goes out, one comes in
            if (record := next(stream, END)) is not END:
                following.append(cast("T", record))
        held, seen, window = following, 0, window + 1


def shared_out(
    records: Iterable[T], reader: Reader, *, start: int = 0, batch_size: int = 1
) -> Iterator[T]:
    """Yield the records of a stream that one reader takes; see `shard.batches_of`.

    Args:
        records: The stream from `start` on, in an order that all readers share.
        reader: Who asks.
        start: Position of the first record of the stream.
        batch_size: Records of a batch of one rank.
    """
    for position, record in enumerate(records, start):
        if is_taken(reader, position, start, batch_size):
            yield record


def _address(seed: int, window: int) -> int:
    return int(np.random.SeedSequence((seed, window)).generate_state(1, np.uint64)[0])
