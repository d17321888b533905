"""One server process: its port, its signals, its end (contract, section 5)."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from sm_dl.errors import AlgorithmError, UserError, shown
from sm_dl.serving.app import build_app
from sm_dl.serving.framing import StrictProtocol
from sm_dl.serving.metrics import Metrics
from sm_dl.serving.models import THE_MODEL, Load, Models
from sm_dl.serving.settings import Settings, whole_number

logger = logging.getLogger(__name__)

HOST = "0.0.0.0"  # noqa: S104 - a container is reached from outside, the contract says so
PORT = 8080
LARGEST_PORT = 65535
PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"
RANGE_VARIABLE = "SAGEMAKER_SAFE_PORT_RANGE"
BACKLOG = 2048
STOP_S = 2
SIGNALLED = 128
"""An exit code above it names the signal that ended a process, as shells do."""


def port_to_bind(port: int | None, environment: Mapping[str, str] = os.environ) -> int:
    """Return the given port, else the platform's, else 8080; 0 lets the system choose.

    Raises:
        UserError: It is no port, or outside the range the platform calls safe.
    """
    platform_port = environment.get(PORT_VARIABLE, "").strip()
    if port is None and not platform_port:
        return PORT
    place = f"environment variable {PORT_VARIABLE}" if port is None else "--port"
    chosen = _port(platform_port if port is None else str(port), place)
    safe = environment.get(RANGE_VARIABLE, "").strip()
    if safe:
        range_place = f"environment variable {RANGE_VARIABLE}={safe}, one end of low-high"
        low, high = (_port(end, range_place) for end in safe.partition("-")[::2])
        if not low <= chosen <= high:
            raise UserError(
                f"{place}: expected a port inside {RANGE_VARIABLE}={safe}; got {chosen}. "
                "Choose one of these."
            )
    return chosen


def _port(text: str, place: str) -> int:
    port = whole_number(text.strip())
    if port is None or port > LARGEST_PORT:
        raise UserError(
            f"{place}: expected an integer from 0 to {LARGEST_PORT}; got {shown(text)}. "
            "Set it so, or leave it out."
        )
    return port


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket: a port that is taken is told before the model is loaded.

    Raises:
        UserError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # the rest repeats the address
        raise UserError(
            f"{host}:{port}: cannot listen here ({reason}). "
            "Stop the program that holds the address, or choose another with --port or --host."
        ) from None
    # inherited by connections: else an answer's body waits 40 ms for the client to confirm its head
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def exit_on_sigterm() -> None:
    """Make SIGTERM end this process with exit code 0, also before the server runs.

    Without a handler the first process of a container ignores it.
    """
    signal.signal(signal.SIGTERM, _exit)


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def serve(load: Load, folder: Path, listening: socket.socket, settings: Settings) -> None:
    """Answer requests until SIGTERM or Ctrl-C, let those in flight finish, close the socket.

    The port answers from the start: `/ping` is 503 until the model is there.

    Args:
        load: Returns the predictor of a model directory.
        folder: Of the model; the one that holds all models when the settings want many.
        listening: Where. It is closed at the end.
        settings: Limits of the server.
    Raises:
        UserError: The folder holds no model that can be served.
        AlgorithmError: The model got stuck again and again.
    """
    counters = Metrics(
        on_model_lost=lambda: server.end(
            AlgorithmError(
                "the model got stuck in predict too often; the log names the requests. "
                "Start the server anew."
            )
        )
    )
    models = Models(load, settings, counters, root=folder)
    server = _Server(_config(build_app(models, settings, counters), settings))
    loading = threading.Thread(
        target=_begin, args=(server, models, folder, settings, _address(listening)), daemon=True
    )
    loading.start()
    with suppress(SystemExit, KeyboardInterrupt):  # uvicorn repeats the signal once it has stopped
        server.run(sockets=[listening])
    has_ended = not loading.is_alive() and models.close(STOP_S)
    if not has_ended:
        _leave(server.failure)
    if server.failure is not None:
        raise server.failure
    logger.info("stopped")


class _Server(uvicorn.Server):
    """uvicorn with ends of our own: for a reason, and at once when it is told so twice."""

    failure: Exception | None = None

    def end(self, failure: Exception) -> None:
        """Stop as at a signal, for a reason; any thread may call it."""
        self.failure = failure
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at the first signal; at the second one leave what is in flight."""
        if self.should_exit:
            logging.shutdown()
            os._exit(SIGNALLED + sig)
        super().handle_exit(sig, frame)


def _begin(server: _Server, models: Models, folder: Path, settings: Settings, address: str) -> None:
    """Load the model beside the event loop; a failure ends the server."""
    try:
        if not settings.is_multi_model:
            models.add(THE_MODEL, folder)
    except BaseException as error:  # noqa: BLE001 - it is raised again in the main thread
        server.end(error if isinstance(error, Exception) else RuntimeError(repr(error)))
    else:
        logger.info("serving on http://%s", address)


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _leave(failure: Exception | None) -> None:
    """End the process under a thread that is in native code: an ordinary exit can abort there."""
    if failure is None:
        logger.warning("stopping although the model has not returned")
    else:
        logger.error("%s: %s", getattr(failure, "log_label", "Error"), failure)
    logging.shutdown()
    os._exit(getattr(failure, "exit_code", 1) if failure else 0)


def _config(app: Starlette, settings: Settings) -> uvicorn.Config:
    for handler in logging.getLogger("sm_dl").handlers:  # its few lines look like ours
        logging.getLogger("uvicorn").addHandler(handler)
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=partial(StrictProtocol, settings),  # type: ignore[arg-type]  # called, never subclassed
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=int(settings.idle_s),
        timeout_graceful_shutdown=settings.drain_s,
    )
