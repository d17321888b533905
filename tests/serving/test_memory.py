"""Memory of this process and of its container."""

import mmap

import pytest

from sm_dl.serving import memory


def test_what_is_allocated_is_held():
    size_bytes = 50_000_000
    block = mmap.mmap(-1, size_bytes)  # the heap may have room that other tests left
    before = memory.held_bytes()
    for first in range(0, size_bytes, mmap.PAGESIZE):
        block[first] = 1
    assert memory.held_bytes() - before > 0.9 * size_bytes


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
