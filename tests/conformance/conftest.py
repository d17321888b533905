"""The container contract as a suite for any image or command; see scripts/conformance.

It asks for one small job of the algorithm (tests/algorithms/<name>/small_job.py).
"""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sm_dl import registry
from sm_dl.contract.algorithm import Algorithm
from tests.conformance.container import Container
from tests.conformance.tree import SECRETS, Finished, lay_out, read_config, write_config
from tests.small_job import SmallJob, small_job


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--command", help="a command that takes `train` and `serve`")
    group.addoption("--image", help="or an image, run by Docker")
    group.addoption("--algorithm", help="what SM_DL_ALGORITHM is set to; default: deepar")


@pytest.fixture(scope="session")
def container(request: pytest.FixtureRequest) -> Container:
    option = request.config.getoption
    return Container(
        command=option("--command", None) or f"{shlex.quote(sys.executable)} -m sm_dl",
        image=option("--image", None),
        algorithm=option("--algorithm", None) or "deepar",
    )


@pytest.fixture(scope="session")
def algorithm(container: Container) -> Algorithm:
    return registry.get(container.algorithm)


@pytest.fixture(scope="session")
def job(container: Container) -> SmallJob:
    return small_job(container.algorithm)


@pytest.fixture
def tree(job: SmallJob, tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of roots that hold the small job as the platform lays it out."""

    def make(name: str = "ml", **changes: str) -> Path:
        return lay_out(job, tmp_path / name, **changes)

    return make


@pytest.fixture(scope="session")
def finished(
    container: Container, job: SmallJob, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    """Train once: all hyperparameters are strings, and the tree has what the contract ignores."""
    root = tmp_path_factory.mktemp("conformance") / "ml"
    job.write_opt_ml(root)
    write_config(root, "init-config", {"anything": 1})
    write_config(root, "upstreamoutputdataconfig", [])
    (root / "input" / "config" / "metric-definition-regex.json").write_bytes(b"\xff")
    (root / "input" / "data" / "train-manifest").write_text("s3://bucket/key\n")
    resources = read_config(root, "resourceconfig") | {
        "network_interface_name": "eth0",
        "current_group_name": "homogeneousCluster",
        "topology": None,
    }
    write_config(root, "resourceconfig", resources)
    code, log = container.train(root, **SECRETS)
    assert code == 0, log
    return Finished(root, log)
