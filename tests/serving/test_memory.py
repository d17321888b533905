"""Memory of this process and of its container."""

import mmap
import subprocess
import sys

import pytest

from sm_dl.serving import memory


def test_what_is_allocated_is_held():
    size_bytes = 50_000_000
    block = mmap.mmap(-1, size_bytes)  # the heap may have room that other tests left
    before = memory.held_bytes()
    for first in range(0, size_bytes, mmap.PAGESIZE):
        block[first] = 1
    assert memory.held_bytes() - before > 0.9 * size_bytes


FREED = """
from sm_dl.engine import machine
from sm_dl.serving import memory

machine.prepare()  # as the door does: glibc is told to keep what is freed
before = memory.held_bytes()
weights = [bytes(1000) for _ in range(100_000)]
loaded = memory.held_bytes() - before
del weights
memory.give_back()
print(loaded, memory.held_bytes() - before)
"""


def test_what_is_freed_goes_back_to_the_system_although_the_doors_keep_it():
    # in a process of its own: a heap that other tests have used has holes
    printed = subprocess.run(
        [sys.executable, "-c", FREED], capture_output=True, check=True, text=True
    ).stdout
    loaded, left = map(int, printed.split())
    assert loaded > 90e6
    assert left < loaded / 4


@pytest.mark.parametrize(
    ("text", "is_smaller"),
    [("1048576\n", True), ("max\n", False), ("9223372036854771712\n", False)],
)
def test_the_limit_is_the_containers_where_there_is_one(tmp_path, monkeypatch, text, is_smaller):
    file = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CGROUP_LIMITS", (tmp_path / "absent", file))
    machine = memory.limit_bytes()
    file.write_text(text)
    assert memory.limit_bytes() == (1048576 if is_smaller else machine)
