"""Several processes and hosts, on one machine by gloo: one model, one voice, one end."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file

from sm_dl import faults
from sm_dl.engine.ranks import TIMEOUT_VARIABLE
from tests.hosts import configure, on_two_hosts
from tests.small_job import small_job

pytestmark = pytest.mark.system

LOSS = re.compile(r"epoch=(\d+), train loss <loss>=(\S+)")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
END_S = 60
"""However one process ends, all have ended after so many seconds."""


@dataclass
class Ended:
    code: int
    log: str
    root: Path

    @property
    def failure(self):
        path = self.root / "output" / "failure"
        return path.read_text() if path.exists() else ""

    @property
    def weights(self):
        return (self.root / "model" / "weights.safetensors").read_bytes()

    @property
    def losses(self):
        return [float(loss) for _, loss in LOSS.findall(self.log)]


@dataclass
class Jobs:
    """One small job, and the ways to run it."""

    folder: Path
    config: Path

    def start(self, name, *settings, by=(sys.executable,), **environment):
        command = [*by, "-m", "sm_dl.train", "--config", self.config]
        # without zoneout the processes draw nothing of their own, so losses can be compared
        for setting in (
            "hyperparameters.dropout_rate=0",
            f"output={self.folder / name}",
            *settings,
        ):
            command += ["--set", setting]
        own = {
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "SM_DL_CHECKPOINT_INTERVAL_S": "0",
        }
        return subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, **own, **environment},
        )

    def run(self, name, *settings, by=(sys.executable,), **environment):
        process = self.start(name, *settings, by=by, **environment)
        log, _ = process.communicate(timeout=240)
        return Ended(process.returncode, log, self.folder / name)

    def wait_for_checkpoint(self, name, process):
        checkpoints = self.folder / name / "checkpoints"
        while not list(checkpoints.glob("step-*.safetensors")):
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)

    def by_variables(self, name):
        """Start two processes as a scheduler does, which knows nothing of torchrun."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = str(probe.getsockname()[1])
        layout = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return [self.start(name, RANK=rank, **layout) for rank in "01"]

    def in_two(self, name, **environment):
        return self.run(name, "resources.devices=2", **environment)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes") / "deepar"
    folder.mkdir()
    return Jobs(folder, small_job("deepar").write_yaml(folder, folder / "run"))


@pytest.fixture(scope="module")
def one(jobs):
    return jobs.run("one")


@pytest.fixture(scope="module")
def two(jobs):
    return jobs.in_two("two")


@pytest.fixture(scope="module")
def by_torchrun(jobs):
    return jobs.run("torchrun", by=TORCHRUN)


def test_processes_we_start_are_those_torchrun_would_start(two, by_torchrun):
    assert (two.code, by_torchrun.code) == (0, 0), two.log + by_torchrun.log
    assert two.weights == by_torchrun.weights


def test_processes_that_know_their_rank_and_their_number_train_together(jobs, two):
    ranks = jobs.by_variables("variables")
    logs = [process.communicate(timeout=END_S)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], logs
    assert ("1 x cpu on each of 2 hosts" in logs[0], logs[1]) == (True, "")
    assert Ended(0, logs[0], jobs.folder / "variables").weights == two.weights


def test_a_rank_alone_is_refused_with_a_sentence_in_the_failure_file(jobs):
    refused = jobs.run("alone", RANK="1")
    assert (refused.code, refused.failure[:13]) == (2, "ClientError: ")
    assert "environment variable WORLD_SIZE: expected an integer" in refused.failure


def test_only_one_process_prints_metrics(two, by_torchrun):
    assert [LOSS.findall(run.log) == LOSS.findall(two.log) for run in (two, by_torchrun)] == [
        True
    ] * 2
    assert [int(epoch) for epoch, _ in LOSS.findall(two.log)] == [0, 1, 2, 3]


def test_every_line_has_the_service_s_prefix(two):
    prefix = re.compile(r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d [A-Z]+ \d+\] ")
    assert [line for line in two.log.splitlines() if not prefix.match(line)] == []


def test_two_processes_have_the_losses_of_one(one, two):
    # windows without a known context take the mean scale of their process's part of a batch
    assert two.losses == pytest.approx(one.losses, rel=0.05)


def test_a_job_of_two_processes_is_gone_on_with_by_one(jobs, one):
    stopped = jobs.in_two("other", **{faults.VARIABLE: "step@0:12:stop"})
    again = jobs.run("other")
    assert (stopped.code, again.code) == (143, 0), stopped.log + again.log
    assert again.losses[-1] == pytest.approx(one.losses[-1], rel=0.05)


def test_a_killed_process_ends_the_job_and_is_named_as_the_cause(jobs, two):
    killed = jobs.in_two("killed", **{faults.VARIABLE: "step@1:12:kill"})
    assert killed.code == 3, killed.log
    assert killed.failure.startswith("InternalServerError: process 1 was killed by SIGKILL")
    again = jobs.in_two("killed")
    assert ("Continuing from checkpoint" in again.log, again.weights) == (True, two.weights)


def test_a_killed_process_ends_the_job_under_torchrun_too(jobs):
    killed = jobs.run("torchkilled", by=TORCHRUN, **{faults.VARIABLE: "step@1:12:kill"})
    assert killed.code != 0
    assert "process 0 of 2 lost another one" in killed.failure


