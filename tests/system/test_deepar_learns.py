"""DeepAR must learn a rule, through the public door: minutes on one core."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import norm

pytestmark = pytest.mark.system

HORIZON, LENGTH, SEASON, NOISE = 12, 150, 12, 0.05


@pytest.fixture(scope="module", params=[0, 1])
def trained(request, tmp_path_factory):
    """Train on noisy seasonal waves of one seed, and return the scores it logged."""
    tmp_path = tmp_path_factory.mktemp("waves")
    for channel, length in (("train", LENGTH - HORIZON), ("test", LENGTH)):
        (tmp_path / channel).mkdir()
        random = np.random.default_rng(request.param)  # the same waves in both channels
        with (tmp_path / channel / "series.json").open("w") as file:
            for _ in range(80):
                level, phase = random.uniform(1, 10), random.uniform(0, 2 * np.pi)
                steps = np.arange(LENGTH)
                wave = level * (1 + 0.4 * np.sin(2 * np.pi * steps / SEASON + phase))
                noisy = wave + NOISE * level * random.normal(size=LENGTH)
                record = {"start": "2000-01-01 00:00:00", "target": noisy[:length].tolist()}
                file.write(json.dumps(record) + "\n")
    config = {
        "algorithm": "deepar",
        "hyperparameters": {
            "time_freq": "M",
            "prediction_length": HORIZON,
            "context_length": 24,
            "epochs": 30,
            "learning_rate": 0.003,
            "mini_batch_size": 32,
            "likelihood": "gaussian",
            "seed": request.param,
        },
        "channels": {name: str(tmp_path / name) for name in ("train", "test")},
        "output": str(tmp_path / "run"),
    }
    (tmp_path / "job.yaml").write_text(json.dumps(config))
    finished = subprocess.run(
        [sys.executable, "-m", "sm_dl.train", "--config", str(tmp_path / "job.yaml")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    report = json.loads((tmp_path / "run" / "output" / "report" / "report.json").read_text())
    naive = next(figure for figure in report["figures"] if figure["kind"] == "table")["rows"][0][2]
    quantiles = {
        float(level): float(loss)
        for level, loss in re.findall(r"wQuantileLoss\[(0\.\d)\]\): (\S+)", finished.stdout)
    }
    return report["scores"]["test:mean_wQuantileLoss"], naive, quantiles


def test_a_seasonal_wave_is_forecast_far_better_than_by_repetition(trained):
    ours, naive, _ = trained
    assert ours < 0.65 * naive


def test_a_seasonal_wave_is_forecast_almost_as_well_as_its_noise_allows(trained):
    ours, _, _ = trained
    levels = np.arange(1, 10) / 10
    perfect = NOISE * np.mean(2 * norm.pdf(norm.ppf(levels)))  # of a forecaster who knows the wave
    assert ours < 1.25 * perfect


def test_the_noise_is_neither_over_nor_underestimated(trained):
    _, _, quantiles = trained
    assert quantiles[0.1] < 0.75 * quantiles[0.5]
    assert quantiles[0.9] < 0.75 * quantiles[0.5]
