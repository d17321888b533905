"""Times on an axis: where the ticks stand and what they say."""

from collections.abc import Sequence
from datetime import datetime, timedelta

MONDAY = datetime(1, 1, 1)  # noqa: DTZ001 - times of series have no zone
"""Ticks stand at whole steps from here, hence at midnights and on Mondays."""
FIRST_YEAR, LAST_YEAR = 1700, 2300
"""Times outside are not read as dates: no data of ours is that old, and calendars run out."""

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
STEPS_S = (
    *(1, 5, 15, 30),
    *(count * MINUTE_S for count in (1, 5, 15, 30)),
    *(count * HOUR_S for count in (1, 3, 6, 12)),
    *(count * DAY_S for count in (1, 2, 7, 14)),
)
STEPS_MONTHS = (1, 3, 6, *(12 * years for years in (1, 2, 5, 10, 20, 50, 100, 200)))


def moments(times: Sequence[str]) -> list[datetime] | None:
    """Return ISO 8601 texts as times, or None where one of them is no date one would expect."""
    try:
        parsed = [datetime.fromisoformat(time).replace(tzinfo=None) for time in times]
    except (TypeError, ValueError):
        return None
    return parsed if all(FIRST_YEAR <= time.year <= LAST_YEAR for time in parsed) else None


def days(times: Sequence[datetime]) -> list[float]:
    """Return positions on an axis, in days."""
    return [(time - MONDAY) / timedelta(days=1) for time in times]


def ticks(first: datetime, last: datetime, most: int) -> tuple[list[datetime], list[str]]:
    """Return at most `most` round times from `first` to `last`, and their labels."""
    for step_s in STEPS_S:
        step = timedelta(seconds=step_s)
        if (last - first) / step <= most - 1:
            start = MONDAY + -((MONDAY - first) // step) * step  # rounded up
            found = [start + index * step for index in range(most) if start + index * step <= last]
            return found, [_label(time, step_s) for time in found]
    for months in STEPS_MONTHS:
        low = -(-(first.year * 12 + first.month - 1 + _has_begun(first)) // months)
        high = (last.year * 12 + last.month - 1) // months
        if high - low < most:
            found = [
                MONDAY.replace(year=n * months // 12, month=n * months % 12 + 1)
                for n in range(low, high + 1)
            ]
            return found, [f"{time:%Y}" if time.month == 1 else f"{time:%b}" for time in found]
    return [first], [f"{first:%Y}"]


def period(times: Sequence[datetime]) -> str:
    """Return the first and the last time, in words."""
    is_daily = all(time == datetime.combine(time, datetime.min.time()) for time in times)
    form = "%Y-%m-%d" if is_daily else "%Y-%m-%d %H:%M"
    ends = [time.strftime(form) for time in (times[0], times[-1])]
    return ends[0] if len(times) == 1 else " to ".join(ends)


def _label(time: datetime, step_s: int) -> str:
    if step_s >= DAY_S or (time.hour, time.minute, time.second) == (0, 0, 0):
        return f"{time.day} {time:%b}"
    return f"{time:%H:%M}" if step_s >= MINUTE_S else f"{time:%H:%M:%S}"


def _has_begun(time: datetime) -> bool:
    """Return whether the month of `time` began before it."""
    return time != datetime(time.year, time.month, 1)  # noqa: DTZ001 - see MONDAY
