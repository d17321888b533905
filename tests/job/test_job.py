"""A job is a fact: it has defaults and cannot be changed."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from pydantic import ValidationError

from sm_dl.job.job import ChannelSource, Hosts, RawJob, Resources
from sm_dl.job.paths import Paths


@pytest.fixture
def job() -> RawJob:
    """Return the smallest job."""
    return RawJob(algorithm="deepar", hyperparameters={}, channels={}, paths=Paths(Path("runs/a")))


def test_a_job_runs_on_one_local_machine_unless_told(job: RawJob) -> None:
    assert (job.resources, job.hosts) == (Resources(), Hosts("algo-1", ("algo-1",)))


def test_a_job_does_not_change(job: RawJob) -> None:
    with pytest.raises(FrozenInstanceError):
        job.algorithm = "ntm"  # type: ignore[misc]


def test_resources_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Resources().devices = 2  # type: ignore[misc]


def test_a_channel_is_a_replicated_folder_of_files_unless_told() -> None:
    source = ChannelSource("train", Path("data"))
    assert (source.content_type, source.input_mode, source.distribution) == (
        None,
        "File",
        "FullyReplicated",
    )


def test_hosts_are_ranked_by_their_order() -> None:
    hosts = Hosts("algo-2", ("algo-1", "algo-2", "algo-3"))
    assert (hosts.rank, hosts.first) == (1, "algo-1")


def test_a_host_alone_is_the_first() -> None:
    assert (Hosts().rank, Hosts().first) == (0, "algo-1")
