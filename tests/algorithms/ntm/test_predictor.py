"""Requests through the door that clients use: what is answered, what is refused, and at what cost."""

import gzip
import json
import time

import numpy as np
import pytest
import torch

from sm_dl.algorithms.ntm.documents import documents_from
from sm_dl.algorithms.ntm.network import NetworkShape, NTMNetwork
from sm_dl.algorithms.ntm.predictor import NTMPredictor
from sm_dl.content_types import CSV, JSON, JSON_LINES
from sm_dl.serving.invoke import Call, invoke

NUM_WORDS = 8


@pytest.fixture(scope="module")
def predictor() -> NTMPredictor:
    """Return a model that nobody has trained."""
    torch.manual_seed(0)
    return NTMPredictor(NTMNetwork(NetworkShape(NUM_WORDS, 3, (9, 6), "sigmoid", False)))


def _ask(predictor: NTMPredictor, body: bytes, content_type: str) -> tuple[int, str]:
    response = invoke(predictor, Call(body=body, content_type=content_type))
    return response.status, response.body.decode()


def test_a_label_size_costs_nothing_that_the_body_does_not_hold(predictor: NTMPredictor) -> None:
    begin = time.process_time()
    status, text = _ask(predictor, b"1,2\n" * 64, f"{CSV};label_size=999999")
    assert time.process_time() - begin < 1  # a column for each label took 18 s and 7 GB
    assert status == 400
    assert text == (
        "request body line 1: expected 1000007 columns, 999999 of them as label_size says, the others "
        "one for each word of the model's vocabulary; got 2. Send documents over the vocabulary that "
        "the model was trained with."
    )


def test_labels_that_are_there_are_dropped_at_the_cost_of_their_bytes(
    predictor: NTMPredictor,
) -> None:
    rows = b"1,0,0,2,0,0,0,1\n0,3,0,0,0,0,1,1\n"
    labels = b"7," * 500_000
    begin = time.process_time()
    labelled = b"".join(labels + row for row in rows.splitlines(keepends=True))
    answer = _ask(predictor, labelled, f"{CSV};label_size=500000")
    assert time.process_time() - begin < 2
    assert answer == _ask(predictor, rows, CSV)
    assert answer[0] == 200


def test_a_packed_body_is_refused_before_it_is_unpacked(predictor: NTMPredictor) -> None:
    body = gzip.compress(b"0,0,0,0,0,0,0,0\n" * 100_000)
    assert len(body) < 4000
    sentence = "request body: expected CSV; got gzip. Send it unpacked."
    assert _ask(predictor, body, CSV) == (400, sentence)


EMPTY = [
    {"keys": [], "shape": [NUM_WORDS], "values": []},
    {"shape": [NUM_WORDS], "values": []},
    {"keys": [], "shape": [NUM_WORDS]},
    {"shape": [NUM_WORDS]},
]


@pytest.mark.parametrize("features", EMPTY)
def test_a_sparse_document_without_words_is_answered_as_a_dense_one(
    predictor: NTMPredictor, features: dict[str, object]
) -> None:
    line = json.dumps({"data": {"features": features}}).encode()
    zeros = json.dumps({"features": [0] * NUM_WORDS}).encode()
    for content_type, around in ((JSON, b'{"instances": [%s]}'), (JSON_LINES, b"%s\n")):
        answer = _ask(predictor, around % line, content_type)
        assert answer == _ask(predictor, around % zeros, content_type)
        assert answer[0] == 200


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({"keys": [], "values": []}, "instances[0]: expected features as a list of counts"),
        ({"values": []}, "instances[0]: expected features as a list of counts"),
        ({"shape": [9], "values": []}, "instances[0]: shape: expected [8], the size"),
        ({"shape": [NUM_WORDS], "values": None, "keys": [1]}, "1 keys and 0 values"),
        ({"shape": [NUM_WORDS], "values": "", "keys": []}, "instances[0]: expected features as"),
    ],
)
def test_a_document_of_which_nothing_says_how_long_it_is_is_refused(
    predictor: NTMPredictor, features: dict[str, object], words: str
) -> None:
    body = json.dumps({"instances": [{"data": {"features": features}}]}).encode()
    status, text = _ask(predictor, body, JSON)
    assert status == 400
    assert words in text


def test_a_request_is_answered_alike_whatever_stands_beside_it() -> None:
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    for activation, layers in (("sigmoid", (60, 40)), ("tanh", (300,)), ("relu", (1500, 33))):
        model = NTMPredictor(NTMNetwork(NetworkShape(500, 20, layers, activation, True)))
        requests = [
            documents_from(
                random.integers(500, size=90 * count),
                random.integers(1, 9, size=90 * count).astype(np.float64),
                np.full(count, 90),
                500,
            )
            for count in (1, 7, 1, 3, 64, 2, 1, 700, 16)
        ]
        together = model.predict(requests)
        for request, answer in zip(requests, together, strict=True):
            assert answer.tobytes() == model.predict([request])[0].tobytes()
            assert answer.shape == (len(request), 20)
