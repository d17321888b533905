"""Object2Vec on pairs of short sequences that match when they are about the same of four topics."""

import json
from pathlib import Path

import numpy as np

from tests.small_job import SmallJob

NUM_TOPICS, WORDS_PER_TOPIC, PAIRS = 4, 8, {"train": 480, "validation": 96, "test": 96}
WORDS = {f"word{number}": number for number in range(NUM_TOPICS * WORDS_PER_TOPIC)}


def pairs_of(count: int, seed: int) -> list[dict]:
    random = np.random.default_rng(seed)
    records = []
    for _ in range(count):
        topics = random.integers(0, NUM_TOPICS, 2)
        if random.random() < 0.5:
            topics[1] = topics[0]
        sides = [
            (topic * WORDS_PER_TOPIC + random.integers(0, WORDS_PER_TOPIC, random.integers(1, 6)))
            for topic in topics
        ]
        label = int(topics[0] == topics[1])
        records.append({"label": label, "in0": sides[0].tolist(), "in1": sides[1].tolist()})
    return records


def _write(folder: Path) -> dict[str, Path]:
    for number, (name, count) in enumerate(PAIRS.items()):
        (folder / name).mkdir(parents=True)
        lines = "".join(json.dumps(record) + "\n" for record in pairs_of(count, number))
        (folder / name / "pairs.jsonl").write_text(lines)
    (folder / "auxiliary").mkdir()
    (folder / "auxiliary" / "words.json").write_text(json.dumps(WORDS))
    return {name: folder / name for name in (*PAIRS, "auxiliary")}


_instances = pairs_of(5, 9)
_both = [{"in0": one["in0"], "in1": one["in1"]} for one in _instances]
_left = [{"in0": one["in0"]} for one in _instances]


def _lines(records: list[dict]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)


SMALL_JOB = SmallJob(
    hyperparameters={
        "enc0_max_seq_len": 5,
        "enc0_vocab_size": NUM_TOPICS * WORDS_PER_TOPIC,
        "enc1_max_seq_len": 5,
        "enc1_vocab_size": NUM_TOPICS * WORDS_PER_TOPIC,
        "enc0_network": "pooled_embedding",
        "enc0_token_embedding_dim": 16,
        "enc0_vocab_file": "words.json",
        "mlp_activation": "relu",
        "mlp_dim": 32,
        "learning_rate": 0.01,
        "epochs": 4,
    },
    epochs_name="epochs",
    silent_metrics=frozenset(
        f"{channel}:mean_squared_error" for channel in ("train", "validation", "test")
    ),
    write_channels=_write,
    requests=(
        ("application/json", json.dumps({"instances": _both}).encode()),
        ("application/jsonlines", _lines(_instances)),
        ("application/jsonlines; infer_max_seqlens=3,3", _lines(_left)),
        ("application/json", b'{"instances": [{"in1": "word1 word9"}, {"in1": [1, 9]}]}'),
    ),
)
