"""Requests and responses byte by byte, as the guide documents them, and what else may arrive."""

import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.deepar.codec import (
    MAX_SAMPLES,
    Configuration,
    Forecast,
    batch_configuration,
    decode,
    encode,
)
from sm_dl.algorithms.deepar.series import START
from sm_dl.content_types import JSON, JSON_LINES, MediaType
from sm_dl.errors import UserError

DOCUMENTED_REQUEST = b"""
{
  "instances": [
    {"start": "2009-11-01 00:00:00", "target": [4.0, 10.0, "NaN", 100.0, 113.0],
     "cat": [0, 1], "dynamic_feat": [[1.0, 1.1, 2.1, 0.5, 3.1, 4.1, 1.2]]},
    {"start": "2012-01-30", "target": [1.0],
     "cat": [2, 1], "dynamic_feat": [[2.0, 3.1, 4.5]]}
  ],
  "configuration": {"num_samples": 50, "output_types": ["mean", "quantiles", "samples"],
                    "quantiles": ["0.5", "0.9"]}
}
"""
PATHS = np.float32([[[1, 2], [3, 6]], [[5, 5], [5, 5]]])
DECILES = tuple(f"0.{digit}" for digit in range(1, 10))
INSTANCE = {"start": "2012-01-30", "target": [1.0]}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=2), inner),
    max_leaves=8,
)
numbers = st.floats(-1e6, 1e6) | st.integers(-9, 9) | st.sampled_from([None, "NaN"])
instances = st.fixed_dictionaries(
    {},
    optional={
        "start": st.from_regex(START, fullmatch=True) | st.just("2012-01-30") | json_values,
        "target": st.lists(numbers, max_size=5) | json_values,
        "cat": st.lists(st.integers(0, 3), max_size=3) | json_values,
        "dynamic_feat": st.lists(st.lists(st.floats(-9, 9), min_size=2, max_size=6)) | json_values,
    },
)
configurations = st.fixed_dictionaries(
    {},
    optional={
        "num_samples": st.integers(-1, 200) | json_values,
        "output_types": st.lists(st.sampled_from(["mean", "quantiles", "samples", "x"]))
        | json_values,
        "quantiles": st.lists(st.floats(0, 1).map(str) | json_values) | json_values,
        "prediction_length": st.integers(-1, 4) | json_values,
        "seed": json_values,
    },
)


@pytest.fixture(scope="session")
def read(make_schema):
    """Return a decoder of bodies for a model with changed facts."""

    def read_body(body, media=JSON, default=None, **facts):
        schema = make_schema(**({"prediction_length": 2} | facts))
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return decode(content, MediaType(media), schema, default or Configuration())

    return read_body


def configured(**configuration):
    """Return a request of one series with this configuration."""
    return {"instances": [INSTANCE], "configuration": configuration}


def answer(media=JSON, **configuration):
    return encode(Forecast(PATHS, Configuration(**configuration)), media)


def test_the_documented_request_is_read(read):
    request = read(DOCUMENTED_REQUEST, cardinality=(3, 2), num_dynamic=1)
    assert [(len(one), one.cat_C, one.dynamic_DT.shape) for one in request.series] == [
        (5, (0, 1), (1, 7)),
        (1, (2, 1), (1, 3)),
    ]


def test_the_documented_configuration_is_read(read):
    wanted = read(DOCUMENTED_REQUEST, cardinality=(3, 2), num_dynamic=1).configuration
    assert (wanted.num_samples, wanted.output_types, wanted.quantiles) == (
        50,
        ("mean", "quantiles", "samples"),
        ("0.5", "0.9"),
    )


def test_the_response_has_the_documented_shape():
    wanted = {"output_types": ["mean", "quantiles", "samples"], "quantiles": ["0.5", "0.75"]}
    assert answer(**wanted) == (
        b'{"predictions":['
        b'{"quantiles":{"0.5":[2.0,4.0],"0.75":[2.5,5.0]},'
        b'"samples":[[1.0,2.0],[3.0,6.0]],"mean":[2.0,4.0]},'
        b'{"quantiles":{"0.5":[5.0,5.0],"0.75":[5.0,5.0]},'
        b'"samples":[[5.0,5.0],[5.0,5.0]],"mean":[5.0,5.0]}]}'
    )


def test_the_response_in_lines_has_the_documented_shape():
    wanted = {"output_types": ["mean", "quantiles"], "quantiles": ["0.5"]}
    assert answer(JSON_LINES, **wanted) == (
        b'{"quantiles":{"0.5":[2.0,4.0]},"mean":[2.0,4.0]}\n'
        b'{"quantiles":{"0.5":[5.0,5.0]},"mean":[5.0,5.0]}\n'
    )


