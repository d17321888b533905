"""Metrics: the name a tuner knows, the log line, and the pattern that finds it: said once."""

import logging
import math
import re
from dataclasses import dataclass

logger = logging.getLogger(__name__)

_BLANKS = {"value": r"(\S+)"}


@dataclass(frozen=True)
class Metric:
    """One metric an algorithm prints."""

    name: str
    """As registered with the service, e.g. `test:RMSE`."""
    template: str
    """The log line with `{host}`, `{epoch}`, `{batch}` and `{value}` in it."""
    tail: str = ""
    """What the line goes on with, beyond the registered pattern."""
    minimize: bool | None = None
    """Direction; None where the value is no objective at all."""
    is_objective: bool = False
    """Documented by the service as a tuning objective."""

    @property
    def regex(self) -> str:
        r"""Return the pattern whose first group is the value; every other blank is `\S+`."""
        pattern = re.sub(r"([\\.^$*+?\[\]|()])", r"\\\1", self.template)
        return re.sub(r"\{(\w+)\}", lambda blank: _BLANKS.get(blank[1], r"\S+"), pattern)

    def line(self, value: float | str, **where: object) -> str:
        """Return the log line; floats are printed with `repr` precision."""
        return self.template.format(value=value, **where) + self.tail


def by_name(metrics: tuple[Metric, ...]) -> dict[str, Metric]:
    """Return the metrics by their registered names."""
    return {metric.name: metric for metric in metrics}


class MetricLog:
    """Prints an algorithm's metrics as the service does, from one host of the job."""

    def __init__(self, metrics: tuple[Metric, ...], host: str, *, is_printing: bool = True) -> None:
        """Remember the metrics, the host's name and whether this process prints (rank 0)."""
        self._metrics = by_name(metrics)
        self.host = host
        self._is_printing = is_printing

    def say(self, name: str, value: float, **where: object) -> None:
        """Print one metric; a value that is not finite would mislead a tuner and is left out."""
        if not self._is_printing:
            return
        if math.isfinite(value):
            logger.info("%s", self._metrics[name].line(value, host=self.host, **where))
        else:
            logger.warning("metric %s is %r and is not reported.", name, value)
