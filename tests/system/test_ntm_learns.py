"""A topic model must find vocabularies that never meet, through the public door."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.system

NUM_TOPICS, WORDS_EACH, NUM_WORDS = 2, 10, 20


@pytest.fixture(scope="module", params=[0, 1])
def trained(request, tmp_path_factory):
    """Train on documents of one theme each, and return the folder of the run."""
    folder = tmp_path_factory.mktemp("themes")
    random = np.random.default_rng(request.param)
    for name, count in (("train", 600), ("validation", 100)):
        (folder / name).mkdir()
        themes = random.integers(NUM_TOPICS, size=count)
        words = random.integers(WORDS_EACH, size=(count, 40)) + WORDS_EACH * themes[:, None]
        rows = np.stack([np.bincount(row, minlength=NUM_WORDS) for row in words])
        np.savetxt(folder / name / "part.csv", rows, fmt="%d", delimiter=",")
    config = {
        "algorithm": "ntm",
        "hyperparameters": {
            "feature_dim": NUM_WORDS, "num_topics": NUM_TOPICS, "epochs": 60, "mini_batch_size": 32,
            "num_patience_epochs": 61, "optimizer": "adam", "learning_rate": 0.01,
            "seed": request.param,
        },
        "channels": {name: str(folder / name) for name in ("train", "validation")},
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


def test_a_topic_s_top_words_are_those_of_one_theme(trained):
    topics = json.loads((trained / "model" / "topics.json").read_text())["topics"]
    themes = [{int(word) // WORDS_EACH for word in topic["words"][:5]} for topic in topics]
    assert all(len(theme) == 1 for theme in themes), themes


def test_perplexity_is_near_that_of_a_reader_who_knows_the_theme(trained):
    scores = json.loads((trained / "output" / "report" / "report.json").read_text())["scores"]
    assert scores["validation perplexity"] < 1.15 * WORDS_EACH
