"""An algorithm accepts a job whole or refuses it with one reason."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from sm_dl import registry
from sm_dl.contract.algorithm import Algorithm
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource, Hosts, RawJob, Resources
from sm_dl.job.paths import Paths

VALUES = {"context_length": "72", "epochs": "3", "prediction_length": "24", "time_freq": "H"}
ALGORITHMS = [registry.get(name) for name in registry.names()]


@pytest.fixture
def job(tmp_path: Path) -> RawJob:
    """Return a job that DeepAR accepts, with a train channel and an empty test channel."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.json").write_bytes(b"{}")
    return RawJob(
        algorithm="forecasting-deepar",
        hyperparameters=VALUES | {"_kvstore": "auto"},
        channels={name: ChannelSource(name, tmp_path / name) for name in ("train", "test")},
        paths=Paths(tmp_path / "run"),
        resources=Resources(instance_type="ml.m5.large"),
        hosts=Hosts("algo-1", ("algo-1",), "eth1"),
    )


@pytest.fixture
def deepar() -> Algorithm:
    """Return DeepAR."""
    return registry.get("deepar")


def _changed(job: RawJob, **changes: Any) -> RawJob:
    return dataclasses.replace(job, **changes)


def test_a_checked_job_has_typed_hyperparameters(deepar: Algorithm, job: RawJob) -> None:
    assert deepar.check(job).hyperparameters == deepar.hyperparameters.parse(VALUES)


def test_a_checked_job_has_the_channels_that_hold_something(deepar: Algorithm, job: RawJob) -> None:
    assert list(deepar.check(job).channels) == ["train"]


def test_a_checked_job_is_called_by_the_algorithms_own_name(deepar: Algorithm, job: RawJob) -> None:
    assert deepar.check(job).algorithm == "deepar"


@pytest.mark.parametrize("fact", ["paths", "resources", "hosts", "source"])
def test_everything_else_stays(deepar: Algorithm, job: RawJob, fact: str) -> None:
    asked = _changed(job, source=Path("job.yaml"))
    assert getattr(deepar.check(asked), fact) == getattr(asked, fact)


def test_the_log_has_the_three_dictionaries_of_the_service(
    deepar: Algorithm, job: RawJob, log: pytest.LogCaptureFixture
) -> None:
    source = Path("/opt/ml/input/config/hyperparameters.json")
    checked = deepar.check(_changed(job, source=source)).hyperparameters
    first, second, third = log.messages[:3]
    assert first.startswith("Reading default configuration from /")
    assert second == (f"Merging with provided configuration from {source}: {job.hyperparameters}")
    assert third == f"Final configuration: {checked.model_dump(mode='json')}"


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (Paths(Path("/opt/ml"), on_platform=True), "/opt/ml/checkpoints, which nobody copies: "),
        (Paths(Path("/opt/ml"), True, Path("/mnt/c")), "/mnt/c."),
    ],
)
def test_the_log_says_where_checkpoints_are_kept_on_the_platform(
    deepar: Algorithm, job: RawJob, log: pytest.LogCaptureFixture, paths: Paths, said: str
) -> None:
    deepar.check(_changed(job, paths=paths))
    assert f"Checkpoints are kept in {said}" in log.text


def test_one_process_of_several_tells_nothing(
    deepar: Algorithm, job: RawJob, log: pytest.LogCaptureFixture
) -> None:
    deepar.check(job, is_telling=False)
    assert [line for line in log.messages if "onfiguration" in line] == []


def test_the_log_tells_what_was_given_before_it_is_refused(
    deepar: Algorithm, job: RawJob, log: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UserError):
        deepar.check(_changed(job, hyperparameters={"epoch": "1"}))
    assert log.messages[-1].endswith("{'epoch': '1'}")


def test_a_secret_that_is_no_hyperparameter_is_not_told(
    deepar: Algorithm, job: RawJob, log: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UserError) as refusal:
        deepar.check(_changed(job, hyperparameters={"s3_secret": "hunter2hunter2"}))
    assert "hunter2" not in log.text + str(refusal.value)


def test_checking_writes_nothing(deepar: Algorithm, job: RawJob) -> None:
    deepar.check(job)
    assert not job.paths.root.exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hyperparameters": {}}, "context_length is required"),
        ({"hyperparameters": VALUES | {"epoch": "1"}}, "'epoch' was unexpected"),
        ({"channels": {}}, "Missing required channel: train"),
        ({"resources": Resources(instance_type="ml.p4d.24xlarge")}, "resources instance_type"),
    ],
)
def test_a_job_is_refused_with_its_reason(
    deepar: Algorithm, job: RawJob, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        deepar.check(_changed(job, **changes))


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda algorithm: algorithm.name)
class TestEveryAlgorithm:
    def test_says_what_it_does_in_a_sentence(self, algorithm: Algorithm) -> None:
        assert algorithm.summary.endswith(".")

    def test_names_its_paper_and_the_year(self, algorithm: Algorithm) -> None:
        assert any(part.strip().isdigit() for part in algorithm.paper.split(","))

    def test_has_a_docstring_under_every_hyperparameter(self, algorithm: Algorithm) -> None:
        silent = [one.name for one in algorithm.hyperparameters.declarations() if not one.doc]
        assert silent == []

    def test_has_an_objective(self, algorithm: Algorithm) -> None:
        assert any(metric.is_objective for metric in algorithm.metrics)

    def test_has_a_required_channel(self, algorithm: Algorithm) -> None:
        assert any(channel.required for channel in algorithm.channels)

    def test_names_each_metric_and_channel_once(self, algorithm: Algorithm) -> None:
        names = [
            *(one.name for one in algorithm.metrics),
            *(one.name for one in algorithm.channels),
        ]
        assert len(names) == len(set(names))
