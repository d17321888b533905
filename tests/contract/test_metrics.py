"""A metric's pattern finds the value in the metric's own line, and nothing else."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl import registry
from sm_dl.contract.metrics import Metric, MetricLog, by_name

steady = settings(derandomize=True, deadline=None)

DEEPAR = by_name(registry.get("deepar").metrics)
EVERY = [
    pytest.param(metric, id=f"{name}-{metric.name}")
    for name in registry.names()
    for metric in registry.get(name).metrics
]
WHERE = {"host": "algo-1", "epoch": 0, "batch": 5}
SERVICE = {
    "test:RMSE": r"#quality_metric: host=\S+, test RMSE <loss>=(\S+)",
    "test:mean_wQuantileLoss": r"#quality_metric: host=\S+, test mean_wQuantileLoss <loss>=(\S+)",
    "train:final_loss": r"#quality_metric: host=\S+, train final_loss <loss>=(\S+)",
    "train:loss": r"#quality_metric: host=\S+, epoch=\S+, train loss <loss>=(\S+)",
    "train:loss:batch": r"#quality_metric: host=\S+, epoch=\S+, batch=\S+ train loss <loss>=(\S+)",
    "train:progress": r"#progress_metric: host=\S+, completed (\S+) %",
    "train:throughput": (r"#throughput_metric: host=\S+, train throughput=(\S+) records/second"),
}
LINES = {
    "test:RMSE": "#quality_metric: host=algo-1, test RMSE <loss>=0.25",
    "test:mean_wQuantileLoss": "#quality_metric: host=algo-1, test mean_wQuantileLoss <loss>=0.25",
    "train:final_loss": "#quality_metric: host=algo-1, train final_loss <loss>=0.25",
    "train:loss": "#quality_metric: host=algo-1, epoch=0, train loss <loss>=0.25",
    "train:loss:batch": "#quality_metric: host=algo-1, epoch=0, batch=5 train loss <loss>=0.25",
    "train:progress": "#progress_metric: host=algo-1, completed 0.25 % of epochs",
    "train:throughput": ("#throughput_metric: host=algo-1, train throughput=0.25 records/second"),
}


@pytest.fixture
def deepar() -> MetricLog:
    """Return the printer of DeepAR's metrics."""
    return MetricLog(registry.get("deepar").metrics, "algo-1")


def test_deepar_has_the_services_metrics_and_one_of_ours() -> None:
    assert set(DEEPAR) - set(SERVICE) == {"validation:loss"}


@pytest.mark.parametrize(("name", "regex"), SERVICE.items())
def test_a_pattern_is_the_services(name: str, regex: str) -> None:
    assert DEEPAR[name].regex == regex


@pytest.mark.parametrize(("name", "line"), LINES.items())
def test_a_line_is_the_services(name: str, line: str) -> None:
    assert DEEPAR[name].line(0.25, **WHERE) == line


def test_the_objectives_are_the_documented_three() -> None:
    objectives = {name for name, metric in DEEPAR.items() if metric.is_objective}
    assert objectives == {"test:RMSE", "test:mean_wQuantileLoss", "train:final_loss"}


@pytest.mark.parametrize("name", ["train:progress", "train:throughput", "train:loss:batch"])
def test_what_is_no_aim_has_no_direction(name: str) -> None:
    assert DEEPAR[name].minimize is None


@pytest.mark.parametrize("metric", EVERY)
def test_an_objective_has_a_direction(metric: Metric) -> None:
    assert metric.minimize is not None or not metric.is_objective


@steady
@given(st.floats(allow_nan=False, allow_infinity=False))
@pytest.mark.parametrize("metric", EVERY)
def test_a_pattern_finds_the_exact_value_in_its_own_line(metric: Metric, value: float) -> None:
    found = re.search(metric.regex, metric.line(value, **WHERE))
    assert found is not None
    assert float(found[1]) == value


@pytest.mark.parametrize("metric", EVERY)
def test_a_pattern_finds_the_value_behind_the_logs_prefix(metric: Metric) -> None:
    line = f"[06/08/2021 00:20:14 INFO 139763492013888] {metric.line(0.25, **WHERE)}"
    assert re.findall(metric.regex, line) == ["0.25"]


@pytest.mark.parametrize("metric", DEEPAR.values(), ids=lambda metric: metric.name)
@pytest.mark.parametrize("name", LINES)
def test_a_pattern_finds_no_other_metrics_line(metric: Metric, name: str) -> None:
    assert bool(re.search(metric.regex, LINES[name])) == (name == metric.name)


@pytest.mark.parametrize(
    "template", ["f(x)[0]={value}", "a.b*c+d?={value}", "^a|b$={value}", "\\={value}"]
)
def test_signs_in_a_template_mean_themselves(template: str) -> None:
    metric = Metric("x", template)
    assert re.findall(metric.regex, metric.line(0.5)) == ["0.5"]


def test_a_metric_is_logged_as_its_line(deepar: MetricLog, log: pytest.LogCaptureFixture) -> None:
    deepar.say("train:loss", 0.25, epoch=0)
    assert log.messages == [LINES["train:loss"]]


@pytest.mark.parametrize("value", [1 / 3, 1e-300, 123456789.123456789, -0.1])
def test_no_digit_is_lost(deepar: MetricLog, log: pytest.LogCaptureFixture, value: float) -> None:
    deepar.say("test:RMSE", value)
    assert log.messages[0].endswith(f"={value!r}")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_gives_no_match(
    deepar: MetricLog, log: pytest.LogCaptureFixture, value: float
) -> None:
    deepar.say("train:final_loss", value)
    assert re.search(SERVICE["train:final_loss"], log.text) is None


def test_a_value_that_is_not_finite_is_warned_about(
    deepar: MetricLog, log: pytest.LogCaptureFixture
) -> None:
    deepar.say("train:final_loss", math.nan)
    assert log.messages == ["metric train:final_loss is nan and is not reported."]


def test_only_one_host_prints(log: pytest.LogCaptureFixture) -> None:
    metrics = MetricLog(registry.get("deepar").metrics, "algo-2", is_printing=False)
    metrics.say("train:final_loss", 0.25)
    metrics.say("train:final_loss", math.nan)
    assert log.messages == []
