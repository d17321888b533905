"""A container as the platform sees it: a folder at /opt/ml, `train` or `serve`, signals, a port.

Two kinds: an image under Docker, or a plain command that takes its root from SAGEMAKER_BASE_DIR.
"""

import os
import shlex
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

OPT_ML = "/opt/ml"
STOP_S = 120
"""From SIGTERM to SIGKILL while training; 30 while serving."""
START_S = 240
"""A server must answer /ping within four minutes."""


@dataclass(frozen=True)
class Confinement:
    """What a container is denied. Without Docker a mount and a network namespace stand in."""

    reads_only_input: bool = False
    has_nothing: bool = False
    """No root user, home, network or writable place but its tree and 16 MB for temporary files."""

    @classmethod
    def everything(cls) -> "Confinement":
        return cls(has_nothing=True)

    def words(self, root: Path) -> list[str]:
        """Return the command before which a command is confined to a tree."""
        if self.has_nothing:
            # dac_read_search: a test's interpreter may lie in somebody's home; writes stay refused
            user = "setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs"
            user += " --inh-caps=-all,+dac_read_search --ambient-caps=+dac_read_search"
            script = (
                'chown -R 65534:65534 "$0" && mount --bind "$0" /mnt && ip link set lo up'
                # not over /tmp: the interpreter of the tests may lie there
                " && mount -t tmpfs -o size=16m,mode=1777 tmpfs /media && mount -o remount,bind,ro /"
                " && export SAGEMAKER_BASE_DIR=/mnt TMPDIR=/media && unset HOME"
                f' && exec {user} "$@"'
            )
            return ["unshare", "--mount", "--net", "sh", "-c", script, str(root)]
        if self.reads_only_input:
            script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
            return ["unshare", "--mount", "sh", "-c", script, str(root / "input")]
        return []

    def docker(self, root: Path) -> list[str]:
        """Return what says the same to Docker."""
        if self.has_nothing:
            given = ["--read-only", "--tmpfs", "/tmp:size=16m", "--user", "65534:65534"]  # noqa: S108 - the container's own
            return [*given, "--network", "none", "--cpus", "2"]
        if self.reads_only_input:
            return ["--volume", f"{root}/input:{OPT_ML}/input:ro"]
        return []


FREE = Confinement()


class Running:
    """One container at work; what it prints is in `log`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, docker_name: str = "") -> None:
        self.process = process
        self._log = log
        self._docker_name = docker_name

    @property
    def log(self) -> str:
        return self._log.read_text()

    def signal(self, number: signal.Signals) -> None:
        if self._docker_name:
            subprocess.run(
                ["docker", "kill", "--signal", number.name, self._docker_name], check=True
            )
        elif number == signal.SIGKILL:  # a container dies whole
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def wait(self, timeout_s: float = 240) -> int:
        return self.process.wait(timeout=timeout_s)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, f"the container ended too early:\n{self.log}"
            assert time.monotonic() < deadline, f"nothing happened in time:\n{self.log}"
            time.sleep(0.02)

    def end(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.process.wait()


@dataclass(frozen=True)
class Container:
    """What is tested: an image if there is one, else a command."""

    command: str
    image: str | None
    algorithm: str

    @contextmanager
    def start(
        self, root: Path, *arguments: str, confinement: Confinement = FREE, **environment: str
    ) -> Iterator[Running]:
        """Start a container on a tree, and end it with the block."""
        log = root.with_name(f"{root.name}-{uuid.uuid4().hex}.log")
        variables = {"SM_DL_ALGORITHM": self.algorithm, **environment}
        name = f"conformance-{uuid.uuid4().hex[:12]}" if self.image else ""
        if self.image:
            words = self._docker(name, root, confinement, variables)
        else:
            words = [*confinement.words(root), *shlex.split(self.command)]
            variables = {**os.environ, **variables, "SAGEMAKER_BASE_DIR": str(root)}
            # one thread and no GPU: runs that are compared must compute in the same order
            variables |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [*words, *arguments],
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=None if self.image else variables,
                start_new_session=True,
            )
        running = Running(process, log, name)
        try:
            yield running
        finally:
            running.end()

    def train(
        self, root: Path, *, confinement: Confinement = FREE, **environment: str
    ) -> tuple[int, str]:
        """Train to the end and return exit code and log."""
        with self.start(root, "train", confinement=confinement, **environment) as running:
            return running.wait(), running.log

    @contextmanager
    def serving(self, root: Path, **environment: str) -> Iterator[httpx.Client]:
        """Serve until the block ends, which must be in time and with exit code 0."""
        port = free_port()
        environment |= {"SAGEMAKER_BIND_TO_PORT": str(port)}
        with (
            self.start(root, "serve", **environment) as running,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
        ):
            running.wait_until(lambda: answers_ping(client), START_S)
            yield client
            client.close()
            running.signal(signal.SIGTERM)
            assert running.wait(30) == 0, running.log

    def _docker(
        self, name: str, root: Path, confinement: Confinement, variables: dict[str, str]
    ) -> list[str]:
        assert self.image is not None
        words = ["docker", "run", "--rm", "--name", name, "--volume", f"{root}:{OPT_ML}"]
        words += confinement.docker(root) or ["--network", "host"]
        for variable, value in variables.items():
            words += ["--env", f"{variable}={value}"]
        return [*words, self.image]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers_ping(client: httpx.Client) -> bool:
    try:
        return client.get("/ping", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
