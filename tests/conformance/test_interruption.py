"""Contract, sections 3.2 to 3.4: a stopped job leaves its model, a killed one goes on."""

import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sm_dl.contract.algorithm import Algorithm
from tests.conformance.container import STOP_S, Container
from tests.conformance.tree import files, lay_out, write_config
from tests.small_job import SmallJob

pytestmark = pytest.mark.system

Tree = Callable[..., Path]
MANY = 100_000
"""Epochs, or the most that an algorithm takes: nothing of it is ever finished here."""
THIRD_EPOCH = re.compile(r"epoch=2, |Epoch\[2\]")
FIRST_EPOCH = re.compile(r"epoch=0\b|Epoch\[0\]")
START_S = 120
OFTEN = {"SM_DL_CHECKPOINT_INTERVAL_S": "0"}
"""Our own; other containers keep their pace, and the test waits for the next checkpoint."""


@dataclass(frozen=True)
class Stopped:
    """A job that got SIGTERM in its third epoch."""

    root: Path
    code: int
    took_s: float


@pytest.fixture(scope="module")
def stopped(
    container: Container,
    algorithm: Algorithm,
    job: SmallJob,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stopped:
    schema = algorithm.hyperparameters.model_json_schema()["properties"][job.epochs_name]
    many = {job.epochs_name: str(min(MANY, schema.get("maximum", MANY)))}
    root = lay_out(job, tmp_path_factory.mktemp("stopped") / "ml", **many)
    with container.start(root, "train") as running:
        running.wait_until(lambda: bool(THIRD_EPOCH.search(running.log)), START_S)
        started = time.monotonic()
        running.signal(signal.SIGTERM)
        code = running.wait(STOP_S)
    return Stopped(root, code, time.monotonic() - started)


def test_sigterm_in_mid_epoch_ends_with_exit_code_0_in_time(stopped: Stopped) -> None:
    assert (stopped.code, stopped.took_s < STOP_S) == (0, True)


def test_sigterm_in_mid_epoch_is_no_failure(stopped: Stopped) -> None:
    assert not (stopped.root / "output" / "failure").exists()


def test_the_model_of_a_stopped_job_can_be_served(
    container: Container, stopped: Stopped, job: SmallJob
) -> None:
    content_type, body = job.requests[0]
    with container.serving(stopped.root) as client:
        answer = client.post("/invocations", content=body, headers={"content-type": content_type})
    assert answer.status_code == 200, answer.text


def test_a_job_killed_and_started_again_goes_on_to_the_same_model(
    container: Container, tree: Tree, job: SmallJob
) -> None:
    killed, whole = (
        tree(name, **{job.epochs_name: str(job.several_epochs)}) for name in ("killed", "whole")
    )
    checkpoints = killed / "kept"
    write_config(killed, "checkpointconfig", {"LocalPath": "/opt/ml/kept"})
    with container.start(killed, "train", **OFTEN) as running:
        running.wait_until(lambda: bool(THIRD_EPOCH.search(running.log)), START_S)
        # the first one may take epochs to be written, and be of the first epoch
        running.wait_until(lambda: _kept(checkpoints) != {}, START_S)
        before = _kept(checkpoints)
        running.wait_until(lambda: _kept(checkpoints) not in (before, {}), START_S)
        running.signal(signal.SIGKILL)
        running.wait()
    code, log = container.train(killed)
    assert code == 0, log
    assert not FIRST_EPOCH.search(log), f"it began from the start:\n{log}"
    assert container.train(whole)[0] == 0
    assert files(killed / "model") == files(whole / "model")


def _kept(checkpoints: Path) -> dict[str, float]:
    """Return what the platform would copy, with the times of its last change."""
    return {
        str(path): path.stat().st_mtime
        for path in checkpoints.rglob("*")
        if path.is_file() and not path.name.endswith(".sagemaker-ignore") and path.name[0] != "."
    }
