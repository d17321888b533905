"""Memory of this process and of its container."""

import pytest

from sm_dl.serving import memory


def test_what_is_allocated_is_held():
    memory.give_back()  # what other tests left, and glibc would use again
    before = memory.held_bytes()
    block = b"x" * 50_000_000
    assert memory.held_bytes() - before > 0.9 * len(block)


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