def test_a_process_that_is_stuck_ends_the_job_and_shows_where_it_is(jobs):
    started = time.monotonic()
    environment = {faults.VARIABLE: "step@1:12:stall", TIMEOUT_VARIABLE: "5"}
    stuck = jobs.in_two("stuck", **environment)
    assert (stuck.code, time.monotonic() - started < END_S + 5) == (3, True)
    assert f"did not answer within 5 s ({TIMEOUT_VARIABLE})" in stuck.failure
    assert "faults.py" in stuck.log.partition("Timeout (0:00:05)!")[2]


def test_bad_data_end_both_processes_with_the_first_cause(jobs):
    refused = jobs.run("refused", "resources.devices=2", "hyperparameters.cardinality=[7, 7]")
    assert (refused.code, refused.failure[:13]) == (2, "ClientError: ")
    assert "cat: expected 2 categories" in refused.failure


def test_a_loss_that_is_no_number_in_one_process_ends_all_before_the_update(jobs):
    poisoned = jobs.in_two("poisoned", **{faults.VARIABLE: "step@1:12:poison"})
    assert (poisoned.code, "the loss is nan" in poisoned.failure) == (1, True), poisoned.log
    weights = load_file(poisoned.root / "model" / "weights.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_sigterm_stops_all_processes_with_a_model(jobs):
    process = jobs.start("stopped", "resources.devices=2", "hyperparameters.epochs=4000")
    jobs.wait_for_checkpoint("stopped", process)
    process.send_signal(signal.SIGTERM)
    log, _ = process.communicate(timeout=END_S)
    assert (process.returncode, (jobs.folder / "stopped" / "model" / "model.json").exists()) == (
        143,
        True,
    ), log


def test_sigterm_to_the_group_of_torchrun_stops_all_processes_at_one_update(jobs):
    process = jobs.start("group", "hyperparameters.epochs=4000", by=TORCHRUN)
    jobs.wait_for_checkpoint("group", process)
    os.killpg(process.pid, signal.SIGTERM)  # torchrun passes it on, too: some get it twice
    log, _ = process.communicate(timeout=END_S)
    updates = re.findall(r"Stopped: SIGTERM came in epoch \d+, after (\d+) updates", log)
    assert (len(updates), len(set(updates))) == (2, 1), log
    assert (jobs.folder / "group" / "model" / "model.json").exists()


def test_sigterm_stops_all_processes_while_one_is_waited_for(jobs):
    stuck = {faults.VARIABLE: "read@1:1:stall"}
    process = jobs.start("waiting", "resources.devices=2", **stuck)
    for line in process.stdout:
        if "Training on 2 x cpu" in line:  # process 0 has read its data, and waits for process 1
            break
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    log, _ = process.communicate(timeout=END_S)
    ended = Ended(process.returncode, log, jobs.folder / "waiting")
    assert (ended.code, ended.failure) == (143, ""), log
    assert "nothing is written" in log
    assert not (ended.root / "model" / "model.json").exists()


def test_a_process_that_does_not_come_ends_the_job(jobs):
    absent = jobs.in_two("absent", **{faults.VARIABLE: "read@1:1:stall", TIMEOUT_VARIABLE: "2"})
    assert absent.code == 3, absent.log
    assert f"after 2 s ({TIMEOUT_VARIABLE}) 1 had come" in absent.failure


def test_processes_do_not_outlive_the_one_that_started_them(jobs):
    process = jobs.start("orphans", "resources.devices=2", "hyperparameters.epochs=4000")
    jobs.wait_for_checkpoint("orphans", process)
    process.kill()
    process.communicate(timeout=END_S)  # ends once nobody holds its pipe any more


def run_on_two_hosts(folder, of_second=()):
    """Run the small job on two hosts; `of_second` are hyperparameters of the second one alone."""

    def change(root, number):
        configure(root, "hyperparameters", dropout_rate="0", **(dict(of_second) if number else {}))

    return [
        Ended(host.code, host.log, host.root) for host in on_two_hosts(folder, "deepar", change)
    ]


@pytest.fixture(scope="module")
def two_hosts(jobs):
    return run_on_two_hosts(jobs.folder / "hosts")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"epochs": "none"}, "hyperparameter epochs"),  # refused before its processes start
        ({"cardinality": "[7, 7]"}, "cat: expected 2 categories"),  # by one of them
    ],
)
def test_a_host_is_not_waited_for_when_it_ends_with_a_user_error(jobs, wrong, told):
    first, second = run_on_two_hosts(jobs.folder / next(iter(wrong)), wrong)
    assert (second.code, told in second.failure) == (2, True), second.log
    assert first.code == 3, first.log
    assert re.search(r"in vain: host \S+ has failed; its log has the cause", first.failure)


def test_two_hosts_train_the_model_of_two_processes(two_hosts, two):
    first, _ = two_hosts
    assert [host.code for host in two_hosts] == [0, 0], first.log
    assert first.weights == two.weights


def test_only_the_first_host_prints_metrics_and_writes_a_model(two_hosts):
    _, second = two_hosts
    assert "_metric:" not in second.log
    assert not (second.root / "model").exists()
