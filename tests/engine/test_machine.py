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


@pytest.mark.parametrize("text", ["-1", "soon", "1e3", "nan", "0.5"])
def test_a_time_that_is_no_number_of_seconds_is_refused(text):
    with pytest.raises(UserError, match=r"environment variable WAIT_S: expected seconds >= 1; got"):
        machine.seconds("WAIT_S", 600, least=1, environment={"WAIT_S": text})


@pytest.mark.parametrize(("text", "expected"), [("", 600), ("1", 1), ("2.5", 2.5)])
def test_a_time_is_what_its_variable_says(text, expected):
    assert machine.seconds("WAIT_S", 600, least=1, environment={"WAIT_S": text}) == expected
