"""Where the service trains an algorithm, over its whole table of machines."""

import pytest

from sm_dl import registry
from sm_dl.contract.placement import INSTANCES, Instance, Placement
from sm_dl.errors import UserError

ANYWHERE = Placement(cpu=True, gpu=True, hosts="many")
CPU_ONLY = Placement(cpu=True, gpu=False, hosts="many")
GPU_ONLY = Placement(cpu=False, gpu=True, hosts="one")
NEWEST_GPU = Placement(cpu=False, gpu=True, hosts="many", gpu_families=("p4d",))
PLACEMENTS = [
    pytest.param(ANYWHERE, id="anywhere"),
    pytest.param(CPU_ONLY, id="cpu only"),
    pytest.param(GPU_ONLY, id="gpu only"),
    pytest.param(NEWEST_GPU, id="newest gpu"),
]


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        ("ml.p2.xlarge", Instance(1, "K80", 4, 61)),
        ("ml.p2.16xlarge", Instance(16, "K80", 64, 732)),
        ("ml.p3.2xlarge", Instance(1, "V100", 8, 61)),
        ("ml.p3.16xlarge", Instance(8, "V100", 64, 488)),
        ("ml.p3dn.24xlarge", Instance(8, "V100", 96, 768)),
        ("ml.g4dn.12xlarge", Instance(4, "T4", 48, 192)),
        ("ml.g4dn.16xlarge", Instance(1, "T4", 64, 256)),
        ("ml.g5.12xlarge", Instance(4, "A10G", 48, 192)),
        ("ml.g5.16xlarge", Instance(1, "A10G", 64, 256)),
        ("ml.g5.48xlarge", Instance(8, "A10G", 192, 768)),
        ("ml.p4d.24xlarge", Instance(8, "A100", 96, 1152)),
        ("ml.c4.8xlarge", Instance(0, None, 36, 60)),
        ("ml.c5.18xlarge", Instance(0, None, 72, 144)),
        ("ml.m4.10xlarge", Instance(0, None, 40, 160)),
        ("ml.m5.large", Instance(0, None, 2, 8)),
        ("ml.m5.24xlarge", Instance(0, None, 96, 384)),
    ],
)
def test_a_machine_offers_what_the_service_documents(name: str, instance: Instance) -> None:
    assert INSTANCES[name] == instance


def test_the_table_holds_every_documented_machine() -> None:
    assert len(INSTANCES) == 42


@pytest.mark.parametrize("instance", INSTANCES.values(), ids=INSTANCES)
def test_only_a_machine_with_gpus_names_a_model(instance: Instance) -> None:
    assert (instance.gpu_model is not None) == (instance.gpus > 0)


@pytest.mark.parametrize("name", INSTANCES)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_machine_is_accepted_exactly_where_the_service_trains(
    placement: Placement, name: str
) -> None:
    family = name.split(".")[1]
    instance = INSTANCES[name]
    trains_there = (
        placement.gpu and family in placement.gpu_families if instance.gpus else placement.cpu
    )
    try:
        found = placement.check(name, 1)
    except UserError:
        found = None
    assert found == (instance if trains_there else None)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_local_machine_is_never_refused(placement: Placement) -> None:
    assert placement.check("local", 1) is None


@pytest.mark.parametrize("name", ["ml.p5.48xlarge", "ml.m5.99xlarge", "ml.c7i.large", "ml."])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_machine_newer_than_the_table_is_left_to_the_hardware(
    placement: Placement, name: str
) -> None:
    assert placement.check(name, 1) is None


def _message(placement: Placement, instance_type: str, count: int = 1) -> str:
    with pytest.raises(UserError) as refusal:
        placement.check(instance_type, count)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("m5.xlarge", "ml.m5.xlarge"), ("Local", "local"), ("g5.xlarge", "ml.g5.xlarge")],
)
def test_a_slip_in_a_type_is_answered_by_the_nearest(name: str, meant: str) -> None:
    assert _message(ANYWHERE, name) == (
        "resources instance_type: expected local or a type such as ml.m5.xlarge; "
        f"got {name!r}. Did you mean {meant!r}?"
    )


@pytest.mark.parametrize("name", ["", "gpu", "zzzz"])
def test_what_is_no_type_at_all_is_refused(name: str) -> None:
    assert "expected local or a type such as" in _message(ANYWHERE, name)


def test_a_cpu_machine_for_a_gpu_algorithm_is_answered_by_the_families() -> None:
    assert _message(GPU_ONLY, "ml.m5.large") == (
        "resources instance_type: expected a GPU instance of p2, p3, p3dn, g4dn, g5; "
        "got 'ml.m5.large'. Use local to train on any machine."
    )


def test_a_family_the_service_does_not_offer_is_answered_by_those_it_does() -> None:
    message = _message(ANYWHERE, "ml.p4d.24xlarge")
    assert "CPU or one of the GPU families p2, p3, p3dn, g4dn, g5; got 'ml.p4d.24x" in message


def test_a_gpu_machine_for_a_cpu_algorithm_is_not_answered_by_gpus() -> None:
    assert "GPU famil" not in _message(CPU_ONLY, "ml.p3.2xlarge")


def test_a_cpu_machine_is_not_advised_where_none_would_do() -> None:
    assert "expected CPU" not in _message(NEWEST_GPU, "ml.p3.2xlarge")


@pytest.mark.parametrize("name", ["local", "ml.p3.2xlarge", "ml.p5.48xlarge"])
def test_two_hosts_are_refused_where_one_is_the_rule(name: str) -> None:
    assert _message(GPU_ONLY, name, 2) == (
        "resources instance_count: expected 1, this algorithm trains on one host; got 2."
    )


@pytest.mark.parametrize("count", [1, 2, 100])
def test_many_hosts_are_any_number(count: int) -> None:
    assert ANYWHERE.check("ml.m5.large", count) == INSTANCES["ml.m5.large"]


def test_deepar_trains_on_many_hosts_with_or_without_gpus() -> None:
    placement = registry.get("deepar").placement
    assert (placement.cpu, placement.gpu, placement.hosts) == (True, True, "many")
