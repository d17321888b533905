"""Placement x resources x hardware -> accelerator, devices, strategy, precision: one pure function."""

from dataclasses import dataclass
from typing import Any, Literal

from sm_dl.contract.placement import Placement
from sm_dl.engine.launched import Launched
from sm_dl.errors import PlatformError, UserError
from sm_dl.job.job import Job, Resources

LightningPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class Hardware:
    """What this host has."""

    num_gpus: int = 0
    has_bf16: bool = False
    """Of the GPU when there is one, else of the CPU (AVX-512 BF16 or AMX)."""


@dataclass(frozen=True)
class Plan:
    """How the training processes are laid out, in Lightning's words."""

    accelerator: Literal["cpu", "cuda"]
    devices: int
    num_nodes: int
    strategy: Literal["auto", "ddp"]
    precision: LightningPrecision
    notice: str = ""
    """One line for the log where the layout may surprise."""

    @property
    def num_processes(self) -> int:
        """Return how many processes train together, on all hosts."""
        return self.devices * self.num_nodes

    def __str__(self) -> str:
        """Return the layout for the log."""
        hosts = f" on each of {self.num_nodes} hosts" if self.num_nodes > 1 else ""
        return f"{self.devices} x {self.accelerator}{hosts}, precision {self.precision}"


def plan(
    placement: Placement,
    resources: Resources,
    hardware: Hardware,
    *,
    launched: Launched | None = None,
    auto_precision: LightningPrecision = "32-true",
    is_piped: bool = False,
) -> Plan:
    """Return the layout of a job.

    Args:
        placement: Where the service lets the algorithm train.
        resources: What the job asks for.
        hardware: What this host has.
        launched: Processes that run already; their number stands.
        auto_precision: The algorithm's measured choice for `precision: auto`.
        is_piped: Whether a channel comes through a pipe.
    Raises:
        UserError: The job asks for what its instance type does not offer.
        PlatformError: The host has fewer devices than its instance type promises.
    """
    instance = placement.check(resources.instance_type, resources.instance_count)
    wanted_gpus = instance.gpus if instance else hardware.num_gpus
    use_gpu = placement.gpu and wanted_gpus > 0
    notice = ""
    if not use_gpu and not placement.cpu:
        notice = "Training on CPU, where the service would ask for a GPU; expect it to take long."
    available = wanted_gpus if use_gpu else 1
    devices = available if resources.devices == "auto" else resources.devices
    num_nodes = resources.instance_count
    if is_piped and devices > 1 and resources.devices == "auto" and not placement.shares_pipes:
        notice = (
            f"One process of a machine reads a pipe: 1 of {devices} GPUs trains. "
            "Input mode FastFile uses all of them."
        )
        devices = 1
    if launched is not None:
        devices, num_nodes = launched.per_host, launched.hosts
    if devices < 1 or (use_gpu and devices > available):
        expected = f"1 to {available}" if use_gpu else "a number of processes, 1 or more,"
        raise UserError(
            f"resources devices: expected {expected} on {resources.instance_type}; got {devices}."
        )
    if use_gpu and devices > hardware.num_gpus:
        raise PlatformError(
            f"instance type {resources.instance_type} has {wanted_gpus} GPUs, but {hardware.num_gpus} "
            "are visible; check the driver and the container runtime, or set instance_type: local."
        )
    if resources.precision == "16-mixed" and not use_gpu:
        raise UserError(
            "resources precision: expected auto, 32-true or bf16-mixed where no GPU trains; got 16-mixed, "
            "which torch emulates slowly on a CPU, and not at all for recurrent networks. Set auto."
        )
    precision = auto_precision if resources.precision == "auto" else resources.precision
    if precision == "bf16-mixed" and resources.precision == "auto" and not hardware.has_bf16:
        precision = "16-mixed" if use_gpu else "32-true"
    return Plan(
        accelerator="cuda" if use_gpu else "cpu",
        devices=devices,
        num_nodes=num_nodes,
        strategy="ddp" if devices * num_nodes > 1 else "auto",
        precision=precision,
        notice=notice,
    )


def plan_of(
    job: Job[Any], placement: Placement, auto_precision: LightningPrecision = "32-true"
) -> Plan:
    """Return the layout of a job on this machine; see `plan`."""
    return plan(
        placement,
        job.resources,
        hardware(),
        launched=Launched.of(),
        auto_precision=auto_precision,
        is_piped=any(source.input_mode == "Pipe" for source in job.channels.values()),
    )


def hardware() -> Hardware:
    """Return what this host has."""
    import torch  # noqa: PLC0415 - the plan itself needs no torch

    if torch.cuda.is_available():
        return Hardware(
            torch.cuda.device_count(), torch.cuda.is_bf16_supported(including_emulation=False)
        )
    return Hardware(0, has_bf16="bf16" in _cpu_flags())


def _cpu_flags() -> str:
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 - no path handling involved
            return next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return ""
