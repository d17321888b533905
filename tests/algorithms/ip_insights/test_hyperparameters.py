"""What holds of several hyperparameters together, and what follows from them."""

import pytest

from sm_dl.algorithms.ip_insights.hyperparameters import IPInsightsHyperparameters
from sm_dl.errors import UserError

REQUIRED = {"num_entity_vectors": "20000", "vector_dim": "128"}
RANDOM, SHUFFLED = "random_negative_sampling_rate", "shuffled_negative_sampling_rate"


def parsed(**given: str) -> IPInsightsHyperparameters:
    return IPInsightsHyperparameters.parse({**REQUIRED, **given})


@pytest.mark.parametrize(("random", "shuffled"), [(0, 1), (1, 0), (500, 0), (0, 500), (250, 250)])
def test_one_to_five_hundred_negatives_are_taken(random, shuffled):
    taken = parsed(**{RANDOM: str(random), SHUFFLED: str(shuffled)})
    assert taken.num_negatives == random + shuffled


@pytest.mark.parametrize(("random", "shuffled"), [(0, 0), (500, 1), (1, 500), (251, 250)])
def test_no_negatives_and_more_than_five_hundred_are_refused_in_one_sentence(random, shuffled):
    with pytest.raises(UserError, match=f"{RANDOM} and {SHUFFLED}: expected 1 to 500 together"):
        parsed(**{RANDOM: str(random), SHUFFLED: str(shuffled)})


@pytest.mark.parametrize(
    ("batch", "random", "shuffled", "pairs"),
    [(1000, 5, 1, 143), (10_000, 1, 1, 3333), (1, 1, 1, 1), (7, 5, 1, 1), (500_000, 0, 1, 250_000)],
)
def test_a_batch_counts_generated_pairs_as_the_container_does(batch, random, shuffled, pairs):
    given = {"mini_batch_size": str(batch), RANDOM: str(random), SHUFFLED: str(shuffled)}
    assert parsed(**given).positives_per_batch == pairs


@pytest.mark.parametrize("learning_rate", ["1e-6", "10", "10.0"])
def test_the_edges_of_the_learning_rate_belong_to_it(learning_rate):
    assert parsed(learning_rate=learning_rate).learning_rate == float(learning_rate)


@pytest.mark.parametrize("weight_decay", ["0", "10.0"])
def test_the_edges_of_the_weight_decay_belong_to_it(weight_decay):
    assert parsed(weight_decay=weight_decay).weight_decay == float(weight_decay)


@pytest.mark.parametrize(
    ("name", "suggestion"), [("num_entity_vectors", 100000), ("vector_dim", 128)]
)
def test_a_required_value_that_is_missing_is_suggested(name, suggestion):
    given = {key: value for key, value in REQUIRED.items() if key != name}
    with pytest.raises(UserError, match=rf"{name} is required: .* such as {suggestion}\b"):
        IPInsightsHyperparameters.parse(given)
