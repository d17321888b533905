"""Describe: `python -m sm_dl describe [ALGORITHM] [--json]` says what an algorithm accepts."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from sm_dl import registry
from sm_dl.contract.algorithm import Algorithm
from sm_dl.contract.metrics import Metric
from sm_dl.contract.placement import Placement
from sm_dl.errors import JobError

PLAIN_WIDTH = 200
"""Columns where nobody's window limits them: in a file or a pipe."""
ROOMY_WIDTH = 140
"""From here on every fact has its column."""
FEW_COLUMNS = 3
NOTHING = "-"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the list of algorithms, or all about one, and return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        names = [arguments.algorithm] if arguments.algorithm else registry.names()
        found = [registry.get(name) for name in names]
    except JobError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if arguments.metric_definitions:
        print(orjson.dumps(metric_definitions(found), option=orjson.OPT_INDENT_2).decode())
    elif arguments.json:
        listing = [listed(algorithm) for algorithm in found]
        document = described(found[0]) if arguments.algorithm else listing
        print(orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str).decode())
    elif arguments.algorithm:
        print_one(found[0], console())
    else:
        print_list(found, console())
    return 0


def metric_definitions(algorithms: Iterable[Algorithm]) -> list[dict[str, str]]:
    """Return what a tuning job must be told of a custom image (contract, section 7)."""
    metrics = (metric for algorithm in algorithms for metric in algorithm.metrics)
    return [{"Name": metric.name, "Regex": metric.regex} for metric in metrics]


def listed(algorithm: Algorithm) -> dict[str, Any]:
    """Return the facts of one line in the list of algorithms."""
    return {
        "name": algorithm.name,
        "summary": algorithm.summary,
        "paper": algorithm.paper,
        "placement": asdict(algorithm.placement),
    }


def described(algorithm: Algorithm) -> dict[str, Any]:
    """Return everything an algorithm declares, as plain data.

    Metrics are in the spelling of the service's `MetricDefinitions`, with two keys added.
    """
    return listed(algorithm) | {
        "hyperparameters": [
            {
                "extra" if key == "is_extra" else key: value
                for key, value in asdict(declared).items()
            }
            for declared in algorithm.hyperparameters.declarations()
        ],
        "channels": [asdict(channel) for channel in algorithm.channels],
        "metrics": [
            {
                "Name": metric.name,
                "Regex": metric.regex,
                "minimize": metric.minimize,
                "objective": metric.is_objective,
            }
            for metric in algorithm.metrics
        ],
    }


def console() -> Console:
    """Return a console on stdout: as wide as the terminal, or wide and without colours.

    What it prints comes from declarations, in which `[0.1]` is text and no markup.
    """
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)


def print_list(algorithms: Iterable[Algorithm], out: Console) -> None:
    """Print one row for each algorithm."""
    rows = [(one.name, one.summary, _where(one.placement)) for one in algorithms]
    out.print(_table(("algorithm", "what it does", "trains on"), rows, out.width))


def print_one(algorithm: Algorithm, out: Console) -> None:
    """Print the tables of one algorithm; the patterns stand on lines of their own, to be copied."""
    out.print(f"{algorithm.name}: {algorithm.summary}", style="bold")
    out.print(algorithm.paper)
    headings: tuple[str, ...] = ("name", "expected", "default", "tuning range", "meaning")
    rows: list[tuple[str, ...]] = [
        (
            one.name,
            one.expected,
            "required" if one.required else _text(one.default),
            _tuning(one.tune),
            f"{one.doc} Not the service's." if one.is_extra else one.doc,
        )
        for one in algorithm.hyperparameters.declarations()
    ]
    _print_section("Hyperparameters", _table(headings, rows, out.width), out)

    headings = ("name", "presence", "content types", "modes", "distributions", "meaning")
    rows = [
        (
            one.name,
            "required" if one.required else "optional",
            ", ".join(one.content_types),
            ", ".join(one.modes),
            ", ".join(one.distributions),
            one.doc,
        )
        for one in algorithm.channels
    ]
    _print_section("Channels", _table(headings, rows, out.width), out)

    headings = ("name", "better when", "tuning objective")
    rows = [
        (one.name, _direction(one), "yes" if one.is_objective else "no")
        for one in algorithm.metrics
    ]
    _print_section("Metrics", _table(headings, rows, out.width), out)

    patterns = [f"  {one.name}\n    {one.regex}" for one in algorithm.metrics]
    _print_section("Regular expressions of the metrics", "\n".join(patterns), out)

    placement = algorithm.placement
    lines = [_where(placement), f"inference on {placement.inference}", placement.note]
    _print_section("Placement", "\n".join(f"  {line}" for line in lines if line), out)


def _where(placement: Placement) -> str:
    gpu = f"GPU ({', '.join(placement.gpu_families)})" if placement.gpu else ""
    devices = " or ".join(device for device in ("CPU" if placement.cpu else "", gpu) if device)
    return f"{devices}, {placement.hosts} host{'' if placement.hosts == 'one' else 's'}"


def _direction(metric: Metric) -> str:
    return NOTHING if metric.minimize is None else "smaller" if metric.minimize else "larger"


def _tuning(span: tuple[float, float] | tuple[str, ...] | None) -> str:
    """Return a tuning range: bounds of a number, or choices."""
    if span is None:
        return NOTHING
    words = [one if isinstance(one, str) else f"{one:g}" for one in span]
    return (", " if isinstance(span[0], str) else " to ").join(words)


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return orjson.dumps(value, default=str).decode()
    return str(value) if value != "" else '""'


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> Table:
    """Return a table; where the window is narrow its middle columns become lines of one."""
    if width < ROOMY_WIDTH and len(headings) > FEW_COLUMNS:
        rows = [(row[0], _lines(headings[1:-1], row[1:-1]), row[-1]) for row in rows]
        headings = (headings[0], "accepted", headings[-1])
    spacing = 1 if width < ROOMY_WIDTH else 0
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, leading=spacing, header_style="bold")
    for index, heading in enumerate(headings):
        # names stay whole at any width; elsewhere a long word is folded and loses nothing
        table.add_column(heading, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    return table


def _lines(headings: Iterable[str], cells: Iterable[str]) -> str:
    pairs = zip(headings, cells, strict=True)
    return "\n".join(f"{heading}: {cell}" for heading, cell in pairs if cell != NOTHING)


def _print_section(title: str, body: Table | str, out: Console) -> None:
    out.print()
    out.print(title, style="bold")
    out.print(body, soft_wrap=isinstance(body, str))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sm_dl describe", description=__doc__)
    parser.add_argument("algorithm", nargs="?", help="its name; without it all are listed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--metric-definitions",
        action="store_true",
        help="print the MetricDefinitions of a training or tuning job, as JSON",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
