"""A model directory: whole it gives the same answers, damaged it gives a sentence."""

import orjson
import pytest

from sm_dl.algorithms.object2vec.artifact import load, write_artifact
from sm_dl.algorithms.object2vec.predictor import Object2VecPredictor
from sm_dl.algorithms.object2vec.words import Words
from sm_dl.errors import UserError
from tests.algorithms.object2vec.conftest import network_of, random_rows

WORDS = (Words({"ä": 1, "b": 2}), None)


@pytest.fixture(params=["pooled_embedding", "hcnn", "bilstm"])
def written(request, tmp_path):
    """Return a model directory and the predictor it was written from."""
    network = network_of(request.param, is_tied=request.param == "hcnn")
    predictor = Object2VecPredictor(network, WORDS, environment={})
    write_artifact(tmp_path, predictor, {})
    return tmp_path, predictor


def test_a_loaded_model_answers_as_the_trained_one_did(written):
    folder, predictor = written
    rows = random_rows(20)
    assert load(folder).scores(rows, rows).tobytes() == predictor.scores(rows, rows).tobytes()


def test_vocabularies_come_back(written):
    words0, words1 = load(written[0]).words
    assert (words0.ids, words1) == (WORDS[0].ids, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sides", []),
        ("sides", [{}, {}]),
        ("comparators", ["cosine"]),
        ("comparators", []),
        ("mlp_layers", 99),
        ("mlp_dim", 10**9),
        ("mlp_activation", "gelu"),
        ("num_outputs", 0),
        ("has_words", [True]),
        ("has_words", None),
    ],
)
def test_facts_that_no_run_writes_are_refused(written, name, value):
    folder, _ = written
    document = orjson.loads((folder / "model.json").read_bytes())
    document["facts"][name] = value
    (folder / "model.json").write_bytes(orjson.dumps(document))
    with pytest.raises(UserError, match=r"model\.json does not describe an Object2Vec model"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [("network", "gru"), ("vocab_size", 10**8), ("layers", 7), ("dim", 9), ("token_dim", 0)],
)
def test_sides_that_no_run_writes_are_refused(written, name, value):
    folder, _ = written
    document = orjson.loads((folder / "model.json").read_bytes())
    document["facts"]["sides"][0][name] = value
    (folder / "model.json").write_bytes(orjson.dumps(document))
    with pytest.raises(UserError, match=r"model\.json does not describe an Object2Vec model"):
        load(folder)


def test_a_missing_vocabulary_is_named(written):
    folder, _ = written
    (folder / "vocabulary0.json").unlink()
    with pytest.raises(UserError, match=r"vocabulary0\.json: cannot be read"):
        load(folder)
