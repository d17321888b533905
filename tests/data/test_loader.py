"""Work ahead of its reader: in order, bounded, and gone with its reader."""

import threading
import time

import pytest

from sm_dl.data.loader import THREADS, in_order


def num_loaders() -> int:
    """Return the loading threads there are; other tests leave threads of other libraries."""
    return sum(one.name.startswith(THREADS) for one in threading.enumerate())


@pytest.mark.parametrize("num_threads", [0, 1, 4])
def test_results_come_in_the_order_of_the_tasks(num_threads: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    done = in_order(work, range(20), num_threads=num_threads, num_ahead=5)
    assert list(done) == [number * number for number in range(20)]
    assert num_loaders() == 0


def test_no_more_tasks_are_begun_than_asked_for() -> None:
    begun: list[int] = []
    done = in_order(
        lambda number: number, map(noted(begun), range(100)), num_threads=3, num_ahead=6
    )
    assert next(done) == 0
    assert len(begun) == 7
    assert next(done) == 1
    assert len(begun) == 8
    done.close()


def noted(begun: list[int]) -> object:
    def note(number: int) -> int:
        begun.append(number)
        return number

    return note


@pytest.mark.parametrize("num_threads", [0, 2])
def test_an_error_comes_where_its_result_would_have(num_threads: int) -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    done = in_order(work, range(10), num_threads=num_threads, num_ahead=8)
    assert [next(done) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(done)
    assert num_loaders() == 0


def test_what_has_not_begun_is_dropped_when_the_reader_leaves() -> None:
    worked: list[int] = []

    def work(number: int) -> int:
        time.sleep(0.01)
        worked.append(number)
        return number

    done = in_order(work, range(1000), num_threads=1, num_ahead=500)
    next(done)
    done.close()
    assert len(worked) < 20
    assert num_loaders() == 0


def test_threads_work_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)
    done = in_order(lambda _: meeting.wait(), range(3), num_threads=3, num_ahead=3)
    assert sorted(done) == [0, 1, 2]
