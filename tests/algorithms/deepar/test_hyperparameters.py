"""The service's names, ranges, defaults and spellings."""

import pytest

from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.errors import UserError

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
REQUIRED = {
    "time_freq": "H",
    "context_length": "72",
    "prediction_length": "48",
    "epochs": "20",
}
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
    "test_quantiles": DECILES,
}
TUNED = {
    "epochs": (1, 1000),
    "context_length": (1, 200),
    "mini_batch_size": (32, 1028),
    "learning_rate": (1e-5, 1e-1),
    "num_cells": (30, 200),
    "num_layers": (1, 8),
    "dropout_rate": (0.0, 0.2),
    "embedding_dimension": (1, 50),
}
POSITIVE_INTEGERS = (
    "context_length", "epochs", "prediction_length", "early_stopping_patience",
    "embedding_dimension", "mini_batch_size", "num_cells", "num_eval_samples", "num_layers",
)  # fmt: skip
ACCEPTED = [
    *((name, "1", 1) for name in POSITIVE_INTEGERS),
    *((name, "32.0", 32) for name in POSITIVE_INTEGERS),
    ("prediction_length", "401", 401),
    ("early_stopping_patience", "", None),
    ("time_freq", "M", "M"),
    ("time_freq", " 5min ", "5min"),
    ("time_freq", "10000000W", "10000000W"),
    ("cardinality", "auto", "auto"),
    ("cardinality", '"auto"', "auto"),
    ("cardinality", "ignore", "ignore"),
    ("cardinality", "", "ignore"),
    ("cardinality", "[2, 3]", (2, 3)),
    ("cardinality", [2, 3], (2, 3)),
    ("cardinality", "[1]", (1,)),
    ("num_dynamic_feat", "auto", "auto"),
    ("num_dynamic_feat", "ignore", "ignore"),
    ("num_dynamic_feat", "", "ignore"),
    ("num_dynamic_feat", "3", 3),
    ("dropout_rate", "0", 0.0),
    ("dropout_rate", "1", 1.0),
    ("dropout_rate", "5e-2", 0.05),
    ("learning_rate", "1", 1.0),
    ("learning_rate", "1e-10", 1e-10),
    ("likelihood", "student-t", "student-T"),
    ("likelihood", "Student-T", "student-T"),
    ("likelihood", "GAUSSIAN", "gaussian"),
    ("likelihood", "beta", "beta"),
    ("likelihood", "Negative-Binomial", "negative-binomial"),
    ("likelihood", "deterministic-l1", "deterministic-L1"),
    ("test_quantiles", "[0.5]", (0.5,)),
    ("test_quantiles", "[0.01, 0.99]", (0.01, 0.99)),
    ("test_quantiles", [0.9, 0.1], (0.9, 0.1)),
    ("seed", "4294967295", 2**32 - 1),
]
REFUSED = [
    *((name, value) for name in POSITIVE_INTEGERS for value in ("0", "-1", "1.5", "x", "[1]")),
    *(("time_freq", value) for value in ("0H", "h", "1.5H", "S", "-1D", "Y", "10000001min", "H2")),
    *(("cardinality", value) for value in ("[]", "[0]", "[2.5]", "[-1]", "3", "all", "{}", "[[2]]")),
    *(("num_dynamic_feat", value) for value in ("0", "-1", "1.5", "all", "[2]")),
    *(("dropout_rate", value) for value in ("-0.01", "1.01", "nan", "x")),
    *(("learning_rate", value) for value in ("0", "-1", "1.01", "nan", "inf")),
    *(("likelihood", value) for value in ("poisson", "student", "deterministic")),
    *(("test_quantiles", value) for value in ("[]", "[0]", "[1]", "0.5", "[NaN]", '["x"]', "[2]")),
    *(("seed", value) for value in ("-1", "4294967296", "x")),
]  # fmt: skip


def parse(**changes):
    return DeepARHyperparameters.parse(REQUIRED | changes)


@pytest.mark.parametrize("name", REQUIRED)
def test_the_four_required_ones_are_required(name):
    given = {key: value for key, value in REQUIRED.items() if key != name}
    with pytest.raises(UserError, match=f"^hyperparameter {name} is required"):
        DeepARHyperparameters.parse(given)


def test_there_are_the_services_sixteen_and_our_three():
    assert set(DeepARHyperparameters.model_fields) == {
        *(*REQUIRED, *DEFAULTS),
        *("seed", "max_bad_records", "lags"),
    }


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_the_services(name):
    assert getattr(parse(), name) == DEFAULTS[name]


@pytest.mark.parametrize(("name", "value", "parsed"), ACCEPTED)
def test_values_in_range_are_accepted(name, value, parsed):
    assert getattr(parse(**{name: value}), name) == parsed


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(UserError, match=f"^hyperparameter {name}: expected .*; got"):
        parse(**{name: value})


def test_hidden_names_of_the_platform_are_dropped():
    hidden = dict.fromkeys(("_kvstore", "_num_gpus", "_num_kv_servers"), "auto")
    assert parse(**hidden, _tuning_objective_metric="") == parse()


def test_an_unknown_name_is_refused_with_a_near_one():
    with pytest.raises(UserError, match=r"'num_cell' was unexpected.*Did you mean 'num_cells'"):
        parse(num_cell="40")


def test_a_near_likelihood_is_suggested():
    with pytest.raises(UserError, match=r"Did you mean 'gaussian'"):
        parse(likelihood="gausian")


def test_tuning_ranges_are_the_services():
    declared = DeepARHyperparameters.declarations()
    assert {one.name: one.tune for one in declared if one.tune} == TUNED


def test_only_seed_bad_records_and_lags_are_ours():
    declared = DeepARHyperparameters.declarations()
    assert [one.name for one in declared if one.is_extra] == [
        "seed",
        "max_bad_records",
        "lags",
    ]


def test_parsed_values_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        parse().epochs = 3
