"""Placement: on which machines the service lets an algorithm train."""

from dataclasses import dataclass
from typing import Literal

from sm_dl.errors import UserError, near_miss


@dataclass(frozen=True)
class Instance:
    """What an instance type offers (contract, section 8)."""

    gpus: int
    gpu_model: str | None
    vcpus: int
    ram_gib: float


def _cpu(family: str, sizes: dict[str, tuple[int, float]]) -> dict[str, Instance]:
    return {
        f"ml.{family}.{size}": Instance(0, None, vcpus, ram) for size, (vcpus, ram) in sizes.items()
    }


def _gpu(family: str, model: str, sizes: dict[str, tuple[int, int, float]]) -> dict[str, Instance]:
    return {
        f"ml.{family}.{size}": Instance(gpus, model, vcpus, ram)
        for size, (gpus, vcpus, ram) in sizes.items()
    }


INSTANCES: dict[str, Instance] = {
    **_gpu("p2", "K80", {"xlarge": (1, 4, 61), "8xlarge": (8, 32, 488), "16xlarge": (16, 64, 732)}),
    **_gpu(
        "p3", "V100", {"2xlarge": (1, 8, 61), "8xlarge": (4, 32, 244), "16xlarge": (8, 64, 488)}
    ),
    **_gpu("p3dn", "V100", {"24xlarge": (8, 96, 768)}),
    **_gpu(
        "g4dn",
        "T4",
        {
            "xlarge": (1, 4, 16),
            "2xlarge": (1, 8, 32),
            "4xlarge": (1, 16, 64),
            "8xlarge": (1, 32, 128),
            "12xlarge": (4, 48, 192),
            "16xlarge": (1, 64, 256),
        },
    ),
    **_gpu(
        "g5",
        "A10G",
        {
            "xlarge": (1, 4, 16),
            "2xlarge": (1, 8, 32),
            "4xlarge": (1, 16, 64),
            "8xlarge": (1, 32, 128),
            "12xlarge": (4, 48, 192),
            "16xlarge": (1, 64, 256),
            "24xlarge": (4, 96, 384),
            "48xlarge": (8, 192, 768),
        },
    ),
    **_gpu("p4d", "A100", {"24xlarge": (8, 96, 1152)}),
    **_cpu(
        "c4", {"xlarge": (4, 7.5), "2xlarge": (8, 15), "4xlarge": (16, 30), "8xlarge": (36, 60)}
    ),
    **_cpu(
        "c5",
        {
            "xlarge": (4, 8),
            "2xlarge": (8, 16),
            "4xlarge": (16, 32),
            "9xlarge": (36, 72),
            "18xlarge": (72, 144),
        },
    ),
    **_cpu(
        "m4",
        {
            "xlarge": (4, 16),
            "2xlarge": (8, 32),
            "4xlarge": (16, 64),
            "10xlarge": (40, 160),
            "16xlarge": (64, 256),
        },
    ),
    **_cpu(
        "m5",
        {
            "large": (2, 8),
            "xlarge": (4, 16),
            "2xlarge": (8, 32),
            "4xlarge": (16, 64),
            "12xlarge": (48, 192),
            "24xlarge": (96, 384),
        },
    ),
}
"""The service's documented training instances."""


@dataclass(frozen=True)
class Placement:
    """Where an algorithm may train."""

    cpu: bool
    gpu: bool
    hosts: Literal["one", "many"]
    gpu_families: tuple[str, ...] = ("p2", "p3", "p3dn", "g4dn", "g5")
    inference: str = "CPU"
    note: str = ""
    shares_pipes: bool = True
    """Whether several processes of a host can train from a pipe, which one alone can read."""

    def check(self, instance_type: str, instance_count: int) -> Instance | None:
        """Return what the instance type offers, or None for `local` and types we do not know.

        Raises:
            UserError: The service would not train this algorithm there.
        """
        if instance_count > 1 and self.hosts == "one":
            raise UserError(
                f"resources instance_count: expected 1, this algorithm trains on one host; got {instance_count}."
            )
        if instance_type == "local":
            return None
        if not instance_type.startswith("ml."):
            hint = near_miss(instance_type, ["local", *INSTANCES])
            raise UserError(
                f"resources instance_type: expected local or a type such as ml.m5.xlarge; got {instance_type!r}.{hint}"
            )
        instance = INSTANCES.get(instance_type)
        if instance is None:
            return None  # newer than our table: what the machine has decides
        family = instance_type.split(".")[1]
        if instance.gpus and not (self.gpu and family in self.gpu_families):
            raise UserError(
                f"resources instance_type: expected {self._accepted()}; got {instance_type!r}. "
                "Use local to train on any machine."
            )
        if not instance.gpus and not self.cpu:
            raise UserError(
                f"resources instance_type: expected {self._accepted()}; got {instance_type!r}. "
                "Use local to train on any machine."
            )
        return instance

    def _accepted(self) -> str:
        """Return the machines the service offers, in words."""
        families = ", ".join(self.gpu_families)
        if not self.gpu:
            return "a CPU instance"
        return (
            f"CPU or one of the GPU families {families}"
            if self.cpu
            else f"a GPU instance of {families}"
        )
