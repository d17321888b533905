"""What a careful operator does to a container: no root, nothing to write to, no network, no room."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.container import Confinement, Container
from tests.conformance.tree import SECRET, SECRETS, Finished, files, lay_out
from tests.small_job import SmallJob

pytestmark = pytest.mark.system

Tree = Callable[..., Path]


def _can_confine(folder: Path) -> bool:
    if any(shutil.which(tool) is None for tool in ("unshare", "setpriv", "ip")):
        return False
    tried = subprocess.run(
        [*Confinement.everything().words(folder), "true"], capture_output=True, check=False
    )
    return tried.returncode == 0


def test_a_job_runs_without_root_home_network_or_anything_to_write_to(
    container: Container, tree: Tree, finished: Finished
) -> None:
    root = tree()
    if container.image is None and not _can_confine(root):
        pytest.skip("needs root, unshare, setpriv and ip to confine a process here")
    code, log = container.train(root, confinement=Confinement.everything())
    assert code == 0, log
    assert files(root / "model") == finished.model


def test_two_jobs_side_by_side_both_end_well(
    container: Container, tree: Tree, finished: Finished
) -> None:
    one, two = tree("one"), tree("two")
    with container.start(one, "train") as first, container.start(two, "train") as second:
        codes = [first.wait(), second.wait()]
    assert codes == [0, 0], first.log + second.log
    assert [files(root / "model") for root in (one, two)] == [finished.model] * 2


@pytest.fixture(scope="module")
def refused(
    container: Container, job: SmallJob, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """Give the value of a secret variable as a hyperparameter; return the root and the log."""
    root = lay_out(job, tmp_path_factory.mktemp("secret") / "ml", **{job.epochs_name: SECRET})
    code, log = container.train(root, **SECRETS)
    assert code == 2, log
    return root, log


def test_a_secret_of_the_environment_is_not_in_the_log(refused: tuple[Path, str]) -> None:
    assert ("Customer Error: " in refused[1], SECRET in refused[1]) == (True, False)


def test_a_secret_of_the_environment_is_not_in_the_failure_file(
    refused: tuple[Path, str],
) -> None:
    failure = (refused[0] / "output" / "failure").read_text()
    assert ("expected an integer" in failure, SECRET in failure) == (True, False)


def test_what_a_finished_job_leaves_holds_no_secret_of_the_environment(finished: Finished) -> None:
    found = [name for name, content in files(finished.root).items() if SECRET.encode() in content]
    assert (found, SECRET in finished.log) == ([], False)
