"""Two hosts on this machine that train one model, as the platform starts them."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.small_job import small_job

END_S = 240


class Host(NamedTuple):
    """Where a host is, and how to run there."""

    address: str
    interface: str
    inside: list[str]
    """What a command begins with that is to run on it."""


class Ended(NamedTuple):
    """A job's end on one of the hosts."""

    root: Path
    """What is `/opt/ml` on the platform."""
    code: int
    log: str


@contextmanager
def network() -> Iterator[list[Host]]:
    """Yield two hosts.

    They are network namespaces where the machine lets us make some, else two loopback addresses.
    """
    names = [f"sm-dl-{os.getpid()}-{index}" for index in range(2)]
    links = [f"sm{os.getpid() % 100_000}-{index}" for index in range(2)]
    addresses = ["10.77.0.1", "10.77.0.2"]
    steps = [["ip", "netns", "add", name] for name in names]
    steps.append(["ip", "link", "add", links[0], "type", "veth", "peer", "name", links[1]])
    for name, link, address in zip(names, links, addresses, strict=True):
        inside = ["ip", "netns", "exec", name, "ip"]
        steps.append(["ip", "link", "set", link, "netns", name])
        steps.append([*inside, "address", "add", f"{address}/24", "dev", link])
        steps += [[*inside, "link", "set", device, "up"] for device in ("lo", link)]
    try:
        for step in steps:
            subprocess.run(step, check=True, capture_output=True)
        hosts = [
            Host(address, link, ["ip", "netns", "exec", name])
            for name, link, address in zip(names, links, addresses, strict=True)
        ]
    except (OSError, subprocess.CalledProcessError):  # no such tool, or no permission
        hosts = [Host("127.0.0.1", "lo", []), Host("127.0.0.2", "lo", [])]
    try:
        yield hosts
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def on_two_hosts(
    folder: Path, algorithm: str, change: Callable[[Path, int], None]
) -> tuple[Ended, Ended]:
    """Train an algorithm's small job on two hosts, by two `resourceconfig.json`.

    Args:
        folder: Gets a tree for each host, by its address.
        algorithm: Its name.
        change: Called with the tree of each host and its number, 0 and 1, before they start.
    """
    processes, roots = [], []
    with network() as hosts, socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        probe.close()
        for number, host in enumerate(hosts):
            root = folder / host.address
            small_job(algorithm).write_opt_ml(root)
            configure(
                root,
                "resourceconfig",
                current_host=host.address,
                hosts=[each.address for each in hosts],
                network_interface_name=host.interface,
            )
            change(root, number)
            roots.append(root)
        for host, root in zip(hosts, roots, strict=True):
            own = {"SAGEMAKER_BASE_DIR": str(root), "SM_DL_ALGORITHM": algorithm}
            usual = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "MASTER_PORT": str(port)}
            processes.append(
                subprocess.Popen(
                    [*host.inside, sys.executable, "-m", "sm_dl", "train"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    env={**os.environ, **usual, **own},
                )
            )
        logs = [process.communicate(timeout=END_S)[0] for process in processes]
    first, second = (
        Ended(root, process.returncode, log)
        for root, process, log in zip(roots, processes, logs, strict=True)
    )
    return first, second


def configure(root: Path, name: str, **changes: Any) -> None:
    """Change values of one of a host's configuration files."""
    path = root / "input" / "config" / f"{name}.json"
    values = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**values, **changes}))


def shard(root: Path, *channels: str) -> None:
    """Let channels have `ShardedByS3Key`: each host holds files of its own."""
    path = root / "input" / "config" / "inputdataconfig.json"
    values = json.loads(path.read_text())
    for channel in channels:
        values[channel]["S3DistributionType"] = "ShardedByS3Key"
    path.write_text(json.dumps(values))
