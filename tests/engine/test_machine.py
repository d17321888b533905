import os
import subprocess
import sys
from pathlib import Path

import pytest

from sm_dl.engine import machine
from sm_dl.errors import UserError


def test_at_least_one_processor_may_be_used():
    assert 1 <= machine.num_cpus() <= (os.cpu_count() or 1)


def test_a_container_s_quota_bounds_the_threads(tmp_path, monkeypatch):
    quota = tmp_path / "cpu.max"
    quota.write_text("100000 100000\n")
    monkeypatch.setattr(machine, "CGROUP_QUOTA", quota)
    assert machine.num_cpus() == 1


def test_an_unlimited_container_uses_what_it_may(tmp_path, monkeypatch):
    quota = tmp_path / "cpu.max"
    quota.write_text("max 100000\n")
    monkeypatch.setattr(machine, "CGROUP_QUOTA", quota)
    assert machine.num_cpus() == len(os.sched_getaffinity(0))


def test_the_user_s_own_thread_settings_win():
    code = "import os; from sm_dl.engine import machine; machine.prepare(); print(os.environ['OMP_NUM_THREADS'])"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": "7"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.strip() == "7"


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="no huge pages"
)
def test_the_heap_asks_for_huge_pages_and_takes_no_memory_for_it():
    code = "from sm_dl.engine import machine; machine.prepare(); print(open('/proc/self/smaps').read())"
    maps = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    flags = [line.split()[1:] for line in maps.splitlines() if line.startswith("VmFlags")]
    sizes = [int(line.split()[1]) for line in maps.splitlines() if line.startswith("Size")]
    resident = [int(line.split()[1]) for line in maps.splitlines() if line.startswith("Rss")]
    huge = [number for number, one in enumerate(flags) if "hg" in one]
    assert sum(sizes[number] for number in huge) > 200 << 10  # KiB
    assert sum(resident[number] for number in huge) < 20 << 10


def test_the_rank_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    assert machine.rank() == 3


def test_a_rank_that_is_no_number_can_still_be_reported(monkeypatch):
    monkeypatch.setenv("RANK", "three")
    assert machine.rank() == 0


