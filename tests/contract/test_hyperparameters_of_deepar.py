"""DeepAR takes the service's values: every edge is accepted, the next value beyond it refused."""

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.deepar.hyperparameters import LIKELIHOODS, DeepARHyperparameters
from sm_dl.errors import UserError
from sm_dl.job.from_yaml import _load

steady = settings(derandomize=True, deadline=None)

REQUIRED = {"context_length": "72", "epochs": "3", "prediction_length": "24", "time_freq": "H"}
DEFAULTS = {
    "cardinality": "auto",
    "dropout_rate": 0.1,
    "early_stopping_patience": None,
    "embedding_dimension": 10,
    "learning_rate": 0.001,
    "likelihood": "student-T",
    "mini_batch_size": 128,
    "num_cells": 40,
    "num_dynamic_feat": "auto",
    "num_eval_samples": 100,
    "num_layers": 2,
    "test_quantiles": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
}
COUNTS = [
    "context_length",
    "epochs",
    "prediction_length",
    "early_stopping_patience",
    "embedding_dimension",
    "mini_batch_size",
    "num_cells",
    "num_dynamic_feat",
    "num_eval_samples",
    "num_layers",
]
ACCEPTED = [
    *((name, "1", 1) for name in COUNTS),
    *((name, "1000000", 1_000_000) for name in COUNTS if name != "num_layers"),
    ("num_layers", "1000", 1000),
    ("dropout_rate", "0", 0.0),
    ("dropout_rate", "1", 1.0),
    ("learning_rate", "1", 1.0),
    ("learning_rate", "5e-324", 5e-324),
    ("cardinality", "[1]", (1,)),
    ("cardinality", "[2, 3]", (2, 3)),
    ("cardinality", "auto", "auto"),
    ("cardinality", "ignore", "ignore"),
    ("cardinality", "", "ignore"),
    ("num_dynamic_feat", "auto", "auto"),
    ("num_dynamic_feat", "ignore", "ignore"),
    ("num_dynamic_feat", "", "ignore"),
    ("early_stopping_patience", "", None),
    ("test_quantiles", "[0.5]", (0.5,)),
    ("test_quantiles", "[1e-9, 0.999999]", (1e-9, 0.999999)),
    ("time_freq", " H ", "H"),
    ("time_freq", "1H", "1H"),
    ("seed", "4294967295", 2**32 - 1),
    ("max_bad_records", "0", 0),
    ("lags", "[24, 7, 24]", (1, 7, 24)),
    ("lags", "[100000]", (1, 100_000)),
    ("lags", "", None),
]
REFUSED = [
    *((name, "0") for name in COUNTS),
    ("num_layers", "1001"),
    *((name, "-1") for name in COUNTS),
    *((name, "1.5") for name in COUNTS),
    *((name, "1e3") for name in COUNTS),
    *((name, "[1]") for name in COUNTS),
    *((name, True) for name in COUNTS),
    ("dropout_rate", math.nextafter(0, -1)),
    ("dropout_rate", math.nextafter(1, 2)),
    ("dropout_rate", "nan"),
    ("learning_rate", "0"),
    ("learning_rate", math.nextafter(1, 2)),
    ("learning_rate", "-0.1"),
    ("learning_rate", "nan"),
    ("learning_rate", True),
    ("learning_rate", "0,1"),
    ("cardinality", "[]"),
    ("cardinality", "[0]"),
    ("cardinality", "[2, -1]"),
    ("cardinality", "[2.5]"),
    ("cardinality", "[true]"),
    ("cardinality", "[[2]]"),
    ("cardinality", "2"),
    ("cardinality", "2, 3"),
    ("cardinality", "none"),
    ("cardinality", {"a": 1}),
    ("num_dynamic_feat", "none"),
    ("likelihood", "poisson"),
    ("likelihood", 1),
    ("test_quantiles", "[]"),
    ("test_quantiles", "[0]"),
    ("test_quantiles", "[0.5, 1]"),
    ("test_quantiles", "[0.5, -0.1]"),
    ("test_quantiles", "0.5"),
    ("test_quantiles", "[NaN]"),
    ("test_quantiles", [math.nan]),
    ("test_quantiles", '["half"]'),
    ("time_freq", "0H"),
    ("time_freq", "-1H"),
    ("time_freq", "01H"),
    ("time_freq", "1.5H"),
    ("time_freq", "h"),
    ("time_freq", "S"),
    ("time_freq", "Y"),
    ("time_freq", "1 H"),
    ("time_freq", "HH"),
    ("time_freq", "Min"),
    ("time_freq", "٣H"),
    ("time_freq", "9" * 100 + "H"),
    ("time_freq", 1),
    ("seed", "-1"),
    ("max_bad_records", "-1"),
    ("seed", "4294967296"),
    ("lags", "[0]"),
    ("lags", "[100001]"),
    ("lags", "[1.5]"),
    ("lags", "24"),
]


def _value(name: str, given: object) -> object:
    return getattr(DeepARHyperparameters.parse({**REQUIRED, name: given}), name)


def _message(name: str, given: object) -> str:
    with pytest.raises(UserError) as refusal:
        _value(name, given)
    return str(refusal.value)


@pytest.mark.parametrize(("name", "given", "value"), ACCEPTED)
def test_an_edge_is_accepted(name: str, given: str, value: object) -> None:
    assert _value(name, given) == value


@pytest.mark.parametrize(("name", "given"), REFUSED)
def test_a_value_beyond_is_refused_by_name_with_what_came(name: str, given: object) -> None:
    message = _message(name, given)
    assert message.startswith(f"hyperparameter {name}: expected ")
    assert f"; got {given!r}"[:80] in message