@pytest.mark.parametrize("types", [["mean"], ["samples"], ["quantiles"], ["mean", "samples"], []])
def test_only_what_is_named_comes_back(types):
    predictions = orjson.loads(answer(output_types=types))["predictions"]
    assert all(set(prediction) == set(types) for prediction in predictions)


def test_levels_are_repeated_as_they_were_sent():
    levels = ["0.09999999999999998", "0.5", "0.50", "5e-1", "0.9"]
    sent = answer(output_types=["quantiles"], quantiles=levels)
    assert list(orjson.loads(sent)["predictions"][0]["quantiles"]) == levels


def test_levels_may_be_numbers():
    sent = answer(output_types=["quantiles"], quantiles=[0.25, 0.5])
    assert list(orjson.loads(sent)["predictions"][0]["quantiles"]) == ["0.25", "0.5"]


def test_no_levels_are_no_quantiles():
    sent = answer(output_types=["quantiles"], quantiles=[])
    assert orjson.loads(sent)["predictions"][0] == {"quantiles": {}}


def test_samples_are_as_many_lists_as_paths_of_the_length_of_the_forecast():
    forecast = Forecast(np.zeros((1, 7, 3), np.float32), Configuration(output_types=["samples"]))
    samples = orjson.loads(encode(forecast, JSON))["predictions"][0]["samples"]
    assert np.shape(samples) == (7, 3)


def test_means_of_many_paths_do_not_lose_digits():
    paths = np.full((1, 10_000, 1), 0.1, dtype=np.float32)
    sent = encode(Forecast(paths, Configuration(output_types=["mean"])), JSON)
    mean = orjson.loads(sent)["predictions"][0]["mean"][0]
    assert mean == pytest.approx(float(np.float32(0.1)), rel=1e-9)


def test_without_series_there_are_no_lines():
    assert encode(Forecast(np.zeros((0, 5, 2)), Configuration()), JSON_LINES) == b""


@pytest.mark.parametrize("body", [{"instances": [INSTANCE]}, configured(), configured(other=1)])
def test_what_a_configuration_leaves_out_has_the_documented_defaults(read, body):
    wanted = read(body).configuration
    assert (wanted.num_samples, wanted.output_types, wanted.quantiles) == (
        100,
        ("mean", "quantiles"),
        DECILES,
    )


def test_no_configuration_means_the_given_default(read):
    default = Configuration(num_samples=7)
    assert read({"instances": [INSTANCE]}, default=default).configuration.num_samples == 7


def test_a_configuration_that_is_null_means_the_given_default(read):
    body = {"instances": [INSTANCE], "configuration": None}
    assert read(body, default=Configuration(num_samples=7)).configuration.num_samples == 7


def test_lines_have_the_given_default(read):
    request = read(orjson.dumps(INSTANCE), JSON_LINES, Configuration(num_samples=7))
    assert request.configuration.num_samples == 7


def test_the_environment_configures_a_batch_job():
    text = '{"num_samples": 20, "output_types": ["mean"], "quantiles": ["0.5"]}'
    assert batch_configuration({"DEEPAR_INFERENCE_CONFIG": text}) == Configuration(
        num_samples=20, output_types=("mean",), quantiles=("0.5",)
    )


@pytest.mark.parametrize("environment", [{}, {"DEEPAR_INFERENCE_CONFIG": " "}])
def test_an_environment_without_configuration_has_the_documented_defaults(environment):
    assert batch_configuration(environment) == Configuration()


@pytest.mark.parametrize("number", [50, 50.0, "50"])
def test_a_number_may_be_written_as_clients_write_it(read, number):
    body = {"instances": [INSTANCE], "configuration": {"num_samples": number}}
    assert read(body).configuration.num_samples == 50


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"num_samples": 0}', '{"quantiles": ["2"]}'])
def test_a_wrong_configuration_in_the_environment_is_named(text):
    with pytest.raises(UserError, match=r"^environment variable DEEPAR_INFERENCE_CONFIG"):
        batch_configuration({"DEEPAR_INFERENCE_CONFIG": text})


@pytest.mark.parametrize("steps", [1, 2])
def test_a_client_may_ask_for_fewer_steps(read, steps):
    assert read(configured(prediction_length=steps)).configuration.prediction_length == steps


def test_a_client_who_asks_for_nothing_gets_the_trained_steps(read):
    assert read(configured()).configuration.prediction_length == 2


