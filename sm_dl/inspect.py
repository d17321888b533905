"""Inspect: `python -m sm_dl.inspect FILE ...` tells what is in files: format, records, labels."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sm_dl.errors import JobError
from sm_dl.inspection.look import look


def main(argv: Sequence[str] | None = None) -> int:
    """Print what each file holds and return the exit code; 2 when one is damaged."""
    arguments = _parser().parse_args(argv)
    code = 0
    for number, path in enumerate(arguments.files):
        if number:
            print()
        try:
            print("\n".join(look(path)), flush=True)
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return code
        except JobError as error:
            print(error, file=sys.stderr)
            code = error.exit_code
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sm_dl inspect", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="any files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