def test_the_edges_cover_every_hyperparameter() -> None:
    tried = {name for name, _ in REFUSED}
    assert set(DeepARHyperparameters.model_fields) == tried


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_the_default_is_the_services(name: str, default: object) -> None:
    assert getattr(DeepARHyperparameters.parse(REQUIRED), name) == default


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_value_is_asked_for_by_name(name: str) -> None:
    values = {key: value for key, value in REQUIRED.items() if key != name}
    with pytest.raises(UserError, match=rf"^hyperparameter {name} is required: expected .*; set"):
        DeepARHyperparameters.parse(values)


def test_without_anything_all_four_required_values_are_asked_for() -> None:
    with pytest.raises(UserError) as refusal:
        DeepARHyperparameters.parse({})
    assert str(refusal.value).count("is required") == len(REQUIRED)


def test_the_names_in_the_services_logs_are_tolerated() -> None:
    hidden = {
        "_kvstore": "auto",
        "_num_gpus": "auto",
        "_num_kv_servers": "auto",
        "_tuning_objective_metric": "",
    }
    assert DeepARHyperparameters.parse(REQUIRED | hidden) == DeepARHyperparameters.parse(REQUIRED)


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title, " {} ".format, '"{}"'.format])
def test_a_likelihood_is_compared_without_regard_to_case(
    name: str, change: Callable[[str], str]
) -> None:
    assert _value("likelihood", change(name)) == name


@pytest.mark.parametrize(
    ("given", "meant"), [("gausian", "gaussian"), ("students-T", "student-T"), ("betta", "beta")]
)
def test_a_slip_in_the_likelihood_is_answered_by_the_nearest(given: str, meant: str) -> None:
    assert _message("likelihood", given).endswith(f"Did you mean {meant!r}?")


@pytest.mark.parametrize("name", ["cardinality", "num_dynamic_feat"])
@pytest.mark.parametrize(("given", "meant"), [("Auto", "auto"), ("ignored", "ignore")])
def test_a_slip_in_a_word_is_answered_by_the_nearest(name: str, given: str, meant: str) -> None:
    assert _message(name, given).endswith(f"Did you mean {meant!r}?")


@pytest.mark.parametrize("base", ["M", "W", "D", "H", "min"])
@pytest.mark.parametrize("multiple", ["", "1", "2", "5", "30", "100"])
def test_every_step_with_any_multiple_is_accepted(base: str, multiple: str) -> None:
    assert _value("time_freq", multiple + base) == multiple + base


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("epoch", "epochs"),
        ("prediction_lenght", "prediction_length"),
        ("dropout", "dropout_rate"),
        ("batch_size", "mini_batch_size"),
        ("num_cell", "num_cells"),
        ("freq", "time_freq"),
    ],
)
def test_a_slip_in_a_name_is_answered_by_the_nearest(name: str, meant: str) -> None:
    assert _message(name, "1").endswith(f"({name!r} was unexpected). Did you mean {meant!r}?")


@pytest.mark.parametrize("value", [1, 2.5, [1, 2], None, "", "[1, 2]", "x"])
def test_an_unknown_name_is_refused_whatever_its_value(value: object) -> None:
    with pytest.raises(UserError, match="Additional hyperparameters are not allowed"):
        DeepARHyperparameters.parse({**REQUIRED, "epoch": value})


NATIVE = st.fixed_dictionaries(
    {
        "context_length": st.integers(1, 10**6),
        "epochs": st.integers(1, 10**6),
        "prediction_length": st.integers(1, 10**6),
        "time_freq": st.sampled_from(["M", "2W", "D", "12H", "5min"]),
    },
    optional={
        "cardinality": st.sampled_from(["auto", "ignore"])
        | st.lists(st.integers(1, 10**6), min_size=1, max_size=4),
        "dropout_rate": st.floats(0, 1),
        "early_stopping_patience": st.integers(1, 1000),
        "learning_rate": st.floats(0, 1, exclude_min=True),
        "likelihood": st.sampled_from(LIKELIHOODS),
        "num_dynamic_feat": st.sampled_from(["auto", "ignore"]) | st.integers(1, 1000),
        "test_quantiles": st.lists(
            st.floats(0, 1, exclude_min=True, exclude_max=True), min_size=1, max_size=5
        ),
        "seed": st.integers(0, 2**32 - 1),
    },
)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@steady
@given(NATIVE)
def test_native_values_are_what_the_services_strings_are(values: dict[str, object]) -> None:
    strings = {name: _as_text(value) for name, value in values.items()}
    assert DeepARHyperparameters.parse(values) == DeepARHyperparameters.parse(strings)


@steady
@given(NATIVE)
def test_values_that_local_mode_wraps_in_json_are_the_same(values: dict[str, object]) -> None:
    wrapped = {name: json.dumps(_as_text(value)) for name, value in values.items()}
    assert DeepARHyperparameters.parse(values) == DeepARHyperparameters.parse(wrapped)


@steady
@given(NATIVE)
def test_checked_values_survive_json(values: dict[str, object]) -> None:
    checked = DeepARHyperparameters.parse(values)
    document = json.loads(checked.model_dump_json())
    assert DeepARHyperparameters.parse(document) == checked


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("epochs", "7"),
        ("epochs", "7.0"),
        ("learning_rate", "1e-4"),
        ("dropout_rate", "0"),
        ("time_freq", "5min"),
        ("cardinality", "auto"),
        ("cardinality", "[2, 3]"),
        ("test_quantiles", "[0.1, 0.9]"),
    ],
)
def test_a_line_of_yaml_means_what_the_services_string_means(name: str, text: str) -> None:
    assert _value(name, _load(text, "job.yaml")) == _value(name, text)
