"""The battery: what must hold for every folder of sm_dl/algorithms, through the public doors."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sm_dl import pack, registry, train
from sm_dl.artifact.weights import FILE_NAME as WEIGHTS
from sm_dl.serving.invoke import Call, invoke
from tests.small_job import SmallJob, small_job

SPECIFICATION = Path(__file__).parents[1] / "assets" / "specification"
ALGORITHMS = registry.names()


def test_the_battery_has_algorithms_to_test():
    assert ALGORITHMS


@dataclass(frozen=True)
class Run:
    """A finished job."""

    job: SmallJob
    config: Path
    root: Path
    log: str

    @property
    def weights(self) -> bytes:
        return (self.root / "model" / WEIGHTS).read_bytes()


@pytest.fixture(scope="session", params=ALGORITHMS)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def run(name, tmp_path_factory) -> Run:
    """Train once, uninterrupted, from a config file."""
    folder = tmp_path_factory.mktemp("battery") / name
    root = folder / "run"
    job = small_job(name)
    folder.mkdir()
    config = job.write_yaml(folder, root)
    finished = door("train", "--config", config)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return Run(job, config, root, finished.stdout)


def door(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "sm_dl", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=_environment(environment),
    )


def _environment(extra: dict[str, str]) -> dict[str, str]:
    # one thread and no GPU: the runs that are compared must compute in the same order; small jobs
    # are over before the usual interval between two checkpoints
    own = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "SM_DL_CHECKPOINT_INTERVAL_S": "0"}
    return {**os.environ, **own, **extra}


# --- the description -------------------------------------------------------------------------


def _rows(name: str) -> list[dict]:
    return json.loads((SPECIFICATION / f"{name}.hyperparameters.json").read_text())


def test_hyperparameters_have_the_service_s_names(name):
    declared = registry.get(name).hyperparameters.declarations()
    assert {one.name for one in declared if not one.is_extra} == {
        row["name"] for row in _rows(name)
    }


def test_hyperparameters_are_required_where_the_service_says(name):
    declared = {one.name: one for one in registry.get(name).hyperparameters.declarations()}
    assert {row["name"]: row["required"] for row in _rows(name)} == {
        row["name"]: declared[row["name"]].required for row in _rows(name)
    }


def test_hyperparameters_have_the_service_s_defaults(name):
    declared = {one.name: one for one in registry.get(name).hyperparameters.declarations()}
    defaults = {
        row["name"]: list(default) if isinstance(default, tuple) else default
        for row in _rows(name)
        for default in [declared[row["name"]].default]
    }
    assert defaults == {row["name"]: row["default"] for row in _rows(name)}


def test_hyperparameters_can_be_tuned_where_the_service_says(name):
    declared = {one.name: one for one in registry.get(name).hyperparameters.declarations()}
    assert {row["name"] for row in _rows(name) if row["tunable"]} == {
        one.name for one in declared.values() if one.tune
    }


def test_every_hyperparameter_and_channel_is_explained(name):
    algorithm = registry.get(name)
    docs = [one.doc for one in algorithm.hyperparameters.declarations()]
    assert all(docs + [channel.doc for channel in algorithm.channels])


def test_a_value_outside_the_service_s_range_is_refused_by_name(name):
    parse = registry.get(name).hyperparameters.parse
    given = small_job(name).hyperparameters
    refused = 0
    for row in _rows(name):
        if row["type"] in ("int", "float") and row["min"] is not None:
            with pytest.raises(Exception, match=f"hyperparameter {row['name']}: expected"):
                parse({**given, row["name"]: row["min"] - 1})
            refused += 1
    assert refused > 0


def test_describe_needs_no_torch(name):
    code = (
        "import sys; from sm_dl import describe; describe.main([sys.argv[1], '--json']);"
        "sys.exit(bool({'torch', 'lightning', 'numpy'} & set(sys.modules)))"
    )
    described = subprocess.run(
        [sys.executable, "-c", code, name], capture_output=True, check=False, timeout=60
    )
    assert described.returncode == 0, described.stderr


# --- one job, end to end ---------------------------------------------------------------------


def test_every_registered_metric_is_found_in_the_log(name, run):
    missing = {
        metric.name
        for metric in registry.get(name).metrics
        if not re.search(metric.regex, run.log) and metric.name not in run.job.silent_metrics
    }
    assert missing == set()


def test_every_line_of_the_log_has_the_service_s_prefix(run):
    prefix = re.compile(r"^\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d [A-Z]+ \d+\] ")
    assert [line for line in run.log.splitlines() if not prefix.match(line)] == []


def test_a_finished_job_leaves_no_failure_file(run):
    assert not (run.root / "output" / "failure").exists()


def test_a_finished_job_leaves_one_self_contained_page(run):
    page = (run.root / "output" / "report" / "index.html").read_text()
    assert not re.search(r'(src|href)="(?!#|data:)', page)


def test_a_finished_job_leaves_tensorboard_events(run):
    assert list((run.root / "output" / "tensorboard").glob("events.out.tfevents.*"))


def test_nothing_is_left_half_written(run):
    assert not list(run.root.rglob("*.sagemaker-ignore"))


def test_a_job_trains_in_mixed_precision_where_it_asks_for_it(run, tmp_path):
    settings = {
        "output": tmp_path / "run",
        "resources.precision": "bf16-mixed",
        f"hyperparameters.{run.job.epochs_name}": 1,
    }
    changes = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    finished = door("train", "--config", run.config, *changes)
    assert finished.returncode == 0, finished.stdout
    assert "precision bf16-mixed" in finished.stdout


def test_a_job_from_opt_ml_trains_the_same_model(name, run, tmp_path):
    run.job.write_opt_ml(tmp_path)
    finished = door("train", SAGEMAKER_BASE_DIR=str(tmp_path), SM_DL_ALGORITHM=name)
    assert finished.returncode == 0, finished.stdout
    assert (tmp_path / "model" / WEIGHTS).read_bytes() == run.weights


def test_a_killed_job_started_again_ends_with_the_same_weights(run, tmp_path):
    root = tmp_path / "run"
    command = [sys.executable, "-m", "sm_dl", "train", "--config", str(run.config)]
    command += ["--set", f"output={root}"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_environment({})
    )
    assert process.stdout is not None
    _wait_for(lambda: list((root / "checkpoints").glob("step-*.safetensors")), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = door(*command[3:])
    assert "Continuing from checkpoint" in again.stdout, again.stdout
    assert (root / "model" / WEIGHTS).read_bytes() == run.weights


def test_a_stopped_job_leaves_a_model_and_started_again_ends_with_the_same_weights(run, tmp_path):
    # more epochs than the small job has, so that the signal surely comes before the last one
    job = [
        "train",
        "--config",
        str(run.config),
        "--set",
        f"hyperparameters.{run.job.epochs_name}=40",
    ]
    root, whole = tmp_path / "run", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "sm_dl", *job, "--set", f"output={root}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment({}),
    )
    _wait_for(lambda: list((root / "checkpoints").glob("step-*.safetensors")), process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert (process.returncode, (root / "model" / WEIGHTS).is_file()) == (143, True)
    assert not (root / "output" / "failure").exists()
    for output in (root, whole):
        assert door(*job, "--set", f"output={output}").returncode == 0
    assert (root / "model" / WEIGHTS).read_bytes() == (whole / "model" / WEIGHTS).read_bytes()


def test_a_finished_job_started_again_keeps_its_model(run, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(run.root, root)
    (root / "model" / WEIGHTS).unlink()
    assert train.main(["--config", str(run.config), "--set", f"output={root}"]) == 0
    assert (root / "model" / WEIGHTS).read_bytes() == run.weights


def test_a_checkpoint_of_another_model_is_refused(run, tmp_path, capfd):
    root = tmp_path / "run"
    shutil.copytree(run.root, root)
    code = train.main(
        ["--config", str(run.config), "--set", f"output={root}", "--set", "hyperparameters.seed=99"]
    )
    assert (code, "another model" in capfd.readouterr().out) == (2, True)


def test_weights_that_are_not_finite_are_neither_model_nor_checkpoint(run, tmp_path):
    root = tmp_path / "run"
    command = ["train", "--config", run.config, "--set", f"output={root}"]
    finished = door(*command, SM_DL_FAULTS="update:1:poison")
    failure = (root / "output" / "failure").read_text()
    assert finished.returncode == 1, finished.stdout
    assert "the loss is nan; no model is written, since an update has left" in failure
    assert "are kept" not in finished.stdout
    assert not [*root.rglob("*.safetensors"), *(root / "model").glob("*.json")]
    assert door(*command).returncode == 0
    assert (root / "model" / WEIGHTS).read_bytes() == run.weights


def test_an_unknown_hyperparameter_ends_with_exit_code_2_and_a_failure_file(run, tmp_path):
    root = tmp_path / "run"
    typo = run.job.epochs_name[:-1] + "z"
    arguments = ["--config", str(run.config), "--set", f"output={root}"]
    assert train.main([*arguments, "--set", f"hyperparameters.{typo}=1"]) == 2
    failure = (root / "output" / "failure").read_text()
    assert failure.startswith("ClientError: Additional hyperparameters are not allowed")


# --- inference -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def predictor(run):
    return registry.load(run.root / "model")


def _answers(run: Run, predictor) -> list[tuple[int, bytes]]:
    responses = [
        invoke(predictor, Call(body=body, content_type=content_type))
        for content_type, body in run.job.requests
    ]
    return [(response.status, response.body) for response in responses]


def test_every_request_of_the_small_job_is_answered(run, predictor):
    assert [status for status, _ in _answers(run, predictor)] == [200] * len(run.job.requests)


def test_a_model_loaded_twice_answers_the_same(run, predictor):
    again = registry.load(run.root / "model")
    assert _answers(run, again) == _answers(run, predictor)


def test_a_model_packed_as_the_service_packs_it_answers_the_same(run, predictor, tmp_path):
    archive = tmp_path / "model.tar.gz"
    assert pack.main(["model", "--model", str(run.root / "model"), "--output", str(archive)]) == 0
    assert _answers(run, registry.load(archive)) == _answers(run, predictor)


def test_batch_transform_answers_as_the_predictor_does(run, tmp_path, monkeypatch):
    # where nobody asks for a type, some algorithms of the service answer a batch in another one
    monkeypatch.setenv("SAGEMAKER_BATCH", "true")
    predictor = registry.load(run.root / "model")
    inputs = tmp_path / "input"
    inputs.mkdir()
    for index, (_, body) in enumerate(run.job.requests):
        (inputs / str(index)).write_bytes(body)
    for index, (content_type, _) in enumerate(run.job.requests):
        finished = door(
            *("transform", "--model", run.root / "model", "--content-type", content_type),
            *("--input", inputs / str(index), "--output", tmp_path / "output"),
        )
        assert finished.returncode == 0, finished.stdout
    outputs = [
        (tmp_path / "output" / f"{index}.out").read_bytes()
        for index in range(len(run.job.requests))
    ]
    assert outputs == [body for _, body in _answers(run, predictor)]


def test_an_endpoint_answers_as_the_predictor_does(run, predictor):
    with _serving(run.root / "model") as address:
        answers = []
        for content_type, body in run.job.requests:
            request = urllib.request.Request(  # noqa: S310 - a loopback address of ours
                f"{address}/invocations", body, {"Content-Type": content_type}
            )
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                answers.append((response.status, response.read()))
    assert answers == _answers(run, predictor)


@contextmanager
def _serving(model: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "sm_dl", "serve", "--model", str(model)]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], env=_environment({})
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(lambda: _answers_ping(address), process)
        yield address
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


def _answers_ping(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/ping", timeout=5) as response:  # noqa: S310
            return response.status == 200
    except OSError:
        return False


def _wait_for(condition, process: subprocess.Popen, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, "the process ended too early"
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)