def test_more_steps_than_trained_are_refused(read):
    with pytest.raises(UserError, match=r"^configuration prediction_length: expected at most 2"):
        read(configured(prediction_length=3))


def test_a_client_may_send_a_seed(read):
    assert read(configured(seed=2**62)).configuration.seed == 2**62


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_samples", 0), ("num_samples", -1), ("num_samples", MAX_SAMPLES + 1),
        ("num_samples", 1.5), ("num_samples", "many"), ("num_samples", None), ("num_samples", []),
        ("output_types", ["median"]), ("output_types", "mean"), ("output_types", [["mean"]]),
        ("output_types", 3), ("output_types", None),
        ("quantiles", ["0"]), ("quantiles", ["1"]), ("quantiles", ["-0.1"]), ("quantiles", ["x"]),
        ("quantiles", ["nan"]), ("quantiles", [""]), ("quantiles", [None]), ("quantiles", [[0.5]]),
        ("quantiles", [True]), ("quantiles", "0.5"), ("quantiles", {"0.5": 1}), ("quantiles", 0.5),
        ("prediction_length", 0), ("prediction_length", -1), ("prediction_length", "two"),
        ("seed", -1), ("seed", 2**63), ("seed", "x"), ("seed", 0.5),
        ("num_samples", True), ("prediction_length", True), ("seed", False),
    ],
)  # fmt: skip
def test_a_wrong_value_of_the_configuration_is_named(read, key, value):
    with pytest.raises(UserError, match=f"^configuration {key}: expected"):
        read(configured(**{key: value}))


def test_a_text_where_a_list_belongs_is_told_so(read):
    with pytest.raises(UserError) as refusal:
        read(configured(output_types="mean"))
    assert str(refusal.value) == (
        "configuration output_types: expected a list of one of mean, quantiles, samples; got 'mean'."
    )


@pytest.mark.parametrize("configuration", [[], "mean", 3, True])
def test_a_configuration_that_is_no_object_is_refused(read, configuration):
    with pytest.raises(UserError, match=r"^configuration: expected an object"):
        read({"instances": [INSTANCE], "configuration": configuration})


@pytest.mark.parametrize("body", [{}, {"instances": []}, {"instances": None}, {"instances": {}}])
def test_a_request_without_instances_is_refused(read, body):
    with pytest.raises(UserError, match=r"^instances: expected a list of series"):
        read(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"3", b"{", b"\xff", b"NaN", b'{"a": NaN}', b"null"])
def test_a_body_that_is_no_json_object_is_refused(read, body):
    with pytest.raises(UserError, match=r"^request body: expected a JSON object"):
        read(body)


@pytest.mark.parametrize("instance", [None, 3, "x", [], [1.0]])
def test_an_instance_that_is_no_object_is_refused(read, instance):
    with pytest.raises(UserError, match=r"^instances\[1\]: expected an object"):
        read({"instances": [INSTANCE, instance]})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": None}, "start: expected"),
        ({"start": "2012-01-30T00:00:00Z"}, "start: .*Remove the time zone"),
        ({"target": None}, "target: expected"),
        ({"target": ["x"]}, "target: .*position 0"),
        ({"cat": None}, "cat: expected 1 categories"),
        ({"cat": [0, 0]}, "cat: expected 1 categories"),
        ({"cat": [3]}, r"cat\[0\]: expected 0 to 2; got 3"),
        ({"cat": [-1]}, "cat: expected a list of integers"),
        ({"dynamic_feat": None}, "dynamic_feat: expected 1 lists"),
        ({"dynamic_feat": [[1, 2, 3], [1, 2, 3]]}, "dynamic_feat: expected 1 lists"),
        ({"dynamic_feat": [[1]]}, "dynamic_feat: .*3 values; got 1"),
        ({"dynamic_feat": [[1, 2]]}, "dynamic_feat: .*3 values; got 2"),
        ({"dynamic_feat": [[1, 2, 3, 4]]}, "dynamic_feat: .*3 values; got 4"),
        ({"dynamic_feat": [[1, None, 3]]}, r"dynamic_feat\[0\]: .*missing"),
    ],
)
def test_an_instance_that_does_not_fit_the_model_is_named(read, changes, words):
    instance = INSTANCE | {"cat": [0], "dynamic_feat": [[1, 2, 3]]} | changes
    with pytest.raises(UserError, match=rf"^instances\[0\]: {words}"):
        read({"instances": [instance]}, cardinality=(3,), num_dynamic=1)


