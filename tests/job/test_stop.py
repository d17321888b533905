import contextlib
import os
import signal

import pytest

from sm_dl.errors import StoppedError
from sm_dl.job import stop
from sm_dl.job.outcome import run_to_exit_code
from sm_dl.job.paths import Paths


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def listening():
    with stop.listening():
        yield


def test_sigterm_ends_a_job_at_once_where_nothing_is_half_done():
    assert run_to_exit_code(terminate, None) == 143


def test_no_except_exception_on_the_way_holds_it_up():
    def stubborn():
        with contextlib.suppress(Exception):
            terminate()

    assert run_to_exit_code(stubborn, None) == 143


def test_what_breaks_where_another_library_swallowed_it_is_no_error_of_the_job(tmp_path):
    def half_imported():
        with contextlib.suppress(BaseException):
            terminate()
        raise AttributeError("module 'numpy._core' has no attribute '_multiarray_umath'")

    paths = Paths(tmp_path)
    assert run_to_exit_code(half_imported, paths) == 143
    assert not paths.failure.exists()


def test_a_swallowed_one_still_ends_the_job_at_its_next_look():
    with contextlib.suppress(BaseException):
        terminate()
    with pytest.raises(StoppedError, match="nothing is written"):
        stop.check("nothing is written")


def test_a_second_signal_does_not_break_the_tidying_of_the_first():
    tidied = []

    def work():
        try:
            terminate()
        finally:
            terminate()
            tidied.append(True)

    assert (run_to_exit_code(work, None), tidied) == (143, [True])


def test_a_section_that_defers_finishes():
    with stop.deferred():
        terminate()
        finished = stop.num_requests()
    assert finished == 1


def test_deferring_sections_nest():
    with stop.deferred():
        with stop.deferred():
            pass
        terminate()
    assert stop.num_requests() == 1


def test_a_signal_that_came_while_nobody_could_look_is_found_later():
    with stop.deferred():
        terminate()
    with pytest.raises(StoppedError, match="the model is written"):
        stop.check("the model is written")


def test_without_a_signal_there_is_nothing_to_find():
    stop.check("never said")
    assert stop.num_requests() == 0


def test_the_handler_of_before_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with stop.listening():
        pass
    assert signal.getsignal(signal.SIGTERM) == before
