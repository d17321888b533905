"""Train: `python -m sm_dl.train --config job.yaml`, or the container's `train` on `/opt/ml`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from sm_dl import registry, report
from sm_dl.engine import launch, machine
from sm_dl.engine.launched import believe, is_launched
from sm_dl.engine.strategy import plan_of
from sm_dl.job import stop
from sm_dl.job.environment import export_variables
from sm_dl.job.from_opt_ml import job_from_opt_ml
from sm_dl.job.from_yaml import job_from_yaml
from sm_dl.job.job import RawJob
from sm_dl.job.lock import output_lock
from sm_dl.job.log import start_logging
from sm_dl.job.outcome import run_to_exit_code
from sm_dl.job.paths import Paths

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one training job, or one process of it, and return its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(given)
    launch.end_with_launcher()
    start_logging(quiet=machine.rank() > 0)
    machine.prepare(is_training=True)
    known_paths = None if arguments.config else Paths.of_platform()
    is_owner = launch.owns_output()
    jobs: list[RawJob] = []
    with stop.listening():
        code = run_to_exit_code(
            lambda: jobs.append(_job(arguments)), known_paths, owns_output=is_owner
        )
        if jobs:
            code = run_to_exit_code(
                lambda: train(jobs[0], given), jobs[0].paths, owns_output=is_owner
            )
    return launch.leave(code)


def train(raw: RawJob, arguments: Sequence[str]) -> None:
    """Check a job, fit its algorithm and draw the report, in as many processes as its plan has.

    Args:
        raw: The job as it was written.
        arguments: The command line, for the processes that are started.
    """
    believe()
    is_owner = launch.owns_output()
    lock = output_lock(raw.paths) if is_owner else nullcontext()
    with launch.missed_by_others(raw.hosts), lock:
        algorithm = registry.get(raw.algorithm)
        export_variables(raw, num_cpus=machine.num_cpus())
        job = algorithm.check(raw, is_telling=is_owner)
        layout = plan_of(job, algorithm.placement)
        if layout.num_processes > 1 and not is_launched():
            launch.launch(layout, job.hosts, arguments)
            return
        from sm_dl.engine import denormals  # noqa: PLC0415 - torch, which only fitting loads

        with denormals.taken_for_zero():  # before torch starts its threads
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
