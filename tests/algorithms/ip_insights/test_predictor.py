"""A model answers alike however it is asked, and comes back from its folder the same."""

import json

import numpy as np
import orjson
import pytest
import torch

from sm_dl.algorithms.ip_insights import artifact, codec
from sm_dl.algorithms.ip_insights.network import IPInsightsNetwork, NetworkShape
from sm_dl.algorithms.ip_insights.predictor import IPInsightsPredictor
from sm_dl.content_types import CSV, JSON, JSON_LINES, MediaType
from sm_dl.errors import UserError
from sm_dl.serving.invoke import Call, invoke

KNOWN, UNKNOWN = b"ada,1.2.3.4\nbob,5.6.7.8\nada,1.2.3.4\n", b"eve,1.2.3.4\n"


@pytest.fixture(scope="module")
def predictor() -> IPInsightsPredictor:
    torch.manual_seed(0)
    network = IPInsightsNetwork(NetworkShape(num_entity_vectors=101, vector_dim=8, num_layers=1))
    torch.nn.init.normal_(network.entities)
    return IPInsightsPredictor(network, np.sort(codec.decode(KNOWN, MediaType(CSV)).hash_N))


def answered(predictor, body: bytes, accept: str | None = None):
    response = invoke(predictor, Call(body=body, content_type=CSV, accept=accept))
    assert response.status == 200, response.body
    return response


def predictions(predictor, body: bytes, accept: str | None = None) -> list[dict]:
    return json.loads(answered(predictor, body, accept).body)["predictions"]


def test_equal_pairs_get_equal_scores(predictor):
    first, other, again = predictions(predictor, KNOWN)
    assert first == again != other


@pytest.mark.parametrize(
    ("accept", "content_type", "is_verbose"),
    [
        (None, JSON, False),
        ("*/*", JSON, False),
        ("application/json", JSON, False),
        ("application/json;verbose=True", JSON, True),
        ("application/json; Verbose=true", JSON, True),
        ("application/json;verbose=False", JSON, False),
        ("application/jsonlines", JSON_LINES, False),
        ("application/jsonlines; verbose=True", JSON_LINES, True),
    ],
)
def test_the_accept_header_decides_form_and_detail(predictor, accept, content_type, is_verbose):
    response = answered(predictor, KNOWN, accept)
    assert response.content_type == content_type
    assert (b"ip_embedding" in response.body) is is_verbose


def test_lines_are_answered_by_lines_unless_the_client_accepts_something_else(predictor):
    line = b'{"features": ["user_1", "192.0.2.1"]}\n'
    types = [
        invoke(predictor, Call(body=line, content_type=JSON_LINES, accept=accept)).content_type
        for accept in (None, JSON)
    ]
    assert types == [JSON_LINES, JSON]


def test_a_score_is_the_inner_product_of_the_vectors_beside_it(predictor):
    for one in predictions(predictor, KNOWN, codec.VERBOSE_JSON):
        product = np.dot(np.float32(one["entity_embedding"]), np.float32(one["ip_embedding"]))
        assert one["dot_product"] == pytest.approx(product, rel=1e-5)


def test_a_verbose_answer_has_the_scores_of_a_brief_one(predictor):
    verbose = predictions(predictor, KNOWN, codec.VERBOSE_JSON)
    brief = predictions(predictor, KNOWN)
    assert [one["dot_product"] for one in verbose] == [one["dot_product"] for one in brief]


def test_entities_that_training_never_saw_are_told(predictor):
    verbose = predictions(predictor, KNOWN + UNKNOWN, codec.VERBOSE_JSON)
    assert [one["entity_known"] for one in verbose] == [True, True, True, False]


def test_requests_asked_together_are_answered_as_alone(predictor):
    requests = [codec.decode(body, MediaType(CSV)) for body in (KNOWN, UNKNOWN, KNOWN + UNKNOWN)]
    together = [answer.score_N for answer in predictor.predict(requests)]
    alone = [predictor.predict([one])[0].score_N for one in requests]
    assert all(np.array_equal(one, two) for one, two in zip(together, alone, strict=True))


def test_a_long_request_is_scored_in_parts(predictor, monkeypatch):
    body = b"".join(b"u%d,10.0.%d.1\n" % (index, index) for index in range(20))
    request = codec.decode(body, MediaType(CSV))
    whole = predictor.predict([request])[0]
    monkeypatch.setattr("sm_dl.algorithms.ip_insights.predictor.PAIRS_AT_ONCE", 3)
    monkeypatch.setattr("sm_dl.algorithms.ip_insights.predictor.BLOCK", 7)
    parts = predictor.predict([request])[0]
    assert np.allclose(parts.score_N, whole.score_N, atol=1e-5)
    assert np.allclose(parts.vectors().address_NV, whole.vectors().address_NV, atol=1e-5)


def test_a_request_weighs_its_pairs(predictor):
    assert predictor.weight(codec.decode(KNOWN, MediaType(CSV))) == 3


@pytest.fixture
def folder(predictor, tmp_path):
    artifact.write_artifact(tmp_path, predictor, {"seed": 0})
    return tmp_path


def test_a_model_answers_the_same_after_a_round_trip(predictor, folder):
    again = artifact.load(folder)
    body = KNOWN + UNKNOWN
    assert answered(again, body, codec.VERBOSE_JSON) == answered(
        predictor, body, codec.VERBOSE_JSON
    )


def _changed(folder, **facts) -> str:
    path = folder / "model.json"
    document = orjson.loads(path.read_bytes())
    document["facts"] |= facts
    path.write_bytes(orjson.dumps(document))
    with pytest.raises(UserError) as caught:
        artifact.load(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    "facts",
    [
        {"vector_dim": 2},
        {"vector_dim": "wide"},
        {"num_entity_vectors": 0},
        {"num_entity_vectors": 10**15},
        {"num_ip_encoder_layers": 101},
        {"num_entities_seen": 0},
        {"encoder_version": 99},
        {"entity_hash": "md5"},
        {"entity_hash_seed": 1},
    ],
)
def test_a_model_of_impossible_facts_is_refused(folder, facts):
    assert "does not describe an IP Insights model" in _changed(folder, **facts)


@pytest.mark.parametrize(
    "facts", [{"vector_dim": 16}, {"num_entity_vectors": 7}, {"num_entities_seen": 9}]
)
def test_weights_of_another_shape_are_refused(folder, facts):
    assert "expected the weights that model.json describes" in _changed(folder, **facts)
