"""A topic model of two vocabularies that never meet in one document."""

import json
from pathlib import Path

import numpy as np

from sm_dl.data.protobuf.columns import Csr
from sm_dl.data.protobuf.write import dense_records, sparse_records
from sm_dl.data.recordio import framed
from tests.small_job import SmallJob

NUM_WORDS = 12


def counts_of(seed: int, num_documents: int) -> np.ndarray:
    """Return documents of 20 words, each from one half of the vocabulary."""
    random = np.random.default_rng(seed)
    counts = np.zeros((num_documents, NUM_WORDS), dtype=np.float32)
    for row in counts:
        words = random.integers(NUM_WORDS // 2, size=20) + NUM_WORDS // 2 * random.integers(2)
        np.add.at(row, words, 1)
    return counts


def csr_of(counts: np.ndarray) -> Csr:
    """Return a matrix in compressed form."""
    rows, columns = np.nonzero(counts)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(counts)))])
    return Csr(counts[rows, columns], columns.astype(np.int64), starts, counts.shape[1])


def recordio(records) -> bytes:
    """Return records in their frames."""
    return b"".join(framed(record, cuts=False) for record in records)


def _write(folder: Path) -> dict[str, Path]:
    paths = {name: folder / name for name in ("train", "validation", "test", "auxiliary")}
    for path in paths.values():
        path.mkdir(parents=True)
    counts = counts_of(0, 200)
    (paths["train"] / "part-0.pbr").write_bytes(recordio(sparse_records(csr_of(counts[:150]))))
    (paths["train"] / "part-1.pbr").write_bytes(recordio(dense_records(counts[150:])))
    (paths["validation"] / "part-0.pbr").write_bytes(recordio(dense_records(counts_of(1, 40))))
    lines = "".join(",".join(f"{one:g}" for one in row) + "\n" for row in counts_of(2, 40))
    (paths["test"] / "part-0.csv").write_text(lines)
    words = "".join(f"word{index}\n" for index in range(NUM_WORDS))
    (paths["auxiliary"] / "vocab.txt").write_text(words)
    return paths


_counts = counts_of(3, 3)
_dense = [{"features": row.tolist()} for row in _counts]
_sparse = [
    {
        "data": {
            "features": {
                "keys": np.flatnonzero(row).tolist(),
                "shape": [NUM_WORDS],
                "values": row[row > 0].tolist(),
            }
        }
    }
    for row in _counts
]

SMALL_JOB = SmallJob(
    hyperparameters={
        "feature_dim": NUM_WORDS,
        "num_topics": 3,
        "epochs": 6,
        "mini_batch_size": 16,
        "encoder_layers": [8, 6],
        "optimizer": "adam",
        "learning_rate": 0.01,
    },
    epochs_name="epochs",
    write_channels=_write,
    requests=(
        ("text/csv", "".join(",".join(map(str, row)) + "\n" for row in _counts).encode()),
        ("application/json", json.dumps({"instances": _dense + _sparse}).encode()),
        ("application/jsonlines", b"".join(json.dumps(one).encode() + b"\n" for one in _sparse)),
        ("application/x-recordio-protobuf", recordio(sparse_records(csr_of(_counts)))),
    ),
)
