"""The `SM_*` variables say what the job says, and never overrule what is set."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sm_dl.job.environment import export_variables, variables
from sm_dl.job.from_opt_ml import job_from_opt_ml
from sm_dl.job.from_yaml import job_from_yaml
from sm_dl.job.job import RawJob

HYPERPARAMETERS = {"epochs": "3", "test_quantiles": "[0.1, 0.9]", "_tuning_objective_metric": ""}
CHANNELS = {"train": {"TrainingInputMode": "File"}, "my-test": {"TrainingInputMode": "File"}}
RESOURCES = {
    "current_host": "algo-2",
    "hosts": ["algo-1", "algo-2"],
    "network_interface_name": "eth1",
    "topology": None,
}


@pytest.fixture
def job(opt_ml: Callable[..., dict[str, str]]) -> RawJob:
    """Return a job of the platform."""
    return job_from_opt_ml(
        opt_ml(hyperparameters=HYPERPARAMETERS, inputdataconfig=CHANNELS, resourceconfig=RESOURCES)
    )


def _of(job: RawJob, **environment: str) -> dict[str, str]:
    return variables(job, num_cpus=3, environment={"CUDA_VISIBLE_DEVICES": "0,1", **environment})


@pytest.mark.parametrize(
    ("name", "below_the_root"),
    [
        ("SM_MODEL_DIR", "model"),
        ("SM_OUTPUT_DIR", "output"),
        ("SM_OUTPUT_DATA_DIR", "output/data"),
        ("SM_INPUT_DIR", "input"),
        ("SM_INPUT_CONFIG_DIR", "input/config"),
        ("SM_CHANNEL_TRAIN", "input/data/train"),
        ("SM_CHANNEL_MY-TEST", "input/data/my-test"),
    ],
)
def test_a_folder_is_where_the_contract_says(
    job: RawJob, tmp_path: Path, name: str, below_the_root: str
) -> None:
    assert _of(job)[name] == str(tmp_path / below_the_root)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SM_CURRENT_HOST", "algo-2"),
        ("SM_NETWORK_INTERFACE_NAME", "eth1"),
        ("SM_NUM_GPUS", "2"),
        ("SM_NUM_CPUS", "3"),
        ("SM_LOG_LEVEL", "20"),
        ("SM_HP_EPOCHS", "3"),
        ("SM_HP_TEST_QUANTILES", "[0.1, 0.9]"),
    ],
)
def test_a_plain_value_is_plain_text(job: RawJob, name: str, text: str) -> None:
    assert _of(job)[name] == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SM_HOSTS", ["algo-1", "algo-2"]),
        ("SM_CHANNELS", ["my-test", "train"]),
        ("SM_HPS", HYPERPARAMETERS),
        ("SM_RESOURCE_CONFIG", RESOURCES),
        ("SM_INPUT_DATA_CONFIG", CHANNELS),
    ],
)
def test_everything_else_is_json(job: RawJob, name: str, value: object) -> None:
    assert json.loads(_of(job)[name]) == value


def test_the_whole_is_in_one_variable_too(job: RawJob) -> None:
    whole = json.loads(_of(job, TRAINING_JOB_NAME="job-7")["SM_TRAINING_ENV"])
    assert (whole["job_name"], whole["hosts"]) == ("job-7", ["algo-1", "algo-2"])


def test_without_a_resource_file_the_interface_is_the_usual_one(
    opt_ml: Callable[..., dict[str, str]],
) -> None:
    assert _of(job_from_opt_ml(opt_ml()))["SM_NETWORK_INTERFACE_NAME"] == "eth0"


@pytest.mark.parametrize(("chosen", "count"), [("", "0"), ("-1", "0"), ("3", "1"), ("0,1,", "2")])
def test_as_many_gpus_as_are_visible(job: RawJob, chosen: str, count: str) -> None:
    assert _of(job, CUDA_VISIBLE_DEVICES=chosen)["SM_NUM_GPUS"] == count


def test_what_is_set_already_stays(job: RawJob) -> None:
    environment = {"SM_MODEL_DIR": "/mine"}
    export_variables(job, num_cpus=1, environment=environment)
    assert (environment["SM_MODEL_DIR"], environment["SM_NUM_CPUS"]) == ("/mine", "1")


def test_a_job_of_a_config_file_sets_nothing(config: Callable[..., Path]) -> None:
    environment: dict[str, str] = {}
    export_variables(job_from_yaml(config()), num_cpus=1, environment=environment)
    assert environment == {}


@pytest.mark.parametrize("hostile", ["a\0b", "a=b"])
def test_a_name_no_variable_can_have_is_left_out(
    opt_ml: Callable[..., dict[str, str]], hostile: str
) -> None:
    job = job_from_opt_ml(opt_ml(hyperparameters={hostile: "1", "b": "x\0y"}))
    found = [name for name in _of(job) if name.startswith("SM_HP_")]
    assert found == []


def test_a_value_no_program_could_be_started_with_is_left_out(
    opt_ml: Callable[..., dict[str, str]],
) -> None:
    job = job_from_opt_ml(opt_ml(hyperparameters={"a": "x" * 200_000, "b": "1"}))
    found = [name for name in _of(job) if name in ("SM_HPS", "SM_HP_A", "SM_HP_B", "SM_HOSTS")]
    assert found == ["SM_HOSTS", "SM_HP_B"]
