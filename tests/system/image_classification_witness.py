"""Train by the door as one process of several, and write down what this one saw and ended with.

    python tests/system/image_classification_witness.py FOLDER --config job.yaml

Each process has an output folder of its own, FOLDER/<rank>, and leaves FOLDER/<rank>.json, the labels
of each batch it trained on, and FOLDER/<rank>.safetensors, its network. WITNESS_SILENCE_S says how
long a pipe may be silent, in seconds.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path

from safetensors.torch import save_file

from sm_dl import train
from sm_dl.algorithms.image_classification import data, training
from sm_dl.algorithms.image_classification.batches import Batch
from sm_dl.algorithms.image_classification.module import ImageClassificationModule
from sm_dl.algorithms.image_classification.network import ResNetClassifier
from sm_dl.engine import machine
from sm_dl.engine.losses import StepLoss
from sm_dl.job.job import Job


def main() -> int:
    """Run `sm_dl train` under watch."""
    folder, *arguments = sys.argv[1:]
    own = Path(folder) / str(machine.rank())
    seen: list[list[int]] = []
    networks: list[ResNetClassifier] = []
    step, start, fit = (
        ImageClassificationModule.training_step,
        training.started_network,
        training.fit,
    )

    def watched_step(self: ImageClassificationModule, batch: Batch, batch_idx: int) -> StepLoss:
        if self.training:
            seen.append(batch.labels[batch.weight_B > 0].tolist())
        return step(self, batch, batch_idx)

    def watched_start(*given: object) -> ResNetClassifier:
        networks.append(start(*given))  # type: ignore[arg-type]
        return networks[0]

    def watched_fit(job: Job) -> None:
        fit(job)
        own.with_suffix(".json").write_text(json.dumps(seen))
        state = {name: one.contiguous() for name, one in networks[0].state_dict().items()}
        save_file(state, own.with_suffix(".safetensors"))

    ImageClassificationModule.training_step = watched_step  # type: ignore[method-assign]
    training.started_network = watched_start  # type: ignore[assignment]
    training.fit = watched_fit
    if silence_s := os.environ.get("WITNESS_SILENCE_S"):
        data.byte_source = partial(data.byte_source, timeout_s=float(silence_s))  # type: ignore[assignment, attr-defined]
    return train.main([*arguments, "--set", f"output={own}"])


if __name__ == "__main__":
    sys.exit(main())