@pytest.mark.parametrize(("processes", "threads"), [(1, 8), (2, 4), (3, 2), (9, 1)])
def test_the_processes_of_a_host_share_its_processors(processes, threads, monkeypatch):
    monkeypatch.setattr(machine, "num_cpus", lambda: 8)
    monkeypatch.delenv(machine.THREADS_VARIABLE, raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    machine.prepare()
    assert (os.environ[machine.THREADS_VARIABLE], machine.has_chosen_threads()) == (
        str(threads),
        True,
    )


@pytest.fixture
def quiet(tmp_path, monkeypatch):
    """A machine of four processors on which this process alone runs, and two threads are wanted."""
    statistics = tmp_path / "stat"
    statistics.write_text("cpu  1 2 3 4\nprocs_running 1\nprocs_blocked 0\n")
    thread = tmp_path / "task" / "7"
    thread.mkdir(parents=True)
    (thread / "stat").write_text("7 (python) (3) R 1 7 7 0 -1")
    monkeypatch.setattr(machine, "KERNEL_STATISTICS", statistics)
    monkeypatch.setattr(machine, "OWN_THREADS", tmp_path / "task")
    monkeypatch.setattr(machine, "CGROUP_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(machine, "GPU_DRIVER", tmp_path / "nvidiactl")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(machine, "num_cpus", lambda: 4)
    monkeypatch.setenv(machine.THREADS_VARIABLE, "2")
    monkeypatch.setattr(machine, "_keep_freed_memory", lambda: None)
    monkeypatch.setattr(machine.time, "sleep", lambda _seconds: None)
    for name in (*machine.WAIT_VARIABLES, "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    return statistics


def waiting():
    return {name: os.environ[name] for name in machine.WAIT_VARIABLES if name in os.environ}


ASLEEP = {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.usefixtures("quiet")
def test_threads_of_a_training_wait_awake_where_nothing_else_runs():
    machine.prepare(is_training=True)
    assert waiting() == {}


@pytest.mark.parametrize("num_threads", ["1", "5"])
def test_one_thread_waits_for_nobody_and_too_many_for_each_other(
    quiet, monkeypatch, caplog, num_threads
):
    quiet.write_text("procs_running 9\n")
    monkeypatch.setenv(machine.THREADS_VARIABLE, num_threads)
    machine.prepare(is_training=True)
    assert (waiting(), caplog.messages) == (ASLEEP, [])


@pytest.mark.parametrize(("running", "expected"), [(3, {}), (4, ASLEEP)])
def test_neighbours_let_threads_sleep_once_they_want_the_same_processors(quiet, running, expected):
    quiet.write_text(f"procs_running {running}\n")
    machine.prepare(is_training=True)
    assert waiting() == expected


def test_threads_of_our_own_are_no_neighbours(quiet):
    for number, state in ((8, "R"), (9, "S")):
        other = machine.OWN_THREADS / str(number)
        other.mkdir()
        (other / "stat").write_text(f"{number} (python) {state} 1 7 7 0 -1")
    quiet.write_text("procs_running 4\n")
    machine.prepare(is_training=True)
    assert waiting() == {}


def test_a_number_of_threads_that_is_none_is_left_to_openmp(quiet, monkeypatch):
    monkeypatch.setenv(machine.THREADS_VARIABLE, "2,1")
    quiet.write_text("procs_running 2\n")
    machine.prepare(is_training=True)
    assert waiting() == ASLEEP  # as many as there are processors are assumed


@pytest.mark.parametrize("seconds", [0.001, 0.2])
def test_what_runs_for_a_moment_or_starts_beside_the_job_is_no_neighbour(
    quiet, monkeypatch, seconds
):
    quiet.write_text("procs_running 9\n")
    slept: list[float] = []

    def sleep(pause):
        slept.append(pause)
        if sum(slept) > seconds:
            quiet.write_text("procs_running 1\n")

    monkeypatch.setattr(machine.time, "sleep", sleep)
    machine.prepare(is_training=True)
    assert waiting() == {}
    assert sum(slept) < seconds + 0.2


@pytest.mark.parametrize("text", [None, "cpu  1 2 3 4\n"])
def test_threads_sleep_where_nobody_can_tell(quiet, text):
    quiet.unlink()
    if text is not None:
        quiet.write_text(text)
    machine.prepare(is_training=True)
    assert waiting() == ASLEEP


@pytest.mark.usefixtures("quiet")
def test_threads_of_a_server_sleep():
    machine.prepare()
    assert waiting() == ASLEEP


@pytest.mark.usefixtures("quiet")
def test_threads_sleep_where_their_waiting_takes_from_a_quota(tmp_path):
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    machine.prepare(is_training=True)
    assert waiting() == ASLEEP


@pytest.mark.usefixtures("quiet")
def test_threads_sleep_where_a_gpu_computes_and_others_decode(tmp_path):
    (tmp_path / "nvidiactl").touch()
    machine.prepare(is_training=True)
    assert waiting() == ASLEEP


@pytest.mark.usefixtures("quiet")
def test_threads_of_several_processes_sleep(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    machine.prepare(is_training=True)
    assert waiting() == ASLEEP


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("name", machine.WAIT_VARIABLES)
def test_the_user_s_own_way_to_wait_wins(name, monkeypatch):
    monkeypatch.setenv(name, "0")
    machine.prepare()
    assert waiting() == {name: "0"}


def test_a_busy_processor_is_seen():
    code = "print(1, flush=True)\nwhile True: pass"
    neighbours = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        for one in neighbours:
            assert one.stdout.readline()
        assert not machine._has_room_for(1)
    finally:
        for one in neighbours:
            one.kill()
            one.communicate()


@pytest.mark.parametrize("text", ["-1", "soon", "1e3", "nan", "0.5"])
def test_a_time_that_is_no_number_of_seconds_is_refused(text):
    with pytest.raises(UserError, match=r"environment variable WAIT_S: expected seconds >= 1; got"):
        machine.seconds("WAIT_S", 600, least=1, environment={"WAIT_S": text})


@pytest.mark.parametrize(("text", "expected"), [("", 600), ("1", 1), ("2.5", 2.5)])
def test_a_time_is_what_its_variable_says(text, expected):
    assert machine.seconds("WAIT_S", 600, least=1, environment={"WAIT_S": text}) == expected
