"""A stream is shuffled within a bounded buffer, and goes on exactly where it was left."""

from collections.abc import Iterator
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.data.shard import Reader
from sm_dl.data.shuffle import shared_out, shuffled

steady = settings(derandomize=True, deadline=None, max_examples=60)
LENGTH = st.integers(0, 120)
BUFFER = st.integers(1, 40)


def _shuffled(
    length: int, buffer: int, epoch: int = 0, position: int = 0, seed: int = 5
) -> list[int]:
    return list(
        shuffled(range(length), buffer_records=buffer, seed=seed, epoch=epoch, position=position)
    )


@steady
@given(LENGTH, BUFFER, st.integers(0, 9))
def test_every_record_comes_once(length: int, buffer: int, epoch: int) -> None:
    assert sorted(_shuffled(length, buffer, epoch)) == list(range(length))


@steady
@given(LENGTH, BUFFER, st.integers(0, 130))
def test_a_resumed_stream_is_the_rest_of_the_uninterrupted_one(
    length: int, buffer: int, position: int
) -> None:
    assert _shuffled(length, buffer, 3, position) == _shuffled(length, buffer, 3)[position:]


@steady
@given(LENGTH, BUFFER, st.integers(0, 130), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
def test_ranks_and_workers_share_out_one_order(
    length: int, buffer: int, position: int, world: int, workers: int, batch: int
) -> None:
    found = []
    for rank in range(world):
        for worker in range(workers):
            order = shuffled(
                range(length), buffer_records=buffer, seed=5, epoch=1, position=position
            )
            reader = Reader(rank, world, worker, workers)
            found += shared_out(order, reader, start=position, batch_size=batch)
    assert sorted(found) == sorted(_shuffled(length, buffer, 1)[position:])


def test_a_buffer_of_one_leaves_the_order_as_it_is() -> None:
    assert _shuffled(20, 1) == list(range(20))


def test_a_buffer_as_long_as_the_stream_shuffles_all_of_it() -> None:
    order = _shuffled(1000, 1000)
    assert sum(abs(place - record) for place, record in enumerate(order)) / 1000 > 300


def test_epochs_have_orders_of_their_own() -> None:
    assert len({tuple(_shuffled(50, 10, epoch)) for epoch in range(20)}) == 20


def test_windows_have_orders_of_their_own() -> None:
    order = _shuffled(200, 10)
    assert len({tuple(r - w for r in order[w : w + 10]) for w in range(0, 200, 10)}) > 15


def test_no_more_records_are_held_than_the_buffer_has_room_for() -> None:
    read = 0

    def counted() -> Iterator[int]:
        nonlocal read
        for number in range(1000):
            read = number + 1
            yield number

    ahead = [
        read - done
        for done, _ in enumerate(shuffled(counted(), buffer_records=50, seed=0, epoch=0))
    ]
    assert max(ahead) == 50


def test_the_first_record_comes_once_the_buffer_is_full() -> None:
    endless = iter(int, 1)
    assert len(list(islice(shuffled(endless, buffer_records=10, seed=0, epoch=0), 100))) == 100
