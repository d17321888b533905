"""The model's thread: what shares a predict, what a failure costs, what becomes of a stuck one."""

import threading
import time

import pytest

from sm_dl.content_types import JSON
from sm_dl.serving.batching import Batcher, Observer
from sm_dl.serving.invoke import Call
from sm_dl.serving.settings import Settings


class Gate:
    """Holds the model in `predict` until it is opened."""

    def __init__(self):
        self.is_reached = threading.Event()
        self._is_open = threading.Event()

    def pass_through(self):
        self.is_reached.set()
        assert self._is_open.wait(10)

    def open(self):
        self._is_open.set()


class Notes(Observer):
    """Remembers what it was told."""

    def __init__(self):
        self.sizes = []
        self.num_stuck = 0
        self.is_lost = threading.Event()

    def batch_begins(self, size):
        self.sizes.append(size)

    def thread_stuck(self):
        self.num_stuck += 1

    def model_lost(self):
        self.is_lost.set()


def call(*numbers):
    return Call(body=str(list(numbers)).encode(), content_type=JSON)


@pytest.fixture
def gate():
    one = Gate()
    yield one
    one.open()


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def make_batcher(make_doubler, notes):
    made = []

    def make(predictor=None, reload=None, **settings):
        batcher = Batcher(
            predictor or make_doubler(), Settings(**settings), reload=reload, observer=notes
        )
        made.append(batcher)
        return batcher

    yield make
    for batcher in made:
        batcher.close(1)


def held(batcher, gate):
    """Return the answer to a request that holds the model."""
    future = batcher.submit(call(0))
    assert gate.is_reached.wait(5)
    return future


def test_requests_that_come_while_the_model_is_busy_share_one_predict(
    make_batcher, make_doubler, gate, notes
):
    batcher = make_batcher(make_doubler(gate.pass_through))
    held(batcher, gate)
    futures = [batcher.submit(call(number)) for number in range(5)]
    gate.open()
    assert [future.result(5).body for future in futures] == [
        f"[{2 * number}]".encode() for number in range(5)
    ]
    assert notes.sizes == [1, 5]


def test_a_batch_has_at_most_so_many_requests(make_batcher, make_doubler, gate, notes):
    batcher = make_batcher(make_doubler(gate.pass_through), max_batch=3)
    held(batcher, gate)
    futures = [batcher.submit(call(number)) for number in range(7)]
    gate.open()
    assert [future.result(5).status for future in futures] == [200] * 7
    assert notes.sizes == [1, 3, 3, 1]


def test_a_batch_is_no_heavier_than_the_predictor_can_take(make_batcher, make_doubler, gate, notes):
    class Weighing(make_doubler):
        max_weight = 4

        def weight(self, request):
            return len(request)

    batcher = make_batcher(Weighing(gate.pass_through))
    held(batcher, gate)
    sizes = [1, 2, 2, 9, 1, 3]
    futures = [batcher.submit(call(*range(size))) for size in sizes]
    gate.open()
    assert [future.result(5).status for future in futures] == [200] * len(sizes)
    assert notes.sizes == [1, 2, 1, 1, 2]


def test_a_lone_request_does_not_wait_for_company(make_batcher):
    batcher = make_batcher(batch_wait_s=5)
    began = time.monotonic()
    for _ in range(3):
        assert batcher.submit(call(1)).result(5).status == 200
    assert time.monotonic() - began < 4


def test_a_batch_of_several_is_waited_for_again_but_not_for_long(
    make_batcher, make_doubler, gate, notes
):
    batcher = make_batcher(make_doubler(gate.pass_through), batch_wait_s=0.2)
    held(batcher, gate)
    several = [batcher.submit(call(1)) for _ in range(3)]
    gate.open()
    for future in several:
        future.result(5)
    again = [batcher.submit(call(1)) for _ in range(3)]
    lone = [future.result(5) for future in again] and batcher.submit(call(1)).result(5)
    assert (lone.status, notes.sizes) == (200, [1, 3, 3, 1])


def test_one_bad_request_costs_the_others_nothing(make_batcher, make_doubler, gate):
    batcher = make_batcher(make_doubler(gate.pass_through))
    held(batcher, gate)
    bodies = [b"[1]", b"[13]", b"{", b"", b"[2]"]
    futures = [batcher.submit(Call(body=body, content_type=JSON)) for body in bodies]
    gate.open()
    assert [future.result(5).status for future in futures] == [200, 500, 400, 204, 200]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, MemoryError])
def test_what_would_end_a_thread_does_not_end_the_model(make_batcher, make_doubler, kind):
    kinds = [kind]

    def once():
        if kinds:
            raise kinds.pop()

    batcher = make_batcher(make_doubler(once))
    assert [batcher.submit(call(1)).result(5).status for _ in range(2)] == [500, 200]


def test_too_few_answers_are_a_failure(make_batcher, make_doubler):
    class Forgetful(make_doubler):
        def predict(self, requests):
            return []

    assert make_batcher(Forgetful()).submit(call(1)).result(5).status == 500


