"""What a request costs: no more than is computed in time, and said in numbers a client can lower."""

import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from sm_dl.algorithms.deepar.cost import Costs
from sm_dl.content_types import JSON, MediaType
from sm_dl.errors import UserError

LARGE = {"num_layers": 3, "num_cells": 100}
CONTEXT = 72
INSTANCE = {"start": "2012-01-30", "target": [1.0]}


@pytest.fixture(scope="module")
def costs_of(make_shape):
    """Return the costs of a network where a server allows 60 s on a CPU."""

    def build(**changes):
        return Costs.on("cpu", make_shape(**changes), CONTEXT)

    return build


def _refused(costs, *size):
    with pytest.raises(UserError) as refusal:
        costs.check(*size)
    return str(refusal.value)


def _body(num_series, **configuration):
    return orjson.dumps({"instances": [INSTANCE] * num_series, "configuration": configuration})


def test_a_small_valid_request_that_would_take_minutes_is_refused(make_predictor):
    """31 KB, 20 million draws: within the limit of memory, and 323 s on the core it was seen on."""
    body = _body(500, num_samples=10_000)
    assert make_predictor(num_layers=1).decode(body, MediaType(JSON)).series
    with pytest.raises(UserError, match=r"^request: expected at most \d+ series with num_samples"):
        make_predictor(**LARGE).decode(body, MediaType(JSON))


def test_a_refusal_says_the_limit_and_what_to_lower(costs_of):
    assert _refused(costs_of(**LARGE), 500, 100, 72) == (
        "request: expected at most 141 series with num_samples=100 and prediction_length=72, for a "
        "network of 3 layers of 100 cells; got 500. Send fewer series at once, or lower num_samples "
        "or prediction_length."
    )


def test_a_refusal_of_one_series_says_how_many_samples_it_may_have(costs_of):
    assert re.search(
        r"at most one series with num_samples=\d{4} and prediction_length=400, for a network of 3 "
        r"layers of 100 cells; got 1 with num_samples=10000 and prediction_length=400\. Lower ",
        _refused(costs_of(**LARGE), 1, 10_000, 400),
    )


@given(
    num_layers=st.integers(1, 8),
    num_cells=st.sampled_from([1, 40, 200, 3000]),
    size=st.tuples(st.integers(1, 10**5), st.integers(1, 10**4), st.integers(1, 1000)),
)
def test_who_does_as_a_refusal_says_is_let_in(costs_of, num_layers, num_cells, size):
    costs = costs_of(num_layers=num_layers, num_cells=num_cells)
    try:
        costs.check(*size)
    except UserError as error:
        count, samples = re.search(
            r"at most (\w+) series with num_samples=(\d+)", str(error)
        ).groups()
        allowed = (1 if count == "one" else int(count), int(samples), size[2])
        costs.check(*allowed)
        more = (allowed[0] + 1, *allowed[1:]) if count != "one" else (1, allowed[1] + 1, size[2])
        _refused(costs, *more)


def test_a_context_is_paid_for_without_many_draws(costs_of):
    costs_of(**LARGE).check(10_000, 1, 1)
    _refused(costs_of(**LARGE), 100_000, 1, 1)


def test_whatever_its_size_a_network_forecasts_one_path(costs_of):
    costs_of(num_layers=100, num_cells=10_000).check(1, 1, 1000)


def test_a_transform_may_ask_for_as_much_more_as_it_has_time(costs_of, monkeypatch):
    endpoint = costs_of(**LARGE)
    monkeypatch.setenv("SAGEMAKER_BATCH", "true")
    assert costs_of(**LARGE).budget == pytest.approx(60 * endpoint.budget)


@pytest.mark.parametrize("steps", [1, 2, 12])
def test_all_products_of_the_upper_layers_are_counted_and_not_twice(
    make_predictor, make_wave, steps
):
    """What torch counts beside: it leaves out products in place, and so the first layer's."""
    one, three = (make_predictor(num_layers=layers, num_cells=256) for layers in (1, 3))
    series = [make_wave(30, seed) for seed in range(8)]

    def products(samples):
        with FlopCounterMode(display=False) as counter:
            three.forecast(series, num_samples=samples, num_steps=steps)
        return counter.get_total_flops() / 2

    def counted(predictor):
        return predictor.costs.of(8, 80, steps) - predictor.costs.of(8, 40, steps)

    upper = counted(three) - counted(one)
    assert 0.9 * upper < products(80) - products(40) < upper


def test_a_request_that_may_not_cost_more_fills_a_batch(make_predictor):
    predictor = make_predictor(**LARGE)
    with pytest.raises(UserError) as refusal:
        predictor.decode(_body(1500, num_samples=1000), MediaType(JSON))
    most = int(re.search(r"at most (\d+) series", str(refusal.value))[1])
    request = predictor.decode(_body(most, num_samples=1000), MediaType(JSON))
    assert predictor.weight(request) > predictor.max_weight
