"""What an NTM job can be told, beyond the table that every algorithm is checked against."""

import pytest

from sm_dl.algorithms.ntm.hyperparameters import NTMHyperparameters
from sm_dl.errors import UserError

REQUIRED = {"feature_dim": "2000", "num_topics": "20"}


def parse(**values):
    return NTMHyperparameters.parse({**REQUIRED, **values})


def test_auto_layers_are_three_and_two_times_the_topics():
    assert parse().layers == (60, 40)


@pytest.mark.parametrize("given", ["60,40", "[60, 40]", " 60 , 40 ", '"60,40"', [60, 40], (60, 40)])
def test_layers_are_taken_in_every_spelling(given):
    assert parse(encoder_layers=given).layers == (60, 40)


@pytest.mark.parametrize("given", ["60", 60, "[60]"])
def test_one_layer_is_enough(given):
    assert parse(encoder_layers=given).layers == (60,)


@pytest.mark.parametrize("given", ["", "[]", "60,", "60;40", "a", "0,4", "-3", "60.5", [True]])
def test_layers_that_are_none_are_refused_or_not_given(given):
    if given == "":
        assert parse(encoder_layers=given).encoder_layers == "auto"
        return
    with pytest.raises(
        UserError, match="hyperparameter encoder_layers: expected auto, or positive"
    ):
        parse(encoder_layers=given)


@pytest.mark.parametrize("given", ["Inf", "inf", "Infinity", " INF ", float("inf")])
def test_infinity_is_no_limit_on_gradients(given):
    assert float(parse(clip_gradient=given).clip_gradient) == float("inf")


@pytest.mark.parametrize("given", ["nan", "-inf", "0", "0.0009", "none"])
def test_other_limits_on_gradients_are_refused(given):
    with pytest.raises(
        UserError, match=r"hyperparameter clip_gradient: expected a number >= 0\.001"
    ):
        parse(clip_gradient=given)


def test_an_epoch_that_draws_nothing_is_refused():
    with pytest.raises(UserError, match="hyperparameter sub_sample: expected a number > 0"):
        parse(sub_sample="0")


@pytest.mark.parametrize(
    ("name", "edges"),
    [
        ("learning_rate", ("1e-6", "1")),
        ("rescale_gradient", ("0.001", "1.0")),
        ("tolerance", ("1e-6", "0.1")),
        ("weight_decay", ("0", "1")),
        ("clip_gradient", ("0.001", "1e9")),
    ],
)
def test_the_edges_of_a_range_belong_to_it(name, edges):
    assert [float(getattr(parse(**{name: edge}), name)) for edge in edges] == list(
        map(float, edges)
    )


def test_the_platform_s_own_keys_are_tolerated():
    assert parse(_kvstore="auto_gpu", _num_gpus="auto", _data_format="record").num_topics == 20