def test_an_answer_that_cannot_be_written_is_a_failure_of_its_own(make_batcher, make_doubler, gate):
    class Mute(make_doubler):
        def encode(self, answer, media_type):
            if answer == [6]:
                raise SystemExit
            return super().encode(answer, media_type)

    batcher = make_batcher(Mute(gate.pass_through))
    held(batcher, gate)
    futures = [batcher.submit(call(number)) for number in (2, 3, 4)]
    gate.open()
    assert [future.result(5).status for future in futures] == [200, 500, 200]


def test_a_full_queue_is_503_at_once(make_batcher, make_doubler, gate):
    batcher = make_batcher(make_doubler(gate.pass_through), max_waiting=3)
    futures = [held(batcher, gate)] + [batcher.submit(call(1)) for _ in range(10)]
    early = [future.result(0).status for future in futures if future.done()]
    gate.open()
    assert (early, [future.result(5).status for future in futures[:3]]) == ([503] * 8, [200] * 3)


def test_a_request_given_up_before_its_turn_is_not_predicted(
    make_batcher, make_doubler, gate, notes
):
    batcher = make_batcher(make_doubler(gate.pass_through))
    held(batcher, gate)
    given_up = batcher.submit(call(1))
    kept = batcher.submit(call(2))
    assert given_up.cancel()
    gate.open()
    assert (kept.result(5).body, notes.sizes) == (b"[4]", [1, 1])


def test_all_that_was_submitted_is_answered_before_the_end(make_batcher, make_doubler, gate):
    batcher = make_batcher(make_doubler(gate.pass_through))
    futures = [held(batcher, gate)] + [batcher.submit(call(1)) for _ in range(5)]
    threading.Timer(0.05, gate.open).start()
    assert batcher.close(5)
    assert [future.result(0).status for future in futures] == [200] * 6


def test_after_the_end_there_is_503(make_batcher):
    batcher = make_batcher()
    batcher.close(5)
    assert batcher.submit(call(1)).result(0).status == 503


def test_many_threads_may_submit(make_batcher):
    batcher = make_batcher(max_waiting=1000)
    answers = []

    def client(number):
        answers.extend((number, batcher.submit(call(number)).result(5).body) for _ in range(50))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(answers) == sorted(
        (n, f"[{2 * n}]".encode()) for n in range(8) for _ in range(50)
    )


# --- a model that does not return --------------------------------------------------------------


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.01)


def test_a_stuck_model_is_replaced_and_the_queue_goes_on(make_batcher, make_doubler, gate, notes):
    batcher = make_batcher(make_doubler(gate.pass_through), reload=make_doubler, predict_s=0.4)
    stuck = held(batcher, gate)
    waiting = batcher.submit(call(2))
    assert (stuck.result(5).status, notes.num_stuck) == (500, 1)
    assert waiting.result(5).status in (200, 503)  # 503 where it had waited too long as well
    assert batcher.submit(call(3)).result(5).body == b"[6]"
    assert batcher.is_healthy


def test_a_stuck_model_is_unhealthy_until_it_is_replaced(make_batcher, make_doubler, gate):
    may_load = threading.Event()

    def reload():
        may_load.wait(5)
        return make_doubler()

    batcher = make_batcher(make_doubler(gate.pass_through), reload=reload, predict_s=0.3)
    assert batcher.is_healthy
    held(batcher, gate).result(5)
    was_healthy = batcher.is_healthy
    may_load.set()
    wait_until(lambda: batcher.is_healthy)
    assert not was_healthy


def test_a_stuck_thread_that_returns_after_all_does_no_harm(make_batcher, make_doubler, gate):
    batcher = make_batcher(make_doubler(gate.pass_through), reload=make_doubler, predict_s=0.3)
    old = batcher._thread
    held(batcher, gate).result(5)
    gate.open()
    old.join(5)
    assert (old.is_alive(), batcher.submit(call(1)).result(5).body) == (False, b"[2]")


@pytest.mark.parametrize("reload", [None, lambda: 1 / 0], ids=["no reload", "a failing reload"])
def test_a_model_that_cannot_be_replaced_is_lost(make_batcher, make_doubler, gate, notes, reload):
    batcher = make_batcher(make_doubler(gate.pass_through), reload=reload, predict_s=0.3)
    assert held(batcher, gate).result(5).status == 500
    assert notes.is_lost.wait(5)
    assert (batcher.is_healthy, batcher.submit(call(1)).result(5).status) == (False, 503)


def test_a_model_stuck_again_and_again_is_lost(make_batcher, make_doubler, gate, notes):
    def reload():
        return make_doubler(gate.pass_through)

    batcher = make_batcher(reload(), reload=reload, predict_s=0.3, max_stuck=3)
    statuses = [batcher.submit(call(1)).result(5).status for _ in range(4)]
    assert notes.is_lost.wait(5)
    assert (statuses, notes.num_stuck) == ([500, 500, 500, 503], 3)


def test_the_log_says_which_request_the_model_was_stuck_on(make_batcher, make_doubler, gate, log):
    batcher = make_batcher(make_doubler(gate.pass_through), reload=make_doubler, predict_s=0.3)
    stuck = batcher.submit(Call(body=b"[1]", content_type=JSON, request_id="an-id"))
    stuck.result(5)
    assert "request an-id: the model failed" in log.messages
