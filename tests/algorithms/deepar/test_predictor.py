"""A model written, read and asked: same weights, same answers; and damaged ones refused."""

import numpy as np
import orjson
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.deepar.artifact import load, write_artifact
from sm_dl.content_types import JSON, JSON_LINES, MediaType
from sm_dl.errors import UserError

AHEAD = 4
INSTANCE = {"start": "2012-01-30", "target": [1.0, 2.0, 4.0]}
FACTS = {
    "plain": {},
    "everything": {"cardinality": (3, 2), "num_dynamic": 2, "has_gaps": True},
    "no zoneout": {"zoneout_rate": 0.0},
    "one layer": {"num_layers": 1},
    **{name: {"likelihood": name} for name in ("gaussian", "beta", "negative-binomial")},
    "point": {"likelihood": "deterministic-L1"},
}
LEARNT = [
    "time_freq", "prediction_length", "context_length", "likelihood", "num_layers", "num_cells",
    "dropout_rate", "embedding_dimension", "lags", "calendar_features", "cardinality",
    "num_dynamic_feat", "has_gaps",
    "feature_means",
    "feature_deviations",
]  # fmt: skip
NEEDED = [name for name in LEARNT if name != "calendar_features"]
WRONG_TYPES = [
    (name, value)
    for name in NEEDED
    for value in (None, "x", {})
    if name != "has_gaps"  # of any type, it is true or false
]
OUT_OF_RANGE = [
    ("feature_means", [0.0] * 9),
    ("feature_deviations", [1.0]),
    ("time_freq", "0H"), ("time_freq", 5), ("likelihood", "poisson"), ("prediction_length", 0),
    ("prediction_length", -3), ("context_length", 0), ("context_length", -1), ("num_layers", 0),
    ("num_layers", -1), ("num_layers", 3), ("num_cells", 0), ("num_cells", -6), ("num_cells", 7),
    ("num_cells", 10**12), ("embedding_dimension", -1), ("embedding_dimension", 4), ("lags", []),
    ("lags", [1, 2]), ("lags", [0, 1, 2]), ("lags", [-1, 1, 2]), ("lags", [1, 5, 2]),
    ("lags", ["x", 1, 2]), ("cardinality", [3]), ("cardinality", [-3, 2]), ("cardinality", [4, 2]),
    ("num_dynamic_feat", -2), ("num_dynamic_feat", 1), ("dropout_rate", -0.1),
    ("dropout_rate", 1.5), ("has_gaps", False),
]  # fmt: skip


@pytest.fixture
def ask():
    """Return a way to ask a predictor as a client does, and to read its answer."""

    def send(predictor, body, media=JSON):
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        forecasts = predictor.predict([predictor.decode(content, MediaType(media))])
        answer = predictor.encode(forecasts[0], media)
        if media == JSON_LINES:
            return [orjson.loads(line) for line in answer.splitlines()]
        return orjson.loads(answer)["predictions"]

    return send


@pytest.fixture
def artifact(make_predictor, tmp_path):
    """Return the folder of a written model with categories, features and gaps."""
    write_artifact(tmp_path, make_predictor(**FACTS["everything"]), {"epochs": 3})
    return tmp_path


def change_facts(folder, change):
    """Rewrite the learnt facts of an artifact."""
    path = folder / "model.json"
    document = orjson.loads(path.read_bytes())
    change(document["facts"])
    path.write_bytes(orjson.dumps(document))


