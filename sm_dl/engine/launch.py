"""Start a job's processes on this host, when nobody else did, and end with all of them.

The processes get torchrun's variables, so that each behaves as if torchrun had started it. Why not
its own launcher (torch.distributed.elastic): it passes on one SIGTERM and kills 30 s later, and its
exit code does not say whether user, algorithm or platform must act.
"""

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sm_dl.engine import machine
from sm_dl.engine.launched import LAUNCHED_VARIABLE, STORE_VARIABLE, is_launched, meeting_port
from sm_dl.engine.strategy import Plan
from sm_dl.errors import KilledProcessError, PlatformError, StoppedError, UserError
from sm_dl.job import stop
from sm_dl.job.job import Hosts

logger = logging.getLogger(__name__)

LAUNCHER_VARIABLE = "SM_DL_LAUNCHER_PID"
LOOPBACK = "lo"
INTERFACE_VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
RESOLVE_S = 300
"""Names of the platform's hosts may appear late."""
GRACE_S = 10
"""After the first failure the others may take so long to end."""
POLL_S = 0.05
PR_SET_PDEATHSIG = 1


@dataclass
class _Process:
    rank: int
    handle: subprocess.Popen[bytes]


def launch(plan: Plan, hosts: Hosts, arguments: Sequence[str]) -> None:
    """Run `train` with the same arguments in every process of this host, until all have ended.

    Raises:
        UserError: The job wants more hosts than are named.
        PlatformError: The first host has no address, or the port to meet at is taken.
        StoppedError: SIGTERM came, and all processes have stopped.
        KilledProcessError: A process was killed.
        SystemExit: A process failed, with its exit code; it has written the cause.
    """
    if plan.num_nodes > len(hosts.names):
        raise UserError(
            f"resources instance_count: expected {len(hosts.names)}, the hosts this machine knows of; got "
            f"{plan.num_nodes}. Start one torchrun on each host, or name the hosts in resourceconfig.json."
        )
    from sm_dl.engine import rendezvous  # noqa: PLC0415 - needs torch, which jobs of one process load later

    address, port = "127.0.0.1", 0
    if plan.num_nodes > 1:
        address, port = hosts.first, meeting_port()
        _wait_for_name(address)
    is_first = plan.num_nodes == 1 or hosts.rank == 0
    # it goes with this call, when all processes have ended
    store = rendezvous.keep_store(address, port) if is_first else None
    port = port if store is None else store.port
    first = hosts.rank * plan.devices
    shared = _environment(plan, hosts, address, port)
    processes = []
    with stop.deferred():
        try:
            for local_rank in range(plan.devices):
                rank = first + local_rank
                own = {"RANK": str(rank), "LOCAL_RANK": str(local_rank)}
                command = [sys.executable, "-m", "sm_dl", "train", *arguments]
                # a session of its own: a signal to our group must not reach it twice
                handle = subprocess.Popen(  # noqa: S603 - ourselves
                    command, env={**os.environ, **shared, **own}, start_new_session=True
                )
                processes.append(_Process(rank, handle))
            failed = _wait(processes)
        finally:
            _end(processes, signal.SIGKILL, 0)
    if failed is not None:
        raise _cause(failed)
    if any(process.handle.returncode == StoppedError.exit_code for process in processes):
        raise StoppedError("SIGTERM came; every process has stopped.")
    stop.check("SIGTERM came; every process has stopped.")


@contextmanager
def missed_by_others(hosts: Hosts) -> Iterator[None]:
    """Tell the other hosts when this one ends before all have begun to train: they wait for it.

    Raises:
        UserError: `MASTER_PORT` says where, and is no port.
    """
    is_alone = len(hosts.names) == 1 or is_launched()
    port = 0 if is_alone else meeting_port()
    try:
        yield
    except BaseException as error:
        if not is_alone:
            from sm_dl.engine import rendezvous  # noqa: PLC0415 - needs torch

            has_stopped = isinstance(error, (StoppedError, stop.StopNow))
            failed = f"host {hosts.current} has failed; its log has the cause"
            with stop.deferred():
                rendezvous.shut(
                    hosts.first,
                    port,
                    rendezvous.STOPPED if has_stopped else failed,
                    is_first=hosts.rank == 0,
                )
        raise


