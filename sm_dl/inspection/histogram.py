"""Counts as lines, the largest first."""

from collections.abc import Mapping

MAX_LINES = 20
BAR_CHARACTERS = 30


def histogram(counts: Mapping[object, int]) -> list[str]:
    """Return a line with name, count and bar for each of the most frequent values."""
    ranked = sorted(
        counts.items(), key=lambda item: (-item[1], len(named(item[0])), named(item[0]))
    )
    shown = ranked[:MAX_LINES]
    width = max((len(named(value)) for value, _ in shown), default=0)
    most = max(counts.values(), default=1)
    lines = [
        f"  {named(value):<{width}}  {count:>8}  {'#' * round(BAR_CHARACTERS * count / most)}".rstrip()
        for value, count in shown
    ]
    left = len(ranked) - len(shown)
    return [*lines, f"  and {left} more values"] if left else lines


def named(value: object) -> str:
    """Return a value as it is shown: a float no longer than needed, a whole number whole."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def counted(number: int, noun: str) -> str:
    """Return `1 record`, `2 records`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
