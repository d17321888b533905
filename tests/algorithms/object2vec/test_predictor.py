"""Answers: the same alone and in company, bit for bit, and what the network itself gives."""

import numpy as np
import pytest
import torch

from sm_dl.algorithms.object2vec.codec import ObjectRequest
from sm_dl.algorithms.object2vec.encoders import Sequences
from sm_dl.algorithms.object2vec.predictor import Object2VecPredictor
from sm_dl.errors import UserError
from tests.algorithms.object2vec.conftest import network_of, random_rows

NETWORKS = ("pooled_embedding", "hcnn", "bilstm")
IN0, IN1 = random_rows(90, 1), random_rows(90, 2)


def predictor_of(network="pooled_embedding", **changes):
    built = network_of(network, **changes)
    for weight in built.parameters():
        weight.data.mul_(3)  # so that last digits differ where they may
    return Object2VecPredictor(built, environment={})


def tensors(rows):
    return Sequences(torch.from_numpy(rows.tokens_N).long(), torch.from_numpy(rows.lengths))


@pytest.mark.parametrize("network", NETWORKS)
def test_scores_are_the_network_s_probabilities(network):
    predictor = predictor_of(network)
    outputs = predictor.network(tensors(IN0), tensors(IN1)).softmax(1)
    np.testing.assert_allclose(predictor.scores(IN0, IN1), outputs.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(predictor.scores(IN0, IN1).sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_embeddings_are_the_encoder_s_own(network):
    predictor = predictor_of(network)
    encodings = predictor.network.encode(1, tensors(IN1))
    np.testing.assert_allclose(predictor.embeddings(1, IN1), encodings.detach().numpy(), atol=1e-5)


def test_a_regression_gives_one_score_which_is_no_probability():
    predictor = predictor_of(num_outputs=1)
    outputs = predictor.network(tensors(IN0), tensors(IN1))
    np.testing.assert_allclose(predictor.scores(IN0, IN1), outputs.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_request_alone_is_answered_as_beside_others_bit_for_bit(network):
    predictor = predictor_of(network)
    requests = [
        ObjectRequest(("in0", "in1"), (IN0.take(rows), IN1.take(rows)))
        for rows in (np.arange(1), np.arange(1, 40), np.arange(40, 90))
    ] + [ObjectRequest(("in1",), (IN1.take(np.arange(7)),)), ObjectRequest(("in0",), (IN0,))]
    together = predictor.predict(requests)
    for request, answer in zip(requests, together, strict=True):
        (alone,) = predictor.predict([request])
        assert alone.key == answer.key == ("scores" if len(request.fields) == 2 else "embeddings")
        assert alone.rows.tobytes() == answer.rows.tobytes()


def test_a_request_weighs_its_tokens():
    request = ObjectRequest(("in0", "in1"), (IN0, IN1))
    assert predictor_of().weight(request) == len(IN0.tokens_N) + len(IN1.tokens_N)


@pytest.mark.parametrize("mode", ["", "embedding", "classification"])
def test_a_preferred_mode_changes_no_answer(mode):
    preferring = Object2VecPredictor(network_of(), environment={"INFERENCE_PREFERRED_MODE": mode})
    plain = Object2VecPredictor(network_of(), environment={})
    assert preferring.scores(IN0, IN1).tobytes() == plain.scores(IN0, IN1).tobytes()


def test_another_mode_is_refused():
    with pytest.raises(
        UserError,
        match="INFERENCE_PREFERRED_MODE: expected embedding or classification; got 'fast'",
    ):
        Object2VecPredictor(network_of(), environment={"INFERENCE_PREFERRED_MODE": "fast"})
