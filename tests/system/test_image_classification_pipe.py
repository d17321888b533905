"""An image classifier trained from pipes by two processes of a host: one of them reads for both."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import torch

from tests.algorithms.image_classification.pictures import manifest_bytes, record_bytes, textured
from tests.fifo import feeding
from tests.system.test_image_classification_processes import (
    BATCH,
    EPOCHS,
    LEARNING,
    NUM_IMAGES,
    WITNESS,
    Trained,
)

pytestmark = pytest.mark.system

NUM_PASSES = {"train": EPOCHS, "validation": EPOCHS + 2}
"""How often each channel is sent; the last two are for the scores."""
SILENCE_S, END_S = 3, 100
"""How long a pipe may be silent here, and after how long all processes have ended, however it ends."""
LOOKS_ALIKE = textured(1) * NUM_IMAGES
SENT = {
    "records": record_bytes(LOOKS_ALIKE, [[number] for number in range(NUM_IMAGES)]),
    "manifest": manifest_bytes(LOOKS_ALIKE, [str(number) for number in range(NUM_IMAGES)]),
}


def _run(
    root: Path, num_processes: int, sent: bytes, *, is_stalling: bool = False
) -> tuple[int, Trained]:
    """Train with pipes on so many processes, whose writer may fall silent and stay."""
    is_over = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield sent
        if is_stalling:
            is_over.wait()

    folder = root / f"by {num_processes}"
    folder.mkdir(parents=True)
    pipe = {"input_mode": "Pipe", "content_type": "application/x-recordio"}
    document = {
        "algorithm": "image_classification",
        "hyperparameters": LEARNING,
        "channels": {name: {"path": str(folder / name), **pipe} for name in NUM_PASSES},
        "resources": {"precision": "32-true"},
    }
    (folder / "job.yaml").write_text(json.dumps(document))
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", str(num_processes))
    command = (
        *(torchrun if num_processes > 1 else ()),
        WITNESS,
        folder,
        "--config",
        folder / "job.yaml",
    )
    train, validation = (folder / name for name in NUM_PASSES)
    own = {
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "WITNESS_SILENCE_S": str(SILENCE_S if is_stalling else 60),
    }
    with (
        feeding(train, (pieces() for _ in range(NUM_PASSES["train"]))),
        feeding(validation, (pieces() for _ in range(NUM_PASSES["validation"]))),
    ):
        try:
            done = subprocess.run(
                [str(part) for part in (sys.executable, *command)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=240,
                env={**os.environ, **own},
            )
        finally:
            is_over.set()
    return done.returncode, Trained(folder, done.stdout)


@pytest.fixture(scope="module", params=SENT)
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[Trained]:
    """Train from pipes by one process and by two."""
    root = tmp_path_factory.mktemp("pipes")
    both = []
    for number in (1, 2):
        code, found = _run(root, number, SENT[request.param])
        assert code == 0, found.log
        both.append(found)
    return both


def test_each_image_is_seen_once_an_epoch_in_the_batch_of_one_process(
    trained: list[Trained],
) -> None:
    one, two = trained
    whole = one.batches(0)
    parts = list(zip(two.batches(0), two.batches(1), strict=True))
    assert [(batch[::2], batch[1::2]) for batch in whole] == parts
    a_pass = -(-NUM_IMAGES // BATCH)
    for epoch in range(EPOCHS):
        seen = chain.from_iterable(whole[epoch * a_pass : (epoch + 1) * a_pass])
        assert sorted(seen) == list(range(NUM_IMAGES))


def test_two_processes_learn_what_one_does(trained: list[Trained]) -> None:
    one, two = trained
    expected = one.figures()
    assert {"Train-accuracy", "Train-loss", "Validation-accuracy"} <= expected.keys()
    for name, values in two.figures().items():
        assert values == pytest.approx(expected[name], rel=1e-4), name
    first, second = two.model(), two.weights_of_second()
    assert all(torch.equal(first[name], second[name]) for name in first)
    scores = [
        json.loads((found.folder / "0" / "output" / "classes.json").read_text())["accuracy"]
        for found in trained
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("sent", "is_stalling", "expected"),
    [
        (b"", False, "Customer Error: .*Got empty batch from pipe"),
        (SENT["records"][:-8], False, "Customer Error: train_0 record 21 .*cut short"),
        (SENT["manifest"] + SENT["manifest"][:64], False, "Customer Error: train_0 record 43 "),
        (
            SENT["records"],
            True,
            "Platform Error: SageMaker pipe channel timed out. train_0: nothing",
        ),
        (b"", True, "Platform Error: SageMaker pipe channel timed out. train_0: nothing"),
    ],
    ids=["empty", "records cut short", "manifest cut short", "silent later", "silent at once"],
)
def test_a_pipe_that_breaks_ends_both_processes_with_one_sentence(
    sent: bytes, is_stalling: bool, expected: str, tmp_path: Path
) -> None:
    began = time.monotonic()
    code, found = _run(tmp_path, 2, sent, is_stalling=is_stalling)
    assert code != 0
    said = re.findall(r"\w+ Error: .*", found.log)
    assert len(said) == 2, found.log
    assert said[0] == said[1]
    assert re.search(expected, said[0])
    assert time.monotonic() - began < END_S
