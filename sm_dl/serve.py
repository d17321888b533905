"""Serve: `python -m sm_dl.serve --model DIR`, or the container's `serve` on `/opt/ml/model`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sm_dl import registry
from sm_dl.engine import machine
from sm_dl.job.log import start_logging
from sm_dl.job.outcome import run_to_exit_code
from sm_dl.job.paths import Paths
from sm_dl.serving import process
from sm_dl.serving.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM and return the exit code."""
    arguments = _parser().parse_args(argv)
    start_logging()
    machine.prepare()
    process.exit_on_sigterm()
    return run_to_exit_code(lambda: serve(arguments.model, arguments.host, arguments.port), None)


def serve(model: Path | None, host: str, port: int | None) -> None:
    """Answer requests for the model of a directory, or for those below it; None: the container's."""
    settings = Settings.from_environment()
    with process.listen(host, process.port_to_bind(port)) as listening:
        platform = Paths.of_platform()
        folder = model or (platform.models if settings.is_multi_model else platform.model)
        process.serve(registry.load, folder, listening, settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sm_dl serve", description=__doc__)
    parser.add_argument(
        "--model",
        type=Path,
        help="a model directory, or the folder of many; default: /opt/ml/model, /opt/ml/models",
    )
    parser.add_argument("--port", type=int, help=f"default: {process.PORT}")
    parser.add_argument("--host", default=process.HOST, help="default: %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