def owns_output() -> bool:
    """Return whether this process answers for the output folder: the first of the job on its host."""
    return LAUNCHER_VARIABLE not in os.environ and machine.rank() == 0


def end_with_launcher() -> None:
    """Tie this process to the one that started it: killed with it, not left behind."""
    parent = os.environ.get(LAUNCHER_VARIABLE)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def leave(code: int) -> int:
    """Return an exit code, or end at once with it where this process is one of several.

    At an ordinary exit the threads of a process group whose other end is gone can abort.
    """
    if is_launched():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _environment(plan: Plan, hosts: Hosts, address: str, port: int) -> Mapping[str, str]:
    """Return what all processes of this host get to know; they meet at an address and a port."""
    is_one_host = plan.num_nodes == 1
    threads = max(1, machine.num_cpus() // plan.devices)
    shared = {
        "WORLD_SIZE": str(plan.num_processes),
        "LOCAL_WORLD_SIZE": str(plan.devices),
        "GROUP_RANK": str(hosts.rank),
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
        STORE_VARIABLE: "True",
        LAUNCHED_VARIABLE: "sm_dl",
        LAUNCHER_VARIABLE: str(os.getpid()),
    }
    if machine.has_chosen_threads():
        shared[machine.THREADS_VARIABLE] = str(threads)
    # on one host no name needs to be resolved and no network to be there
    interface = LOOPBACK if is_one_host else hosts.network_interface
    for variable in INTERFACE_VARIABLES:
        if interface and variable not in os.environ:
            shared[variable] = interface
    return shared


def _wait_for_name(host: str) -> None:
    """Return once a host's name has an address.

    Raises:
        PlatformError: It has none for minutes.
    """
    deadline = time.monotonic() + RESOLVE_S
    while True:
        try:
            socket.getaddrinfo(host, None)
        except OSError as error:
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"resourceconfig.json: host {host} has no address after {RESOLVE_S} s ({error.strerror}); "
                    "check the network of the job's hosts."
                ) from None
            time.sleep(1)
        else:
            return


def _wait(processes: Sequence[_Process]) -> _Process | None:
    """Return the process that failed first, None when all ended well; pass SIGTERM on."""
    num_passed_on = 0
    while any(process.handle.poll() is None for process in processes):
        time.sleep(POLL_S)
        while num_passed_on < stop.num_requests():
            num_passed_on += 1
            _signal(processes, signal.SIGTERM)
        if failed := _first_failed(processes):
            logger.warning("process %d failed; ending the others", failed.rank)
            _end(processes, signal.SIGTERM, GRACE_S)
            return failed
    return _first_failed(processes)


def _first_failed(processes: Sequence[_Process]) -> _Process | None:
    """Return a failed process; of several that ended together the killed one, who is the cause."""
    good = {None, 0, StoppedError.exit_code}
    failed = [process for process in processes if process.handle.poll() not in good]
    return min(failed, key=lambda process: process.handle.returncode, default=None)


def _end(processes: Sequence[_Process], number: signal.Signals, grace_s: float) -> None:
    _signal(processes, number)
    deadline = time.monotonic() + grace_s
    for process in processes:
        try:
            process.handle.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.handle.kill()
            process.handle.wait()


def _signal(processes: Sequence[_Process], number: signal.Signals) -> None:
    for process in processes:
        if process.handle.poll() is None:
            process.handle.send_signal(number)


def _cause(failed: _Process) -> KilledProcessError | SystemExit:
    code = failed.handle.returncode
    if code < 0:
        name = signal.Signals(-code).name
        return KilledProcessError(
            f"process {failed.rank} was killed by {name}; where nobody sent it, the host ran out of memory: "
            "lower mini_batch_size or take a larger machine. Start the job again to go on from the last checkpoint."
        )
    return SystemExit(code)
