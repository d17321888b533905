"""Transform: `python -m sm_dl.transform --model DIR --input DIR --output DIR`, without a server.

`--endpoint http://127.0.0.1:8080` in place of `--model` asks a running container, ours or any other.
"""

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol, get_args

from sm_dl import registry
from sm_dl.engine import machine
from sm_dl.errors import UserError
from sm_dl.job import stop
from sm_dl.job.log import start_logging
from sm_dl.job.outcome import run_to_exit_code
from sm_dl.serving.batch import one_object, rules
from sm_dl.serving.batch.objects import input_objects, write_outputs
from sm_dl.serving.batch.remote import Remote, RemoteCalls
from sm_dl.serving.batch.rules import Rules, Tunables
from sm_dl.serving.batching import Batcher
from sm_dl.serving.invoke import Call, Response
from sm_dl.serving.settings import BATCH_VARIABLE, Settings

CLOSE_S = 2


class Model(Protocol):
    """What answers the calls of a transform."""

    def submit(self, call: Call) -> Future[Response]:
        """Return the answer to one call, to come."""
        ...

    def close(self, timeout_s: float) -> bool:
        """Return whether its threads have ended within the time."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Transform every object of the input and return the exit code; 2 when a record was bad."""
    arguments = _parser().parse_args(argv)
    start_logging()
    machine.prepare()
    models: list[Model] = []
    with stop.listening():
        code = run_to_exit_code(lambda: transform(arguments, models), None)
    if not all(model.close(CLOSE_S) for model in models):  # a thread is still inside
        logging.shutdown()
        os._exit(code)  # an ordinary exit under a thread that runs native code can abort
    return code


def transform(arguments: argparse.Namespace, models: list[Model]) -> None:
    """Write one output object for each input object, by a model or an endpoint.

    Args:
        arguments: What the user has asked for.
        models: Gets what was started; the caller closes it.
    """
    remote = Remote(arguments.endpoint) if arguments.endpoint else None
    offered = (remote or Settings.from_environment()).execution_parameters()
    tunables = _tunables(arguments)
    settled = _rules(arguments, tunables.settled(offered))
    objects = input_objects(arguments.input, arguments.output)
    _make(arguments.output)
    if remote:
        num_threads = settled.max_concurrent_transforms
        models.append(RemoteCalls(remote, num_threads, settled.invocations_timeout_s))
        write_outputs(models[0].submit, objects, arguments.output, settled)
        return
    # before the load: a predictor answers batches differently
    os.environ.update(tunables.environment() | {BATCH_VARIABLE: "true"})
    predictor = registry.load(arguments.model)
    one_object.check(predictor, settled)
    models.append(Batcher(predictor, Settings.from_environment()))
    write_outputs(models[0].submit, objects, arguments.output, settled)


def _make(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--output {output}: is no folder and cannot be made ({error.strerror})."
        ) from None


def _tunables(arguments: argparse.Namespace) -> Tunables:
    return Tunables(
        batch_strategy=arguments.batch_strategy,
        max_payload_mb=arguments.max_payload_mb,
        max_concurrent_transforms=arguments.max_concurrent_transforms,
    )


def _rules(arguments: argparse.Namespace, tunables: Mapping[str, object]) -> Rules:
    return Rules(
        content_type=arguments.content_type,
        accept=arguments.accept or Settings.from_environment().default_accept,
        compression_type=arguments.compression_type,
        split_type=arguments.split_type,
        assemble_with=arguments.assemble_with,
        invocations_timeout_s=arguments.invocations_timeout_s,
        invocations_max_retries=arguments.invocations_max_retries,
        input_filter=arguments.input_filter,
        output_filter=arguments.output_filter,
        join_source=arguments.join_source,
        **tunables,  # type: ignore[arg-type]  # Rules checks each of them
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sm_dl transform", description=__doc__)
    add = parser.add_argument
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", type=Path, help="a model directory, or a model.tar.gz")
    model.add_argument("--endpoint", help="or a running server, e.g. http://127.0.0.1:8080")
    add("--input", type=Path, required=True, help="a file or a folder")
    add("--output", type=Path, required=True, help="folder for <key>.out files")
    add("--content-type", help="of the input; default: by each file's extension")
    add("--accept", help="type of the output; default: the model's usual one")
    add("--compression-type", choices=get_args(rules.Compression), help="default: Gzip for .gz")
    add("--split-type", choices=get_args(rules.SplitType), default=Rules.split_type)
    add("--assemble-with", choices=get_args(rules.Assembly), default=Rules.assemble_with)
    add("--batch-strategy", choices=get_args(rules.BatchStrategy), help="default: MultiRecord")
    add("--max-payload-mb", type=int, help=f"default: {Rules.max_payload_mb}")
    add("--max-concurrent-transforms", type=int, help="default: one per processor")
    add("--invocations-timeout-s", type=int, default=Rules.invocations_timeout_s)
    add("--invocations-max-retries", type=int, default=Rules.invocations_max_retries)
    add("--input-filter", default=Rules.input_filter, help="JSONPath; default: %(default)s")
    add("--output-filter", default=Rules.output_filter, help="JSONPath; default: %(default)s")
    add("--join-source", choices=get_args(rules.JoinSource), default=Rules.join_source)
    return parser


if __name__ == "__main__":
    sys.exit(main())
