"""Pairs that match when their topics do: learnt through the public door, well enough to find partners."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.system

NUM_TOPICS, WORDS_EACH = 6, 10
COUNTS = {"train": 1200, "validation": 200, "test": 400}


def pairs_of(count, seed):
    """Return pairs of sequences, half of them about one topic; no word belongs to two topics."""
    random = np.random.default_rng(seed)
    topics = random.integers(NUM_TOPICS, size=(count, 2))
    is_match = random.random(count) < 0.5
    topics[:, 1] = np.where(
        is_match, topics[:, 0], (topics[:, 0] + random.integers(1, NUM_TOPICS, count)) % NUM_TOPICS
    )
    words = WORDS_EACH * topics[:, :, None] + random.integers(WORDS_EACH, size=(count, 2, 6))
    return [
        {"label": int(label), "in0": one[: 2 + number % 5].tolist(), "in1": two.tolist()}
        for number, (label, (one, two)) in enumerate(zip(is_match, words, strict=True))
    ]


@pytest.fixture(scope="module", params=["pooled_embedding", "hcnn", "bilstm"])
def trained(request, tmp_path_factory):
    """Train one encoder, and return the folder of the run."""
    folder = tmp_path_factory.mktemp("topics")
    for seed, (name, count) in enumerate(COUNTS.items()):
        (folder / name).mkdir()
        lines = [json.dumps(pair) + "\n" for pair in pairs_of(count, seed)]
        (folder / name / "pairs.jsonl").write_text("".join(lines))
    config = {
        "algorithm": "object2vec",
        "hyperparameters": {
            "enc0_network": request.param, "enc0_vocab_size": NUM_TOPICS * WORDS_EACH,
            "enc0_max_seq_len": 6, "enc0_token_embedding_dim": 24, "enc_dim": 24,
            "enc0_layers": 1, "tied_token_embedding_weight": True, "mlp_activation": "relu",
            "mlp_dim": 32, "mlp_layers": 1, "learning_rate": 0.01, "epochs": 5,
        },
        "channels": {name: str(folder / name) for name in COUNTS},
        "output": str(folder / "run"),
    }  # fmt: skip
    (folder / "job.yaml").write_text(json.dumps(config))
    subprocess.run(
        [sys.executable, "-m", "sm_dl.train", "--config", str(folder / "job.yaml")],
        capture_output=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return folder / "run"


def test_matching_pairs_are_told_from_others(trained):
    scores = json.loads((trained / "output" / "report" / "report.json").read_text())["scores"]
    assert scores["test:accuracy"] > 0.95


def test_objects_lie_near_those_of_their_topic(trained):
    folder = trained / "output" / "embeddings"
    lines = (folder / "in0.objects.jsonl").read_text().splitlines()
    topics = np.array([json.loads(line)["in0"][0] // WORDS_EACH for line in lines])
    vectors = np.load(folder / "in0.vectors.npy")
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = directions @ directions.T - 2 * np.eye(len(topics))
    assert (topics[cosines.argmax(1)] == topics).mean() > 0.95
