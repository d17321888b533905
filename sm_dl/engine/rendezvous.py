"""Where the processes of a job wait for each other: all of them begin to train, or none does.

torch's own `init_process_group` waits in C++, where no signal is heard, and nobody tells it that another
process will never come. So the processes meet at a *gate* first, a key of torch's store that is decided
once: the last one to arrive opens it, whoever must leave before that shuts it, and all obey.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

# torch.distributed has them, too, but does not export them for type checkers
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from sm_dl.engine.launched import STORE_VARIABLE
from sm_dl.engine.ranks import TIMEOUT_VARIABLE, timeout_s
from sm_dl.errors import LostProcessError, PlatformError, StoppedError
from sm_dl.job import stop

logger = logging.getLogger(__name__)

Connect = Callable[[str, int], TCPStore]
OPEN, STOPPED = "open", "stopped"
"""How a gate is decided; any other word says why it is shut."""
CONNECT_S = 2.0
LOOK_AGAIN_S = 0.1
HEARD_S = 0.5
"""Those who wait look again within this time."""
TELL_S = 10.0
"""So long a host that fails early tries to tell the others, who may start later."""
BEFORE_TRAINING = "SIGTERM came before all processes were there; nothing is written. Start the same command again."


class Gate:
    """Open or shut, the same for all processes of a job; whoever decides first decides for all."""

    def __init__(self, store: Store, attempt: str = "0") -> None:
        """Stand before the gate of one attempt: torchrun may start the processes again."""
        self._store = PrefixStore(f"sm_dl/{attempt}", store)

    def arrive(self, num_processes: int) -> None:
        """Count this process, and open the gate when it is the last one."""
        if self._store.add("arrived", 1) == num_processes:
            self.decide(OPEN)

    def num_arrived(self) -> int:
        """Return how many processes have come."""
        return int(self._store.add("arrived", 0))

    def decide(self, word: str) -> str:
        """Open or shut the gate, and return what holds: this word, or that of one who was faster."""
        return self._store.compare_set("decision", "", word).decode()

    def decision(self) -> str | None:
        """Return what holds; None while nobody has decided."""
        if not self._store.check(["decision"]):
            return None
        return self._store.get("decision").decode()


@contextmanager
def met(num_processes: int) -> Iterator[None]:
    """Wait for all processes of the job; in the block they can build their process group at once.

    SIGTERM ends the waiting within seconds, in all processes. One that comes after the last
    process has come is for the training loop, which looks at it after its first batch.

    Raises:
        StoppedError: SIGTERM came, here or elsewhere, before all processes were there.
        LostProcessError: Another process has ended, or did not come in time.
    """
    if num_processes == 1:
        yield
        return
    rank, waits_s = int(os.environ["RANK"]), timeout_s()
    place = f"process {rank} of {num_processes}"
    deadline = time.monotonic() + waits_s
    try:
        store = _store(rank, place, deadline)
        gate = Gate(store, os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
        gate.arrive(num_processes)
        decision = _decision(gate, deadline)
    except RuntimeError as error:
        raise LostProcessError(
            f"{place}: the one that keeps the list of processes has ended before training began; the log of the "
            "first host has the cause. Start the job again on all hosts."
        ) from error
    if decision == STOPPED:
        raise StoppedError(BEFORE_TRAINING)
    if decision != OPEN:
        raise LostProcessError(f"{place} waits for others in vain: {decision}.")
    yield


def _decision(gate: Gate, deadline: float) -> str:
    """Return how the gate is decided, by this process where it can wait no longer."""
    while (decision := gate.decision()) is None:
        if stop.num_requests():
            return gate.decide(STOPPED)
        if time.monotonic() > deadline:
            return gate.decide(
                f"after {timeout_s():g} s ({TIMEOUT_VARIABLE}) {gate.num_arrived()} had come; the logs of the "
                "others say where they are. Start the job again, with a longer time where they only read longer"
            )
        time.sleep(LOOK_AGAIN_S)
    return decision


def _store(rank: int, place: str, deadline: float) -> TCPStore:
    """Return the store that all processes share.

    Raises:
        StoppedError: SIGTERM came while nobody kept it yet.
        LostProcessError: Nobody does in time.
        PlatformError: This process is to keep it, and the port is taken.
    """
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if rank == 0 and os.environ.get(STORE_VARIABLE) != "True":
        # torch opens the same one a second time in this process
        return keep_store(host, port, is_shared=True)
    while not _answers(host, port):
        stop.check(BEFORE_TRAINING)
        if time.monotonic() > deadline:
            raise LostProcessError(
                f"{place}: expected an answer of {host} port {port} within {timeout_s():g} s "
                f"({TIMEOUT_VARIABLE}); got none. Its log says where it is; check the network of the job's hosts."
            )
        time.sleep(LOOK_AGAIN_S)
    return TCPStore(host, port, wait_for_workers=False)


def _answers(host: str, port: int) -> bool:
    """Return whether somebody listens: torch's own attempts could not be broken off."""
    try:
        with socket.create_connection((host, port), CONNECT_S):
            return True
    except OSError:
        return False


def keep_store(host: str, port: int, *, is_shared: bool = False) -> TCPStore:
    """Return the store at which processes that are yet to be started will meet; it goes with the object.

    Args:
        host: This host.
        port: 0 takes a free one.
        is_shared: Whether this process may open it again.
    Raises:
        PlatformError: The port is taken.
    """
    try:
        return TCPStore(host, port, is_master=True, wait_for_workers=False, multi_tenant=is_shared)
    except RuntimeError as error:
        raise PlatformError(
            f"port {port} of {host}: expected it to be free for the processes of the job to meet; "
            f"got: {str(error).splitlines()[0]} Set MASTER_PORT to another one on all hosts."
        ) from None


def shut(host: str, port: int, word: str, *, is_first: bool) -> None:
    """Tell processes that wait, on all hosts, that some will never come; too late it does nothing.

    Args:
        host: The first one, whose launcher keeps the store.
        port: Of the store.
        word: `STOPPED`, or who is missing and why.
        is_first: Whether this is that host; it keeps a store for a while where it has none yet.
    """
    deadline = time.monotonic() + TELL_S
    while not (is_there := _answers(host, port)) and not is_first:
        if time.monotonic() > deadline:
            return
        time.sleep(LOOK_AGAIN_S)
    try:
        connect: Connect = partial(TCPStore, wait_for_workers=False) if is_there else keep_store
        store = connect(host, port)
        Gate(store).decide(word)
    except (RuntimeError, PlatformError) as error:
        logger.info("the other hosts were not told (%s)", str(error).splitlines()[0])
    else:
        if is_first:  # the store goes with this process
            time.sleep(HEARD_S if is_there else TELL_S)
