"""The model's thread."""

import threading

import pytest

from sm_dl.serving.worker import Worker


def test_work_is_done_in_the_order_it_came():
    worker, done = Worker(), []
    for number in range(100):
        worker.submit(lambda number=number: done.append(number))
    worker.stop(timeout_s=5)
    assert done == list(range(100))


def test_all_work_is_done_in_one_thread():
    worker = Worker()
    threads = {worker.submit(threading.get_ident).result(5) for _ in range(10)}
    worker.stop(timeout_s=5)
    assert len(threads) == 1


def test_a_failure_reaches_whoever_waits_for_it():
    worker = Worker()
    failing = worker.submit(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failing.result(5)
    worker.stop(timeout_s=5)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_what_would_end_a_thread_does_not_end_the_worker(kind):
    def leave():
        raise kind

    worker = Worker()
    worker.submit(leave)
    assert worker.submit(lambda: "alive").result(5) == "alive"
    worker.stop(timeout_s=5)


def test_work_cancelled_before_its_turn_is_not_begun():
    worker, gate, done = Worker(), threading.Event(), []
    worker.submit(lambda: gate.wait(5))
    worker.submit(lambda: done.append("begun")).cancel()
    gate.set()
    worker.stop(timeout_s=5)
    assert done == []


def test_stopping_does_not_wait_for_work_that_never_returns():
    worker, gate = Worker(), threading.Event()
    worker.submit(lambda: gate.wait(5))
    has_ended = worker.stop(timeout_s=0.05)
    gate.set()
    assert not has_ended
