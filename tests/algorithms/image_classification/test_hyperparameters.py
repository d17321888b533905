"""Lists in the service's spelling and in YAML's mean the same; what is no list is refused."""

import pytest

from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.errors import UserError


@pytest.mark.parametrize("value", ["3,224,200", " 3, 224, 200 ", [3, 224, 200], '"3,224,200"'])
def test_a_shape_may_be_spelt_in_several_ways(settings, value: object) -> None:
    assert settings(image_shape=value).shape == (3, 224, 200)


@pytest.mark.parametrize("value", ["10,20", "10, 20", [10, 20]])
def test_steps_may_be_spelt_in_several_ways(settings, value: object) -> None:
    assert settings(lr_scheduler_step=value).scheduled_epochs == (10, 20)


@pytest.mark.parametrize(("value", "expected"), [(7, (7,)), ("7", (7,)), ("", ()), (None, ())])
def test_one_step_and_none_are_lists_too(settings, value: object, expected: tuple) -> None:
    assert settings(lr_scheduler_step=value).scheduled_epochs == expected


@pytest.mark.parametrize(
    "value",
    [
        "224,224",
        "3,224",
        "2,28,28",
        "3,0,28",
        "3,28,28,3",
        "3x28x28",
        "3,28.5,28",
        "a",
        "³,28,28",
        "3,9,10001",
    ],
)
def test_what_is_no_shape_is_refused(settings, value: str) -> None:
    with pytest.raises(UserError, match="image_shape: expected channels"):
        settings(image_shape=value)


@pytest.mark.parametrize("value", ["20,10", "10,10", "0", "-1", "1.5", "10;20", [True]])
def test_what_is_no_schedule_is_refused(settings, value: object) -> None:
    with pytest.raises(UserError, match="lr_scheduler_step: expected rising"):
        settings(lr_scheduler_step=value)


@pytest.mark.parametrize("value", [19, "21", 0])
def test_a_depth_that_no_network_has_is_refused_with_all_that_have(settings, value: object) -> None:
    with pytest.raises(
        UserError, match="num_layers: expected one of 18, 34, 50, 101, 152, 200, 20"
    ):
        settings(num_layers=value)


@pytest.mark.parametrize(("text", "expected"), [("True", True), ("False", False), ("1", True)])
def test_early_stopping_takes_the_service_s_words(settings, text: str, expected: bool) -> None:
    assert settings(early_stopping=text).early_stopping is expected


def test_what_a_job_may_ask_for_is_what_a_model_may_say(settings) -> None:
    largest = settings(image_shape="3,9,10000", num_classes=1_000_000)
    facts = ModelFacts(20, largest.shape, largest.num_classes)
    assert ModelFacts.from_json(facts.as_json()) == facts
    with pytest.raises(UserError, match=r"num_classes: expected .* 1000000; got 1000001"):
        settings(num_classes=1_000_001)


def test_an_empty_model_prefix_of_a_notebook_is_taken(settings) -> None:
    assert settings(model_prefix="").model_prefix is None


@pytest.mark.parametrize(
    "name", ["beta_1", "beta_2", "eps", "gamma", "learning_rate", "momentum", "weight_decay",
             "lr_scheduler_factor", "early_stopping_tolerance"],
)  # fmt: skip
@pytest.mark.parametrize("edge", [0, 1])
def test_both_edges_of_a_range_belong_to_it(settings, name: str, edge: int) -> None:
    assert getattr(settings(**{name: edge}), name) == edge