def histories(make_wave, shape, horizon=AHEAD):
    """Return series of several lengths that fit a network."""
    return [
        make_wave(
            length,
            length,
            likelihood=shape.likelihood,
            gaps=0.2,
            cardinality=shape.cardinality,
            num_dynamic=shape.num_dynamic,
            horizon=horizon,
        )
        for length in (2, 9, 40)
    ]


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_a_written_model_read_again_forecasts_the_same(make_predictor, make_wave, tmp_path, facts):
    predictor = make_predictor(**facts)
    write_artifact(tmp_path, predictor, {})
    series = histories(make_wave, predictor.network.shape)
    before, after = (
        one.forecast(series, num_samples=5, num_steps=AHEAD, seed=7)
        for one in (predictor, load(tmp_path))
    )
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_a_written_model_keeps_the_shape_of_its_network(make_predictor, tmp_path, facts):
    predictor = make_predictor(**facts)
    write_artifact(tmp_path, predictor, {})
    assert load(tmp_path).network.shape == predictor.network.shape


@pytest.mark.parametrize("frequency", ["M", "W", "2D", "H", "15min"])
def test_a_written_model_keeps_what_its_series_have_in_common(make_predictor, tmp_path, frequency):
    predictor = make_predictor(frequency=frequency, **FACTS["everything"])
    write_artifact(tmp_path, predictor, {})
    assert load(tmp_path).schema == predictor.schema


def test_a_written_model_keeps_its_context(artifact, make_predictor):
    assert load(artifact).context_length == make_predictor().context_length


def test_a_written_model_tells_how_it_was_trained(artifact):
    facts = orjson.loads((artifact / "model.json").read_bytes())["facts"]
    assert facts["hyperparameters"] == {"epochs": 3}


def test_a_written_model_tells_what_it_learnt_of_the_data(artifact):
    facts = orjson.loads((artifact / "model.json").read_bytes())["facts"]
    assert set(facts) == {*LEARNT, "hyperparameters"}


@pytest.mark.parametrize("name", NEEDED)
def test_a_model_that_lacks_a_fact_is_refused(artifact, name):
    change_facts(artifact, lambda facts: facts.pop(name))
    with pytest.raises(UserError, match=r"does not describe a DeepAR model"):
        load(artifact)


@pytest.mark.parametrize(("name", "value"), WRONG_TYPES, ids=str)
def test_a_model_with_a_fact_of_another_type_is_refused(artifact, name, value):
    change_facts(artifact, lambda facts: facts.update({name: value}))
    with pytest.raises(UserError, match=r"model\.json"):
        load(artifact)


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE, ids=str)
def test_a_model_with_a_fact_that_cannot_be_is_refused(artifact, name, value):
    change_facts(artifact, lambda facts: facts.update({name: value}))
    with pytest.raises(UserError, match=r"model\.json"):
        load(artifact)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_a_model_that_lacks_a_file_is_refused(artifact, name):
    (artifact / name).unlink()
    with pytest.raises(UserError, match=name):
        load(artifact)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_a_model_with_a_file_cut_short_is_refused(artifact, name):
    path = artifact / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=name):
        load(artifact)


def test_a_model_with_a_weight_that_is_not_finite_is_refused(make_predictor, tmp_path):
    predictor = make_predictor()
    with torch.no_grad():
        predictor.network.output.bias[0] = float("nan")
    write_artifact(tmp_path, predictor, {})
    with pytest.raises(UserError, match=r"output\.bias holds a value that is not finite"):
        load(tmp_path)


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
@pytest.mark.parametrize("steps", [1, AHEAD])
def test_a_forecast_has_as_many_paths_and_steps_as_asked_for(
    make_predictor, make_wave, facts, steps
):
    predictor = make_predictor(**facts)
    series = histories(make_wave, predictor.network.shape)
    paths = predictor.forecast(series, num_samples=7, num_steps=steps, seed=0)
    assert paths.shape == (3, 7, steps)


@pytest.mark.parametrize("target", [[], [np.nan], [np.nan] * 30, [0.0], [0.0] * 30, [5.0]])
@pytest.mark.parametrize("facts", [{}, {"has_gaps": True}], ids=["plain", "gaps"])
def test_a_forecast_of_next_to_nothing_is_finite(make_predictor, make_series, target, facts):
    paths = make_predictor(**facts).forecast(
        [make_series(target)], num_samples=5, num_steps=AHEAD, seed=0
    )
    assert np.isfinite(paths).all()


