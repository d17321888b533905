"""Numbers as a reader wants them: thousands separators, few digits, one look per column."""

import math
from collections.abc import Sequence
from itertools import pairwise

MISSING, MINUS, TIMES = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
DIGITS = 4
"""Significant digits of a measured value. `report.json` keeps them all."""
LARGE, SMALL = 1e9, 1e-4
"""From here on a number is written with a power of ten."""
LARGE_TICK = 1e7
MOST_SPREAD = 4
"""Powers of ten between a column's values beyond which common decimals would mislead."""
MOST_DECIMALS = 12
LEAST_EXPONENT = -300
"""Below, powers of ten lose digits and end in zero."""

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def measured(value: float | None) -> str:
    """Return one number with its significant digits, without trailing zeros."""
    text = _significant(value)
    return text if isinstance(value, int) or TIMES in text else _stripped(text)


def column(values: Sequence[float | None]) -> list[str]:
    """Return the numbers of one table column: equal decimals where that does no harm."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    exponents = [_exponent(value) for value in known if value]
    if not exponents or all(isinstance(value, int) for value in known):
        return [_significant(value) for value in values]
    low, high = min(exponents), max(exponents)
    if high - low > MOST_SPREAD or not SMALL <= 10.0**low <= 10.0**high < LARGE:
        return [_significant(value) for value in values]
    decimals = max(0, DIGITS - 1 - high, 1 - low)
    needed = max(_decimals_in(_stripped(f"{value:.{decimals}f}")) for value in known)
    return [
        _minus(f"{value:,.{needed}f}") if value is not None and math.isfinite(value) else MISSING
        for value in values
    ]


def ticks(values: Sequence[float]) -> list[str]:
    """Return the labels of a linear axis: equal decimals, just enough to tell them apart."""
    known = [value for value in values if math.isfinite(value)]
    largest = max((abs(value) for value in known), default=0.0)
    if largest and not SMALL <= largest < LARGE_TICK:
        exponent = (
            max(_exponent(largest), LEAST_EXPONENT) // 3 * 3
        )  # 50 at 10⁹ rather than 5 at 10¹⁰
        mantissas = [value / 10.0**exponent for value in values]
        decimals = _decimals_apart(mantissas)
        return [
            _scaled(f"{mantissa:.{decimals}f}", exponent) if mantissa else "0"
            for mantissa in mantissas
        ]
    decimals = _decimals_apart(known)
    return [_minus(f"{value:,.{decimals}f}") for value in values]


def log_tick(value: float) -> str:
    """Return the label of one tick of a logarithmic axis."""
    return measured(value) if value < LARGE_TICK else _power_of_ten(value, decimals=1)


def exact(value: object) -> str:
    """Return a setting as it was given, fit to be copied."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(exact(item) for item in value) or "none"
    return str(value) if value != "" else '""'


def _significant(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return MISSING
    if isinstance(value, int) and abs(value) < LARGE:
        return _minus(f"{value:,}")
    if value == 0:
        return "0"
    if not SMALL <= abs(value) < LARGE:
        return _power_of_ten(value, DIGITS - 1)
    return _minus(f"{value:,.{max(0, DIGITS - 1 - _exponent(value))}f}")


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _power_of_ten(value: float, decimals: int) -> str:
    mantissa, _, exponent = f"{value:.{decimals}e}".partition("e")
    return _scaled(_stripped(mantissa), int(exponent)).removeprefix(f"1{TIMES}")


def _scaled(mantissa: str, exponent: int) -> str:
    return f"{_minus(mantissa)}{TIMES}10{str(exponent).translate(SUPERSCRIPTS)}"


def _stripped(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimals_in(text: str) -> int:
    return len(text.partition(".")[2])


def _decimals_apart(values: Sequence[float]) -> int:
    """Return the fewest decimals that move no value by a hundredth of the distance to the next."""
    steps = [abs(after - before) for before, after in pairwise(values)]
    tolerance = min((step for step in steps if step), default=1.0) / 100
    for decimals in range(MOST_DECIMALS):
        if all(abs(round(value, decimals) - value) <= tolerance for value in values):
            return decimals
    return MOST_DECIMALS


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
