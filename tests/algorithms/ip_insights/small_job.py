"""IP Insights on forty users, each with a network of its own, one of them with a comma in the name."""

import json
from pathlib import Path

import numpy as np

from tests.small_job import SmallJob

NUM_USERS, EVENTS = 40, {"train": 1200, "validation": 200, "test": 200}


def _user(index: int) -> str:
    return '"Zoë, ""root"""' if index == 0 else f"user_{index}"


def _write(folder: Path) -> dict[str, Path]:
    random = np.random.default_rng(7)
    for name, count in EVENTS.items():
        (folder / name).mkdir(parents=True)
        users = random.integers(0, NUM_USERS, count)
        hosts = random.integers(0, 256, (count, 2))
        lines = [
            f"{_user(user)},{20 + user}.{user * 5}.{host[0]}.{host[1]}\n"
            for user, host in zip(users, hosts, strict=True)
        ]
        (folder / name / "events.csv").write_text("".join(lines), encoding="utf-8")
    return {name: folder / name for name in EVENTS}


_pairs = [["user_1", "21.5.9.9"], ["user_1", "200.1.1.1"], ["nobody", "0.0.0.1"]]

SMALL_JOB = SmallJob(
    hyperparameters={
        "num_entity_vectors": 101,
        "vector_dim": 4,
        "epochs": 4,
        "mini_batch_size": 120,
        "learning_rate": 0.01,
        "batch_metrics_publish_interval": 10,
        "random_negative_sampling_rate": 1,
        "shuffled_negative_sampling_rate": 1,
    },
    epochs_name="epochs",
    several_epochs=600,  # the table of prefixes has a million rows whatever the log
    write_channels=_write,
    requests=(
        ("text/csv", '"Zoë, ""root""", 20.0.3.4\nuser_2,22.10.1.1\n'.encode()),
        (
            "application/json",
            json.dumps({"instances": [{"features": pair} for pair in _pairs]}).encode(),
        ),
        (
            "application/jsonlines",
            b"".join(
                json.dumps({"data": {"features": {"values": pair}}}).encode() + b"\n"
                for pair in _pairs
            ),
        ),
    ),
)