@pytest.mark.parametrize("likelihood", ["student-T", "negative-binomial", "deterministic-L1"])
@pytest.mark.parametrize("steps", [1, 3])
def test_a_shorter_forecast_is_the_beginning_of_a_longer_one(
    make_predictor, make_wave, likelihood, steps
):
    predictor = make_predictor(likelihood=likelihood, cardinality=(3,), num_dynamic=1)
    series = histories(make_wave, predictor.network.shape)
    short, long = (
        predictor.forecast(series, num_samples=5, num_steps=count, seed=3)
        for count in (steps, AHEAD)
    )
    np.testing.assert_allclose(short, long[:, :, :steps], rtol=1e-5, atol=1e-5)


def test_the_same_seed_gives_the_same_forecast(make_predictor, make_series):
    predictor, series = make_predictor(), [make_series([1.0, 2.0])]
    first, second = (
        predictor.forecast(series, num_samples=5, num_steps=AHEAD, seed=3) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("seeds", [(3, 4), (None, None)])
def test_another_seed_or_none_gives_another_forecast(make_predictor, make_series, seeds):
    predictor, series = make_predictor(), [make_series([1.0, 2.0])]
    first, second = (
        predictor.forecast(series, num_samples=5, num_steps=AHEAD, seed=seed) for seed in seeds
    )
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("frequency", ["min", "H", "D", "W", "M"])
@pytest.mark.parametrize("length", [1, 3, 30])
def test_a_forecast_does_not_depend_on_the_other_series_of_a_request(
    make_predictor, make_wave, make_series, frequency, length
):
    predictor = make_predictor(likelihood="deterministic-L1", frequency=frequency)
    months = frequency == "M"
    one = make_series(make_wave(length, 1).target_T, start=1200 if months else 60_000 * 1440)
    older = make_series(make_wave(30, 2).target_T, start=0)
    alone, beside = (
        predictor.forecast(series, num_samples=1, num_steps=AHEAD)[0]
        for series in ([one], [one, older])
    )
    np.testing.assert_allclose(alone, beside, rtol=1e-5, atol=1e-5)


def test_a_forecast_follows_the_units_of_the_data(make_predictor, make_wave, make_series):
    predictor = make_predictor(likelihood="deterministic-L1")
    layer = predictor.network.recurrent_layers()[0]
    with torch.no_grad():
        layer.weight_ih_l0[:, layer.num_inputs - 1] = 0.0  # deaf to the logarithm of the scale
    target = make_wave(40, 1).target_T
    small, large = (
        predictor.forecast([make_series(target * size)], num_samples=1, num_steps=AHEAD)
        for size in (1.0, 1000.0)
    )
    np.testing.assert_allclose(1000 * small, large, rtol=1e-4)


def test_a_request_is_answered_with_the_samples_it_asks_for(make_predictor, ask):
    configuration = {"num_samples": 6, "output_types": ["samples"]}
    body = {"instances": [INSTANCE, INSTANCE], "configuration": configuration}
    predictions = ask(make_predictor(), body)
    assert [np.shape(one["samples"]) for one in predictions] == [(6, AHEAD), (6, AHEAD)]


def test_a_request_may_ask_for_fewer_steps(make_predictor, ask):
    configuration = {"output_types": ["mean"], "prediction_length": 3}
    predictions = ask(make_predictor(), {"instances": [INSTANCE], "configuration": configuration})
    assert len(predictions[0]["mean"]) == 3


def test_the_same_request_with_a_seed_gets_the_same_answer(make_predictor, ask):
    predictor = make_predictor()
    body = {"instances": [INSTANCE], "configuration": {"seed": 5}}
    assert ask(predictor, body) == ask(predictor, body)


def test_the_mean_and_the_quantiles_are_those_of_the_samples(make_predictor, ask):
    configuration = {
        "num_samples": 50, "output_types": ["mean", "quantiles", "samples"], "quantiles": ["0.5"],
    }  # fmt: skip
    body = {"instances": [INSTANCE], "configuration": configuration}
    one = ask(make_predictor(), body)[0]
    expected = [np.mean(one["samples"], axis=0), np.median(one["samples"], axis=0)]
    np.testing.assert_allclose([one["mean"], one["quantiles"]["0.5"]], expected, rtol=1e-5)


def test_quantiles_do_not_cross(make_predictor, ask):
    quantiles = ask(make_predictor(), {"instances": [INSTANCE]})[0]["quantiles"]
    assert (np.diff(list(quantiles.values()), axis=0) >= 0).all()


def test_lines_are_answered_line_by_line_in_order(make_predictor, ask):
    predictor = make_predictor(likelihood="deterministic-L1")
    instances = [INSTANCE | {"target": [value] * 9} for value in (1.0, 100.0, 10.0)]
    lines = b"\n".join(map(orjson.dumps, instances))
    single = [ask(predictor, {"instances": [one]})[0]["mean"] for one in instances]
    together = [one["mean"] for one in ask(predictor, lines, JSON_LINES)]
    np.testing.assert_allclose(together, single, rtol=1e-5)


@pytest.mark.parametrize("body", [b"", b"\n", b" \n\r\n"])
def test_lines_that_are_all_blank_are_refused_or_answered_with_none(make_predictor, ask, body):
    try:
        answer = ask(make_predictor(), body, JSON_LINES)
    except UserError:
        answer = []
    assert answer == []


def test_each_request_has_its_own_answer(make_predictor):
    predictor = make_predictor(likelihood="deterministic-L1")
    bodies = [
        orjson.dumps({"instances": [INSTANCE | {"target": [value] * 9}]}) for value in (1.0, 50.0)
    ]
    requests = [predictor.decode(body, MediaType(JSON)) for body in bodies]
    together = [forecast.paths_BKQ for forecast in predictor.predict(requests)]
    single = [predictor.predict([request])[0].paths_BKQ for request in requests]
    np.testing.assert_array_equal(together, single)


def test_no_requests_have_no_answers(make_predictor):
    assert make_predictor().predict([]) == []


@pytest.mark.parametrize("media", [JSON, JSON_LINES])
def test_a_request_is_answered_in_its_own_type(make_predictor, media):
    assert make_predictor().answer_type_for(media) == media


def test_the_environment_configures_requests_without_configuration(
    make_predictor, ask, monkeypatch
):
    text = '{"num_samples": 3, "output_types": ["samples"]}'
    monkeypatch.setenv("DEEPAR_INFERENCE_CONFIG", text)
    one = ask(make_predictor(), orjson.dumps(INSTANCE), JSON_LINES)[0]
    assert np.shape(one["samples"]) == (3, AHEAD)


@pytest.mark.parametrize(
    ("samples", "levels", "rough"),
    [(100, ["0.04", "0.5"], ["0.04"]), (100, ["0.05", "0.95"], []), (9, ["0.5"], ["0.5"])],
)
def test_a_warning_tells_which_quantiles_are_rough(
    make_predictor, ask, log, samples, levels, rough
):
    configuration = {"num_samples": samples, "quantiles": levels}
    ask(make_predictor(), {"instances": [INSTANCE], "configuration": configuration})
    assert [message.split()[1] for message in log.messages] == rough


def test_nothing_is_said_about_quantiles_nobody_asked_for(make_predictor, ask, log):
    configuration = {"num_samples": 2, "output_types": ["mean"]}
    ask(make_predictor(), {"instances": [INSTANCE], "configuration": configuration})
    assert log.messages == []


@given(
    target=st.lists(st.none() | st.floats(-1e30, 1e30), max_size=20),
    start=st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S").zfill(19)),
)
@settings(deadline=None, max_examples=40)
def test_whatever_is_read_is_answered(make_predictor, target, start):
    predictor = make_predictor(has_gaps=True)
    body = orjson.dumps({"instances": [{"start": start, "target": target}]})
    forecast = predictor.predict([predictor.decode(body, MediaType(JSON))])[0]
    assert forecast.paths_BKQ.shape == (1, 100, AHEAD)


def _request(seed, samples, steps, *lengths, **more):
    """Return a request with a series of each length; 0 is one without a history."""
    random = np.random.default_rng(sum(lengths))
    instances = [
        {"start": "2012-01-30", "target": random.integers(0, 2, length).tolist()}
        for length in lengths
    ]
    configuration = {"num_samples": samples, "prediction_length": steps, **more}
    if seed is not None:
        configuration["seed"] = seed
    return {"instances": instances, "configuration": configuration}


SEEDED = [
    _request(1, 1, AHEAD, 9),
    _request(2, 100, AHEAD, 30, 0),
    _request(3, 7, 2, 5, 6, 7),
    _request(1, 100, AHEAD, 9, 0),
    _request(9, 1000, AHEAD, *range(3, 12)),
    _request(4, 2, AHEAD, 0),
]
"""Of several horizons, numbers of paths and seeds; one takes more than a sweep, some have no past."""


def _paths(predictor, bodies):
    requests = [predictor.decode(orjson.dumps(body), MediaType(JSON)) for body in bodies]
    return [forecast.paths_BKQ for forecast in predictor.predict(requests)]


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_a_seeded_request_gets_the_same_paths_whatever_it_is_batched_with(make_predictor, facts):
    predictor = make_predictor(**facts | {"cardinality": (), "num_dynamic": 0})
    unseeded = _request(None, 50, AHEAD, 20)
    together = _paths(predictor, [unseeded, *SEEDED, unseeded])[1:-1]
    for body, paths in zip(SEEDED, together, strict=True):
        np.testing.assert_array_equal(paths, _paths(predictor, [body])[0])


def test_point_forecasts_do_not_depend_on_what_they_are_batched_with(make_predictor):
    predictor = make_predictor(likelihood="deterministic-L1")
    bodies = [_request(None, samples, AHEAD, length) for samples, length in [(1, 9), (5, 30)]]
    together = _paths(predictor, bodies)
    for body, paths in zip(bodies, together, strict=True):
        np.testing.assert_array_equal(paths, _paths(predictor, [body])[0])


def test_unseeded_requests_of_one_batch_draw_different_noise(make_predictor):
    one, other = _paths(make_predictor(), [_request(None, 5, AHEAD, 9)] * 2)
    assert (one != other).all()


def test_a_request_weighs_its_paths(make_predictor):
    predictor = make_predictor()
    request = predictor.decode(orjson.dumps(_request(1, 70, AHEAD, 3, 4, 5)), MediaType(JSON))
    assert (predictor.weight(request), predictor.max_weight) == (210, 4096)


def test_requests_thousands_of_years_apart_are_each_answered(make_predictor):
    predictor = make_predictor()
    bodies = [_request(1, 5, AHEAD, 9), _request(2, 5, AHEAD, 9)]
    bodies[1]["instances"][0]["start"] = "8024-01-01"
    together = _paths(predictor, bodies)
    for body, paths in zip(bodies, together, strict=True):
        np.testing.assert_array_equal(paths, _paths(predictor, [body])[0])


def test_one_request_that_spans_thousands_of_years_is_refused_before_it_is_predicted(
    make_predictor,
):
    body = _request(1, 5, AHEAD, 9, 9)
    body["instances"][1]["start"] = "8024-01-01"
    with pytest.raises(UserError, match="the series span 219"):
        make_predictor().decode(orjson.dumps(body), MediaType(JSON))
