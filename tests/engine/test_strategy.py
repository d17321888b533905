"""Placement x resources x hardware, over every documented instance type."""

from dataclasses import replace

import pytest

from sm_dl.contract.placement import INSTANCES, Placement
from sm_dl.engine.strategy import Hardware, plan
from sm_dl.errors import PlatformError, UserError
from sm_dl.job.job import Resources

ANYWHERE = Placement(
    cpu=True, gpu=True, hosts="many", gpu_families=("p2", "p3", "p3dn", "g4dn", "g5", "p4d")
)
GPU_ONLY = Placement(cpu=False, gpu=True, hosts="one")


@pytest.mark.parametrize("instance_type", sorted(INSTANCES))
def test_an_instance_type_trains_on_all_its_devices(instance_type):
    instance = INSTANCES[instance_type]
    layout = plan(ANYWHERE, Resources(instance_type=instance_type), Hardware(instance.gpus))
    assert (layout.accelerator, layout.devices) == (
        ("cuda", instance.gpus) if instance.gpus else ("cpu", 1)
    )


@pytest.mark.parametrize("instance_type", sorted(INSTANCES))
def test_more_than_one_process_means_ddp(instance_type):
    gpus = INSTANCES[instance_type].gpus
    layout = plan(ANYWHERE, Resources(instance_type=instance_type), Hardware(gpus))
    assert layout.strategy == ("ddp" if gpus > 1 else "auto")


@pytest.mark.parametrize(
    ("shares_pipes", "is_piped", "wanted", "devices"),
    [
        (False, True, "auto", 1),
        (False, False, "auto", 4),
        (True, True, "auto", 4),
        (False, True, 2, 2),  # for the algorithm to refuse
    ],
)
def test_a_pipe_that_one_process_alone_can_read_is_trained_from_by_one(
    shares_pipes, is_piped, wanted, devices
):
    placement = replace(ANYWHERE, shares_pipes=shares_pipes)
    layout = plan(placement, Resources(devices=wanted), Hardware(4), is_piped=is_piped)
    assert layout.devices == devices
    assert ("1 of 4 GPUs trains" in layout.notice) == (devices == 1)


def test_several_hosts_mean_ddp():
    layout = plan(ANYWHERE, Resources(instance_type="ml.m5.xlarge", instance_count=2), Hardware())
    assert (layout.num_nodes, layout.strategy) == (2, "ddp")


@pytest.mark.parametrize("num_gpus", [0, 1, 4])
def test_local_uses_what_the_machine_has(num_gpus):
    layout = plan(ANYWHERE, Resources(), Hardware(num_gpus))
    assert (layout.accelerator, layout.devices) == ("cuda" if num_gpus else "cpu", max(1, num_gpus))


def test_local_trains_a_gpu_algorithm_on_a_cpu_with_a_notice():
    assert "GPU" in plan(GPU_ONLY, Resources(), Hardware()).notice


def test_a_cpu_instance_is_refused_to_a_gpu_algorithm():
    with pytest.raises(UserError, match=r"expected a GPU instance.*ml\.m5\.xlarge"):
        plan(GPU_ONLY, Resources(instance_type="ml.m5.xlarge"), Hardware())


def test_two_hosts_are_refused_to_a_one_host_algorithm():
    with pytest.raises(UserError, match="expected 1, this algorithm trains on one host; got 2"):
        plan(GPU_ONLY, Resources(instance_type="ml.p3.2xlarge", instance_count=2), Hardware(1))


def test_an_instance_type_whose_gpus_are_not_there_is_the_platform_s_fault():
    with pytest.raises(PlatformError, match="has 8 GPUs, but 1 are visible"):
        plan(ANYWHERE, Resources(instance_type="ml.p3.16xlarge"), Hardware(1))


@pytest.mark.parametrize("devices", [0, 3])
def test_a_number_of_devices_that_is_not_there_is_refused(devices):
    with pytest.raises(UserError, match="resources devices: expected 1 to 2"):
        plan(ANYWHERE, Resources(devices=devices), Hardware(2))


def test_cpu_processes_may_be_asked_for():
    layout = plan(ANYWHERE, Resources(devices=3), Hardware())
    assert (layout.accelerator, layout.devices, layout.strategy) == ("cpu", 3, "ddp")


@pytest.mark.parametrize(
    ("num_gpus", "has_bf16", "expected"),
    [
        (0, True, "bf16-mixed"),
        (0, False, "32-true"),
        (1, True, "bf16-mixed"),
        (1, False, "16-mixed"),
    ],
)
def test_automatic_bf16_falls_back_where_the_hardware_lacks_it(num_gpus, has_bf16, expected):
    layout = plan(ANYWHERE, Resources(), Hardware(num_gpus, has_bf16), auto_precision="bf16-mixed")
    assert layout.precision == expected


@pytest.mark.parametrize("devices", [0, -1])
def test_no_process_at_all_is_refused_on_a_cpu_which_runs_any_number(devices):
    with pytest.raises(
        UserError, match="devices: expected a number of processes, 1 or more, on local"
    ):
        plan(ANYWHERE, Resources(devices=devices), Hardware())


@pytest.mark.parametrize(
    ("instance_type", "num_gpus", "placement"),
    [
        ("local", 0, ANYWHERE),
        ("ml.m5.xlarge", 2, ANYWHERE),
        ("local", 2, Placement(cpu=True, gpu=False, hosts="one")),
    ],
)
def test_float16_is_refused_where_no_gpu_trains(instance_type, num_gpus, placement):
    asked = Resources(instance_type=instance_type, precision="16-mixed")
    with pytest.raises(UserError, match=r"resources precision: expected auto, .*; got 16-mixed"):
        plan(placement, asked, Hardware(num_gpus, has_bf16=True))


def test_float16_is_kept_on_a_gpu():
    asked = Resources(precision="16-mixed")
    assert plan(ANYWHERE, asked, Hardware(1, has_bf16=True)).precision == "16-mixed"


def test_a_precision_that_is_asked_for_is_kept():
    layout = plan(ANYWHERE, Resources(precision="bf16-mixed"), Hardware())
    assert layout.precision == "bf16-mixed"