@pytest.mark.parametrize(
    ("likelihood", "value"), [("beta", 1.5), ("negative-binomial", 0.5), ("negative-binomial", -1)]
)
def test_a_target_that_the_likelihood_cannot_give_is_refused(read, likelihood, value):
    with pytest.raises(UserError, match=rf"^instances\[0\]: target: likelihood {likelihood}"):
        read({"instances": [INSTANCE | {"target": [value]}]}, likelihood=likelihood)


@pytest.mark.parametrize("needless", [{"cat": [7]}, {"cat": "x"}, {"dynamic_feat": [[1]]}])
def test_what_the_model_was_not_trained_with_is_ignored(read, needless):
    series = read({"instances": [INSTANCE | needless]}).series[0]
    assert (series.cat_C, series.dynamic_DT) == (None, None)


@pytest.mark.parametrize("needless", [{"cat": [7]}, {"dynamic_feat": [[1]]}])
def test_a_warning_tells_that_something_is_ignored(read, needless, log):
    read({"instances": [INSTANCE | needless]})
    assert next(iter(needless)) in log.text


@pytest.mark.parametrize("target", [[], [None], ["NaN", None], [1.0]])
def test_a_target_may_be_very_short_or_missing(read, target):
    assert len(read({"instances": [INSTANCE | {"target": target}]}).series[0]) == len(target)


def test_as_many_draws_as_allowed_are_read(read):
    assert read(configured(num_samples=10_000), prediction_length=2000).series


def test_too_many_draws_are_refused(read):
    with pytest.raises(UserError, match=r"^request: expected at most .*got 20010000. Send fewer"):
        read(configured(num_samples=10_000), prediction_length=2001)


def test_too_many_series_are_refused(read):
    body = {"instances": [INSTANCE] * 3, "configuration": {"num_samples": 10_000}}
    with pytest.raises(UserError, match=r"^request: expected at most .*got 21000000"):
        read(body, prediction_length=700)


def test_more_quantiles_than_a_body_may_ask_for_are_refused(read):
    body = {"instances": [INSTANCE] * 300}
    body["configuration"] = {"num_samples": 1, "quantiles": ["0.5"] * 40_000}
    with pytest.raises(UserError, match=r"^request: expected at most .*got 24000000"):
        read(body)


def test_fewer_steps_allow_more_draws(read):
    body = configured(num_samples=10_000, prediction_length=1)
    assert read(body, prediction_length=2001).configuration.prediction_length == 1


def test_lines_are_read_in_order(read):
    lines = [orjson.dumps(INSTANCE | {"target": [value]}) for value in (3.0, 1.0, 2.0)]
    request = read(b"\n".join(lines), JSON_LINES)
    assert [float(one.target_T[0]) for one in request.series] == [3.0, 1.0, 2.0]


def test_blank_lines_hold_no_series(read):
    line = orjson.dumps(INSTANCE)
    assert len(read(b"\n" + line + b"\r\n \n\n" + line + b"\n", JSON_LINES).series) == 2


def test_a_wrong_line_is_named_by_its_number_in_the_body(read):
    body = orjson.dumps(INSTANCE) + b"\n\n" + b'{"start": "2012-01-30"}\n'
    with pytest.raises(UserError, match=r"^line 3: target: expected"):
        read(body, JSON_LINES)


def test_a_line_that_is_no_json_is_named(read):
    with pytest.raises(UserError, match=r"^line 2: expected a JSON object"):
        read(orjson.dumps(INSTANCE) + b"\n{", JSON_LINES)


def only_user_errors(read, body, media, **facts):
    """Read a body; any error but a UserError goes on to fail the test."""
    try:
        return read(body, media, **facts)
    except UserError:
        return None


@given(body=st.binary(max_size=60), media=st.sampled_from([JSON, JSON_LINES]))
def test_arbitrary_bytes_are_read_or_refused(read, body, media):
    only_user_errors(read, body, media)


@given(document=json_values, media=st.sampled_from([JSON, JSON_LINES]))
def test_arbitrary_json_is_read_or_refused(read, document, media):
    only_user_errors(read, json.dumps(document).encode(), media)


@given(instance=instances | json_values, configuration=configurations | json_values)
@settings(deadline=None, max_examples=300)
def test_arbitrary_requests_are_read_or_refused(read, instance, configuration):
    body = json.dumps({"instances": [instance], "configuration": configuration}).encode()
    only_user_errors(read, body, JSON, cardinality=(3,), num_dynamic=1)


@given(instance=instances)
@settings(deadline=None, max_examples=300)
def test_arbitrary_lines_are_read_or_refused(read, instance):
    only_user_errors(read, json.dumps(instance).encode(), JSON_LINES)
