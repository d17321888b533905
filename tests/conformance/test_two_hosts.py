"""Contract, sections 1.3 and 3.3: two hosts train one model, and one of them speaks."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sm_dl.contract.algorithm import Algorithm
from tests.conformance.container import Container, Running, free_port
from tests.conformance.tree import files, read_config, write_config

pytestmark = pytest.mark.system

HOSTS = ["127.0.0.1", "127.0.0.2"]


def _run(container: Container, roots: list[Path]) -> list[Running]:
    """Train on two hosts that are addresses of this machine; return their ends."""
    for host, root in zip(HOSTS, roots, strict=True):
        config = {"current_host": host, "hosts": HOSTS, "network_interface_name": "lo"}
        write_config(root, "resourceconfig", config)
    port = str(free_port())
    with (
        container.start(roots[0], "train", MASTER_PORT=port) as first,
        container.start(roots[1], "train", MASTER_PORT=port) as second,
    ):
        codes = [first.wait(90), second.wait(30)]
    assert codes == [0, 0], first.log + second.log
    return [first, second]


@pytest.fixture
def runs(
    container: Container, algorithm: Algorithm, tree: Callable[..., Path]
) -> tuple[list[Path], list[Running]]:
    """Train on two hosts; return their roots and ends."""
    if algorithm.placement.hosts != "many":
        pytest.skip(f"{algorithm.name} trains on one host")
    roots = [tree(f"host-{number}") for number in range(len(HOSTS))]
    return roots, _run(container, roots)


def test_one_host_prints_metrics_and_writes_the_model(
    runs: tuple[list[Path], list[Running]], algorithm: Algorithm
) -> None:
    roots, ends = runs
    found = [
        {one.name for one in algorithm.metrics if re.search(one.regex, run.log)} for run in ends
    ]
    assert (bool(found[0]), found[1]) == (True, set())
    assert [bool(files(root / "model")) for root in roots] == [True, False]


@pytest.mark.parametrize("empty", [0, 1])
def test_a_host_whose_share_is_empty_trains_with_the_other(
    container: Container, algorithm: Algorithm, tree: Callable[..., Path], empty: int
) -> None:
    if not any(channel.may_be_empty for channel in algorithm.channels):
        pytest.skip(f"{algorithm.name} needs records on every host")
    roots = [tree(f"host-{number}") for number in range(len(HOSTS))]
    for root in roots:
        channels = read_config(root, "inputdataconfig")
        train = channels["train"]
        assert isinstance(train, dict)
        train["S3DistributionType"] = "ShardedByS3Key"
        write_config(root, "inputdataconfig", channels)
    shutil.rmtree(roots[empty] / "input" / "data" / "train")
    ends = _run(container, roots)
    assert ["holds no records" in run.log for run in ends] == [empty == 0, empty == 1]
    assert [bool(files(root / "model")) for root in roots] == [True, False]
    algorithm.load(roots[0] / "model")  # whole, whoever had the records
