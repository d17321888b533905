"""One server process: its port, its signals, its end (contract, section 5)."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn

from sm_dl.contract.codec import Predictor
from sm_dl.errors import UserError, shown
from sm_dl.serving.app import build_app
from sm_dl.serving.settings import Settings, whole_number
from sm_dl.serving.worker import Worker

logger = logging.getLogger(__name__)

HOST = "0.0.0.0"  # noqa: S104 - a container is reached from outside, the contract says so
PORT = 8080
LARGEST_PORT = 65535
PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"
RANGE_VARIABLE = "SAGEMAKER_SAFE_PORT_RANGE"
BACKLOG = 2048
WORKER_STOP_S = 2


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
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # the rest repeats the address
        raise UserError(
            f"{host}:{port}: cannot listen here ({reason}). "
            "Stop the program that holds the address, or choose another with --port or --host."
        ) from None


def exit_on_sigterm() -> None:
    """Make SIGTERM end this process with exit code 0, also before the server runs.

    Without a handler the first process of a container ignores it.
    """
    signal.signal(signal.SIGTERM, _exit)


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def serve(predictor: Predictor[Any, Any], listening: socket.socket, settings: Settings) -> None:
    """Answer requests until SIGTERM or Ctrl-C, let those in flight finish, close the socket."""
    worker = Worker()
    server = uvicorn.Server(_config(predictor, worker, settings))
    host, port = listening.getsockname()[:2]
    logger.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)
    with suppress(SystemExit, KeyboardInterrupt):  # uvicorn repeats the signal once it has stopped
        server.run(sockets=[listening])
    if not worker.stop(WORKER_STOP_S):
        logger.warning("stopping although the model has not returned from its last request")
        logging.shutdown()
        os._exit(0)  # an ordinary exit under a thread that runs native code can abort
    logger.info("stopped")


def _config(predictor: Predictor[Any, Any], worker: Worker, settings: Settings) -> uvicorn.Config:
    for handler in logging.getLogger("sm_dl").handlers:  # its few lines look like ours
        logging.getLogger("uvicorn").addHandler(handler)
    return uvicorn.Config(
        build_app(predictor, worker, settings),
        loop="asyncio",
        http="h11",  # one parser everywhere, also where a faster one happens to be installed
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=settings.drain_s,
    )
