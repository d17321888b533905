"""The processes of a job begin together or not at all, and none waits where no signal is heard."""

import os
import signal
import socket
import time

import pytest

from sm_dl.engine.launched import STORE_VARIABLE
from sm_dl.engine.ranks import TIMEOUT_VARIABLE
from sm_dl.engine.rendezvous import OPEN, STOPPED, Gate, keep_store, met, shut
from sm_dl.errors import LostProcessError, PlatformError, StoppedError
from sm_dl.job import stop

HERE = "127.0.0.1"


@pytest.fixture
def store():
    return keep_store(HERE, 0)


@pytest.fixture
def free_port():
    with socket.create_server((HERE, 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture
def one_of_two(monkeypatch):
    """Return a way to come as one of two processes, which meet at a port."""

    def come(rank, port, *, is_kept=True, timeout_s=60):
        variables = {
            "RANK": rank,
            "MASTER_ADDR": HERE,
            "MASTER_PORT": port,
            STORE_VARIABLE: is_kept,
            TIMEOUT_VARIABLE: timeout_s,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        with stop.deferred(), met(2):
            return "trains"

    with stop.listening():
        yield come


def terminate():
    with stop.deferred():
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_process_that_is_alone_waits_for_nobody():
    with met(1):
        pass


def test_the_last_one_to_come_lets_all_in(one_of_two, store):
    Gate(store).arrive(2)
    assert (one_of_two(1, store.port), Gate(store).decision()) == ("trains", OPEN)


def test_the_first_process_keeps_the_list_where_nobody_else_does(one_of_two, free_port):
    with pytest.raises(LostProcessError, match="1 had come"):
        one_of_two(0, free_port, is_kept=False, timeout_s=1)


def test_sigterm_ends_the_waiting_of_all(one_of_two, store):
    terminate()
    started = time.monotonic()
    with pytest.raises(StoppedError, match="nothing is written"):
        one_of_two(0, store.port)
    stop._Requests.count = 0  # the other process has not got it
    with pytest.raises(StoppedError, match="nothing is written"):
        one_of_two(1, store.port)
    assert time.monotonic() - started < 5


def test_sigterm_that_comes_when_all_are_there_is_left_to_the_training_loop(one_of_two, store):
    Gate(store).arrive(2)
    terminate()
    assert one_of_two(1, store.port) == "trains"


def test_sigterm_is_heard_while_nobody_answers(one_of_two, free_port):
    terminate()
    with pytest.raises(StoppedError, match="nothing is written"):
        one_of_two(1, free_port)


def test_a_process_that_does_not_come_is_waited_for_so_long(one_of_two, store):
    with pytest.raises(LostProcessError) as caught:
        one_of_two(0, store.port, timeout_s=1)
    assert (
        f"process 0 of 2 waits for others in vain: after 1 s ({TIMEOUT_VARIABLE}) 1 had come"
        in (str(caught.value))
    )


def test_a_host_that_does_not_answer_is_named(one_of_two, free_port):
    with pytest.raises(LostProcessError, match=rf"{HERE} port {free_port} within 1 s"):
        one_of_two(1, free_port, timeout_s=1)


def test_a_host_that_has_failed_ends_the_waiting_of_the_others(one_of_two, store):
    shut(HERE, store.port, "host algo-2 has failed", is_first=False)
    with pytest.raises(LostProcessError, match="in vain: host algo-2 has failed"):
        one_of_two(0, store.port)


def test_a_host_that_fails_later_does_not_shut_what_is_open(store):
    for _ in range(2):
        Gate(store).arrive(2)
    shut(HERE, store.port, STOPPED, is_first=True)
    assert Gate(store).decision() == OPEN


def test_processes_that_are_started_again_meet_anew(one_of_two, store, monkeypatch):
    Gate(store).decide(STOPPED)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    Gate(store, "1").arrive(2)
    assert one_of_two(1, store.port) == "trains"


def test_a_first_process_that_must_keep_a_port_that_is_taken_names_it(one_of_two, store):
    with pytest.raises(PlatformError, match=rf"port {store.port} of {HERE}: .* Set MASTER_PORT"):
        one_of_two(0, store.port, is_kept=False)


def test_a_port_that_is_taken_is_named(store):
    with pytest.raises(PlatformError, match=rf"port {store.port} of {HERE}: .* Set MASTER_PORT"):
        keep_store(HERE, store.port)
