"""Train: `python -m sm_dl.train --config job.yaml`, or the container's `train` on `/opt/ml`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from sm_dl import registry, report
from sm_dl.engine import machine
from sm_dl.job.environment import export_variables
from sm_dl.job.from_opt_ml import job_from_opt_ml
from sm_dl.job.from_yaml import job_from_yaml
from sm_dl.job.job import RawJob
from sm_dl.job.log import start_logging
from sm_dl.job.outcome import run_to_exit_code
from sm_dl.job.paths import Paths

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one training job and return its exit code."""
    arguments = _parser().parse_args(argv)
    start_logging(quiet=machine.rank() > 0)
    machine.prepare()
    known_paths = None if arguments.config else Paths.of_platform()
    jobs: list[RawJob] = []
    code = run_to_exit_code(lambda: jobs.append(_job(arguments)), known_paths)
    if code:
        return code
    return run_to_exit_code(lambda: train(jobs[0]), jobs[0].paths)


def train(raw: RawJob) -> None:
    """Check a job, fit its algorithm and draw the report."""
    algorithm = registry.get(raw.algorithm)
    export_variables(raw, num_cpus=machine.num_cpus())
    job = algorithm.check(raw)
    algorithm.fit(job)
    if machine.rank() == 0:
        report.draw(job.paths.report)


def _job(arguments: argparse.Namespace) -> RawJob:
    if arguments.config is None:
        return job_from_opt_ml()
    return job_from_yaml(arguments.config, arguments.set)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sm_dl train", description=__doc__)
    parser.add_argument(
        "--config", type=Path, help="a job in YAML; without it the /opt/ml tree is read"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="BLOCK.KEY=VALUE",
        help="override one value of the config, e.g. hyperparameters.epochs=3",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
