"""The processes of a job that something else has started: torchrun, a scheduler, our own launcher.

Each of them finds in its environment who it is. torchrun sets all of these variables; of those that
others leave out (contract, section 1.3, names two), the rest follows.
"""

import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from sm_dl.errors import UserError, shown

LAUNCHED_VARIABLE = "TORCHELASTIC_RUN_ID"
"""Set in processes that torchrun, or our own launcher in its stead, has started."""
STORE_VARIABLE = "TORCHELASTIC_USE_AGENT_STORE"
"""`True` in processes whose starter keeps the store they meet at; else the first of them does."""
SIGNS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", LAUNCHED_VARIABLE)
"""Where one of them is set, a process is one of several; Lightning asks for the last one."""
MASTER_PORT = 29500
"""On several hosts all must know it, and `MASTER_PORT` may name another; on one a free one is taken."""
MAX_PORT = 65_535
MAX_PROCESSES = 1_000_000
REMEDY = (
    "Start the job's processes by torchrun, or set RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, "
    "MASTER_ADDR and MASTER_PORT in each of them, or none of these."
)


@dataclass(frozen=True)
class Launched:
    """The layout of processes that run already."""

    per_host: int
    hosts: int

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "Launched | None":
        """Return the layout that the variables tell, or None where they tell of none.

        Raises:
            UserError: Some are missing, no numbers, or do not fit together.
        """
        if not any(environment.get(name) for name in SIGNS):
            return None
        world_size = _number("WORLD_SIZE", environment, least=1)
        rank = _number("RANK", environment, most=world_size - 1)
        per_host = local_rank = None
        if environment.get("LOCAL_RANK") or environment.get("LOCAL_WORLD_SIZE"):
            per_host = _number("LOCAL_WORLD_SIZE", environment, least=1, most=world_size)
            local_rank = _number("LOCAL_RANK", environment, most=per_host - 1)
        per_host = per_host or 1
        if world_size % per_host or rank % per_host != (local_rank or 0):
            raise UserError(
                f"environment variable LOCAL_RANK: expected as many processes on each host, numbered host by "
                f"host; got {local_rank} of {per_host} on this host, for rank {rank} of {world_size}. {REMEDY}"
            )
        if world_size > 1:
            if not environment.get("MASTER_ADDR"):
                raise UserError(
                    f"environment variable MASTER_ADDR: expected the host of rank 0, where the {world_size} "
                    f"processes of the job meet; got none. {REMEDY}"
                )
            meeting_port(environment)
        return cls(per_host, world_size // per_host)


def is_launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether something else has started this process; after `believe` that is known."""
    return LAUNCHED_VARIABLE in environment


def believe(environment: MutableMapping[str, str] = os.environ) -> None:
    """Complete the variables of a process that was started as one of several, as torchrun sets them.

    Lightning believes `RANK` only where torchrun's own variable stands beside it.

    Raises:
        UserError: See `Launched.of`.
    """
    layout = Launched.of(environment)
    if layout is None:
        return
    completed = {
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": str(layout.per_host),
        "GROUP_RANK": str(int(environment["RANK"]) // layout.per_host),
        "MASTER_PORT": str(MASTER_PORT),
        LAUNCHED_VARIABLE: "sm_dl",
    }
    for name, value in completed.items():
        if not environment.get(name):
            environment[name] = value


def meeting_port(environment: Mapping[str, str] = os.environ) -> int:
    """Return the port at which the processes of several hosts meet.

    Raises:
        UserError: `MASTER_PORT` is no port.
    """
    if not environment.get("MASTER_PORT"):
        return MASTER_PORT
    return _number("MASTER_PORT", environment, least=1, most=MAX_PORT)


def _number(
    name: str, environment: Mapping[str, str], *, least: int = 0, most: int = MAX_PROCESSES
) -> int:
    text = environment.get(name, "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text) and least <= int(text) <= most:
        return int(text)
    raise UserError(
        f"environment variable {name}: expected an integer from {least} to {most}; "
        f"got {shown(text) if text else 'none'}. {REMEDY}"
    )
