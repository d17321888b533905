"""Embeddings as files, neighbours and the map."""

import numpy as np
import orjson
import pytest

from sm_dl.algorithms.object2vec.data import Pairs
from sm_dl.algorithms.object2vec.neighbours import nearest, principal_plane, write_embeddings
from sm_dl.algorithms.object2vec.predictor import Object2VecPredictor
from sm_dl.algorithms.object2vec.ragged import Ragged
from sm_dl.algorithms.object2vec.words import Words
from tests.algorithms.object2vec.conftest import network_of, random_rows


def test_the_nearest_are_those_of_the_largest_cosine():
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    order, cosines = nearest(vectors, 3, 4)
    for query in range(3):
        expected = [
            float(vectors[query] @ one / np.linalg.norm(vectors[query]) / np.linalg.norm(one))
            for one in vectors
        ]
        expected[query] = -2
        assert order[query].tolist() == np.argsort(expected)[::-1][:4].tolist()
        np.testing.assert_allclose(cosines[query], np.sort(expected)[::-1][:4], rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_objects_have_few_neighbours(count):
    vectors = np.eye(3, dtype=np.float32)[:count]
    assert nearest(vectors, 6, 5)[0].shape == (count, count - 1)
    assert principal_plane(vectors)[0].shape == (count, 2)


@pytest.mark.parametrize("shape", [(50, 5), (10, 30)])
def test_the_map_is_that_of_a_singular_value_decomposition(shape):
    vectors = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    plane, share = principal_plane(vectors)
    centred = vectors - vectors.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(plane), np.abs(left[:, :2] * sizes[:2]), atol=1e-4)
    assert share == pytest.approx((sizes[:2] ** 2).sum() / (sizes**2).sum(), rel=1e-4)


def test_each_different_object_is_written_once_with_its_vector(tmp_path):
    words = Words({"seven": 7})
    in0 = Ragged.of([[7], [1, 2], [7], [3], [7], [3]])
    predictor = Object2VecPredictor(network_of(), (words, None), environment={})
    found = write_embeddings(predictor, Pairs(in0, random_rows(6), np.ones(6)), tmp_path)
    lines = (tmp_path / "in0.objects.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line) for line in lines] == [{"in0": [7]}, {"in0": [3]}, {"in0": [1, 2]}]
    vectors = np.load(tmp_path / "in0.vectors.npy")
    expected = predictor.embeddings(0, Ragged.of([[7], [3], [1, 2]]))
    assert vectors.tobytes() == expected.tobytes()
    assert list(found[0].names) == ["seven", "3", "1 2"]


def test_embeddings_that_cannot_be_written_cost_the_files_alone(tmp_path, log):
    predictor = Object2VecPredictor(network_of(), (None, None), environment={})
    folder = tmp_path / "embeddings"
    folder.touch()
    pairs = Pairs(random_rows(6), random_rows(6), np.ones(6))
    assert len(write_embeddings(predictor, pairs, folder)) == 2
    assert f"{folder}: cannot be written (File exists); the model is whole." in log.text
