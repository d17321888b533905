"""What the processes of a job tell each other besides gradients: sums, stops, checkpoints.

Small talk goes over a CPU group of its own (gloo): no GPU waits for it, and a process that is
lost or stuck is noticed there within a stated time.
"""

import faulthandler
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from lightning.fabric import Fabric
from torch import Tensor

from sm_dl.engine import machine
from sm_dl.errors import LostProcessError

TIMEOUT_VARIABLE = "SM_DL_COLLECTIVE_TIMEOUT_S"
DEFAULT_TIMEOUT_S = 600
LOST = re.compile(
    r"closed by peer|reset by peer|broken pipe|timed? ?out|connection refused|nccl error"
    r"|remote process exited|ProcessGroup.*abort",
    re.IGNORECASE,
)
"""How torch's back ends say that another process is gone; they have no exception type for it."""


def timeout_s() -> float:
    """Return after how many seconds without an answer another process counts as lost.

    Raises:
        UserError: The variable holds no such number.
    """
    return machine.seconds(TIMEOUT_VARIABLE, DEFAULT_TIMEOUT_S, least=1)


class Ranks:
    """The processes of one job, seen from one of them."""

    def __init__(self, fabric: Fabric) -> None:
        """Open the group for small talk; every process must come here."""
        self._fabric = fabric
        self._timeout_s = timeout_s()
        self._group: Any = None
        self._pending: tuple[Any, Tensor] | None = None
        if self.world_size > 1:
            self._group = dist.new_group(backend="gloo", timeout=timedelta(seconds=self._timeout_s))

    @property
    def world_size(self) -> int:
        """Return how many processes the job has."""
        return self._fabric.world_size

    @property
    def is_main(self) -> bool:
        """Return whether this one writes checkpoints and the artifact."""
        return self._fabric.is_global_zero

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, on the training device."""
        if self.world_size == 1:
            return values
        total: Any = self._fabric.all_reduce(values, reduce_op="sum")
        return cast("Tensor", total)

    def agree_to_stop(self, *, is_asked: bool) -> bool:
        """Return whether any process was asked to stop, the same answer in each at the same batch.

        Several processes hear of it one batch later: the question is asked at one boundary and
        the answer read at the next, so that nobody waits.
        """
        if self._group is None:
            return is_asked
        is_agreed = False
        if self._pending is not None:
            work, answer = self._pending
            work.wait()
            is_agreed = bool(answer.item())
        question = torch.tensor([int(is_asked)])
        self._pending = (
            dist.all_reduce(question, op=dist.ReduceOp.MAX, group=self._group, async_op=True),
            question,
        )
        return is_agreed

    def broadcast(self, content: bytes | None) -> bytes | None:
        """Return what the main process has; the others' argument is not looked at."""
        if self._group is None:
            return content
        size = torch.tensor([-1 if content is None else len(content)])
        dist.broadcast(size, src=0, group=self._group)
        if size.item() < 0:
            return None
        sent = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else None
        buffer = (
            sent if self.is_main and sent is not None else torch.empty(int(size), dtype=torch.uint8)
        )
        dist.broadcast(buffer, src=0, group=self._group)
        return buffer.numpy().tobytes()

    def rearm(self) -> None:
        """Tell the watchdog that this process is alive; it shows every thread of one that is not."""
        if self._group is not None:
            faulthandler.dump_traceback_later(self._timeout_s)

    def _take_leave(self) -> None:
        """Hear the last answer, so that no process goes while another one still asks."""
        if self._pending is not None:
            self._pending[0].wait()
            self._pending = None
        if self._group is not None:
            dist.barrier(group=self._group)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turn the loss of another process into one sentence, and stop the watchdog at the end.

        Raises:
            LostProcessError: Another process died or did not answer in time.
        """
        self.rearm()
        try:
            yield
            self._take_leave()
        except RuntimeError as error:
            if self._group is None or not LOST.search(str(error)):
                raise
            raise LostProcessError(
                f"process {self._fabric.global_rank} of {self.world_size} lost another one, which died or did "
                f"not answer within {self._timeout_s:g} s ({TIMEOUT_VARIABLE}); that one's log has the cause. "
                "Start the job again to go on from the last checkpoint."
            ) from error
        finally:
            faulthandler.cancel_dump_traceback_later()
