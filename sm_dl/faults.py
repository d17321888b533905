"""Faults on demand, for tests: a process kills, fills or poisons itself at a named point.

`SM_DL_FAULTS=save:2:kill` kills the process when it reaches the point `save` for the second time;
several are separated by commas. `step@1:3:stall` means the process of rank 1 alone. Without the
variable a point costs one look at an empty list.
"""

import errno
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLE = "SM_DL_FAULTS"
ANY_TIME = "*"


@dataclass
class Fault:
    """What happens, where, and at which visit."""

    point: str
    visit: str
    """Counted from 1; `*` is every visit."""
    action: str
    visits: int = 0

    def is_due(self, point: str) -> bool:
        """Return whether this visit of a point is the one; counts it."""
        if self.point not in (point, f"{point}@{os.environ.get('RANK', '0')}"):
            return False
        self.visits += 1
        return self.visit in (ANY_TIME, str(self.visits))


def planned(environment: Mapping[str, str] = os.environ) -> list[Fault]:
    """Return the faults an environment asks for.

    Raises:
        ValueError: One is not written as point:visit:action.
    """
    faults = []
    for text in environment.get(VARIABLE, "").split(","):
        if text.strip():
            point, visit, action = text.strip().rsplit(":", 2)
            faults.append(Fault(point, visit, action))
    return faults


_FAULTS = planned()


def reach(point: str) -> bool:
    """Do what is planned for this visit of a point; return whether it is to be poisoned."""
    is_poisoned = False
    for fault in _FAULTS:
        if not fault.is_due(point):
            continue
        match fault.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGTERM)
            case "stall":
                time.sleep(3600)
            case "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), point)
            case "poison":
                is_poisoned = True
            case _:
                raise ValueError(f"{VARIABLE}: unknown action {fault.action!r}")
    return is_poisoned
