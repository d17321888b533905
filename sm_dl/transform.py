"""Transform: `python -m sm_dl.transform --model DIR --input DIR --output DIR`, without a server."""

import argparse
import gzip
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from sm_dl import registry
from sm_dl.contract.codec import Predictor
from sm_dl.engine import machine
from sm_dl.errors import AlgorithmError, UserError
from sm_dl.files import data_files, renamed_when_done
from sm_dl.job.log import start_logging
from sm_dl.job.outcome import run_to_exit_code
from sm_dl.serving import batch
from sm_dl.serving.settings import Settings

logger = logging.getLogger(__name__)

BATCH_VARIABLE = "SAGEMAKER_BATCH"
SPLIT_TYPES = ("None", "Line", "RecordIO", "TFRecord")
STRATEGIES = ("MultiRecord", "SingleRecord")
ASSEMBLIES = ("None", "Line")
OUTPUT_SUFFIX = ".out"
MAX_NAMES_SHOWN = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Transform every object of the input and return the exit code; 2 when a record was bad."""
    arguments = _parser().parse_args(argv)
    start_logging()
    machine.prepare()
    return run_to_exit_code(lambda: transform(arguments), None)


def transform(arguments: argparse.Namespace) -> None:
    """Load the model and write one output object for each input object."""
    rules = _rules(arguments)
    objects = input_objects(arguments.input, arguments.output)
    _make(arguments.output)
    os.environ[BATCH_VARIABLE] = "true"  # before the load: a predictor answers batches differently
    predictor = registry.load(arguments.model)
    write_outputs(predictor, objects, arguments.output, rules)


def input_objects(source: Path, output: Path) -> dict[str, Path]:
    """Return the input files by key, sorted; the key is the path below `source`.

    Raises:
        UserError: There is nothing to read, or the outputs would become inputs next time.
    """
    if source.is_file():
        return {source.name: source}
    if output.resolve().is_relative_to(source.resolve()):
        raise UserError(
            f"--output {output}: lies inside --input {source}; choose a folder beside it."
        )
    files = {path.relative_to(source).as_posix(): path for path in data_files(source)}
    objects = {key: files[key] for key in sorted(files)}
    if not objects:
        raise UserError(
            f"--input {source}: expected a file or a folder that holds one; found none."
        )
    return objects


def _make(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--output {output}: is no folder and cannot be made ({error.strerror})."
        ) from None


def write_outputs(
    predictor: Predictor[Any, Any], objects: dict[str, Path], output: Path, rules: batch.Rules
) -> None:
    """Write `<key>.out` for each object; one that fails leaves none, and the others go on.

    Raises:
        UserError: Some objects failed, each for a reason the log gives.
        AlgorithmError: The same, and at least one was our fault.
    """
    batch.check(predictor, rules)
    failures: dict[str, UserError | AlgorithmError] = {}
    for key, path in objects.items():
        target = output / (key + OUTPUT_SUFFIX)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with (
                renamed_when_done(target) as aside,
                aside.open("wb") as sink,
                _open(path, key) as source,
            ):
                batch.transform(predictor, source, sink, name=key, rules=rules)
        except (UserError, AlgorithmError) as error:
            logger.error("%s: %s", error.log_label, error)  # noqa: TRY400 - the sentence is enough
            target.unlink(missing_ok=True)  # of an earlier run
            failures[key] = error
    logger.info(
        "%d of %d objects written to %s", len(objects) - len(failures), len(objects), output
    )
    if failures:
        raise _summary(failures, len(objects))


def _open(path: Path, key: str) -> BinaryIO:
    try:
        if key.lower().endswith(batch.GZIP_SUFFIX):
            return gzip.open(path, "rb")  # type: ignore[return-value]  # reads as a BinaryIO does
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{key}: cannot be opened ({error.strerror}).") from None


def _summary(
    failures: dict[str, UserError | AlgorithmError], num_objects: int
) -> UserError | AlgorithmError:
    is_ours = any(isinstance(error, AlgorithmError) for error in failures.values())
    names = ", ".join(list(failures)[:MAX_NAMES_SHOWN])
    rest = len(failures) - MAX_NAMES_SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    return (AlgorithmError if is_ours else UserError)(
        f"{len(failures)} of {num_objects} objects have no output: {names}{more}. "
        "The lines above give each reason."
    )


def _rules(arguments: argparse.Namespace) -> batch.Rules:
    return batch.Rules(
        content_type=arguments.content_type,
        accept=arguments.accept or Settings.from_environment().default_accept,
        split_type=arguments.split_type,
        batch_strategy=arguments.batch_strategy,
        assemble_with=arguments.assemble_with,
        max_payload_mb=arguments.max_payload_mb,
    )


def _parser() -> argparse.ArgumentParser:
    rules = batch.Rules()
    parser = argparse.ArgumentParser(prog="sm_dl transform", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a model directory")
    parser.add_argument("--input", type=Path, required=True, help="a file or a folder")
    parser.add_argument("--output", type=Path, required=True, help="folder for <key>.out files")
    parser.add_argument("--content-type", help="of the input; default: by each file's extension")
    parser.add_argument("--accept", help="type of the output; default: the model's usual one")
    parser.add_argument("--split-type", choices=SPLIT_TYPES, default=rules.split_type)
    parser.add_argument("--batch-strategy", choices=STRATEGIES, default=rules.batch_strategy)
    parser.add_argument("--assemble-with", choices=ASSEMBLIES, default=rules.assemble_with)
    parser.add_argument("--max-payload-mb", type=int, default=rules.max_payload_mb)
    return parser


if __name__ == "__main__":
    sys.exit(main())
