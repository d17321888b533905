"""Contract, sections 1.3 and 3.3: two hosts train one model, and one of them speaks."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sm_dl.contract.algorithm import Algorithm
from tests.conformance.container import Container, Running, free_port
from tests.conformance.tree import files, write_config

pytestmark = pytest.mark.system

HOSTS = ["127.0.0.1", "127.0.0.2"]


@pytest.fixture
def runs(
    container: Container, algorithm: Algorithm, tree: Callable[..., Path]
) -> tuple[list[Path], list[Running]]:
    """Train on two hosts that are addresses of this machine; return their roots and ends."""
    if algorithm.placement.hosts != "many":
        pytest.skip(f"{algorithm.name} trains on one host")
    roots = []
    for number, host in enumerate(HOSTS):
        root = tree(f"host-{number}")
        config = {"current_host": host, "hosts": HOSTS, "network_interface_name": "lo"}
        write_config(root, "resourceconfig", config)
        roots.append(root)
    port = str(free_port())
    with (
        container.start(roots[0], "train", MASTER_PORT=port) as first,
        container.start(roots[1], "train", MASTER_PORT=port) as second,
    ):
        codes = [first.wait(90), second.wait(30)]
    assert codes == [0, 0], first.log + second.log
    return roots, [first, second]


def test_one_host_prints_metrics_and_writes_the_model(
    runs: tuple[list[Path], list[Running]], algorithm: Algorithm
) -> None:
    roots, ends = runs
    found = [
        {one.name for one in algorithm.metrics if re.search(one.regex, run.log)} for run in ends
    ]
    assert (bool(found[0]), found[1]) == (True, set())
    assert [bool(files(root / "model")) for root in roots] == [True, False]
