"""The doors by name: `python -m sm_dl DOOR ...`, which is also a container's entry point."""

import ast
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sm_dl.errors import near_miss

DOORS = ("train", "serve", "transform", "tune", "report", "describe", "inspect", "pack")
HELP = ("-h", "--help", "help")
PLATFORM_DOORS = ("train", "serve")
UNKNOWN_DOOR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Open one door with the remaining arguments and return its exit code."""
    door, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if door in HELP:
        print(overview())
        return 0
    if door not in doors():
        print(
            f"sm_dl: expected one of {', '.join(doors())}; got {door!r}.{near_miss(door, doors())}",
            file=sys.stderr,
        )
        return UNKNOWN_DOOR
    # by us, by torchrun or by a scheduler
    is_one_of_several = "RANK" in os.environ or "LOCAL_RANK" in os.environ
    if door in PLATFORM_DOORS and not rest and not is_one_of_several:
        print(f"Docker entrypoint called with argument(s): {door}", flush=True)
    code: int = importlib.import_module(f"{__package__}.{door}").main(rest)
    return code


def doors() -> dict[str, Path]:
    """Return the files of the doors this installation has, by name."""
    files = {name: Path(__file__).with_name(f"{name}.py") for name in DOORS}
    return {name: file for name, file in files.items() if file.is_file()}


def overview() -> str:
    """Return one line for each door, from its docstring; none of them is imported for it."""
    lines = [f"  {name:<10} {_first_line(file, name)}" for name, file in doors().items()]
    return "\n".join(["usage: python -m sm_dl DOOR [ARGUMENTS]", "", *lines])


def _first_line(file: Path, name: str) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_bytes())) or ""
    return docstring.partition("\n")[0].removeprefix(f"{name.capitalize()}: ")


if __name__ == "__main__":
    sys.exit(main())
